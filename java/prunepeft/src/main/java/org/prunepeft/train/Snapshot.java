package org.prunepeft.train;

import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.peft.PeftModules;
import org.prunepeft.torch.FlatParameters;

/** A copy of all trained weights, to come back to. */
final class Snapshot implements AutoCloseable {
  private final Map<FlatParameters, Tensor> values = new LinkedHashMap<>();

  Snapshot(PeftModules modules, Head head) {
    modules.groups().values().forEach(this::add);
    add(head.parameters());
  }

  private void add(FlatParameters parameters) {
    Tensor copy = parameters.values().detach().clone();
    // It outlives the PointerScope in which it is taken.
    copy.retainReference();
    values.put(parameters, copy);
  }

  /** Takes the weights as they are now. */
  void take() {
    try (NoGradGuard guard = new NoGradGuard()) {
      values.forEach((parameters, copy) -> copy.copy_(parameters.values()));
    }
  }

  /** Puts the weights back. */
  void restore() {
    try (NoGradGuard guard = new NoGradGuard()) {
      values.forEach((parameters, copy) -> parameters.values().copy_(copy));
    }
  }

  @Override
  public void close() {
    values.values().forEach(Tensor::releaseReference);
    values.clear();
  }
}
