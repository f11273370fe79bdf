package org.prunepeft.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** Directories that tests have made. */
public final class Directories {
  private static final Path MEMORY = Path.of("/dev/shm");

  /** A container's has 64 MB, in which large files have no room. */
  private static final long ROOM = 1_000_000_000;

  private Directories() {}

  /**
   * {@return a new one, in memory where there is such a place with room: a disk takes most of the
   * time}
   */
  public static Path temporary() throws IOException {
    return Files.isWritable(MEMORY) && Files.getFileStore(MEMORY).getUsableSpace() > ROOM
        ? Files.createTempDirectory(MEMORY, "prunepeft")
        : Files.createTempDirectory("prunepeft");
  }

  /**
   * Deletes a directory with all that is in it.
   *
   * @throws UncheckedIOException if it is absent, or something can't be deleted
   */
  public static void delete(Path directory) {
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
