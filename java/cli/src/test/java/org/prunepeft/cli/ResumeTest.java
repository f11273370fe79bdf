package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.PrunePeft;
import org.prunepeft.SeedRuns;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Metric;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.model.Quantization;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.search.DepthOrder.Layers;
import org.prunepeft.search.PruningRound;
import org.prunepeft.search.WarmUpSettings;
import org.prunepeft.settings.Budget;
import org.prunepeft.settings.Checkpointing;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.PeerSettings;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.settings.SetupBuilder;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.train.NonFinite;
import org.prunepeft.train.OptimizerType;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.TrainingSettingsBuilder;

/** Runs that are cut off, resumed, and end as one that was not. */
@Timeout(3600)
class ResumeTest {
  private static final int STEPS = 2;

  /** Runs that nothing cut off, of each kind: {@code java/repeat-random-tests} makes them once. */
  private static final Map<Kind, Whole> WHOLE = new EnumMap<>(Kind.class);

  /** What those runs are made of: the weights are a prop, the moments are drawn. */
  private static Path lasting;

  @TempDir static Path temporary;
  private static Path model;
  private static DataFiles texts;
  private static DataFiles pairs;
  private static DataFiles numbers;
  private static DataFiles two;
  private static Path llama;
  private static DataFiles lines;
  private static DataFiles answers;

  @BeforeAll
  static void write() throws IOException {
    if (lasting != null) {
      return;
    }
    lasting = Small.lasting();
    model = Small.fixedModel(lasting);
    Path file = lasting.resolve("pairs.tsv");
    Files.writeString(
        file,
        IntStream.range(0, 100)
            .mapToObj(i -> "%s\t%s\t%d\n".formatted("the ".repeat(1 + i % 7), "in " + i, i % 3))
            .collect(Collectors.joining("", "text\tpair\tlabel\n", "")));
    texts = classified(file, null);
    numbers = new DataFiles(file, null, null, texts.columns(), TaskKind.REGRESSION, List.of());
    Path ofTwo = lasting.resolve("two.tsv");
    Files.writeString(ofTwo, Files.readString(file).replace("\t2\n", "\t1\n"));
    two = classified(ofTwo, null);
    pairs = classified(file, "pair");
    llama = Small.fixedLlama(lasting);
    Path jsonLines = lasting.resolve("lines.jsonl");
    Files.writeString(
        jsonLines,
        IntStream.range(0, 100)
            .mapToObj(i -> "{\"text\": \"%s%d\"}%n".formatted("so it ".repeat(1 + i % 3), i))
            .collect(Collectors.joining()));
    lines =
        new DataFiles(
            jsonLines, null, null, Columns.DEFAULT, TaskKind.LANGUAGE_MODELING, List.of());
    Path prompts = lasting.resolve("prompts.jsonl");
    Files.writeString(
        prompts,
        IntStream.range(0, 130)
            .mapToObj(i -> "{\"prompt\": \"so %d:\", \"completion\": \"it\"}%n".formatted(i))
            .collect(Collectors.joining()));
    answers =
        new DataFiles(
            prompts,
            null,
            null,
            Columns.DEFAULT,
            TaskKind.LANGUAGE_MODELING,
            List.of(Metric.EXACT_MATCH));
  }

  private static DataFiles classified(Path file, String pair) {
    Columns columns = new Columns("text", pair, "label", true);
    return new DataFiles(file, null, null, columns, TaskKind.CLASSIFICATION, List.of());
  }

  /** What ends a run somewhere. */
  private static final class Killed extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  /** Counts what it hears, and the steps of trainings. */
  private static class Counter implements ProgressListener {
    private String work = "";
    private int heard;
    private int steps;

    /**
     * Once something was heard.
     *
     * @param count of what was heard before
     * @param name of the work that goes on
     */
    void hear(int count, String name) {}

    private void hear() {
      hear(heard++, work);
    }

    @Override
    public void directory(Path directory) {
      hear();
    }

    @Override
    public void started(String name, String unit, long total) {
      work = name;
      hear();
    }

    @Override
    public void progress(long done, String detail) {
      hear();
    }

