package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.FunctionPreHook;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.prunepeft.kernels.Activation;
import org.prunepeft.kernels.CallbackReferences;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.Rounding;

/** Our operations in LibTorch's graph against LibTorch's autograd over plain operations. */
class TapeTest {
  /**
   * Of a gradient's norm, for LibTorch's and ours: the longest way is through sums over 24 inputs,
   * 13 and 5 ranks, 40 outputs and 37 rows, and some factors.
   */
  private static final double SHARE =
      2 * Rounding.likely(24 + 13 + 5 + 40 + 37 + 9, Rounding.FLOAT32);

  /** Where ReLU's argument is nearer to 0, rounding chooses between two gradients. */
  private static final double KINK = 1e-4;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  static Tensor random(long... shape) {
    return RandomTensors.normal(shape);
  }

  static Tensor parameter(long... shape) {
    return random(shape).set_requires_grad(true);
  }

  static void assertClose(String name, Tensor expected, Tensor actual) {
    double error = actual.sub(expected).norm().item_double();
    Rounding.assertAtMost(SHARE * expected.norm().item_double(), error, name);
  }

  private static boolean atKink(Tensor argument) {
    return argument.abs().min().item_double() < KINK;
  }

  private static Tensor takeGradient(Tensor leaf) {
    Tensor gradient = leaf.grad().clone();
    leaf.mutable_grad().put(new Tensor());
    return gradient;
  }

  /** x, W, b and two LoRA modules on different columns, and what autograd says of them. */
  private static final class LoraCase {
    final Tensor x = parameter(37, 24);
    final Tensor w = random(40, 24);
    final Tensor b = random(40);
    final FrozenWeight linear = new FrozenWeight(w, b);
    final Tensor a1 = parameter(5, 24);
    final Tensor b1 = parameter(13, 5);
    final Tensor a2 = parameter(3, 24);
    final Tensor b2 = parameter(11, 3);

    List<LoraModule<Tensor>> modules() {
      return List.of(
          new LoraModule<>(a1, b1, 0, null, 0.5f, null),
          new LoraModule<>(a2, b2, 29, null, 2f, null));
    }

    Tensor fused(Tape tape) {
      return LinearOp.apply(tape, x, linear, modules(), null);
    }

    Tensor plain() {
      Tensor first = x.matmul(a1.t()).matmul(b1.t()).mul(new Scalar(0.5));
      Tensor second = x.matmul(a2.t()).matmul(b2.t()).mul(new Scalar(2));
      Tensor gap = torch.zeros(37, 16);
      Tensor delta = torch.cat(new TensorVector(first, gap, second), 1);
      return torch.linear(x, w, new org.bytedeco.pytorch.TensorOptional(b)).add(delta);
    }

    List<Tensor> leaves() {
      return List.of(x, a1, b1, a2, b2);
    }

    List<Tensor> gradients() {
      return leaves().stream().map(TapeTest::takeGradient).toList();
    }
  }

  private static void assertSame(List<Tensor> expected, List<Tensor> actual) {
    for (int i = 0; i < expected.size(); i++) {
      assertClose("gradient " + i, expected.get(i), actual.get(i));
    }
  }

