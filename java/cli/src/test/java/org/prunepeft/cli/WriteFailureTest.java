package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.AdapterExport;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.model.OnnxOptions;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.WriteFailures;

/** A disk that is full, at each write of an export. */
@FixedSeed("the weights are a prop: each write fails whatever is written")
class WriteFailureTest {
  @TempDir static Path temporary;
  private static Path run;

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
    Call.of(
            "train",
            "--model=" + Small.model(temporary),
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
