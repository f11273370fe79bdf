package org.prunepeft.train.loop;

import java.util.BitSet;
import org.prunepeft.data.Choices;
import org.prunepeft.data.Metric;
import org.prunepeft.data.batch.Answers;
import org.prunepeft.train.Predictions;

/** How probable a language model takes the answers to be that it chooses among. */
final class ChoiceScores {
  private final Answers answers;

  /** By question and answer, the sum over the answer's tokens. */
  private final double[][] likelihoods;

  /**
   * @param answers what is asked
   * @param texts the log-likelihoods a token of all {@link Answers#choices}
   */
  ChoiceScores(Answers answers, Predictions texts) {
    this.answers = answers;
    BitSet cut = answers.cutQuestions();
    likelihoods = new double[answers.examples().size()][];
    int text = 0;
    for (int i = 0; i < likelihoods.length; i++) {
      likelihoods[i] = new double[choices(i).answers().size()];
      for (int answer = 0; answer < likelihoods[i].length; answer++, text++) {
        likelihoods[i][answer] =
            cut.get(i)
                ? Double.NEGATIVE_INFINITY
                : texts.value(text) * answers.choices().data().target(text);
      }
    }
  }

  private Choices choices(int question) {
    return answers.examples().get(question).choices();
  }

  /** By which the metric chooses: of the text as it is, or of a character of it. */
  private double score(int question, int answer, Metric metric) {
    int length = metric == Metric.ACCURACY_NORM ? choices(question).length(answer) : 1;
    return likelihoods[question][answer] / length;
  }

  /** Whether the right answer is the most probable one. */
  boolean[] chosen(Metric metric) {
    boolean[] right = new boolean[likelihoods.length];
    for (int i = 0; i < right.length; i++) {
      double best = Double.NEGATIVE_INFINITY;
      for (int answer = 0; answer < likelihoods[i].length; answer++) {
        double score = score(i, answer, metric);
        if (score > best) {
          best = score;
          right[i] = answer == choices(i).right();
        }
      }
    }
    return right;
  }

  /**
   * The right answer's probability among those of a question, by what the metric chooses by; 0
   * where an answer was cut.
   */
  double probability(int question, Metric metric) {
    double right = score(question, choices(question).right(), metric);
    if (right == Double.NEGATIVE_INFINITY) {
      return 0;
    }
    double sum = 0;
    for (int answer = 0; answer < likelihoods[question].length; answer++) {
      sum += Math.exp(score(question, answer, metric) - right);
    }
    return 1 / sum;
  }
}
