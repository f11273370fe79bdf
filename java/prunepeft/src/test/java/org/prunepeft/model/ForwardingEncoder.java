package org.prunepeft.model;

import org.bytedeco.pytorch.Tensor;

/** Another encoder, of which tests watch or change a part. */
public class ForwardingEncoder implements Encoder {
  private final Encoder encoder;

  /**
   * @param encoder closed with this
   */
  public ForwardingEncoder(Encoder encoder) {
    this.encoder = encoder;
  }

  @Override
  public EncoderConfig config() {
    return encoder.config();
  }

  @Override
  public Precision precision() {
    return encoder.precision();
  }

  @Override
  public Tensor embed(EncoderInput input) {
    return encoder.embed(input);
  }

  @Override
  public Tensor layers(int from, int to, Tensor x, EncoderInput input, Insertions insertions) {
    return encoder.layers(from, to, x, input, insertions);
  }

  @Override
  public void close() {
    encoder.close();
  }
}
