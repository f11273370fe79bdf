package org.prunepeft.model;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.FrozenWeight;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes a model's tensors out of a checkpoint, checking names and shapes, each straight into its
 * place in memory. Tensors are made in the caller's PointerScope.
 */
final class EncoderWeights {
  private static final Logger LOG = LoggerFactory.getLogger(EncoderWeights.class);

  /** The output weight of a language model, which has no prefix. */
  static final String OUTPUT = "lm_head.weight";

  private final Checkpoint checkpoint;
  private final EncoderConfig config;
  private final Precision precision;
  private final Quantization quantization;
  private final ComputeDevice device;
  private final LoadingBuffers buffers = new LoadingBuffers();
  private final WeightSlabs slabs;

  /** Names within the encoder, each with the checkpoint's own. */
  private final Map<String, String> names = new HashMap<>();

  private final Set<String> untaken = new TreeSet<>();
  private final List<String> outside = new ArrayList<>();

  /** What was made, each with its rows' names within the encoder. */
  private final List<FlatParameters.Stacked> taken = new ArrayList<>();

  /**
   * @param precision of the linears, and of what is taken narrow; all else is float32
   * @param quantization of the layers' linears
   * @param device where tensors are to lie
   * @throws FormatException if the checkpoint has no word embeddings where the architecture has
   *     them, or two tensors of one name
   */
  EncoderWeights(
      Checkpoint checkpoint,
      EncoderConfig config,
      Precision precision,
      Quantization quantization,
      ComputeDevice device)
      throws FormatException {
    this.checkpoint = checkpoint;
    this.config = config;
    this.precision = precision;
    this.quantization = quantization;
    this.device = device;
    slabs = new WeightSlabs(precision, linears(config));
    String prefix = config.architecture().prefix() + ".";
    String words = config.architecture().words();
    boolean prefixed = checkpoint.names().contains(prefix + words);
    if (!prefixed && !checkpoint.names().contains(words)) {
      throw new FormatException(
          "%s has neither %s nor %s%s, so it is no %s model"
              .formatted(checkpoint.origin(), words, prefix, words, config.architecture()));
    }
    for (String stored : checkpoint.names()) {
      String name =
          prefixed && stored.startsWith(prefix) ? stored.substring(prefix.length()) : stored;
      if (stored.equals(OUTPUT) && config.decoder() != null && !config.decoder().tied()) {
        names.put(stored, stored);
        untaken.add(stored);
      } else if (prefixed == stored.startsWith(prefix) && EncoderNames.contains(name)) {
        name = modern(name);
        if (names.put(name, stored) != null) {
          throw new FormatException(
              checkpoint.origin() + " has both spellings of " + name + ", of which " + stored);
        }
        untaken.add(name);
      } else {
        outside.add(stored);
      }
    }
  }

  /** In float32 on the CPU; see the other constructor. */
  EncoderWeights(Checkpoint checkpoint, EncoderConfig config) throws FormatException {
    this(checkpoint, config, Precision.FLOAT32, Quantization.NONE, ComputeDevice.CPU);
  }

  /** Elements of all linears of all layers. */
  private static long linears(EncoderConfig config) {
    return config.layers()
        * config.projections().stream()
            .mapToLong(one -> (long) config.outputs(one) * config.inputs(one))
            .sum();
  }

  /** What of a model is the encoder, as against pooler and heads. */
  private static final class EncoderNames {
    private static final List<String> ROOTS =
        List.of(
            "embeddings.",
            "embeddings_project.",
            "encoder.",
            "transformer.",
            "embed_tokens.",
            "layers.",
            "norm.");

    static boolean contains(String name) {
      // Buffers that some versions of the library saved: 0, 1, 2, ...
      return ROOTS.stream().anyMatch(name::startsWith)
          && !name.equals("embeddings.position_ids")
          && !name.equals("embeddings.token_type_ids")
          && !name.endsWith("rotary_emb.inv_freq");
    }
  }

  /** Checkpoints that were made from TensorFlow's call a normalisation's tensors gamma and beta. */
  private static String modern(String name) {
    if (name.endsWith("LayerNorm.gamma")) {
      return name.substring(0, name.length() - "gamma".length()) + "weight";
    }
    if (name.endsWith("LayerNorm.beta")) {
      return name.substring(0, name.length() - "beta".length()) + "bias";
    }
    return name;
  }

  /**
   * A new float32 tensor with the values of the checkpoint's.
   *
   * @throws FormatException if it is missing or has another shape
   */
  Tensor take(String name, long... shape) throws IOException {
    return take(torch.ScalarType.Float, name, shape);
  }

  /** The same in the precision of the linears. */
  Tensor takeNarrow(String name, long... shape) throws IOException {
    return take(precision.type(), name, shape);
  }

  private Tensor take(torch.ScalarType type, String name, long... shape) throws IOException {
    check(name, shape);
    Tensor tensor = torch.empty(shape, new TensorOptions(type), null);
    fill(tensor, name);
    return taken(placed(tensor), Map.of(name, shape[0]));
  }

  /** Whether the checkpoint has a tensor. */
  boolean has(String name) {
    return names.containsKey(name);
  }

  /** To be called before memory of that size is asked for: a configuration may claim anything. */
  private void check(String name, long... shape) throws FormatException {
    String stored = names.get(name);
    if (stored == null) {
      throw new FormatException(
          "%s has no tensor %s; the configuration (%s, %d layers) needs one of shape %s"
              .formatted(
                  checkpoint.origin(),
                  name,
                  config.architecture(),
                  config.layers(),
                  Arrays.toString(shape)));
    }
    long[] actual = checkpoint.shape(stored);
    if (!Arrays.equals(actual, shape)) {
      throw new FormatException(
          "tensor %s of %s must have shape %s by the configuration, got %s"
              .formatted(
                  stored, checkpoint.origin(), Arrays.toString(shape), Arrays.toString(actual)));
    }
  }