    @Override
    public void metrics(String training, long step, Map<String, Double> values) {
      steps += values.containsKey("learning_rate_factor") ? 1 : 0;
      hear();
    }

    @Override
    public void message(String line) {
      hear();
    }
  }

  /** Ends the run for good at something that it hears. */
  private static final class Killer extends Counter {
    private final int last;

    Killer(int last) {
      this.last = last;
    }

    @Override
    void hear(int count, String name) {
      if (count >= last) {
        throw new Killed();
      }
    }
  }

  /** Kinds of runs; of a task, whose texts take long to read, one alone. */
  private enum Kind {
    TASK {
      @Override
      Setup setup(SetupBuilder setup) {
        return setup.files(null).build();
      }
    },
    TRAIN,
    /** The layers below are kept from epoch to epoch, of as many examples as there is room for. */
    UPPER_LAYERS {
      @Override
      ModuleChoice choice() {
        return ModuleChoice.layers(Layers.LAST, Budget.share(0.3));
      }
    },
    ADALORA {
      @Override
      Setup setup(SetupBuilder setup) {
        return setup
            .lora(
                LoraConfig.of(4, 4, 0.1, List.of("query", "value"))
                    .withAdaLora(
                        AdaLoraConfig.builder().initR(4).targetR(2).tinit(2).tfinal(2).build()))
            .adapter(null)
            .build();
      }
    },
    ADAFACTOR_AND_PATIENCE {
      @Override
      TrainingSettingsBuilder training(TrainingSettingsBuilder training) {
        return training.optimizer(OptimizerType.ADAFACTOR).earlyStoppingPatience(1);
      }
    },
    /** Steps are left out; of each epoch it is kept how many examples it has lost so. */
    STEPS_LEFT_OUT {
      @Override
      Setup setup(SetupBuilder setup) {
        return setup.modules(List.of(UnstableModules.register())).build();
      }

      @Override
      TrainingSettingsBuilder training(TrainingSettingsBuilder training) {
        return training.nonFinite(NonFinite.SKIP);
      }
    },
    QUANTIZED {
      @Override
      Setup setup(SetupBuilder setup) {
        return setup.quantization(Quantization.NF4).build();
      }
    },
    FULL {
      @Override
      ModuleChoice choice() {
        return ModuleChoice.full();
      }
    },
    SEARCH {
      @Override
      void run(Setup setup, ProgressListener listener) {
        PrunePeft.search(setup, search(true), listener);
      }
    },
    /** Its trainings are made again at half the rates, under the same names. */
    SEARCH_THAT_DIVERGES {
      @Override
      TrainingSettingsBuilder training(TrainingSettingsBuilder training) {
        return training.loraLearningRate(3).adapterLearningRate(3);
      }

      @Override
      void run(Setup setup, ProgressListener listener) {
        PrunePeft.search(setup, search(true), listener);
      }
    },
    /** Its trainings diverge, again at half the rates; that of what is kept leaves steps out. */
    SEARCH_WHOSE_STEPS_ARE_NOT_FINITE {
      @Override
      Setup setup(SetupBuilder setup) {
        return STEPS_LEFT_OUT.setup(setup);
      }

      @Override
      TrainingSettingsBuilder training(TrainingSettingsBuilder training) {
        return STEPS_LEFT_OUT.training(training);
      }

      @Override
      void run(Setup setup, ProgressListener listener) {
        PrunePeft.search(setup, search(true), listener);
      }
    },
    SEARCH_THAT_KEEPS_WEIGHTS {
      @Override
      void run(Setup setup, ProgressListener listener) {
        PrunePeft.search(setup, search(false), listener);
      }
    },
    MEASURED {
      @Override
      void run(Setup setup, ProgressListener listener) {
        SearchSettings settings =
            SearchSettings.builder()
                .measured(
                    MeasuringSettings.DEFAULT
                        .with()
                        .supernetExamples(24)
                        .supernetEpochs(2)
                        .measuredExamples(24)
                        .subsets(24)
                        .moduleSlices(2)
                        .build())
                .keep(0.5)
                .build();
        PrunePeft.search(setup, settings, listener);
      }
    },
    GATES {
      @Override
      void run(Setup setup, ProgressListener listener) {
        PrunePeft.search(setup, peer(PeerSettings.Method.GATES), listener);
      }
    },
    FIRST_ORDER {
      @Override
      void run(Setup setup, ProgressListener listener) {
        PrunePeft.search(setup, peer(PeerSettings.Method.FIRST_ORDER), listener);
      }
    },
    BAYESIAN {
      @Override
      void run(Setup setup, ProgressListener listener) {
        PrunePeft.search(setup, peer(PeerSettings.Method.BAYESIAN), listener);
      }
    },
    /** The head of a regression is standardised until the training ends. */
    REGRESSION {
      @Override
      Setup setup(SetupBuilder setup) {
        return setup.files(numbers).build();
      }
    },
    /** The threshold is part of the head's bias once it is chosen. */
    TUNED_THRESHOLD {
      @Override
      Setup setup(SetupBuilder setup) {
        return setup.files(two).build();
      }

      @Override
      TrainingSettingsBuilder training(TrainingSettingsBuilder training) {
        return training.tuneThreshold(true);
      }
    },
    /** The head alone is kept, and the modules' weights are drawn again. */
    NO_EPOCH_IS_BETTER {
      @Override
      TrainingSettingsBuilder training(TrainingSettingsBuilder training) {
        return training.loraLearningRate(1e-12).adapterLearningRate(1e-12).headLearningRate(1e-12);
      }
    },
    ALL_LINEAR {
      @Override
      ModuleChoice choice() {
        return ModuleChoice.allLinear(Budget.share(0.9));
      }
    },
    /** Each text by itself; what the layers below say of it is kept from epoch to epoch. */
    PAIRS {
      @Override
      Setup setup(SetupBuilder setup) {
        return setup.files(pairs).pairEncoding(PairEncoding.SEPARATE).build();
      }

      @Override
      ModuleChoice choice() {
        return ModuleChoice.layers(Layers.LAST, Budget.share(0.3));
      }
    },
    LANGUAGE_MODEL {
      @Override
      Setup setup(SetupBuilder setup) {
        return setup.model(llama.toString()).files(lines).build();
      }
    },
    /** Its test writes texts, of more prompts than are written at once. */
    ANSWERS {
      @Override
      Setup setup(SetupBuilder setup) {
        return setup
            .model(llama.toString())
            .files(answers)
            .sizes(new SplitSizes(48, 24, 40))
            .build();
      }

      @Override
      TrainingSettingsBuilder training(TrainingSettingsBuilder training) {
        return training.maxNewTokens(2);
      }
    },
    LANGUAGE_MODELS_TOGETHER {
      @Override
      Setup setup(SetupBuilder setup) {
        return LANGUAGE_MODEL.setup(setup);
      }

      @Override
      void run(Setup setup, ProgressListener listener) {
        SeedRuns.together(
            setup,
            choice(),
            List.of(3L, 5L),
            listener,
            (own, shared) -> PrunePeft.train(own, choice(), listener, shared));
      }
    },
    SEEDS {
      @Override
      void run(Setup setup, ProgressListener listener) {
        SeedRuns.of(
            setup,
            choice(),
            List.of(3L, 5L),
            listener,
            own -> PrunePeft.train(own, choice(), listener));
      }
    },
    SEARCHES_TOGETHER {
      @Override
      void run(Setup setup, ProgressListener listener) {
        SeedRuns.together(
            setup,
            search(true),
            List.of(3L, 5L),
            listener,
            (own, shared) -> PrunePeft.search(own, search(true), listener, shared).retrained());
      }
    };

