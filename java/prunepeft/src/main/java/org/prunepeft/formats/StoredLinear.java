package org.prunepeft.formats;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.AdapterPartLowRankBuilder;

/**
 * A linear as checkpoints and other libraries have it: a projection, or in Phi-3 several that share
 * their input, one below the other, of which each has updates of its own here.
 *
 * @param layer 0-based
 * @param path its name, without the model's prefix
 * @param projections whose rows it has, from the first on
 */
record StoredLinear(EncoderConfig encoder, int layer, String path, List<Projection> projections) {
  /**
   * A projection's weight, [out, in].
   *
   * @param model the encoder's tensors by their names within it
   * @param path of the projection
   */
  static Tensor weight(EncoderConfig encoder, Checkpoint model, String path) throws IOException {
    for (int layer = 0; layer < encoder.layers(); layer++) {
      for (StoredLinear linear : of(encoder, layer)) {
        for (int i = 0; i < linear.projections.size(); i++) {
          if (encoder.path(layer, linear.projections.get(i)).equals(path)) {
            int inputs = linear.inputs();
            int from = linear.firstRow(i);
            int to = linear.firstRow(i + 1);
            float[] whole = model.finiteFloats(linear.path + ".weight");
            return new Tensor(
                new long[] {to - from, inputs},
                Arrays.copyOfRange(whole, from * inputs, to * inputs));
          }
        }
      }
    }
    throw new IllegalArgumentException("the model has no projection " + path);
  }

  /** Those of a layer. */
  static List<StoredLinear> of(EncoderConfig encoder, int layer) {
    if (!encoder.architecture().hasFusedProjections()) {
      return encoder.projections().stream()
          .map(projection -> single(encoder, layer, projection))
          .toList();
    }
    String prefix = encoder.architecture().layerPath(layer);
    return List.of(
        new StoredLinear(
            encoder,
            layer,
            prefix + ".self_attn.qkv_proj",
            List.of(Projection.QUERY, Projection.KEY, Projection.VALUE)),
        single(encoder, layer, Projection.ATTENTION_OUTPUT),
        new StoredLinear(
            encoder,
            layer,
            prefix + ".mlp.gate_up_proj",
            List.of(Projection.GATE, Projection.INTERMEDIATE)),
        single(encoder, layer, Projection.OUTPUT));
  }

  private static StoredLinear single(EncoderConfig encoder, int layer, Projection projection) {
    return new StoredLinear(encoder, layer, encoder.path(layer, projection), List.of(projection));
  }

  int inputs() {
    return encoder.inputs(projections.get(0));
  }

  int outputs() {
    return firstRow(projections.size());
  }

  /** Of a projection, by its number; of what would follow the last. */
  int firstRow(int number) {
    return projections.subList(0, number).stream().mapToInt(encoder::outputs).sum();
  }

  /**
   * The updates of a model's projections as updates of its linears; those that are stay as they
   * are.
   *
   * @throws IllegalArgumentException if that cannot be
   */
  static List<LowRank> fuse(EncoderConfig encoder, List<LowRank> updates) {
    if (!encoder.architecture().hasFusedProjections()) {
      return updates;
    }
    if (updates.stream().anyMatch(update -> update.magnitude() != null)) {
      throw new IllegalArgumentException(
          "%s has query, key and value as one linear, whose rows DoRA would scale together; --merge writes this run, or train without --use-dora"
              .formatted(encoder.architecture()));
    }
    // One configuration holds for all: those that are not fused must have the same kind of scale.
    boolean plain =
        updates.stream().anyMatch(update -> update.rsLora() || update.singular() != null);
    List<LowRank> own = plain ? updates.stream().map(PlainLora::of).toList() : updates;
    List<LowRank> fused = new ArrayList<>();
    for (int layer = 0; layer < encoder.layers(); layer++) {
      for (StoredLinear linear : of(encoder, layer)) {
        LowRank whole = find(own, linear.path);
        if (whole != null) {
          fused.add(whole);
          continue;
        }
        List<LowRank> parts =
            linear.projections.stream()
                .map(projection -> find(own, encoder.path(linear.layer, projection)))
                .toList();
        if (parts.stream().anyMatch(Objects::nonNull)) {
          fused.add(linear.fuse(parts));
        }
      }
    }
    return fused;
  }

