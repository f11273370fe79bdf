package org.prunepeft.train.optimizer;

import java.util.List;
import org.bytedeco.pytorch.Tensor;

/** A rule that takes its learning rate from the device, and waits there for nothing. */
interface DeviceRule extends UpdateRule {
  /**
   * One step; see the other method.
   *
   * @param learningRate of this step: [] float32, on the device of the weights
   */
  void update(Tensor learningRate);

  /** What the rule remembers of earlier steps: changed by each, beside the weights. */
  List<Tensor> state();
}