    ModuleChoice choice() {
      return ModuleChoice.supernet();
    }

    Setup setup(SetupBuilder setup) {
      return setup.build();
    }

    TrainingSettingsBuilder training(TrainingSettingsBuilder training) {
      return training;
    }

    void run(Setup setup, ProgressListener listener) {
      PrunePeft.train(setup, choice(), listener);
    }

    private static SearchSettings peer(PeerSettings.Method method) {
      return SearchSettings.builder()
          .peer(
              PeerSettings.DEFAULT
                  .with()
                  .method(method)
                  .searchExamples(24)
                  .searchEpochs(2)
                  .trials(3)
                  .build())
          .build();
    }

    private static SearchSettings search(boolean fresh) {
      return SearchSettings.builder()
          .warmUp(WarmUpSettings.DEFAULT.withTurns(1))
          .warmUpExamples(24)
          .warmUpEpochs(1)
          .rounds(2)
          .roundExamples(32)
          .reinitialise(fresh)
          .build();
    }

    void run(Path output, boolean resume, ProgressListener listener) {
      run(output, new Checkpointing(STEPS, resume), listener);
    }

    void run(Path output, Checkpointing checkpoints, ProgressListener listener) {
      SetupBuilder setup =
          Setup.builder()
              .model(model.toString())
              .files(texts)
              .sizes(new SplitSizes(48, 24, 16))
              .lora(LoraConfig.of(2, 4, 0.1, List.of("query", "value")))
              .adapter(AdapterConfig.of(3, AdapterConfig.DEFAULT.nonLinearity()))
              .training(
                  training(
                          TrainingSettings.builder()
                              .maxLength(24)
                              .batchSize(4)
                              .gradientAccumulationSteps(2))
                      .build())
              .epochs(3)
              .threads(1)
              .output(output)
              .checkpoints(checkpoints);
      run(setup(setup), listener);
    }
  }

