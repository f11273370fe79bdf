package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.AdapterExport;
import org.prunepeft.PrunePeft;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Columns;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.model.OnnxOptions;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.search.WarmUpSettings;
import org.prunepeft.settings.Checkpointing;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.FailingWrites;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.WriteFailures;
import org.prunepeft.train.TrainingSettings;

/** A disk that is full, at each write of an export, of a whole training and of a whole search. */
@FixedSeed("the weights are a prop: each write fails whatever is written")
class WriteFailureTest {
  @TempDir static Path temporary;
  private static Path run;

  private static Path tiny;
  private static Path labels;

  /** Of a language model. */
  private static Path written;

  /** A number: one of so many writes fails, of each export; docs/testing.md has the command. */
  private static final String EVERY = "prunepeft.writes.every";

  @BeforeAll
  static void train() throws IOException {
    run = temporary.resolve("run");
    written = temporary.resolve("written");
    Call.of(
            "train",
            "--model=" + LlamaDirectory.write(temporary.resolve("tiny-llama")),
            "--train-file=" + LetterPairs.write(temporary, 40),
            Small.modules(),
            "--modules=lora",
            "--output=" + written)
        .exits(0);
    tiny = Small.model(temporary);
    labels = temporary.resolve("labels.tsv");
    Files.writeString(
        labels,
        IntStream.range(0, 20)
            .mapToObj(i -> "%s%d\t%d\n".formatted("the ".repeat(1 + i % 3), i, i % 2))
            .collect(Collectors.joining("", "text\tlabel\n", "")));
    Call.of(
            "train",
            "--model=" + tiny,
            Small.examples(24),
            "--lora-r=2",
            "--adapter-size=0",
            "--output=" + run)
        .exits(0);
  }

  /** Exports into a new directory; what a failed export has left, its user deletes. */
  private static void check(String name, WriteFailures.Action export) throws Exception {
    check(name, 2, export);
  }

  /**
   * @param most one of so many writes fails, where {@value #EVERY} doesn't say
   */
  private static void check(String name, int most, WriteFailures.Action export) throws Exception {
    int every = Integer.getInteger(EVERY, most);
    Path failures = Files.createDirectory(temporary.resolve(name + "-failures"));
    new WriteFailures(failures, every)
        .of(
            name,
            directory -> {},
            directory -> {
              Path output = directory.resolve("out");
              if (Files.exists(output)) {
                Directories.delete(output);
              }
              try {
                export.run(output);
              } catch (Exception e) {
                assertTrue(isMarkedOrEmpty(Path.of(output.toString())), e.toString());
                throw e;
              }
            });
  }

  /** Whether nobody takes it for a complete one. */
  private static boolean isMarkedOrEmpty(Path output) throws IOException {
    if (Files.notExists(output) || Files.exists(output.resolve(RunDirectory.INCOMPLETE))) {
      return true;
    }
    try (var files = Files.list(output)) {
      return files.findAny().isEmpty();
    }
  }

  /** Writes a run with checkpoints into a directory. */
  private enum Kind {
    TRAIN {
      @Override
      void run(Setup setup) {
        PrunePeft.train(setup, ModuleChoice.supernet(), ProgressListener.NONE);
      }
    },
    SEARCH {
      @Override
      void run(Setup setup) {
        SearchSettings settings =
            SearchSettings.builder()
                .warmUp(WarmUpSettings.DEFAULT.withTurns(1))
                .warmUpExamples(8)
                .warmUpEpochs(1)
                .rounds(1)
                .roundExamples(8)
                .build();
        PrunePeft.search(setup, settings, ProgressListener.NONE);
      }
    };

    abstract void run(Setup setup);

    void run(Path output, boolean resume) {
      Columns columns = new Columns("text", null, "label", true);
      run(
          Setup.builder()
              .model(tiny.toString())
              .files(new DataFiles(labels, null, null, columns, TaskKind.CLASSIFICATION, List.of()))
              .sizes(new SplitSizes(8, 4, 4))
              .lora(LoraConfig.of(2, 4, 0.1, List.of("query")))
              .adapter(null)
              .training(TrainingSettings.builder().maxLength(8).batchSize(4).build())
              .epochs(2)
              .threads(1)
              .output(output)
              .checkpoints(new Checkpointing(2, resume))
              .build());
    }
  }

