package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.stream.Stream;
import picocli.CommandLine;

/**
 * A call of the command line in this process.
 *
 * @param exit its exit code
 * @param out what it wrote to the standard output
 * @param err what it wrote to the error stream
 */
record Call(int exit, String out, String err) {
  /**
   * @param words options, or paths, or lists of them
   */
  static Call of(Object... words) {
    String[] arguments = flat(words).map(Object::toString).toArray(String[]::new);
    PrintStream systemOut = System.out;
    PrintStream systemErr = System.err;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    try (PrintStream printedOut = new PrintStream(out, true, StandardCharsets.UTF_8);
        PrintStream printedErr = new PrintStream(err, true, StandardCharsets.UTF_8)) {
      System.setOut(printedOut);
      System.setErr(printedErr);
      CommandLine commandLine = Main.commandLine(arguments);
      commandLine.setOut(new PrintWriter(printedOut, true));
      commandLine.setErr(new PrintWriter(printedErr, true));
      int exit = Main.execute(commandLine, arguments);
      return new Call(
          exit, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(systemOut);
      System.setErr(systemErr);
    }
  }

  private static Stream<?> flat(Object word) {
    return word instanceof Object[] several
        ? Stream.of(several).flatMap(Call::flat)
        : word instanceof Collection<?> list ? list.stream() : Stream.of(word);
  }

  /** Checks the exit code, what the error stream says, and that no stack trace was shown. */
  Call exits(int expected, String... said) {
    assertEquals(expected, exit, () -> err + out);
    assertFalse(err.contains("\tat "), err);
    return says(said);
  }

  /** Checks what is on the error stream. */
  Call says(String... parts) {
    return holds(err, parts);
  }

  /** Checks what is on the standard output. */
  Call prints(String... parts) {
    return holds(out, parts);
  }

  private Call holds(String text, String... parts) {
    for (String part : parts) {
      assertTrue(text.contains(part), () -> "'" + part + "' is not in: " + text);
    }
    return this;
  }
}
