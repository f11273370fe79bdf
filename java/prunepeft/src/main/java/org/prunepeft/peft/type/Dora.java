package org.prunepeft.peft.type;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.BaseWeights;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FrozenWeight;
import org.prunepeft.torch.Torch;

/**
 * Weight-decomposed low-rank adaptation, DoRA (Liu et al. 2024): a projection computes with
 * m·V/‖V‖, V = W + s·B·A, where m [N] and the norms are those of V's rows. As section 4.3 of the
 * paper proposes, the gradient takes ‖V‖ for a constant. Dropout is on the input of A alone; PEFT
 * applies the same mask to the input of W in (m/‖V‖ − 1)·W as well.
 *
 * <p>Trained is m − ‖W‖, which starts at 0, so that weight decay pulls towards the pre-trained
 * magnitude and a module's weights measure what it changed. Starts without effect.
 */
record Dora(LoraConfig config, String name, List<String> targets) implements LoraVariant {
  @Override
  public List<Parameter> parameters(EncoderConfig encoder, Projection projection, String path) {
    List<Parameter> lora = Lora.parameters(config, encoder, projection, path);
    return List.of(
        lora.get(0),
        lora.get(1),
        new Parameter(
            path + ".lora_magnitude_change", new long[] {encoder.outputs(projection)}, 0));
  }

  @Override
  public void order(List<Tensor> tensors) {
    Lora.order(tensors.get(0), tensors.get(1));
  }

  @Override
  public Update update(Target target, List<Tensor> tensors) {
    return new DoraUpdate(
        target.path(),
        tensors.get(0),
        tensors.get(1),
        tensors.get(2),
        (float) config.scale(target.path()));
  }

  @Override
  public AdapterPart part(
      int layer, Target target, List<SafeTensors.Tensor> tensors, BaseWeights base) {
    float[] magnitude = norms(base.weight(target.path()));
    float[] change = tensors.get(2).values();
    for (int i = 0; i < magnitude.length; i++) {
      magnitude[i] += change[i];
    }
    return new AdapterPart.LowRank(
        layer,
        target.path(),
        tensors.get(0),
        tensors.get(1),
        config.alpha(target.path()),
        config.rsLora(),
        config.dropout(),
        new SafeTensors.Tensor(tensors.get(2).shape(), magnitude),
        null);
  }

  /** m − ‖W‖, exact where m is between half and twice ‖W‖, so that both ways give the same m. */
  @Override
  public List<SafeTensors.Tensor> tensors(AdapterPart.LowRank part, BaseWeights base) {
    float[] change = part.magnitude().values().clone();
    float[] norms = norms(base.weight(part.path()));
    for (int i = 0; i < change.length; i++) {
      change[i] -= norms[i];
    }
    return List.of(part.a(), part.b(), new SafeTensors.Tensor(part.magnitude().shape(), change));
  }

  /** ‖W‖ by rows, [N]: as the forward pass computes it. */
  static float[] norms(SafeTensors.Tensor weight) {
    try (PointerScope scope = new PointerScope()) {
      return Torch.toFloats(norms(Torch.floats(weight.values(), weight.shape())));
    }
  }

  /** In float64: the same for equal rows, whatever else is in memory. */
  private static Tensor norms(Tensor v) {
    return v.to(torch.ScalarType.Double).square().sum(1L).sqrt().to(torch.ScalarType.Float);
  }

  /** ‖W‖ as a weight had it, until that is changed in place. */
  private record KnownNorms(FrozenWeight weight, long version, float[] values) {}

  private static final class DoraUpdate implements Update {
    private final String path;
    private final Tensor a;
    private final Tensor b;
    private final Tensor change;
    private final float scale;

    /** On the CPU; null: none yet. */
    private volatile KnownNorms known;

    DoraUpdate(String path, Tensor a, Tensor b, Tensor change, float scale) {
      this.path = path;
      this.a = a;
      this.b = b;
      this.change = change;
      this.scale = scale;
    }

    @Override
    public String path() {
      return path;
    }

    @Override
    public LoraModule<Tensor> lora(Dropout dropout, long firstRow) {
      return new LoraModule<>(a, b, firstRow, null, scale, dropout);
    }

    @Override
    public boolean isAdditive() {
      return false;
    }

    @Override
    public Tensor gain(FrozenLinear linear, FrozenLinear.Part part) {
      Tensor norms;
      try (NoGradGuard guard = new NoGradGuard()) {
        norms = Torch.alone(() -> norms(linear, part));
      }
      Tensor weight = norms.select(0, 0);
      Tensor updated = norms.select(0, 1);
      // A row of zeros has no direction, and its output is 0.
      Tensor divisor = updated.masked_fill(updated.eq(new Scalar(0)), new Scalar(1));
      return change.add(weight).div(divisor);
    }

    /** ‖W‖ and ‖V‖, [2,N]. */
    private Tensor norms(FrozenLinear linear, FrozenLinear.Part part) {
      Tensor given = linear.weight(part);
      Tensor w = Precision.FLOAT32.of(given);
      // Of W's size in float64 there are several.
      Tensor updated = Torch.alone(() -> Dora.norms(w.add(b.matmul(a), new Scalar(scale))));
      return torch.stack(new TensorVector(weightNorms(linear.frozen(), given, w), updated));
    }

    private Tensor weightNorms(FrozenWeight frozen, Tensor given, Tensor w) {
      if (ComputeDevice.of(w).kernels().isCuda()) {
        // Where copies from the host can't be recorded.
        return Torch.alone(() -> Dora.norms(w));
      }
      long version = frozen.isQuantized() ? 0 : given._version();
      KnownNorms last = known;
      if (last == null || last.weight != frozen || last.version != version) {
        last = new KnownNorms(frozen, version, Torch.toFloats(Torch.alone(() -> Dora.norms(w))));
        known = last;
      }
      return Torch.floats(last.values, last.values.length);
    }
  }
}
