package org.prunepeft.model;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.EncoderLayer;
import org.prunepeft.kernels.EncoderLayer.BlockAdapter;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/**
 * A layer as one call of the kernels, for predictions on a CPU: of a short text the calls of each
 * operation take longer than the operations. Good for several threads at once.
 */
final class WholeLayer {
  private final PostNormEncoder.Layer layer;
  private final HiddenActivation activation;
  private final EncoderLayer.Norm attentionNorm;
  private final EncoderLayer.Norm outputNorm;

  /**
   * Of a layer whose normalisations' memory stays where it is.
   *
   * @param activation that the kernels have
   */
  WholeLayer(PostNormEncoder.Layer layer, HiddenActivation activation) {
    this.layer = layer;
    this.activation = activation;
    attentionNorm = norm(layer.attentionNorm());
    outputNorm = norm(layer.outputNorm());
  }

  private static EncoderLayer.Norm norm(LayerNorm norm) {
    return new EncoderLayer.Norm(
        Torch.matrix(norm.weight()), Torch.matrix(norm.bias()), norm.epsilon());
  }

  /**
   * {@return the layer's output, [M,K]}
   *
   * @param x [M,K]
   * @param heads of attention, which is a scaled dot product
   * @param adapters of the layer
   */
  Tensor apply(
      Tensor x,
      EncoderInput input,
      long heads,
      Insertions insertions,
      List<LayerAdapter> adapters) {
    Tape tape = insertions.tape();
    Context cpu = tape.context(Device.cpu());
    EncoderLayer whole =
        new EncoderLayer(
            projection(layer.attentionInput(), cpu, insertions),
            new EncoderLayer.Block(
                projection(layer.attentionOutput(), cpu, insertions),
                behind(Block.ATTENTION, adapters, tape),
                attentionNorm),
            projection(layer.intermediate(), cpu, insertions),
            activation.kernel(),
            new EncoderLayer.Block(
                projection(layer.output(), cpu, insertions),
                behind(Block.FEED_FORWARD, adapters, tape),
                outputNorm));
    Matrix from = Torch.matrix(x);
    Tensor y = ComputeDevice.CPU.emptyMatrix(from.rows(), from.cols(), x.scalar_type().intern());
    whole.forward(
        cpu,
        SelfAttention.extents(input, heads, layer.attentionOutput().frozen().inputs() / heads),
        from,
        Torch.matrix(y));
    return y;
  }

  private static EncoderLayer.Projection projection(
      FrozenLinear linear, Context cpu, Insertions insertions) {
    List<LoraModule<Matrix>> modules = new ArrayList<>();
    for (LoraModule<Tensor> module : insertions.on(linear, true).modules()) {
      modules.add(
          module.of(insertions.tape().matrix(module.a()), insertions.tape().matrix(module.b())));
    }
    return new EncoderLayer.Projection(linear.frozen().prepared(cpu), modules);
  }

  private static List<BlockAdapter> behind(Block block, List<LayerAdapter> adapters, Tape tape) {
    List<BlockAdapter> own = new ArrayList<>();
    for (LayerAdapter adapter : adapters) {
      if (adapter.block() == block) {
        own.add(new BlockAdapter(adapter.weights().matrices(tape), adapter.input()));
      }
    }
    return own;
  }
}
