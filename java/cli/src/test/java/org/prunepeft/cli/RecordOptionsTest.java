package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Field;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.data.chat.ChatFormat;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.model.OnnxOptions;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.search.WarmUpSettings;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.settings.PeerSettings;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.train.CriterionSettings;
import org.prunepeft.train.OptimizerType;
import org.prunepeft.train.Schedule;
import org.prunepeft.train.TrainingSettings;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;

class RecordOptionsTest {
  private static final List<Class<? extends Record>> RECORDS =
      List.of(
          Setup.class,
          SearchSettings.class,
          TrainingSettings.class,
          LoraConfig.class,
          AdaLoraConfig.class,
          AdapterConfig.class,
          WarmUpSettings.class,
          CriterionSettings.class,
          MeasuringSettings.class,
          PeerSettings.class,
          OnnxOptions.class,
          ChatFormat.class,
          GenerationSettings.class);

  /** Why a component is not an option of its name. */
  private static final Map<String, String> REASONS =
      Map.ofEntries(
          Map.entry("Setup.files", "--train-file and other options of files"),
          Map.entry("Setup.data", "--data, made absolute"),
          Map.entry("Setup.sizes", "--train-examples and so on: unset, the task decides"),
          Map.entry("Setup.lora", "a record"),
          Map.entry("Setup.adapter", "a record"),
          Map.entry("Setup.training", "a record"),
          Map.entry("Setup.modules", "--module-types"),
          Map.entry("Setup.moduleSettings", "--module-settings, by type"),
          Map.entry("Setup.checkpoints", "--resume and --checkpoint-steps"),
          Map.entry("SearchSettings.budget", "--budget instead of --keep"),
          Map.entry("SearchSettings.start", "--modules: names or a run"),
          Map.entry("SearchSettings.strategy", "--strategy: a name, a file or a run"),
          Map.entry("SearchSettings.warmUp", "a record"),
          Map.entry("SearchSettings.criteria", "a record"),
          Map.entry("SearchSettings.measured", "a record, with --strategy measured"),
          Map.entry("SearchSettings.peer", "a record, with --strategy gates and so on"),
          Map.entry("PeerSettings.method", "--strategy"),
          Map.entry("SearchSettings.reinitialise", "the opposite of --keep-weights"),
          Map.entry("LoraConfig.rankPattern", "of imported adapters"),
          Map.entry("LoraConfig.alphaPattern", "of imported adapters"),
          Map.entry("LoraConfig.adaLora", "a record; --use-adalora"),
          Map.entry("AdaLoraConfig.totalStep", "the training's own steps"),
          Map.entry("AdapterConfig.scaling", "--adapter-scaling: unset, the style's"),
          Map.entry("AdapterConfig.bottleneckPattern", "of imported adapters"),
          Map.entry("WarmUpSettings.removedPerTurn", "a share of the modules, as in the paper"),
          Map.entry("WarmUpSettings.spreadThreshold", "of the method; not for a run to choose"),
          Map.entry("WarmUpSettings.c", "of the method; not for a run to choose"),
          Map.entry("WarmUpSettings.seed", "the run's"),
          Map.entry("CriterionSettings.thresholdQuantile", "--threshold is a fixed value"),
          Map.entry("CriterionSettings.activationBatches", "of the method"),
          Map.entry("ChatFormat.template", "--chat-template names its file"),
          Map.entry("ChatFormat.toolTemplate", "of the model's files"),
          Map.entry("ChatFormat.specialTokens", "of the model's files"),
          Map.entry("GenerationSettings.addSpecialTokens", "chat: unless a template writes them"));

  private static CommandSpec command(String name) {
    return Main.commandLine().getSubcommands().get(name).getCommandSpec();
  }

  /** The options that are components. */
  private static Map<OptionSpec, RecordComponent> options() {
    return Stream.of("search", "train", "export", "generate", "chat")
        .flatMap(name -> command(name).options().stream())
        .filter(option -> component(option) != null)
        .collect(Collectors.toMap(option -> option, RecordOptionsTest::component, (a, b) -> a));
  }

  private static RecordComponent component(OptionSpec option) {
    return option.userObject() instanceof Field field
        ? RecordOptions.component(field).orElse(null)
        : null;
  }

  /** As it is written, with variables. */
  private static String help(OptionSpec option) {
    return String.join(
        " ", ((Field) option.userObject()).getAnnotation(Option.class).description());
  }

