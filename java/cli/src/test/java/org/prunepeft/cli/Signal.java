package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What a process is told to end by. */
enum Signal {
  TERM(143),
  INT(130);

  /** Of the process that it ends. */
  final int exitCode;

  Signal(int exitCode) {
    this.exitCode = exitCode;
  }

  /** By a shell, which has that built in; one that has just ended takes none. */
  void send(Process process) throws IOException, InterruptedException {
    String kill = "kill -%s %d".formatted(this, process.pid());
    if (new ProcessBuilder("sh", "-c", kill).start().waitFor() != 0) {
      Child.awaitEnd(process, () -> kill + " failed");
    }
  }

  /**
   * In a build one for each command; {@code java/kill-and-resume} has both.
   *
   * @param left what a build leaves out
   */
  static List<Signal> without(Signal left) throws IOException {
    List<Signal> signals = new ArrayList<>(List.of(values()));
    if (ignoresInterrupts()) {
      signals.remove(INT);
    } else if (!Kills.areSignals()) {
      signals.remove(left);
    }
    return signals;
  }

  /** Shells have what they start in the background ignore SIGINT, which its children inherit. */
  static boolean ignoresInterrupts() throws IOException {
    Path status = Path.of("/proc/self/status");
    return Files.exists(status)
        && Files.readAllLines(status).stream()
            .filter(line -> line.startsWith("SigIgn:"))
            .anyMatch(line -> (Long.parseUnsignedLong(line.substring(7).strip(), 16) & 2) != 0);
  }
}
