package org.prunepeft.peft.supernet;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.kernels.ModuleOutput;
import org.prunepeft.kernels.Rows;
import org.prunepeft.model.Block;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.LayerNorm;
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
  public Tape tape() {
    return tape;
  }

  @Override
  public List<Tensor> weights(int layer) {
    return members.stream().flatMap(member -> member.weights(layer).stream()).toList();
  }

  /**
   * Positions belong to no member, so that nothing may sit on their projections.
   *
   * @throws IllegalStateException if something does
   */
  @Override
  public OnLinear on(FrozenLinear linear, boolean tokens) {
    List<LoraModule<Tensor>> modules = new ArrayList<>();
    List<Consumer<ModuleOutput>> observers = new ArrayList<>();
    long first = 0;
    for (int i = 0; i < rows.length; i++) {
      OnLinear own = members.get(i).on(linear, tokens);
      Rows ownRows = new Rows(first, rows[i]);
      for (int j = 0; j < own.modules().size(); j++) {
        int index = j;
        modules.add(own.modules().get(j).on(ownRows));
        observers.add(
            own.observer() == null ? null : output -> own.observer().accept(output, index));
      }
      first += rows[i];
    }
    if (!tokens && !modules.isEmpty()) {
      throw new IllegalStateException(
          "modules on the projections of relative positions cannot be trained together");
    }
    if (observers.stream().allMatch(Objects::isNull)) {
      return new OnLinear(modules, null);
    }
    return new OnLinear(
        modules,
        (output, i) -> {
          if (observers.get(i) != null) {
            observers.get(i).accept(output);
          }
        });
  }

  @Override
  public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
    TensorVector inputs = split(x);
    return byMember(y, (i, own) -> members.get(i).afterLinear(linear, inputs.get(i), own));
  }

  @Override
  public Tensor afterBlock(Block block, int layer, Tensor h, Tensor input, LayerNorm norm) {
    TensorVector inputs = split(input);
    return byMember(
        h, (i, own) -> members.get(i).afterBlock(block, layer, own, inputs.get(i), norm));
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
