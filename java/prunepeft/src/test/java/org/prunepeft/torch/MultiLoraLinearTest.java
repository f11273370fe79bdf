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

/** Several adapters over one batch give what each gives on its rows alone. */
class MultiLoraLinearTest {
  private static final int K = 40;
  private static final int N = 33;
  private static final int[] ROWS = {7, 0, 18, 5};
  private static final int[] RANKS = {3, 2, 8, 1};

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static Tensor leaf(Tensor values) {
    return values.detach().clone().set_requires_grad(true);
  }

  /** Two modules side by side, which one adapter has not, and one over all columns. */
  private static List<LoraLinear.Branch> branches(int adapter) {
    int r = RANKS[adapter];
    List<LoraLinear.Branch> branches = new ArrayList<>();
    if (adapter != 2) {
      branches.add(branch(r, 11, 0.5f, 10 + adapter, 0));
      branches.add(branch(r, 22, 2, 20 + adapter, 11));
    }
    branches.add(branch(r + 1, N, 1, 30 + adapter, 0));
    return branches;
  }

  private static LoraLinear.Branch branch(
      int r, int columns, float scale, int module, int firstColumn) {
    return new LoraLinear.Branch(
        leaf(torch.randn(r, K)), leaf(torch.randn(columns, r)), scale, module, firstColumn);
  }

  private static void assertNear(Tensor expected, Tensor actual, String what) {
    float[] values = Torch.toFloats(expected.detach());
    double largest = 0;
    for (float value : values) {
      largest = Math.max(largest, Math.abs(value));
    }
    assertArrayEquals(values, Torch.toFloats(actual.detach()), (float) (1e-5 * largest), what);
  }

  /** The gradient of Σ y·dY is dY. */
  private static void backward(Tensor y, Tensor dy) {
    y.mul(dy).sum().backward();
  }

  @ParameterizedTest
  @ValueSource(floats = {0, 0.3f})
  void eachAdapterGetsWhatItWouldAlone(float p) {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape();
        FrozenWeight linear = new FrozenWeight(torch.randn(N, K), torch.randn(N))) {
      Tensor x = leaf(torch.randn(30, K));
      Tensor dy = torch.randn(30, N);
      List<MultiLoraLinear.Segment> segments = new ArrayList<>();
      List<String> expectedCalls = new ArrayList<>();
      long first = 0;
      for (int i = 0; i < ROWS.length; i++) {
        Dropout dropout = p == 0 ? null : new Dropout(p, 100 + i, 5, i);
        segments.add(new MultiLoraLinear.Segment(first, ROWS[i], branches(i), dropout));
        first += ROWS[i];
        for (int j = 0; j < segments.get(i).branches().size(); j++) {
          expectedCalls.add(i + "/" + j);
        }
      }
      List<String> calls = new ArrayList<>();
      Tensor y =
          MultiLoraLinear.apply(
              tape,
              x,
              linear,
              segments,
              (segment, branch, s, b) -> {
                calls.add(segment + "/" + branch);
                assertEquals(ROWS[segment], s.rows());
                assertEquals(segments.get(segment).branches().get(branch).a().size(0), s.cols());
                assertEquals(b.cols(), s.cols());
              });
      backward(y, dy);
      assertEquals(expectedCalls, calls.stream().sorted().toList());
      for (MultiLoraLinear.Segment segment : segments) {
        if (segment.rows() == 0) {
          for (LoraLinear.Branch branch : segment.branches()) {
            assertEquals(0, branch.a().grad().abs().sum().item_float());
            assertEquals(0, branch.b().grad().abs().sum().item_float());
          }
        } else {
          assertAsAlone(tape, x, linear, segment, y, dy);
        }
      }
    }
  }

  private static void assertAsAlone(
      Tape tape,
      Tensor x,
      FrozenWeight linear,
      MultiLoraLinear.Segment segment,
      Tensor y,
      Tensor dy) {
    long first = segment.firstRow();
    long rows = segment.rows();
    Tensor own = leaf(x.narrow(0, first, rows));
    List<LoraLinear.Branch> alone = new ArrayList<>();
    for (LoraLinear.Branch branch : segment.branches()) {
      alone.add(
          new LoraLinear.Branch(
              leaf(branch.a()),
              leaf(branch.b()),
              branch.scale(),
              branch.module(),
              branch.firstColumn()));
    }
    Tensor expected = LoraLinear.apply(tape, own, linear, alone, segment.dropout(), null);
    assertNear(expected, y.narrow(0, first, rows), "y");
    backward(expected, dy.narrow(0, first, rows));
    assertNear(own.grad(), x.grad().narrow(0, first, rows), "dX");
    for (int i = 0; i < alone.size(); i++) {
      assertNear(alone.get(i).a().grad(), segment.branches().get(i).a().grad(), "dA " + i);
      assertNear(alone.get(i).b().grad(), segment.branches().get(i).b().grad(), "dB " + i);
    }
  }
}
