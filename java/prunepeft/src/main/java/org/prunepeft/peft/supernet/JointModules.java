package org.prunepeft.peft.supernet;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.LoraLinear;
import org.prunepeft.torch.MultiLoraLinear;
import org.prunepeft.torch.Tape;

/**
 * The modules of several trainings over one batch, each on rows of its own: what is frozen is
 * computed once for all rows. Each member's {@link PeftModules#begin} comes first, with the tape of
 * this object.
 */
public final class JointModules implements Insertions {
  private final Tape tape;
  private final List<PeftModules> members;
  private final long[] rows;

  /**
   * @param members in the order of their rows
   * @param rows how many rows of the batch's matrices are each member's
   */
  public JointModules(Tape tape, List<PeftModules> members, long[] rows) {
    this.tape = tape;
    this.members = members;
    this.rows = rows;
  }

  @Override
  public Tensor linear(FrozenLinear linear, Tensor x) {
    List<PeftModules.LoraAt> loraAt =
        members.stream().map(member -> member.loraAt(linear)).toList();
    if (loraAt.stream().allMatch(own -> own.branches().isEmpty())) {
      return frozen(linear, x);
    }
    if (!ComputeDevice.of(x).kernels().isCuda()) {
      return byMember(x, (member, own) -> members.get(member).linear(linear, own));
    }
    List<MultiLoraLinear.Segment> segments = new ArrayList<>();
    boolean measured = false;
    long first = 0;
    for (int i = 0; i < rows.length; i++) {
      ForwardPass pass = members.get(i).pass();
      measured |= pass.magnitudes() != null;
      segments.add(
          new MultiLoraLinear.Segment(
              first,
              rows[i],
              loraAt.get(i).branches(),
              pass.dropout(loraAt.get(i).dropped(), pass.seed())));
      first += rows[i];
    }
    MultiLoraLinear.Observer observer =
        (segment, branch, s, b) -> {
          if (members.get(segment).pass().magnitudes() != null) {
            members.get(segment).measure(loraAt.get(segment).owners().get(branch), s, b);
          }
        };
    Tensor y =
        MultiLoraLinear.apply(tape, x, linear.frozen(), segments, measured ? observer : null);
    return byMember(y, (member, own) -> members.get(member).scaled(linear, own));
  }

  private Tensor frozen(FrozenLinear linear, Tensor x) {
    return LoraLinear.apply(tape, x, linear.frozen(), List.of(), null, null);
  }

  /**
   * Positions belong to no member, so that nothing may sit on their projections.
   *
   * @throws IllegalStateException if something does
   */
  @Override
  public Tensor linearOfPositions(FrozenLinear linear, Tensor x) {
    if (members.stream().anyMatch(member -> !member.loraAt(linear).branches().isEmpty())) {
      throw new IllegalStateException(
          "modules on the projections of relative positions cannot be trained together");
    }
    return frozen(linear, x);
  }

  @Override
  public Tensor attention(Tensor qkv, EncoderInput input, long heads) {
    return members.get(0).attention(qkv, input, heads);
  }

  @Override
  public Tensor afterAttention(int layer, Tensor h, Tensor input, LayerNorm norm) {
    TensorVector inputs = split(input);
    return byMember(h, (i, own) -> members.get(i).afterAttention(layer, own, inputs.get(i), norm));
  }

  @Override
  public Tensor afterFeedForward(int layer, Tensor h, Tensor input, LayerNorm norm) {
    TensorVector inputs = split(input);
    return byMember(
        h, (i, own) -> members.get(i).afterFeedForward(layer, own, inputs.get(i), norm));
  }

  private TensorVector split(Tensor x) {
    return torch.split_with_sizes(x, rows);
  }

  @FunctionalInterface
  private interface OnRows {
    /** Gives its argument itself if there is nothing to do. */
    Tensor apply(int member, Tensor own);
  }

  private Tensor byMember(Tensor x, OnRows work) {
    TensorVector parts = split(x);
    TensorVector results = new TensorVector();
    boolean any = false;
    for (int i = 0; i < rows.length; i++) {
      Tensor own = parts.get(i);
      Tensor result = work.apply(i, own);
      any |= result != own;
      results.push_back(result);
    }
    return any ? torch.cat(results, 0) : x;
  }
}
