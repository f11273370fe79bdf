package org.prunepeft.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.LoraAdapter;
import org.prunepeft.kernels.LoraPath;
import org.prunepeft.kernels.LoraSegment;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.kernels.MultiLoraKernels;

/**
 * A frozen linear that several adapters share, y = x Wᵀ + b, each with LoRA modules on rows of its
 * own, Σ s·D(x) Aᵀ Bᵀ, as one operation of the autograd graph: the trainings of several seeds or
 * searches over one batch. The products with A and B are one launch for all adapters of a
 * projection ({@link MultiLoraKernels}). A segment's gradients are those of its rows alone.
 *
 * <p>For a GPU. On the CPU, where a launch costs nothing, {@link LoraLinear} for each segment's
 * rows does the same.
 */
public final class MultiLoraLinear {
  private MultiLoraLinear() {}

  /**
   * Rows of an adapter.
   *
   * @param firstRow the first of them; segments lie in rising order and don't overlap
   * @param rows how many, 0 or more
   * @param branches the adapter's modules on this linear; may be empty
   * @param dropout null: none (evaluation)
   */
  public record Segment(
      long firstRow, long rows, List<LoraLinear.Branch> branches, Dropout dropout) {}

  /** Sees S of each segment's branches after the forward pass; the module's output is S Bᵀ. */
  @FunctionalInterface
  public interface Observer {
    /**
     * A branch's output is s Bᵀ.
     *
     * @param segment its index among those of the call
     * @param branch its index among those of the segment
     * @param s [rows of the segment, r], scaled; good until the call returns
     * @param b B [n,r]
     */
    void forward(int segment, int branch, Matrix s, Matrix b);
  }

  /** A branch, by where it is among the call's and by what the kernels take. */
  private record Placed(int segment, int branch, LoraLinear.Branch staged) {}

  /** Branches that add to the same columns of y, at most one of a segment. */
  private record Group(long firstColumn, long columns, List<Placed> branches) {
    /**
     * @param gradients dA and dB by segment and branch, in turns; null: they are not written
     */
    List<LoraAdapter> adapters(List<Tensor[]> gradients) {
      List<LoraAdapter> adapters = new ArrayList<>();
      for (Placed placed : branches) {
        LoraLinear.Branch staged = placed.staged;
        Tensor[] own = gradients == null ? null : gradients.get(placed.segment);
        adapters.add(
            new LoraAdapter(
                staged.a().size(0),
                Torch.matrix(staged.a()),
                Torch.matrix(staged.b()),
                staged.scale(),
                staged.module(),
                own == null ? null : Torch.matrix(own[2 * placed.branch]),
                own == null ? null : Torch.matrix(own[2 * placed.branch + 1])));
      }
      return adapters;
    }

    /** Those of the branches' segments, in their order, each with its own adapter. */
    List<LoraSegment> rows(List<Segment> segments) {
      List<LoraSegment> rows = new ArrayList<>();
      for (int i = 0; i < branches.size(); i++) {
        Segment segment = segments.get(branches.get(i).segment);
        rows.add(new LoraSegment(segment.firstRow, segment.rows, i, segment.dropout));
      }
      return rows;
    }

    long rank() {
      return branches.stream().mapToLong(placed -> placed.staged.a().size(0)).max().orElseThrow();
    }
  }