  @Test
  void helpShowsEveryDefaultOfARecord() {
    options()
        .forEach(
            (option, component) -> {
              Object value = RecordOptions.defaultOf(component);
              if (value != null && !Boolean.FALSE.equals(value)) {
                String help = help(option);
                assertTrue(help.contains("(default: ${DEFAULT-VALUE}"), option.longestName());
              }
            });
  }

  @Test
  void noDefaultOfARecordIsStatedAgain() throws NoSuchFieldException {
    class Unset {
      @Option(names = "-x")
      int x;
    }
    String unset = Unset.class.getDeclaredField("x").getAnnotation(Option.class).defaultValue();
    options()
        .forEach(
            (option, component) -> {
              Field field = (Field) option.userObject();
              assertEquals(
                  unset, field.getAnnotation(Option.class).defaultValue(), option.longestName());
              assertFalse(
                  RecordOptions.defaultOf(component) != null
                      && help(option).matches(".*default: (?!\\$\\{DEFAULT-VALUE}).*"),
                  option.longestName());
            });
  }

  @Test
  void everyComponentHasAnOptionOrAReason() {
    Set<String> components =
        RECORDS.stream()
            .flatMap(record -> Arrays.stream(record.getRecordComponents()))
            .map(RecordOptionsTest::name)
            .collect(Collectors.toCollection(TreeSet::new));
    options().values().forEach(component -> components.remove(name(component)));
    assertEquals(new TreeMap<>(REASONS).keySet(), components);
  }

  private static String name(RecordComponent component) {
    return component.getDeclaringRecord().getSimpleName() + "." + component.getName();
  }

  @ParameterizedTest
  @CsvSource({
    "--lora-alpha, 32",
    "--encoder-learning-rate, 2e-5",
    "--lora-learning-rate, 0.001",
    "--lr-scheduler-type, linear",
    "--target-modules, auto",
    "--adapter-non-linearity, relu",
    "--zero-dtype, float16",
    "--use-dora, false",
    "--strategy, warm-up"
  })
  void defaultsAreAsOneWouldWriteThem(String option, String text) {
    assertEquals(text, command("search").findOption(option).defaultValueString());
  }

  /** All commands, and theirs. */
  private static Stream<CommandSpec> commands(CommandSpec command) {
    return Stream.concat(
        Stream.of(command),
        command.subcommands().values().stream().flatMap(one -> commands(one.getCommandSpec())));
  }

  private static Object parsed(OptionSpec flag, String byDefault, String word) {
    OptionSpec alone =
        OptionSpec.builder(flag.names())
            .type(flag.type())
            .arity(flag.arity().toString())
            .negatable(flag.negatable())
            .fallbackValue(flag.fallbackValue())
            .defaultValue(byDefault)
            .build();
    return new CommandLine(CommandSpec.create().addOption(alone))
        .parseArgs(word)
        .matchedOption(flag.longestName())
        .getValue();
  }

  /** Picocli gives a flag the opposite of its default, which a file may set, if it is not told. */
  @Test
  void aFlagTurnsOnAndItsNegatedFormOffWhateverTheDefault() {
    List<String> negated = new ArrayList<>();
    List<CommandSpec> commands = commands(Main.commandLine().getCommandSpec()).toList();
    for (CommandSpec command : commands) {
      boolean fromFiles = command.findOption(ConfigFile.OPTION) != null;
      for (OptionSpec flag : command.options()) {
        if (!flag.typeInfo().isBoolean() || flag.usageHelp() || flag.versionHelp()) {
          continue;
        }
        String name = flag.longestName();
        for (String byDefault : fromFiles ? List.of("false", "true") : List.of("false")) {
          String place = "%s %s, by default %s".formatted(command.name(), name, byDefault);
          assertEquals(true, parsed(flag, byDefault, name), place);
          if (flag.negatable()) {
            negated.add(name.replaceFirst("--", "--no-"));
            assertEquals(false, parsed(flag, byDefault, negated.get(negated.size() - 1)), place);
          }
        }
      }
    }
    assertTrue(negated.contains("--no-warm-start"), negated::toString);
  }

  @Test
  void optionsThatTookARecordMakeItAgain() {
    TrainingSettings settings =
        TrainingSettings.builder()
            .batchSize(3)
            .optimizer(OptimizerType.ADAFACTOR)
            .encoderLearningRate(3e-7)
            .schedule(Schedule.COSINE)
            .warmupSteps(7)
            .activationCacheHalf(true)
            .build();
    TrainingOptions training = new TrainingOptions();
    DataOptions data = new DataOptions();
    RecordOptions.take(settings, training);
    RecordOptions.take(settings, data);
    assertEquals(
        settings,
        RecordOptions.fill(TrainingSettings.builder().batchSize(99), training, data).build());
  }
}
