package org.prunepeft.train.head;

import org.bytedeco.pytorch.Tensor;
import org.prunepeft.data.Schema;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.torch.Tape;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.optimizer.ParameterGroup;

/** What makes a task's loss and outputs of the last layer's hidden states. */
public interface TaskHead extends AutoCloseable {
  /** What it predicts. */
  Schema schema();

  /** Where its weights lie. */
  ComputeDevice device();

  /** What of it is trained; may be none. */
  FlatParameters parameters();

  /** Its weights at the learning rate that the settings have for heads. */
  default ParameterGroup group(TrainingSettings settings) {
    return new ParameterGroup("head", parameters(), settings.headLearningRate());
  }

  /** A head of its own with the same weights. */
  TaskHead copy();

  /** Takes the weights of another head of the same kind and shape, so that it predicts the same. */
  void copyWeights(TaskHead from);

  /**
   * Takes features that hardly vary on the frozen model for constants: to be called before the
   * model's own weights are trained.
   */
  default void dropVanishing() {}

  /**
   * What it sees of hidden states.
   *
   * @param hidden [B·T, hidden] of the last layer
   * @param input the batch that they come from
   * @return the same number of rows for each of the B
   */
  Tensor reduced(Tensor hidden, EncoderInput input);

  /** What is right for a batch, on the head's device, as {@link #loss} takes it. */
  Tensor targets(Batch batch);

  /**
   * Mean loss of a batch by its {@link Batch#weight}.
   *
   * @param tape of the pass
   * @param reduced of its rows, from {@link #reduced}
   * @param targets from {@link #targets}
   * @param towers rows of an example
   * @param labelSmoothing share of each label that is spread evenly over all, in [0, 1)
   * @return [] float32, through which gradients flow
   */
  Tensor loss(Tape tape, Tensor reduced, Tensor targets, int towers, double labelSmoothing);

  /**
   * {@return {@link #loss} of predictions that were made already}
   *
   * @param targets of its examples
   */
  default double objective(Evaluation evaluation, double[] targets, double labelSmoothing) {
    return evaluation.loss();
  }

  /**
   * What is predicted of a batch.
   *
   * @param reduced of its rows, from {@link #reduced}
   * @return [examples, outputs of the schema] float32
   */
  Tensor outputs(Tensor reduced, Batch batch);

  /** Ends a training: what was kept apart for it goes into the weights. */
  void fold();

  /** Gives its weights to a checkpoint, or takes them from one. */
  void exchange(StateExchange state);

  @Override
  void close();
}
