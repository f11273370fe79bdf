package org.prunepeft.peft.supernet;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.model.Block;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.PeftModule;
import org.prunepeft.peft.TrainingHook;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.peer.GateTraining;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.torch.Torch;

/**
 * Gates on modules: what each does to a pass is multiplied by its gate, whatever kind of module it
 * is. The gates' gradients come from autograd with those of the weights.
 */
final class ModuleGates implements AutoCloseable {
  private static final String GATES = "gates";

  private final GateTraining training;

  /** One tensor, [modules]. */
  private final FlatParameters gates;

  private final Map<String, Integer> places;

  ModuleGates(GateTraining training, ComputeDevice device) {
    this.training = training;
    List<Candidate> modules = training.modules();
    places =
        IntStream.range(0, modules.size())
            .boxed()
            .collect(Collectors.toMap(place -> modules.get(place).name(), place -> place));
    gates = new FlatParameters(device, Map.of(GATES, new long[] {modules.size()}));
    put();
  }

  private void put() {
    gates.put(GATES, training.values());
  }

  /** The module behind its gate. */
  PeftModule gated(String name, PeftModule module) {
    return new Gated(module, gates.get(GATES), places.get(name));
  }

  /** What the gates are read from, a leaf of the autograd graph. */
  Tensor values() {
    return gates.get(GATES);
  }

  /** All gradients, flat, with padding. */
  Tensor gradients() {
    return gates.gradients();
  }

  /** Updates the gates in each step. */
  TrainingHook hook() {
    return new TrainingHook() {
      /** Of the step that is looked at: a copy waits for the device. Null: not read yet. */
      private float[] gradients;

      @Override
      public Optional<String> nonFinite() {
        return training.nonFinite(read());
      }

      @Override
      public void beforeStep(int step) {
        training.update(read());
        clear();
      }

      private float[] read() {
        if (gradients == null) {
          try (PointerScope temporary = new PointerScope()) {
            gradients = Torch.toFloats(gates.gradient(GATES));
          }
        }
        return gradients;
      }

      private void clear() {
        gradients = null;
        gates.clearGradients();
      }

      @Override
      public void afterStep(int step) {
        put();
      }

      @Override
      public void skipped() {
        clear();
      }

      @Override
      public void exchange(StateExchange state) {
        double[] kept = state.value(GATES, double[].class, training.state());
        if (state.restoring()) {
          training.restore(kept);
          put();
        }
      }
    };
  }

  @Override
  public void close() {
    gates.close();
  }

  private record Gated(PeftModule module, Tensor gates, int place) implements PeftModule {
    /** [] float32; without dimensions, so that its product with bfloat16 is that. */
    private Tensor gate() {
      return gates.select(0, place);
    }

    @Override
    public LoraModule<Tensor> lora(ForwardPass pass, FrozenLinear.Part part) {
      LoraModule<Tensor> own = module.lora(pass, part);
      return own == null ? null : own.of(own.a(), own.b().mul(gate()));
    }

    /** Between 1, where the gate is closed, and the module's own. */
    @Override
    public Tensor gain(FrozenLinear linear, FrozenLinear.Part part) {
      Tensor own = module.gain(linear, part);
      Scalar one = new Scalar(1);
      return own == null ? null : own.sub(one).mul(gate()).add(one);
    }

    @Override
    public Tensor afterBlock(
        ForwardPass pass, Block block, Tensor h, Tensor input, LayerNorm norm) {
      Tensor own = module.afterBlock(pass, block, h, input, norm);
      return own == h ? h : own.sub(h).mul(gate()).add(h);
    }
  }
}
