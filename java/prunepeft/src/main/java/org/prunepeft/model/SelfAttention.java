package org.prunepeft.model;

import static org.prunepeft.torch.Torch.none;

import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Attention;
import org.prunepeft.torch.AttentionOp;
import org.prunepeft.torch.Tape;

/** Softmax attention over all heads, between a layer's projections. */
interface SelfAttention {
  /**
   * @param layer 0-based
   * @param qkv query, key and value of all heads, [B·T, 3·hidden], dense
   * @param insertions what sits in the encoder
   * @return the context, [B·T, hidden], in float32 or in the type of qkv
   */
  Tensor apply(int layer, Tensor qkv, EncoderInput input, Insertions insertions);

  /** {@return its own weights of a layer, beside those of the layer's projections} */
  default List<Tensor> weights(int layer) {
    return List.of();
  }

  /** Splits query, key and value by heads: three times [B, heads, T, hidden / heads]. */
  static TensorVector split(Tensor qkv, EncoderInput input, long heads) {
    return qkv.view(input.rows(), input.length(), 3, heads, qkv.size(1) / 3 / heads)
        .permute(2, 0, 3, 1, 4)
        .unbind(0);
  }

  /** Scaled dot-product attention (Vaswani et al. 2017). */
  static SelfAttention scaledDotProduct(long heads) {
    return (layer, qkv, input, insertions) ->
        insertions.tape() == null || qkv.is_cuda()
            ? byLibTorch(qkv, input, heads)
            : byKernels(insertions.tape(), qkv, input, heads);
  }

  /** The same by our kernels, on a CPU. */
  static Tensor byKernels(Tape tape, Tensor qkv, EncoderInput input, long heads) {
    return AttentionOp.apply(tape, qkv, extents(input, heads, qkv.size(1) / 3 / heads));
  }

  /** Of a batch, as the kernels take them. */
  static Attention extents(EncoderInput input, long heads, long headSize) {
    return new Attention(
        input.rows(),
        input.length(),
        heads,
        headSize,
        input.padded() ? new BytePointer(input.rowMask().data_ptr()) : null);
  }

  /** The same by LibTorch; on a CPU in float32, since in bfloat16 it is several times slower. */
  static Tensor byLibTorch(Tensor qkv, EncoderInput input, long heads) {
    Tensor operand = qkv.is_cuda() ? qkv : Precision.FLOAT32.of(qkv);
    TensorVector split = split(operand, input, heads);
    Tensor bias = input.attentionBias();
    if (bias != null) {
      bias = bias.to(operand.scalar_type().intern());
    }
    Tensor context =
        torch.scaled_dot_product_attention(
            split.get(0),
            split.get(1),
            split.get(2),
            bias == null ? none() : new TensorOptional(bias),
            0.0,
            false,
            new DoubleOptional(),
            false);
    return context.transpose(1, 2).reshape(qkv.size(0), qkv.size(1) / 3);
  }
}
