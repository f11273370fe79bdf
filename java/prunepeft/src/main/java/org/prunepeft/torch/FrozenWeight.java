package org.prunepeft.torch;

import org.bytedeco.pytorch.Tensor;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Linear;

/**
 * The weight and the bias of a frozen linear, with the form in which the kernels read them, which
 * is made when it is first needed and takes twice the weight's memory. If the weight was changed in
 * place since (by full fine-tuning, say), it is made again. Good for several threads at once.
 */
public final class FrozenWeight implements AutoCloseable {
  private final Tensor weight;
  private final Tensor bias;
  private Linear prepared;

  /** The weight as {@link #prepared} was given it. */
  private Tensor dense;

  private long version;

  /**
   * @param weight W [N,K], float32 or bfloat16; stays the caller's, and has to live as long as this
   * @param bias b [N], of the same type; null: none
   */
  public FrozenWeight(Tensor weight, Tensor bias) {
    this.weight = weight;
    this.bias = bias;
  }

  /** {@return W [N,K]} */
  public Tensor weight() {
    return weight;
  }

  /** {@return b [N] or null} */
  public Tensor bias() {
    return bias;
  }

  /**
   * For the kernels; valid until the weight is changed or this is closed.
   *
   * @param context of the device that the weight lies on
   * @return the linear, owned by this
   */
  public synchronized Linear prepared(Context context) {
    long current = weight._version() + (bias == null ? 0 : bias._version());
    if (prepared == null || version != current) {
      close();
      dense = weight.detach().contiguous();
      // On a GPU the prepared form reads it each time, long after the scope of this call.
      dense.retainReference();
      prepared =
          new Linear(
              context, Torch.matrix(dense), bias == null ? null : Torch.matrix(bias.detach()));
      version = current;
    }
    return prepared;
  }

  /** Frees the kernels' form; the tensors stay. */
  @Override
  public synchronized void close() {
    if (prepared != null) {
      prepared.close();
      prepared = null;
      dense.releaseReference();
    }
  }
}
