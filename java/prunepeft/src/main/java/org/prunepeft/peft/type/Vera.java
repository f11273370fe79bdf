package org.prunepeft.peft.type;

import java.lang.ref.WeakReference;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.BaseWeights;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Torch;

/**
 * VeRA (Kopiczko et al. 2024): W + Λb·B·Λd·A, with A [r,K] and B [N,r] random, frozen and the same
 * in every layer. Trained are the diagonals, b [N] and d [r]. Starts without effect, b = 0; of d
 * the change from its first value is trained, so that weight decay pulls towards that.
 *
 * <p>A trained module is a LoRA update, Λb·B by Λd·A, and goes to files as one.
 *
 * @param rank r, 1 or more
 * @param targets the last part of the names of the projections that get one
 * @param dropout of the input in training, in [0, 1)
 * @param initial first value of each of d
 * @param seed of A and B
 */
public record Vera(int rank, List<String> targets, double dropout, double initial, long seed)
    implements LowRankType {
  private static final String B = ".vera_lambda_b";
  private static final String D = ".vera_lambda_d_change";

  /** Those that modules have now, which are the same for all layers. */
  private static final Map<Frozen, WeakReference<Tensor>> FROZEN = new HashMap<>();

  /** The defaults of PEFT, on query and value. */
  public Vera() {
    this(256, List.of("query", "value"), 0, 0.1, 0);
  }

  /**
   * @throws IllegalArgumentException if a value is out of its range
   */
  public Vera {
    if (rank < 1) {
      throw new IllegalArgumentException("rank must be at least 1, got " + rank);
    }
    if (targets.isEmpty()) {
      throw new IllegalArgumentException("targets must have at least one, such as query");
    }
    if (!(dropout >= 0 && dropout < 1)) {
      throw new IllegalArgumentException("dropout must be in [0, 1), got " + dropout);
    }
    if (!Double.isFinite(initial) || initial == 0) {
      throw new IllegalArgumentException("initial must be a number other than 0, got " + initial);
    }
    targets = List.copyOf(targets);
  }

  /**
   * {@return these settings with another rank}
   *
   * @param other r, 1 or more
   */
  public Vera withRank(int other) {
    return new Vera(other, targets, dropout, initial, seed);
  }

  @Override
  public String name() {
    return "vera";
  }

  @Override
  public List<Parameter> parameters(EncoderConfig encoder, Projection projection, String path) {
    return List.of(
        new Parameter(path + B, new long[] {encoder.outputs(projection)}, 0),
        new Parameter(path + D, new long[] {rank}, 0));
  }

  @Override
  public Update update(Target target, List<Tensor> tensors) {
    Tensor b = tensors.get(0);
    ComputeDevice device = ComputeDevice.of(b);
    return new VeraUpdate(
        target.path(),
        new Frozen(seed, 'A', rank, target.inputs(), device).tensor(),
        new Frozen(seed, 'B', (int) b.size(0), rank, device).tensor(),
        b,
        tensors.get(1),
        initial);
  }

  @Override
  public AdapterPart part(
      int layer, Target target, List<SafeTensors.Tensor> tensors, BaseWeights base) {
    float[] b = tensors.get(0).values();
    float[] change = tensors.get(1).values();
    float[] down = new Frozen(seed, 'A', rank, target.inputs(), ComputeDevice.CPU).values();
    float[] up = new Frozen(seed, 'B', b.length, rank, ComputeDevice.CPU).values();
    for (int i = 0; i < down.length; i++) {
      down[i] *= change[i / target.inputs()] + (float) initial;
    }
    for (int i = 0; i < up.length; i++) {
      up[i] *= b[i / rank];
    }
    return new AdapterPart.LowRank(
        layer,
        target.path(),
        new SafeTensors.Tensor(new long[] {rank, target.inputs()}, down),
        new SafeTensors.Tensor(new long[] {b.length, rank}, up),
        rank,
        false,
        dropout,
        null,
        null);
  }

  @Override
  public List<SafeTensors.Tensor> tensors(AdapterPart.LowRank part, BaseWeights base) {
    throw new UnsupportedOperationException("adapter files have VeRA as LoRA");
  }

  /** A random matrix: uniform within √(6 / columns), as Kaiming's initialisation has it. */
  record Frozen(long seed, char side, int rows, int columns, ComputeDevice device) {
    float[] values() {
      SplittableRandom random = new SplittableRandom(31 * seed + side);
      double bound = Math.sqrt(6.0 / columns);
      float[] values = new float[Math.multiplyExact(rows, columns)];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (bound * (2 * random.nextDouble() - 1));
      }
      return values;
    }

    /** The tensor, which all modules with this matrix share. */
    Tensor tensor() {
      synchronized (FROZEN) {
        WeakReference<Tensor> known = FROZEN.get(this);
        Tensor tensor = known == null ? null : known.get();
        if (tensor == null) {
          tensor = make();
          FROZEN.put(this, new WeakReference<>(tensor));
        }
        return tensor;
      }
    }

    private Tensor make() {
      try (PointerScope scope = new PointerScope()) {
        Tensor made = device.emptyMatrix(rows, columns);
        made.copy_(Torch.floats(values(), rows, columns));
        // It outlives the scope, until no module has it.
        made.retainReference();
        return made;
      }
    }
  }

  /** Λd·A and Λb·B are small beside the rows that go through them. */
  private record VeraUpdate(
      String path, Tensor down, Tensor up, Tensor b, Tensor change, double initial)
      implements Update {
    @Override
    public LoraModule<Tensor> lora(Dropout dropout, long firstRow) {
      return new LoraModule<>(
          down.mul(change.add(new Scalar(initial)).unsqueeze(1)),
          up.mul(b.unsqueeze(1)),
          firstRow,
          null,
          1,
          dropout);
    }
  }
}