  @Test
  void loraGradientsAgreeWithAutograd() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      LoraCase lora = new LoraCase();
      Tensor direction = random(37, 40);
      Tensor plain = lora.plain();
      plain.mul(direction).sum().backward();
      List<Tensor> expected = lora.gradients();
      Tensor fused = lora.fused(tape);
      assertClose("y", plain, fused);
      fused.mul(direction).sum().backward();
      assertSame(expected, lora.gradients());
    }
  }

  @Test
  void outputMayBeUsedTwiceAndChangedInPlace() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      LoraCase lora = new LoraCase();
      while (atKink(lora.plain())) {
        lora = new LoraCase();
      }
      Tensor plain = lora.plain().relu();
      plain.add(plain.mul(plain)).sum().backward();
      List<Tensor> expected = lora.gradients();
      Tensor fused = lora.fused(tape);
      fused.relu_();
      fused.add(fused.mul(fused)).sum().backward();
      assertSame(expected, lora.gradients());
    }
  }

  @Test
  void anInputThatNoBackwardPassReadsIsNotHeld() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      Tensor x = random(3, 4).set_requires_grad(true).mul(new Scalar(2));
      Tensor y = random(3, 4);
      long before = x.use_count();
      tape.record(y, List.of(x), List.of(), gradient -> new Tensor[] {gradient});
      assertEquals(before, x.use_count());
      y.sum().backward();
    }
  }

  @Test
  void retainedGraphAccumulatesTwice() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      LoraCase lora = new LoraCase();
      lora.plain().sum().backward();
      List<Tensor> expected = lora.gradients().stream().map(g -> g.mul(new Scalar(2))).toList();
      Tensor sum = lora.fused(tape).sum();
      sum.backward(
          new Tensor(),
          new org.bytedeco.pytorch.BoolOptional(true),
          false,
          new org.bytedeco.pytorch.TensorArrayRefOptional());
      sum.backward();
      assertSame(expected, lora.gradients());
    }
  }

  @Test
  void inputWithoutGradientStillTrainsTheModules() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      LoraCase lora = new LoraCase();
      Tensor direction = random(37, 40);
      lora.plain().mul(direction).sum().backward();
      List<Tensor> expected = lora.gradients();
      Tensor y = LinearOp.apply(tape, lora.x.detach(), lora.linear, lora.modules(), null);
      y.mul(direction).sum().backward();
      assertClose("A", expected.get(1), takeGradient(lora.a1));
      assertClose("B", expected.get(4), takeGradient(lora.b2));
    }
  }

  @Test
  void inputChangedInPlaceIsRefused() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      LoraCase lora = new LoraCase();
      Tensor y = lora.fused(tape);
      try (NoGradGuard guard = new NoGradGuard()) {
        lora.x.add_(new Scalar(1));
      }
      RuntimeException error = assertThrows(RuntimeException.class, () -> y.sum().backward());
      assertTrue(error.getMessage().contains("changed in place"), error.getMessage());
    }
  }

  @Test
  void nothingIsRecordedWithoutGradients() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape();
        NoGradGuard guard = new NoGradGuard()) {
      new LoraCase().fused(tape);
      assertEquals(0, tape.size());
    }
  }

  @Test
  void adapterGradientsAgreeWithAutograd() {
    for (Activation activation : Activation.values()) {
      try (PointerScope scope = new PointerScope();
          Tape tape = new Tape()) {
        Tensor v = parameter(29, 23);
        Tensor h = parameter(29, 23);
        Tensor down = parameter(9, 23);
        Tensor downBias = parameter(9);
        Tensor up = parameter(23, 9);
        Tensor upBias = parameter(23);
        Tensor direction = random(29, 23);
        Tensor z = v.matmul(down.t()).add(downBias);
        while (activation == Activation.RELU && atKink(z)) {
          v = parameter(29, 23);
          z = v.matmul(down.t()).add(downBias);
        }
        Tensor a =
            switch (activation) {
              case IDENTITY -> z;
              case RELU -> z.relu();
              case GELU -> torch.gelu(z);
              case SILU -> torch.silu(z);
            };
        Tensor plain = h.add(a.matmul(up.t())).add(upBias);
        plain.mul(direction).sum().backward();
        List<Tensor> leaves = List.of(v, h, down, downBias, up, upBias);
        List<Tensor> expected = leaves.stream().map(TapeTest::takeGradient).toList();
        Tensor fused =
            AdapterOp.apply(
                tape, v, h, new AdapterOp.Parameters(down, downBias, up, upBias, activation), null);
        assertClose(activation + " out", plain, fused);
        fused.mul(direction).sum().backward();
        assertSame(expected, leaves.stream().map(TapeTest::takeGradient).toList());
      }
    }
  }

  @Test
  void hooksOutliveTheCollector() throws InterruptedException {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      LoraCase lora = new LoraCase();
      lora.plain().sum().backward();
      List<Tensor> expected = lora.gradients();
      Tensor y = lora.fused(tape);
      for (int i = 0; i < 3; i++) {
        System.gc();
        Thread.sleep(20);
      }
      y.sum().backward();
      assertSame(expected, lora.gradients());
    }
  }

  @Test
  void aBackwardPassThroughWhatIsClearedIsAnError() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      Tensor loss = new LoraCase().fused(tape).sum();
      tape.clear();
      String message = assertThrows(RuntimeException.class, loss::backward).getMessage();
      assertTrue(message.contains("a step that is over"), message);
    }
  }

  private static final class Unchanged extends FunctionPreHook {
    @Override
    public TensorVector apply(TensorVector incoming) {
      return incoming;
    }
  }

  /** JavaCPP itself deletes none: a training would leave two for each operation of each step. */
  @Test
  void aHooksReferenceToJavaIsDeletedOnce() {
    assumeTrue(System.getProperty("os.name").equals("Linux"));
    try (PointerScope scope = new PointerScope()) {
      FunctionPreHook hook = new Unchanged();
      FunctionPreHook heir = new Unchanged();
      assertTrue(CallbackReferences.delete(hook.address(), heir.address()));
      assertFalse(CallbackReferences.delete(hook.address(), heir.address()));
    }
  }

  @Test
  @FixedSeed("memory does not depend on the numbers")
  void thousandsOfStepsKeepTheResidentSizeFlat() {
    int steps = 24000;
    ResidentSize size = new ResidentSize(steps);
    try (PointerScope outer = new PointerScope();
        Tape tape = new Tape()) {
      LoraCase lora = new LoraCase();
      for (int step = 0; step < steps; step++) {
        try (PointerScope scope = new PointerScope()) {
          lora.fused(tape).sum().backward();
        }
        tape.clear();
        size.after(step);
      }
    }
    assertTrue(size.growth() < 4 << 20, () -> "resident size grew by " + size.growth() + " bytes");
  }
}
