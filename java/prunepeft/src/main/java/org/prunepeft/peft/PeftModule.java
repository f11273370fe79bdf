package org.prunepeft.peft;

import org.bytedeco.pytorch.Tensor;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.torch.LoraLinear;

/** A module in its place. It takes part in the forward pass at some of these points. */
public interface PeftModule {
  /**
   * What the module adds to a projection.
   *
   * @param part a layer's projection, and which rows of a stacked weight are its own
   * @return null: nothing there
   */
  default LoraLinear.Branch branch(FrozenLinear.Part part) {
    return null;
  }

  /**
   * By what each output of a projection, with what {@link #branch} adds but without the bias, is
   * multiplied.
   *
   * @param linear the whole linear that the projection is a part of
   * @param part a layer's projection, and which rows of a stacked weight are its own
   * @return [rows of the part]; null: by nothing
   */
  default Tensor gain(FrozenLinear linear, FrozenLinear.Part part) {
    return null;
  }

  /**
   * What becomes of the attention block's output; see {@link
   * org.prunepeft.model.Insertions#afterAttention}.
   *
   * @param pass what the pass is for: training or not, seed, step, magnitudes
   * @param h the block's output, before it is added to its input, [B·T,hidden]
   * @param input the block's input, [B·T,hidden]
   * @param norm the normalisation that follows the block
   * @return {@code h} itself if the module does nothing there
   */
  default Tensor afterAttention(ForwardPass pass, Tensor h, Tensor input, LayerNorm norm) {
    return h;
  }

  /**
   * What becomes of the feed-forward block's output; see {@link
   * org.prunepeft.model.Insertions#afterFeedForward}.
   *
   * @param pass what the pass is for: training or not, seed, step, magnitudes
   * @param h the block's output, before it is added to its input, [B·T,hidden]
   * @param input the block's input, [B·T,hidden]
   * @param norm the normalisation that follows the block
   * @return {@code h} itself if the module does nothing there
   */
  default Tensor afterFeedForward(ForwardPass pass, Tensor h, Tensor input, LayerNorm norm) {
    return h;
  }

  /** {@return probability with which the inputs of its branches are dropped in training} */
  default float dropout() {
    return 0;
  }
}
