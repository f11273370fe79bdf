package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.PrunePeft;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.Candidate;
import org.prunepeft.settings.Budget;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.Setup;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.train.TrainingSettings;

/** Plain trainings of a small RoBERTa in a Hugging Face directory. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class TrainTest {
  @TempDir static Path temporary;
  private static Path model;

  @BeforeAll
  static void write() throws IOException {
    model = Small.model(temporary);
  }

  private static Call train(Path output, String... options) {
    return train(output, List.of("--lora-r=4", "--adapter-size=5"), options);
  }

  private static Call train(Path output, List<String> modules, String... options) {
    return Call.of(
        "train", "--model=" + model, Small.examples(48), modules, "--output=" + output, options);
  }

  private static TrainOutcome train(ModuleChoice selection) {
    Setup setup =
        Setup.builder()
            .model(model.toString())
            .sizes(new SplitSizes(48, 16, 16))
            .lora(LoraConfig.of(4, 4, 0, List.of("query", "value")))
            .adapter(AdapterConfig.of(5, AdapterConfig.DEFAULT.nonLinearity()))
            .training(TrainingSettings.builder().maxLength(32).build())
            .epochs(1)
            .threads(1)
            .build();
    return PrunePeft.train(setup, selection, ProgressListener.NONE);
  }

  private static Set<String> types(TrainOutcome outcome) {
    return outcome.modules().stream().map(Candidate::type).collect(Collectors.toSet());
  }

  @ParameterizedTest
  @CsvSource({"head, 0, ''", "lora, 4, lora", "adapter, 4, adapter", "both, 8, 'adapter lora'"})
  void modulesAreThoseOfTheKindAskedFor(String modules, int count, String kinds)
      throws IOException {
    Path output = temporary.resolve("of-" + modules);
    train(output, "--modules=" + modules).exits(0);
    Candidate[] trained =
        RunDirectory.open(output).readJson("configuration.json", "modules", Candidate[].class);
    assertEquals(count, trained.length);
    Set<String> types = new TreeSet<>();
    for (Candidate module : trained) {
      types.add(module.type());
    }
    assertEquals(kinds, String.join(" ", types));
  }

  @ParameterizedTest
  @ValueSource(strings = {"pfeiffer", "houlsby", "parallel"})
  void whereNoEpochIsBetterTheHeadAloneIsKept(String style) {
    Path run = temporary.resolve("no-better-" + style);
    train(
            run,
            "--modules=supernet",
            "--adapter-config=" + style,
            "--learning-rate=1e-9",
            "--head-learning-rate=1")
        .exits(0);
    Map<?, ?> result = RunDirectory.open(run).readJson("result.json");
    assertEquals(0, result.get("best_epoch"));
    Map<?, ?> alone = (Map<?, ?>) result.get("head_alone_test");
    assertEquals((double) alone.get("loss"), (double) Small.test(run).get("loss"), 1e-5);
  }

  @Test
  void aRegressionBeginsAsTheHeadAlone() throws IOException {
    Path file = temporary.resolve("numbers.csv");
    StringBuilder rows = new StringBuilder("text,label\n");
    for (int i = 0; i < 96; i++) {
      rows.append(i % 3 == 0 ? "the thing in a tin" : "an other thing")
          .append(" of ")
          .append(i)
          .append(",")
          .append(i % 3 + i / 100.0)
          .append("\n");
    }
    Files.writeString(file, rows);
    Path run = temporary.resolve("regression");
    Call.of(
            "train",
            "--model=" + model,
            "--train-file=" + file,
            "--test-file=" + file,
            "--do-regression",
            Small.modules(),
            "--modules=adapter",
            "--learning-rate=1e-9",
            "--head-learning-rate=1e-9",
            "--output=" + run)
        .exits(0);
    Map<?, ?> alone =
        (Map<?, ?>) RunDirectory.open(run).readJson("result.json").get("head_alone_test");
    assertEquals((double) alone.get("loss"), (double) Small.test(run).get("loss"), 1e-5);
  }

  @Test
  void randomModulesAreWithinTheBudgetAndTheirNumberIsNamed() throws IOException {
    Path output = temporary.resolve("random");
    Call call = train(output, "--modules=random", "--budget=2000").exits(0);
    long parameters =
        RunDirectory.open(output).readJson("result.json", "trainable_parameters", Long.class);
    assertTrue(parameters > 0 && parameters <= 2000, parameters + " parameters");
    call.prints(
        String.format(Locale.ROOT, "trainable parameters %,d of the supernet's", parameters));
    String config = Files.readString(output.resolve("config.yaml"));
    assertTrue(config.contains("\nbudget: 2000\n") && !config.contains("keep:"), config);
    // What is on the command line goes before the file's budget.
    Path share = temporary.resolve("random-share");
    Call.of("train", "--config=" + output.resolve("config.yaml"), "--keep=1", "--output=" + share)
        .exits(0);
    Map<String, Object> all = RunDirectory.open(share).readJson("result.json");
    assertEquals(all.get("supernet_parameters"), all.get("trainable_parameters"));
    TrainOutcome half = train(ModuleChoice.random(Budget.share(0.5)));
    assertTrue(2 * half.parameters() <= half.supernetParameters());
    assertEquals(Candidate.total(half.modules()), half.parameters());
  }

  @ParameterizedTest
  @CsvSource({"first-layers, 0", "middle-layers, 2", "last-layers, 3", "depth, 3"})
  void modulesOfSomeLayersAreWithinTheBudget(String modules, int layer) throws IOException {
    Path output = temporary.resolve("of-" + modules);
    train(output, "--modules=" + modules, "--keep=0.25").exits(0);
    Candidate[] trained =
        RunDirectory.open(output).readJson("configuration.json", "modules", Candidate[].class);
    assertEquals(List.of(layer, layer), Stream.of(trained).map(Candidate::layer).toList());
  }

  @Test
  void namedModulesAreTrained() throws IOException {
    Path output = temporary.resolve("named");
    train(output, "--modules=encoder.layer.2.lora,encoder.layer.0.adapter").exits(0);
    Candidate[] trained =
        RunDirectory.open(output).readJson("configuration.json", "modules", Candidate[].class);
    assertEquals(
        List.of("encoder.layer.0.adapter", "encoder.layer.2.lora"),
        Stream.of(trained).map(Candidate::name).toList());
    Call call = train(temporary.resolve("no-name"), "--modules=encoder.layer.9.lora").exits(2);
    call.says("no module is named 'encoder.layer.9.lora'; there are");
    call.says("encoder.layer.3.lora");
  }

  @Test
  void modulesOfADeeperModelAreRefusedOrMapped() throws IOException {
    Path deep = temporary.resolve("deep");
    train(deep, "--modules=encoder.layer.0.adapter,encoder.layer.3.lora").exits(0);
    Path flat = temporary.resolve("flat-roberta");
    RobertaDirectory.write(flat, 2);
    String[] modules = {"--modules=" + deep, "--model=" + flat};
    Call refused = train(temporary.resolve("refused"), modules).exits(2);
    refused.says("chosen for a model of 4 layers, and this one has 2; --map-layers");
    assertFalse(refused.err().contains("tokenise"), refused.err());
    Path mapped = temporary.resolve("mapped");
    train(mapped, List.of("--map-layers"), modules).exits(0);
    Candidate[] trained =
        RunDirectory.open(mapped).readJson("configuration.json", "modules", Candidate[].class);
    assertEquals(
        List.of("encoder.layer.0.adapter", "encoder.layer.1.lora"),
        Stream.of(trained).map(Candidate::name).toList());
    train(temporary.resolve("no-run"), "--modules=head", "--map-layers")
        .exits(2, "--map-layers is for --modules RUN");
  }

  @ParameterizedTest
  @ValueSource(strings = {"head", "lora", "adapter", "Supernet", "full", "RUN"})
  void aBudgetIsRefusedWhereItSaysNothing(String modules) {
    if (modules.equals("RUN")) {
      Path earlier = temporary.resolve("earlier");
      train(earlier, "--modules=head").exits(0);
      modules = earlier.toString();
    }
    Path output = temporary.resolve("no-budget");
    for (String option : List.of("--keep=0.5", "--budget=2000")) {
      Call call = train(output, "--modules=" + modules, option).exits(2);
      String name = option.split("=")[0];
      call.says(
          name
              + " is for --modules all-linear, random, first-layers, middle-layers and last-layers, and for search,"
              + " but --modules is "
              + modules);
      call.says("leave " + name + " out");
      assertFalse(Files.exists(output));
    }
  }

  @Test
  void bothKindsOfBudgetAtOnceAreRefused() {
    Path output = temporary.resolve("two-budgets");
    for (String command : List.of("train", "search")) {
      List<String> arguments = new ArrayList<>(List.of(command, "--model=" + model));
      arguments.addAll(List.of("--keep=0.3", "--budget=2000", "--output=" + output));
      if (command.equals("train")) {
        arguments.add("--modules=depth");
      }
      Call.of(arguments.toArray(String[]::new))
          .exits(2, "--keep 0.3 and --budget 2000 both say how much to keep; leave one out");
    }
    assertFalse(Files.exists(output));
  }

  @Test
  void aTrainingWithoutABudgetRunsAgainFromItsConfigWhichHasNone() throws IOException {
    Path first = temporary.resolve("unbudgeted");
    train(first, "--modules=lora").exits(0);
    String config = Files.readString(first.resolve("config.yaml"));
    assertFalse(config.contains("keep:") || config.contains("budget:"), config);
    // A file may be that of a training with one.
    for (String more : List.of("", "keep: 0.25\nbudget: 2000\n")) {
      Path file = Files.writeString(temporary.resolve("unbudgeted.yaml"), config + more);
      Path again = temporary.resolve("unbudgeted-" + more.length());
      Call.of("train", "--config=" + file, "--output=" + again).exits(0);
      assertEquals(config, Files.readString(again.resolve("config.yaml")));
      assertEquals(
          -1,
          Files.mismatch(
              first.resolve("adapter.safetensors"), again.resolve("adapter.safetensors")));
    }
  }

  @Test
  void learningRatesThatAreInEffectAreInTheConfig() throws IOException {
    Path usual = temporary.resolve("usual-rates");
    train(usual, "--modules=head").exits(0);
    TrainingSettings defaults = TrainingSettings.DEFAULT;
    assertRates(
        usual,
        defaults.loraLearningRate(),
        defaults.adapterLearningRate(),
        defaults.headLearningRate(),
        defaults.encoderLearningRate());
    Path own = temporary.resolve("own-rates");
    train(own, "--modules=head", "--learning-rate=5e-4", "--adapter-learning-rate=2e-3").exits(0);
    assertRates(own, 5e-4, 2e-3, defaults.headLearningRate(), 5e-4);

    String file = "--config=" + own.resolve("config.yaml");
    Path again = temporary.resolve("own-rates-again");
    Call.of("train", file, "--output=" + again).exits(0);
    assertRates(again, 5e-4, 2e-3, defaults.headLearningRate(), 5e-4);
    // What is on the command line goes before the file's, be it the rate of all.
    Path other = temporary.resolve("other-rates");
    Call.of("train", file, "--learning-rate=7e-4", "--lora_learning_rate=3e-3", "-o=" + other)
        .exits(0);
    assertRates(other, 3e-3, 7e-4, defaults.headLearningRate(), 7e-4);
  }

  @Test
  void whatStandsInsteadOfAnotherOnTheCommandLineGoesBeforeTheFilesOther() throws IOException {
    Path file = temporary.resolve("instead.yaml");
    Files.writeString(file, "reduction_factor: 4\nseeds: [3, 4]\nwarmup_steps: 9\nmodules: head\n");
    Path first = temporary.resolve("instead");
    train(first, "--config=" + file, "--seed=5", "--warmup-ratio=0.2").exits(0);
    Setup setup = Setup.ofRun(first);
    assertEquals(5, setup.seed());
    // Which train gives on the command line.
    assertEquals(5, setup.adapter().bottleneck());
    assertEquals(0, setup.training().warmupSteps());
    assertEquals(0.2, setup.training().warmupRatio());
    Path others = temporary.resolve("instead-not");
    train(
            others,
            List.of("--lora-r=4"),
            "--config=" + file,
            "--reduction-factor=2",
            "--warmup-steps=3")
        .exits(0);
    setup = Setup.ofRun(others.resolve("seed-4"));
    assertEquals(RobertaDirectory.HIDDEN / 2, setup.adapter().bottleneck());
    assertEquals(3, setup.training().warmupSteps());
    assertEquals(4, setup.seed());
    assertEquals(0, setup.testSeed());
  }

  private static void assertRates(
      Path run, double lora, double adapter, double head, double encoder) throws IOException {
    String config = Files.readString(run.resolve("config.yaml"));
    for (String line :
        List.of(
            "lora_learning_rate: " + lora,
            "adapter_learning_rate: " + adapter,
            "head_learning_rate: " + head,
            "encoder_learning_rate: " + encoder)) {
      assertTrue(config.contains("\n" + line + "\n"), line + " in\n" + config);
    }
    assertFalse(config.contains("\nlearning_rate:"), config);
    TrainingSettings training = Setup.ofRun(run).training();
    assertEquals(lora, training.loraLearningRate());
    assertEquals(adapter, training.adapterLearningRate());
    assertEquals(head, training.headLearningRate());
    assertEquals(encoder, training.encoderLearningRate());
  }

  @Test
  void typesThatTheSupernetLacksAreRefused() {
    assertEquals(Set.of("lora"), types(train(ModuleChoice.type("lora"))));
    train(temporary.resolve("none"), "--modules=adapter", "--adapter-size=0")
        .exits(2, "no modules of type 'adapter'; it has [lora]");
    assertFalse(Files.exists(temporary.resolve("none")));
  }

  @Test
  void fullFineTuningChangesEveryWeightAndIsKept() throws IOException {
    Path output = temporary.resolve("full");
    train(output, "--modules=full", "--encoder-learning-rate=1e-3", "--epochs=2")
        .exits(0)
        .prints("all of the encoder's own");
    Set<String> changed = new TreeSet<>();
    long parameters = 0;
    try (SafeTensors before = SafeTensors.open(model.resolve("model.safetensors"));
        SafeTensors after = SafeTensors.open(output.resolve("encoder.safetensors"))) {
      String prefix =
          before.names().stream().anyMatch(name -> name.startsWith("roberta.")) ? "roberta." : "";
      for (String name : after.names()) {
        float[] own = after.floats(name);
        assertArrayEquals(before.shape(prefix + name), after.shape(name), name);
        parameters += own.length;
        if (!java.util.Arrays.equals(before.floats(prefix + name), own)) {
          changed.add(name);
        }
      }
      assertEquals(after.names(), changed);
    }
    assertEquals(
        parameters,
        RunDirectory.open(output).readJson("result.json", "trainable_parameters", Long.class));

    Map<?, ?> test = Small.test(output);
    try (TrainedModel trained = TrainedModel.load(output)) {
      assertEquals(test.get("loss"), trained.evaluate(trained.dataset().test()).loss());
      assertEquals(16, trained.predict(trained.dataset().test().subList(0, 16)).size());
    }
    Call.of("evaluate", output)
        .exits(0)
        .prints(
            String.format(
                Locale.ROOT,
                "accuracy %.2f %%",
                100 * ((Number) test.get("accuracy")).doubleValue()));
  }

  @Test
  void aFullyTrainedEncoderIsExportedAsAPlainModelAndTrainedAgain() throws IOException {
    Path full = temporary.resolve("to-export");
    train(full, "--modules=full", "--encoder-learning-rate=1e-3").exits(0);
    Path refused = temporary.resolve("refused");
    Call.of("export", full, "--format=peft", "--output=" + refused)
        .exits(2, "merged, it is a plain model");
    assertFalse(Files.exists(refused));

    Path merged = temporary.resolve("merged");
    Call.of("export", full, "--merge", "--output=" + merged).exits(0);
    try (SafeTensors run = SafeTensors.open(full.resolve("encoder.safetensors"));
        SafeTensors plain = SafeTensors.open(merged.resolve("model.safetensors"))) {
      // And the head.
      assertEquals(run.names().size() + 2, plain.names().size());
      for (String name : run.names()) {
        assertArrayEquals(run.floats(name), plain.floats("roberta." + name), name);
      }
    }
    // The configuration of that run is full fine-tuning.
    Path again = temporary.resolve("again");
    train(again, "--modules=" + full, "--encoder-learning-rate=1e-3").exits(0);
    assertEquals(
        -1,
        Files.mismatch(full.resolve("encoder.safetensors"), again.resolve("encoder.safetensors")));
  }

  @Test
  void modulesOfARunAreTakenAsTheyWereThere() throws IOException {
    Path first = temporary.resolve("houlsby");
    train(
            first,
            List.of("--lora-r=4"),
            "--modules=depth",
            "--use-rslora",
            "--adapter-config=houlsby",
            "--non_linearity=silu",
            "--reduction_factor=3")
        .exits(0);
    Path again = temporary.resolve("houlsby-again");
    train(again, List.of(), "--modules=" + first).exits(0);
    assertEquals(
        -1,
        Files.mismatch(first.resolve("adapter.safetensors"), again.resolve("adapter.safetensors")));
    // The options in effect are those of the modules, and may be named where they say the same.
    String config = Files.readString(again.resolve("config.yaml"));
    assertTrue(config.contains("lora_r: 4\nlora_alpha: 32.0\n"), config);
    assertTrue(config.contains("adapter_config: houlsby\n"), config);
    assertTrue(config.contains("adapter_non_linearity: swish\n"), config);
    assertTrue(config.contains("adapter_size: 10\n"), config);
    Path third = temporary.resolve("houlsby-third");
    Call.of(
            "train",
            "--config=" + again.resolve("config.yaml"),
            "--lora-r=4",
            "--adapter-config=double_seq_bn",
            "--output=" + third)
        .exits(0);
    assertEquals(
        -1,
        Files.mismatch(first.resolve("adapter.safetensors"), third.resolve("adapter.safetensors")));

    // The file has what the options were, and they say what they come to on the model.
    Path fourth = temporary.resolve("houlsby-fourth");
    Call.of(
            "train",
            "--config=" + first.resolve("config.yaml"),
            "--modules=" + first,
            "--target-modules=auto",
            "--reduction-factor=3",
            "--output=" + fourth)
        .exits(0);
    assertEquals(
        -1,
        Files.mismatch(
            first.resolve("adapter.safetensors"), fourth.resolve("adapter.safetensors")));

    Path never = temporary.resolve("never");
    String refused = "the modules of %s have %s; leave that option out";
    train(never, List.of(), "--modules=" + first, "--lora-r=8")
        .exits(2, refused.formatted(first, "--lora-r 4, got 8"));
    train(never, List.of(), "--modules=" + first, "--reduction-factor=4")
        .exits(2, refused.formatted(first, "--adapter-size 10, got 8 by --reduction-factor"));
    train(never, List.of(), "--modules=" + first, "--target-modules=key")
        .exits(2, refused.formatted(first, "--target-modules [query, value], got [key]"));
    assertFalse(Files.exists(never));
  }

  @Test
  void fullFineTuningInBfloat16IsRefused() {
    Path output = temporary.resolve("bf16");
    train(output, "--modules=full", "--precision=bf16")
        .exits(2, "full fine-tuning computes in float32");
    assertFalse(Files.exists(output));
  }

  @Test
  void severalSeedsAreRunEachOnItsOwnWithMeanAndDeviation() throws IOException {
    Path output = temporary.resolve("seeds");
    Call call = train(output, "--modules=lora", "--seeds=3,0,7").exits(0);
    List<Double> accuracies = new ArrayList<>();
    for (int seed : List.of(3, 0, 7)) {
      Path own = output.resolve("seed-" + seed);
      Map<?, ?> test = Small.test(own);
      accuracies.add((Double) test.get("accuracy"));
      String config = Files.readString(own.resolve("config.yaml"));
      assertTrue(config.contains("seed: " + seed + "\n"), config);
      assertFalse(config.contains("seeds"), config);
    }
    Map<?, ?> test = (Map<?, ?>) RunDirectory.open(output).readJson("seeds.json").get("test");
    Map<?, ?> accuracy = (Map<?, ?>) test.get("accuracy");
    assertEquals(accuracies, accuracy.get("by_seed"));
    double mean = (accuracies.get(0) + accuracies.get(1) + accuracies.get(2)) / 3;
    double squares = 0;
    for (double value : accuracies) {
      squares += (value - mean) * (value - mean);
    }
    assertEquals(mean, (Double) accuracy.get("mean"), 1e-12);
    assertEquals(Math.sqrt(squares / 2), (Double) accuracy.get("standard_deviation"), 1e-12);
    call.prints(String.format(Locale.ROOT, "|      mean |       %.2f %% |", 100 * mean));

    // One of them alone is the same run, and the file runs all of them again.
    Path alone = temporary.resolve("alone");
    train(alone, "--modules=lora", "--seed=7").exits(0);
    assertEquals(
        -1,
        Files.mismatch(
            alone.resolve("adapter.safetensors"),
            output.resolve("seed-7").resolve("adapter.safetensors")));
    String all = Files.readString(output.resolve("config.yaml"));
    assertTrue(all.matches("(?s).*seeds:\\s*- 3\\s*- 0\\s*- 7\\s.*"), all);
    Path again = temporary.resolve("seeds-again");
    Call.of("train", "--config=" + output.resolve("config.yaml"), "--output=" + again).exits(0);
    assertEquals(
        Files.readString(output.resolve("seeds.json")),
        Files.readString(again.resolve("seeds.json")));
    String means = Files.readString(again.resolve("seeds.json"));
    Files.writeString(
        again.resolve("seeds.json"), means.replaceFirst("(\"mean\" : 0\\.)\\d", "$10"));
    assertNotEquals(means, Files.readString(again.resolve("seeds.json")));
    RunDirectory changed = RunDirectory.open(again);
    String refusal =
        assertThrows(RunDirectoryException.class, () -> changed.readJson("seeds.json"))
            .getMessage();
    assertTrue(refusal.contains("seeds.json"), refusal);
  }

  @Test
  void seedsTrainedTogetherBecomeWhatTheyBecomeAlone() throws IOException {
    Path output = temporary.resolve("together");
    Call call =
        train(output, "--modules=supernet", "--seeds=3,0", "--together", "--report-to=tensorboard")
            .exits(0);
    for (int seed : List.of(3, 0)) {
      Path own = output.resolve("seed-" + seed);
      String config = Files.readString(own.resolve("config.yaml"));
      assertTrue(config.contains("seed: " + seed + "\n"), config);
      assertTrue(config.contains("together: false\n"), config);
      call.says("seed " + seed + ": ");
      call.prints("run directory: " + own);
      try (var files = Files.list(own)) {
        assertEquals(1, files.filter(file -> file.toString().contains("tfevents")).count());
      }
      Path alone = temporary.resolve("alone-" + seed);
      train(alone, "--modules=supernet", "--seed=" + seed).exits(0);
      assertEquals(loss(alone), loss(own), 1e-3 * loss(alone));
    }
    call.says("(seed 3 and 1 more)");
    String all = Files.readString(output.resolve("config.yaml"));
    assertTrue(all.contains("together: true\n"), all);
    assertTrue(Files.exists(output.resolve("seeds.json")));
  }

  private static double loss(Path run) {
    return (Double) Small.test(run).get("loss");
  }

  @Test
  void automaticDeviceSaysWhichAndWhy() {
    Call call = train(temporary.resolve("automatic"), "--modules=lora", "--device=auto").exits(0);
    String expected =
        ComputeDevice.cudaAbsence()
            .map(reason -> "device auto: cpu (" + reason + ")")
            .orElse("device auto: cuda:");
    call.says(expected);
  }

  @Test
  void whatCannotBeTrainedTogetherIsRefusedAndNothingIsLeft() {
    Path output = temporary.resolve("not-together");
    train(output, "--together").exits(2, "name them with --seeds");
    assertFalse(Files.exists(output));
    String seeds =
        IntStream.range(0, 33).mapToObj(Integer::toString).collect(Collectors.joining(","));
    Call call = train(output, "--together", "--seeds=" + seeds).exits(2);
    call.says("at most 32 seeds are trained together, got 33; name fewer, or leave out --together");
    assertFalse(call.err().contains("load "), call.err());
    assertFalse(Files.exists(output));
    train(output, "--together", "--seeds=1,2", "--modules=full")
        .exits(2, "full fine-tuning changes the encoder");
    assertFalse(Files.exists(output));
    train(output, "--together", "--seeds=1,2", "--modules=random", "--budget=3")
        .exits(2, "the budget must leave room");
    assertFalse(Files.exists(output));
  }

  @Test
  void seedsThatAreWrongAreRefusedAndNothingIsLeft() {
    Path output = temporary.resolve("wrong-seeds");
    train(output, "--seeds=1,2,1").exits(2, "none of them twice, got [1, 2, 1]");
    assertFalse(Files.exists(output));
    train(output, "--seeds=1,2", "--modules=random", "--budget=3")
        .exits(2, "the budget must leave room");
    assertFalse(Files.exists(output));
  }

  @Test
  void tensorBoardReadsTheMetricsOfARun() throws IOException {
    Path output = temporary.resolve("board");
    train(output, "--modules=head", "--report-to=tensorboard", "--epochs=2").exits(0);
    List<Path> events;
    try (var files = Files.list(output)) {
      events = files.filter(file -> file.toString().contains("tfevents")).toList();
    }
    assertEquals(1, events.size());
    String content = Files.readString(events.get(0), java.nio.charset.StandardCharsets.ISO_8859_1);
    for (String tag :
        List.of(
            "train/loss",
            "train/learning_rate_factor",
            "train/validation_accuracy",
            "train/test_accuracy")) {
      assertTrue(content.contains(tag), tag);
    }
    assertTrue(content.matches("(?s).*\\| setup\\.training\\.batchSize +\\| 32 +\\|.*"), content);
    // Two steps an epoch; two epochs.
    assertEquals(4, content.split("train/loss", -1).length - 1);
    assertEquals(2, content.split("train/validation_accuracy", -1).length - 1);
  }
}
