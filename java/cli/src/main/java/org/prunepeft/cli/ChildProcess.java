package org.prunepeft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A command in a process of its own, with this one's Java, options and environment. It ends when
 * this process does, even if that is killed: its standard input then has an end.
 */
final class ChildProcess {
  /** Says that a process ends with its standard input. */
  private static final String ENDS_WITH_INPUT = "prunepeft.ends.with.input";

  private ChildProcess() {}

  /**
   * Starts it; the caller waits for it.
   *
   * @param words of the command line
   * @param log where both of its streams go; replaced
   */
  static Process start(List<String> words, Path log) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(option -> !option.startsWith("-agentlib"))
        .forEach(command::add);
    command.add("-D" + ProgressDisplay.TERMINAL + "=false");
    command.add("-D" + ENDS_WITH_INPUT + "=true");
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
    command.addAll(words);
    try {
      return new ProcessBuilder(command)
          .redirectErrorStream(true)
          .redirectOutput(log.toFile())
          .start();
    } catch (IOException e) {
      throw new UncheckedIOException("can't start %s: %s".formatted(command.get(0), e), e);
    }
  }

  /** Of a process that was started here: has it end, as SIGTERM does, with its standard input. */
  static void endWithInput() {
    if (!Boolean.getBoolean(ENDS_WITH_INPUT)) {
      return;
    }
    Thread thread =
        new Thread(
            () -> {
              try {
                while (System.in.read() >= 0) {
                  // Nobody writes anything.
                }
              } catch (IOException e) {
                // As its end.
              }
              System.exit(Interruption.TERMINATED);
            },
            "end with input");
    thread.setDaemon(true);
    thread.start();
  }
}
