package org.prunepeft.report;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.prunepeft.data.Example;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.train.Predictions;

/**
 * What a run predicted of its test examples, a line each in {@link RunFiles#PREDICTIONS}.
 *
 * @param examples the beginning of the SHA-256 of each one's texts
 * @param targets [n] numbers of the classes, or the numbers to be predicted; of a language model
 *     how many tokens contribute to the loss
 * @param predictions of as many examples
 */
public record TestPredictions(List<String> examples, double[] targets, Predictions predictions) {
  /** Characters of a checksum that tell texts apart. */
  private static final int TELLING = 16;

  private static final String EXAMPLE = "example";
  private static final String TARGET = "target";
  private static final String OUTPUTS = "outputs";

  /**
   * Lines of the file, each by its members, in the order of the examples.
   *
   * @param targets of the examples: see {@link #targets}
   */
  public static List<Map<String, Object>> lines(
      List<Example> examples, double[] targets, Predictions predictions) {
    List<Map<String, Object>> lines = new ArrayList<>();
    Schema schema = predictions.schema();
    float[] outputs = predictions.outputs();
    for (int i = 0; i < examples.size(); i++) {
      Example example = examples.get(i);
      Map<String, Object> line = new LinkedHashMap<>();
      line.put(EXAMPLE, id(example));
      line.put(TARGET, targets[i]);
      if (schema.kind() == TaskKind.CLASSIFICATION) {
        line.put("label", schema.labels().get(example.label()));
        line.put("predicted", schema.labels().get(predictions.label(i)));
      }
      int from = i * schema.outputs();
      line.put(OUTPUTS, Arrays.copyOfRange(outputs, from, from + schema.outputs()));
      lines.add(line);
    }
    return lines;
  }

  /** {@return what tells an example's texts from others, as {@link #examples} has it} */
  public static String id(Example example) {
    MessageDigest digest = FileChecksum.digest();
    digest.update(example.text().getBytes(StandardCharsets.UTF_8));
    if (example.pair() != null) {
      digest.update((byte) 0);
      digest.update(example.pair().getBytes(StandardCharsets.UTF_8));
    }
    return FileChecksum.hex(digest).substring(0, TELLING);
  }

  /**
   * Reads them; empty for a run of before they were kept.
   *
   * @param directory of the run, complete or not
   * @param schema of the run's task
   * @throws RunDirectoryException if the file is damaged; names the line
   * @throws org.prunepeft.io.DamagedRunException if the run is complete, and the file was changed
   *     or is gone since
   */
  public static Optional<TestPredictions> read(Path directory, Schema schema) {
    RunDirectory run = Manifest.look(directory, Set.of(RunFiles.PREDICTIONS));
    if (Files.notExists(run.file(RunFiles.PREDICTIONS))) {
      return Optional.empty();
    }
    List<Line> lines = run.readJsonLines(RunFiles.PREDICTIONS, Line.class);
    double[] targets = new double[lines.size()];
    float[] outputs = new float[Math.multiplyExact(lines.size(), schema.outputs())];
    List<String> examples = new ArrayList<>();
    for (int i = 0; i < lines.size(); i++) {
      Line line = lines.get(i);
      if (line.example == null
          || line.target == null
          || line.outputs == null
          || line.outputs.length != schema.outputs()
          || schema.kind() == TaskKind.CLASSIFICATION
              && !(line.target >= 0 && line.target < schema.labels().size())) {
        throw new RunDirectoryException(
            "%s, line %d: a test example needs %s, a %s of the run's task and %d %s"
                .formatted(
                    run.file(RunFiles.PREDICTIONS),
                    i + 1,
                    EXAMPLE,
                    TARGET,
                    schema.outputs(),
                    OUTPUTS));
      }
      examples.add(line.example);
      targets[i] = line.target;
      System.arraycopy(line.outputs, 0, outputs, i * schema.outputs(), schema.outputs());
    }
    return Optional.of(new TestPredictions(examples, targets, new Predictions(schema, outputs)));
  }

  private record Line(String example, Double target, float[] outputs) {}

  /** Whether they are of the same examples, with the same targets, in the same order. */
  public boolean comparesWith(TestPredictions other) {
    return examples.equals(other.examples) && Arrays.equals(targets, other.targets);
  }
}
