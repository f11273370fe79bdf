package org.prunepeft.torch;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.kernels.QuantizedMatrix;

/**
 * The weight and the bias of a frozen linear, with the form in which the kernels read them, which
 * is made when it is first needed and takes twice the weight's memory. If the weight was changed in
 * place since (by full fine-tuning, say), it is made again. A quantised weight has that form alone,
 * from the beginning, a dense one if it is asked to ({@link #keepPreparedAlone}). Good for several
 * threads at once.
 */
public final class FrozenWeight implements AutoCloseable {
  private final boolean quantized;

  /** Null: the kernels' form alone has it. */
  private Tensor weight;

  private final Tensor bias;
  private final torch.ScalarType type;
  private final long outputs;
  private final long inputs;

  private final ComputeDevice device;

  /** What lies on a GPU; on the CPU {@link #prepared} alone has it. */
  private final QuantizedMatrix codes;

  private Linear prepared;

  /** The weight as {@link #prepared} was given it; null: it was made of that. */
  private Tensor dense;

  private long version;

  /**
   * A dense weight.
   *
   * @param weight W [N,K], float32 or bfloat16; stays the caller's, and has to live as long as
   *     this, unless {@link #keepPreparedAlone} closes it
   * @param bias b [N], of the same type; null: none
   */
  public FrozenWeight(Tensor weight, Tensor bias) {
    quantized = false;
    this.weight = weight;
    this.bias = bias;
    type = weight.scalar_type().intern();
    outputs = weight.size(0);
    inputs = weight.size(1);
    device = ComputeDevice.of(weight);
    codes = null;
  }

  /**
   * A quantised weight.
   *
   * @param weight W [N,K]; on the CPU it is copied, on a GPU it has to live as long as this
   * @param bias b [N], of the type; null: none; has to live as long as this
   * @param type of what goes in and out: float32 or bfloat16
   * @param device where all this lies
   */
  public FrozenWeight(
      QuantizedMatrix weight, Tensor bias, torch.ScalarType type, ComputeDevice device) {
    quantized = true;
    this.weight = null;
    this.bias = bias;
    this.type = type;
    outputs = weight.rows();
    inputs = weight.cols();
    this.device = device;
    codes = device.kernels().isCuda() ? weight : null;
    try (Context context = new Context(device.kernels())) {
      prepared = new Linear(context, weight, biasMatrix(), Torch.dtype(type));
    }
  }

  private Matrix biasMatrix() {
    return bias == null ? null : Torch.matrix(bias.detach());
  }

  /** {@return whether the weight is quantised, so that the kernels alone compute with it} */
  public boolean isQuantized() {
    return quantized;
  }

  /** {@return whether the weight itself is trained} */
  public synchronized boolean isTrained() {
    return weight != null && weight.requires_grad();
  }

  /**
   * {@return W [N,K]; null: it {@link #isQuantized}, and {@link #rows} decodes parts of it} If the
   * kernels' form alone had it, both have it again.
   */
  public synchronized Tensor weight() {
    if (weight == null && !quantized) {
      weight = decoded(0, outputs);
      weight.retainReference();
      version = version();
    }
    return weight;
  }

  /**
   * Frees a dense weight that the kernels have in their form, on a CPU, the caller's tensor with
   * it: whoever asks for it later gets one that is made of that, and stays. For a weight that is
   * not trained, when nobody computes with it.
   */
  public synchronized void keepPreparedAlone() {
    if (prepared == null || weight == null || device.kernels().isCuda() || version != version()) {
      return;
    }
    letGoOfDense();
    weight.close();
    weight = null;
  }

  /** {@return b [N] or null} */
  public Tensor bias() {
    return bias;
  }

  /** {@return the type of what goes in and out} */
  public torch.ScalarType type() {
    return type;
  }

  /** {@return N} */
  public long outputs() {
    return outputs;
  }

  /** {@return K} */
  public long inputs() {
    return inputs;
  }

  /**
   * {@return some rows of W, [count,K]: of a dense one a view, of a quantised one a new tensor}
   *
   * @param first 0-based
   * @param count 1 or more
   */
  public Tensor rows(long first, long count) {
    return quantized ? decoded(first, count) : weight().narrow(0, first, count);
  }

  private Tensor decoded(long first, long count) {
    try (NoGradGuard guard = new NoGradGuard();
        Context context = new Context(device.kernels())) {
      if (codes != null) {
        QuantizedMatrix part = codes.part(first, count).orElse(null);
        Tensor rows = device.emptyMatrix(part == null ? outputs : count, inputs, type);
        (part == null ? codes : part).dequantize(context, Torch.matrix(rows));
        return part == null ? rows.narrow(0, first, count) : rows;
      }
      Tensor rows = device.emptyMatrix(count, inputs, type);
      prepared.rows(context, first, Torch.matrix(rows));
      return rows;
    }
  }

  /**
   * For the kernels; valid until the weight is changed or this is closed.
   *
   * @param context of the device that the weight lies on
   * @return the linear, owned by this
   */
  public synchronized Linear prepared(Context context) {
    if (weight == null) {
      return prepared;
    }
    if (prepared == null || version != version()) {
      close();
      dense = weight.detach().contiguous();
      // On a GPU the prepared form reads it each time, long after the scope of this call.
      dense.retainReference();
      prepared = new Linear(context, Torch.matrix(dense), biasMatrix());
      version = version();
    }
    return prepared;
  }

  private long version() {
    return weight._version() + (bias == null ? 0 : bias._version());
  }

  /** Frees the kernels' form; the tensors stay. */
  @Override
  public synchronized void close() {
    if (prepared != null) {
      prepared.close();
      if (weight != null) {
        prepared = null;
        letGoOfDense();
      }
    }
  }

  private void letGoOfDense() {
    if (dense != null) {
      dense.releaseReference();
      dense = null;
    }
  }
}
