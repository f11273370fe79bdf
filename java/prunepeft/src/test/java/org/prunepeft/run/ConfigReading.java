package org.prunepeft.run;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;

/** What is taken of a run's config.json where it is compared with what is there now. */
public final class ConfigReading {
  /** Data, a model's files and plugins that a run may have by these names elsewhere. */
  private static final List<FileChecksum> FILES =
      List.of(file("/a"), file("/moved/a"), file("/model.safetensors"), file("/"));

  private ConfigReading() {}

  private static FileChecksum file(String path) {
    return new FileChecksum(Path.of(path), 1, "00");
  }

  /**
   * {@return the comparisons of evaluations, of resumptions and of runs that are put together or
   * compared} Each refuses a file by an exception that names it and the member, whatever it is.
   *
   * @param run whose config.json someone may have changed
   * @param whole another whose config.json nobody has
   */
  public static List<Runnable> comparisons(RunDirectory run, RunDirectory whole) {
    RunConfig config = RunConfig.of(run);
    RunConfig other = RunConfig.of(whole);
    return List.of(
        named(run, () -> RunData.changes(run, FILES)),
        named(run, () -> ModelFiles.changes(run, RunFiles.CONFIG, FILES)),
        named(run, () -> ModelFiles.changes(whole, config)),
        named(run, () -> PluginJars.changes(run)),
        named(run, () -> PluginJars.changes(run, config.files(RunFiles.PLUGINS), FILES)),
        named(run, () -> ConfigDifference.ofVersions(config, other).map(one -> one.text(" "))),
        named(run, () -> ConfigDifference.of(config, other, Set.of()).map(Object::toString)),
        named(run, () -> ConfigDifference.ofRuns(other, config, Set.of()).map(Object::toString)),
        named(run, () -> ConfigDifference.namesSameData(config, other)),
        named(run, () -> RunFiles.sources(run.path())),
        named(run, () -> putTogether(RunsAlike.Kind.SEED, run, whole)),
        named(run, () -> putTogether(RunsAlike.Kind.BUDGET, whole, run)));
  }

  private static void putTogether(RunsAlike.Kind kind, RunDirectory one, RunDirectory other) {
    try (RunsAlike alike = RunsAlike.begin(kind, List.of())) {
      alike.require(one, other);
      alike.require(one, RunConfig.of(other));
    }
  }

  /** What Jackson says of a member names no file. */
  private static Runnable named(RunDirectory run, Runnable comparison) {
    return () -> {
      try {
        comparison.run();
      } catch (IllegalArgumentException e) {
        throw new AssertionError(run.file(RunFiles.CONFIG) + " is not named: " + e, e);
      }
    };
  }
}
