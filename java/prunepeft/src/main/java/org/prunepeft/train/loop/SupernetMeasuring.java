package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntConsumer;
import java.util.function.IntFunction;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.peft.supernet.Seeds;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.measured.SubsetMeasurer;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.pass.DivergedException;
import org.prunepeft.train.pass.TrainingRun;

/**
 * A supernet whose parts can do without one another, and what subsets of it are worth. Each step of
 * its training draws a subset of the modules; the others are switched off. Afterwards any subset
 * predicts by a forward pass, without a training of its own.
 */
public final class SupernetMeasuring implements SubsetMeasurer, AutoCloseable {
  private static final String NAME = "measured";

  /** Of checkpoints: the trained supernet, and what was measured. */
  private static final String SUPERNET = "supernet";

  private static final int STEPS_FOR_ONE_OF_ALL = 6;

  /**
   * What it is trained and measured on.
   *
   * @param data training examples
   * @param epochs 1 or more
   * @param heldOut what subsets are measured on, in random order
   * @param smallest share of the supernet's parameters that a step's subset has at least
   * @param largest share that it has at most
   * @param seed of weights, subsets, order and dropout
   */
  public record Plan(
      EncodedDataset data,
      int epochs,
      EncodedDataset heldOut,
      double smallest,
      double largest,
      long seed) {}

  private final Trainer trainer;
  private final Plan plan;
  private final IntConsumer progress;
  private final PeftModules modules;
  private final Head head;

  /** What was measured so far, a row a subset. */
  private final List<float[]> rows = new ArrayList<>();

  /** How many of these the search has been given: fewer while a run that was cut off goes on. */
  private int given;

  private boolean closed;

  /**
   * @param modules the supernet; owned, and initialised here
   * @param head fitted on the frozen encoder; a copy is trained
   * @param progress is given the number of forward passes of an example that are done, over all
   *     subsets measured so far
   */
  public SupernetMeasuring(
      Trainer trainer, PeftModules modules, Head head, Plan plan, IntConsumer progress) {
    this.trainer = trainer;
    this.modules = modules;
    this.head = head.copy();
    this.plan = plan;
    this.progress = progress;
    // Each module is to be judged by what it has learnt: with random weights it would do harm until
    // it has unlearnt them.
    modules.initialise(plan.seed, NAME, true);
  }

  /**
   * Trains the supernet.
   *
   * @throws DivergedException if the loss is not finite
   */
  public void train(IntFunction<StepListener> listener) {
    SplittableRandom random = new SplittableRandom(Seeds.derive(plan.seed, NAME + "/subsets"));
    TrainingRun run =
        new TrainingRun(
            modules,
            head,
            plan.data,
            plan.epochs,
            Seeds.derive(plan.seed, NAME),
            null,
            null,
            1,
            step -> draw(random),
            null);
    StepListener follower = listener.apply(trainer.steps(run));
    Checkpoints checkpoints = trainer.checkpoints();
    if (!checkpoints.resumes(SUPERNET)) {
      trainer.train(run, follower);
    }
    checkpoints.add(SUPERNET, this::exchange);
  }

  private void exchange(StateExchange state) {
    // Once all is measured the weights are not needed any more.
    if (state.value("weights", Boolean.class, !closed)) {
      modules.exchange(state.part("modules"));
      head.exchange(state.part("head"));
    }
    int count = state.number("rows", rows.size());
    for (int i = 0; i < count; i++) {
      float[] row = state.floats("row " + i, state.restoring() ? null : rows.get(i));
      if (state.restoring()) {
        rows.add(row);
      }
    }
  }

  /**
   * Modules in random order, as many as fit a share of the parameters that is drawn first; at times
   * all of them, so that the whole supernet can be measured too.
   */
  private List<Candidate> draw(SplittableRandom random) {
    if (random.nextInt(STEPS_FOR_ONE_OF_ALL) == 0) {
      return modules.candidates();
    }
    List<Candidate> order = new ArrayList<>(modules.candidates());
    for (int i = order.size() - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      Candidate other = order.get(j);
      order.set(j, order.get(i));
      order.set(i, other);
    }
    double share = plan.smallest + (plan.largest - plan.smallest) * random.nextDouble();
    double room = share * modules.count();
    List<Candidate> drawn = new ArrayList<>();
    for (Candidate module : order) {
      if (module.parameters() <= room) {
        drawn.add(module);
        room -= module.parameters();
      }
    }
    return drawn;
  }

  /** What the run has measured before it was cut off is not measured again. */
  @Override
  public float[][] measure(List<List<Candidate>> subsets) {
    if (given == rows.size()) {
      int before = given * plan.heldOut.size();
      List<Predictions> predictions =
          trainer.predict(
              modules,
              head,
              plan.heldOut,
              subsets,
              examples -> progress.accept(before + examples * subsets.size()));
      predictions.forEach(one -> rows.add(values(one)));
    }
    given += subsets.size();
    return rows.subList(given - subsets.size(), given).toArray(float[][]::new);
  }

  /** Of each example the probability of its class, or minus the squared error. */
  private float[] values(Predictions predictions) {
    boolean regression = predictions.schema().kind() == TaskKind.REGRESSION;
    float[] values = new float[predictions.size()];
    for (int i = 0; i < values.length; i++) {
      double target = plan.heldOut.target(i);
      if (regression) {
        double error = predictions.value(i) - target;
        values[i] = (float) -(error * error);
      } else {
        values[i] = (float) predictions.probabilities(i)[(int) target];
      }
    }
    return values;
  }

  @Override
  public void close() {
    closed = true;
    modules.close();
    head.close();
  }
}
