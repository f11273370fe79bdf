package org.prunepeft.cli;

import java.lang.reflect.Field;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * Options that have no effect beside the others. They are refused on the command line; in a file
 * they may stand, which may be that of another call.
 */
record IdleOptions(CommandSpec command) {
  /** What is said of an option for which this leaves nothing to do. */
  static String beside(String other) {
    return "%s has no effect with " + other + "; leave one of the two out";
  }

  /**
   * Refuses options, if they are idle.
   *
   * @param idle whether they are
   * @param message what is said of one; its name takes the place of %s
   * @throws IllegalArgumentException if one was typed
   */
  void refuse(boolean idle, String message, List<String> options) {
    for (String option : options) {
      if (idle && ConfigFile.isTyped(option, command)) {
        throw new IllegalArgumentException(message.replace("%s", option));
      }
    }
  }

  /** {@return the names of those options that are fields of a class} */
  List<String> of(Class<?> group) {
    return command.options().stream()
        .filter(
            option ->
                option.userObject() instanceof Field field && field.getDeclaringClass() == group)
        .map(OptionSpec::longestName)
        .toList();
  }
}
