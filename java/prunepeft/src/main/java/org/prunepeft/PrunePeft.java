package org.prunepeft;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Task;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectories;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Quantization;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.RunPhase;
import org.prunepeft.report.RunStatus;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.run.AllLinear;
import org.prunepeft.run.Demand;
import org.prunepeft.run.FinalTraining;
import org.prunepeft.run.Interruption;
import org.prunepeft.run.MeasuredRun;
import org.prunepeft.run.PeerRun;
import org.prunepeft.run.RunData;
import org.prunepeft.run.RunRecord;
import org.prunepeft.run.RunsTogether;
import org.prunepeft.run.Session;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.Criteria;
import org.prunepeft.search.IterativePruning;
import org.prunepeft.search.PruningResult;
import org.prunepeft.search.PruningRound;
import org.prunepeft.search.PruningSettings;
import org.prunepeft.search.SearchListener;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.Strategy;
import org.prunepeft.search.WarmUp;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.search.peer.PeerResult;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.train.loop.SupernetTraining;

/**
 * Searches a PEFT configuration by pruning, and trains one (arXiv 2506.07587).
 *
 * <p>One run at a time uses all threads that its setup names; the thread counts are the process's.
 * Runs of several seeds can be trained together: {@link SeedRuns#together}.
 */
public final class PrunePeft {
  private PrunePeft() {}

  /**
   * Searches: warm-up, rounds of pruning, retraining of what is left. Modules of AdaLoRA keep all
   * of their singular values until the retraining, which shares ranks out among those that are
   * left.
   *
   * @param setup model, data, supernet, training, and where the run is kept
   * @param settings budget, warm-up and rounds
   * @param progress follows the run, and may cancel it
   * @return what was found, and what it cost
   * @throws IllegalArgumentException if a setting, a name or the budget is out of range; nothing is
   *     written then
   * @throws DataException if data are missing or wrong; with file and line
   * @throws org.prunepeft.io.AssetException if a model or data of a jar can't be had
   * @throws java.io.UncheckedIOException if a file of the model can't be read or is damaged
   * @throws RunDirectoryException if the run's directory has files already, can't be written, or
   *     can't be gone on with
   * @throws org.prunepeft.torch.HostMemoryException if this machine has too little memory
   * @throws org.prunepeft.torch.GpuMemoryException if the GPU has too little memory
   * @throws org.prunepeft.train.DivergedException if a loss, a gradient or a prediction is not
   *     finite
   * @throws org.prunepeft.search.NotFiniteException if a criterion's score is not
   * @throws CancellationException if the listener cancels, or the thread is interrupted; the run
   *     directory says so
   */
  public static SearchOutcome search(
      Setup setup, SearchSettings settings, ProgressListener progress) {
    return search(setup, settings, progress, null);
  }

  /**
   * The same on an encoder that is shared with other runs.
   *
   * @param setup model, data, supernet, training, and where the run is kept
   * @param settings budget, warm-up and rounds
   * @param progress follows the run, and may cancel it
   * @param shared what {@link SeedRuns#together} gives each run; null: it is alone
   * @return what was found, and what it cost
   */
  public static SearchOutcome search(
      Setup setup, SearchSettings settings, ProgressListener progress, SharedEncoder shared) {
    return run(
        setup,
        progress,
        shared,
        Setup::on,
        space -> {
          require(space, settings, setup.seed());
          return new Demand(space.candidates(), false, true);
        },
        (session, record) -> search(session, settings, record));
  }

  /**
   * A run from its directory to its end.
   *
   * @param onModel gives the setup what suits the model
   * @param demand says what is trained at most, and throws before the long work if a setting does
   *     not fit
   */
  private static <T> T run(
      Setup setup,
      ProgressListener listener,
      SharedEncoder shared,
      BiFunction<Setup, EncoderConfig, Setup> onModel,
      Function<SearchSpace, Demand> demand,
      BiFunction<Session, RunRecord, T> work) {
    Setup own = setup.asRecorded();
    RunsTogether together = SharedEncoder.runs(shared);
    Objects.requireNonNull(
        listener, "the listener must not be null; ProgressListener.NONE follows nothing");
    Interruption interruption = new Interruption(together);
    ProgressListener progress = ProgressListener.of(listener, interruption);
    if (interruption.cancelled()) {
      throw new CancellationException("cancelled by an interrupt before it began");
    }
    RunRecord record = RunRecord.of(own, progress, together);
    return record.guard(
        () -> {
          try (Session session =
              new Session(own, progress, together, record.checkpoints(), onModel, demand)) {
            return work.apply(session, record);
          }
        });
  }

  private static void require(SearchSpace supernet, SearchSettings settings, long seed) {
    if (settings.start() != null && settings.start().sizes() != null) {
      throw new IllegalArgumentException(
          "a search begins with whole modules, and the earlier run made some smaller; name modules,"
              + " or train them as they are with train --modules");
    }
    SearchSpace space = settings.within(supernet, seed);
    space.requireBudget(settings.budgetOf(supernet.totalParameters()));
    if (settings.start() != null && (settings.measured() != null || settings.peer() != null)) {
      throw new IllegalArgumentException(
          "only a search by pruning begins with some of the modules; leave out those that it is to"
              + " begin with");
    }
    if (settings.measured() != null) {
      settings.measured().requireChoice(space);
      if (settings.measured().supernet() != null) {
        MeasuringSettings.requireSupernet(settings.measured().supernet());
      }
    }
    if (settings.strategy() != null) {
      settings.strategy().requireCovers(space);
    }
  }

