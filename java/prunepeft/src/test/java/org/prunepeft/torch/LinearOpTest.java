package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.Linear.Path;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.kernels.Rows;
import org.prunepeft.testing.Rounding;

class LinearOpTest {
  private static final int M = 30;
  private static final int K = 40;
  private static final int N = 33;

  /**
   * What two computations may differ by, of the largest element: the longest way of a term is
   * through sums over two of M, K and N, two ranks, and some factors.
   */
  private static final double SHARE = 2 * Rounding.likely(K + N + 2 * 9 + 8, Rounding.FLOAT32);

  /** Of the members of a batch, one of which has none. */
  private static final int[] ROWS = {7, 0, 18, 5};

  private static final int[] RANKS = {3, 2, 8, 1};

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static Tensor random(long rows, long cols) {
    return RandomTensors.normal(rows, cols);
  }

  private static Tensor leaf(Tensor values) {
    return values.detach().clone().set_requires_grad(true);
  }

  private static LoraModule<Tensor> leaf(LoraModule<Tensor> module) {
    return module.of(leaf(module.a()), leaf(module.b()));
  }

  private static LoraModule<Tensor> module(
      int rank, int columns, int firstColumn, Rows rows, float scale, Dropout dropout) {
    return leaf(
        new LoraModule<>(
            random(rank, K), random(columns, rank), firstColumn, rows, scale, dropout));
  }

  /** y, dX, and dA and dB of each module. The gradient of Σ y·dY is dY. */
  private static List<float[]> run(
      Linear.Paths paths,
      Tensor x,
      FrozenWeight linear,
      List<LoraModule<Tensor>> modules,
      Tensor dy) {
    List<float[]> results = new ArrayList<>();
    try (Tape tape = new Tape()) {
      Tensor input = leaf(x);
      List<LoraModule<Tensor>> leaves = modules.stream().map(LinearOpTest::leaf).toList();
      List<Integer> seen = new ArrayList<>();
      Tensor y =
          LinearOp.apply(paths, tape, input, linear, leaves, (output, index) -> seen.add(index));
      assertEquals(modules.size(), seen.size());
      y.mul(dy).sum().backward();
      results.add(Torch.toFloats(y));
      results.add(Torch.toFloats(input.grad()));
      for (LoraModule<Tensor> own : leaves) {
        results.add(Torch.toFloats(own.a().grad()));
        results.add(Torch.toFloats(own.b().grad()));
      }
    }
    return results;
  }

  /**
   * The product with W by LibTorch gives what our own gives, in each direction; and memory for
   * masks, which the CPU does not look at, changes nothing.
   */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void bothPathsGiveTheSame(int count) {
    try (PointerScope scope = new PointerScope()) {
      Tensor x = random(M, K);
      Tensor dy = random(M, N);
      for (Tensor bias : new Tensor[] {null, RandomTensors.normal(N)}) {
        for (Dropout dropout : new Dropout[] {null, new Dropout(0.3f, 7, 3, 1, 0)}) {
          // The second adds to columns of the first, and drops by itself.
          Dropout other = dropout == null ? null : new Dropout(0.6f, 7, 4, 1, 0);
          List<LoraModule<Tensor>> modules =
              List.of(module(5, 20, 0, null, 0.5f, dropout), module(8, 17, 16, null, 2f, other))
                  .subList(0, count);
          try (FrozenWeight linear = new FrozenWeight(random(N, K), bias)) {
            List<float[]> expected =
                run(new Linear.Paths(Path.FUSED, Path.FUSED), x, linear, modules, dy);
            for (Path forward : Path.values()) {
              Linear.Paths paths = new Linear.Paths(forward, Path.SPLIT);
              List<float[]> results = run(paths, x, linear, modules, dy);
              paths = new Linear.Paths(forward, Path.SPLIT, true);
              List<float[]> withMasksKept = run(paths, x, linear, modules, dy);
              for (int i = 0; i < expected.size(); i++) {
                double limit = SHARE * Rounding.largest(expected.get(i));
                Rounding.assertNear(
                    expected.get(i), results.get(i), limit, paths + ", result " + i);
                assertArrayEquals(results.get(i), withMasksKept.get(i), paths + ", result " + i);
              }
            }
          }
        }
      }
    }
  }

