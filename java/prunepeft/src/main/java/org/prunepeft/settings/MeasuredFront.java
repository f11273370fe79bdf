package org.prunepeft.settings;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.peft.supernet.Slices;
import org.prunepeft.text.Required;

/**
 * The configurations that a measured search found, by their rows.
 *
 * @param run of the search
 * @param points in the order of their rows
 */
record MeasuredFront(RunDirectory run, List<Kept> points) {
  /** What is read of a configuration. */
  record Kept(List<String> modules, Map<String, Double> costs) {
    Kept {
      Required.present("a point's modules", modules);
    }
  }

  /**
   * Reads it.
   *
   * @param run the directory of a run that is complete, or at least has chosen its modules
   * @throws RunDirectoryException if it is absent, incomplete or damaged
   * @throws IllegalArgumentException if it is no measured search
   */
  static MeasuredFront of(Path run) {
    RunDirectory directory = Manifest.openChosen(run);
    if (!Files.exists(directory.file(RunFiles.MEASURED))) {
      throw new IllegalArgumentException(
          "%s has no front of configurations to select from: it is no search with --strategy measured"
              .formatted(run));
    }
    Object front = directory.readJson(RunFiles.MEASURED, "front", Object.class);
    try {
      return new MeasuredFront(directory, List.of(RunDirectory.convert(front, Kept[].class)));
    } catch (IllegalArgumentException e) {
      throw new RunDirectoryException(
          "%s, front: %s".formatted(directory.file(RunFiles.MEASURED), e.getMessage()), e);
    }
  }

  /**
   * {@return what a configuration keeps}
   *
   * @param row from 1, as the run's summary numbers them
   * @throws IllegalArgumentException if there is no such row; names those that there are
   */
  List<String> chosen(int row) {
    if (row < 1 || row > points.size()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "the front of %s has rows 1 to %d, got %d; there are%n%s",
              run.path(),
              points.size(),
              row,
              rows()));
    }
    return points.get(row - 1).modules;
  }

  /** {@return what the search kept: slices of modules, or whole modules} */
  List<String> kept() {
    return List.of(run.readJson(RunFiles.MEASURED, "kept", String[].class));
  }

  /** {@return the slices that configurations are made of; whole modules are one slice each} */
  Slices slices() {
    return settings()
        .slices(
            Setup.of(run).peft(), run.readJson(RunFiles.CONFIG, "encoder", EncoderConfig.class));
  }

  /** {@return how the search measured} */
  MeasuringSettings settings() {
    if (!(run.readJson(RunFiles.CONFIG).get("search") instanceof Map<?, ?> search)
        || search.get("measured") == null) {
      throw new RunDirectoryException(
          run.file(RunFiles.CONFIG) + " does not say how subsets were measured");
    }
    try {
      return RunDirectory.convert(search.get("measured"), MeasuringSettings.class);
    } catch (IllegalArgumentException e) {
      throw new RunDirectoryException(
          "%s, search.measured: %s".formatted(run.file(RunFiles.CONFIG), e.getMessage()), e);
    }
  }

  private String rows() {
    Slices slices = slices();
    return IntStream.range(0, points.size())
        .mapToObj(i -> row(i + 1, points.get(i), slices))
        .collect(Collectors.joining("\n"));
  }

  private static String row(int number, Kept point, Slices slices) {
    return String.format(
        Locale.ROOT,
        "%4d: %d modules, %s",
        number,
        slices.modules(point.modules).size(),
        point.costs);
  }
}