  /**
   * A run that nothing cut off.
   *
   * @param heard how much its listener heard
   * @param steps of its trainings
   */
  private record Whole(int heard, int steps, Map<String, byte[]> results) {
    static Whole of(Kind kind) {
      return WHOLE.computeIfAbsent(
          kind,
          k -> {
            Path run = lasting.resolve(kind + "-whole");
            Counter counter = new Counter();
            kind.run(run, false, counter);
            try {
              return new Whole(counter.heard, counter.steps, Results.of(run));
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
    }
  }

  @ParameterizedTest
  @EnumSource
  void aRunThatIsCutOffAgainAndAgainEndsAsOneThatIsNot(Kind kind) throws IOException {
    Whole whole = Whole.of(kind);
    Random random = TestSeed.random();
    Path run = temporary.resolve(kind.toString());
    int kills = 0;
    boolean complete = false;
    while (!complete) {
      // The later ones have a chance to end.
      Killer killer = new Killer(random.nextInt(whole.heard * (kills + 2) / 2));
      try {
        kind.run(run, kills > 0, killer);
        complete = true;
      } catch (Killed e) {
        kills++;
      }
    }
    Results.assertSame(whole.results, run);
  }

  /** When a run is cancelled: see {@link Counter#hear}. */
  @FunctionalInterface
  private interface Cancellation {
    Cancellation NONE = (count, name) -> false;
    Cancellation IN_TEST = (count, name) -> name.equals("test");

    boolean comes(int count, String name);
  }

  /** Cancels the run from something that it hears on. */
  private static final class Canceller extends Counter {
    private final Cancellation cancellation;
    private boolean cancelled;

    Canceller(Cancellation cancellation) {
      this.cancellation = cancellation;
    }

    @Override
    void hear(int count, String name) {
      cancelled |= cancellation.comes(count, name);
    }

    @Override
    public boolean cancelled() {
      return cancelled;
    }
  }

  /**
   * Cancels a run, and again where it goes on, as long as it is not complete. No checkpoint is due:
   * there are none but those that are written where it is cancelled.
   */
  private static void assertNoStepIsMadeTwice(Kind kind, Path run, List<Cancellation> cancellations)
      throws IOException {
    Whole whole = Whole.of(kind);
    int steps = 0;
    int cancelled = 0;
    for (Cancellation cancellation : cancellations) {
      Canceller canceller = new Canceller(cancellation);
      try {
        kind.run(run, new Checkpointing(0, cancelled > 0), canceller);
        break;
      } catch (CancellationException e) {
        cancelled++;
      } finally {
        steps += ((Counter) canceller).steps;
      }
    }
    assertTrue(cancelled > 0 && RunDirectory.isComplete(run), cancelled + " times");
    assertEquals(whole.steps, steps);
    Results.assertSame(whole.results, run);
  }

  @ParameterizedTest
  @EnumSource
  void aRunThatIsCancelledInItsTestGoesOnThere(Kind kind) throws IOException {
    assertNoStepIsMadeTwice(
        kind,
        temporary.resolve("test-" + kind),
        List.of(
            Cancellation.IN_TEST, Cancellation.IN_TEST, Cancellation.IN_TEST, Cancellation.NONE));
  }

  /** In trainings, between and before them; those together go on for a step where one is. */
  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.MATCH_NONE, names = ".*TOGETHER")
  void aRunThatIsCancelledAgainAndAgainMakesNoStepTwice(Kind kind) throws IOException {
    Random random = TestSeed.random();
    int heard = Whole.of(kind).heard;
    List<Cancellation> cancellations = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      int at = random.nextInt(i == 0 ? heard / 2 : heard);
      cancellations.add((count, name) -> count >= at);
    }
    cancellations.add(Cancellation.NONE);
    assertNoStepIsMadeTwice(kind, temporary.resolve("cancelled-" + kind), cancellations);
  }

