package org.prunepeft;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectories;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.model.Models;
import org.prunepeft.run.ModelFiles;
import org.prunepeft.settings.Setup;
import org.prunepeft.text.ShellWords;

/** Takes what a run or an export holds as it is, where someone has changed it on purpose. */
public final class Seal {
  private Seal() {}

  /**
   * Writes the checksums of all files anew, and, where a model is named, those of the base model's.
   *
   * @param directory of a complete run, or of an export; or that above several seeds or budgets,
   *     whose runs stay as they are
   * @param model the base model's name or directory from now on; null: where the run found it, and
   *     its files are to be those that the run was made with. Not above several
   * @return what differed from the checksums so far, a line each: files that were changed, are gone
   *     or had none, and the base model's
   * @throws RunDirectoryException if the directory is absent, incomplete or no run's, has no
   *     results, or can't be written, or if the base model's files were changed and no model is
   *     named; nothing is written then
   * @throws IllegalArgumentException if the model is not known, or is named above several runs
   * @throws UncheckedIOException if the model can't be read
   */
  public static List<String> renew(Path directory, String model) {
    RunDirectory run = RunDirectory.open(directory);
    boolean isExport = Files.exists(run.file(AdapterExport.ORIGIN));
    if (!isExport && RunDirectories.isAbove(directory)) {
      return renewAbove(run, model);
    }
    String configured = isExport ? AdapterExport.ORIGIN : RunFiles.CONFIG;
    String manifest = isExport ? AdapterExport.ORIGIN : RunFiles.RESULT;
    if (!isExport) {
      Manifest.requireResult(run);
    }
    // Before anything is signed anew.
    Map<String, Object> config = RunDirectory.parse(run.file(configured));
    String chosen = model == null ? ModelFiles.model(run, configured, config) : model;
    List<FileChecksum> modelFiles =
        ModelFiles.of(
            model == null ? ModelFiles.known(run, configured, chosen) : Models.byName(model));
    List<String> modelChanges = ModelFiles.changes(run, configured, config, modelFiles);
    if (model == null && !modelChanges.isEmpty()) {
      throw new RunDirectoryException(
          "%s; restore the model, or, if it was changed on purpose, take it with 'prunepeft seal %s --model %s'"
              .formatted(
                  String.join("; ", modelChanges),
                  ShellWords.quoted(directory.toString()),
                  ShellWords.quoted(chosen)));
    }
    List<String> changes =
        new ArrayList<>(
            Manifest.differences(
                run, manifest, isExport ? others(run) : RunFiles.beforeResult(run)));
    changes.addAll(modelChanges);
    if (!isExport) {
      RunFiles.SIGNED.forEach(name -> Manifest.resign(run, name));
    }
    takeModel(run, configured, model, modelFiles);
    Manifest.renew(run, manifest, isExport ? others(run) : RunFiles.beforeResult(run));
    return List.copyOf(changes);
  }

  private static List<String> renewAbove(RunDirectory above, String model) {
    if (model != null) {
      throw new IllegalArgumentException(
          "a base model is one of a run, and %s is the directory above several; seal each of them with --model %s"
              .formatted(above.path(), model));
    }
    if (Files.notExists(above.file(RunFiles.SUMMARY))) {
      // They were never put together, as in a directory of runs.
      RunDirectories.requireRun(above.path());
    }
    List<String> changes = new ArrayList<>();
    for (String name : Manifest.together(above)) {
      List<String> files = RunFiles.beforeResult(above);
      changes.addAll(Manifest.differences(above, name, files));
      Manifest.resign(above, name);
      Manifest.renew(above, name, files);
    }
    return List.copyOf(changes);
  }

  /** All files of an export but the one with their checksums. */
  private static List<String> others(RunDirectory export) {
    try {
      return AdapterExport.names(export).stream()
          .filter(name -> !name.equals(AdapterExport.ORIGIN))
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(
          "can't list the files of " + export.path() + ": " + e.getMessage(), e);
    }
  }

  private static void takeModel(
      RunDirectory run, String file, String model, List<FileChecksum> files) {
    Setup setup = ModelFiles.setup(run, file, model);
    Map<String, Object> object = run.readJson(file);
    if (model != null) {
      object.put("setup", ModelFiles.withModel(object.get("setup"), model));
    }
    ModelFiles.put(object, setup.model(), files);
    Manifest.replace(run, file, object);
  }
}
