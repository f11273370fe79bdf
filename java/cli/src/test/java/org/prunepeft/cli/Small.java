package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.FixedSeed;

/** Runs of seconds, and what they leave behind. */
@FixedSeed("the weights that repetitions of tests share are a prop")
final class Small {
  private Small() {}

  /** Writes a model of random weights. */
  static Path model(Path temporary) throws IOException {
    Path model = temporary.resolve("tiny-roberta");
    RobertaDirectory.write(model);
    return model;
  }

  /** The same with the same weights, whatever the seed of the tests is. */
  static Path fixedModel(Path temporary) throws IOException {
    Path model = temporary.resolve("tiny-roberta");
    RobertaDirectory.write(model, RobertaDirectory.LAYERS, new Random(1));
    return model;
  }

  /** A Llama with the same weights, whatever the seed of the tests is. */
  static Path fixedLlama(Path temporary) throws IOException {
    return LlamaDirectory.write(temporary.resolve("llama"), new Random(1));
  }

  /** A directory that is there until the process ends, for what repetitions of tests share. */
  static Path lasting() throws IOException {
    Path directory = Files.createTempDirectory("prunepeft-tests");
    Runtime.getRuntime().addShutdownHook(new Thread(() -> Directories.delete(directory)));
    return directory;
  }

  /** Options for few examples of so many tokens, in one epoch. */
  static List<String> examples(int tokens) {
    return List.of(
        "--train-examples=64",
        "--validation-examples=32",
        "--test-examples=32",
        "--epochs=1",
        "--max-seq-length=" + tokens,
        "--threads=2");
  }

  /** Options for own files: modules of rank and size 2, texts of 24 tokens. */
  static List<String> modules() {
    return List.of(
        "--epochs=1",
        "--max-seq-length=24",
        "--threads=2",
        "--lora-r=2",
        "--adapter-size=2",
        "--batch-size=8");
  }

  /** What a run measured on its test set. */
  static Map<?, ?> test(Path run) {
    return (Map<?, ?>) RunDirectory.open(run).readJson("result.json").get("test");
  }

  static Set<String> names(Path directory) throws IOException {
    try (var files = Files.list(directory)) {
      return files
          .map(file -> file.getFileName().toString())
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }
}