  /** Trainings of one name are numbered: those that are not made again count too. */
  @Test
  void aTrainingWhoseNameWasThereKeepsItsNumber() throws IOException {
    Path run = temporary.resolve("numbered-killed");
    ProgressListener killer =
        new ProgressListener() {
          @Override
          public void metrics(String training, long step, Map<String, Double> values) {
            if (training.endsWith(" (2)") && step == STEPS + 1) {
              throw new Killed();
            }
          }
        };
    assertThrows(Killed.class, () -> Kind.SEARCH_THAT_DIVERGES.run(run, false, killer));
    Kind.SEARCH_THAT_DIVERGES.run(run, true, ProgressListener.NONE);
    Results.assertSame(Whole.of(Kind.SEARCH_THAT_DIVERGES).results, run);
  }

  @Test
  void whyTheTrainingsOfASearchDivergedIsSaidAndKept() throws IOException {
    Path run = temporary.resolve("diverged");
    List<String> said = new ArrayList<>();
    Kind.SEARCH_WHOSE_STEPS_ARE_NOT_FINITE.run(
        run,
        false,
        new ProgressListener() {
          @Override
          public void message(String line) {
            said.add(line);
          }
        });
    // What is not finite, and where.
    String why = "the gradient of step 2 is NaN at step 2 of ";
    for (String training : List.of("warm-up turn 1, ", "round 1, ", "round 2, ")) {
      assertTrue(
          said.stream()
              .anyMatch(line -> line.startsWith(training) && line.contains(" diverged: " + why)),
          training + " is not in: " + said);
    }
    for (PruningRound round :
        RunDirectory.open(run).readJsonArray("rounds.json", PruningRound.class)) {
      String kept = round.divergence().orElseThrow();
      assertTrue(kept.startsWith(why) && kept.contains("(examples "), kept);
    }
    // As an earlier version wrote it.
    Path earlier = Files.createDirectory(temporary.resolve("earlier"));
    String rounds = Files.readString(run.resolve("rounds.json"));
    String without = rounds.replaceAll(",\\s*\"divergence\" : \"[^\"]*\"", "");
    assertTrue(without.length() < rounds.length(), rounds);
    Files.writeString(earlier.resolve("rounds.json"), without);
    for (PruningRound round :
        RunDirectory.look(earlier).readJsonArray("rounds.json", PruningRound.class)) {
      assertEquals(Optional.of("diverged"), round.sickness());
      assertEquals(Optional.empty(), round.divergence());
    }
    String strategy = Files.readString(run.resolve("strategy.json"));
    assertTrue(strategy.contains("\"divergence\" : \"" + why), strategy);
    String summary = Files.readString(run.resolve("summary.md"));
    assertEquals(2, summary.lines().filter(line -> line.startsWith("why it diverged: ")).count());
    assertTrue(summary.contains("\nwhy it diverged: " + why), summary);
    assertTrue(summary.contains(" 1 diverged: " + why), summary);
  }

