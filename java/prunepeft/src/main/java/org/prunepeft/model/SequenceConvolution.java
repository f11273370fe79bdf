package org.prunepeft.model;

import java.io.IOException;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * What DeBERTa-v2 adds to its first layer's output: norm(output + act(convolution over the
 * embeddings of neighbouring tokens)). Padding counts as zeros.
 *
 * @param weight [hidden, hidden / groups, kernel]
 * @param bias [hidden]
 */
record SequenceConvolution(Convolution config, Tensor weight, Tensor bias, LayerNorm norm) {
  static SequenceConvolution read(EncoderWeights weights, EncoderConfig config) throws IOException {
    Convolution convolution = config.convolution();
    long hidden = config.hidden();
    return new SequenceConvolution(
        convolution,
        weights.take(
            "encoder.conv.conv.weight",
            hidden,
            hidden / convolution.groups(),
            convolution.kernel()),
        weights.take("encoder.conv.conv.bias", hidden),
        weights.norm("encoder.conv.LayerNorm", hidden));
  }

  /**
   * @param embedded the embeddings, [B·T, hidden]
   * @param x the first layer's output, [B·T, hidden]
   * @return [B·T, hidden]
   */
  Tensor apply(Tensor embedded, Tensor x, EncoderInput input) {
    Tensor real = input.mask().unsqueeze(2);
    Tensor sequence = embedded.view(input.rows(), input.length(), x.size(1)).mul(real);
    Tensor mixed =
        torch
            .conv1d(
                sequence.transpose(1, 2).contiguous(),
                weight,
                new TensorOptional(bias),
                new long[] {1},
                new long[] {(config.kernel() - 1) / 2},
                new long[] {1},
                config.groups())
            .transpose(1, 2);
    return norm.apply(config.activation().apply(mixed).reshape(x.size(0), x.size(1)).add(x));
  }
}
