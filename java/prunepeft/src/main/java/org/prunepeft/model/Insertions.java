package org.prunepeft.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.ObjIntConsumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.kernels.ModuleOutput;
import org.prunepeft.torch.Tape;

/**
 * What a fine-tuning method puts into an encoder, place by place. The encoder computes: it asks at
 * each place what is there. The defaults put in nothing.
 */
public interface Insertions {
  /** Nothing inserted: the frozen encoder, by LibTorch's operations. */
  Insertions NONE = new Insertions() {};

  /**
   * {@return nothing inserted: the frozen model, by our own operations}
   *
   * @param tape of these; stays the caller's
   */
  static Insertions none(Tape tape) {
    return new Insertions() {
      @Override
      public Tape tape() {
        return tape;
      }
    };
  }

  /**
   * What sits on a linear.
   *
   * @param modules may be empty
   * @param observer is given each module's output, with the module's index, when it is computed;
   *     null: none
   */
  record OnLinear(List<LoraModule<Tensor>> modules, ObjIntConsumer<ModuleOutput> observer) {
    private static final OnLinear NOTHING = new OnLinear(List.of(), null);
  }

  /** {@return records our own operations; null: the encoder takes LibTorch's} */
  default Tape tape() {
    return null;
  }

  /**
   * {@return the weights of what sits in a layer, all that require a gradient}
   *
   * @param layer 0-based
   */
  default List<Tensor> weights(int layer) {
    return List.of();
  }

  /**
   * {@return the LoRA modules on a linear}
   *
   * @param linear one of the encoder's, with its layer and projections
   * @param tokens whether the rows are tokens; else they are relative positions, which DeBERTa
   *     sends through the projections of the content
   */
  default OnLinear on(FrozenLinear linear, boolean tokens) {
    return OnLinear.NOTHING;
  }

  /**
   * {@return the adapters in a layer, if a prediction is made and there is nothing else in the
   * layer but they and the modules of {@link #on}: kernels may compute it as a whole then; null:
   * the layer is to be computed place by place}
   *
   * @param layer 0-based
   */
  default List<LayerAdapter> adapters(int layer) {
    return null;
  }

  /**
   * {@return what becomes of a linear's output, [M,N]} Not asked for where our own operation gave
   * it and no LoRA module sits on it, unless {@link #seesEachLinear}.
   *
   * @param linear as in {@link #on}
   * @param x [M,K]
   * @param y [M,N], what it gives with its LoRA modules
   */
  default Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
    return y;
  }

  /** {@return whether {@link #afterLinear} is asked for each linear's output} */
  default boolean seesEachLinear() {
    return false;
  }

  /**
   * {@return what the layer adds to its residual after a block, [M,K]} A post-norm layer goes on
   * with norm(result + input).
   *
   * @param layer 0-based
   * @param h [M,K], the block's output
   * @param input [M,K], its residual input
   * @param norm the normalisation after the block; null: none, as in decoders, whose layers
   *     normalise before
   */
  default Tensor afterBlock(Block block, int layer, Tensor h, Tensor input, LayerNorm norm) {
    return h;
  }

  /**
   * A layer's output, of whose computation the tape keeps what a backward pass needs.
   *
   * @param index of the layer, 0-based
   * @param x what goes into it
   * @param own gives the encoder's own weights of the layer
   * @param work computes it, with what sits in it
   */
  default Tensor layer(
      int index, Tensor x, Supplier<List<Tensor>> own, UnaryOperator<Tensor> work) {
    if (tape() == null) {
      return work.apply(x);
    }
    return tape()
        .layer(
            x,
            () -> {
              List<Tensor> weights = new ArrayList<>(own.get());
              weights.addAll(weights(index));
              return weights;
            },
            work);
  }
}
