package org.prunepeft.examples;

import java.util.List;
import java.util.Locale;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.kernels.LoraPass;
import org.prunepeft.kernels.Matrix;

/** The kernels on LibTorch's tensors, which lie where they are: S = X Aᵀ against torch.matmul. */
public final class KernelsOnTensors {
  public static void main(String[] arguments) {
    try (PointerScope scope = new PointerScope();
        Context context = new Context(Device.cpu())) {
      Tensor x = torch.randn(37, 384);
      Tensor a = torch.randn(32, 384);
      Tensor s = torch.zeros(37, 32);
      LoraModule<Matrix> module = new LoraModule<>(matrix(a), null, 1);
      Linear.down(context, matrix(x), List.of(new LoraPass(module, matrix(s))));
      Tensor difference = s.sub(x.matmul(a.t()), new Scalar(1)).abs().max();
      System.out.printf(Locale.ROOT, "largest difference %.6f%n", difference.item_double());
    }
  }

  private static Matrix matrix(Tensor tensor) {
    return Matrix.of(tensor.data_ptr_float(), tensor.size(0), tensor.size(1));
  }
}
