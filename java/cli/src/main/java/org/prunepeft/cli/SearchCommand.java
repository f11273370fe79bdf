package org.prunepeft.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.prunepeft.AdapterExport;
import org.prunepeft.PrunePeft;
import org.prunepeft.kernels.DType;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.Criteria;
import org.prunepeft.search.Criterion;
import org.prunepeft.search.Partitioning;
import org.prunepeft.search.PruningSettings;
import org.prunepeft.search.Strategy;
import org.prunepeft.search.WarmUpSettings;
import org.prunepeft.settings.Budget;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.PeerSettings;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.SearchSettingsBuilder;
import org.prunepeft.settings.Setup;
import org.prunepeft.settings.StrategyFile;
import org.prunepeft.text.Spelling;
import org.prunepeft.train.CriterionSettings;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "search",
    mixinStandardHelpOptions = true,
    abbreviateSynopsis = true,
    sortOptions = false,
    description = {
      "Searches which modules to train, then trains them.",
      "",
      "Every layer of the encoder gets a LoRA module and a serial adapter: the supernet. A warm-up on a few examples finds which"
          + " criteria suit which part of it. Then, round by round, the supernet trains on some more examples, its modules are scored"
          + " and the worst go, until the budget is met. What is left is trained from new weights on all examples.",
      "",
      "Everything is kept in the run directory; summary.md in it is what is printed at the end."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft search                          half of the supernet's parameters, MiniLM, WordNet",
      "  prunepeft search --keep 0.25 --seed 1     a quarter of them",
      "  prunepeft search --keep 0.5,0.25,0.125    one search through three budgets, a training for each",
      "  prunepeft search --seeds 0,1,2            three searches, with mean and standard deviation",
      "  prunepeft search --strategy authors       no warm-up: the authors' fixed strategy",
      "  prunepeft search --strategy runs/earlier  the strategy that an earlier run found"
    })
final class SearchCommand implements Callable<Integer> {
  private static final String STRATEGY = "--strategy";

  @Spec private CommandSpec spec;
  @Mixin private SetupOptions options;

  @Option(
      names = "--export-to",
      paramLabel = "FORMAT",
      description =
          "What the result shall be exported to: peft, adapters, gguf, onnx or merge. Modules that it cannot hold are refused before the search (default: nothing is checked).")
  private String exportTo;

  /** What the first of several searches begins with; null: the whole supernet. */
  private String begun;

  @ArgGroup(validate = false, heading = "%nBudget:%n")
  private BudgetOptions budget = new BudgetOptions();

  @ArgGroup(validate = false, heading = "%nSearch:%n")
  private Search search = new Search();

  @ArgGroup(validate = false, heading = "%nSearch with --strategy measured:%n")
  private MeasuringOptions measuring = new MeasuringOptions();

  @ArgGroup(
      validate = false,
      heading = "%nSearch with --strategy gates, first-order or bayesian:%n")
  private PeerOptions peer = new PeerOptions();

  @OptionsOf({SearchSettings.class, WarmUpSettings.class, CriterionSettings.class})
  static final class Search {
    private static final String MEASURED = "measured";
    private static final String WARM_UP = "warm-up";
    private static final String TURNS = "--warm-up-turns";
    private static final String CRITERIA = "--warm-up-criteria";
    private static final String EXAMPLES = "--warm-up-examples";
    private static final String EPOCHS = "--warm-up-epochs";
    private static final String PARTITIONING = "--partitioning";
    private static final String ZERO_TYPE = "--zero-dtype";
    private static final String THRESHOLD = "--threshold";

    @Option(
        names = STRATEGY,
        defaultValue = WARM_UP,
        paramLabel = "S",
        description =
            "Which criteria score which part of the supernet: warm-up (finds them on a few examples), authors (the paper's fixed strategy), all (six criteria everywhere), one criterion's name, or the run directory or strategy file of an earlier search; or measured: measures subsets of modules instead of pruning by criteria; or, to compare with, gates (a trained gate on each module), first-order (one score a module, one cut) or bayesian (trains subsets for real) (default: ${DEFAULT-VALUE}).")
    String strategyName;

    @Option(
        names = "--modules",
        paramLabel = "WHICH",
        description =
            "Modules that the search begins with: names, or the directory of an earlier run, whose modules they are then (default: the whole supernet).")
    String modules;

    @Option(
        names = "--rounds",
        paramLabel = "N",
        description =
            "Pruning rounds: each trains the supernet and removes modules (default: ${DEFAULT-VALUE}).")
    int rounds;

    @Option(
        names = "--round-examples",
        paramLabel = "N",
        description = "Training examples per pruning round (default: ${DEFAULT-VALUE}).")
    int roundExamples;

