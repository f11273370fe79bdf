package org.prunepeft.peft;

import io.soabase.recordbuilder.core.RecordBuilder;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Block;

/**
 * A piece of a trained module as adapter files know it. Every kind of module says which pieces it
 * is made of, so that a file format needs to know these two alone.
 */
public sealed interface AdapterPart {
  /** {@return the transformer layer it sits in, from 0} */
  int layer();

  /**
   * A low-rank update of a projection: W + s·B·A, and with a magnitude m the row-wise normalised
   * m·(W + s·B·A)/‖W + s·B·A‖ (DoRA).
   *
   * @param path the projection's name in the encoder, without the model's prefix:
   *     encoder.layer.0.attention.self.query
   * @param a A [r,K]
   * @param b B [N,r]
   * @param alpha lora_alpha
   * @param rsLora whether s is alpha / √r; else it is alpha / r
   * @param dropout lora_dropout in training
   * @param magnitude m [N]; null: plain LoRA
   * @param singular Λ of AdaLoRA, W + s·B·Λ·A; null: another kind
   */
  @RecordBuilder
  record LowRank(
      int layer,
      String path,
      Tensor a,
      Tensor b,
      double alpha,
      boolean rsLora,
      double dropout,
      Tensor magnitude,
      SingularValues singular)
      implements AdapterPart {
    /** {@return r} */
    public int rank() {
      return (int) a.shape()[0];
    }

    /** {@return s} */
    public double scale() {
      return singular == null
          ? LoraConfig.scale(alpha, rank(), rsLora)
          : singular.config.scale(alpha);
    }

    /**
     * {@return the factor of the product of column r of B and row r of A}
     *
     * @param r from 0
     */
    public double scale(int r) {
      return singular == null ? scale() : scale() * singular.values.values()[r];
    }
  }

  /**
   * AdaLoRA's singular values.
   *
   * @param values the diagonal of Λ, [r,1], with r = init_r; those that the budget left out are 0
   * @param config how they were chosen
   */
  record SingularValues(Tensor values, AdaLoraConfig config) {}

  /**
   * A bottleneck adapter: h + s·(σ(v Dᵀ + d) Uᵀ + u), with h the output of the block.
   *
   * @param place which block
   * @param input what v is
   * @param scaling s
   * @param activation σ
   * @param down D [m,K]
   * @param downBias d [m]
   * @param up U [K,m]
   * @param upBias u [K]
   */
  @RecordBuilder
  record Bottleneck(
      int layer,
      Block place,
      Input input,
      double scaling,
      Activation activation,
      Tensor down,
      Tensor downBias,
      Tensor up,
      Tensor upBias)
      implements AdapterPart {
    /** What a bottleneck computes on; i is the block's residual input. */
    public enum Input {
      /** LN(h + i), with the block's own frozen norm: AdapterHub's SeqBn. */
      NORMED_SUM,
      /** h: AdapterHub's DoubleSeqBn. */
      OUTPUT,
      /** i: AdapterHub's ParBn. */
      RESIDUAL
    }

    /** {@return m} */
    public int size() {
      return (int) down.shape()[0];
    }
  }
}
