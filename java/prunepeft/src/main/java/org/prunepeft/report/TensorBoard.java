package org.prunepeft.report;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.prunepeft.files.EventFile;

/**
 * Writes a run's metrics as TensorBoard reads them, into the run's directory: {@code tensorboard
 * --logdir runs}. Of a run without a directory nothing is written.
 *
 * <p>A tag is the training's name and the metric's: {@code train/loss}, {@code
 * train/validation_accuracy}. Where a search has several trainings of one name, later ones are
 * numbered. To be closed by whoever made it, after the run.
 */
public final class TensorBoard implements ProgressListener, AutoCloseable {
  private final Map<String, Integer> trainings = new HashMap<>();
  private EventFile events;
  private Path file;

  /** For one run. */
  public TensorBoard() {}

  @Override
  public void directory(Path directory) {
    double now = now();
    file = directory.resolve("events.out.tfevents.%010d.prunepeft".formatted((long) now));
    try {
      events = EventFile.create(file, now);
    } catch (IOException e) {
      throw unwritten(e);
    }
  }

  @Override
  public void started(String name, String unit, long total) {
    trainings.merge(name, 1, Integer::sum);
  }

  @Override
  public void metrics(String training, long step, Map<String, Double> values) {
    if (events == null) {
      return;
    }
    int count = trainings.getOrDefault(training, 1);
    String prefix = (count == 1 ? training : training + " (" + count + ")") + "/";
    Map<String, Double> tagged = new LinkedHashMap<>();
    values.forEach((name, value) -> tagged.put(prefix + name, value));
    try {
      events.scalars(now(), step, tagged);
    } catch (IOException e) {
      throw unwritten(e);
    }
  }

  private UncheckedIOException unwritten(IOException e) {
    return new UncheckedIOException("can't write %s: %s".formatted(file, e.getMessage()), e);
  }

  private static double now() {
    return System.currentTimeMillis() / 1e3;
  }

  @Override
  public void close() {
    try {
      if (events != null) {
        events.close();
      }
    } catch (IOException e) {
      throw unwritten(e);
    }
  }
}
