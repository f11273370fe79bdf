package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;

/**
 * A call of the command line in this process.
 *
 * @param exit its exit code
 * @param out what it wrote to the standard output
 * @param err what it wrote to the error stream
 */
record Call(int exit, String out, String err) {
  static Call of(String... arguments) {
    PrintStream systemOut = System.out;
    PrintStream systemErr = System.err;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    try (PrintStream printedOut = new PrintStream(out, true, StandardCharsets.UTF_8);
        PrintStream printedErr = new PrintStream(err, true, StandardCharsets.UTF_8)) {
      System.setOut(printedOut);
      System.setErr(printedErr);
      CommandLine commandLine = Main.commandLine();
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

  /** Checks the exit code, and that no stack trace was shown. */
  Call exits(int expected) {
    assertEquals(expected, exit, err);
    assertFalse(err.contains("\tat "), err);
    return this;
  }
}