  @Test
  void checkpointsAreThereWhileARunGoesOnAndTwoAreKept() throws IOException {
    Path run = temporary.resolve("kept");
    assertThrows(Killed.class, () -> Kind.TRAIN.run(run, false, new Killer(40)));
    assertEquals(4, Small.names(run.resolve(CheckpointDirectory.NAME)).size());
    Kind.TRAIN.run(run, true, ProgressListener.NONE);
    assertFalse(Files.exists(run.resolve(CheckpointDirectory.NAME)));
  }

  @ParameterizedTest
  @ValueSource(strings = {".safetensors", ".json"})
  void aDamagedCheckpointIsPassedOver(String ending) throws IOException {
    Path run = temporary.resolve("damaged" + ending);
    assertThrows(Killed.class, () -> Kind.TRAIN.run(run, false, new Killer(40)));
    Path checkpoints = run.resolve(CheckpointDirectory.NAME);
    List<String> files =
        Small.names(checkpoints).stream().filter(name -> name.endsWith(ending)).toList();
    Path newest = checkpoints.resolve(files.get(1));
    byte[] content = Files.readAllBytes(newest);
    if (ending.equals(".json")) {
      // Valid JSON still, of another step.
      content[indexOfStep(content)] ^= 1;
    } else {
      content[content.length - 1 - TestSeed.random().nextInt(content.length)] ^= 4;
    }
    Files.write(newest, content);
    StringBuilder said = new StringBuilder();
    Kind.TRAIN.run(
        run,
        true,
        new ProgressListener() {
          @Override
          public void message(String line) {
            said.append(line);
          }
        });
    assertTrue(said.toString().contains(newest + " is damaged"), said.toString());
    Results.assertSame(Whole.of(Kind.TRAIN).results, run);
  }

  /** A file that can't be made again: the run could only be begun anew. */
  @Test
  void metricsThatAreNotWhatTheyWereAreRefusedWithTheRemedy() throws IOException {
    Path run = temporary.resolve("damaged-metrics");
    assertThrows(Killed.class, () -> Kind.TRAIN.run(run, false, new Killer(40)));
    Path metrics = run.resolve("metrics.jsonl");
    byte[] content = Files.readAllBytes(metrics);
    // A digit of the first loss.
    int digit = new String(content, StandardCharsets.UTF_8).indexOf("\"loss\":") + 12;
    content[digit] ^= 1;
    Files.write(metrics, content);
    String said =
        assertThrows(
                UnresumableRunException.class,
                () -> Kind.TRAIN.run(run, true, ProgressListener.NONE))
            .getMessage();
    assertTrue(
        said.matches(
            "\\Q%s\\E is damaged or was changed: its first [0-9]+ bytes have CRC-32C [0-9a-f]{8}, but had [0-9a-f]{8} when the checkpoint was written; restore it from a copy, or delete the directory 'checkpoints' of the run that is resumed, to begin it from its start"
                .formatted(metrics)),
        said);
    assertArrayEquals(content, Files.readAllBytes(metrics));
    Directories.delete(run.resolve(CheckpointDirectory.NAME));
    Kind.TRAIN.run(run, true, ProgressListener.NONE);
    Results.assertSame(Whole.of(Kind.TRAIN).results, run);
  }

  /** Earlier versions kept the length of the metrics and no checksum. */
  @Test
  void aCheckpointWithoutTheMetricsChecksumIsTaken() throws IOException {
    Path run = temporary.resolve("no-checksum");
    assertThrows(Killed.class, () -> Kind.TRAIN.run(run, false, new Killer(40)));
    Path checkpoints = run.resolve(CheckpointDirectory.NAME);
    for (String name : Small.names(checkpoints)) {
      if (name.endsWith(".json")) {
        Path file = checkpoints.resolve(name);
        String text = Files.readString(file);
        String earlier = text.replaceFirst(",\\s*\"crc32c\" : \"[0-9a-f]{8}\"", "");
        assertFalse(text.equals(earlier), text);
        Files.writeString(file, earlier);
        seal(file);
      }
    }
    Kind.TRAIN.run(run, true, ProgressListener.NONE);
    Results.assertSame(Whole.of(Kind.TRAIN).results, run);
  }

