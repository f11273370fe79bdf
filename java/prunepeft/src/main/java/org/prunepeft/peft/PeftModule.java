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
   * @return [rows of the part]; null: by nothing
   */
  default Tensor gain(FrozenLinear linear, FrozenLinear.Part part) {
    return null;
  }

  /**
   * What becomes of the attention block's output; see {@link
   * org.prunepeft.model.Insertions#afterAttention}.
   *
   * @return {@code h} itself if the module does nothing there
   */
  default Tensor afterAttention(ForwardPass pass, Tensor h, Tensor input, LayerNorm norm) {
    return h;
  }

  /**
   * What becomes of the feed-forward block's output; see {@link
   * org.prunepeft.model.Insertions#afterFeedForward}.
   *
   * @return {@code h} itself if the module does nothing there
   */
  default Tensor afterFeedForward(ForwardPass pass, Tensor h, Tensor input, LayerNorm norm) {
    return h;
  }

  /** Probability with which the inputs of its branches are dropped in training. */
  default float dropout() {
    return 0;
  }
}
