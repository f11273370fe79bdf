package org.prunepeft.search;

import java.util.OptionalDouble;

/**
 * How a training of the supernet went: its mean loss beside that of the head alone, which it began
 * with, on the same training examples and without dropout.
 *
 * @param headAlone mean loss before the training, when only the head was fitted
 * @param trained mean loss after it; empty if it is not finite, or was not at a step
 * @param state what follows from the two
 */
public record TrainingHealth(double headAlone, OptionalDouble trained, State state) {
  /** So much of the loss must have gone, for a training to have learnt anything. */
  public static final double LEAST_GAIN = 0.01;

  /** What a training's losses say of it. */
  public enum State {
    /** The loss fell. */
    HEALTHY("learnt"),
    /** The loss is that of the head alone, as far as can be told: the modules do nothing. */
    NO_GAIN("ended no better than the head alone"),
    /** The loss rose, or was no number. */
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
   * {@return the verdict over two losses}
   *
   * @param headAlone mean loss before the training
   * @param trained mean loss after it; may be no number
   */
  public static TrainingHealth of(double headAlone, double trained) {
    if (!Double.isFinite(trained)) {
      return new TrainingHealth(headAlone, OptionalDouble.empty(), State.DIVERGED);
    }
    double least = LEAST_GAIN * headAlone;
    State state =
        trained < headAlone - least
            ? State.HEALTHY
            : trained > headAlone + least ? State.DIVERGED : State.NO_GAIN;
    return new TrainingHealth(headAlone, OptionalDouble.of(trained), state);
  }

  /** {@return whether scores of the training's modules say anything} */
  public boolean healthy() {
    return state == State.HEALTHY;
  }
}
