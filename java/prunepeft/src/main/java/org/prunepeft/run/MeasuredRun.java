package org.prunepeft.run;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.stream.IntStream;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.peft.supernet.Seeds;
import org.prunepeft.peft.supernet.Slices;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.measured.Cost;
import org.prunepeft.search.measured.Effort;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.search.measured.MeasuredSearch;
import org.prunepeft.search.measured.MeasuredSettings;
import org.prunepeft.search.measured.MeasuredSettingsBuilder;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.train.loop.SupernetMeasuring;

/** The measured way of a search: a supernet is trained, and subsets of it are measured. */
public final class MeasuredRun implements AutoCloseable {
  private static final int LEAST_MEASURED = 20;

  private final Session session;

  /** What is chosen among. */
  private final SearchSpace space;

  private final Slices slices;

  private final SupernetMeasuring supernet;

  /** Null: the supernet is trained here. */
  private final Path trained;

  private final MeasuredSettings settings;

  /** Forward passes of an example at most. */
  private final long passes;

  /** Whether the training of the choice begins with the supernet's weights. */
  private final boolean warmStart;

  /** Of that training, and of one from new weights. */
  private final int warmEpochs;

  private final int newEpochs;

  /** What the training of the supernet took, validation apart. */
  private double supernetSeconds;

  /**
   * Draws a supernet's weights, and looks for what it needs.
   *
   * @param budget trainable parameters to be left at most
   * @throws IllegalArgumentException if there is but one module, there are too few validation
   *     examples, or too few steps of the last training for AdaLoRA
   */
  public MeasuredRun(Session session, MeasuringSettings settings, long budget) {
    this.session = session;
    slices = settings.slices(session.setup.peft(), session.encoder.config());
    space = slices.space();
    MeasuredSearch.requireChoice(space);
    MeasuringSettings.Sizes sizes =
        settings.sizes(
            session.train.size(),
            session.validation.size(),
            session.setup.epochs(),
            session.setup.training().examplesPerStep(),
            space.candidates().size());
    if (sizes.measuredExamples() < LEAST_MEASURED) {
      throw new IllegalArgumentException(
          "a measured search needs at least %d validation examples to measure on, got %d; use more"
              .formatted(LEAST_MEASURED, sizes.measuredExamples()));
    }
    trained = settings.supernet();
    warmStart = settings.warmStart();
    warmEpochs = sizes.warmEpochs();
    newEpochs = sizes.newEpochs();
    session.requireSteps(warmStart ? Math.min(warmEpochs, newEpochs) : newEpochs);
    SupernetMeasuring.MeasuringData inputs =
        new SupernetMeasuring.MeasuringData(
            session.sample("measured", sizes.supernetExamples()),
            sizes.supernetEpochs(),
            heldOut(session, sizes.measuredExamples()),
            Seeds.derive(session.setup.seed(), "measured"));
    this.settings =
        MeasuredSettingsBuilder.builder(MeasuredSettings.of(space, budget))
            .effort(Effort.ofTotal(sizes.subsets()))
            .costs(costs(session, space, settings))
            .tolerance(
                settings.tolerance().isPresent()
                    ? OptionalDouble.of(settings.tolerance().getAsDouble() / 100)
                    : OptionalDouble.empty())
            .seed(session.setup.seed())
            .build();
    supernet =
        new SupernetMeasuring(
            session.trainer,
            session.modules(session.space.candidates()),
            slices,
            session.baseline.head(),
            inputs,
            done -> {
              session.requireNotCancelled();
              session.progress.progress(done, "");
            });
    passes = (long) this.settings.effort().total() * sizes.measuredExamples();
  }

  /**
   * {@return what is kept, and why: trains the supernet, or takes one, and measures}
   *
   * @throws IllegalArgumentException if the supernet that is to be taken is another
   */
  public MeasuredResult search(RunRecord record) {
    Stopwatch watch = new Stopwatch();
    record.checkpoints().add("supernet seconds", watch::exchange);
    if (!supernet.isTrained()) {
      if (trained == null) {
        watch.begin();
        train(record);
        supernetSeconds = watch.end();
      } else {
        StoredSupernet.read(trained, session, supernet.modules(), supernet.head());
        session.progress.message("the supernet is that of " + trained);
      }
      record.supernet(supernet.modules(), supernet.head());
    }
    supernet.cut();
    session.progress.started("measure subsets", "passes", passes);
    return MeasuredSearch.run(space, settings, supernet);
  }

  private void train(RunRecord record) {
    supernet.train(
        steps ->
            session.follow(
                "supernet, " + session.space.candidates().size() + " modules",
                steps,
                record.metrics()));
  }

  /** {@return the setup with modules of the sizes that were chosen} */
  public Setup sized(MeasuredResult result) {
    return session.setup.sized(slices, Candidate.names(result.kept()));
  }

  /** {@return the modules that were chosen, in these sizes} */
  public List<Candidate> modules(MeasuredResult result) {
    List<String> names = slices.modules(Candidate.names(result.kept()));
    return sized(result).peft().space(session.encoder.config()).candidates().stream()
        .filter(module -> names.contains(module.name()))
        .toList();
  }

  /** {@return what training the choice leaves behind} */
  public FinalTraining.Trained train(MeasuredResult result, RunRecord record) {
    FinalTraining.WarmStart start =
        warmStart
            ? new FinalTraining.WarmStart(
                modules -> modules.copySlices(supernet.modules(), result.kept()),
                supernet.head(),
                warmEpochs)
            : null;
    return new FinalTraining(session, record.metrics(), supernetSeconds)
        .train(sized(result), modules(result), false, start, newEpochs);
  }

  @Override
  public void close() {
    supernet.close();
  }

  private static List<Cost> costs(Session session, SearchSpace space, MeasuringSettings settings) {
    return ConfigurationCosts.of(
        settings.objectives(),
        session.encoder.config(),
        space,
        session.setup.training().keepsActivations(session.setup.epochs()));
  }

  /** In random order, so that those that choices are made on are like the others. */
  private static EncodedDataset heldOut(Session session, int n) {
    List<Integer> order =
        new ArrayList<>(IntStream.range(0, session.validation.size()).boxed().toList());
    Collections.shuffle(order, new Random(Seeds.derive(session.setup.seed(), "held out")));
    return session.validation.subset(order.subList(0, n));
  }
}
