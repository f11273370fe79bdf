package org.prunepeft.model;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Torch;

/**
 * A transformer encoder whose layers normalise after each residual sum: BERT (Devlin et al. 2019)
 * and those that followed it. EncoderWeights carry Hugging Face's names. Query, key and value are
 * one stacked linear. It has no dropout of its own, whether its weights are trained or not.
 */
public final class PostNormEncoder extends LayeredEncoder {
  private final Embeddings embeddings;
  private final SelfAttention attention;
  private final SequenceConvolution convolution;
  private final List<Layer> layers = new ArrayList<>();

  /** By layer, those that were computed as a whole; empty: their weights may have moved since. */
  private final Map<Integer, WholeLayer> wholeLayers = new ConcurrentHashMap<>();

  record Layer(
      FrozenLinear attentionInput,
      FrozenLinear attentionOutput,
      LayerNorm attentionNorm,
      FrozenLinear intermediate,
      FrozenLinear output,
      LayerNorm outputNorm) {
    static Layer read(EncoderWeights weights, EncoderConfig config, int layer) throws IOException {
      return new Layer(
          weights.stacked(layer, Projection.QUERY, Projection.KEY, Projection.VALUE),
          weights.linear(layer, Projection.ATTENTION_OUTPUT),
          weights.norm(config.architecture().norm(layer, Block.ATTENTION), config.hidden()),
          weights.linear(layer, Projection.INTERMEDIATE),
          weights.linear(layer, Projection.OUTPUT),
          weights.norm(config.architecture().norm(layer, Block.FEED_FORWARD), config.hidden()));
    }

    List<FrozenLinear> linears() {
      return List.of(attentionInput, attentionOutput, intermediate, output);
    }
  }

  /**
   * Reads an encoder. What the checkpoint has beside it, a pooler or a task head, is left where it
   * is, and named in the log.
   *
   * @param config the shape that the checkpoint has
   * @param checkpoint weights by Hugging Face's names, with or without the architecture's prefix;
   *     remains the caller's
   * @param precision of the linears' weights and of what goes from operation to operation
   * @param quantization of the layers' linears
   * @param device where it is to lie and to be computed
   * @throws FormatException if a tensor is missing, has another shape than the configuration says,
   *     or the encoder has tensors that the configuration has no place for
   * @throws IOException if reading fails
   */
  public PostNormEncoder(
      EncoderConfig config,
      Checkpoint checkpoint,
      Precision precision,
      Quantization quantization,
      ComputeDevice device)
      throws IOException {
    super(config, precision, device);
    EncoderWeights weights =
        new EncoderWeights(checkpoint, config, precision, quantization, device);
    try (PointerScope whole = new PointerScope()) {
      embeddings = Embeddings.read(weights, config);
      Deberta deberta = config.relative() == null ? null : Deberta.read(weights, config);
      attention = deberta != null ? deberta : SelfAttention.scaledDotProduct(config.heads());
      convolution = config.convolution() == null ? null : SequenceConvolution.read(weights, config);
      for (int i = 0; i < config.layers(); i++) {
        Layer layer = Layer.read(weights, config, i);
        layers.add(layer);
        linears.addAll(layer.linears());
        if (deberta != null) {
          deberta.readLayer(weights, config.architecture().layerPath(i), layer.attentionInput);
        }
      }
      own(weights, checkpoint.origin(), whole);
    }
  }

  /**
   * With dense weights; see the other constructor.
   *
   * @param config the shape that the checkpoint has
   * @param checkpoint named tensors; read, not closed
   * @param precision of frozen weights and activations
   * @param device where it is to lie and to be computed
   * @throws IOException if reading fails, or the checkpoint has not what the configuration needs
   */
  public PostNormEncoder(
      EncoderConfig config, Checkpoint checkpoint, Precision precision, ComputeDevice device)
      throws IOException {
    this(config, checkpoint, precision, Quantization.NONE, device);
  }

