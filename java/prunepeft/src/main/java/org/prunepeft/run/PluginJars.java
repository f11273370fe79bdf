package org.prunepeft.run;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
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
   * {@return a line for each jar that held something else when the run began; one at another path
   * is known by its name, and one that either side lacks is passed over}
   */
  static synchronized List<String> changes(RunDirectory run) {
    if (!run.readJson(RunFiles.CONFIG).containsKey(RunFiles.PLUGINS)) {
      return List.of();
    }
    List<FileChecksum> then =
        List.of(run.readJson(RunFiles.CONFIG, RunFiles.PLUGINS, FileChecksum[].class));
    return RunData.differences(run, then, REGISTERED);
  }
}
