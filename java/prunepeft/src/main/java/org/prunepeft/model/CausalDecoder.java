package org.prunepeft.model;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.torch.CausalAttention;
import org.prunepeft.torch.CausalAttentionBuilder;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.GatedActivationOp;
import org.prunepeft.torch.RotaryOp;
import org.prunepeft.torch.Torch;

/**
 * A transformer decoder whose layers normalise before each block: Llama (Touvron et al. 2023) and
 * those that followed it. Query, key and value are one stacked linear, gate and up another.
 */
public final class CausalDecoder extends LayeredEncoder implements Decoder {
  private final DecoderConfig shape;
  private final Tensor words;

  /** Null: the checkpoint has none. */
  private final Tensor output;

  /** [] in the model's precision: the factor is rounded to it, as in the pre-training. */
  private final Tensor embeddingScale;

  private final List<Layer> layers = new ArrayList<>();
  private final FrozenRmsNorm norm;
  private final Map<Rope, RotaryTables> rotations = new HashMap<>();

  /**
   * The parts of a layer; what a family does not have is null.
   *
   * @param attentionNorm of the attention block's input
   * @param attentionInput of query, key and value, one below the other
   * @param queryNorm of each head of the query
   * @param keyNorm of each head of the key
   * @param attentionOutput of the attention block
   * @param attentionPostNorm of the attention block's output, before the residual is added
   * @param feedForwardNorm of the feed-forward block's input
   * @param feedForwardInput of gate and intermediate layer, one below the other
   * @param output of the feed-forward block
   * @param feedForwardPostNorm of the feed-forward block's output, before the residual is added
   */
  private record Layer(
      FrozenRmsNorm attentionNorm,
      FrozenLinear attentionInput,
      FrozenRmsNorm queryNorm,
      FrozenRmsNorm keyNorm,
      FrozenLinear attentionOutput,
      FrozenRmsNorm attentionPostNorm,
      FrozenRmsNorm feedForwardNorm,
      FrozenLinear feedForwardInput,
      FrozenLinear output,
      FrozenRmsNorm feedForwardPostNorm) {
    static Layer read(EncoderWeights weights, EncoderConfig config, int layer) throws IOException {
      DecoderConfig decoder = config.decoder();
      Architecture names = config.architecture();
      int hidden = config.hidden();
      boolean headNorms = decoder.queryKeyNorms();
      boolean postNorms = decoder.postNorms();
      return new Layer(
          norm(weights, config, names.norm(layer, Block.ATTENTION), hidden),
          weights.stacked(layer, Projection.QUERY, Projection.KEY, Projection.VALUE),
          headNorms
              ? norm(weights, config, names.headNorm(layer, Projection.QUERY), decoder.headSize())
              : null,
          headNorms
              ? norm(weights, config, names.headNorm(layer, Projection.KEY), decoder.headSize())
              : null,
          weights.linear(layer, Projection.ATTENTION_OUTPUT),
          postNorms ? norm(weights, config, names.postNorm(layer, Block.ATTENTION), hidden) : null,
          norm(weights, config, names.norm(layer, Block.FEED_FORWARD), hidden),
          weights.stacked(layer, Projection.GATE, Projection.INTERMEDIATE),
          weights.linear(layer, Projection.OUTPUT),
          postNorms
              ? norm(weights, config, names.postNorm(layer, Block.FEED_FORWARD), hidden)
              : null);
    }

    List<FrozenLinear> linears() {
      return List.of(attentionInput, attentionOutput, feedForwardInput, output);
    }

    List<Tensor> weights() {
      Stream<FrozenRmsNorm> norms =
          Stream.of(
              attentionNorm,
              queryNorm,
              keyNorm,
              attentionPostNorm,
              feedForwardNorm,
              feedForwardPostNorm);
      return Stream.concat(
              linears().stream().flatMap(FrozenLinear::tensors),
              norms.filter(Objects::nonNull).map(FrozenRmsNorm::weight))
          .toList();
    }
  }

  /**
   * What a call's layers share.
   *
   * @param starts null: each row is one sample
   * @param span tokens that the longest sample has, or will have
   * @param cache null: all tokens are in the input
   * @param attentions by the layers' windows
   */
  private record DecoderPass(
      EncoderInput input,
      Insertions insertions,
      Tensor starts,
      int span,
      KeyValueCache cache,
      Map<Integer, CausalAttention> attentions) {
    int past() {
      return cache == null ? 0 : cache.length();
    }
  }