  /**
   * @param tape keeps the operation until the backward pass
   * @param x [M,K], dense, of W's type
   * @param linear W [N,K] and b
   * @param segments at most 32
   * @param observer null: none
   * @return y [M,N], of W's type
   */
  public static Tensor apply(
      Tape tape, Tensor x, FrozenWeight linear, List<Segment> segments, Observer observer) {
    Tensor input = x.detach();
    ComputeDevice place = ComputeDevice.of(input);
    Device device = place.kernels();
    torch.ScalarType type = input.scalar_type().intern();
    LoraPath.Both paths = LoraLinear.paths(input, linear, 0, false);
    Tensor y;
    List<Group> groups;
    List<Tensor> sums = new ArrayList<>();
    try (NoGradGuard guard = new NoGradGuard()) {
      groups = groups(tape, type, segments);
      y = LoraLinear.product(paths.forward(), tape, input, linear);
      for (Group group : groups) {
        Tensor s = place.emptyMatrix(x.size(0), group.rank(), place.stagedType(type));
        List<LoraAdapter> adapters = group.adapters(null);
        List<LoraSegment> rows = group.rows(segments);
        MultiLoraKernels.down(
            device, Torch.matrix(input), adapters, rows, Torch.matrix(s), tape.workspace());
        Matrix columns = LoraLinear.columns(y, group.firstColumn, group.columns);
        MultiLoraKernels.up(device, adapters, rows, Torch.matrix(s), columns, tape.workspace());
        sums.add(s);
        for (Placed placed : group.branches) {
          if (observer != null) {
            Segment segment = segments.get(placed.segment);
            LoraLinear.Branch branch = placed.staged;
            Matrix own =
                Torch.matrix(s).part(segment.firstRow, 0, segment.rows, branch.a().size(0));
            observer.forward(placed.segment, placed.branch, own, Torch.matrix(branch.b()));
          }
        }
      }
    }
    List<Tensor> inputs = new ArrayList<>(List.of(x));
    for (Segment segment : segments) {
      for (LoraLinear.Branch branch : segment.branches) {
        inputs.add(branch.a());
        inputs.add(branch.b());
      }
    }
    List<Tensor> saved = new ArrayList<>();
    if (!groups.isEmpty()) {
      saved.addAll(inputs);
      saved.addAll(sums);
    }
    boolean needsInput = x.requires_grad();
    return tape.record(
        y,
        inputs,
        saved,
        gradient ->
            backward(
                tape,
                gradient.contiguous(),
                input,
                segments,
                groups,
                sums,
                needsInput
                    ? dy -> LoraLinear.productOfGradient(paths.backward(), tape, dy, linear)
                    : null));
  }

  /**
   * @param product gives dY W; null: dX is not wanted
   */
  private static Tensor[] backward(
      Tape tape,
      Tensor dy,
      Tensor x,
      List<Segment> segments,
      List<Group> groups,
      List<Tensor> sums,
      UnaryOperator<Tensor> product) {
    ComputeDevice place = ComputeDevice.of(x);
    Device device = place.kernels();
    List<Tensor[]> ofSegments = new ArrayList<>();
    for (Segment segment : segments) {
      Tensor[] gradients = new Tensor[2 * segment.branches.size()];
      for (int i = 0; i < segment.branches.size(); i++) {
        // Zeros: the kernels leave the gradients of an adapter without rows as they are.
        gradients[2 * i] = torch.zeros_like(segment.branches.get(i).a().detach());
        gradients[2 * i + 1] = torch.zeros_like(segment.branches.get(i).b().detach());
      }
      ofSegments.add(gradients);
    }
    Tensor dx = product == null ? null : product.apply(dy);
    for (int g = 0; g < groups.size(); g++) {
      Group group = groups.get(g);
      List<LoraAdapter> adapters = group.adapters(ofSegments);
      List<LoraSegment> rows = group.rows(segments);
      Matrix s = Torch.matrix(sums.get(g));
      Matrix ds =
          Torch.matrix(place.emptyMatrix(x.size(0), s.cols(), sums.get(g).scalar_type().intern()));
      MultiLoraKernels.gradUp(
          device,
          LoraLinear.columns(dy, group.firstColumn, group.columns),
          adapters,
          rows,
          s,
          ds,
          false,
          tape.workspace());
      MultiLoraKernels.gradDown(
          device, Torch.matrix(x), adapters, rows, ds, false, tape.workspace());
      if (dx != null) {
        MultiLoraKernels.gradInput(device, adapters, rows, ds, Torch.matrix(dx), tape.workspace());
      }
    }
    List<Tensor> gradients = new ArrayList<>();
    gradients.add(dx);
    ofSegments.forEach(own -> gradients.addAll(Arrays.asList(own)));
    return gradients.toArray(Tensor[]::new);
  }

  /** The branches by where they add; the first of each place of all segments, then the second. */
  private static List<Group> groups(Tape tape, torch.ScalarType type, List<Segment> segments) {
    record Key(long firstColumn, long columns, int ordinal) {}

    Map<Key, Group> groups = new LinkedHashMap<>();
    for (int i = 0; i < segments.size(); i++) {
      Map<Key, Integer> met = new HashMap<>();
      List<LoraLinear.Branch> branches = segments.get(i).branches;
      for (int j = 0; j < branches.size(); j++) {
        LoraLinear.Branch staged = branches.get(j).staged(tape, type);
        Key columns = new Key(staged.firstColumn(), staged.b().size(0), 0);
        int ordinal = met.merge(columns, 1, Integer::sum) - 1;
        groups
            .computeIfAbsent(
                new Key(columns.firstColumn, columns.columns, ordinal),
                key -> new Group(key.firstColumn, key.columns, new ArrayList<>()))
            .branches
            .add(new Placed(i, j, staged));
      }
    }
    return List.copyOf(groups.values());
  }
}
