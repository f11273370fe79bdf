package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.function.IntFunction;
import org.prunepeft.data.Metric;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.batch.Answers;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.peft.supernet.Seeds;
import org.prunepeft.peft.supernet.Slices;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.measured.Measurements;
import org.prunepeft.search.measured.SubsetMeasurer;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.DivergedException;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.pass.TrainingRun;

/**
 * A trained supernet, and what subsets of it are worth: any subset predicts by a forward pass with
 * the other modules switched off, without a training of its own.
 */
public final class SupernetMeasuring implements SubsetMeasurer, AutoCloseable {
  private static final String NAME = "measured";

  /** Of checkpoints: the trained supernet, and what was measured. */
  private static final String SUPERNET = "supernet";

  /** A class or answer that is given a smaller probability does no more harm to a score. */
  private static final double LEAST_PROBABILITY = 1e-4;

  /**
   * What it is trained and measured on.
   *
   * @param data training examples
   * @param epochs 1 or more
   * @param heldOut what subsets are measured on, in random order
   * @param seed of weights, order and dropout
   */
  public record MeasuringData(EncodedDataset data, int epochs, EncodedDataset heldOut, long seed) {}

  private final Trainer trainer;
  private final MeasuringData inputs;
  private final IntConsumer progress;
  private final PeftModules modules;

  /** What is measured. */
  private final Slices slices;

  private final TaskHead head;

  /** The subsets that were measured so far; each has a row of scores and one of metrics. */
  private final List<String> measured = new ArrayList<>();

  private final List<float[]> scores = new ArrayList<>();

  private final List<float[]> metrics = new ArrayList<>();

  /** How many of these the search has been given: fewer while a run that was cut off goes on. */
  private int given;

  private boolean closed;

  /**
   * @param modules the supernet; owned, and initialised here
   * @param slices of these, which are measured
   * @param head fitted on the frozen encoder; a copy is trained
   * @param progress is given the number of forward passes of an example that are done, over all
   *     subsets measured so far
   */
  public SupernetMeasuring(
      Trainer trainer,
      PeftModules modules,
      Slices slices,
      TaskHead head,
      MeasuringData inputs,
      IntConsumer progress) {
    this.trainer = trainer;
    this.modules = modules;
    this.slices = slices;
    this.head = head.copy();
    this.inputs = inputs;
    this.progress = progress;
    // Each module is to be judged by what it has learnt: with random weights it would do harm until
    // it has unlearnt them.
    modules.initialise(inputs.seed, NAME, true);
  }

  /** All modules, trained after {@link #train} or given weights; stay this object's. */
  public PeftModules modules() {
    return modules;
  }

  /** The head that was trained with them; stays this object's. */
  public TaskHead head() {
    return head;
  }

  /** Whether the run goes on from a checkpoint that has the trained supernet. */
  public boolean isTrained() {
    return trainer.checkpoints().resumes(SUPERNET);
  }

  /**
   * Trains the supernet.
   *
   * @throws DivergedException if the loss is not finite
   */
  public void train(IntFunction<StepListener> listener) {
    TrainingRun run =
        new TrainingRun(
                modules, head, inputs.data, inputs.epochs, Seeds.derive(inputs.seed, NAME), null)
            .whoseModulesAreJudged();
    trainer.train(run, listener.apply(trainer.steps(run)));
  }

  /** Cuts the trained supernet, or takes that of the checkpoint, which is cut. */
  public void cut() {
    modules.cut(slices);
    trainer.checkpoints().add(SUPERNET, this::exchange);
  }

  private void exchange(StateExchange state) {
    // Once it is closed nobody needs the weights any more.
    if (state.value("weights", Boolean.class, !closed)) {
      modules.exchange(state.part("modules"));
      head.exchange(state.part("head"));
    }
    int count = state.number("rows", scores.size());
    exchange(state, "score ", scores, count);
    exchange(state, "metric ", metrics, count);
    if (count > 0) {
      String all = state.value("subsets", String.class, String.join(" ", measured));
      measured.clear();
      measured.addAll(List.of(all.split(" ")));
    }
  }

  private static UnresumableRunException otherSubsets() {
    return new UnresumableRunException(
        "the checkpoint measured other subsets than are asked for now: it was made by another version; begin the run anew");
  }

  /** Short names of subsets, by which those of a checkpoint are known again. */
  private static List<String> keys(List<List<Candidate>> subsets) {
    return subsets.stream()
        .map(subset -> Integer.toHexString(Candidate.names(subset).hashCode()))
        .toList();
  }

