package org.prunepeft.model;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * What a fine-tuning method puts into an encoder, seen from the encoder. The defaults put in
 * nothing.
 */
public interface Insertions {
  /** Nothing inserted: the frozen encoder. */
  Insertions NONE = new Insertions() {};

  /**
   * Computes a frozen linear, with whatever sits on it.
   *
   * @param linear one of the encoder's, with its layer and projections
   * @param x [M,K], dense
   * @return [M,N]
   */
  default Tensor linear(FrozenLinear linear, Tensor x) {
    return torch.linear(x, linear.weight(), new TensorOptional(linear.bias()));
  }

  /**
   * Computes a frozen linear of relative positions, which DeBERTa sends through the projections of
   * the content: as {@link #linear}, but the rows are no tokens.
   *
   * @param linear one of the encoder's, with its layer and projections
   * @param x [positions,K], dense
   * @return [positions,N]
   */
  default Tensor linearOfPositions(FrozenLinear linear, Tensor x) {
    return linear(linear, x);
  }

  /**
   * Computes scaled dot-product attention between a layer's projections.
   *
   * @param qkv query, key and value of all heads, [B·T, 3·hidden], dense
   * @param input the batch that qkv comes from
   * @param heads num_attention_heads, of which hidden is a multiple
   * @return the context, [B·T, hidden], in float32 or in the type of qkv
   */
  default Tensor attention(Tensor qkv, EncoderInput input, long heads) {
    return SelfAttention.byLibTorch(qkv, input, heads);
  }

  /**
   * What the layer adds to its residual after attention. A post-norm layer goes on with norm(result
   * + input).
   *
   * @param layer 0-based
   * @param h [M,K], the attention block's output
   * @param input [M,K], its residual input
   * @param norm the normalisation after attention
   * @return [M,K]
   */
  default Tensor afterAttention(int layer, Tensor h, Tensor input, LayerNorm norm) {
    return h;
  }

  /**
   * What the layer adds to its residual after the feed-forward block. A post-norm layer's output is
   * norm(result + input).
   *
   * @param layer 0-based
   * @param h [M,K], the feed-forward block's output
   * @param input [M,K], its residual input
   * @param norm the layer's last normalisation
   * @return [M,K]
   */
  default Tensor afterFeedForward(int layer, Tensor h, Tensor input, LayerNorm norm) {
    return h;
  }
}
