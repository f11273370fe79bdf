package org.prunepeft;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.run.ModelFiles;
import org.prunepeft.run.PluginJars;
import org.prunepeft.run.RunConfig;
import org.prunepeft.run.RunData;

/**
 * What a complete run was made from: the files of its data, of its model and of its plugins, and
 * versions.
 */
public final class RunOrigin {
  private final RunDirectory run;
  private final List<FileChecksum> data;
  private final List<FileChecksum> model;
  private final List<FileChecksum> plugins;

  /** As it is in the run. */
  private final RunConfig config;

  private final Map<String, String> versions = new LinkedHashMap<>();

  private RunOrigin(RunDirectory run) {
    this.run = run;
    config = RunConfig.of(run);
    data = files(RunFiles.DATA);
    model = files(Manifest.MODEL_FILES);
    plugins = files(RunFiles.PLUGINS);
    if (config.members().get("versions") instanceof Map<?, ?> known) {
      known.forEach((name, version) -> versions.put(name.toString(), String.valueOf(version)));
    }
  }

  /** Null: the run is of a version that kept none. */
  private List<FileChecksum> files(String member) {
    return config.has(member) ? config.files(member) : null;
  }

  /**
   * Reads it.
   *
   * @param directory of the run
   * @return what it says
   * @throws RunDirectoryException if the run is absent, incomplete or damaged
   */
  public static RunOrigin read(Path directory) {
    return new RunOrigin(Manifest.open(directory, Set.of(RunFiles.CONFIG)));
  }

  /** {@return the directory of the run} */
  public Path directory() {
    return run.path();
  }

  /** {@return whether the run kept the checksums of its data} */
  public boolean knowsData() {
    return data != null;
  }

  /** {@return whether it kept those of its model} */
  public boolean knowsModel() {
    return model != null;
  }

  /**
   * {@return how the data that another run read differs from this one's, a line for each file, with
   * both checksums; none where a run is of a version that kept no checksums} Files that one of the
   * two lacks are passed over.
   *
   * @throws RunDirectoryException if this run is not what it was
   */
  public List<String> dataChanges(RunOrigin other) {
    return data == null || other.data == null ? List.of() : RunData.changes(run, other.data);
  }

  /**
   * {@return the same of their models; files that nothing reads do not count}
   *
   * @throws RunDirectoryException if this run is not what it was
   */
  public List<String> modelChanges(RunOrigin other) {
    return model == null || other.model == null ? List.of() : ModelFiles.changes(run, other.config);
  }

  /** {@return whether it had plugins, whose checksums it kept} */
  public boolean knowsPlugins() {
    return plugins != null;
  }

  /** {@return the same of their plugins; a jar that one of the two lacks is passed over} */
  public List<String> pluginChanges(RunOrigin other) {
    return plugins == null || other.plugins == null
        ? List.of()
        : PluginJars.differences(run, plugins, other.plugins);
  }

  /**
   * {@return the versions of the program, of libraries and of the machine by which it was computed,
   * by their names; none where it says none}
   */
  public Map<String, String> versions() {
    return Map.copyOf(versions);
  }
}
