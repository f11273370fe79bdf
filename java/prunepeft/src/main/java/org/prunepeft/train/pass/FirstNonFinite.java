package org.prunepeft.train.pass;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.model.Block;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Tape;
import org.prunepeft.train.head.TaskHead;

/** Looks, after a loss or a prediction was NaN or infinite, for the place where that begins. */
public final class FirstNonFinite {
  private FirstNonFinite() {}

  /**
   * {@return the first place by the encoder's order whose output is not finite, else the first
   * tensor whose gradient is not}
   *
   * @param head null: it is not looked at
   * @param own the encoder's own weights, where they are trained; else null
   * @param gradients whether those that are there belong to the batch
   */
  public static String describe(
      Encoder encoder,
      PeftModules modules,
      TaskHead head,
      FlatParameters own,
      Tape tape,
      Batch batch,
      boolean gradients) {
    return output(encoder, modules, head, tape, batch)
        .map(place -> "the output of " + place)
        .or(() -> gradients ? gradient(modules, head, own) : Optional.empty())
        .map(first -> "the first that is not finite is " + first)
        .orElse("the output of each module is finite");
  }

  private static Optional<String> output(
      Encoder encoder, PeftModules modules, TaskHead head, Tape tape, Batch batch) {
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      EncoderInput input = Inputs.of(encoder.device(), batch);
      modules.begin(ForwardPass.evaluation(tape));
      Tensor embedded = encoder.embed(input);
      if (!isFinite(embedded)) {
        return Optional.of("embeddings");
      }
      WatchedInsertions watch = new WatchedInsertions(encoder, modules);
      Tensor hidden = encoder.layers(0, encoder.config().layers(), embedded, input, watch);
      if (watch.first == null
          && head != null
          && !isFinite(head.outputs(head.reduced(hidden, input), batch))) {
        watch.first = "the head";
      }
      return Optional.ofNullable(watch.first);
    } finally {
      tape.clear();
    }
  }

  private static Optional<String> gradient(PeftModules modules, TaskHead head, FlatParameters own) {
    List<Candidate> ordered = new ArrayList<>(modules.candidates());
    ordered.sort(Comparator.comparingInt(Candidate::layer));
    Optional<String> found = own == null ? Optional.empty() : gradient(own, own.names());
    for (Candidate module : ordered) {
      found =
          found.or(
              () -> gradient(modules.groups().get(module.type()), modules.parameterNames(module)));
    }
    return found.or(() -> gradient(head.parameters(), head.parameters().names()));
  }

  private static Optional<String> gradient(FlatParameters group, Iterable<String> names) {
    for (String name : names) {
      if (!isFinite(group.gradient(name))) {
        return Optional.of("the gradient of " + name);
      }
    }
    return Optional.empty();
  }

  private static boolean isFinite(Tensor tensor) {
    try (PointerScope temporary = new PointerScope()) {
      return torch.isfinite(tensor).all().item_bool();
    }
  }

  /** Looks at what goes through the encoder. */
  private static final class WatchedInsertions implements Insertions {
    private final Encoder encoder;
    private final PeftModules modules;

    /** Null: all was finite so far. */
    private String first;

    WatchedInsertions(Encoder encoder, PeftModules modules) {
      this.encoder = encoder;
      this.modules = modules;
    }

    @Override
    public Tape tape() {
      return modules.tape();
    }

    @Override
    public OnLinear on(FrozenLinear linear, boolean tokens) {
      return modules.on(linear, tokens);
    }

    @Override
    public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
      Tensor result = modules.afterLinear(linear, x, y);
      for (FrozenLinear.Part part : linear.parts()) {
        note(part.path(), result.narrow(1, part.firstRow(), part.rows()));
      }
      return result;
    }

    @Override
    public Tensor afterBlock(Block block, int layer, Tensor h, Tensor input, LayerNorm norm) {
      String path =
          encoder
              .config()
              .path(
                  layer,
                  block == Block.ATTENTION ? Projection.ATTENTION_OUTPUT : Projection.OUTPUT);
      note(path, h);
      Tensor result = modules.afterBlock(block, layer, h, input, norm);
      note("the adapter behind " + path, result);
      return result;
    }

    private void note(String place, Tensor tensor) {
      if (first == null && !isFinite(tensor)) {
        first = place;
      }
    }
  }
}
