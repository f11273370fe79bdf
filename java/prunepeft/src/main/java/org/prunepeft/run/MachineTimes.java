package org.prunepeft.run;

import java.util.Collection;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.search.Candidate;
import org.prunepeft.train.loop.TrainingFlop;

/**
 * What configurations take on the machine of a run, predicted from what its own passes took by the
 * operations that are counted.
 *
 * @param work what is trained, and on what
 * @param trainingRate seconds of an operation in training steps; NaN: it is not known
 * @param predictionRate seconds of a multiplication of a token in predictions, for one example; NaN
 *     likewise
 */
record MachineTimes(Work work, double trainingRate, double predictionRate) {
  /** The steps' least share of a training, lest slow test predictions leave no time for them. */
  private static final double LEAST_PART = 0.1;

  /**
   * What a training of any configuration goes through.
   *
   * @param tokens of the training examples
   * @param validation examples, after each epoch; 0: there are none
   * @param epochs of a whole training
   * @param frozenOnce whether layers below the lowest module are computed once a training
   */
  record Work(
      EncoderConfig encoder, double tokens, int validation, int epochs, boolean frozenOnce) {
    private double training(Collection<Candidate> modules, int trained) {
      return TrainingFlop.of(encoder, modules, tokens, trained, frozenOnce);
    }

    private double pass(double parameters) {
      return ConfigurationCosts.pass(encoder, parameters);
    }

    /** The same of all validations, each example's. */
    private double validations(Collection<Candidate> modules, int trained) {
      int lowest = modules.stream().mapToInt(Candidate::layer).min().orElse(encoder.layers());
      double once = frozenOnce ? lowest * TrainingFlop.multiplications(encoder) : 0;
      double whole = pass(Candidate.total(modules));
      return validation * (trained * (whole - once) + once);
    }
  }

  /**
   * What the run itself took.
   *
   * @param modules that were trained at last
   * @param epochs of that training
   * @param trainingSeconds of it, with its validations
   * @param testSeconds of predicting the test examples with these modules
   * @param testExamples how many
   * @param supernetSeconds of a supernet's training, without validation; 0: none was trained
   * @param supernetFlop operations of that
   */
  record Taken(
      Collection<Candidate> modules,
      int epochs,
      double trainingSeconds,
      double testSeconds,
      int testExamples,
      double supernetSeconds,
      double supernetFlop) {}

  /** {@return the rates by what a run took: of its final training and of its supernet's} */
  static MachineTimes of(Work work, Taken taken) {
    double prediction =
        taken.testSeconds / taken.testExamples / work.pass(Candidate.total(taken.modules));
    double validations = prediction * work.validations(taken.modules, taken.epochs);
    double steps =
        Math.max(LEAST_PART * taken.trainingSeconds, taken.trainingSeconds - validations);
    double rate =
        (steps + taken.supernetSeconds)
            / (work.training(taken.modules, taken.epochs) + taken.supernetFlop);
    return new MachineTimes(work, rate, prediction);
  }

  /**
   * {@return no rates, where what the run took is not its own: of runs that are trained together}
   */
  static MachineTimes unknown(Work work) {
    return new MachineTimes(work, Double.NaN, Double.NaN);
  }

  /** {@return whether there are rates, by which times can be predicted} */
  boolean known() {
    return !Double.isNaN(trainingRate);
  }

  /** {@return seconds of training modules from new weights for all epochs, validation included} */
  double training(Collection<Candidate> modules) {
    return trainingRate * work.training(modules, work.epochs)
        + predictionRate * work.validations(modules, work.epochs);
  }

  /**
   * {@return seconds of an example, in batches like the test examples'}
   *
   * @param parameters of the modules that are not merged into the encoder
   */
  double prediction(double parameters) {
    return predictionRate * work.pass(parameters);
  }
}
