package org.prunepeft.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.Yaml;
import org.prunepeft.text.Reason;
import org.prunepeft.text.Spelling;
import picocli.CommandLine.IDefaultValueProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.TypeConversionException;

/**
 * Options in a YAML file: a mapping of an option's name, without the dashes in front, to its value.
 * Dashes within a name may be underscores. They stand in for the command's defaults, so what is on
 * the command line goes before them.
 */
final class ConfigFile implements IDefaultValueProvider {
  /** The option that names the file. */
  static final String OPTION = "--config";

  /** Holds for one call of a command, not for a kind of run. */
  private static final List<String> NOT_IN_FILES =
      List.of("config", "output", "resume", "help", "version");

  private static final YAMLMapper YAML =
      YAMLMapper.builder()
          .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
          .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
          .enable(YAMLGenerator.Feature.ALWAYS_QUOTE_NUMBERS_AS_STRINGS)
          .build();

  /** The options that files of a command may name. */
  static final class Keys {
    private final CommandSpec command;

    /** By each of their keys, with dashes. */
    private final Map<String, OptionSpec> options = new LinkedHashMap<>();

    /** With underscores, in the order of the options. */
    private final Set<String> names = new LinkedHashSet<>();

    /** The command is only read. */
    Keys(CommandSpec command) {
      this.command = command;
      optionsByName(command)
          .values()
          .forEach(option -> keys(option).forEach(key -> options.put(key, option)));
      options.keySet().forEach(key -> names.add(underscored(key)));
    }

    /** As files are written with them, with underscores. */
    Set<String> names() {
      return Collections.unmodifiableSet(names);
    }

    /** The option that a file names so; null: the command has none. */
    OptionSpec option(String key) {
      return options.get(key.replace('_', '-'));
    }

    /** All keys are listed only where none is near: they are a page. */
    private String unknown(String key) {
      Optional<String> here =
          PythonNames.remedy("--" + key.replace('_', '-'), command)
              .or(() -> Spelling.nearest(key, names).map(near -> "did you mean " + near + "?"));
      return here.map(remedy -> "unknown key '%s'; %s".formatted(key, remedy))
          .orElseGet(() -> Spelling.unknown("key", key, names));
    }
  }

  private final String source;
  private final Map<OptionSpec, String> values = new LinkedHashMap<>();

  /**
   * Reads a file.
   *
   * @throws IllegalArgumentException if a key is no option of the command or its value has another
   *     type; names file and key
   * @throws UncheckedIOException if it can't be read
   */
  ConfigFile(Path file, CommandSpec command) {
    this(file.toString(), read(file), new Keys(command));
  }

  /**
   * Takes what was read.
   *
   * @param source names the place in messages
   * @throws IllegalArgumentException as the other does
   */
  ConfigFile(String source, Map<String, Object> read, Keys known) {
    this.source = source;
    Map<OptionSpec, String> keys = new LinkedHashMap<>();
    read.forEach(
        (key, value) -> {
          OptionSpec option = known.option(key);
          if (option == null) {
            throw wrong(known.unknown(key));
          }
          String earlier = keys.put(option, key);
          if (earlier != null) {
            throw wrong("%s and %s are the same option; leave one out".formatted(earlier, key));
          }
          if (value != null) {
            values.put(option, text(key, option, value));
          }
        });
  }

  /** Plugins are code, which no file has run: they are typed. */
  @Override
  public String defaultValue(ArgSpec argument) {
    return argument instanceof OptionSpec option
            && values.containsKey(option)
            && !PluginOptions.isPlugins(option)
        ? values.get(option)
        : new RecordOptions().defaultValue(argument);
  }

  /** The place in messages. */
  String source() {
    return source;
  }

  /** What the options are given, as on the command line, in the order of the file. */
  Map<OptionSpec, String> values() {
    return Collections.unmodifiableMap(values);
  }

