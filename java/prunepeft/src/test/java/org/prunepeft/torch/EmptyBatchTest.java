package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.prunepeft.kernels.Activation;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.LoraModule;

/** Gradients of a batch without rows are 0, whatever their memory held before. */
class EmptyBatchTest {
  private static final long K = 40;
  private static final long N = 56;
  private static final long RANK = 8;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static Tensor leaf(long... shape) {
    return RandomTensors.normal(shape).set_requires_grad(true);
  }

  /**
   * Leaves NaN in freed blocks of the gradients' sizes, which the next tensors are likely to get.
   */
  private static void spoil(Tensor... leaves) {
    List<Tensor> blocks = new ArrayList<>();
    for (Tensor leaf : leaves) {
      for (int i = 0; i < 16; i++) {
        blocks.add(torch.full_like(leaf.detach(), new Scalar(Float.NaN)));
      }
    }
    blocks.forEach(Tensor::close);
  }

  private static void assertZero(Tensor... leaves) {
    for (Tensor leaf : leaves) {
      assertArrayEquals(new float[(int) leaf.numel()], Torch.toFloats(leaf.grad()));
    }
  }

  @ParameterizedTest
  @EnumSource(Linear.Path.class)
  void ofALinear(Linear.Path path) {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape();
        FrozenWeight linear = new FrozenWeight(RandomTensors.normal(N, K), null)) {
      Tensor x = leaf(0, K);
      Tensor a = leaf(RANK, K);
      Tensor b = leaf(N, RANK);
      Tensor y =
          LinearOp.apply(
              new Linear.Paths(path, path),
              tape,
              x,
              linear,
              List.of(new LoraModule<>(a, b, 0, null, 0.5f, null)),
              null);
      spoil(a, b);
      y.sum().backward();
      assertZero(a, b);
    }
  }

  @Test
  void ofAnAdapter() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      Tensor x = leaf(0, K);
      Tensor down = leaf(RANK, K);
      Tensor downBias = leaf(RANK);
      Tensor up = leaf(K, RANK);
      Tensor upBias = leaf(K);
      AdapterOp.Parameters parameters =
          new AdapterOp.Parameters(down, downBias, up, upBias, Activation.GELU);
      Tensor out = AdapterOp.apply(tape, x, RandomTensors.normal(0, K), parameters, null);
      spoil(down, up);
      out.sum().backward();
      assertZero(down, downBias, up, upBias);
    }
  }
}
