package org.prunepeft.run;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;

/** The jars of plugins that this process has registered, with what they held then. */
public final class PluginJars {
  private static final List<FileChecksum> REGISTERED = new ArrayList<>();

  private PluginJars() {}

  /** A jar was registered. */
  public static synchronized void add(FileChecksum jar) {
    REGISTERED.add(jar);
  }

  /** Adds those of this process to what a run's {@code config.json} has; none: nothing. */
  static synchronized void put(Map<String, Object> config) {
    if (!REGISTERED.isEmpty()) {
      config.put(RunFiles.PLUGINS, List.copyOf(REGISTERED));
    }
  }

  /**
   * {@return a line for each jar of a run that is not registered with the same content now,
   * whatever its name; none where the run has none} Jars that are registered in addition do not
   * count.
   */
  static synchronized List<String> changes(RunDirectory run) {
    return changes(run, of(run), REGISTERED);
  }

  /**
   * {@return the same of what a run began with, and of what is registered now}
   *
   * @param then of the run
   */
  static List<String> changes(RunDirectory run, List<FileChecksum> then, List<FileChecksum> now) {
    return then.stream()
        .filter(jar -> now.stream().noneMatch(jar::holdsSame))
        .map(jar -> change(run, jar, now))
        .toList();
  }

  private static String change(RunDirectory run, FileChecksum jar, List<FileChecksum> now) {
    return now.stream()
        .filter(other -> RunData.name(other).equals(RunData.name(jar)))
        .findFirst()
        .map(other -> RunData.difference(run, jar, other))
        .orElseGet(
            () ->
                "the plugins have no %s, which the run %s began with and which had %s; they are %s"
                    .formatted(jar.file(), run.path(), jar.content(), text(now)));
  }

  private static String text(List<FileChecksum> jars) {
    return jars.isEmpty()
        ? "none"
        : jars.stream()
            .map(jar -> "%s of %s".formatted(jar.file(), jar.content()))
            .collect(Collectors.joining(", "));
  }

  /**
   * {@return a line for each jar that held something else when another run began; one at another
   * path is known by its name, and one that either lacks is passed over}
   *
   * @param now of that other
   */
  public static List<String> differences(
      RunDirectory run, List<FileChecksum> then, List<FileChecksum> now) {
    return RunData.differences(run, then, now);
  }

  /** {@return the same of two runs} */
  static List<String> differences(RunDirectory run, RunDirectory other) {
    return differences(run, of(run), of(other));
  }

  /** None of a run that had none, or is of a version that kept none. */
  private static List<FileChecksum> of(RunDirectory run) {
    return RunConfig.of(run).files(RunFiles.PLUGINS);
  }
}
