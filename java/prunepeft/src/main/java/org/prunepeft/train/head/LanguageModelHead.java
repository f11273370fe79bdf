package org.prunepeft.train.head;

import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.data.Schema;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.model.Decoder;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.TokenLoss;

/** A language model's own output layer, which is trained with all of the model's weights alone. */
public final class LanguageModelHead implements TaskHead {
  private final Tensor weight;
  private final double logitCap;
  private final TokenLoss loss;
  private final FlatParameters none;

  /**
   * @param weight [vocabulary, hidden] of the output layer; stays the model's
   * @param logitCap the most that a logit may be, by tanh; 0: no cap
   */
  public LanguageModelHead(Tensor weight, double logitCap) {
    this.weight = weight;
    this.logitCap = logitCap;
    loss = new TokenLoss(weight, logitCap);
    none = new FlatParameters(ComputeDevice.of(weight), Map.of());
  }

  /**
   * {@return that of a model}
   *
   * @throws IllegalArgumentException if it is no decoder
   */
  public static LanguageModelHead of(Encoder model) {
    if (model instanceof Decoder decoder) {
      return new LanguageModelHead(decoder.outputWeight(), decoder.logitCap());
    }
    throw new IllegalArgumentException(
        "a %s is an encoder, which generates no texts; take a decoder, such as a Llama, or data with labels"
            .formatted(model.config().architecture()));
  }

  @Override
  public Schema schema() {
    return Schema.languageModeling();
  }

  @Override
  public ComputeDevice device() {
    return ComputeDevice.of(weight);
  }

  @Override
  public FlatParameters parameters() {
    return none;
  }

  @Override
  public LanguageModelHead copy() {
    return new LanguageModelHead(weight, logitCap);
  }

  @Override
  public void copyWeights(TaskHead from) {
    // There are none.
  }

  @Override
  public Tensor reduced(Tensor hidden, EncoderInput input) {
    return hidden;
  }

  @Override
  public Tensor targets(Batch batch) {
    return TokenLoss.labelled(device(), batch.labels());
  }

  @Override
  public Tensor loss(Tape tape, Tensor reduced, Tensor targets, int towers, double labelSmoothing) {
    return loss.mean(tape, reduced, targets, labelSmoothing);
  }

  /**
   * Mean log-likelihoods [examples, 1] of the tokens that contribute to the loss; 0 where there are
   * none.
   */
  @Override
  public Tensor outputs(Tensor reduced, Batch batch) {
    Tensor sums =
        loss.logLikelihoods(reduced, targets(batch)).view(batch.rows(), batch.length()).sum(1);
    float[] counts = new float[batch.rows()];
    for (int row = 0; row < counts.length; row++) {
      counts[row] = (float) Math.max(1, batch.targets()[row]);
    }
    return sums.div(device().floats(counts, counts.length)).unsqueeze(1);
  }

  @Override
  public void fold() {
    // Nothing was trained.
  }

  @Override
  public void exchange(StateExchange state) {
    // Nothing changes.
  }

  @Override
  public void close() {
    none.close();
  }
}
