package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.torch.ComputeDevice;

/**
 * Commands on the first GPU. Where none can be used these tests are skipped, with the reason; the
 * system property {@code prunepeft.gpu-run-test} names another device, such as cpu, to try the
 * tests themselves.
 */
@FixedSeed("how far a training gets differs from draw to draw")
@Timeout(3600)
class GpuRunTest {
  private static final String DEVICE = System.getProperty("prunepeft.gpu-run-test", "cuda");

  /** Between devices, of a mean over the test set. */
  private static final double MOST_DIFFERENCE = 5e-3;

  @TempDir static Path temporary;
  private static Path encoder;
  private static Path decoder;
  private static Path texts;
  private static Path pairs;

  @BeforeEach
  void findGpu() {
    if (DEVICE.startsWith("cuda")) {
      ComputeDevice.cudaAbsence()
          .ifPresent(reason -> assumeTrue(false, "no GPU can be used: " + reason));
    }
  }

  @BeforeAll
  static void write() throws IOException {
    encoder = Small.model(temporary);
    decoder = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    texts = temporary.resolve("texts.tsv");
    Files.write(
        texts,
        IntStream.range(-1, 120)
            .mapToObj(i -> i < 0 ? "text\tlabel" : "the thing %d\t%d".formatted(i, i % 3))
            .toList());
    pairs = LetterPairs.write(temporary, 120);
  }

  private static List<String> options(Path model, Path file, Path output) {
    return List.of(
        "--model=" + model,
        "--train-file=" + file,
        "--device=" + DEVICE,
        "--batch-size=8",
        "--max-seq-length=24",
        "--learning-rate=0.01",
        "--threads=2",
        "--output=" + output);
  }

  private static boolean hasCheckpoint(Path run) {
    String[] names = run.resolve(CheckpointDirectory.NAME).toFile().list();
    return names != null && List.of(names).stream().anyMatch(name -> name.endsWith(".json"));
  }

  /** Loss on the test set, as evaluate says it. */
  private static double loss(Path run) {
    return ((Number) Small.test(run).get("loss")).doubleValue();
  }

  /** The CPU, too, computes what the GPU has trained. */
  private static void readAnywhere(Path run, String text) {
    for (String device : List.of(DEVICE, "cpu")) {
      String said = Call.of("evaluate", run, "--device=" + device).exits(0).out();
      assertEquals(loss(run), number(said, "loss "), MOST_DIFFERENCE, said);
      Call.of("predict", run, "--text=" + text, "--device=" + device).exits(0);
    }
  }

  private static double number(String said, String before) {
    String[] after = said.substring(said.indexOf(before) + before.length()).split("[^0-9.]", 2);
    return Double.parseDouble(after[0]);
  }

  @Test
  void aSearchThatIsKilledGoesOnAndIsReadEvaluatedAndExported() throws Exception {
    Path run = temporary.resolve("search");
    Path said = temporary.resolve("said.txt");
    List<String> command =
        Stream.concat(
                Stream.of(
                    "search",
                    "--strategy=all",
                    "--lora-r=4",
                    "--adapter-size=4",
                    "--rounds=2",
                    "--round-examples=64",
                    "--keep=0.5",
                    "--epochs=20",
                    "--checkpoint-steps=3"),
                options(encoder, texts, run).stream())
            .toList();
    Process process = Child.start(command, said);
    while (!hasCheckpoint(run)) {
      assertTrue(process.isAlive(), () -> Child.text(said));
      Thread.sleep(5);
    }
    process.destroyForcibly().waitFor();
    Call.of("search", "--resume=" + run).exits(0);
    readAnywhere(run, "the thing 5");
    Call.of("export", run, "--format=onnx", "--output=" + temporary.resolve("onnx")).exits(0);
    Call.of("export", run, "--format=adapters", "--output=" + temporary.resolve("adapters"))
        .exits(0);
  }

  /** Kinds of training of an encoder. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "--modules=full",
        "--precision=bf16 --gradient-checkpointing --adapter-size=4",
        "--use-dora --lora-r=4",
        "--use-adalora --init-r=4 --target-r=2",
        "--module-types=vera --module-settings=vera.rank=4",
        "--seeds=1,2 --together --lora-r=4"
      })
  void eachKindOfTrainingIsMade(String words) {
    Path run = temporary.resolve("train " + words.hashCode());
    Call.of("train", List.of(words.split(" ")), options(encoder, texts, run), "--epochs=2")
        .exits(0);
  }

  @ParameterizedTest
  @ValueSource(strings = {"--precision=float32", "--precision=bf16", "--quantize=nf4"})
  void aLanguageModelIsTrainedEvaluatedAndWrites(String option) {
    Path run = temporary.resolve("language" + option);
    Call.of(
            "train",
            options(decoder, pairs, run),
            "--epochs=2",
            "--lora-r=4",
            "--adapter-size=0",
            option)
        .exits(0);
    readAnywhere(run, "a:b");
    Call written =
        Call.of("generate", run, "--prompt=a:", "--max-new-tokens=3", "--device=" + DEVICE);
    assertTrue(written.exits(0).out().startsWith("a:"), written.out());
    Call.of("export", run, "--format=peft", "--output=" + temporary.resolve("peft" + option))
        .exits(0);
  }
}
