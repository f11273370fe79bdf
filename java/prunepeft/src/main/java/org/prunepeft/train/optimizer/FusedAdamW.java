package org.prunepeft.train.optimizer;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorType;
import org.bytedeco.pytorch.Type;
import org.prunepeft.torch.Torch;

/**
 * LibTorch's fused AdamW, which reads and writes each tensor once a step where its C++ optimiser
 * takes a pass an operation. The presets do not map the function, so it is called through the
 * dispatcher.
 *
 * @param values updated
 * @param gradients read
 * @param mean running mean of the gradients; updated
 * @param square running mean of their squares; updated
 * @param steps [1] the number of the step that is taken, from 1 on; read
 */
public record FusedAdamW(
    Tensor values,
    Tensor gradients,
    Tensor mean,
    Tensor square,
    Tensor steps,
    double beta1,
    double beta2,
    double weightDecay,
    double epsilon) {
  private static final OperatorHandle OPERATOR;

  /** The same with a learning rate that lies on the weights' device. */
  private static final OperatorHandle RATE_ON_DEVICE;

  /** What the operator's lists of tensors hold. */
  private static final Type.TypePtr TENSOR;

  static {
    Torch.load();
    OPERATOR = Dispatcher.singleton().findSchemaOrThrow("aten::_fused_adamw_", "");
    TENSOR = new Type.TypePtr(TensorType.get());
    RATE_ON_DEVICE = Dispatcher.singleton().findSchemaOrThrow("aten::_fused_adamw_", "tensor_lr");
    OPERATOR.retainReference();
    RATE_ON_DEVICE.retainReference();
    TENSOR.retainReference();
  }

  /** Tensors of float32; the first four have one shape. They stay the caller's. */
  public FusedAdamW {}

  /** One step. */
  public void step(double learningRate) {
    try (PointerScope scope = new PointerScope()) {
      call(OPERATOR, new IValue(learningRate));
    }
  }

  /**
   * One step.
   *
   * @param learningRate [] float32, on the device of the values
   */
  public void step(Tensor learningRate) {
    try (PointerScope scope = new PointerScope()) {
      call(RATE_ON_DEVICE, new IValue(learningRate));
    }
  }

  private void call(OperatorHandle operator, IValue learningRate) {
    IValueVector stack = new IValueVector();
    stack.push_back(list(values));
    stack.push_back(list(gradients));
    stack.push_back(list(mean));
    stack.push_back(list(square));
    // No largest squares: that is AMSGrad's.
    stack.push_back(list());
    stack.push_back(list(steps));
    stack.push_back(learningRate);
    stack.push_back(new IValue(beta1));
    stack.push_back(new IValue(beta2));
    stack.push_back(new IValue(weightDecay));
    stack.push_back(new IValue(epsilon));
    stack.push_back(new IValue(false)); // amsgrad
    stack.push_back(new IValue(false)); // maximize
    stack.push_back(new IValue()); // grad_scale
    stack.push_back(new IValue()); // found_inf
    operator.callBoxed(stack);
  }

  private static IValue list(Tensor... tensors) {
    GenericList list = new GenericList(TENSOR);
    for (Tensor tensor : tensors) {
      list.push_back(new IValue(tensor));
    }
    return new IValue(list);
  }
}
