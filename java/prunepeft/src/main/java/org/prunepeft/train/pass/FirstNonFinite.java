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
import org.prunepeft.train.DivergedException;
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
   * @param batches that go through the encoder one after another
   * @param gradients whether those that are there belong to the batches
   */
  public static String describe(
      Encoder encoder,
      PeftModules modules,
      TaskHead head,
      FlatParameters own,
      Tape tape,
      List<Batch> batches,
      boolean gradients) {
    Optional<String> output = output(encoder, modules, head, tape, batches);
    if (output.isEmpty() && gradients) {
      Optional<String> gradient = gradient(modules, head, own);
      if (gradient.isPresent()) {
        return "the first that is not finite is " + gradient.get();
      }
    }
    return FiniteWatch.described(output);
  }

  /**
   * {@return the first place by the encoder's order whose output is not finite, of the first batch
   * that has one, which is named where there are several; empty: all are}
   *
   * @param head null: it is not looked at
   * @param batches that go through the encoder one after another
   */
  public static Optional<String> output(
      Encoder encoder, PeftModules modules, TaskHead head, Tape tape, List<Batch> batches) {
    for (int i = 0; i < batches.size(); i++) {
      Optional<String> place = output(encoder, modules, head, tape, batches.get(i));
      if (place.isPresent()) {
        String of =
            batches.size() == 1
                ? ""
                : " in micro-batch %d of %d (%s)"
                    .formatted(
                        i + 1, batches.size(), DivergedException.named(batches.get(i).indices()));
        return Optional.of(place.get() + of);
      }
    }
    return Optional.empty();
  }

  private static Optional<String> output(
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