  /** Fills a dense tensor of a shape that was checked. */
  private void fill(Tensor target, String name) throws IOException {
    untaken.remove(name);
    TensorReader.fill(target, checkpoint, names.get(name));
  }

  LayerNorm norm(String path, long size) throws IOException {
    return new LayerNorm(
        take(path + ".weight", size), take(path + ".bias", size), config.layerNormEpsilon());
  }

  /** A projection of a layer, on its own. */
  FrozenLinear linear(int layer, Projection projection) throws IOException {
    return stacked(layer, projection);
  }

  /** Projections of a layer that share their input, stacked. */
  FrozenLinear stacked(int layer, Projection... projections) throws IOException {
    List<FrozenLinear.Part> parts = new ArrayList<>();
    long rows = 0;
    for (Projection projection : projections) {
      long own = config.outputs(projection);
      parts.add(new FrozenLinear.Part(layer, config.path(layer, projection), rows, own));
      rows += own;
    }
    Map<String, Long> tensors = new LinkedHashMap<>();
    if (projections.length > 1 && config.architecture().hasFusedProjections()) {
      tensors.put(config.architecture().fusedPath(layer, projections[0]), rows);
    } else {
      parts.forEach(part -> tensors.put(part.path(), part.rows()));
    }
    FrozenWeight frozen =
        frozen(tensors, config.inputs(projections[0]), config.hasBias(projections[0]));
    return new FrozenLinear(frozen, parts);
  }

  private FrozenWeight frozen(Map<String, Long> rows, long columns, boolean hasBias)
      throws IOException {
    Map<String, Long> named = named(rows, ".weight", columns);
    List<String> stored = named.keySet().stream().map(names::get).toList();
    QuantizedStack quantized = QuantizedStack.of(checkpoint, stored, quantization);
    Tensor weight = null;
    if (quantized == null) {
      weight = stack(rows, ".weight", columns);
    } else {
      untaken.removeAll(named.keySet());
      if (!quantized.fits()) {
        LOG.warn("kept dense, as they are no one matrix of blocks: {}", stored);
        weight = taken(placed(quantized.dense(precision)), named);
      }
    }
    Tensor bias = hasBias ? stack(rows, ".bias") : null;
    return weight == null
        ? quantized.packed(bias, precision, device, buffers)
        : new FrozenWeight(weight, bias);
  }

  /**
   * Tensors below each other.
   *
   * @param rows of each, by their names without the ending
   * @param columns their other sizes
   */
  private Tensor stack(Map<String, Long> rows, String ending, long... columns) throws IOException {
    Map<String, Long> named = named(rows, ending, columns);
    long all = named.values().stream().mapToLong(Long::longValue).sum();
    long[] shape = shape(all, columns);
    Tensor whole =
        columns.length == 0 || device.isCuda()
            ? torch.empty(shape, new TensorOptions(precision.type()), null)
            : slabs.empty(shape);
    long first = 0;
    for (Map.Entry<String, Long> entry : named.entrySet()) {
      try (Tensor part = whole.narrow(0, first, entry.getValue())) {
        fill(part, entry.getKey());
      }
      first += entry.getValue();
    }
    return taken(placed(whole), named);
  }

  /** With their endings, and checked. */
  private Map<String, Long> named(Map<String, Long> rows, String ending, long... columns)
      throws FormatException {
    Map<String, Long> named = new LinkedHashMap<>();
    for (Map.Entry<String, Long> entry : rows.entrySet()) {
      String name = entry.getKey() + ending;
      check(name, shape(entry.getValue(), columns));
      named.put(name, entry.getValue());
    }
    return named;
  }

  private static long[] shape(long rows, long... columns) {
    return LongStream.concat(LongStream.of(rows), LongStream.of(columns)).toArray();
  }

  /** The encoder's tensors by their names within it. */
  Checkpoint encoder() {
    return new RenamedCheckpoint(checkpoint, names);
  }

  /** In its place; what it was before is freed. */
  private Tensor placed(Tensor read) {
    Tensor placed = device.place(read);
    if (placed != read) {
      read.close();
    }
    return placed;
  }

  private Tensor taken(Tensor tensor, Map<String, Long> rows) {
    taken.add(new FlatParameters.Stacked(tensor, rows));
    return tensor;
  }

  /** All tensors that were taken. */
  List<FlatParameters.Stacked> taken() {
    return List.copyOf(taken);
  }

  /** Leaves a tensor where it is that some checkpoints have without a use for it. */
  void leave(String name) {
    if (untaken.remove(name)) {
      outside.add(names.get(name));
    }
  }

  /**
   * To be called when everything is taken.
   *
   * @return the modules outside the encoder, of which nothing was read: classifier, pooler.dense
   * @throws FormatException if the encoder has tensors that the configuration has no place for
   */
  Set<String> finish() throws FormatException {
    buffers.close();
    slabs.close();
    if (!untaken.isEmpty()) {
      throw new FormatException(
          "%s has %d tensors that the configuration (%s, %d layers) has no place for: %s"
              .formatted(
                  checkpoint.origin(),
                  untaken.size(),
                  config.architecture(),
                  config.layers(),
                  String.join(", ", untaken.stream().limit(5).toList())
                      + (untaken.size() > 5 ? ", ..." : "")));
    }
    Set<String> modules = new LinkedHashSet<>();
    for (String name : outside) {
      int end = name.lastIndexOf('.');
      modules.add(end < 0 ? name : name.substring(0, end));
    }
    return modules;
  }
}
