package org.prunepeft.cli;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.prunepeft.data.Metric;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.model.Models;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
    name = "completion",
    mixinStandardHelpOptions = true,
    description = "Prints a script that completes commands and options in a shell.",
    footer = {
      "",
      "Examples:",
      "  source <(/path/to/prunepeft completion bash)    for this shell; in ~/.bashrc for each",
      "  source <(/path/to/prunepeft completion zsh)"
    })
final class CompletionCommand implements Callable<Integer> {
  /** Shells that the script runs in. */
  enum Shell {
    BASH,
    ZSH;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Of options that take other texts too, such as a directory, the names that they know. */
  private static final Map<String, Supplier<List<String>>> VALUES =
      Map.of(
          "--strategy", SearchCommand::strategyNames,
          "--task", Tasks::names,
          "--model", () -> Models.all().stream().map(Models.KnownModel::name).toList(),
          "--metric", () -> Stream.of(Metric.values()).map(Metric::key).toList(),
          "--lr-scheduler-type", () -> List.of("linear", "cosine", "constant"),
          "--device", () -> List.of("cpu", "cuda", "auto"),
          "--modules", () -> TrainCommand.CHOICES,
          "--format", () -> List.of("peft", "adapters", "gguf", "onnx"));

  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "SHELL", description = "One of: ${COMPLETION-CANDIDATES}.")
  private Shell shell;

  @Override
  public Integer call() {
    // One script serves both: in zsh it turns on the completions of bash.
    CommandSpec all = Main.commandLine().getCommandSpec();
    System.out.print(AutoComplete.bash(spec.root().name(), new CommandLine(named(all))));
    return 0;
  }

  /**
   * A command with the same options, each of whose values have a label of their own: the script
   * keeps values by labels, which several options share.
   */
  private static CommandSpec named(CommandSpec command) {
    CommandSpec copy = CommandSpec.create().name(command.name());
    for (OptionSpec option : command.options()) {
      OptionSpec.Builder own =
          OptionSpec.builder(option.names())
              .arity(option.arity().toString())
              .type(option.isMultiValue() ? option.auxiliaryTypes()[0] : option.type());
      List<String> values = values(option, command);
      if (!values.isEmpty()) {
        own.type(String.class).completionCandidates(values);
      }
      copy.addOption(own.paramLabel(option.longestName().replaceFirst("^-+", "")).build());
    }
    for (PositionalParamSpec word : command.positionalParameters()) {
      PositionalParamSpec.Builder own =
          PositionalParamSpec.builder()
              .index(word.index().toString())
              .arity(word.arity().toString())
              .paramLabel(word.paramLabel())
              .type(word.isMultiValue() ? word.auxiliaryTypes()[0] : word.type());
      if (word.completionCandidates() != null) {
        own.type(String.class).completionCandidates(small(word.completionCandidates()));
      }
      copy.addPositional(own.build());
    }
    command
        .subcommands()
        .forEach((name, sub) -> copy.addSubcommand(name, named(sub.getCommandSpec())));
    return copy;
  }

  /** What an option may be given, as help writes it; none where it can be anything. */
  private static List<String> values(OptionSpec option, CommandSpec command) {
    return option.completionCandidates() != null
        ? small(option.completionCandidates())
        : Stream.of(option.names())
            .filter(name -> !name.equals("--modules") || command.name().equals("train"))
            .filter(
                name -> !name.equals("--model") || command.findOption("--learning-rate") != null)
            .map(VALUES::get)
            .filter(Objects::nonNull)
            .findFirst()
            .map(Supplier::get)
            .orElse(List.of());
  }

  private static List<String> small(Iterable<String> constants) {
    return StreamSupport.stream(constants.spliterator(), false)
        .map(constant -> constant.toLowerCase(Locale.ROOT))
        .toList();
  }
}
