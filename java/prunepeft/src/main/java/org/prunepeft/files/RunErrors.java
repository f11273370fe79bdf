package org.prunepeft.files;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.prunepeft.io.DamagedRunException;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.text.Reason;

/** What is said of a run's file or directory that can't be read or written. */
final class RunErrors {
  private RunErrors() {}

  static RunDirectoryException unread(Path file, IOException e) {
    String message = "can't read %s: %s".formatted(file, Reason.of(file, e));
    return e instanceof NoSuchFileException
        ? new DamagedRunException(message, e)
        : new RunDirectoryException(message, e);
  }

  static RunDirectoryException unwritten(Path file, IOException e) {
    return new RunDirectoryException("can't write %s: %s".formatted(file, Reason.of(file, e)), e);
  }
}