  private static SearchOutcome search(Session session, SearchSettings settings, RunRecord record) {
    Setup setup = session.setup;
    long budget = settings.budgetOf(session.space.totalParameters());
    record.configuration(session, settings, budget);
    if (settings.measured() != null) {
      return measured(session, settings, budget, record);
    }
    if (settings.peer() != null) {
      return peer(session, settings, budget, record);
    }
    try (SupernetTraining trainer =
        new SupernetTraining(
            setup.peft(),
            session.trainer,
            session.baseline.head(),
            new SupernetTraining.Plan(
                new SupernetTraining.Fidelity(
                    session.sample("warm-up", settings.warmUpExamples()), settings.warmUpEpochs()),
                new SupernetTraining.Fidelity(
                    session.sample("rounds", settings.roundExamples()), settings.roundEpochs()),
                settings.criteria(),
                setup.seed()),
            (stage, modules, steps) ->
                session.follow(
                    stage.name() + ", " + modules + " modules", steps, record.metrics()))) {
      SearchSpace space = settings.within(session.space, setup.seed());
      SearchListener listener = listener(session.progress);
      Strategy strategy = settings.strategy();
      double warmUpSeconds = 0;
      if (strategy == null) {
        session.phases.begin(RunPhase.WARM_UP);
        strategy =
            WarmUp.run(
                space,
                settings.warmUpCriteria().stream().map(Criteria::byName).toList(),
                settings.warmUp().withSeed(setup.seed()),
                trainer,
                listener);
        warmUpSeconds = session.phases.end(RunPhase.WARM_UP);
      }
      record.strategy(strategy);
      session.phases.begin(RunPhase.SEARCH);
      PruningResult pruning =
          IterativePruning.run(
              space, strategy, pruning(settings, budget, setup.seed()), trainer, listener);
      double roundSeconds = session.phases.end(RunPhase.SEARCH);
      record.pruning(session, pruning);
      try (FinalTraining.Trained trained =
          new FinalTraining(session, record.metrics()).train(pruning.kept(), false)) {
        SearchOutcome outcome =
            new SearchOutcome(pruning, null, null, trained.outcome(), warmUpSeconds, roundSeconds);
        record.complete(session, trained, outcome);
        return outcome;
      }
    }
  }

  private static SearchOutcome measured(
      Session session, SearchSettings settings, long budget, RunRecord record) {
    session.phases.begin(RunPhase.SEARCH);
    try (MeasuredRun run = new MeasuredRun(session, settings.measured(), budget)) {
      MeasuredResult result = run.search(record);
      double seconds = session.phases.end(RunPhase.SEARCH);
      record.measured(result, run.sized(result), run.modules(result));
      try (FinalTraining.Trained trained = run.train(result, record)) {
        SearchOutcome outcome =
            new SearchOutcome(null, result, null, trained.outcome(), 0, seconds);
        record.complete(session, trained, outcome);
        return outcome;
      }
    }
  }

  private static SearchOutcome peer(
      Session session, SearchSettings settings, long budget, RunRecord record) {
    session.phases.begin(RunPhase.SEARCH);
    try (PeerRun run = new PeerRun(session, settings.peer(), budget, record.metrics())) {
      PeerResult result = run.search();
      double seconds = session.phases.end(RunPhase.SEARCH);
      record.peer(session, result);
      try (FinalTraining.Trained trained =
          new FinalTraining(session, record.metrics()).train(result.kept(), false)) {
        SearchOutcome outcome =
            new SearchOutcome(null, null, result, trained.outcome(), 0, seconds);
        record.complete(session, trained, outcome);
        return outcome;
      }
    }
  }

  private static PruningSettings pruning(SearchSettings settings, long budget, long seed) {
    return PruningSettings.of(budget)
        .with()
        .rounds(settings.rounds())
        .selection(settings.selection())
        .weights(settings.weights())
        .reinitialise(settings.reinitialise())
        .spreadThreshold(settings.warmUp().spreadThreshold())
        .c(settings.warmUp().c())
        .seed(seed)
        .build();
  }

  /** Each training that comes next asks whether it is cancelled, and keeps those before. */
  private static SearchListener listener(ProgressListener progress) {
    return new SearchListener() {
      @Override
      public void roundFinished(PruningRound round, int rounds) {
        progress.message(
            String.format(
                Locale.ROOT,
                "round %d of %d: removed %s; %,d parameters left",
                round.index(),
                rounds,
                round.removals().isEmpty()
                    ? "nothing"
                    : String.join(
                        ", ", round.removals().stream().map(r -> r.module().name()).toList()),
                round.parameters()));
      }
    };
  }

