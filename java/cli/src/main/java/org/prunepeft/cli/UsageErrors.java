package org.prunepeft.cli;

import java.io.PrintWriter;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.text.Spelling;
import picocli.CommandLine;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** What was typed wrongly, in a line with the nearest name, and where the options are explained. */
final class UsageErrors implements IParameterExceptionHandler {
  /** A part of an option's name that is as long says which option is meant. */
  private static final int TELLING = 3;

  /** Picocli names the constants; users write them in small letters. */
  private static final Pattern CONSTANTS =
      Pattern.compile("\\[([A-Z0-9_, ]+)] \\(case-insensitive\\)");

  /** Picocli counts the words that are no options; users know them by their labels. */
  private static final Pattern POSITION =
      Pattern.compile("value for positional parameter at index \\S+ \\(([^)]*)\\)");

  /** Of several options one must be there. */
  private static final Pattern CHOICE =
      Pattern.compile(".*Missing required argument \\(specify one of these\\): \\(([^()]*)\\)");

  @Override
  public int handleParseException(ParameterException error, String[] arguments) {
    CommandSpec command = error.getCommandLine().getCommandSpec();
    PrintWriter err = error.getCommandLine().getErr();
    err.println("prunepeft: " + message(error, command, arguments));
    err.printf("'%s --help' explains the options%n", command.qualifiedName());
    err.flush();
    return CommandLine.ExitCode.USAGE;
  }

  private static String message(
      ParameterException error, CommandSpec command, String... arguments) {
    if (error instanceof UnmatchedArgumentException unmatched) {
      String word = unmatched.getUnmatched().get(0);
      return word.startsWith("-")
          ? unknown(word.split("=", 2)[0], command)
          : command.subcommands().isEmpty()
              ? "'%s' is one word too many for %s".formatted(word, command.qualifiedName())
              : Spelling.unknown("command", word, command.subcommands().keySet());
    }
    Matcher choice = CHOICE.matcher(error.getMessage());
    if (choice.matches()) {
      return "%s needs %s"
          .formatted(command.qualifiedName(), choice.group(1).replace(" | ", " or "));
    }
    Optional<String> absent = absent(error, command);
    if (absent.isPresent()) {
      return absent.get();
    }
    String message =
        POSITION
            .matcher(
                CONSTANTS
                    .matcher(withTypedName(error, arguments))
                    .replaceFirst(names -> names.group(1).toLowerCase(Locale.ROOT) + ","))
            .replaceFirst("$1");
    return lower(message);
  }

  /** Of words that have no option before them, and of choices between options, what is needed. */
  private static Optional<String> absent(ParameterException error, CommandSpec command) {
    if (!(error instanceof MissingParameterException missing)) {
      return Optional.empty();
    }
    List<ArgSpec> words = missing.getMissing().stream().filter(ArgSpec::isPositional).toList();
    if (words.isEmpty()) {
      return Optional.empty();
    }
    ArgSpec first = words.get(0);
    int least = first.arity().min();
    String description = String.join(" ", first.description()).replaceFirst("[.;:]? *$", "");
    return Optional.of(
        least > 1
            ? "%s needs %d %ss or more; %s"
                .formatted(command.qualifiedName(), least, first.paramLabel(), lower(description))
            : "%s needs %s: %s"
                .formatted(
                    command.qualifiedName(),
                    words.stream().map(ArgSpec::paramLabel).collect(Collectors.joining(" and ")),
                    lower(description)));
  }

  private static String lower(String sentence) {
    return sentence.isEmpty()
        ? sentence
        : Character.toLowerCase(sentence.charAt(0)) + sentence.substring(1);
  }

  /** Picocli calls an option by its longest name. */
  private static String withTypedName(ParameterException error, String... arguments) {
    List<ArgSpec> named =
        error instanceof MissingParameterException absent
            ? absent.getMissing()
            : Stream.ofNullable(error.getArgSpec()).toList();
    String message = String.valueOf(error.getMessage());
    for (ArgSpec argument : named) {
      if (argument instanceof OptionSpec option) {
        message =
            message.replace("'" + option.longestName() + "'", "'" + typed(option, arguments) + "'");
      }
    }
    return message;
  }

  /** Of an option's names the one that was typed last, or the longest. */
  private static String typed(OptionSpec option, String... arguments) {
    List<String> names = List.of(option.names());
    return Arrays.stream(arguments)
        .map(word -> word.split("=", 2)[0])
        .filter(names::contains)
        .reduce(option.longestName(), (earlier, later) -> later);
  }

  private static String unknown(String option, CommandSpec command) {
    String message = "unknown option %s of %s".formatted(option, command.qualifiedName());
    List<String> others =
        Main.commandLine().getSubcommands().values().stream()
            .map(CommandLine::getCommandSpec)
            .filter(other -> other.optionsMap().containsKey(option))
            .map(CommandSpec::name)
            .distinct()
            .toList();
    Optional<String> remedy = PythonNames.remedy(option, command);
    if (remedy.isPresent()) {
      return message + "; " + remedy.get();
    }
    if (!others.isEmpty()) {
      return message + "; it is one of " + String.join(" and ", others);
    }
    return message
        + nearest(option, command.optionsMap().keySet())
            .map(name -> "; did you mean " + name + "?")
            .orElse("");
  }

  /**
   * The name that has the word as a part, such as --lora-dropout for --dropout, or of whose letters
   * two thirds are the word's.
   */
  private static Optional<String> nearest(String option, Collection<String> names) {
    String part = option.replaceFirst("^-+", "");
    Optional<String> containing =
        names.stream()
            .filter(name -> part.length() >= TELLING && name.contains(part))
            .min(Comparator.comparingInt(String::length).thenComparing(Comparator.naturalOrder()));
    return containing.or(
        () ->
            Spelling.nearest(
                    part, names.stream().map(name -> name.replaceFirst("^-+", "")).toList(), 3)
                .flatMap(
                    near ->
                        names.stream()
                            .filter(name -> name.replaceFirst("^-+", "").equals(near))
                            .findFirst()));
  }
}
