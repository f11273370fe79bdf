package org.prunepeft.testing;

import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What a build was given beside its defaults that changes what tests do, as one types it in front
 * of Maven's command and behind it. Surefire passes on every property of the command line.
 *
 * @param variables of the environment, by name
 * @param properties by name
 */
record GivenSettings(SortedMap<String, String> variables, SortedMap<String, String> properties) {
  private static final String OURS = "prunepeft.";

  /** What {@code java/prunepeft/pom.xml} says to the tests over an emulated device. */
  private static final String EMULATED = OURS + "emulated-device";

  /** Others that the POMs read; they hold memory, libraries and devices of tests. */
  private static final Set<String> OF_POMS =
      Set.of(
          "pytorch.platform",
          "device.stand-in",
          "surefire.memory",
          "surefire.platform",
          "jazzer.hooks");

  /** What changes nothing; jazzer.hooks is always passed on. */
  private static final Map<String, String> DEFAULTS =
      Map.of(
          OURS + "cuda",
          "OFF",
          EMULATED,
          "false",
          "pytorch.platform",
          "linux-x86_64",
          "jazzer.hooks",
          "false");

  static GivenSettings of(Map<String, String> environment, Properties system) {
    SortedMap<String, String> variables = new TreeMap<>();
    environment.forEach(
        (name, value) -> {
          if (name.startsWith("PRUNEPEFT_")) {
            variables.put(name, value);
          }
        });
    SortedMap<String, String> properties = new TreeMap<>();
    for (String name : system.stringPropertyNames()) {
      String value = system.getProperty(name);
      if ((name.startsWith(OURS) || OF_POMS.contains(name)) && !value.equals(DEFAULTS.get(name))) {
        properties.put(name, value);
      }
    }
    return new GivenSettings(variables, properties);
  }

  /** {@code NAME=VALUE} of each variable, with a space behind it. */
  String environment() {
    StringBuilder text = new StringBuilder();
    variables.forEach((name, value) -> text.append(name + "=" + quoted(value) + " "));
    return text.toString();
  }

  /** {@code -DNAME=VALUE} of each property, with a space in front of it. */
  String options() {
    StringBuilder text = new StringBuilder();
    properties.forEach(
        (name, value) ->
            text.append(
                name.equals(EMULATED)
                    // Left out where single tests are asked for.
                    ? " -Pdevice-tests"
                    : " " + quoted("-D" + name + "=" + value)));
    return text.toString();
  }

  /** As a shell has it for one word. */
  private static String quoted(String word) {
    return word.matches("[\\w%+=:,./@-]*") ? word : "'" + word.replace("'", "'\\''") + "'";
  }
}
