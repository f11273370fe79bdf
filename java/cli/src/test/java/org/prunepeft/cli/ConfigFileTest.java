package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.search.PruningSettings;
import org.prunepeft.testing.TestSeed;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

class ConfigFileTest {
  @TempDir Path temporary;
  private final Random random = TestSeed.random();

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "threads: 20000 | threads must be in [1, 1024], got 20000",
        "kep: 0.5 | unknown key 'kep'; did you mean keep?",
        "lora_rang: 4 | did you mean lora_r",
        "config: other.yaml | unknown key 'config'",
        "output: runs/x | unknown key 'output'",
        "seed: one | seed must be a whole number, got 'one'",
        "seed: 1.5 | seed must be a whole number, got 1.5",
        "keep: half | keep: 'half' is not a number",
        "weight_decay: [0.5] | weight_decay must be a number, got [0.5]",
        "budget: 10q | budget: '10q' is not a whole number such as",
        "keep_weights: 1 | keep_weights must be true or false, got 1",
        "selection: best | selection must be one of hybrid, reference, got 'best'",
        "task: {name: wordnet} | task must be a text, got {name=wordnet}",
        "keep: 2 | the share to keep must be above 0 and at most 1, got 2.0",
        "seed | must be a mapping of options to values",
        "[seed] | must be a mapping of options to values",
        "'seed: [1' | is not understood as YAML",
        "'{seed: 1, seed: 2}' | is not understood as YAML: Duplicate",
        "'{lora_r: 1, lora-rank: 2}' | lora_r and lora-rank are the same option",
      })
  void fileThatIsNotUnderstoodIsNamedWithItsKeyAndLeavesNothing(String text, String message)
      throws IOException {
    Path file = Files.writeString(temporary.resolve("options.yaml"), text + "\n");
    Path output = temporary.resolve("run");
    Call call = Call.of("search", "--config", file, "--output=" + output).exits(2);
    call.says(message);
    if (!message.startsWith("the share") && !message.startsWith("threads")) {
      call.says(file.toString());
    }
    assertFalse(Files.exists(output));
  }

  @Test
  void aKeyThatIsNearOneOrPythonsIsToldWithoutTheListOfAll() throws IOException {
    Path file = Files.writeString(temporary.resolve("options.yaml"), "lerning_rate: 1\n");
    String said = Call.of("train", "--config", file).exits(2, "did you mean learning_rate?").err();
    assertFalse(said.contains("weight_decay"), said);
    Files.writeString(file, "load_in_4bit: true\n");
    Call.of("train", "--config", file)
        .exits(2, "unknown key 'load_in_4bit'; here it is --quantize nf4");
    Files.writeString(file, "zzzzzzzzzzzzzzzzzz: true\n");
    Call.of("train", "--config", file).exits(2, "weight_decay");
  }

  @Test
  void numbersMayBeWrittenAsOnTheCommandLine() throws IOException {
    assertEquals(3L, value(parse("seed: 3.0"), "--seed"));
    assertEquals(List.of(0.25), value(parse("keep: 25 %"), "--keep"));
  }

  @Test
  void aFileThatIsNoOnesOwnOptionsIsNotParsed() throws IOException {
    Path file = Files.writeString(temporary.resolve("options.yaml"), "a: b\n".repeat(1_000_000));
    Call.of("search", "--config", file)
        .exits(2)
        .says("is not understood as YAML: it has 4,000,004 characters, the most is 1,000,000");
  }

  /** A buffer for the longest that is allowed took 4 MB for each. */
  @Test
  void aSmallFileTakesLittleMemory() throws IOException {
    Path file = Files.writeString(temporary.resolve("options.yaml"), "rounds: 2\n");
    Map<String, Object> read = ConfigFile.read(file);
    long bytes = AllocatedBytes.of(() -> ConfigFile.read(file));
    assertEquals(Map.of("rounds", 2), read);
    assertTrue(bytes < 500_000, () -> bytes + " bytes");
  }

  /** As a shell's {@code --config <(...)} is. */
  @Test
  void aFifoIsRead() throws Exception {
    Path fifo = temporary.resolve("options.yaml");
    assumeTrue(new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor() == 0, "mkfifo");
    CompletableFuture<Void> written =
        CompletableFuture.runAsync(
            () -> {
              try (OutputStream out = new FileOutputStream(fifo.toFile())) {
                out.write("rounds: 2\n".getBytes(StandardCharsets.UTF_8));
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
    Call.of("train", "--config=" + fifo).exits(2, "unknown key 'rounds'");
    written.get(10, TimeUnit.MINUTES);
  }

  @Test
  void absentFileIsNamed() {
    Path absent = temporary.resolve("absent.yaml");
    Call.of("train", "--config=" + absent).exits(1, "can't read " + absent);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "# seed: 3\n", "---\n"})
  void fileWithoutOptionsChangesNothing(String text) throws IOException {
    assertEquals(0L, value(parse(text), "--seed"));
  }

  @Test
  void keyOfAnotherCommandIsRefused() throws IOException {
    Path file = Files.writeString(temporary.resolve("options.yaml"), "rounds: 2\n");
    Call.of("train", "--config=" + file).exits(2, "unknown key 'rounds'");
  }

  @Test
  void commandLineGoesBeforeTheFileAndTheFileBeforeTheDefaults() throws IOException {
    CommandSpec search =
        parse(
            """
            seed: 7
            keep: 1e-1
            lora-alpha: 8
            num_train_epochs: 3
            target_modules: [query, key]
            keep_weights: true
            selection: REFERENCE
            plugins: a.jar
            budget:
            """,
            "--seed=9");
    assertEquals(9L, value(search, "--seed"));
    assertEquals(List.of(0.1), value(search, "--keep"));
    assertEquals(8.0, value(search, "--lora-alpha"));
    assertEquals(3, value(search, "--epochs"));
    assertEquals(List.of("query", "key"), value(search, "--target-modules"));
    assertEquals(true, value(search, "--keep-weights"));
    assertEquals(PruningSettings.Selection.REFERENCE, value(search, "--selection"));
    assertEquals(null, value(search, "--budget"));
    assertEquals(null, value(search, "--plugins"));
    assertEquals(32, value(search, "--lora-r"));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void flagOnTheCommandLineSetsItWhateverTheFileSays(boolean inFile) throws IOException {
    String text = "keep_weights: " + inFile + "\n";
    assertEquals(true, value(parse(text, "--keep-weights"), "--keep-weights"));
    assertEquals(false, value(parse(text, "--keep-weights=false"), "--keep-weights"));
    assertEquals(inFile, value(parse(text), "--keep-weights"));
  }

  static Stream<Object[]> flags() {
    return Main.commandLine().getSubcommands().entrySet().stream()
        .filter(each -> each.getValue().getCommandSpec().findOption(ConfigFile.OPTION) != null)
        .flatMap(
            each ->
                ConfigFile.optionsByName(each.getValue().getCommandSpec()).entrySet().stream()
                    .filter(option -> isFlag(option.getValue()) && !option.getValue().negatable())
                    .map(option -> new Object[] {each.getKey(), option.getKey()}));
  }

  @ParameterizedTest
  @MethodSource("flags")
  void aFlagOnTheCommandLineIsOnWhateverTheFileOfAnyCommandSays(String name, String key)
      throws IOException {
    CommandLine main = Main.commandLine(name);
    CommandLine command = main.getSubcommands().get(name);
    CommandSpec spec = command.getCommandSpec();
    String option = ConfigFile.name(ConfigFile.optionsByName(spec).get(key));
    for (boolean inFile : new boolean[] {true, false}) {
      Path file = Files.writeString(temporary.resolve("flag.yaml"), key + ": " + inFile + "\n");
      command.setDefaultValueProvider(new ConfigFile(file, spec));
      List<String> run = spec.positionalParameters().isEmpty() ? List.of() : List.of("RUN");
      main.parseArgs(words(name, run, option));
      assertEquals(true, value(spec, option), option);
      main.parseArgs(words(name, run, option + "=false"));
      assertEquals(false, value(spec, option), option);
      main.parseArgs(words(name, run));
      assertEquals(inFile, value(spec, option), option);
    }
  }

  private static boolean isFlag(OptionSpec option) {
    return Set.of(boolean.class, Boolean.class).contains(option.type());
  }

  private static String[] words(String name, List<String> run, String... options) {
    return Stream.of(Stream.of(name), run.stream(), Stream.of(options))
        .flatMap(Function.identity())
        .toArray(String[]::new);
  }

  @Test
  void severalValuesOfAnOptionThatTakesOneAtATimeAreRefused() throws IOException {
    Path file = Files.writeString(temporary.resolve("texts.yaml"), "text: [one, two]\n");
    Call.of("predict", "runs/absent", "--config=" + file)
        .exits(2, "text takes one value in a file, got [one, two]; name one");
    Files.writeString(file, "text: [one]\n");
    Call.of("predict", "runs/absent", "--config=" + file).exits(1, "runs/absent does not exist");
  }

  @ParameterizedTest
  @ValueSource(strings = {"search", "train"})
  void whatIsWrittenReadsBackAsTheSameOptions(String name) throws IOException {
    List<String> arguments = drawn(name, 0.5);
    CommandSpec drawn = parse(null, name, arguments);
    String text = ConfigFile.write(drawn, "drawn");
    Path file = Files.writeString(temporary.resolve("written.yaml"), text);

    CommandSpec again = parse(file, name, List.of());
    assertEquals(text, ConfigFile.write(again, "drawn"), arguments.toString());
    ConfigFile.optionsByName(drawn)
        .forEach((key, option) -> assertEquals(plain(option), plain(again, option), key));
  }

  @Test
  void commasWithinASettingOfModulesStay() throws IOException {
    List<String> settings = List.of("vera.rank=64", "vera.targets=query,value", "a.b=1");
    CommandSpec typed =
        parse(null, "train", List.of("--module-settings=" + String.join(",", settings)));
    assertEquals(settings, value(typed, "--module-settings"));
    Path file =
        Files.writeString(temporary.resolve("settings.yaml"), ConfigFile.write(typed, "typed"));
    assertEquals(settings, value(parse(file, "train", List.of()), "--module-settings"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"search", "train"})
  void anOptionOnTheCommandLineLeavesAllOthersOfTheFile(String name) throws IOException {
    CommandSpec drawn = parse(null, name, drawn(name, 1));
    Path file = Files.writeString(temporary.resolve("all.yaml"), ConfigFile.write(drawn, "drawn"));
    List<OptionSpec> options = List.copyOf(ConfigFile.optionsByName(drawn).values());
    for (OptionSpec typed : options) {
      String argument = typed.names()[0] + "=" + draw(typed, random);
      CommandSpec command = parse(file, name, List.of(argument));
      for (OptionSpec other : options) {
        if (other != typed) {
          assertEquals(plain(other), plain(command, other), other.names()[0] + ", " + argument);
        }
      }
    }
  }

  /** Arguments for so many of a command's options, with values of their types. */
  private List<String> drawn(String name, double share) {
    CommandSpec command = Main.commandLine(name).getSubcommands().get(name).getCommandSpec();
    return ConfigFile.optionsByName(command).values().stream()
        .filter(option -> random.nextDouble() < share)
        // They are not read back: no file has code run.
        .filter(option -> !PluginOptions.isPlugins(option))
        .map(option -> option.names()[0] + "=" + draw(option, random))
        .toList();
  }

  private static CommandSpec parse(Path file, String name, List<String> arguments) {
    CommandLine main = Main.commandLine(name);
    CommandLine command = main.getSubcommands().get(name);
    if (file != null) {
      command.setDefaultValueProvider(new ConfigFile(file, command.getCommandSpec()));
    }
    main.parseArgs(Stream.concat(Stream.of(name), arguments.stream()).toArray(String[]::new));
    return command.getCommandSpec();
  }

  private static Object plain(OptionSpec option) {
    return ConfigFile.plain(option.getValue());
  }

  private static Object plain(CommandSpec command, OptionSpec option) {
    return plain(command.findOption(option.names()[0]));
  }

  private static String draw(OptionSpec option, Random random) {
    Class<?> type = option.isMultiValue() ? option.auxiliaryTypes()[0] : option.type();
    if (type.isEnum()) {
      Object[] constants = type.getEnumConstants();
      return ((Enum<?>) constants[random.nextInt(constants.length)]).name();
    }
    if (Set.of(int.class, Integer.class, long.class, Long.class).contains(type)) {
      return Integer.toString(random.nextInt(1000));
    }
    if (Set.of(double.class, Double.class).contains(type)) {
      return Double.toString(random.nextDouble() * Math.pow(10, random.nextInt(-9, 9)));
    }
    if (Set.of(boolean.class, Boolean.class).contains(type)) {
      return Boolean.toString(random.nextBoolean());
    }
    String[] texts = {"1", "no", "true", "1e-3", "a: b", "#x", "null", "ü", "runs/earlier", "- y"};
    return texts[random.nextInt(texts.length)];
  }

  private CommandSpec parse(String text, String... arguments) throws IOException {
    Path file = Files.writeString(temporary.resolve("options.yaml"), text);
    return parse(file, "search", List.of(arguments));
  }

  private static Object value(CommandSpec command, String option) {
    return command.findOption(option).getValue();
  }
}