  private static LowRank find(List<LowRank> updates, String path) {
    return updates.stream().filter(one -> one.path().equals(path)).findFirst().orElse(null);
  }

  private LowRank fuse(List<LowRank> parts) {
    LowRank first = parts.stream().filter(Objects::nonNull).findFirst().orElseThrow();
    if (parts.stream().allMatch(part -> part != null && sharesA(first, part))) {
      FloatBuffer b = FloatBuffer.allocate(outputs() * first.rank());
      parts.forEach(part -> b.put(part.b().values()));
      return whole(first).b(new Tensor(new long[] {outputs(), first.rank()}, b.array())).build();
    }
    int rank = parts.stream().filter(Objects::nonNull).mapToInt(LowRank::rank).sum();
    float[] a = new float[rank * inputs()];
    float[] b = new float[outputs() * rank];
    int done = 0;
    for (int i = 0; i < parts.size(); i++) {
      if (parts.get(i) == null) {
        continue;
      }
      LowRank part = PlainLora.of(parts.get(i));
      int own = part.rank();
      System.arraycopy(part.a().values(), 0, a, done * inputs(), own * inputs());
      for (int row = 0; row < encoder.outputs(projections.get(i)); row++) {
        int target = (firstRow(i) + row) * rank + done;
        System.arraycopy(part.b().values(), row * own, b, target, own);
      }
      done += own;
    }
    return whole(first)
        .a(new Tensor(new long[] {rank, inputs()}, a))
        .b(new Tensor(new long[] {outputs(), rank}, b))
        .alpha(rank)
        .rsLora(false)
        .singular(null)
        .build();
  }

  private AdapterPartLowRankBuilder whole(LowRank part) {
    return AdapterPartLowRankBuilder.builder(part).path(path);
  }

  /** Whether both were one update. */
  private static boolean sharesA(LowRank one, LowRank other) {
    return one.singular() == null
        && other.singular() == null
        && one.alpha() == other.alpha()
        && one.rsLora() == other.rsLora()
        && Arrays.equals(one.a().shape(), other.a().shape())
        && Arrays.equals(one.a().values(), other.a().values());
  }

  /**
   * An update of this linear as updates of its projections, each with the ranks that it has a part
   * in, and the same scale.
   */
  List<LowRank> split(LowRank whole) {
    if (projections.size() == 1) {
      return List.of(whole);
    }
    List<LowRank> parts = new ArrayList<>();
    for (int i = 0; i < projections.size(); i++) {
      int from = firstRow(i);
      int to = firstRow(i + 1);
      int[] ranks =
          IntStream.range(0, whole.rank()).filter(r -> uses(whole, r, from, to)).toArray();
      if (ranks.length > 0) {
        parts.add(part(whole, encoder.path(layer, projections.get(i)), from, to, ranks));
      }
    }
    return parts;
  }

  private static boolean uses(LowRank whole, int r, int from, int to) {
    return whole.magnitude() != null
        || whole.singular() != null
        || IntStream.range(from, to)
            .anyMatch(row -> whole.b().values()[row * whole.rank() + r] != 0);
  }

  private static LowRank part(LowRank whole, String path, int from, int to, int[] ranks) {
    int inputs = (int) whole.a().shape()[1];
    float[] a = new float[ranks.length * inputs];
    float[] b = new float[(to - from) * ranks.length];
    for (int k = 0; k < ranks.length; k++) {
      System.arraycopy(whole.a().values(), ranks[k] * inputs, a, k * inputs, inputs);
      for (int row = from; row < to; row++) {
        b[(row - from) * ranks.length + k] = whole.b().values()[row * whole.rank() + ranks[k]];
      }
    }
    double share = (double) ranks.length / whole.rank();
    Tensor magnitude = whole.magnitude();
    return AdapterPartLowRankBuilder.builder(whole)
        .path(path)
        .a(new Tensor(new long[] {ranks.length, inputs}, a))
        .b(new Tensor(new long[] {to - from, ranks.length}, b))
        .alpha(whole.alpha() * (whole.rsLora() ? Math.sqrt(share) : share))
        .magnitude(
            magnitude == null
                ? null
                : new Tensor(
                    new long[] {to - from}, Arrays.copyOfRange(magnitude.values(), from, to)))
        .build();
  }
}