  /**
   * On the CPU; see the other constructor.
   *
   * @param config the shape that the checkpoint has
   * @param checkpoint named tensors; read, not closed
   * @param precision of frozen weights and activations
   * @throws IOException if reading fails, or the checkpoint has not what the configuration needs
   */
  public PostNormEncoder(EncoderConfig config, Checkpoint checkpoint, Precision precision)
      throws IOException {
    this(config, checkpoint, precision, ComputeDevice.CPU);
  }

  /**
   * In float32 on the CPU; see the other constructor.
   *
   * @param config the shape that the checkpoint has
   * @param checkpoint named tensors; read, not closed
   * @throws IOException if reading fails, or the checkpoint has not what the configuration needs
   */
  public PostNormEncoder(EncoderConfig config, Checkpoint checkpoint) throws IOException {
    this(config, checkpoint, Precision.FLOAT32);
  }

  @Override
  public Tensor embed(EncoderInput input) {
    config.require(input);
    if (input.starts() != null) {
      throw new IllegalArgumentException(
          "an encoder takes one sample a row, padded on the right, got starts of others");
    }
    return Torch.alone(() -> precision.of(embeddings.apply(input)));
  }

  @Override
  public Tensor layers(int from, int to, Tensor x, EncoderInput input, Insertions insertions) {
    Tensor embedded = x;
    for (int i = from; i < to; i++) {
      int index = i;
      x =
          insertions.layer(
              i, x, () -> weights(index), taken -> layer(index, taken, input, insertions));
      if (i == 0 && convolution != null) {
        x = precision.of(convolution.apply(embedded, x, input));
      }
    }
    return x;
  }

  private List<Tensor> weights(int i) {
    Layer layer = layers.get(i);
    List<Tensor> weights = new ArrayList<>(attention.weights(i));
    layer.linears().stream().flatMap(FrozenLinear::tensors).forEach(weights::add);
    weights.addAll(layer.attentionNorm.tensors());
    weights.addAll(layer.outputNorm.tensors());
    return weights;
  }

  private Tensor layer(int i, Tensor x, EncoderInput input, Insertions insertions) {
    Layer layer = layers.get(i);
    List<LayerAdapter> adapters = computesWhole(layer) ? insertions.adapters(i) : null;
    if (adapters != null) {
      return wholeLayers
          .computeIfAbsent(i, unused -> new WholeLayer(layer, config.activation()))
          .apply(x, input, config.heads(), insertions, adapters);
    }
    // Freed as soon as read: of what lies free, the next of its size takes the place.
    Tensor qkv = layer.attentionInput.apply(insertions, x, true);
    Tensor context = precision.of(attention.apply(i, qkv, input, insertions));
    Torch.free(qkv);
    Tensor attended = layer.attentionOutput.apply(insertions, context, true);
    Torch.free(context);
    Tensor normed = norm(Block.ATTENTION, i, attended, layer.attentionNorm, x, insertions);
    Torch.free(attended);
    Tensor inner = layer.intermediate.apply(insertions, normed, true);
    Tensor active = config.activation().apply(inner);
    Torch.free(inner);
    Tensor h = layer.output.apply(insertions, active, true);
    Torch.free(active);
    Tensor y = norm(Block.FEED_FORWARD, i, h, layer.outputNorm, normed, insertions);
    Torch.free(normed, h);
    return y;
  }

  /** Whether kernels can compute the layer as a whole, as far as it is the encoder's own. */
  private boolean computesWhole(Layer layer) {
    return config.relative() == null
        && config.activation().kernel() != null
        && !device.kernels().isCuda()
        && !GradMode.is_enabled()
        && !layer.output.frozen().isTrained();
  }

  /** Of what a block gives and its residual input. */
  private static Tensor norm(
      Block block, int i, Tensor h, LayerNorm norm, Tensor x, Insertions insertions) {
    Tensor out = insertions.afterBlock(block, i, h, x, norm);
    Tensor sum = out.add(x);
    Torch.free(out == x ? h : out);
    Tensor y = norm.apply(sum);
    Torch.free(sum);
    return y;
  }

  @Override
  public FlatParameters trainable() {
    wholeLayers.clear();
    return super.trainable();
  }
}
