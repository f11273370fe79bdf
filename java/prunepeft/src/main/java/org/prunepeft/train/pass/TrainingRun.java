package org.prunepeft.train.pass;

import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.head.TaskHead;

/**
 * One training.
 *
 * @param modules what is trained in the encoder; may hold none
 * @param head trained too
 * @param data training examples
 * @param epochs 1 or more
 * @param seed of the order of examples and of dropout
 * @param validation null: the last epoch's weights stay; else those of the epoch with the best
 *     primary metric, the earlier one of two
 * @param start validation result of what it begins with: if no epoch is better, that stays; null:
 *     it is not compared
 * @param surely whether an epoch whose loss is higher than that of {@code start}, by more than the
 *     difference's standard error, is better only if the metric's gain is larger than its own
 * @param rate of the settings' learning rates: 1, or less for a gentler training
 * @param judged whether the modules are judged as wholes afterwards, so that they keep their size
 * @param encoder the encoder's own weights, in full fine-tuning; null: they are frozen
 */
public record TrainingRun(
    PeftModules modules,
    TaskHead head,
    EncodedDataset data,
    int epochs,
    long seed,
    EncodedDataset validation,
    Evaluation start,
    boolean surely,
    double rate,
    boolean judged,
    FlatParameters encoder) {
  public TrainingRun {
    if (epochs < 1) {
      throw new IllegalArgumentException("epochs must be at least 1, got " + epochs);
    }
  }

  /** On a frozen encoder, at the settings' rates, from what it is given. */
  public TrainingRun(
      PeftModules modules,
      TaskHead head,
      EncodedDataset data,
      int epochs,
      long seed,
      EncodedDataset validation) {
    this(modules, head, data, epochs, seed, validation, null, false, 1, false, null);
  }

  /** {@return this, with what its epochs are compared with; null: with nothing} */
  public TrainingRun comparedWith(Evaluation start) {
    return new TrainingRun(
        modules, head, data, epochs, seed, validation, start, false, rate, judged, encoder);
  }

  /** {@return this, whose epochs have to be surely better than this; null: than nothing} */
  public TrainingRun surelyBetterThan(Evaluation start) {
    return new TrainingRun(
        modules, head, data, epochs, seed, validation, start, true, rate, judged, encoder);
  }

  /** {@return this at a share of the settings' learning rates} */
  public TrainingRun atRate(double rate) {
    return new TrainingRun(
        modules, head, data, epochs, seed, validation, start, surely, rate, judged, encoder);
  }

  /** {@return this, with modules that are judged afterwards} */
  public TrainingRun whoseModulesAreJudged() {
    return new TrainingRun(
        modules, head, data, epochs, seed, validation, start, surely, rate, true, encoder);
  }

  /** {@return this, in which the encoder's own weights are trained too; null: they are not} */
  public TrainingRun withEncoder(FlatParameters encoder) {
    return new TrainingRun(
        modules, head, data, epochs, seed, validation, start, surely, rate, judged, encoder);
  }
}
