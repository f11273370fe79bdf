package org.prunepeft.formats;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.checkpoint.OnnxGraph;
import org.prunepeft.checkpoint.OnnxGraph.ElementType;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.Block;
import org.prunepeft.model.Convolution;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.model.RelativeAttention;
import org.prunepeft.peft.AdapterPart.Bottleneck;

/**
 * An encoder with its bottleneck adapters as ONNX nodes. Texts are rows [B,T]; nodes compute on
 * [B,T,hidden].
 */
final class OnnxEncoder {
  /** What a text's inputs have in common, as names of values. */
  private static final class TextInputs {
    private final String ids;
    private final String types;
    private final String mask;
    private final String bias;

    /** T, [1]. */
    private final String length;

    /** Of DeBERTa: each query's and key's row of the table of relative positions, [B,heads,T,T]. */
    private String places;

    /** The same with queries and keys exchanged. */
    private String mirroredPlaces;

    TextInputs(String ids, String types, String mask, String bias, String length) {
      this.ids = ids;
      this.types = types;
      this.mask = mask;
      this.bias = bias;
      this.length = length;
    }
  }

  private final OnnxGraph graph;
  private final OnnxOperations nodes;
  private final EncoderConfig config;
  private final Architecture architecture;
  private final Checkpoint weights;
  private final List<Bottleneck> adapters;
  private final boolean int8;

  /**
   * @param weights the encoder's by their names within it, low-rank updates folded in
   * @param adapters in the order in which they are applied
   * @param int8 whether linears and word embeddings are in 8 bits
   */
  OnnxEncoder(
      OnnxGraph graph,
      EncoderConfig config,
      Checkpoint weights,
      List<Bottleneck> adapters,
      boolean int8) {
    this.graph = graph;
    this.nodes = new OnnxOperations(graph);
    this.config = config;
    this.architecture = config.architecture();
    this.weights = weights;
    this.adapters = adapters;
    this.int8 = int8;
  }

  /** Last hidden states of a text. */
  record Encoded(String hidden, String mask) {}

  /**
   * Adds the inputs of a text, and what computes its last hidden states [B,T,hidden].
   *
   * @param suffix of the names of inputs, and of the dimension T
   */
  Encoded encode(String suffix) {
    TextInputs text = inputs(suffix);
    String x = embed(text);
    String embedded = x;
    for (int layer = 0; layer < config.layers(); layer++) {
      x = layer(layer, x, text);
      if (layer == 0 && config.convolution() != null) {
        x = convolution(config.convolution(), embedded, x, text);
      }
    }
    return new Encoded(x, text.mask);
  }

  private TextInputs inputs(String suffix) {
    String[] dimensions = {"batch", "sequence" + suffix};
    String ids = graph.input("input_ids" + suffix, ElementType.INT64, dimensions);
    String mask =
        nodes.toFloat(graph.input("attention_mask" + suffix, ElementType.INT64, dimensions));
    String types =
        config.types() > 1
            ? graph.input("token_type_ids" + suffix, ElementType.INT64, dimensions)
            : null;
    // 0 for tokens, and what no score outweighs for padding.
    String bias = nodes.times(-Float.MAX_VALUE, graph.node("Sub", graph.number(1), mask));
    return new TextInputs(ids, types, mask, nodes.unsqueeze(bias, 1, 2), nodes.size(ids, 1));
  }

  private String embed(TextInputs text) {
    String words = "embeddings.word_embeddings.weight";
    String sum =
        int8
            ? nodes.int8Embedding(weights, words, text.ids)
            : nodes.embedding(weights, words, text.ids);
    if (config.absolutePositions()) {
      sum = nodes.add(sum, positions(text));
    }
    if (config.types() > 0) {
      String types = "embeddings.token_type_embeddings.weight";
      sum =
          nodes.add(
              sum,
              config.types() == 1
                  ? nodes.weight(weights, types)
                  : nodes.embedding(weights, types, text.types));
    }
    String path = "embeddings.LayerNorm";
    boolean deberta = architecture == Architecture.DEBERTA_V2;
    if (config.embedding() == config.hidden()) {
      return norm(path, sum);
    }
    return deberta
        ? norm(path, linear("embeddings.embed_proj", sum))
        : linear("embeddings_project", norm(path, sum));
  }

