package org.prunepeft.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * The files that are a run's, or a study's, to write and to remove: those that lie in its
 * directory. What a link there leads to, such as in a directory that came from somewhere, is not.
 */
public final class OwnFiles {
  private OwnFiles() {}

  /**
   * {@return a file of the directory of a run or of a study, which may be absent}
   *
   * @param directory may be reached by a link itself
   * @param file in it, or below
   * @throws RunDirectoryException if it, or a directory between the two, is a symbolic link, or no
   *     file or directory at all, such as a FIFO; names that
   */
  public static Path require(Path directory, Path file) {
    Path one = directory;
    for (Path name : directory.relativize(file)) {
      one = one.resolve(name);
      String what = other(one);
      if (what != null) {
        throw new RunDirectoryException(
            "%s is %s; a run or a study writes and removes only what lies in its own directory: put what it stands for in its place, or remove it"
                .formatted(one, what));
      }
    }
    return file;
  }

  /** What is there that is neither a file nor a directory; null: nothing. */
  private static String other(Path path) {
    try {
      BasicFileAttributes found =
          Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      return found.isSymbolicLink() ? "a symbolic link" : found.isOther() ? "no file" : null;
    } catch (IOException e) {
      // It is absent, or whoever opens it says why it can't be.
      return null;
    }
  }
}
