package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.LoraPath;

/** The product with W by LibTorch gives what our own gives, in each direction. */
class LoraLinearTest {
  private static final int M = 29;
  private static final int K = 40;
  private static final int N = 33;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static Tensor random(long rows, long cols) {
    return torch.randn(rows, cols);
  }

  /** y, S of each branch, dX, and dA and dB of each branch. */
  private static List<float[]> run(
      LoraPath.Both paths,
      Tensor x,
      FrozenWeight linear,
      List<LoraLinear.Branch> branches,
      Dropout dropout,
      Tensor dy) {
    List<float[]> results = new ArrayList<>();
    try (Tape tape = new Tape()) {
      Tensor input = x.detach().clone();
      input.set_requires_grad(true);
      List<LoraLinear.Branch> leaves = new ArrayList<>();
      for (LoraLinear.Branch branch : branches) {
        Tensor a = branch.a().detach().clone();
        Tensor b = branch.b().detach().clone();
        leaves.add(
            new LoraLinear.Branch(
                a.set_requires_grad(true),
                b.set_requires_grad(true),
                branch.scale(),
                branch.module(),
                branch.firstColumn()));
      }
      List<Integer> seen = new ArrayList<>();
      Tensor y =
          LoraLinear.apply(
              paths, tape, input, linear, leaves, dropout, (branch, s, b) -> seen.add(branch));
      assertEquals(branches.size(), seen.size());
      y.mul(dy).sum().backward();
      results.add(Torch.toFloats(y));
      results.add(Torch.toFloats(input.grad()));
      for (LoraLinear.Branch leaf : leaves) {
        results.add(Torch.toFloats(leaf.a().grad()));
        results.add(Torch.toFloats(leaf.b().grad()));
      }
    }
    return results;
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void bothPathsGiveTheSame(int modules) {
    try (PointerScope scope = new PointerScope()) {
      Tensor x = random(M, K);
      Tensor dy = random(M, N);
      // The second adds to columns of the first.
      List<LoraLinear.Branch> branches =
          List.of(
                  new LoraLinear.Branch(random(5, K), random(20, 5), 0.5f, 3, 0),
                  new LoraLinear.Branch(random(8, K), random(17, 8), 2f, 4, 16))
              .subList(0, modules);
      for (Tensor bias : new Tensor[] {null, torch.randn(N)}) {
        for (Dropout dropout : new Dropout[] {null, new Dropout(0.3f, 7, 1, 0)}) {
          try (FrozenWeight linear = new FrozenWeight(random(N, K), bias)) {
            LoraPath.Both own = new LoraPath.Both(LoraPath.FUSED, LoraPath.FUSED);
            List<float[]> expected = run(own, x, linear, branches, dropout, dy);
            for (LoraPath forward : List.of(LoraPath.SPLIT, LoraPath.FUSED)) {
              LoraPath.Both paths = new LoraPath.Both(forward, LoraPath.SPLIT);
              List<float[]> results = run(paths, x, linear, branches, dropout, dy);
              for (int i = 0; i < expected.size(); i++) {
                assertArrayEquals(expected.get(i), results.get(i), 2e-4f, paths + ", result " + i);
              }
            }
          }
        }
      }
    }
  }
}
