package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Runs of tiny models on a file of texts, and what is exported of them.
 *
 * @param file of 64 rows, with the columns first, second, number and label
 */
record TextRuns(Path directory, Path file) {
  /** A model without token types. */
  static final String ROBERTA = "tiny-roberta";

  /** A model that takes token types. */
  static final String BERT = "tiny-bert";

  /** Writes models and file. */
  static TextRuns write(Path directory, IntFunction<String> text, IntFunction<String> label)
      throws IOException {
    Path file = directory.resolve("texts.csv");
    Files.writeString(
        file,
        IntStream.range(0, 64)
            .mapToObj(
                i ->
                    String.format(
                        Locale.ROOT,
                        "%s,%s,%.2f,%s",
                        text.apply(i),
                        text.apply(3 * i),
                        i % 5 / 4.0,
                        label.apply(i)))
            .collect(Collectors.joining("\n", "first,second,number,label\n", "\n")));
    RobertaDirectory.write(directory.resolve(ROBERTA));
    RobertaDirectory.writeBert(directory.resolve(BERT));
    return new TextRuns(directory, file);
  }

  /** Trains one of the models, in a directory of this name. */
  Path train(String model, String name, String... options) {
    Path run = directory.resolve(name);
    Call.of(
            "train",
            "--model=" + directory.resolve(model),
            "--train-file=" + file,
            "--text-column=first",
            "--output=" + run,
            Small.modules(),
            options)
        .exits(0);
    return run;
  }

  /** Exports a run for ONNX Runtime, to a directory of this name. */
  Path export(Path run, String name, String... options) {
    Path export = directory.resolve(name);
    Call.of("export", run, "--format=onnx", "--output=" + export, options).exits(0);
    return export;
  }
}
