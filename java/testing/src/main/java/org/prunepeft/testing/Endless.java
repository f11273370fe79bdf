package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.function.ThrowingSupplier;

/** What whoever reads to its end reads for ever. */
public enum Endless {
  /** A link to a device. */
  ZEROS {
    @Override
    void make(Path file) throws IOException {
      Path zeros = Path.of("/dev/zero");
      assumeTrue(Files.exists(zeros), "there is no /dev/zero");
      Files.createSymbolicLink(file, zeros);
    }
  },
  /** Which nobody writes to. */
  FIFO {
    @Override
    void make(Path file) throws IOException {
      try {
        Process made = new ProcessBuilder("mkfifo", file.toString()).start();
        assumeTrue(made.waitFor() == 0, "mkfifo failed");
      } catch (IOException e) {
        assumeTrue(false, "there is no mkfifo: " + e.getMessage());
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
    }
  };

  abstract void make(Path file) throws IOException;

  /** Is in a file's place while something reads it, which has to end within a minute. */
  public <T> T read(Path file, ThrowingSupplier<T> reading) throws IOException {
    Path before = file.resolveSibling(file.getFileName() + ".before");
    boolean there = Files.exists(file);
    if (there) {
      Files.move(file, before);
    }
    try {
      make(file);
      return assertTimeoutPreemptively(Duration.ofMinutes(1), reading);
    } finally {
      Files.deleteIfExists(file);
      if (there) {
        Files.move(before, file);
      }
    }
  }
}
