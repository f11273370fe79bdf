package org.prunepeft.examples;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.LoraBranch;
import org.prunepeft.kernels.LoraKernels;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.kernels.Workspace;

/** The kernels on LibTorch's tensors, which lie where they are: S = X Aᵀ against torch.matmul. */
public final class KernelsOnTensors {
  public static void main(String[] arguments) {
    try (PointerScope scope = new PointerScope();
        Workspace workspace = new Workspace()) {
      Tensor x = torch.randn(37, 384);
      Tensor a = torch.randn(32, 384);
      Tensor s = torch.zeros(37, 32);
      LoraBranch branch = new LoraBranch(matrix(a), 1f, 0, matrix(s), null);
      LoraKernels.down(Device.cpu(), matrix(x), List.of(branch), null, null, workspace);
      Tensor difference = s.sub(x.matmul(a.t()), new Scalar(1)).abs().max();
      System.out.printf("largest difference %.6f%n", difference.item_double());
    }
  }

  private static Matrix matrix(Tensor tensor) {
    return Matrix.of(tensor.data_ptr_float(), tensor.size(0), tensor.size(1));
  }
}