    @Option(
        names = "--round-epochs",
        paramLabel = "N",
        description = "Training epochs per pruning round (default: ${DEFAULT-VALUE}).")
    int roundEpochs;

    @Option(
        names = TURNS,
        paramLabel = "N",
        description =
            "Pruning rounds that each criterion makes by itself in the search's warm-up (default: ${DEFAULT-VALUE}).")
    int turns;

    @Option(
        names = CRITERIA,
        split = ",",
        paramLabel = "NAME",
        description =
            "Criteria that the search's warm-up chooses from; others are zeros and sensitivity-signed (default: ${DEFAULT-VALUE}).")
    List<String> warmUpCriteria;

    @Option(
        names = EXAMPLES,
        paramLabel = "N",
        description = "Training examples of the search's warm-up (default: ${DEFAULT-VALUE}).")
    int warmUpExamples;

    @Option(
        names = EPOCHS,
        paramLabel = "N",
        description =
            "Training epochs per pruning round of the search's warm-up (default: ${DEFAULT-VALUE}).")
    int warmUpEpochs;

    @Option(
        names = PARTITIONING,
        paramLabel = "P",
        description =
            "How layers are grouped into four blocks, each of which has its own criteria: spindle (cut at 1/6, 1/2 and 5/6 of the depth) or quantile (at 20, 50 and 80 %%) (default: ${DEFAULT-VALUE}).")
    String partitioning;

    @Option(
        names = "--selection",
        paramLabel = "S",
        description =
            "Over which modules the pruning probability is normalised: hybrid (all of a type) or reference (those of a partition, as in the authors' code) (default: ${DEFAULT-VALUE}).")
    PruningSettings.Selection selection;

    @Option(
        names = "--weights",
        paramLabel = "W",
        description =
            "How the criteria of a partition are weighted: alike (equally) or reliability (by how well a criterion's rankings from two halves of the batches agree) (default: ${DEFAULT-VALUE}).")
    PruningSettings.Weighting weights;

    @Option(
        names = "--keep-weights",
        arity = "0..1",
        fallbackValue = "true",
        defaultValue = "false",
        paramLabel = "true|false",
        description =
            "Start each pruning round from the trained weights instead of re-initialised modules.")
    boolean keepWeights;

    @Option(
        names = ZERO_TYPE,
        paramLabel = "T",
        description =
            "Criterion zeros: data type to which a weight is rounded before it counts as zero (default: ${DEFAULT-VALUE}).")
    DType zeroType;

    @Option(
        names = THRESHOLD,
        paramLabel = "T",
        description =
            "Criterion threshold: fixed threshold of |w| (default: the "
                + CriterionSettings.DEFAULT_QUANTILE
                + " quantile of |w|).")
    Double fixedThreshold;

    SearchSettings settings(
        Budget within, ModuleChoice start, MeasuringOptions measuring, PeerOptions peer) {
      Partitioning cut = Partitioning.byName(partitioning);
      SearchSettingsBuilder settings =
          RecordOptions.fill(SearchSettings.builder(), this)
              .start(start)
              .strategy(strategy(cut))
              .warmUp(RecordOptions.fill(WarmUpSettings.builder(), this).build())
              .reinitialise(!keepWeights)
              .criteria(RecordOptions.fill(CriterionSettings.builder(), this).build())
              .measured(strategyName.equals(MEASURED) ? measuring.settings() : null)
              .peer(peer.settings(strategyName));
      within.parameters().ifPresentOrElse(settings::budget, () -> settings.keep(within.share()));
      return settings.build();
    }

    /**
     * Goes on from what an earlier run kept.
     *
     * @param found a run whose strategy stands in for another warm-up
     * @param run whose modules exceed the budget; null: there is none
     * @param first what the first search began with, which is gone back to then
     */
    void goOn(Path found, Path run, String first) {
      if (!prunes()) {
        return;
      }
      modules = run == null ? first : run.toAbsolutePath().toString();
      strategyName =
          strategyName.equals(WARM_UP) ? found.toAbsolutePath().toString() : strategyName;
    }

    boolean prunes() {
      return !strategyName.equals(MEASURED) && !PeerSettings.Method.names().contains(strategyName);
    }

    /** Whether the strategy is a run's or a file's, which says how layers are grouped. */
    boolean isOfFile() {
      return !strategyNames().contains(strategyName) && Files.exists(Path.of(strategyName));
    }

    /** Whether the strategy is not to be found by a warm-up. */
    boolean isGiven() {
      return !strategyName.equals(WARM_UP)
          && (isOfFile() || strategyNames().contains(strategyName));
    }

    /** Whether a criterion can't be one of those that judge; a file says itself which do. */
    boolean isWithout(Criterion criterion) {
      String name = criterion.name();
      return strategyName.equals(WARM_UP)
          ? !warmUpCriteria.contains(name)
          : Criteria.names().contains(strategyName) && !strategyName.equals(name);
    }

