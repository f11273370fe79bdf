package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.Plugins;
import org.prunepeft.report.RunStatus;
import org.prunepeft.text.ShellWords;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/**
 * Jars with criteria, tasks and module types that are not the program's own. They are code, so that
 * those alone are loaded that the command line names: a file may come from a stranger.
 */
final class PluginOptions {
  static final String PLUGINS = "--plugins";

  /** Between jars. */
  private static final String COMMA = ",";

  /** Options without an order of their own come before it in help. */
  private static final int LAST = 1000;

  /** Those of the command that runs. */
  private static volatile List<Path> given = List.of();

  @Option(
      names = PLUGINS,
      order = LAST,
      split = COMMA,
      paramLabel = "JAR",
      description =
          "Jars whose criteria, tasks and module types can be named like the program's own; they are code, so that those that a file names, such as a run's config.yaml, are to be typed too. docs/extending.md says how to make one.")
  private List<Path> plugins;

  /**
   * Registers what the command that is to run was given.
   *
   * @throws IllegalArgumentException if a file of options names jars and the command line none, or
   *     a run that is to go on names others; none is loaded then
   */
  static void register(ParseResult result) {
    given = List.of();
    ParseResult parsed = result;
    while (parsed.hasSubcommand()) {
      parsed = parsed.subcommand();
    }
    CommandSpec command = parsed.commandSpec();
    if (parsed.isUsageHelpRequested() || command.findOption(PLUGINS) == null) {
      return;
    }
    List<Path> typed = typed(command);
    if (command.defaultValueProvider() instanceof ConfigFile file) {
      List<Path> named = named(file.values());
      boolean resumes =
          command.findOption(SetupOptions.RESUME) != null
              && ConfigFile.isTyped(SetupOptions.RESUME, command);
      if (typed.isEmpty()) {
        requireTyped(file.source(), named, command);
      } else if (resumes && !named.isEmpty() && !absolute(typed).equals(absolute(named))) {
        throw new IllegalArgumentException(
            "a run goes on with the plugins that it began with: %s names %s, and the command line has %s; type %s, or, if they have moved, change 'plugins' in %s"
                .formatted(
                    file.source(),
                    text(named),
                    text(typed),
                    ShellWords.quoted(typing(named)),
                    RunStatus.OPTIONS));
      }
    }
    typed.forEach(Plugins::register);
    given = List.copyOf(typed);
  }

  /**
   * {@return what a command line that goes on with the command that runs has behind its other
   * words: the same jars; empty: it was given none}
   */
  static String again() {
    return given.isEmpty() ? "" : " " + ShellWords.quoted(typing(given));
  }

  /**
   * Refuses jars that a file alone names.
   *
   * @param file that names them
   * @param command that was given
   * @throws IllegalArgumentException if one of them is not on the command line; names them and what
   *     to type
   */
  static void requireTyped(String file, List<Path> named, CommandSpec command) {
    if (!absolute(typed(command)).containsAll(absolute(named))) {
      throw new IllegalArgumentException(
          "%s names plugins, whose code would be run: %s; if you trust them, type %s on the command line"
              .formatted(file, text(named), ShellWords.quoted(typing(named))));
    }
  }

  private static List<Path> typed(CommandSpec command) {
    return ConfigFile.isTyped(PLUGINS, command)
        ? command.findOption(PLUGINS).getValue()
        : List.of();
  }

  static boolean isPlugins(OptionSpec option) {
    return ConfigFile.name(option).equals(PLUGINS);
  }

  /** {@return the jars that a file's options have; none: it names none} */
  static List<Path> named(Map<OptionSpec, String> options) {
    return options.entrySet().stream()
        .filter(option -> isPlugins(option.getKey()))
        .flatMap(option -> Stream.of(option.getValue().split(COMMA)))
        .map(Path::of)
        .toList();
  }

  /** {@return the word of a command line that names jars} */
  static String typing(List<Path> jars) {
    return PLUGINS + "=" + jars.stream().map(Path::toString).collect(Collectors.joining(COMMA));
  }

  /** Whether a word of a command line names jars. */
  static boolean areTypedBy(String word) {
    return word.startsWith(PLUGINS + "=");
  }

  private static String text(List<Path> jars) {
    return jars.stream().map(Path::toString).collect(Collectors.joining(", "));
  }

  private static Set<Path> absolute(List<Path> jars) {
    return jars.stream()
        .map(jar -> jar.toAbsolutePath().normalize())
        .collect(Collectors.toCollection(HashSet::new));
  }
}
