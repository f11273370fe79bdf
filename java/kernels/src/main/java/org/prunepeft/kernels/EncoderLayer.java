package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import java.util.List;
import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * A layer of an encoder that normalises after each residual sum, with LoRA modules and adapters in
 * it, in one call: for predictions, on the CPU. Results are those of the kernels' own calls for
 * each step, {@link Linear}, {@link Attention} and {@link Adapter}, bit for bit; what is between
 * them never leaves the native library. Errors as in {@link Linear}.
 *
 * <pre>{@code
 * c = attention(x Wqkvᵀ + bqkv)   h = c Wcᵀ + bc, and its adapters   n = norm(h + x)
 * i = σ(n Wiᵀ + bi)               h = i Woᵀ + bo, and its adapters   y = norm(h + n)
 * }</pre>
 *
 * @param qkv query, key and value, [3·heads·headSize, K]
 * @param attentionBlock with Wc [K, heads·headSize]
 * @param intermediate [I,K]
 * @param activation σ
 * @param feedForwardBlock with Wo [K,I]
 */
public record EncoderLayer(
    Projection qkv,
    Block attentionBlock,
    Projection intermediate,
    Activation activation,
    Block feedForwardBlock) {
  /**
   * A frozen linear with its modules.
   *
   * @param linear of x's type
   * @param modules on all rows, without dropout; at most 16; may be empty
   */
  public record Projection(Linear linear, List<LoraModule<Matrix>> modules) {}

  /**
   * norm(a) = (a − mean(a)) / sqrt(variance(a) + ε)·w + b over a row.
   *
   * @param weight w [K], float32
   * @param bias b [K], float32
   * @param epsilon ε, above 0
   */
  public record Norm(Matrix weight, Matrix bias, double epsilon) {}

  /** What an adapter takes in; the ordinal is the {@code pp_adapter_input}. */
  public enum AdapterInput {
    /** norm(h + residual). */
    NORMED_SUM,
    /** h. */
    OUTPUT,
    /** The block's residual input. */
    RESIDUAL
  }

  /**
   * An adapter of a block, h + σ(v Dᵀ + d) Uᵀ + u.
   *
   * @param weights D, d, U and u
   * @param input v
   */
  public record BlockAdapter(Adapter.Weights weights, AdapterInput input) {}

  /**
   * The end of a block.
   *
   * @param output its last linear
   * @param adapters on that one's output, in their order; may be empty
   * @param norm of the sum with the residual input
   */
  public record Block(Projection output, List<BlockAdapter> adapters, Norm norm) {}

  /**
   * Computes the layer.
   *
   * @param context of the CPU
   * @param attention of M = sequences · tokens rows, an encoder's
   * @param x [M,K], of the linears' type
   * @param y [M,K], written; may be x's buffer
   */
  public void forward(Context context, Attention attention, Matrix x, Matrix y) {
    y.require("y", x.dtype(), x.rows(), x.cols());
    attention.requireBuffers();
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_encoder_layer_forward(
            context.struct(),
            call.layer(this, attention, x.rows()),
            call.matrix(0, x),
            call.matrix(1, y)),
        context,
        this);
  }
}
