package org.prunepeft.peft;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.model.Block;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.LayerAdapter;
import org.prunepeft.model.LayerNorm;

/** A module in its place. It takes part in the forward pass at some of these points. */
public interface PeftModule {
  /**
   * What the module adds to a projection.
   *
   * @param pass what the pass is for; gives the module's dropout
   * @param part a layer's projection, and which rows of a stacked weight are its own
   * @return null: nothing there
   */
  default LoraModule<Tensor> lora(ForwardPass pass, FrozenLinear.Part part) {
    return null;
  }

  /**
   * By what each output of a projection, with what {@link #lora} adds but without the bias, is
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
   * {@return the adapters that {@link #afterBlock} computes, if these, possibly none, and {@link
   * #lora} are all that the module does: kernels may then compute a layer as a whole in
   * predictions; null, as here: the module is to be asked place by place}
   */
  default List<LayerAdapter> adapters() {
    return null;
  }

  /**
   * What becomes of a block's output; see {@link org.prunepeft.model.Insertions#afterBlock}.
   *
   * @param pass what the pass is for
   * @param h the block's output, before it is added to its input, [B·T,hidden]
   * @param input the block's input, [B·T,hidden]
   * @param norm the normalisation that follows the block; null: none, as in decoders
   * @return {@code h} itself if the module does nothing there
   */
  default Tensor afterBlock(ForwardPass pass, Block block, Tensor h, Tensor input, LayerNorm norm) {
    return h;
  }
}