  @Test
  void settingsThatAreNotWhatTheyWereAreRefused() throws IOException {
    Path run = temporary.resolve("damaged-config");
    assertThrows(Killed.class, () -> Kind.TRAIN.run(run, false, new Killer(40)));
    Path config = run.resolve("config.json");
    String text = Files.readString(config);
    // The year in which it began, which is compared with nothing.
    Files.writeString(config, text.replaceFirst("\"began\" : \"2", "\"began\" : \"3"));
    assertFalse(text.equals(Files.readString(config)));
    String said =
        assertThrows(
                UnresumableRunException.class,
                () -> Kind.TRAIN.run(run, true, ProgressListener.NONE))
            .getMessage();
    assertTrue(said.startsWith(config + " is damaged or was changed: its content has "), said);
    Files.writeString(config, text);
    Kind.TRAIN.run(run, true, ProgressListener.NONE);
    Results.assertSame(Whole.of(Kind.TRAIN).results, run);
  }

  /** Nothing else says what the run began with. */
  @ParameterizedTest
  @CsvSource({"TRAIN, config.json", "LANGUAGE_MODELS_TOGETHER, seed-5/config.json"})
  void settingsThatAreGoneBesideACheckpointAreRefused(Kind kind, String name) throws IOException {
    for (boolean restored : new boolean[] {true, false}) {
      Path run = temporary.resolve(kind + "-gone-" + restored);
      ProgressListener killer =
          new ProgressListener() {
            @Override
            public void metrics(String training, long step, Map<String, Double> values) {
              if (step == STEPS + 1) {
                throw new Killed();
              }
            }
          };
      assertThrows(Killed.class, () -> kind.run(run, false, killer));
      Path config = run.resolve(name);
      byte[] content = Files.readAllBytes(config);
      Files.delete(config);
      String said =
          assertThrows(
                  UnresumableRunException.class, () -> kind.run(run, true, ProgressListener.NONE))
              .getMessage();
      assertEquals(
          config
              + " is gone, but was there when the checkpoint was written; restore it from a copy, or delete the directory 'checkpoints' of the run that is resumed, to begin it from its start",
          said);
      assertFalse(Files.exists(config));
      if (restored) {
        Files.write(config, content);
      } else {
        Directories.delete(run.resolve(CheckpointDirectory.NAME));
      }
      kind.run(run, true, ProgressListener.NONE);
      Results.assertSame(Whole.of(kind).results, run);
    }
  }

  /** Where the last digit of the first step is. */
  private static int indexOfStep(byte[] json) {
    Matcher step =
        Pattern.compile("\"step\" : [0-9]+").matcher(new String(json, StandardCharsets.UTF_8));
    assertTrue(step.find());
    return step.end() - 1;
  }

  /** Trials had their metrics alone once. */
  @Test
  void aCheckpointThatLacksWhatThisVersionKeepsIsRefusedWithTheRemedy() throws IOException {
    Path run = temporary.resolve("earlier-version");
    ProgressListener killer =
        new ProgressListener() {
          @Override
          public void metrics(String training, long step, Map<String, Double> values) {
            if (training.startsWith("trial 2") && step == STEPS + 1) {
              throw new Killed();
            }
          }
        };
    assertThrows(Killed.class, () -> Kind.BAYESIAN.run(run, false, killer));
    Path checkpoints = run.resolve(CheckpointDirectory.NAME);
    for (String name : Small.names(checkpoints)) {
      if (name.endsWith(".json")) {
        Path file = checkpoints.resolve(name);
        String text = Files.readString(file);
        assertTrue(text.contains("\"trials\""), text);
        Files.writeString(file, text.replace("\"trials\"", "\"metrics\""));
        seal(file);
      }
    }
    String said =
        assertThrows(
                RunDirectoryException.class,
                () -> Kind.BAYESIAN.run(run, true, ProgressListener.NONE))
            .getMessage();
    assertTrue(said.contains("peer/trials: another version of PrunePEFT wrote it; "), said);
    Directories.delete(checkpoints);
    Kind.BAYESIAN.run(run, true, ProgressListener.NONE);
    RunDirectory.open(run);
  }

