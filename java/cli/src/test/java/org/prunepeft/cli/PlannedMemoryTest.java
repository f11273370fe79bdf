package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.testing.TestSeed;

/** What a run says before it starts of the memory that it will take, and what it then took. */
class PlannedMemoryTest {
  /** SmolLM2-135M's width, and a fifth of its layers. */
  private static final LlamaDirectory.Size SIZE = new LlamaDirectory.Size(6, 576, 1536, 9, 3, 256);

  private static final double LARGEST_ERROR = 0.15;

  @TempDir static Path temporary;

  /**
   * @param vocabulary that of SmolLM2, or 0: as few tokens as the tokenizer has
   */
  @ParameterizedTest
  @CsvSource({
    "0,     float32, false",
    "0,     float32, true",
    "49152, float32, false",
    "49152, bf16,    false",
    "49152, bf16,    true",
  })
  void thePredictionIsNearThePeak(int vocabulary, String precision, boolean checkpointing)
      throws IOException, InterruptedException {
    Path own = Files.createTempDirectory(temporary, "case");
    Path model = LlamaDirectory.write(own.resolve("llama"), SIZE, vocabulary);
    Path texts = own.resolve("texts.jsonl");
    Random random = TestSeed.random();
    Files.writeString(
        texts,
        IntStream.range(0, 40)
            .mapToObj(i -> "{\"text\": \"%s\"}%n".formatted(letters(random, 300)))
            .collect(Collectors.joining()));
    Path run = own.resolve("run");
    ProcessBuilder builder =
        new ProcessBuilder(
            Child.command(
                List.of(
                    "-Xms32m",
                    "-Xmx3g",
                    "-XX:+UseSerialGC",
                    "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
                    "-Dorg.bytedeco.javacpp.maxBytes=0"),
                System.getProperty("java.class.path"),
                List.of(
                    "train",
                    "--model=" + model,
                    "--train-file=" + texts,
                    "--max-seq-length=256",
                    "--modules=lora",
                    "--lora-r=8",
                    "--epochs=1",
                    "--precision=" + precision,
                    "--gradient-checkpointing=" + checkpointing,
                    "--output=" + run)));
    // As the launcher has them.
    builder
        .environment()
        .putAll(
            Map.of(
                "MALLOC_ARENA_MAX", "1",
                "MALLOC_MMAP_THRESHOLD_", "33554432",
                "MALLOC_TRIM_THRESHOLD_", "4294967296",
                "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1",
                "THP_MEM_ALLOC_ENABLE", "0"));
    Call call = Child.call(builder).exits(0, "memory: about ");
    assertTrue(call.out().contains("memory: predicted "), call.out());
    Map<?, ?> memory = (Map<?, ?>) RunDirectory.open(run).readJson("result.json").get("memory");
    double predicted = ((Number) memory.get("predicted_bytes")).doubleValue();
    double peak = ((Number) memory.get("peak_bytes")).doubleValue();
    System.out.printf(
        "vocabulary %d, %s, checkpointing %s: predicted %.0f MB, peak %.0f MB%n",
        vocabulary, precision, checkpointing, predicted / (1 << 20), peak / (1 << 20));
    assertEquals(1, predicted / peak, LARGEST_ERROR);
  }

  private static String letters(Random random, int count) {
    return random
        .ints(count, 'a', 'z' + 1)
        .mapToObj(letter -> String.valueOf((char) letter))
        .collect(Collectors.joining());
  }
}
