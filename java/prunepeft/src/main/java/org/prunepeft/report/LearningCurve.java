package org.prunepeft.report;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;

/**
 * How a training of a run went.
 *
 * @param training its name, such as round 1 or train
 * @param losses of its steps, in their order
 * @param epochs those that ended
 */
public record LearningCurve(String training, List<Double> losses, List<Epoch> epochs) {
  private static final String VALIDATION = "validation_";

  /** Copies the lists. */
  public LearningCurve {
    losses = List.copyOf(losses);
    epochs = List.copyOf(epochs);
  }

  /**
   * An epoch.
   *
   * @param epoch 1-based
   * @param loss mean over its steps
   * @param validation after it: loss, and the task's metrics by their keys; empty if it was not
   *     validated
   */
  public record Epoch(int epoch, double loss, Map<String, Double> validation) {}

  /**
   * {@return the trainings of a run, in the order in which they began}
   *
   * @param directory of the run, complete or not; one that has none of them yet has none
   * @throws RunDirectoryException if the file is damaged; names the line
   * @throws org.prunepeft.io.DamagedRunException if the run is complete, and the file was changed
   *     or is gone since
   */
  public static List<LearningCurve> read(Path directory) {
    RunDirectory run = Manifest.look(directory, Set.of(RunFiles.METRICS));
    Map<String, List<Double>> losses = new LinkedHashMap<>();
    Map<String, List<Epoch>> epochs = new LinkedHashMap<>();
    for (Map<?, ?> line : run.readJsonLines(RunFiles.METRICS, Map.class)) {
      String training = String.valueOf(line.get("training"));
      List<Double> own = losses.computeIfAbsent(training, name -> new ArrayList<>());
      List<Epoch> ended = epochs.computeIfAbsent(training, name -> new ArrayList<>());
      if (line.get("epoch") instanceof Number epoch) {
        ended.add(new Epoch(epoch.intValue(), number(line.get("loss")), validation(line)));
      } else if (line.containsKey("step")) {
        own.add(number(line.get("loss")));
      }
    }
    return losses.entrySet().stream()
        .map(own -> new LearningCurve(own.getKey(), own.getValue(), epochs.get(own.getKey())))
        .toList();
  }

  private static Map<String, Double> validation(Map<?, ?> line) {
    Map<String, Double> values = new TreeMap<>();
    line.forEach(
        (name, value) -> {
          if (String.valueOf(name).startsWith(VALIDATION)) {
            values.put(String.valueOf(name).substring(VALIDATION.length()), number(value));
          }
        });
    return values;
  }

  /** Infinities and what is no number are written as text. */
  private static double number(Object value) {
    return value instanceof Number number ? number.doubleValue() : Double.NaN;
  }
}
