package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.List;
import org.prunepeft.Plugins;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/** Jars with criteria, tasks and module types that are not the program's own. */
final class PluginOptions {
  static final String PLUGINS = "--plugins";

  /** Options without an order of their own come before it in help. */
  private static final int LAST = 1000;

  @Option(
      names = PLUGINS,
      order = LAST,
      split = ",",
      paramLabel = "JAR",
      description =
          "Jars whose criteria, tasks and module types can be named like the program's own; docs/extending.md says how to make one.")
  private List<Path> plugins;

  /** Registers what the command that is to run was given. */
  static void register(ParseResult result) {
    ParseResult command = result;
    while (command.hasSubcommand()) {
      command = command.subcommand();
    }
    OptionSpec option = command.commandSpec().findOption(PLUGINS);
    List<Path> jars = option == null ? null : option.getValue();
    if (jars != null) {
      jars.forEach(Plugins::register);
    }
  }
}
