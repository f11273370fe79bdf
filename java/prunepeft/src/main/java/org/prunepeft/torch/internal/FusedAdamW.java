package org.prunepeft.torch.internal;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorType;
import org.bytedeco.pytorch.Type;

/**
 * LibTorch's fused AdamW, which reads and writes each tensor once a step where its C++ optimiser
 * takes a pass an operation. The presets do not map the function, so it is called through the
 * dispatcher.
 */
public final class FusedAdamW {
  private static final OperatorHandle OPERATOR;

  /** What the operator's lists of tensors hold. */
  private static final Type.TypePtr TENSOR;

  static {
    Torch.load();
    OPERATOR = Dispatcher.singleton().findSchemaOrThrow("aten::_fused_adamw_", "");
    TENSOR = new Type.TypePtr(TensorType.get());
    OPERATOR.retainReference();
    TENSOR.retainReference();
  }

  private FusedAdamW() {}

  /**
   * One step. All tensors are float32; the first four have one shape.
   *
   * @param values updated
   * @param gradients read
   * @param mean running mean of the gradients; updated
   * @param square running mean of their squares; updated
   * @param steps [1] the number of this step, from 1 on
   */
  public static void step(
      Tensor values,
      Tensor gradients,
      Tensor mean,
      Tensor square,
      Tensor steps,
      double learningRate,
      double beta1,
      double beta2,
      double weightDecay,
      double epsilon) {
    try (PointerScope scope = new PointerScope()) {
      IValueVector stack = new IValueVector();
      stack.push_back(list(values));
      stack.push_back(list(gradients));
      stack.push_back(list(mean));
      stack.push_back(list(square));
      // No largest squares: that is AMSGrad's.
      stack.push_back(list());
      stack.push_back(list(steps));
      stack.push_back(new IValue(learningRate));
      stack.push_back(new IValue(beta1));
      stack.push_back(new IValue(beta2));
      stack.push_back(new IValue(weightDecay));
      stack.push_back(new IValue(epsilon));
      stack.push_back(new IValue(false)); // amsgrad
      stack.push_back(new IValue(false)); // maximize
      stack.push_back(new IValue()); // grad_scale
      stack.push_back(new IValue()); // found_inf
      OPERATOR.callBoxed(stack);
    }
  }

  private static IValue list(Tensor... tensors) {
    GenericList list = new GenericList(TENSOR);
    for (Tensor tensor : tensors) {
      list.push_back(new IValue(tensor));
    }
    return new IValue(list);
  }
}