  /**
   * What a failed write leaves says that it is incomplete and why, and goes on to the bytes of a
   * run that nothing failed; or it is complete and has these.
   */
  @ParameterizedTest
  @CsvSource({"TRAIN, 41", "SEARCH, 151"})
  void aRunIsWholeOrGoesOnToTheSameBytes(Kind kind, int most) throws Exception {
    int every = Integer.getInteger(EVERY, most);
    Path whole = temporary.resolve(kind + "-whole");
    kind.run(whole, false);
    Map<String, byte[]> expected = Results.of(whole);
    int writes = 0;
    for (boolean andLater : new boolean[] {false, true}) {
      for (int n = andLater ? 1 + every / 2 : 1; fails(kind, n, andLater, expected); n += every) {
        writes = Math.max(writes, n);
      }
    }
    assertTrue(writes > 0);
    System.out.printf("%s: one of %d writes failed%n", kind, writes);
    isTheSameWithShortWrites(kind, expected);
  }

  private static void isTheSameWithShortWrites(Kind kind, Map<String, byte[]> expected)
      throws IOException {
    Path output = temporary.resolve(kind + "-halves");
    FailingWrites failing = new FailingWrites();
    failing.halve();
    kind.run(failing.at(output), false);
    Results.assertSame(expected, output);
    Manifest.verify(RunDirectory.open(output));
    Directories.delete(output);
  }

  /** Such as predictions, a report and a run's options. */
  @Test
  void aTextIsWholeOrAsItWas() throws Exception {
    String text = "the thing in a tin\n".repeat(2_000);
    Path failures = Files.createDirectory(temporary.resolve("text-failures"));
    new WriteFailures(failures)
        .of(
            "text",
            directory -> Files.writeString(directory.resolve("file"), "before"),
            directory -> Outputs.write(directory.resolve("file"), writer -> writer.write(text)));
  }

  @Test
  void aSubmissionIsThereAsAWholeOrNotAtAll() throws Exception {
    Path trained = GlueFiles.trainMnli(tiny, temporary.resolve("glue"), temporary.resolve("mnli"));
    Path failures = Files.createDirectory(temporary.resolve("submission-failures"));
    try (TrainedModel model = TrainedModel.load(trained)) {
      new WriteFailures(failures)
          .of(
              "submission",
              directory -> {},
              directory -> {
                Path sent = directory.resolve("new/sent");
                try {
                  GlueSubmission.write(model, file -> {}, null, sent);
                } catch (IOException e) {
                  Path parent = Path.of(directory.toString());
                  assertTrue(
                      Small.names(parent).isEmpty()
                          || Small.names(parent.resolve("new/sent")).size() == 3,
                      e.toString());
                  throw e;
                }
              });
    }
  }

  /** {@return whether there was an n-th write, which failed} */
  private static boolean fails(Kind kind, int n, boolean andLater, Map<String, byte[]> expected)
      throws IOException {
    Path output = temporary.resolve(kind + "-" + n + andLater);
    FailingWrites failing = new FailingWrites();
    failing.failAt(n, andLater);
    Exception thrown = null;
    try {
      kind.run(failing.at(output), false);
    } catch (RuntimeException e) {
      thrown = e;
    }
    boolean failed = failing.stop();
    String at = "write %d%s".formatted(n, andLater ? " and later ones" : "");
    if (!failed) {
      assertNull(thrown, at);
    } else if (thrown != null) {
      String message = String.valueOf(thrown.getMessage());
      assertTrue(message.contains(FailingWrites.REASON), at + ": " + message);
      assertTrue(message.contains(output.toString()), at + ": " + message);
      assertFalse(RunDirectory.isComplete(output), at);
      kind.run(output, true);
    }
    assertTrue(RunDirectory.isComplete(output), at);
    Results.assertSame(expected, output);
    Manifest.verify(RunDirectory.open(output));
    Directories.delete(output);
    return failed;
  }

  @ParameterizedTest
  @ValueSource(strings = {"peft", "adapters"})
  void anExportIsWholeOrSaysThatItIsNot(String format) throws Exception {
    check(format, output -> AdapterExport.write(run, format, output, null, null));
  }

  @Test
  void aGgufAdapterIsWholeOrSaysThatItIsNot() throws Exception {
    check("gguf", output -> AdapterExport.write(written, "gguf", output, null, null));
  }

  @Test
  void aPortableAdapterIsWholeOrSaysThatItIsNot() throws Exception {
    check("portable", output -> AdapterExport.portable(written, output, null, null));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void anOnnxModelIsWholeOrSaysThatItIsNot(boolean externalData) throws Exception {
    OnnxOptions options = OnnxOptions.builder().externalData(externalData).build();
    // It has hundreds of writes.
    check(
        "onnx-" + externalData, 31, output -> AdapterExport.onnx(run, output, null, null, options));
  }

  @Test
  void aMergedModelIsWholeOrSaysThatItIsNot() throws Exception {
    check("merged", output -> AdapterExport.merge(run, output, null, null));
  }
}
