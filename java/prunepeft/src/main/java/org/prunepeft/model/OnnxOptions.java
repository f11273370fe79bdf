package org.prunepeft.model;

import io.soabase.recordbuilder.core.RecordBuilder;

/**
 * How a trained model is written as an ONNX model.
 *
 * @param int8 whether the encoder's linears and word embeddings are stored in 8 bits, a quarter of
 *     the size; linears then multiply integers, their inputs quantised as they come
 * @param externalData whether weights are in a file of their own; where one file would have more
 *     than 2 GiB they are anyway
 * @param encoderOnly whether the encoder is written without its head, for embeddings
 */
@RecordBuilder
public record OnnxOptions(boolean int8, boolean externalData, boolean encoderOnly)
    implements OnnxOptionsBuilder.With {
  /** The whole model in float32, in one file where that is possible. */
  public static final OnnxOptions DEFAULT = new OnnxOptions(false, false, false);

  /** {@return a builder that begins with the defaults} */
  public static OnnxOptionsBuilder builder() {
    return OnnxOptionsBuilder.builder(DEFAULT);
  }
}
