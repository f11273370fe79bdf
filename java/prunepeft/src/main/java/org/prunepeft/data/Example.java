package org.prunepeft.data;

import java.util.Objects;

/**
 * One text or pair of texts, and what is to be predicted from it.
 *
 * @param text the text, or the first of two
 * @param pair the second text; null for tasks of single texts
 * @param target number of the class, or the number to be predicted; {@link #UNLABELLED} if not
 *     known
 * @param training what a language model learns of the text; null for other tasks
 * @param choices the question that it is, with answers to choose from; null for other texts
 * @param place the row that it is made of, which others may share; null if that is not known
 */
public record Example(
    String text, String pair, double target, TrainingText training, Choices choices, Place place) {
  /** The target of an example that is there to be predicted: not a number. */
  public static final double UNLABELLED = Double.NaN;

  /**
   * Checks the values.
   *
   * @throws NullPointerException if the text is null
   * @throws IllegalArgumentException if the target is infinite
   */
  public Example {
    Objects.requireNonNull(text, "text");
    if (Double.isInfinite(target)) {
      throw new IllegalArgumentException("target must be finite, got " + target);
    }
  }

  /**
   * An example of a task that is not a language model's.
   *
   * @param text the text, or the first of two
   * @param pair the second text; null for tasks of single texts
   * @param target number of the class, or the number to be predicted; {@link #UNLABELLED} if not
   *     known
   */
  public Example(String text, String pair, double target) {
    this(text, pair, target, null, null, null);
  }

  /**
   * {@return an example of a language model's task}
   *
   * @param training the text by its parts that contribute to the loss and those that do not
   */
  public static Example of(TrainingText training) {
    return new Example(training.text(), null, UNLABELLED, training, null, null);
  }

  /**
   * {@return an example of a language model's task, of which the right answer is learnt}
   *
   * @param choices the question with its answers
   */
  public static Example of(Choices choices) {
    TrainingText training = choices.training();
    return new Example(training.text(), null, UNLABELLED, training, choices, null);
  }

  /**
   * An example that is there to be predicted.
   *
   * @param text the text, or the first of two
   * @param pair the second text; null for tasks of single texts
   */
  public Example(String text, String pair) {
    this(text, pair, UNLABELLED);
  }

  /**
   * {@return the same example, of a row of a file}
   *
   * @param row where it is
   */
  public Example at(Place row) {
    return new Example(text, pair, target, training, choices, row);
  }

  /** {@return whether it is known what is to be predicted} */
  public boolean labelled() {
    return training != null || !Double.isNaN(target);
  }

  /**
   * {@return number of the class, 0 or more}
   *
   * @throws IllegalStateException if the target is not one
   */
  public int label() {
    return label(target);
  }

  /** A target as the number of a class; see {@link #label()}. */
  static int label(double target) {
    int label = (int) target;
    if (label != target || label < 0) {
      throw new IllegalStateException("a class has a number from 0, got " + target);
    }
    return label;
  }
}
