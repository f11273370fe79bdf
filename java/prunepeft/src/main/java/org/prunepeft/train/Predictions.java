package org.prunepeft.train;

import java.util.Arrays;
import java.util.Iterator;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;

/** What a head gives for each example of a set, in the set's order. Immutable. */
public final class Predictions implements Iterable<Prediction> {
  private final Schema schema;
  private final float[] outputs;

  /**
   * @param schema of the task
   * @param outputs [n · outputs of the schema] scores of the classes, before the softmax, or the
   *     predicted numbers; of a language model the mean log-likelihoods of the tokens that are
   *     learnt, with what further metrics say of the examples; not copied
   * @throws IllegalArgumentException if the length does not fit the schema
   */
  public Predictions(Schema schema, float[] outputs) {
    this.schema = Objects.requireNonNull(schema, "schema");
    this.outputs = outputs;
    if (outputs.length % schema.outputs() != 0) {
      throw new IllegalArgumentException(
          "outputs must be a multiple of %d in number, got %d"
              .formatted(schema.outputs(), outputs.length));
    }
  }

  /**
   * Of which task.
   *
   * @return the schema of what was predicted
   */
  public Schema schema() {
    return schema;
  }

  /** {@return a copy of what the constructor was given} */
  public float[] outputs() {
    return outputs.clone();
  }

  /**
   * {@return those of some examples}
   *
   * @param examples their numbers, from 0, in any order, some of them several times
   */
  public Predictions of(int... examples) {
    int width = schema.outputs();
    float[] own = new float[Math.multiplyExact(examples.length, width)];
    for (int i = 0; i < examples.length; i++) {
      System.arraycopy(outputs, examples[i] * width, own, i * width, width);
    }
    return new Predictions(schema, own);
  }

  /** {@return how many examples} */
  public int size() {
    return outputs.length / schema.outputs();
  }

  /**
   * {@return what is predicted of one example}
   *
   * @param i of the example, from 0
   * @throws IndexOutOfBoundsException if there is no such example
   */
  public Prediction get(int i) {
    return new Prediction(this, Objects.checkIndex(i, size()));
  }

  /** {@return what is predicted of each example, in their order} */
  public Stream<Prediction> stream() {
    return IntStream.range(0, size()).mapToObj(this::get);
  }

  @Override
  public Iterator<Prediction> iterator() {
    return stream().iterator();
  }

  /**
   * {@return the class with the highest score, the lowest of several}
   *
   * @param i of the example, from 0
   * @throws IllegalStateException if the task is a regression
   * @throws IndexOutOfBoundsException if there is no such example
   */
  public int label(int i) {
    requireClasses();
    Objects.checkIndex(i, size());
    int from = i * schema.outputs();
    int best = 0;
    for (int k = 1; k < schema.outputs(); k++) {
      if (outputs[from + k] > outputs[from + best]) {
        best = k;
      }
    }
    return best;
  }

  /** {@return [n] the classes of all; see {@link #label}} */
  public int[] labels() {
    return IntStream.range(0, size()).map(this::label).toArray();
  }

  /**
   * {@return [classes] probabilities, the softmax of an example's scores}
   *
   * @param i of the example, from 0
   * @throws IllegalStateException if the task is a regression
   * @throws IndexOutOfBoundsException if there is no such example
   */
  public double[] probabilities(int i) {
    requireClasses();
    Objects.checkIndex(i, size());
    double normaliser = logSumExp(i);
    int from = i * schema.outputs();
    return IntStream.range(from, from + schema.outputs())
        .mapToDouble(at -> Math.exp(outputs[at] - normaliser))
        .toArray();
  }

  /**
   * {@return the predicted number for an example; of a language model the mean log-likelihood of
   * its tokens that contribute to the loss, 0 where there are none}
   *
   * @param i of the example, from 0
   * @throws IllegalStateException if the task is a classification
   * @throws IndexOutOfBoundsException if there is no such example
   */
  public double value(int i) {
    if (schema.kind() == TaskKind.CLASSIFICATION) {
      throw new IllegalStateException("a classification predicts classes, not a number");
    }
    return outputs[Objects.checkIndex(i, size()) * schema.outputs()];
  }

  /** {@return [n] the predicted numbers for all; see {@link #value}} */
  public double[] values() {
    return IntStream.range(0, size()).mapToDouble(this::value).toArray();
  }

  /** The mean over all examples of what a metric of a language model's answers says of them. */
  double mean(Metric metric) {
    if (!schema.metrics().contains(metric)) {
      throw new IllegalStateException("no answers were asked for " + metric);
    }
    int column = schema.column(metric);
    return IntStream.range(0, size())
        .mapToDouble(i -> outputs[i * schema.outputs() + column])
        .average()
        .orElseThrow();
  }

  /**
   * Mean loss: cross-entropy of a classification, squared error of a regression, cross-entropy of a
   * token that a language model learns.
   *
   * @param targets [n]
   */
  double loss(double[] targets) {
    if (schema.kind() == TaskKind.LANGUAGE_MODELING) {
      return -Metrics.logLikelihood(values(), targets);
    }
    double sum = 0;
    for (int i = 0; i < targets.length; i++) {
      sum += loss(i, targets[i]);
    }
    return sum / targets.length;
  }

  /** The loss of one example, of a language model the mean over its tokens. */
  double loss(int i, double target) {
    return switch (schema.kind()) {
      case CLASSIFICATION -> logSumExp(i) - outputs[i * schema.outputs() + (int) target];
      case REGRESSION -> (value(i) - target) * (value(i) - target);
      case LANGUAGE_MODELING -> -value(i);
    };
  }

  private double logSumExp(int i) {
    float[] scores = Arrays.copyOfRange(outputs, i * schema.outputs(), (i + 1) * schema.outputs());
    double highest = Double.NEGATIVE_INFINITY;
    for (float score : scores) {
      highest = Math.max(highest, score);
    }
    double sum = 0;
    for (float score : scores) {
      sum += Math.exp(score - highest);
    }
    return highest + Math.log(sum);
  }

  private void requireClasses() {
    if (schema.kind() != TaskKind.CLASSIFICATION) {
      throw new IllegalStateException(
          "the task is a %s, of which no class is predicted"
              .formatted(schema.kind().problemType()));
    }
  }
}
