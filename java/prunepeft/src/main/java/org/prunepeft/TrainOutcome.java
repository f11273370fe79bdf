package org.prunepeft;

import java.util.List;
import org.prunepeft.search.Candidate;
import org.prunepeft.train.Evaluation;

/**
 * What a training gave.
 *
 * @param modules those that were trained
 * @param supernetParameters trainable parameters of all candidates, the head apart
 * @param head the head alone, on the frozen encoder, on the test set
 * @param validation of the best epoch
 * @param test of the best epoch
 * @param bestEpoch the one whose weights are kept, 1-based
 * @param epochs how many were trained: fewer than asked for if the training ended early
 * @param preparationSeconds loading, tokenising, the frozen encoder's outputs, fitting the head
 * @param trainingSeconds training with its validation
 */
public record TrainOutcome(
    List<Candidate> modules,
    long supernetParameters,
    Evaluation head,
    Evaluation validation,
    Evaluation test,
    int bestEpoch,
    int epochs,
    double preparationSeconds,
    double trainingSeconds) {
  /** Trainable parameters, the head apart. */
  public long parameters() {
    return Candidate.total(modules);
  }
}
