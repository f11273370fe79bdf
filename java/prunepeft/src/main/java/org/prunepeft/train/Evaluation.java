package org.prunepeft.train;

/**
 * Quality on a labelled set.
 *
 * @param examples how many
 * @param loss mean cross-entropy
 * @param accuracy share of right predictions
 * @param macroF1 mean F1 over classes; see {@link Metrics}
 * @param predictions the predicted class of each example, in the set's order
 */
public record Evaluation(
    int examples, double loss, double accuracy, double macroF1, int[] predictions) {}
