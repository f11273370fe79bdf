package org.prunepeft.model;

import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;

/** A frozen pre-trained encoder into which a fine-tuning method may put modules. */
public interface Encoder extends AutoCloseable {
  /** {@return the encoder's shape} */
  EncoderConfig config();

  /** {@return what the layers take in, compute in and give out} */
  Precision precision();

  /** {@return where its tensors lie} */
  default ComputeDevice device() {
    return ComputeDevice.CPU;
  }

  /**
   * What the first layer takes in.
   *
   * @param input token ids, types and mask of a batch, on the encoder's device
   * @return [B·T, hidden]; rows of padding hold no meaning
   * @throws IllegalArgumentException if the batch is longer than the model's positions
   */
  Tensor embed(EncoderInput input);

  /**
   * Runs some of the layers.
   *
   * @param from 0-based, the first layer that is run
   * @param to the layer after the last one that is run
   * @param x what layer {@code from} takes in, [B·T, hidden]
   * @param input the batch that x comes from
   * @param insertions what sits in the encoder
   * @return what layer {@code to} would take in, [B·T, hidden]
   */
  Tensor layers(int from, int to, Tensor x, EncoderInput input, Insertions insertions);

  /**
   * Hidden states of the last layer.
   *
   * @param input token ids, types and mask of a batch, on the encoder's device
   * @param insertions what sits in the encoder
   * @return [B·T, hidden]; rows of padding hold no meaning
   */
  default Tensor forward(EncoderInput input, Insertions insertions) {
    return layers(0, config().layers(), embed(input), input, insertions);
  }

  /**
   * Makes its own weights trainable, for full fine-tuning: until the result is closed, which gives
   * them their values back, they require gradients and are what the result holds, by their names in
   * the model. An encoder that computes in float32 can do so.
   *
   * @return the caller's, to be closed before the encoder
   * @throws UnsupportedOperationException if it can't, as here
   */
  default FlatParameters trainable() {
    throw new UnsupportedOperationException("this encoder's own weights cannot be trained");
  }

  /**
   * Frees those weights of the layers that the kernels have in forms of their own, on a CPU. For
   * work with modules after a first pass, when no pass goes on; {@link #trainable} must not be
   * called afterwards. An encoder may have nothing to free, as here.
   */
  default void keepPreparedAlone() {}

  /** Frees its weights, and hands back to the system what the process has freed before. */
  @Override
  void close();
}