  /** The options of a command as they are set now, in the form that the constructor reads. */
  static String write(CommandSpec command, String comment) {
    Map<String, Object> values = new LinkedHashMap<>();
    optionsByName(command)
        .forEach(
            (key, option) -> {
              Object value = plain(option.getValue());
              if (value instanceof List<?> list && list.size() == 1) {
                value = list.get(0);
              }
              if (value != null) {
                values.put(key, value);
              }
            });
    try {
      return "# " + comment + "\n" + YAML.writeValueAsString(values);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Whether the user named an option, on the command line or in a file. */
  static boolean isNamed(OptionSpec option, CommandSpec command) {
    return isTyped(option.names()[0], command)
        || command.defaultValueProvider() instanceof ConfigFile file
            && file.values.containsKey(option);
  }

  static boolean isNamed(String option, CommandSpec command) {
    return isNamed(command.findOption(option), command);
  }

  /** Whether an option is on the command line, which goes before what a file says. */
  static boolean isTyped(String option, CommandSpec command) {
    return command.commandLine().getParseResult().hasMatchedOption(option);
  }

  /** Whether an option is on the command line, and the one that may stand instead of it is not. */
  static boolean isTypedInstead(String option, String other, CommandSpec command) {
    return isTyped(option, command) && !isTyped(other, command);
  }

  /** By the key that files are written with: the option's first long name, with underscores. */
  static Map<String, OptionSpec> optionsByName(CommandSpec command) {
    Map<String, OptionSpec> options = new LinkedHashMap<>();
    for (OptionSpec option : command.options()) {
      String key = underscored(keys(option).get(0));
      if (!NOT_IN_FILES.contains(key)) {
        options.put(key, option);
      }
    }
    return options;
  }

  /** An option's first long name, with its dashes. */
  static String name(OptionSpec option) {
    return "--" + keys(option).get(0);
  }

  static String underscored(String key) {
    return key.replace('-', '_');
  }

  private static List<String> keys(OptionSpec option) {
    return Arrays.stream(option.names())
        .filter(name -> name.startsWith("--"))
        .map(name -> name.substring(2))
        .toList();
  }

  /**
   * {@return the mapping that a file has}
   *
   * @throws IllegalArgumentException if it has none, or is no YAML within bounds
   * @throws UncheckedIOException if it can't be read
   */
  static Map<String, Object> read(Path file) {
    try {
      // No more than what YAML takes, and what tells that there is more.
      byte[] text = BoundedFile.beginning(file, 4 * Yaml.MOST + 4);
      JsonNode root = Yaml.read(new String(text, StandardCharsets.UTF_8));
      if (root.isMissingNode() || root.isNull()) {
        return Map.of();
      }
      if (!root.isObject()) {
        throw new IllegalArgumentException(
            file + " must be a mapping of options to values, such as 'seed: 1'");
      }
      return YAML.convertValue(root, new TypeReference<>() {});
    } catch (JsonProcessingException e) {
      String place =
          e.getLocation() == null ? "" : ", line " + Math.max(1, e.getLocation().getLineNr());
      throw new IllegalArgumentException(
          "%s%s is not understood as YAML: %s".formatted(file, place, firstLine(e)), e);
    } catch (IOException e) {
      throw new UncheckedIOException("can't read %s: %s".formatted(file, Reason.of(file, e)), e);
    }
  }

  private static String firstLine(JsonProcessingException e) {
    return e.getOriginalMessage().lines().findFirst().orElse("");
  }

  private IllegalArgumentException wrong(String message) {
    return new IllegalArgumentException(source + ": " + message);
  }

  /** A value as it would be on the command line. */
  private String text(String key, OptionSpec option, Object value) {
    if (option.isMultiValue()) {
      Collection<?> items = value instanceof Collection<?> list ? list : List.of(value);
      if (items.size() > 1 && option.splitRegex().isEmpty()) {
        throw wrong("%s takes one value in a file, got %s; name one".formatted(key, value));
      }
      return items.stream()
          .map(item -> single(key, option, item))
          .collect(Collectors.joining(separator(option)));
    }
    return single(key, option, value);
  }

  private static String separator(OptionSpec option) {
    String label = option.splitRegexSynopsisLabel();
    return label.isEmpty() ? option.splitRegex() : label;
  }

  private String single(String key, OptionSpec option, Object value) {
    Class<?> type = option.isMultiValue() ? option.auxiliaryTypes()[0] : option.type();
    if (value instanceof Map || value instanceof Collection) {
      throw mismatch(key, expected(type), value);
    }
    String text = String.valueOf(value);
    if (option.converters().length > 0) {
      return converted(key, option, text);
    }
    boolean fits =
        isFlag(type)
            ? value instanceof Boolean
            : type.isEnum()
                ? candidates(type).contains(text.toLowerCase(Locale.ROOT))
                : isInteger(type)
                    ? reads(Numbers::whole, text)
                    : !isNumber(type) || reads(Numbers::real, text);
    if (!fits) {
      throw mismatch(key, expected(type), value);
    }
    return text;
  }

  private String converted(String key, OptionSpec option, String text) {
    try {
      option.converters()[0].convert(text);
      return text;
    } catch (Exception e) {
      throw wrong(key + ": " + e.getMessage());
    }
  }

  private IllegalArgumentException mismatch(String key, String expected, Object value) {
    return wrong(
        "%s must be %s, got %s"
            .formatted(key, expected, value instanceof String ? "'" + value + "'" : value));
  }

  private static String expected(Class<?> type) {
    if (isFlag(type)) {
      return "true or false";
    }
    if (type.isEnum()) {
      return "one of " + String.join(", ", candidates(type));
    }
    return isInteger(type) ? "a whole number" : isNumber(type) ? "a number" : "a text";
  }

  private static List<String> candidates(Class<?> type) {
    return Arrays.stream(type.getEnumConstants())
        .map(constant -> ((Enum<?>) constant).name().toLowerCase(Locale.ROOT))
        .toList();
  }

  private static boolean isFlag(Class<?> type) {
    return type == boolean.class || type == Boolean.class;
  }

  private static boolean isInteger(Class<?> type) {
    return List.of(int.class, Integer.class, long.class, Long.class).contains(type);
  }

  private static boolean isNumber(Class<?> type) {
    return isInteger(type)
        || List.of(double.class, Double.class, float.class, Float.class).contains(type);
  }

  /** Whether a text is a number. YAML takes 1e-3, without a point, for a text. */
  private static boolean reads(Function<String, ?> number, String text) {
    try {
      number.apply(text);
      return true;
    } catch (TypeConversionException e) {
      return false;
    }
  }

  /** A value in the words of a file. */
  static Object plain(Object value) {
    if (value instanceof Collection<?> items) {
      return items.stream().map(ConfigFile::plain).toList();
    }
    if (value instanceof Enum<?> constant) {
      return constant.name().toLowerCase(Locale.ROOT);
    }
    if (value instanceof Path path) {
      return path.toAbsolutePath().toString();
    }
    return value;
  }
}
