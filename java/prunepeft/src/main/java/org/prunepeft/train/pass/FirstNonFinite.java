package org.prunepeft.train.pass;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.FiniteWatch;
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
    Optional<String> output = output(encoder, modules, head, tape, batch);
    if (output.isEmpty() && gradients) {
      Optional<String> gradient = gradient(modules, head, own);
      if (gradient.isPresent()) {
        return "the first that is not finite is " + gradient.get();
      }
    }
    return FiniteWatch.described(output);
  }

  /**
   * {@return the first place by the encoder's order whose output is not finite; empty: all are}
   *
   * @param head null: it is not looked at
   */
  public static Optional<String> output(
      Encoder encoder, PeftModules modules, TaskHead head, Tape tape, Batch batch) {
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      EncoderInput input = Inputs.of(encoder.device(), batch);
      modules.begin(ForwardPass.evaluation(tape));
      return FiniteWatch.first(
          encoder,
          input,
          modules,
          hidden -> head == null ? hidden : head.outputs(head.reduced(hidden, input), batch),
          "the head");
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
      if (!FiniteWatch.isFinite(group.gradient(name))) {
        return Optional.of("the gradient of " + name);
      }
    }
    return Optional.empty();
  }
}
