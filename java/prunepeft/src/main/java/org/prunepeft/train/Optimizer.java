package org.prunepeft.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.TensorVector;
import org.prunepeft.peft.PeftModules;
import org.prunepeft.torch.FlatParameters;

/** AdamW over flat parameters, one of LibTorch's optimisers for each learning rate. */
final class Optimizer implements AutoCloseable {
  private record Group(FlatParameters parameters, AdamW adamw, double peak) {}

  private final PointerScope scope;
  private final List<Group> groups = new ArrayList<>();

  private Optimizer() {
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
    }
  }

  /** For modules and head together. */
  static Optimizer of(TrainingSettings settings, PeftModules modules, Head head) {
    Optimizer optimizer = new Optimizer();
    for (Map.Entry<String, FlatParameters> group : modules.groups().entrySet()) {
      optimizer.add(
          group.getValue(), settings.moduleLearningRate(group.getKey()), settings.weightDecay());
    }
    optimizer.add(head.parameters(), settings.headLearningRate(), settings.weightDecay());
    return optimizer;
  }

  /** For a head alone. */
  static Optimizer of(TrainingSettings settings, Head head) {
    Optimizer optimizer = new Optimizer();
    optimizer.add(head.parameters(), settings.headLearningRate(), settings.weightDecay());
    return optimizer;
  }

  private void add(FlatParameters parameters, double peak, double weightDecay) {
    try (PointerScope temporary = new PointerScope()) {
      AdamWOptions options = new AdamWOptions(peak);
      options.weight_decay().put(weightDecay);
      AdamW adamw = new AdamW(new TensorVector(parameters.values()), options);
      scope.attach(adamw);
      groups.add(new Group(parameters, adamw, peak));
    }
  }

  /** Updates all parameters from their gradients, which are then 0. */
  void step(double factor) {
    for (Group group : groups) {
      group.adamw.param_groups().get(0).options().set_lr(group.peak * factor);
      group.adamw.step();
      group.parameters.clearGradients();
    }
  }

  @Override
  public void close() {
    scope.close();
  }
}