  private String positions(TextInputs text) {
    String table = "embeddings.position_embeddings.weight";
    if (!architecture.positionsBehindPadding()) {
      return graph.node(
          "Slice", nodes.weight(weights, table), graph.integers(0), text.length, graph.integers(0));
    }
    // Tokens that are no padding count from padding + 1 on; padding itself is at `padding`.
    String padding = graph.integer(config.padding());
    String real = nodes.toInteger(graph.node("Not", graph.node("Equal", text.ids, padding)));
    String places = graph.node("Mul", graph.node("CumSum", real, graph.integer(1)), real);
    return nodes.embedding(weights, table, nodes.add(places, padding));
  }

  private String layer(int layer, String x, TextInputs text) {
    String context = attention(layer, x, text);
    String attended = linear(config.path(layer, Projection.ATTENTION_OUTPUT), context);
    String y = residual(Block.ATTENTION, layer, attended, x);
    String middle = linear(config.path(layer, Projection.INTERMEDIATE), y);
    String h =
        linear(
            config.path(layer, Projection.OUTPUT), nodes.activation(config.activation(), middle));
    return residual(Block.FEED_FORWARD, layer, h, y);
  }

  /** A block's output with its adapters, added to its input and normalised. */
  private String residual(Block block, int layer, String h, String input) {
    String path = architecture.norm(layer, block);
    String out = h;
    for (int i = 0; i < adapters.size(); i++) {
      Bottleneck adapter = adapters.get(i);
      if (adapter.layer() == layer && adapter.place() == block) {
        out = adapter("adapters." + i, adapter, out, input, path);
      }
    }
    return norm(path, nodes.add(out, input));
  }

  private String adapter(String path, Bottleneck adapter, String h, String input, String norm) {
    Map<String, Tensor> tensors = new TreeMap<>();
    tensors.put(path + ".adapter_down.weight", adapter.down());
    tensors.put(path + ".adapter_down.bias", adapter.downBias());
    tensors.put(path + ".adapter_up.weight", adapter.up());
    tensors.put(path + ".adapter_up.bias", adapter.upBias());
    Checkpoint own = new MapCheckpoint(path, tensors);
    String v =
        switch (adapter.input()) {
          case NORMED_SUM -> norm(norm, nodes.add(h, input));
          case OUTPUT -> h;
          case RESIDUAL -> input;
        };
    String middle =
        nodes.activation(adapter.activation(), nodes.linear(own, path + ".adapter_down", v));
    String added = nodes.linear(own, path + ".adapter_up", middle);
    return nodes.add(h, adapter.scaling() == 1 ? added : nodes.times(adapter.scaling(), added));
  }

  private String attention(int layer, String x, TextInputs text) {
    String query = heads(linear(config.path(layer, Projection.QUERY), x));
    String key = heads(linear(config.path(layer, Projection.KEY), x));
    String value = heads(linear(config.path(layer, Projection.VALUE), x));
    String scores = graph.node("MatMul", query, nodes.transpose(key, 0, 1, 3, 2));
    int terms = 1;
    RelativeAttention relative = config.relative();
    if (relative != null) {
      if (relative.contentToPosition() || relative.positionToContent()) {
        places(scores, text);
      }
      if (relative.contentToPosition()) {
        String byPlace = graph.node("MatMul", query, position(layer, Projection.KEY, "key"));
        scores = nodes.add(scores, gather(byPlace, text.places));
        terms++;
      }
      if (relative.positionToContent()) {
        String byPlace = graph.node("MatMul", key, position(layer, Projection.QUERY, "query"));
        String mirrored = gather(byPlace, text.mirroredPlaces);
        scores = nodes.add(scores, nodes.transpose(mirrored, 0, 1, 3, 2));
        terms++;
      }
    }
    double width = (double) config.hidden() / config.heads();
    scores = nodes.add(nodes.times(1 / Math.sqrt(width * terms), scores), text.bias);
    String context = graph.node("MatMul", nodes.softmax(scores), value);
    return nodes.reshape(nodes.transpose(context, 0, 2, 1, 3), 0, 0, config.hidden());
  }

