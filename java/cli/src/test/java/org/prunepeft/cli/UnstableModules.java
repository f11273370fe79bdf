package org.prunepeft.cli;

import java.util.List;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.ModuleTypes;
import org.prunepeft.peft.PeftModule;
import org.prunepeft.peft.TrainingHook;
import org.prunepeft.peft.type.Vera;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;

/** VeRA of which every fourth step of a training has a gradient that is not finite, so it says. */
final class UnstableModules implements ModuleType {
  private final Vera vera = new Vera(2, List.of("query", "value"), 0, 0.1, 0);

  /** Its name, known from now on. */
  static synchronized String register() {
    UnstableModules type = new UnstableModules();
    try {
      ModuleTypes.requireNew(type);
      ModuleTypes.register(type);
    } catch (IllegalArgumentException e) {
      // It was registered before.
    }
    return type.name();
  }

  @Override
  public String name() {
    return "unstable";
  }

  @Override
  public List<Parameter> parameters(EncoderConfig encoder, int layer) {
    return vera.parameters(encoder, layer);
  }

  @Override
  public PeftModule create(EncoderConfig encoder, int layer, List<Tensor> tensors) {
    return vera.create(encoder, layer, tensors);
  }

  @Override
  public TrainingHook trainingHook(FlatParameters parameters, int steps, boolean judged) {
    return new TrainingHook() {
      private int asked;

      @Override
      public Optional<String> nonFinite() {
        return ++asked % 4 == 2
            ? Optional.of("gradient of step " + asked + " is NaN")
            : Optional.empty();
      }

      @Override
      public void exchange(StateExchange state) {
        asked = state.number("asked", asked);
      }
    };
  }
}