  private static void exchange(StateExchange state, String name, List<float[]> rows, int count) {
    for (int i = 0; i < count; i++) {
      float[] row = state.floats(name + i, state.restoring() ? null : rows.get(i));
      if (state.restoring()) {
        rows.add(row);
      }
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>The metric is 1 for a right class and 0 for a wrong one, whose mean is accuracy; of a
   * regression 1 less the squared error by the targets' variance, whose mean is R²; of a language
   * model the log-likelihood of the example by the mean number of tokens, whose mean is the
   * log-likelihood of a token, or, where it is measured by the answers that it chooses, 1 for a
   * right one and 0 for a wrong one. The score is the logarithm of the right class's or answer's
   * probability; of other tasks it is the metric. Texts that are to be written are not written for
   * each subset: there the log-likelihood is measured.
   *
   * <p>What the run has measured before it was cut off is not measured again.
   */
  @Override
  public Measurements measure(List<List<Candidate>> subsets) {
    if (given == scores.size()) {
      int before = given * inputs.heldOut.size();
      EncodedDataset texts = choosing() == null ? inputs.heldOut : answers().choices().data();
      trainer
          .predictor()
          .predict(
              modules,
              head,
              texts,
              subsets,
              done ->
                  progress.accept(
                      before
                          + (int) ((long) done * inputs.heldOut.size() / texts.size())
                              * subsets.size()))
          .forEach(choosing() == null ? this::add : this::addChoices);
      measured.addAll(keys(subsets));
    }
    int end = given + subsets.size();
    if (end > scores.size() || !measured.subList(given, end).equals(keys(subsets))) {
      throw otherSubsets();
    }
    given = end;
    float[][] score = given(scores, subsets.size());
    return head.schema().kind() == TaskKind.CLASSIFICATION || choosing() != null
        ? new Measurements(score, given(metrics, subsets.size()))
        : Measurements.of(score);
  }

  private Answers answers() {
    return inputs.heldOut.answers();
  }

  /** By which answers are chosen; null: none are. */
  private Metric choosing() {
    return answers() == null ? null : answers().choosing();
  }

  private float[][] given(List<float[]> rows, int count) {
    return rows.subList(given - count, given).toArray(float[][]::new);
  }

  private void add(Predictions predictions) {
    double[] targets = inputs.heldOut.targets();
    float[] score = new float[targets.length];
    float[] metric = new float[targets.length];
    switch (head.schema().kind()) {
      case CLASSIFICATION -> {
        for (int i = 0; i < targets.length; i++) {
          double[] probabilities = predictions.probabilities(i);
          int target = (int) targets[i];
          score[i] = (float) Math.log(Math.max(LEAST_PROBABILITY, probabilities[target]));
          metric[i] = predictions.label(i) == target ? 1 : 0;
        }
      }
      case REGRESSION -> {
        double variance = variance(targets);
        for (int i = 0; i < targets.length; i++) {
          double error = predictions.value(i) - targets[i];
          metric[i] = (float) (1 - error * error / variance);
        }
        score = metric;
      }
      case LANGUAGE_MODELING -> {
        double mean = Math.max(1, Arrays.stream(targets).sum()) / targets.length;
        for (int i = 0; i < targets.length; i++) {
          metric[i] = (float) (predictions.value(i) * targets[i] / mean);
        }
        score = metric;
      }
    }
    scores.add(score);
    metrics.add(metric);
  }

  /** Of the texts of all answers. */
  private void addChoices(Predictions texts) {
    ChoiceScores choices = new ChoiceScores(answers(), texts);
    boolean[] chosen = choices.chosen(choosing());
    float[] score = new float[chosen.length];
    float[] metric = new float[chosen.length];
    for (int i = 0; i < chosen.length; i++) {
      double probability = choices.probability(i, choosing());
      score[i] = (float) Math.log(Math.max(LEAST_PROBABILITY, probability));
      metric[i] = chosen[i] ? 1 : 0;
    }
    scores.add(score);
    metrics.add(metric);
  }

  /** Of targets that are all the same 1, so that what is divided by it stays finite. */
  private static double variance(double[] targets) {
    double mean = Arrays.stream(targets).average().orElseThrow();
    double variance =
        Arrays.stream(targets).map(t -> (t - mean) * (t - mean)).average().orElseThrow();
    return variance > 0 ? variance : 1;
  }

  @Override
  public void close() {
    closed = true;
    modules.close();
    head.close();
  }
}