  /**
   * Trains a fixed choice of modules, or the encoder itself: the baselines that a search is
   * compared with, and again what one found.
   *
   * @param setup model, data, supernet, training, and where the run is kept
   * @param selection what is trained beside the head
   * @param progress follows the run, and may cancel it
   * @return what was trained, and how good it is
   * @throws IllegalArgumentException if a setting or a name is out of range; nothing is written
   *     then
   * @throws DataException if data are missing or wrong; with file and line
   * @throws org.prunepeft.io.AssetException if a model or data of a jar can't be had
   * @throws java.io.UncheckedIOException if a file of the model can't be read or is damaged
   * @throws RunDirectoryException if the run's directory has files already, can't be written, or
   *     can't be gone on with
   * @throws org.prunepeft.torch.HostMemoryException if this machine has too little memory
   * @throws org.prunepeft.torch.GpuMemoryException if the GPU has too little memory
   * @throws org.prunepeft.train.DivergedException if a loss, a gradient or a prediction is not
   *     finite
   * @throws org.prunepeft.search.NotFiniteException if AdaLoRA's importance of a singular value is
   *     not
   * @throws CancellationException if the listener cancels, or the thread is interrupted; the run
   *     directory says so
   */
  public static TrainOutcome train(Setup setup, ModuleChoice selection, ProgressListener progress) {
    return train(setup, selection, progress, null);
  }

  /**
   * The same on an encoder that is shared with other runs.
   *
   * @param setup model, data, supernet, training, and where the run is kept
   * @param selection what is trained beside the head; not full fine-tuning, which changes the
   *     encoder
   * @param progress follows the run, and may cancel it
   * @param shared what {@link SeedRuns#together} gives each run; null: it is alone
   * @return what was trained, and how good it is
   */
  public static TrainOutcome train(
      Setup setup, ModuleChoice selection, ProgressListener progress, SharedEncoder shared) {
    if (selection.trainsEncoder() && setup.precision() != Precision.FLOAT32) {
      throw new IllegalArgumentException(
          "full fine-tuning computes in float32, got precision " + setup.precision());
    }
    if (selection.trainsEncoder() && setup.quantization().isForced()) {
      throw new IllegalArgumentException(
          "full fine-tuning trains the weights themselves, which can't be done in %s; leave out --quantize, or train modules"
              .formatted(setup.quantization()));
    }
    if (selection.trainsEncoder() && shared != null) {
      throw new IllegalArgumentException(
          "full fine-tuning changes the encoder, which runs that are trained together share; leave"
              + " out --together");
    }
    return run(
        selection.trainsEncoder() ? setup.withQuantization(Quantization.NONE) : setup,
        progress,
        shared,
        (given, model) -> selection.sized(AllLinear.on(given, selection, model), model),
        space -> new Demand(selection.of(space, setup.seed()), selection.trainsEncoder(), false),
        (session, record) -> {
          List<Candidate> modules = selection.of(session.space, setup.seed());
          record.configuration(session, selection, modules);
          FinalTraining training = new FinalTraining(session, record.metrics());
          try (FinalTraining.Trained trained =
              selection.warmStart() == null
                  ? training.train(modules, selection.trainsEncoder())
                  : training.train(modules, selection.warmStart())) {
            record.complete(session, trained, selection);
            return trained.outcome();
          }
        });
  }

  /**
   * {@return whether a setup goes on with a run that is complete, so that nothing is left to do}
   * What the run was cut off in clearing away is removed.
   *
   * @param setup of one run, or of the directory above those of several seeds or budgets
   * @throws org.prunepeft.io.DamagedRunException if it is complete, and a file of it, or of one of
   *     several, is not what the run wrote, or is gone, or what is above several is not
   * @throws RunDirectoryException if one can't be read
   */
  public static boolean isOver(Setup setup) {
    boolean over =
        setup.checkpoints().resume()
            && setup.output() != null
            && RunStatus.of(setup.output()) == RunStatus.COMPLETE;
    if (over) {
      if (RunDirectories.isAbove(setup.output())) {
        Manifest.verifyAbove(setup.output(), Set.of(RunFiles.OPTIONS, RunFiles.SUMMARY));
      }
      RunDirectories.complete(setup.output())
          .forEach(run -> Manifest.verify(RunDirectory.look(run)));
      CheckpointDirectory.deleteLeft(setup.output());
    }
    return over;
  }

  /**
   * Names the files of a task that hold something else than when a run read those of the same
   * names. Files that one of the two lacks are passed over.
   *
   * @param run the directory of a complete run, or that above several, whose data are not compared
   * @param task as it is now
   * @return a line each, for the user; none if all is as it was
   * @throws DataException if a file can't be read
   * @throws RunDirectoryException if the directory is absent, incomplete or damaged
   */
  public static List<String> dataChanges(Path run, Task task) {
    if (Files.isDirectory(run) && RunDirectories.isAbove(run)) {
      RunDirectory.open(run);
      Manifest.verifyAbove(run, Set.of(RunFiles.OPTIONS));
      return List.of();
    }
    return RunData.changes(Manifest.open(run, Set.of(RunFiles.OPTIONS, RunFiles.CONFIG)), task);
  }
}