  /** Gives a checkpoint's other members the checksum that they have now. */
  private static void seal(Path file) throws IOException {
    Map<String, Object> object = RunDirectory.parse(file);
    object.remove("sha256");
    MessageDigest digest = FileChecksum.digest();
    digest.update(RunDirectory.format("checkpoint", object).getBytes(StandardCharsets.UTF_8));
    object.put("sha256", FileChecksum.hex(digest));
    Files.writeString(file, RunDirectory.format("checkpoint", object));
  }

  @Test
  void aDirectoryThatIsDeletedMeanwhileIsNoticedAndNotMadeAgain() {
    Path run = temporary.resolve("deleted");
    ProgressListener deleter =
        new ProgressListener() {
          @Override
          public void progress(long done, String detail) {
            if (detail.startsWith("loss") && done == 3) {
              Directories.delete(run);
            }
          }
        };
    RunDirectoryException e =
        assertThrows(RunDirectoryException.class, () -> Kind.TRAIN.run(run, false, deleter));
    assertTrue(e.getMessage().contains("the directory " + run + " is gone"), e.getMessage());
    assertFalse(Files.exists(run));
  }

  @Test
  void aRunOnTwoFilesOfOneNameIsResumed() throws IOException {
    Path other = Files.createDirectories(temporary.resolve("test")).resolve("pairs.tsv");
    Files.writeString(other, Files.readString(pairs.train()).replace("in ", "on "));
    Setup setup =
        Setup.builder()
            .model(model.toString())
            .files(
                new DataFiles(pairs.train(), null, other, pairs.columns(), pairs.kind(), List.of()))
            .epochs(1)
            .threads(1)
            .training(TrainingSettings.builder().maxLength(24).build())
            .output(temporary.resolve("one-name"))
            .checkpoints(new Checkpointing(STEPS, false))
            .build();
    assertThrows(
        Killed.class, () -> PrunePeft.train(setup, ModuleChoice.supernet(), new Killer(12)));
    PrunePeft.train(
        setup.withCheckpoints(new Checkpointing(STEPS, true)),
        ModuleChoice.supernet(),
        ProgressListener.NONE);
    RunDirectory.open(setup.output());
  }

  @Test
  void aCompleteRunIsNotResumed() {
    Path run = temporary.resolve("complete");
    Kind.TRAIN.run(run, false, ProgressListener.NONE);
    RunDirectoryException e =
        assertThrows(
            RunDirectoryException.class, () -> Kind.TRAIN.run(run, true, ProgressListener.NONE));
    assertTrue(e.getMessage().contains("nothing to go on with"), e.getMessage());
    RunDirectory.open(run);
  }

  /** A bit flips in a file of the run, or it goes, while the modules that were kept are trained. */
  @ParameterizedTest
  @CsvSource({
    "SEARCH, config.json",
    "SEARCH, strategy.json",
    "SEARCH, rounds.json",
    "SEARCH, configuration.json",
    "SEARCH, metrics.jsonl",
    "BAYESIAN, peer.json",
    "MEASURED, measured.json"
  })
  void whatChangesWhileARunGoesOnIsNotSigned(Kind kind, String name) throws IOException {
    Random random = TestSeed.random();
    boolean deleted = random.nextBoolean();
    Path run = temporary.resolve("changed-" + name);
    Path file = run.resolve(name);
    ProgressListener changing =
        new ProgressListener() {
          private boolean changed;

          @Override
          public void metrics(String training, long step, Map<String, Double> values) {
            if (!changed && Files.exists(run.resolve("configuration.json"))) {
              changed = true;
              change();
            }
          }

          private void change() {
            try {
              byte[] content = Files.readAllBytes(file);
              content[random.nextInt(content.length)] ^= (byte) (1 << random.nextInt(8));
              Files.delete(file);
              if (!deleted) {
                Files.write(file, content);
              }
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }
        };
    String said =
        assertThrows(RunDirectoryException.class, () -> kind.run(run, false, changing))
            .getMessage();
    assertTrue(said.startsWith(file + " ") && said.contains("resume the run"), said);
    assertFalse(Files.exists(run.resolve("result.json")));
    if (List.of("strategy.json", "rounds.json", "peer.json").contains(name)) {
      kind.run(run, true, ProgressListener.NONE);
      Results.assertSame(Whole.of(kind).results, run);
    }
  }
}
