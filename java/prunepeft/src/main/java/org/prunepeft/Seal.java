package org.prunepeft;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.model.Models;
import org.prunepeft.model.Pretrained;
import org.prunepeft.run.ModelFiles;
import org.prunepeft.settings.Setup;

/** Takes what a run or an export holds as it is, where someone has changed it on purpose. */
public final class Seal {
  private Seal() {}

  /**
   * Writes the checksums of all files anew, and those of the base model's.
   *
   * @param directory of a complete run, or of an export
   * @param model the base model's name or directory from now on; null: where the run found it
   * @throws org.prunepeft.io.RunDirectoryException if the directory is absent, incomplete or no
   *     run's, or can't be written
   * @throws IllegalArgumentException if the model is not known
   * @throws UncheckedIOException if the model can't be read
   */
  public static void renew(Path directory, String model) {
    RunDirectory run = RunDirectory.open(directory);
    if (model != null) {
      // Before anything is signed anew.
      Models.byName(model);
    }
    String origin = AdapterExport.ORIGIN;
    if (Files.exists(run.file(origin))) {
      takeModel(run, origin, model);
      Manifest.renew(
          run, origin, exported(run).stream().filter(name -> !name.equals(origin)).toList());
    } else {
      RunFiles.SIGNED.forEach(name -> Manifest.resign(run, name));
      takeModel(run, RunFiles.CONFIG, model);
      Manifest.renew(run, RunFiles.RESULT, RunFiles.beforeResult(run));
    }
  }

  private static List<String> exported(RunDirectory export) {
    try {
      return AdapterExport.names(export);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "can't list the files of " + export.path() + ": " + e.getMessage(), e);
    }
  }

  private static void takeModel(RunDirectory run, String file, String model) {
    Setup setup = ModelFiles.setup(run, file, model);
    Map<String, Object> object = run.readJson(file);
    if (model != null) {
      object.put("setup", ModelFiles.withModel(object.get("setup"), model));
    }
    ModelFiles.put(object, setup.model(), files(setup.model()));
    Manifest.replace(run, file, object);
  }

  private static List<FileChecksum> files(String model) {
    try (Pretrained parts = Models.byName(model).loader().open()) {
      return parts.files();
    } catch (UnsupportedOperationException e) {
      // A program's own, which has no files.
      return List.of();
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }
}
