package org.prunepeft.settings;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.prunepeft.files.RunFiles;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.Slices;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.text.Spelling;

/**
 * How a search measures modules: one supernet is trained, then subsets of it are measured on
 * validation examples; the one that is chosen is trained on from there.
 *
 * @param searchShare how long the search may take, as a share of the training of the whole supernet
 *     with the run's epochs, in (0, 1]; from it follows what is not given below. A small training's
 *     search takes longer: its supernet has 150 steps, if that is no more than the run's epochs,
 *     and 48 subsets are measured on 1,000 examples where there are so many, as long as that takes
 *     no longer than 1.6 times the supernet's training
 * @param supernet the directory of an earlier measured search with the same model, modules, data,
 *     sizes and seed, whose trained supernet is taken; null: one is trained
 * @param supernetExamples training examples of the supernet, 1 or more
 * @param supernetEpochs of the supernet, 1 or more
 * @param measuredExamples validation examples that subsets are measured on, 20 or more
 * @param subsets that are measured at most, 24 or more
 * @param warmStart whether the training of what is chosen begins with the weights that it has in
 *     the supernet, where these are no worse than the head alone; else with new ones
 * @param retrainingEpochs of that training, 1 or more; empty: half of the run's epochs after a warm
 *     start, else all
 * @param moduleSlices slices of each module's rank or bottleneck, which are measured and kept by
 *     themselves, so that modules get smaller; 1 or more; empty: modules stay whole
 * @param objectives names of costs: parameters, training-time, latency, memory; the first decides
 *     where no difference shows; all of them, in turn, where a gain of two hundredths is excluded
 *     and between subsets that are equally good. All shape the front of configurations
 * @param tolerance hundredths of the metric, such as 0.5, by which the cheapest configuration may
 *     lie below the supernet; empty: the best within the budget is kept
 */
