package org.prunepeft.train.optimizer;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;

/** A copy of all trained weights, to come back to. */
public final class Snapshot implements AutoCloseable {
  private final Map<FlatParameters, Tensor> values = new LinkedHashMap<>();

  public Snapshot(List<ParameterGroup> groups) {
    for (ParameterGroup group : groups) {
      Tensor copy = group.parameters().values().detach().clone();
      // It outlives the PointerScope in which it is taken.
      copy.retainReference();
      values.put(group.parameters(), copy);
    }
  }

  /** Takes the weights as they are now. */
  public void take() {
    try (NoGradGuard guard = new NoGradGuard()) {
      values.forEach((parameters, copy) -> copy.copy_(parameters.values()));
    }
  }

  /** Puts the weights back. */
  public void restore() {
    try (NoGradGuard guard = new NoGradGuard()) {
      values.forEach((parameters, copy) -> parameters.values().copy_(copy));
    }
  }

  /** Gives the copy to a checkpoint, or takes it from one. */
  public void exchange(StateExchange state) {
    int i = 0;
    for (Tensor copy : values.values()) {
      state.tensor("values." + i++, copy);
    }
  }

  @Override
  public void close() {
    values.values().forEach(Tensor::releaseReference);
    values.clear();
  }
}