    private Strategy strategy(Partitioning cut) {
      if (strategyName.equals(WARM_UP) || !prunes()) {
        return null;
      }
      if (Strategy.names().contains(strategyName)) {
        return Strategy.byName(strategyName).withPartitioning(cut);
      }
      Path path = Path.of(strategyName).toAbsolutePath();
      if (!Files.exists(path)) {
        throw new IllegalArgumentException(
            Spelling.unknown("strategy", strategyName, strategyNames())
                + ", or the path of a run or of a strategy file");
      }
      strategyName = path.toString();
      return StrategyFile.read(path);
    }
  }

  /** {@return the names that --strategy knows} */
  static List<String> strategyNames() {
    return Stream.of(
            List.of(Search.WARM_UP),
            Strategy.names(),
            List.of(Search.MEASURED),
            PeerSettings.Method.names())
        .flatMap(List::stream)
        .toList();
  }

  /** Options that say nothing in the way of searching that was chosen; in a file they may stand. */
  private void refuseIdleOptions() {
    IdleOptions idle = new IdleOptions(spec);
    String name = search.strategyName;
    String beside = IdleOptions.beside(STRATEGY + " " + name);
    List<String> own = idle.of(Search.class).stream().filter(one -> !one.equals(STRATEGY)).toList();
    idle.refuse(!search.prunes(), beside, own);
    idle.refuse(
        !name.equals(Search.MEASURED),
        "%s is for --strategy measured; add that, or leave it out",
        idle.of(MeasuringOptions.class));
    measuring.refuseIdle(idle);
    List<String> peers = PeerSettings.Method.names();
    if (peers.contains(name)) {
      PeerOptions.refuseIdle(name, idle);
    } else {
      idle.refuse(
          true,
          "%s is for --strategy "
              + String.join(", ", peers)
              + "; add one of these, or leave it out",
          idle.of(PeerOptions.class));
    }
    idle.refuse(
        search.isGiven(),
        beside,
        List.of(Search.TURNS, Search.CRITERIA, Search.EXAMPLES, Search.EPOCHS));
    idle.refuse(search.isOfFile(), beside, List.of(Search.PARTITIONING));
    new TreeMap<>(Map.of(Search.ZERO_TYPE, Criteria.ZEROS, Search.THRESHOLD, Criteria.THRESHOLD))
        .forEach(
            (option, criterion) ->
                idle.refuse(
                    search.isWithout(criterion),
                    "%s is for the criterion "
                        + criterion.name()
                        + ", which does not judge here; add it to "
                        + Search.CRITERIA
                        + ", or leave the option out",
                    List.of(option)));
    idle.refuse(
        true,
        "%s is for train --modules full; a search trains modules alone, so leave it out",
        List.of(TrainingOptions.ENCODER_RATE));
  }

  @Override
  public Integer call() {
    refuseIdleOptions();
    List<Budget> budgets = budget.settle(spec);
    ModuleChoice start = start(run -> options.takeModules(run, spec));
    if (budgets.size() == 1) {
      runs(budgets.get(0), start).start();
    } else {
      begun = search.modules;
      Sweep.start(
          spec,
          options,
          () -> search.settings(budgets.get(0), start, measuring, peer),
          budgets,
          this::next);
    }
    return 0;
  }

  /** One of several, on from one of a larger budget. */
  private TrainOutcome next(Setup own, Budget one, Path larger, Path exceeding) {
    budget.take(one);
    if (larger != null) {
      search.goOn(larger, exceeding, begun);
      measuring.goOn(larger);
    }
    return runs(one, start(options::continueWith)).once(own).retrained();
  }

  private Runs<SearchOutcome> runs(Budget within, ModuleChoice start) {
    SearchSettings settings = search.settings(within, start, measuring, peer);
    return new Runs<>(
        spec,
        options,
        settings,
        (setup, progress, shared) -> {
          if (exportTo != null) {
            AdapterExport.require(exportTo, setup);
          }
          return PrunePeft.search(setup, settings, progress, shared);
        },
        SearchOutcome::retrained,
        ResultLines::print);
  }

  /**
   * Null: with all modules.
   *
   * @param take takes those of an earlier run
   */
  private ModuleChoice start(Consumer<Path> take) {
    if (search.modules == null) {
      return null;
    }
    Path run = Path.of(search.modules).toAbsolutePath();
    if (!Files.isDirectory(run)) {
      List<String> names = List.of(search.modules.split("\\s*,\\s*"));
      search.modules = String.join(ModuleOptions.BETWEEN, names);
      return ModuleChoice.modules(names);
    }
    search.modules = run.toString();
    take.accept(run);
    return ModuleChoice.ofRun(run);
  }
}