@RecordBuilder
public record MeasuringSettings(
    double searchShare,
    Path supernet,
    OptionalInt supernetExamples,
    OptionalInt supernetEpochs,
    OptionalInt measuredExamples,
    OptionalInt subsets,
    boolean warmStart,
    OptionalInt retrainingEpochs,
    OptionalInt moduleSlices,
    List<String> objectives,
    OptionalDouble tolerance)
    implements MeasuringSettingsBuilder.With {
  /** The objectives that there are. */
  public static final List<String> OBJECTIVES =
      List.of("parameters", "training-time", "latency", "memory");

  /**
   * Two thirds of the supernet's training where the task is not small, a warm start; parameters as
   * the objective, and where these differ little the training time.
   */
  public static final MeasuringSettings DEFAULT =
      MeasuringSettingsBuilder.builder()
          .searchShare(0.65)
          .warmStart(true)
          .objectives(List.of("parameters", "training-time"))
          .build();

  /** Of the share, what goes into the measuring, or more where that is too little. */
  private static final double MEASURING_PART = 0.25;

  private static final int LEAST_STEPS = 60;

  /** With fewer the modules have not learnt what they are worth. */
  private static final int USUAL_STEPS = 150;

  /**
   * Passes of a subset that take as long as one training step, for an example: they share what lies
   * below the lowest difference, and need no gradients. Of MiniLM 4.1 were measured in float32, 5.2
   * in bfloat16.
   */
  private static final double PASSES = 4;

  private static final int LEAST_SUBSETS = 48;

  /** Differences of one or two points show on so many examples. */
  private static final int ENOUGH_MEASURED = 1000;

  /** More candidates take more subsets, on no fewer examples than these. */
  private static final int FEW_MEASURED = 200;

  /** Enough is measured, but for no longer than so many times the supernet's training. */
  private static final double MOST_MEASURING = 1.6;

  private static final int MOST_SUBSETS = 400;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range, or no objective has a name
   */
  public MeasuringSettings {
    if (!(searchShare > 0 && searchShare <= 1)) {
      throw new IllegalArgumentException(
          "the search's share of the supernet's training must be in (0, 1], got " + searchShare);
    }
    supernet = supernet == null ? null : supernet.toAbsolutePath();
    atLeast(1, supernetExamples, "the supernet's examples");
    atLeast(1, supernetEpochs, "the supernet's epochs");
    atLeast(20, measuredExamples, "examples to measure on");
    atLeast(24, subsets, "subsets to measure");
    atLeast(1, retrainingEpochs, "the retraining's epochs");
    moduleSlices = moduleSlices == null ? OptionalInt.empty() : moduleSlices;
    atLeast(1, moduleSlices, "slices of a module");
    objectives = List.copyOf(objectives);
    if (objectives.isEmpty()) {
      throw new IllegalArgumentException(
          "a measured search needs at least one objective, such as parameters, got none");
    }
    for (String objective : objectives) {
      if (!OBJECTIVES.contains(objective)) {
        throw new IllegalArgumentException(Spelling.unknown("objective", objective, OBJECTIVES));
      }
    }
    if (tolerance.isPresent()
        && !(tolerance.getAsDouble() >= 0 && Double.isFinite(tolerance.getAsDouble()))) {
      throw new IllegalArgumentException(
          "the tolerance must be a finite number of at least 0, got " + tolerance.getAsDouble());
    }
  }

  /**
   * Refuses a space in which there is nothing to choose.
   *
   * @throws IllegalArgumentException if it has one module, which is not cut into slices
   */
  public void requireChoice(SearchSpace space) {
    if (space.candidates().size() == 1 && moduleSlices.orElse(1) == 1) {
      throw new IllegalArgumentException(
          "a measured search chooses among modules, and there is only %s; give the search more of them, or train it alone"
              .formatted(space.candidates().get(0).name()));
    }
  }

  /** {@return what of a supernet's modules is measured: their slices, or each as a whole} */
  public Slices slices(PeftConfig modules, EncoderConfig encoder) {
    return new Slices(modules, encoder, moduleSlices.orElse(1));
  }

  /** {@return whether a run's directory has a supernet that later runs can take} */
  public static boolean hasSupernet(Path run) {
    return Files.exists(run.resolve(RunFiles.SUPERNET));
  }

  /**
   * Refuses a run that has none.
   *
   * @throws IllegalArgumentException if its directory has no supernet
   */
  public static void requireSupernet(Path run) {
    if (!hasSupernet(run)) {
      throw new IllegalArgumentException(
          "%s has no %s: it is no search with --strategy measured, or of an earlier version; name another run, or train a supernet anew"
              .formatted(run, RunFiles.SUPERNET));
    }
  }

  /** {@return epochs of a training that begins with the supernet's weights: half of them} */
  public static int warmEpochs(int epochs) {
    return (epochs + 1) / 2;
  }

  private static void atLeast(int least, OptionalInt value, String name) {
    if (value.isPresent() && value.getAsInt() < least) {
      throw new IllegalArgumentException(
          "%s must be at least %d, got %d".formatted(name, least, value.getAsInt()));
    }
  }

  /**
   * How much a search trains and measures.
   *
   * @param supernetExamples that the supernet trains on
   * @param supernetEpochs passes of its training over these
   * @param measuredExamples that subsets are measured on
   * @param subsets that are measured at most
   * @param warmEpochs epochs of the training of what is chosen, from the supernet's weights
   * @param newEpochs the same from new weights
   */
  public record Sizes(
      int supernetExamples,
      int supernetEpochs,
      int measuredExamples,
      int subsets,
      int warmEpochs,
      int newEpochs) {}

  /**
   * {@return what these settings come to. A quarter of the share goes into the measuring, or what
   * 48 subsets on 1,000 examples take, the rest into the supernet, which has at least 150 steps}
   *
   * @param examples all training examples
   * @param validation all validation examples
   * @param epochs of a training
   * @param batch examples of a step
   * @param candidates modules, or their slices
   */
  public Sizes sizes(int examples, int validation, int epochs, int batch, int candidates) {
    double share = searchShare * examples * epochs;
    double enough = LEAST_SUBSETS * ENOUGH_MEASURED / PASSES;
    double left = share - Math.max(MEASURING_PART * share, enough);
    double most = Math.max((double) examples * epochs, (double) LEAST_STEPS * batch);
    double least = Math.min(most, (double) USUAL_STEPS * batch);
    int own =
        Math.min(
            examples, supernetExamples.orElse((int) Math.min(examples, Math.max(left, least))));
    int turns =
        supernetEpochs.orElse((int) Math.max(Math.floor(left / own), Math.ceil(least / own)));
    double trained = (double) own * turns;
    double passes =
        PASSES * Math.max(MEASURING_PART * share, Math.min(enough, MOST_MEASURING * trained));
    double wanted =
        Math.max(
            Math.sqrt(passes * LEAST_SUBSETS / ENOUGH_MEASURED),
            Math.min(1.5 * candidates, passes / FEW_MEASURED));
    int chosen = subsets.orElse((int) Math.max(LEAST_SUBSETS, Math.min(MOST_SUBSETS, wanted)));
    int seen =
        Math.min(
            validation, measuredExamples.orElse((int) Math.max(FEW_MEASURED, passes / chosen)));
    if (subsets.isEmpty()) {
      // What few examples leave of the passes.
      chosen = (int) Math.max(chosen, Math.min(MOST_SUBSETS, passes / seen));
    }
    return new Sizes(
        own,
        turns,
        seen,
        chosen,
        retrainingEpochs.orElse(warmEpochs(epochs)),
        retrainingEpochs.orElse(epochs));
  }
}
