package org.prunepeft.cli;

import java.io.FileDescriptor;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.report.Environment;
import org.prunepeft.torch.GpuMemoryException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * The command line. Exit codes: 0 done, 1 failed, 2 wrong use, 3 a run that can't be resumed, 130
 * or 143 interrupted, 141 the reader of its output gone.
 */
@Command(
    name = "prunepeft",
    description = "Finds which PEFT modules to train, and in which layers, by pruning a supernet.",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "1:failed",
      "2:wrong use",
      "3:a run can't be resumed, and can be begun anew",
      "130, 143:interrupted by Ctrl-C or SIGTERM; the error stream says how to go on",
      "141:nobody reads the standard output any more, such as head that has its lines"
    })
public final class Main implements Runnable {
  /** The exit code where a run that was cut off can't be resumed, however often it is tried. */
  static final int UNRESUMABLE = 3;

  /** In the order in which help lists them. */
  private static final List<Class<?>> COMMANDS =
      List.of(
          SearchCommand.class,
          TrainCommand.class,
          ExportCommand.class,
          ImportCommand.class,
          EvaluateCommand.class,
          PredictCommand.class,
          GenerateCommand.class,
          ChatCommand.class,
          StrategyCommand.class,
          RunsCommand.class,
          CompareCommand.class,
          StudyCommand.class,
          ReportCommand.class,
          ExplainCommand.class,
          ExportMlflowCommand.class,
          SealCommand.class,
          ModelsCommand.class,
          TasksCommand.class,
          DoctorCommand.class,
          CompletionCommand.class);

  @Spec private CommandSpec spec;

  /** Shows a failure's stack trace as well; for those who report it. */
  static final String STACK_TRACE = "prunepeft.stacktrace";

  /** In the name of the library that binds LibTorch. */
  private static final String LIBTORCH = "jnitorch";

  private static final String GPU_BUILD_GOES =
      "; for the CPU build delete java/cli/target and leave PRUNEPEFT_GPU out";

  public static void main(String[] arguments) {
    // Numbers in files and messages are the same everywhere.
    Locale.setDefault(Locale.Category.FORMAT, Locale.ROOT);
    // As are texts, whatever the locale.
    System.setOut(new StandardOutput(FileDescriptor.out, 1));
    System.setErr(new StandardOutput(FileDescriptor.err, 2));
    Interruption.install();
    ChildProcess.endWithInput();
    CommandLine commandLine = commandLine(arguments);
    commandLine.setOut(new PrintWriter(System.out, true, StandardCharsets.UTF_8));
    commandLine.setErr(new PrintWriter(System.err, true, StandardCharsets.UTF_8));
    int code = printed(System.out, execute(commandLine, arguments));
    Interruption.ended();
    System.exit(code);
  }

  /**
   * {@return the exit code: 1 where what was to be printed could not be, 141 where nobody reads it
   * any more}
   */
  static int printed(PrintStream out, int code) {
    if (!out.checkError() || code != 0) {
      return code;
    }
    if (StandardOutput.isClosedPipe(out)) {
      return StandardOutput.CLOSED_PIPE;
    }
    System.err.println(
        "prunepeft: the standard output could not be written; is there room where it goes?");
    return 1;
  }

  /** With all commands. */
  static CommandLine commandLine() {
    return commandLine(COMMANDS);
  }

  /**
   * With the command alone that the first word names, since to read the options of all takes long;
   * with all if it names none.
   */
  static CommandLine commandLine(String... words) {
    List<Class<?>> named =
        COMMANDS.stream().filter(type -> words.length > 0 && name(type).equals(words[0])).toList();
    return commandLine(named.isEmpty() ? COMMANDS : named);
  }

  private static String name(Class<?> command) {
    return command.getAnnotation(Command.class).name();
  }

  private static CommandLine commandLine(List<Class<?>> commands) {
    CommandLine commandLine = new CommandLine(new Main());
    commands.forEach(commandLine::addSubcommand);
    Numbers.register(commandLine);
    commandLine.setCaseInsensitiveEnumValuesAllowed(true);
    // A text may begin with @, and a file's --config or --resume would be looked for before it is
    // read.
    commandLine.setExpandAtFiles(false);
    commandLine.setUsageHelpWidth(100);
    commandLine.setUsageHelpAutoWidth(true);
    commandLine.setDefaultValueProvider(new RecordOptions());
    commandLine.setParameterExceptionHandler(new UsageErrors());
    commandLine.setExecutionExceptionHandler(Main::failed);
    commandLine.setExecutionStrategy(Main::run);
    return commandLine;
  }

