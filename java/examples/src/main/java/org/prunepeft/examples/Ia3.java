package org.prunepeft.examples;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.model.Block;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.PeftModule;

/**
 * A module type: a block's output by a learned vector, h ∘ (1 + v), as (IA)³ rescales activations
 * (Liu et al. 2022). LibTorch's autograd gives its gradients.
 *
 * @param block whose output; a setting: {@code --module-settings ia3.block=attention}
 */
public record Ia3(Block block) implements ModuleType {
  /** After the feed-forward block. */
  public Ia3() {
    this(Block.FEED_FORWARD);
  }

  @Override
  public String name() {
    return "ia3";
  }

  @Override
  public List<Parameter> parameters(EncoderConfig encoder, int layer) {
    return List.of(new Parameter(moduleName(layer) + ".scale", new long[] {encoder.hidden()}, 0));
  }

  @Override
  public PeftModule create(EncoderConfig encoder, int layer, List<Tensor> tensors) {
    String module = moduleName(layer);
    return new PeftModule() {
      @Override
      public Tensor afterBlock(
          ForwardPass pass, Block after, Tensor h, Tensor input, LayerNorm norm) {
        if (after != block) {
          return h;
        }
        Tensor added = h.mul(tensors.get(0)).to(h.scalar_type().intern());
        pass.measure(module, added);
        return h.add(added);
      }
    };
  }
}
