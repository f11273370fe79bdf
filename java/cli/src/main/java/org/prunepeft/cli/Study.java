package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import picocli.CommandLine.Model.OptionSpec;

/**
 * What a study's file asks for.
 *
 * @param file that says it
 * @param name of the file, without its ending
 * @param output directory of the runs and tables
 * @param models by name, with the options that are theirs
 * @param tasks likewise
 * @param methods in the order of the file
 * @param seeds one or more
 * @param comparedWith methods that all others are compared with
 * @param jobs runs at a time
 * @param threads of each run
 */
record Study(
    Path file,
    String name,
    Path output,
    Map<String, Options> models,
    Map<String, Options> tasks,
    List<Method> methods,
    List<Long> seeds,
    List<String> comparedWith,
    int jobs,
    int threads) {
  static final String TRAIN = "train";
  static final String SEARCH = "search";

  /** Options by command, since search and train have some of their own. */
  record Options(Map<String, Map<OptionSpec, String>> byCommand) {
    Map<OptionSpec, String> of(String command) {
      return byCommand.get(command);
    }
  }

  /**
   * A budget of trainable parameters.
   *
   * @param text as the file says it, such as 0.25 or 200k
   * @param option keep or budget
   */
  record Limit(String text, String option) {}

  /**
   * An option whose value is the directory of another run of the study, of the same model and seed.
   *
   * @param method of that run
   * @param task of that run; null: the same
   */
  record Reference(OptionSpec option, String method, String task) {}

  /**
   * Which learning rate runs get.
   *
   * @param candidates none: the command's default; one: that; several: the best of them
   * @param seed on which they are tried
   * @param metric on validation data that decides; null: the task's first
   */
  record Rates(List<String> candidates, long seed, String metric) {
    boolean tuned() {
      return candidates.size() > 1;
    }
  }

  /**
   * A command with options.
   *
   * @param command search or train
   * @param budgets none: the method has no budget; of what takes a run of another, that one's
   * @param draws random subsets of each seed; 1 where nothing is random but the seed
   */
  record Method(
      String name,
      String command,
      Map<OptionSpec, String> options,
      List<Reference> references,
      List<Limit> budgets,
      int draws,
      Rates rates) {
    /** Whether the command takes a budget, and not the modules of a run that had one. */
    boolean takesBudget() {
      return command.equals(SEARCH) || references.isEmpty();
    }

    /** Whether its modules are drawn. */
    boolean isRandom() {
      return command.equals(TRAIN)
          && options.entrySet().stream()
              .anyMatch(
                  option ->
                      option.getKey().longestName().equals("--modules")
                          && TrainCommand.isRandom(option.getValue()));
    }

    Method within(List<Limit> others) {
      return new Method(name, command, options, references, others, draws, rates);
    }
  }

  /** The jars of plugins that any run is given, as the file names them. */
  List<Path> plugins() {
    Stream<Map<OptionSpec, String>> ofModelsAndTasks =
        Stream.of(models, tasks)
            .flatMap(named -> named.values().stream())
            .flatMap(options -> options.byCommand().values().stream());
    return Stream.concat(ofModelsAndTasks, methods.stream().map(Method::options))
        .flatMap(options -> PluginOptions.named(options).stream())
        .distinct()
        .toList();
  }

  Optional<Method> method(String named) {
    return methods.stream().filter(method -> method.name.equals(named)).findFirst();
  }
}
