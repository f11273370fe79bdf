package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.prunepeft.files.RunDirectory;

/** Prompts and completions for a small language model: a letter is answered by the next. */
final class LetterPairs {
  private LetterPairs() {}

  /** {@return a file of so many, in the directory} */
  static Path write(Path directory, int count) throws IOException {
    return Files.writeString(
        directory.resolve("pairs.jsonl"),
        IntStream.range(0, count)
            .mapToObj(
                i ->
                    "{\"prompt\": \"%s:\", \"completion\": \"%s\"}%n"
                        .formatted((char) ('a' + i % 6), (char) ('a' + (i + 1) % 6)))
            .collect(Collectors.joining()));
  }

  /** {@return what a run's result.json says of a part} */
  static double likelihood(Path run, String part) {
    Map<?, ?> measured = (Map<?, ?>) RunDirectory.open(run).readJson("result.json").get(part);
    return ((Number) measured.get("log_likelihood")).doubleValue();
  }
}