  /** Two modules side by side, which one member has not, and one over all columns. */
  private static List<LoraModule<Tensor>> modules(int member, Rows rows, float p) {
    int rank = RANKS[member];
    List<LoraModule<Tensor>> modules = new ArrayList<>();
    if (member != 2) {
      modules.add(module(rank, 11, 0, rows, 0.5f, dropout(p, member, 10)));
      modules.add(module(rank, 22, 11, rows, 2, dropout(p / 2, member, 20)));
    }
    modules.add(module(rank + 1, N, 0, rows, 1, dropout(p, member, 30)));
    return modules;
  }

  private static Dropout dropout(float p, int member, int mask) {
    return p == 0 ? null : new Dropout(p, 100 + member, mask + member, 5, member);
  }

  private static void assertNear(Tensor expected, Tensor actual, String what) {
    float[] values = Torch.toFloats(expected.detach());
    double limit = SHARE * Rounding.largest(values);
    Rounding.assertNear(values, Torch.toFloats(actual.detach()), limit, what);
  }

  /** Several members over one batch give what each gives on its rows alone. */
  @ParameterizedTest
  @ValueSource(floats = {0, 0.3f})
  void eachMemberGetsWhatItWouldAlone(float p) {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape();
        FrozenWeight linear = new FrozenWeight(random(N, K), RandomTensors.normal(N))) {
      Tensor x = leaf(random(M, K));
      Tensor dy = random(M, N);
      List<LoraModule<Tensor>> all = new ArrayList<>();
      List<List<LoraModule<Tensor>>> members = new ArrayList<>();
      long first = 0;
      for (int i = 0; i < ROWS.length; i++) {
        members.add(modules(i, new Rows(first, ROWS[i]), p));
        all.addAll(members.get(i));
        first += ROWS[i];
      }
      List<Integer> seen = new ArrayList<>();
      Tensor y =
          LinearOp.apply(
              tape,
              x,
              linear,
              all,
              (output, index) -> {
                assertEquals(seen.size(), index);
                seen.add(index);
                LoraModule<Tensor> module = all.get(index);
                assertEquals(module.rows().count(), output.p().rows());
                assertEquals(module.a().size(0), output.p().cols());
                assertEquals(module.b().size(0), output.q().rows());
              });
      y.mul(dy).sum().backward();
      assertEquals(all.size(), seen.size());
      for (List<LoraModule<Tensor>> member : members) {
        if (member.get(0).rows().count() > 0) {
          assertAsAlone(tape, x, linear, member, y, dy);
          continue;
        }
        for (LoraModule<Tensor> module : member) {
          assertEquals(0, module.a().grad().abs().sum().item_float());
          assertEquals(0, module.b().grad().abs().sum().item_float());
        }
      }
    }
  }

  private static void assertAsAlone(
      Tape tape,
      Tensor x,
      FrozenWeight linear,
      List<LoraModule<Tensor>> member,
      Tensor y,
      Tensor dy) {
    long first = member.get(0).rows().first();
    long rows = member.get(0).rows().count();
    Tensor own = leaf(x.narrow(0, first, rows));
    List<LoraModule<Tensor>> alone = member.stream().map(module -> leaf(module.on(null))).toList();
    Tensor expected = LinearOp.apply(tape, own, linear, alone, null);
    assertNear(expected, y.narrow(0, first, rows), "y");
    expected.mul(dy.narrow(0, first, rows)).sum().backward();
    assertNear(own.grad(), x.grad().narrow(0, first, rows), "dX");
    for (int i = 0; i < alone.size(); i++) {
      assertNear(alone.get(i).a().grad(), member.get(i).a().grad(), "dA " + i);
      assertNear(alone.get(i).b().grad(), member.get(i).b().grad(), "dB " + i);
    }
  }
}
