package org.prunepeft.testing;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * A process that has ended.
 *
 * @param text its standard output, and its standard error if the builder says that they are one
 */
public record EndedProcess(int exitValue, String text) {
  /**
   * Runs a process that has so much time. Its output goes to a file meanwhile, since to read a pipe
   * to its end would wait as long as anything holds it open.
   *
   * @throws AssertionError if it has not ended by then; it and what it has begun are ended
   */
  public static EndedProcess of(ProcessBuilder builder, Duration limit)
      throws IOException, InterruptedException {
    Path said = Files.createTempFile("process", ".txt");
    try {
      Process process = builder.redirectOutput(said.toFile()).start();
      try {
        if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
          throw new AssertionError(
              "%s has not ended within %s; it said: %s"
                  .formatted(builder.command(), limit, text(said)));
        }
      } finally {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly().waitFor();
      }
      return new EndedProcess(process.exitValue(), text(said));
    } finally {
      Files.delete(said);
    }
  }

  /**
   * Waits until a process that need not be a child of this one has ended. One whose end its parent
   * has not asked for has: in a container the first process may ask for none.
   *
   * @throws AssertionError if it has not ended by then
   */
  public static void await(ProcessHandle process, Duration limit) throws InterruptedException {
    long end = System.nanoTime() + limit.toNanos();
    while (goesOn(process)) {
      if (System.nanoTime() > end) {
        throw new AssertionError(
            "process %d has not ended within %s".formatted(process.pid(), limit));
      }
      Thread.sleep(5);
    }
  }

  /** {@return whether a process is there and has not ended} */
  public static boolean goesOn(ProcessHandle process) {
    if (!process.isAlive()) {
      return false;
    }
    try {
      String state =
          Files.readString(
              Path.of("/proc", Long.toString(process.pid()), "stat"), StandardCharsets.ISO_8859_1);
      // Behind the name, which may have any bytes.
      return !state.substring(state.lastIndexOf(')') + 1).matches("(?s)\\s*[ZX].*");
    } catch (IOException e) {
      // Not Linux, or it has ended since.
      return process.isAlive();
    }
  }

  private static String text(Path said) throws IOException {
    return new String(Files.readAllBytes(said), StandardCharsets.UTF_8);
  }
}
