package org.prunepeft.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.prunepeft.testing.EndedProcess;

/** The command line, or another program on its class path, in a process of its own. */
final class Child {
  /** They live for seconds. */
  private static final List<String> SHORT = List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC");

  private static final String EXTENSION = "org.bytedeco.javacpp.platform.extension";

  private Child() {}

  /** The command of a call with these options of Java. */
  static List<String> command(List<String> options, String classPath, List<String> arguments) {
    List<String> program = new ArrayList<>(List.of(Main.class.getName()));
    program.addAll(arguments);
    return java(options, classPath, program);
  }

  /**
   * The command that runs another program.
   *
   * @param program a class or a source file, then its arguments
   */
  static List<String> java(List<String> options, String classPath, List<String> program) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(SHORT);
    // LibTorch's GPU build, where the tests run with it.
    Optional.ofNullable(System.getProperty(EXTENSION))
        .ifPresent(extension -> command.add("-D" + EXTENSION + "=" + extension));
    command.addAll(options);
    command.addAll(List.of("-cp", classPath));
    command.addAll(program);
    return command;
  }

  /** Processes take seconds, on a busy machine a minute: what has not ended by then hangs. */
  static final Duration LIMIT = Duration.ofMinutes(10);

  /** Waits for a process; both of its streams are one text. */
  static Call call(ProcessBuilder builder) throws IOException, InterruptedException {
    EndedProcess ended = EndedProcess.of(builder.redirectErrorStream(true), LIMIT);
    return new Call(ended.exitValue(), ended.text(), ended.text());
  }

  /**
   * @param said where both of its streams go
   */
  static Process start(List<String> arguments, Path said) throws IOException {
    String classPath = System.getProperty("java.class.path");
    return new ProcessBuilder(command(List.of("-Xmx512m"), classPath, arguments))
        .redirectErrorStream(true)
        .redirectOutput(said.toFile())
        .start();
  }

  /** Waits for a process that has to end. */
  static void awaitEnd(Process process, Supplier<String> said) throws InterruptedException {
    if (!process.waitFor(LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
      throw new AssertionError("it has not ended within " + LIMIT + ": " + said.get());
    }
  }

  /**
   * @param said the file of both of its streams, or of that which says why it does not
   */
  static void awaitEnd(Process process, Path said) throws InterruptedException {
    awaitEnd(process, () -> text(said));
  }

  /** What a process said. */
  static String text(Path said) {
    try {
      return Files.readString(said, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
