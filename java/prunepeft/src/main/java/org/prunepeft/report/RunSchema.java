package org.prunepeft.report;

import java.nio.file.Path;
import org.prunepeft.data.Schema;
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
   */
  public static Schema of(Path directory) {
    RunDirectory run = RunDirectory.look(directory);
    try {
      return Schema.fromMap(run.readJson(RunFiles.CONFIG));
    } catch (IllegalArgumentException e) {
      throw new RunDirectoryException(
          "%s: %s; make the run anew".formatted(run.file(RunFiles.CONFIG), e.getMessage()), e);
    }
  }
}
