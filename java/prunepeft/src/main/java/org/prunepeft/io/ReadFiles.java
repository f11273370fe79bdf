package org.prunepeft.io;

import java.io.IOException;
import java.util.List;

/**
 * Files that something is read from.
 *
 * @param checksums what they hold
 * @param before how they were before they were read; null: what they hold is what was read
 */
public record ReadFiles(List<FileChecksum> checksums, FileStates before) {
  /**
   * Checks, once all is read, that the checksums are of what was read.
   *
   * @throws IOException if a file has been replaced, written or removed meanwhile, or has come;
   *     names it and the remedy
   */
  public void requireUnchanged() throws IOException {
    if (before != null) {
      before.requireUnchanged(checksums.stream().map(FileChecksum::file).toList());
    }
  }
}