  /** [B,T,hidden] to [B,heads,T,hidden / heads]. */
  private String heads(String x) {
    return nodes.transpose(
        nodes.reshape(x, 0, 0, config.heads(), config.hidden() / config.heads()), 0, 2, 1, 3);
  }

  private String gather(String byPlace, String places) {
    return graph.node("GatherElements", Map.of("axis", -1), byPlace, places);
  }

  /**
   * What a projection makes of the relative positions, [heads,hidden / heads,2·span]: a constant,
   * which readers compute when they load the model.
   */
  private String position(int layer, Projection shared, String own) {
    String table = nodes.weight(weights, "encoder.rel_embeddings.weight");
    if (config.relative().normalised()) {
      table = norm("encoder.LayerNorm", table);
    }
    String path =
        config.relative().sharedProjections()
            ? config.path(layer, shared)
            : architecture.layerPath(layer) + ".attention.self.pos_" + own + "_proj";
    int heads = config.heads();
    return nodes.transpose(
        nodes.reshape(linear(path, table), 0, heads, config.hidden() / heads), 1, 2, 0);
  }

  /** The bucket of the distance of query and key, as a row of the table. */
  private void places(String scores, TextInputs text) {
    if (text.places != null) {
      return;
    }
    int span = config.relative().span();
    int furthest = config.maxTokens() - 1;
    long[] rows = new long[2 * furthest + 1];
    for (int i = 0; i < rows.length; i++) {
      int row = config.relative().bucket(i - furthest) + span;
      rows[i] = Math.max(0, Math.min(2 * span - 1, row));
    }
    String positions =
        graph.node("Range", graph.integer(0), graph.node("Squeeze", text.length), graph.integer(1));
    String distances =
        graph.node("Sub", nodes.unsqueeze(positions, 1), nodes.unsqueeze(positions, 0));
    String found =
        graph.node(
            "Gather",
            graph.integers("relative_positions", rows),
            nodes.add(distances, graph.integer(furthest)));
    text.places = graph.node("Expand", nodes.unsqueeze(found, 0, 1), graph.node("Shape", scores));
    text.mirroredPlaces = nodes.transpose(text.places, 0, 1, 3, 2);
  }

  /** The first layer's output with what a convolution makes of neighbouring embeddings. */
  private String convolution(Convolution convolution, String embedded, String x, TextInputs text) {
    int padding = (convolution.kernel() - 1) / 2;
    String path = "encoder.conv.conv";
    String real = graph.node("Mul", embedded, nodes.unsqueeze(text.mask, 2));
    String mixed =
        graph.node(
            "Conv",
            Map.of(
                "kernel_shape", new int[] {convolution.kernel()},
                "pads", new int[] {padding, padding},
                "group", convolution.groups()),
            nodes.transpose(real, 0, 2, 1),
            nodes.weight(weights, path + ".weight"),
            nodes.weight(weights, path + ".bias"));
    String active = nodes.activation(convolution.activation(), nodes.transpose(mixed, 0, 2, 1));
    return norm("encoder.conv.LayerNorm", nodes.add(active, x));
  }

  private String linear(String path, String x) {
    return int8 ? nodes.int8Linear(weights, path, x) : nodes.linear(weights, path, x);
  }

  private String norm(String path, String x) {
    return nodes.norm(weights, path, config.layerNormEpsilon(), x);
  }
}
