package org.prunepeft.run;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import org.prunepeft.peft.supernet.Seeds;
import org.prunepeft.search.measured.Cost;
import org.prunepeft.search.measured.Effort;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.search.measured.MeasuredSearch;
import org.prunepeft.search.measured.MeasuredSettings;
import org.prunepeft.search.measured.MeasuredSettingsBuilder;
import org.prunepeft.search.measured.MeasuringListener;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.loop.SupernetMeasuring;

/** The measured way of a search: a supernet is trained, and subsets of it are measured. */
public final class MeasuredRun implements AutoCloseable {
  private static final int LEAST_MEASURED = 20;

  private final Session session;
  private final SupernetMeasuring supernet;
  private final MeasuredSettings settings;

  /** Forward passes of an example at most. */
  private final long passes;

  /** Null: the training begins with new weights. */
  private final Session.WarmStart warmStart;

  /**
   * Draws a supernet's weights, and looks for what it needs.
   *
   * @param budget trainable parameters to be left at most
   * @throws IllegalArgumentException if there are too few training examples
   */
  public MeasuredRun(Session session, MeasuringSettings settings, long budget) {
    this.session = session;
    MeasuringSettings.Plan sizes =
        settings.plan(
            session.train.size(),
            session.setup.epochs(),
            session.setup.training().examplesPerStep());
    if (sizes.measuredExamples() < LEAST_MEASURED) {
      throw new IllegalArgumentException(
          "a measured search needs at least %d training examples to measure on beside those that the supernet trains on, got %d; use more training examples, or fewer for the supernet"
              .formatted(LEAST_MEASURED, sizes.measuredExamples()));
    }
    Session.Parts parts = session.parts("measured", sizes.supernetExamples());
    SupernetMeasuring.Plan plan =
        new SupernetMeasuring.Plan(
            parts.sample(),
            sizes.supernetEpochs(),
            parts.rest().subset(firstOf(sizes.measuredExamples())),
            Seeds.derive(session.setup.seed(), "measured"));
    this.settings =
        MeasuredSettingsBuilder.builder(MeasuredSettings.of(session.space, budget))
            .effort(Effort.ofTotal(sizes.subsets()))
            .costs(costs(session, settings))
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
            session.head,
            plan,
            done -> {
              session.requireNotCancelled();
              session.progress.progress(done, "");
            });
    warmStart =
        settings.warmStart()
            ? new Session.WarmStart(supernet.modules(), supernet.head(), sizes.retrainingEpochs())
            : null;
    passes = (long) this.settings.effort().total() * sizes.measuredExamples();
  }

  /** {@return what is kept, and why: trains the supernet, and measures} */
  public MeasuredResult search(RunRecord record) {
    supernet.train(
        steps ->
            session.follow(
                "supernet, " + session.space.candidates().size() + " modules",
                steps,
                record.metrics()));
    session.progress.started("measure subsets", "passes", passes);
    return MeasuredSearch.run(session.space, settings, supernet, listener(session));
  }

  /** {@return what training the choice leaves behind} */
  public Session.Trained train(MeasuredResult result, RunRecord record) {
    return session.train(result.kept(), false, warmStart, record.metrics());
  }

  @Override
  public void close() {
    supernet.close();
  }

  private static List<Cost> costs(Session session, MeasuringSettings settings) {
    TrainingSettings training = session.setup.training();
    return ConfigurationCosts.of(
        settings.objectives(),
        session.encoder.config(),
        session.space,
        training.activationCacheMegabytes() > 0 && session.setup.epochs() > 1);
  }

  private static List<Integer> firstOf(int n) {
    List<Integer> indices = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      indices.add(i);
    }
    return indices;
  }

  private static MeasuringListener listener(Session session) {
    return new MeasuringListener() {
      @Override
      public boolean cancelled() {
        return session.progress.cancelled();
      }
    };
  }
}
