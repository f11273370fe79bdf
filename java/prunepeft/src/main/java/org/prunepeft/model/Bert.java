package org.prunepeft.model;

import static org.prunepeft.torch.Torch.none;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * BERT (Devlin et al. 2019): post-norm layers, learned positions, exact GELU. Weights carry Hugging
 * Face's names. Query, key and value are one stacked linear. The frozen part runs without its own
 * dropout.
 */
public final class Bert implements Encoder {
  private final EncoderConfig config;
  private final PointerScope scope;
  private final Tensor words;
  private final Tensor positions;
  private final Tensor types;
  private final LayerNorm embeddingNorm;
  private final List<Layer> layers = new ArrayList<>();

  private record Layer(
      FrozenLinear attentionInput,
      FrozenLinear attentionOutput,
      LayerNorm attentionNorm,
      FrozenLinear intermediate,
      FrozenLinear output,
      LayerNorm outputNorm) {
    List<FrozenLinear> linears() {
      return List.of(attentionInput, attentionOutput, intermediate, output);
    }
  }

  /**
   * @param weights float32 by Hugging Face's names without a model prefix
   *     (embeddings.word_embeddings.weight, ...); the model takes them over, and {@link #close()}
   *     frees them
   * @throws IllegalArgumentException if a tensor is missing or has another shape than the
   *     configuration says
   */
  public Bert(EncoderConfig config, Map<String, Tensor> weights) {
    this.config = config;
    Weights source = new Weights(weights);
    long hidden = config.hidden();
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      words = source.take("embeddings.word_embeddings.weight", config.vocabulary(), hidden);
      positions = source.take("embeddings.position_embeddings.weight", config.positions(), hidden);
      types = source.take("embeddings.token_type_embeddings.weight", config.types(), hidden);
      embeddingNorm = source.norm("embeddings.LayerNorm", hidden);
      for (int i = 0; i < config.layers(); i++) {
        String layer = "encoder.layer." + i;
        layers.add(
            new Layer(
                source.stacked(
                    layer + ".attention.self", List.of("query", "key", "value"), hidden, hidden),
                source.linear(layer + ".attention.output.dense", hidden, hidden),
                source.norm(layer + ".attention.output.LayerNorm", hidden),
                source.linear(layer + ".intermediate.dense", config.intermediate(), hidden),
                source.linear(layer + ".output.dense", hidden, config.intermediate()),
                source.norm(layer + ".output.LayerNorm", hidden)));
      }
    }
  }

  /** Takes tensors out of a map, checking their shapes. */
  private final class Weights {
    private final Map<String, Tensor> tensors;

    Weights(Map<String, Tensor> tensors) {
      this.tensors = tensors;
    }

    Tensor take(String name, long... shape) {
      Tensor tensor = tensors.get(name);
      if (tensor == null) {
        throw new IllegalArgumentException("the model has no tensor " + name);
      }
      long[] actual = LongStream.range(0, tensor.dim()).map(tensor::size).toArray();
      if (!Arrays.equals(actual, shape)) {
        throw new IllegalArgumentException(
            String.format(
                "tensor %s must have shape %s, got %s",
                name, Arrays.toString(shape), Arrays.toString(actual)));
      }
      // A handle of our own, so that the model's scope owns it.
      return new Tensor(tensor);
    }

    LayerNorm norm(String path, long size) {
      return new LayerNorm(
          take(path + ".weight", size), take(path + ".bias", size), config.layerNormEpsilon());
    }

    FrozenLinear linear(String path, long rows, long cols) {
      return new FrozenLinear(
          take(path + ".weight", rows, cols),
          take(path + ".bias", rows),
          List.of(new FrozenLinear.Part(path, 0, rows)));
    }

    FrozenLinear stacked(String path, List<String> names, long rows, long cols) {
      List<FrozenLinear.Part> parts = new ArrayList<>();
      for (String name : names) {
        parts.add(new FrozenLinear.Part(path + "." + name, parts.size() * rows, rows));
      }
      try (PointerScope separate = new PointerScope()) {
        TensorVector weights = new TensorVector();
        TensorVector biases = new TensorVector();
        for (FrozenLinear.Part part : parts) {
          weights.push_back(take(part.path() + ".weight", rows, cols));
          biases.push_back(take(part.path() + ".bias", rows));
        }
        Tensor weight = torch.cat(weights, 0);
        Tensor bias = torch.cat(biases, 0);
        scope.attach(weight).attach(bias);
        return new FrozenLinear(weight, bias, parts);
      }
    }
  }

  @Override
  public EncoderConfig config() {
    return config;
  }

  @Override
  public Tensor forward(EncoderInput input, Insertions insertions) {
    long batch = input.ids().size(0);
    long length = input.ids().size(1);
    if (length > config.positions()) {
      throw new IllegalArgumentException(
          "a sequence of "
              + length
              + " tokens exceeds the model's "
              + config.positions()
              + " positions");
    }
    Tensor attentionBias = input.attentionBias();
    Tensor embedded =
        torch
            .embedding(words, input.ids())
            .add_(positions.narrow(0, 0, length))
            .add_(torch.embedding(types, input.types()));
    Tensor x = embeddingNorm.apply(embedded).view(batch * length, config.hidden());
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
      Tensor context =
          attention(insertions.linear(layer.attentionInput, x), batch, length, attentionBias);
      x = layer.attentionNorm.apply(insertions.linear(layer.attentionOutput, context).add(x));
      Tensor middle = torch.gelu(insertions.linear(layer.intermediate, x));
      Tensor h = insertions.linear(layer.output, middle);
      x = layer.outputNorm.apply(insertions.afterFeedForward(i, h, x, layer.outputNorm).add(x));
    }
    return x;
  }

  /** Scaled dot-product attention over all heads; qkv [B·T, 3·hidden] gives [B·T, hidden]. */
  private Tensor attention(Tensor qkv, long batch, long length, Tensor bias) {
    long heads = config.heads();
    TensorVector split =
        qkv.view(batch, length, 3, heads, config.hidden() / heads).permute(2, 0, 3, 1, 4).unbind(0);
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
    return context.transpose(1, 2).reshape(batch * length, config.hidden());
  }

  @Override
  public void close() {
    layers.forEach(layer -> layer.linears().forEach(FrozenLinear::close));
    scope.close();
  }
}
