package org.prunepeft.model;

import org.bytedeco.pytorch.Tensor;

/** A frozen pre-trained encoder into which a fine-tuning method may put modules. */
public interface Encoder extends AutoCloseable {
  EncoderConfig config();

  /**
   * Hidden states of the last layer.
   *
   * @param insertions what sits in the encoder
   * @return [B·T, hidden]; rows of padding hold no meaning
   */
  Tensor forward(EncoderInput input, Insertions insertions);

  @Override
  void close();
}
