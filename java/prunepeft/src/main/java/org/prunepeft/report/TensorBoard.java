package org.prunepeft.report;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.DoubleSupplier;
import org.prunepeft.files.EventFile;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.text.Markdown;

/**
 * Writes a run's metrics as TensorBoard reads them, into the run's directory: {@code tensorboard
 * --logdir runs}. Of a run without a directory nothing is written.
 *
 * <p>A tag is the training's name and the metric's: {@code train/loss}, {@code
 * train/validation_accuracy}. The settings are a text, {@code settings}. To be closed by whoever
 * made it, after the run.
 */
public final class TensorBoard implements ProgressListener, AutoCloseable {
  /** Seconds since 1970. */
  private final DoubleSupplier clock;

  private EventFile events;
  private Path file;

  /** For one run. */
  public TensorBoard() {
    this(() -> System.currentTimeMillis() / 1e3);
  }

  /** By another clock. */
  TensorBoard(DoubleSupplier clock) {
    this.clock = clock;
  }

  @Override
  public void directory(Path directory) {
    double now = clock.getAsDouble();
    try {
      events = create(directory, now);
      events.text(now, "settings", table(RunFiles.settings(RunDirectory.look(directory))));
    } catch (IOException e) {
      throw unwritten(e);
    }
  }

  /** A run that goes on within the second in which it was cut off has a number behind the time. */
  private EventFile create(Path directory, double now) throws IOException {
    String name = String.format(Locale.ROOT, "events.out.tfevents.%010d.prunepeft", (long) now);
    for (int number = 1; ; number++) {
      file = directory.resolve(number == 1 ? name : name + "." + number);
      try {
        return EventFile.create(file, now);
      } catch (FileAlreadyExistsException e) {
        // TensorBoard reads all, in the order of their names.
      }
    }
  }

  @Override
  public void metrics(String training, long step, Map<String, Double> values) {
    if (events == null) {
      return;
    }
    Map<String, Double> tagged = new LinkedHashMap<>();
    values.forEach((name, value) -> tagged.put(training + "/" + name, value));
    try {
      events.scalars(clock.getAsDouble(), step, tagged);
    } catch (IOException e) {
      throw unwritten(e);
    }
  }

  /** In Markdown. */
  private static String table(Map<String, Object> settings) {
    return Markdown.table(
        List.of("setting", "value"),
        settings.entrySet().stream()
            .map(each -> List.of(each.getKey(), String.valueOf(each.getValue())))
            .toList(),
        i -> false);
  }

  private UncheckedIOException unwritten(IOException e) {
    return new UncheckedIOException("can't write %s: %s".formatted(file, e.getMessage()), e);
  }

  @Override
  public void close() {
    if (events != null) {
      events.close();
    }
  }
}
