package org.prunepeft.report;

import java.nio.file.Path;
import java.util.Set;
import org.prunepeft.data.Schema;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;

/** What a run was trained to predict, in {@link RunFiles#CONFIG}. */
public final class RunSchema {
  private RunSchema() {}

  /**
   * Reads it.
   *
   * @param directory of the run, complete or not
   * @throws RunDirectoryException if the file can't be read or is damaged
   * @throws org.prunepeft.io.DamagedRunException if the run is complete, and the file was changed
   *     or is gone since
   */
  public static Schema of(Path directory) {
    RunDirectory run = Manifest.look(directory, Set.of(RunFiles.CONFIG));
    try {
      return Schema.fromMap(run.readJson(RunFiles.CONFIG));
    } catch (IllegalArgumentException e) {
      throw new RunDirectoryException(
          "%s: %s; make the run anew".formatted(run.file(RunFiles.CONFIG), e.getMessage()), e);
    }
  }
}
