package org.prunepeft.search;

import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import org.prunepeft.text.Required;

/**
 * How a training of the supernet went: its mean loss beside that without modules, which is that of
 * the head alone or of the untouched language model, on the same training examples and without
 * dropout. Modules with their first weights may do some harm, which a training of few steps does
 * not make good: that is no gain, but it has not diverged.
 *
 * @param headAlone mean loss without modules, when at most the head was fitted
 * @param trained mean loss after it; empty if it is not finite, or was not at a step
 * @param state what follows from the two, and from where the training began
 * @param divergence why the training diverged, or, if it did not, why the attempt before it did;
 *     empty if none diverged, or an earlier version did not say why
 */
public record TrainingHealth(
    double headAlone, OptionalDouble trained, State state, Optional<String> divergence) {
  /**
   * @throws IllegalArgumentException if the state or the reason is null
   */
  public TrainingHealth {
    Required.present("a training's state", state);
    Required.present("why a training diverged, which may be empty,", divergence);
  }

  /** So much of the loss must have gone, for a training to have learnt anything. */
  public static final double LEAST_GAIN = 0.01;

  /** What a training's losses say of it. */
  public enum State {
    /** The loss fell. */
    HEALTHY("learnt"),
    /** The loss is that without modules, or no higher than where the training began. */
    NO_GAIN("ended no better than without modules"),
    /** The loss rose, or was NaN or infinite. */
    DIVERGED("diverged");

    private final String words;

    State(String words) {
      this.words = words;
    }

    /** {@return what the training did, in words} */
    public String words() {
      return words;
    }
  }

  /**
   * {@return the verdict over two losses, of a training that began with that without modules}
   *
   * @param headAlone mean loss without modules
   * @param trained mean loss after the training; may be no number
   */
  public static TrainingHealth of(double headAlone, double trained) {
    return of(headAlone, headAlone, trained);
  }

  /**
   * {@return the verdict over three losses}
   *
   * @param headAlone mean loss without modules
   * @param began mean loss before the training, with the modules' first weights
   * @param trained mean loss after it; may be no number
   */
  public static TrainingHealth of(double headAlone, double began, double trained) {
    if (!Double.isFinite(trained)) {
      return diverged(headAlone, "the loss at its end is " + trained);
    }
    double least = LEAST_GAIN * headAlone;
    State state =
        trained < headAlone - least
            ? State.HEALTHY
            : trained > Math.max(headAlone, began) + least ? State.DIVERGED : State.NO_GAIN;
    return new TrainingHealth(
        headAlone,
        OptionalDouble.of(trained),
        state,
        state == State.DIVERGED
            ? Optional.of(
                String.format(
                    Locale.ROOT,
                    "its loss rose from %.3f to %.3f",
                    Math.max(headAlone, began),
                    trained))
            : Optional.empty());
  }

  /**
   * {@return the verdict over a training whose numbers are NaN or infinite}
   *
   * @param headAlone mean loss without modules
   * @param why what is not finite, and where; for the user
   */
  public static TrainingHealth diverged(double headAlone, String why) {
    return new TrainingHealth(headAlone, OptionalDouble.empty(), State.DIVERGED, Optional.of(why));
  }

  /**
   * {@return the same of a second attempt, which keeps why the first one diverged if it did not
   * itself}
   *
   * @param first of the training that diverged
   */
  TrainingHealth after(TrainingHealth first) {
    return divergence.isPresent()
        ? this
        : new TrainingHealth(headAlone, trained, state, first.divergence);
  }

  /** {@return whether scores of the training's modules say anything} */
  public boolean healthy() {
    return state == State.HEALTHY;
  }
}
