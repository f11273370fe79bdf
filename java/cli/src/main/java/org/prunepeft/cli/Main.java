package org.prunepeft.cli;

import java.io.PrintWriter;
import java.util.concurrent.CancellationException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The command line. Exit codes: 0 done, 1 failed, 2 wrong use. */
@Command(
    name = "prunepeft",
    description = "Finds which PEFT modules to train, and in which layers, by pruning a supernet.",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    subcommands = {
      SearchCommand.class,
      TrainCommand.class,
      ExportCommand.class,
      ModelsCommand.class,
      TasksCommand.class
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {"0:done", "1:failed", "2:wrong use"})
public final class Main implements Runnable {
  @Spec private CommandSpec spec;

  /** Shows a failure's stack trace as well; for those who report it. */
  static final String STACK_TRACE = "prunepeft.stacktrace";

  public static void main(String[] arguments) {
    System.exit(commandLine().execute(arguments));
  }

  static CommandLine commandLine() {
    CommandLine commandLine = new CommandLine(new Main());
    commandLine.setCaseInsensitiveEnumValuesAllowed(true);
    commandLine.setUsageHelpWidth(100);
    commandLine.setUsageHelpAutoWidth(true);
    commandLine.setExecutionExceptionHandler(Main::failed);
    return commandLine;
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "name a command, such as: prunepeft search");
  }

  private static int failed(
      Exception error, CommandLine commandLine, CommandLine.ParseResult result) {
    PrintWriter err = commandLine.getErr();
    String message = error instanceof CancellationException ? "cancelled" : error.getMessage();
    err.println("prunepeft: " + (message == null ? error.toString() : message));
    if (Boolean.getBoolean(STACK_TRACE)) {
      error.printStackTrace(err);
    }
    err.flush();
    return error instanceof IllegalArgumentException
        ? CommandLine.ExitCode.USAGE
        : CommandLine.ExitCode.SOFTWARE;
  }
}