  private static int run(CommandLine.ParseResult result) {
    try {
      PluginOptions.register(result);
    } catch (IllegalArgumentException e) {
      CommandLine command = result.commandSpec().commandLine();
      throw new CommandLine.ExecutionException(command, e.getMessage(), e);
    }
    return new CommandLine.RunLast().execute(result);
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "name a command, such as: prunepeft search");
  }

  /** Runs a command and returns its exit code; throws nothing. */
  static int execute(CommandLine commandLine, String... words) {
    try {
      String[] arguments = CommandWords.of(commandLine, words);
      readConfig(commandLine, arguments);
      if (arguments.length > 1
          && !arguments[0].startsWith("-")
          && !commandLine.getSubcommands().containsKey(arguments[0])) {
        // A --help behind it would be that of all commands.
        return commandLine.execute(arguments[0]);
      }
      return commandLine.execute(arguments);
    } catch (RuntimeException | Error e) {
      return failed(e, commandLine, null);
    }
  }

  /** Options in a file are defaults to picocli, which it wants before it parses. */
  private static void readConfig(CommandLine commandLine, String... arguments) {
    CommandLine command =
        arguments.length == 0 ? null : commandLine.getSubcommands().get(arguments[0]);
    if (command == null || command.getCommandSpec().findOption(ConfigFile.OPTION) == null) {
      return;
    }
    String file = value(ConfigFile.OPTION, arguments);
    String run =
        command.getCommandSpec().findOption(SetupOptions.RESUME) == null
            ? null
            : value(SetupOptions.RESUME, arguments);
    if (run != null) {
      file = SetupOptions.optionsOf(Path.of(run), command.getCommandSpec()).toString();
    }
    if (file != null) {
      command.setDefaultValueProvider(new ConfigFile(Path.of(file), command.getCommandSpec()));
    }
  }

  /** What an option is given on the command line, the last time; null: it is not there. */
  private static String value(String option, String... arguments) {
    String value = null;
    for (int i = 1; i < arguments.length; i++) {
      if (arguments[i].startsWith(option + "=")) {
        value = arguments[i].substring(option.length() + 1);
      } else if (arguments[i].equals(option) && i + 1 < arguments.length) {
        value = arguments[i + 1];
      }
    }
    return value;
  }

  private static int failed(
      Throwable error, CommandLine commandLine, CommandLine.ParseResult result) {
    if (error instanceof ClosedPipeException) {
      return StandardOutput.CLOSED_PIPE;
    }
    PrintWriter err = commandLine.getErr();
    if (!Interruption.abandoned()
        && !(error instanceof CancellationException && Interruption.requested())) {
      err.println("prunepeft: " + message(error));
    }
    if (Boolean.getBoolean(STACK_TRACE)) {
      error.printStackTrace(err);
    }
    err.flush();
    if (error instanceof UnresumableRunException) {
      return UNRESUMABLE;
    }
    return error instanceof IllegalArgumentException
        ? CommandLine.ExitCode.USAGE
        : CommandLine.ExitCode.SOFTWARE;
  }

  /** What went wrong, for the user. */
  static String message(Throwable error) {
    if (error instanceof CancellationException) {
      return "cancelled";
    }
    if (error instanceof OutOfMemoryError) {
      // Some have no text.
      return "out of memory (%s); take smaller batches, or give Java more: PRUNEPEFT_JAVA_OPTIONS=-Xmx8g"
          .formatted(Objects.requireNonNullElse(error.getMessage(), "Java heap space"));
    }
    if (error instanceof LinkageError) {
      String cause = first(error).toString();
      return "a native library or a class does not load: %s; %s"
          .formatted(
              cause,
              Environment.requiredLibraries()
                  .filter(required -> cause.contains(LIBTORCH))
                  .map(required -> required + GPU_BUILD_GOES)
                  .orElse("'prunepeft doctor' looks for the cause"));
    }
    return Objects.requireNonNullElse(GpuMemoryException.message(error), error.toString());
  }

  /** What began it: of an initialiser that failed, the JVM gives the cause only once. */
  private static Throwable first(Throwable error) {
    return error.getCause() == null ? error : first(error.getCause());
  }
}