  /**
   * Reads a decoder. What the checkpoint has beside it is left where it is, and named in the log.
   *
   * @param config the shape that the checkpoint has
   * @param checkpoint weights by Hugging Face's names, with or without the prefix {@code model.};
   *     remains the caller's
   * @param precision of all weights and of what goes from operation to operation
   * @param quantization of the layers' linears
   * @param device where it is to lie and to be computed
   * @throws FormatException if a tensor is missing, has another shape than the configuration says,
   *     or the decoder has tensors that the configuration has no place for
   * @throws IOException if reading fails
   */
  public CausalDecoder(
      EncoderConfig config,
      Checkpoint checkpoint,
      Precision precision,
      Quantization quantization,
      ComputeDevice device)
      throws IOException {
    super(config, precision, device);
    this.shape = config.decoder();
    EncoderWeights weights =
        new EncoderWeights(checkpoint, config, precision, quantization, device);
    try (PointerScope whole = new PointerScope()) {
      words =
          weights.takeNarrow(config.architecture().words(), config.vocabulary(), config.hidden());
      output =
          shape.tied()
              ? words
              : weights.has(EncoderWeights.OUTPUT)
                  ? weights.takeNarrow(EncoderWeights.OUTPUT, config.vocabulary(), config.hidden())
                  : null;
      embeddingScale =
          shape.embeddingScale() == 1
              ? null
              : precision.of(device.floats(new float[] {(float) shape.embeddingScale()}).squeeze());
      for (int i = 0; i < config.layers(); i++) {
        Layer layer = Layer.read(weights, config, i);
        layers.add(layer);
        linears.addAll(layer.linears());
        Rope rope = shape.rope(i);
        if (rope != null) {
          rotations.computeIfAbsent(rope, key -> new RotaryTables(key, config.maxTokens(), device));
        }
      }
      norm = norm(weights, config, config.architecture().finalNorm(), config.hidden());
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
  public CausalDecoder(
      EncoderConfig config, Checkpoint checkpoint, Precision precision, ComputeDevice device)
      throws IOException {
    this(config, checkpoint, precision, Quantization.NONE, device);
  }

  private static FrozenRmsNorm norm(
      EncoderWeights weights, EncoderConfig config, String path, int size) throws IOException {
    return new FrozenRmsNorm(
        weights.takeNarrow(path + ".weight", size),
        config.layerNormEpsilon(),
        config.decoder().unitOffsetNorms());
  }

  @Override
  public Tensor outputWeight() {
    if (output == null) {
      throw new UnsupportedOperationException(
          "the model has no %s and tie_word_embeddings is false, so it gives no logits; take a checkpoint of %sForCausalLM"
              .formatted(EncoderWeights.OUTPUT, config.architecture().className()));
    }
    return output;
  }

  @Override
  public double logitCap() {
    return shape.logitCap();
  }

  @Override
  public Tensor embed(EncoderInput input) {
    config.require(input);
    // Before a pass over the layers is recorded, which may copy nothing from the host.
    rotations.values().forEach(tables -> tables.of(input.longest()));
    Tensor x =
        torch
            .embedding(words, input.ids())
            .view((long) input.rows() * input.length(), config.hidden());
    return embeddingScale == null ? x : x.mul(embeddingScale);
  }

  @Override
  public Tensor layers(int from, int to, Tensor x, EncoderInput input, Insertions insertions) {
    return layers(from, to, x, pass(input, insertions, input.starts(), input.longest(), null));
  }

  @Override
  public Tensor next(EncoderInput input, KeyValueCache cache, Insertions insertions) {
    try (NoGradGuard guard = new NoGradGuard()) {
      Tensor starts = cache.begin(input);
      Tensor x =
          layers(
              0,
              config.layers(),
              embed(input),
              pass(input, insertions, starts, cache.longest(), cache));
      cache.end(input.length());
      return x;
    }
  }

  private DecoderPass pass(
      EncoderInput input, Insertions insertions, Tensor starts, int span, KeyValueCache cache) {
    DecoderPass pass = new DecoderPass(input, insertions, starts, span, cache, new HashMap<>());
    for (int i = 0; i < layers.size(); i++) {
      pass.attentions.computeIfAbsent(
          shape.window(i),
          window ->
              CausalAttentionBuilder.builder()
                  .sequences(input.rows())
                  .tokens(input.length())
                  .heads(config.heads())
                  .keyHeads(shape.keyValueHeads())
                  .headSize(shape.headSize())
                  .scale(shape.attentionScale())
                  .window(window)
                  .cap(shape.attentionCap())
                  .starts(starts)
                  .build()
                  .masked(
                      insertions.tape(), device, precision.type(), pass.past() + input.length()));
    }
    return pass;
  }

  private Tensor layers(int from, int to, Tensor x, DecoderPass pass) {
    Insertions insertions = pass.insertions;
    for (int i = from; i < to; i++) {
      int index = i;
      Layer layer = layers.get(i);
      x = insertions.layer(i, x, layer::weights, input -> layer(index, layer, input, pass));
    }
    return from < to && to == layers.size() ? norm.apply(insertions, x) : x;
  }

  private Tensor layer(int i, Layer layer, Tensor x, DecoderPass pass) {
    Insertions insertions = pass.insertions;
    Tensor normed = layer.attentionNorm.apply(insertions, x);
    Tensor qkv = layer.attentionInput.apply(insertions, normed, true);
    Tensor context = attention(i, layer, qkv, pass);
    Tensor attended = layer.attentionOutput.apply(insertions, context, true);
    Tensor middle = sum(Block.ATTENTION, i, attended, layer.attentionPostNorm, x, insertions);
    Torch.free(normed, qkv, context, attended);
    normed = layer.feedForwardNorm.apply(insertions, middle);
    Tensor gateUp = layer.feedForwardInput.apply(insertions, normed, true);
    Tensor gated = GatedActivationOp.apply(insertions.tape(), config.activation().gate(), gateUp);
    Tensor h = layer.output.apply(insertions, gated, true);
    Tensor y = sum(Block.FEED_FORWARD, i, h, layer.feedForwardPostNorm, middle, insertions);
    Torch.free(normed, gateUp, gated, h, middle);
    return y;
  }

  /** What a block gives and its residual input. */
  private static Tensor sum(
      Block block, int i, Tensor h, FrozenRmsNorm norm, Tensor x, Insertions insertions) {
    Tensor normed = norm == null ? h : norm.apply(insertions, h);
    Tensor out = insertions.afterBlock(block, i, normed, x, null);
    Tensor sum = out.add(x);
    Torch.free(normed, out == x ? h : out);
    return sum;
  }

  /** The context, [B·T, heads · head size]. */
  private Tensor attention(int i, Layer layer, Tensor qkv, DecoderPass pass) {
    Insertions insertions = pass.insertions;
    long queries = (long) config.heads() * shape.headSize();
    long keys = (long) shape.keyValueHeads() * shape.headSize();
    if (layer.queryNorm != null) {
      qkv =
          torch.cat(
              new TensorVector(
                  layer.queryNorm.apply(insertions, qkv.narrow(1, 0, queries)),
                  layer.keyNorm.apply(insertions, qkv.narrow(1, queries, keys)),
                  qkv.narrow(1, queries + keys, keys)),
              1);
    }
    Rope rope = shape.rope(i);
    if (rope != null) {
      Tensor before = qkv;
      qkv = RotaryOp.apply(insertions.tape(), before, rotation(rope, pass));
      before.close();
    }
    CausalAttention attention = pass.attentions.get(shape.window(i));
    if (pass.cache == null) {
      Tensor context = attention.apply(insertions.tape(), qkv);
      qkv.close();
      return context;
    }
    return attention.cached(
        insertions.tape(),
        qkv.narrow(1, 0, queries),
        pass.cache.keys(i, qkv.narrow(1, queries, keys)),
        pass.cache.values(i, qkv.narrow(1, queries + keys, keys)),
        pass.past() + pass.input.length());
  }

  private RotaryOp.Rotation rotation(Rope rope, DecoderPass pass) {
    return new RotaryOp.Rotation(
        pass.input.rows(),
        config.heads() + shape.keyValueHeads(),
        shape.headSize(),
        rotations.get(rope).of(pass.span),
        pass.past(),
        pass.starts);
  }

  @Override
  public void close() {
    rotations.values().forEach(RotaryTables::close);
    super.close();
  }
}
