package org.prunepeft.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A directory that is to be written, and those above it; what was made can be taken back. */
public final class NewDirectories {
  private final Path directory;

  /** Innermost first. */
  private final List<Path> absent = new ArrayList<>();

  /**
   * Makes nothing yet.
   *
   * @param directory absolute, or relative to where the process runs
   */
  public NewDirectories(Path directory) {
    this.directory = directory;
    for (Path path = directory.toAbsolutePath();
        path != null && !Files.exists(path);
        path = path.getParent()) {
      absent.add(path);
    }
  }

  /** {@return what is there of the directory's path already; null: nothing} */
  public Path nearest() {
    return absent.isEmpty() ? directory : absent.get(absent.size() - 1).getParent();
  }

  /**
   * Makes those that are not there yet, and has the disk keep their names.
   *
   * @throws IOException if one can't be made or kept, or a file is in its place
   */
  public void make() throws IOException {
    // Not for a link to a directory, which createDirectories refuses.
    if (!Files.isDirectory(directory)) {
      Files.createDirectories(directory);
    }
    for (Path path : absent) {
      AtomicFile.forceDirectory(path.getParent());
    }
  }

  /**
   * Removes those that were not there before.
   *
   * @throws IOException if one is not empty, or can't be removed
   */
  public void remove() throws IOException {
    for (Path path : absent) {
      Files.deleteIfExists(path);
    }
  }
}
