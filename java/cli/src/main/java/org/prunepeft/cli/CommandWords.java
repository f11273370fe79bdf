package org.prunepeft.cli;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * The words of a command line as picocli is to get them. Of an option that is given twice the last
 * value holds: picocli would begin the option's group anew and forget the rest of it.
 */
final class CommandWords {
  private final List<List<String>> words = new ArrayList<>();
  private final Map<OptionSpec, List<String>> given = new HashMap<>();
  private CommandSpec command;

  private CommandWords(CommandSpec command) {
    this.command = command;
  }

  static String[] of(CommandLine commandLine, String... words) {
    CommandWords arguments = new CommandWords(commandLine.getCommandSpec());
    for (int i = 0; i < words.length; i++) {
      i = arguments.take(i, words);
    }
    return arguments.words.stream().flatMap(List::stream).toArray(String[]::new);
  }

  /** Takes what begins with a word, and returns the index of its last one. */
  private int take(int i, String... all) {
    if (all[i].equals("--")) {
      words.add(List.of(all).subList(i, all.length));
      return all.length;
    }
    String word = dashed(all[i]);
    CommandLine subcommand = command.subcommands().get(word);
    if (subcommand != null) {
      command = subcommand.getCommandSpec();
    }
    OptionSpec option = option(word.split("=", 2)[0]);
    if (option == null) {
      words.add(List.of(word));
      return i;
    }
    boolean two = !word.contains("=") && i + 1 < all.length && takes(option, all[i + 1]);
    add(option, two ? List.of(word, all[i + 1]) : List.of(word));
    return two ? i + 1 : i;
  }

  private void add(OptionSpec option, List<String> occurrence) {
    // Of a list whose items may be one by one, such as texts, all hold.
    List<String> earlier = given.put(option, occurrence);
    if (!option.isMultiValue() || !option.splitRegex().isEmpty()) {
      words.removeIf(one -> one == earlier);
    }
    words.add(occurrence);
  }

  /** Hugging Face's programs have underscores in their options: --learning_rate. */
  private static String dashed(String word) {
    if (!word.startsWith("--")) {
      return word;
    }
    String name = word.split("=", 2)[0];
    return name.replace('_', '-') + word.substring(name.length());
  }

  private OptionSpec option(String name) {
    OptionSpec option = command.optionsMap().get(name);
    return option == null ? command.negatedOptionsMap().get(name) : option;
  }

  /** Whether a word is the option's value. */
  private static boolean takes(OptionSpec option, String next) {
    return option.arity().min() > 0
        || option.arity().max() > 0 && (next.equals("true") || next.equals("false"));
  }
}
