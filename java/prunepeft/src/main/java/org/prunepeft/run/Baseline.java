package org.prunepeft.run;

import java.util.ArrayList;
import java.util.List;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.peft.supernet.Seeds;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.HeadFit;
import org.prunepeft.train.head.LanguageModelHead;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.loop.Checkpoints;
import org.prunepeft.train.loop.Owned;

/**
 * What trainings begin with, on the frozen encoder.
 *
 * @param validation null: there are no such examples
 */
public record Baseline(TaskHead head, Evaluation validation, Evaluation test) {
  /**
   * Fits a head; a language model has its own.
   *
   * @param session whose data, encoder and trainer are ready
   * @param owned gets the head
   */
  static Baseline of(Session session, Owned owned, Checkpoints checkpoints) {
    return session.dataset.schema().kind() == TaskKind.LANGUAGE_MODELING
        ? untouched(session, owned, checkpoints)
        : fitted(session, owned, checkpoints);
  }

  private static Baseline fitted(Session session, Owned owned, Checkpoints checkpoints) {
    List<HeadFit.Examples> pooled;
    try (PeftModules none = session.modules(List.of())) {
      pooled =
          pool(
              session,
              none,
              "frozen encoder",
              List.of(session.train, session.validation, session.test));
    }
    checkpoints.add("frozen encoder", state -> requireSame(state, pooled));
    session.progress.started("fit the head", "", 0);
    Head fitted = owned.add(fit(session, pooled));
    return new Baseline(
        fitted,
        session.validation.size() == 0 ? null : HeadFit.evaluate(fitted, pooled.get(1)),
        HeadFit.evaluate(fitted, pooled.get(2)));
  }

  /**
   * {@return a head that is fitted to what the encoder and these modules make of the training
   * examples; the caller's}
   *
   * @param modules that are trained already
   */
  static Head fit(Session session, PeftModules modules) {
    return fit(
        session,
        pool(
            session,
            modules,
            "encoder with the kept modules",
            List.of(session.sample("head", HeadFit.MOST_EXAMPLES), session.validation)));
  }

  /**
   * @param pooled of training and of validation examples
   */
  private static Head fit(Session session, List<HeadFit.Examples> pooled) {
    return HeadFit.fit(
        pooled.get(0),
        pooled.get(1),
        session.dataset.schema(),
        session.encoder.device(),
        Pooling.of(session.encoder.config()),
        session.setup.training().labelSmoothing(),
        session.classWeights,
        Seeds.derive(session.setup.seed(), "head"));
  }

  /** Of a language model, which has no head to fit. */
  private static Baseline untouched(Session session, Owned owned, Checkpoints checkpoints) {
    TaskHead own = owned.add(LanguageModelHead.of(session.encoder));
    session.progress.started(
        "model without modules",
        "examples",
        (long) session.validation.size() + session.test.size());
    try (PeftModules none = session.modules(List.of())) {
      Evaluation validated =
          session.validation.size() == 0
              ? null
              : untouched(session, own, none, session.validation, 0);
      Evaluation tested = untouched(session, own, none, session.test, session.validation.size());
      List<HeadFit.Examples> outputs =
          List.of(new HeadFit.Examples(tested.predictions().outputs(), session.test.targets(), 1));
      checkpoints.add("frozen encoder", state -> requireSame(state, outputs));
      return new Baseline(own, validated, tested);
    }
  }

  private static Evaluation untouched(
      Session session, TaskHead own, PeftModules none, EncodedDataset set, int before) {
    return session
        .trainer
        .predictor()
        .evaluate(
            none,
            own,
            set,
            done -> {
              session.requireNotCancelled();
              session.progress.progress(before + done, "");
            });
  }

  /**
   * What a head sees of the encoder, computed once a data set.
   *
   * @param modules none: of the frozen encoder
   * @param what is computed, for the progress
   */
  private static List<HeadFit.Examples> pool(
      Session session, PeftModules modules, String what, List<EncodedDataset> sets) {
    long total = sets.stream().mapToLong(EncodedDataset::size).sum();
    session.progress.started(what, "examples", total);
    List<HeadFit.Examples> pooled = new ArrayList<>();
    long before = 0;
    for (EncodedDataset set : sets) {
      long done = before;
      float[] outputs =
          session
              .trainer
              .predictor()
              .features(
                  modules,
                  set,
                  count -> {
                    session.requireNotCancelled();
                    session.progress.progress(done + count, "");
                  });
      pooled.add(new HeadFit.Examples(outputs, set.targets(), set.towers()));
      before += set.size();
    }
    return pooled;
  }

  /**
   * A run that goes on needs the frozen encoder's outputs to the bit: those of another model, of
   * other data or of another processor are not.
   */
  private static void requireSame(StateExchange state, List<HeadFit.Examples> pooled) {
    String now = Checksum.of(pooled);
    String before = state.value("sha256", String.class, now);
    if (!before.equals(now)) {
      throw new UnresumableRunException(
          "the frozen encoder's outputs are not those that the run began with: the model's files, the data, the processor or the libraries are others; go on where they are the same, or begin a new run");
    }
  }
}
