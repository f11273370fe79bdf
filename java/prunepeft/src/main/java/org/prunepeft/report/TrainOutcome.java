package org.prunepeft.report;

import java.util.List;
import java.util.Locale;
import org.prunepeft.data.TaskKind;
import org.prunepeft.search.Candidate;
import org.prunepeft.train.Evaluation;

/**
 * What a training gave.
 *
 * @param modules those that were trained
 * @param parameters trainable parameters, the head apart
 * @param full whether these were the encoder's own
 * @param supernetParameters trainable parameters of all candidates, the head apart
 * @param head the head alone, on the frozen encoder, on the test set; where a decision threshold
 *     was chosen, with one of its own, from the same validation data; of a language model the
 *     untouched model
 * @param validation of the best epoch
 * @param test of the best epoch
 * @param bestEpoch the one whose weights are kept, 1-based; 0: no epoch was surely better on
 *     validation data than what the training began with, the head alone or a supernet's weights
 * @param epochs how many were trained: fewer than asked for if the training ended early
 * @param preparationSeconds loading, tokenising, the frozen encoder's outputs, fitting the head
 * @param trainingSeconds training with its validation
 */
public record TrainOutcome(
    List<Candidate> modules,
    long parameters,
    boolean full,
    long supernetParameters,
    Evaluation head,
    Evaluation validation,
    Evaluation test,
    int bestEpoch,
    int epochs,
    double preparationSeconds,
    double trainingSeconds) {
  /** {@return whether a language model was trained, which has no head of its own} */
  public boolean languageModel() {
    return test.predictions().schema().kind() == TaskKind.LANGUAGE_MODELING;
  }

  /** {@return what {@link #head} is, in words} */
  public String headName() {
    return languageModel() ? "the model without modules" : "linear head on the frozen encoder";
  }

  /**
   * In words: trainable parameters 443,904 of the supernet's 887,808 (50.0 %).
   *
   * @return the sentence, without a full stop
   */
  public String parametersText() {
    return full
        ? String.format(
            Locale.ROOT, "trainable parameters %,d: all of the encoder's own", parameters)
        : String.format(
            Locale.ROOT,
            "trainable parameters %,d of the supernet's %,d (%.1f %%)",
            parameters,
            supernetParameters,
            100.0 * parameters / supernetParameters);
  }
}
