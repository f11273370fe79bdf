package org.prunepeft.model;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Torch;

/**
 * Takes an encoder's tensors out of a checkpoint, checking names and shapes, each straight into its
 * place in memory. Tensors are made in the caller's PointerScope.
 */
final class EncoderWeights {
  /** Values that are read at once; a Java buffer holds less than 2 GiB. */
  private static final long CHUNK = 1 << 19;

  private final Checkpoint checkpoint;
  private final EncoderConfig config;
  private final Precision precision;
  private final ComputeDevice device;

  /** Names within the encoder, each with the checkpoint's own. */
  private final Map<String, String> names = new HashMap<>();

  private final Set<String> untaken = new TreeSet<>();
  private final List<String> outside = new ArrayList<>();

  /** What was made, each with its rows' names within the encoder. */
  private final List<FlatParameters.Stacked> taken = new ArrayList<>();

  /**
   * @param precision of the linears; all else is float32
   * @param device where tensors are to lie
   * @throws FormatException if the checkpoint has no word embeddings where the architecture has
   *     them, or two tensors of one name
   */
  EncoderWeights(
      Checkpoint checkpoint, EncoderConfig config, Precision precision, ComputeDevice device)
      throws FormatException {
    this.checkpoint = checkpoint;
    this.config = config;
    this.precision = precision;
    this.device = device;
    String prefix = config.architecture().prefix() + ".";
    String words = "embeddings.word_embeddings.weight";
    boolean prefixed = checkpoint.names().contains(prefix + words);
    if (!prefixed && !checkpoint.names().contains(words)) {
      throw new FormatException(
          "%s has neither %s nor %s%s, so it is no %s model"
              .formatted(checkpoint.origin(), words, prefix, words, config.architecture()));
    }
    for (String stored : checkpoint.names()) {
      String name =
          prefixed && stored.startsWith(prefix) ? stored.substring(prefix.length()) : stored;
      if (prefixed == stored.startsWith(prefix) && Body.contains(name)) {
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
    this(checkpoint, config, Precision.FLOAT32, ComputeDevice.CPU);
  }

  /** What of a model is the encoder, as against pooler and heads. */
  private static final class Body {
    private static final List<String> ROOTS =
        List.of("embeddings.", "embeddings_project.", "encoder.", "transformer.");

    static boolean contains(String name) {
      // Buffers that some versions of the library saved: 0, 1, 2, ...
      return ROOTS.stream().anyMatch(name::startsWith)
          && !name.equals("embeddings.position_ids")
          && !name.equals("embeddings.token_type_ids");
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
   * A new tensor with the values of the checkpoint's.
   *
   * @throws FormatException if it is missing or has another shape
   */
  Tensor take(String name, long... shape) throws IOException {
    check(name, shape);
    Tensor tensor = torch.empty(shape, Torch.float32(), null);
    fill(tensor, name, shape);
    return taken(placed(tensor, torch.ScalarType.Float), Map.of(name, shape[0]));
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
  private void fill(Tensor target, String name, long... shape) throws IOException {
    String stored = names.get(name);
    untaken.remove(name);
    long count = LongStream.of(shape).reduce(1, Math::multiplyExact);
    try (Pointer data = target.data_ptr()) {
      // By several threads: the system clears each page before it is first written, as slow as it
      // is read.
      LongStream.range(0, (count + CHUNK - 1) / CHUNK)
          .parallel()
          .forEach(chunk -> read(stored, chunk * CHUNK, count, data));
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /** Reads the values from one on, CHUNK of them or what is left, to their place. */
  private void read(String stored, long from, long count, Pointer data) {
    long begin = from * Float.BYTES;
    long end = Math.min(count, from + CHUNK) * Float.BYTES;
    try (BytePointer part = new BytePointer(data).position(begin)) {
      ByteBuffer values = part.limit(end).asByteBuffer();
      // A duplicate has an order of its own.
      checkpoint.readFloats(stored, from, values.duplicate().order(ByteOrder.nativeOrder()));
      Checkpoint.requireFinite(
          checkpoint.origin(), stored, from, values.order(ByteOrder.nativeOrder()).asFloatBuffer());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
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
    long inputs = config.inputs(projections[0]);
    List<FrozenLinear.Part> parts = new ArrayList<>();
    long rows = 0;
    for (Projection projection : projections) {
      long own = config.outputs(projection);
      check(config.path(layer, projection) + ".weight", own, inputs);
      check(config.path(layer, projection) + ".bias", own);
      parts.add(new FrozenLinear.Part(layer, config.path(layer, projection), rows, own));
      rows += own;
    }
    Tensor weight = torch.empty(new long[] {rows, inputs}, Torch.float32(), null);
    Tensor bias = torch.empty(new long[] {rows}, Torch.float32(), null);
    for (FrozenLinear.Part part : parts) {
      try (Tensor own = weight.narrow(0, part.firstRow(), part.rows());
          Tensor ownBias = bias.narrow(0, part.firstRow(), part.rows())) {
        fill(own, part.path() + ".weight", part.rows(), inputs);
        fill(ownBias, part.path() + ".bias", part.rows());
      }
    }
    return new FrozenLinear(
        taken(placed(weight, precision.type()), rows(parts, ".weight")),
        taken(placed(bias, precision.type()), rows(parts, ".bias")),
        parts);
  }

  /** The encoder's tensors by their names within it. */
  Checkpoint encoder() {
    return new RenamedCheckpoint(checkpoint, names);
  }

  /** In its type and place; what it was before is freed. */
  private Tensor placed(Tensor read, torch.ScalarType type) {
    Tensor placed = device.place(read.scalar_type().intern() == type ? read : read.to(type));
    if (placed != read) {
      read.close();
    }
    return placed;
  }

  private Tensor taken(Tensor tensor, Map<String, Long> rows) {
    taken.add(new FlatParameters.Stacked(tensor, rows));
    return tensor;
  }

  private static Map<String, Long> rows(List<FrozenLinear.Part> parts, String ending) {
    Map<String, Long> rows = new LinkedHashMap<>();
    parts.forEach(part -> rows.put(part.path() + ending, part.rows()));
    return rows;
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
