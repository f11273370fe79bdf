package org.prunepeft.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import org.prunepeft.PrunePeft;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.report.RunStatus;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.DepthOrder.Layers;
import org.prunepeft.settings.Budget;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.Setup;
import org.prunepeft.text.Spelling;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    abbreviateSynopsis = true,
    sortOptions = false,
    description = {
      "Trains a fixed choice of modules, or the whole encoder: what a search is to be compared with, or the configuration of an earlier one."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft train --modules supernet             all of them",
      "  prunepeft train --modules lora                 all LoRA modules, no adapters",
      "  prunepeft train --modules full                 no modules: the encoder's own weights",
      "  prunepeft train --modules random --keep 0.5    random ones, half of the parameters",
      "  prunepeft train --modules all-linear --keep 0.5    LoRA everywhere with as many parameters",
      "  prunepeft train --modules runs/earlier         the configuration that an earlier search found",
      "  prunepeft train --modules runs/earlier --select 3    another one, row 3 of its summary",
      "  prunepeft train --modules runs/earlier --select 3 --warm-start    that, from its trained weights"
    })
final class TrainCommand implements Callable<Integer> {
  private static final String RANDOM = "random";

  static final List<String> CHOICES =
      List.of(
          "head",
          Candidate.LORA,
          Candidate.ADAPTER,
          "supernet",
          "both",
          "full",
          "all-linear",
          RANDOM,
          "first-layers",
          "middle-layers",
          "last-layers",
          "depth");

  /** Those that go by a budget. */
  private static final List<String> BUDGETED =
      List.of("all-linear", RANDOM, "first-layers", "middle-layers", "last-layers", "depth");

  private static final String SELECT = "--select";
  private static final String WARM_START = "--warm-start";
  private static final String MAP_LAYERS = "--map-layers";
  static final String DRAW = "--draw";

  @Spec private CommandSpec spec;
  @Mixin private SetupOptions options;

  @Option(
      names = "--modules",
      defaultValue = "supernet",
      paramLabel = "WHICH",
      description =
          "head (none), lora, adapter, supernet or both (all), full (the encoder's own weights, without the dropout that its config.json may name), all-linear (LoRA on all linear layers instead of the supernet, of the rank that the budget allows), random, first-layers, middle-layers, last-layers (or depth), modules by name (encoder.layer.0.lora,encoder.layer.5.adapter), or a run's directory, whose modules are as that run had them (default: ${DEFAULT-VALUE}).")
  private String modules;

  @Option(
      names = SELECT,
      paramLabel = "ROW",
      description =
          "Row of the front of configurations that the measured search named by --modules found, from 1, as its summary.md numbers them (default: the one it chose).")
  private Integer row;

  @Option(
      names = WARM_START,
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "true|false",
      description =
          "Start from the weights that the modules have in the supernet of the measured search named by --modules, and train for half of --epochs, as that search does; model, modules, data, sizes and seed have to be the same.")
  private boolean warmStart;

  @Option(
      names = MAP_LAYERS,
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "true|false",
      description =
          "Put the modules of --modules RUN at the same share of the depth where the model is of another depth than that run's, instead of refusing it.")
  private boolean mapLayers;

  @Option(
      names = DRAW,
      defaultValue = "0",
      paramLabel = "N",
      description =
          "Which of several random choices of the seed, with --modules random (default: ${DEFAULT-VALUE}).")
  private int draw;

  @ArgGroup(
      validate = false,
      heading = "%nBudget, for all-linear, random modules and those of some layers:%n")
  private BudgetOptions budget = new BudgetOptions();

  @Override
  public Integer call() {
    boolean ofRun = Files.isDirectory(Path.of(modules));
    IdleOptions idle = new IdleOptions(spec);
    String here = ", but --modules is " + modules + "; leave %s out";
    idle.refuse(
        !ofRun,
        "%s is for --modules RUN, the directory of an earlier run" + here,
        List.of(SELECT, WARM_START, MAP_LAYERS));
    row = ofRun ? row : null;
    warmStart &= ofRun;
    idle.refuse(warmStart && mapLayers, IdleOptions.beside(WARM_START), List.of(MAP_LAYERS));
    if (!isRandom(modules)) {
      idle.refuse(draw != 0, "%s is for --modules random" + here, List.of(DRAW));
      draw = 0;
    }
    if (!goesByBudget(modules)) {
      Runs<TrainOutcome> run = runs(selection(null));
      budget.refuse(spec, modules);
      run.start();
      return 0;
    }
    List<Budget> budgets = budget.settle(spec);
    if (budgets.size() == 1) {
      runs(selection(budgets.get(0))).start();
    } else {
      Sweep.start(spec, options, () -> selection(budgets.get(0)), budgets, this::next);
    }
    return 0;
  }

  /** Whether a choice of modules is one that takes a budget. */
  static boolean goesByBudget(String modules) {
    return BUDGETED.contains(modules.toLowerCase(Locale.ROOT));
  }

  /** Whether a choice of modules is another for each draw. */
  static boolean isRandom(String modules) {
    return RANDOM.equals(modules.toLowerCase(Locale.ROOT));
  }

  /** One of several. */
  private TrainOutcome next(Setup own, Budget one, Path larger, Path exceeding) {
    budget.take(one);
    return runs(selection(one)).once(own);
  }

  private Runs<TrainOutcome> runs(ModuleChoice selection) {
    new IdleOptions(spec)
        .refuse(
            !selection.trainsEncoder(),
            "%s is for --modules full, but --modules is " + modules + "; leave one of the two out",
            List.of(TrainingOptions.ENCODER_RATE));
    return new Runs<>(
        spec,
        options,
        selection,
        (setup, progress, shared) -> PrunePeft.train(setup, selection, progress, shared),
        outcome -> outcome,
        ResultLines::print);
  }

  /**
   * @param within null: for a selection without a budget
   */
  private ModuleChoice selection(Budget within) {
    String name = modules.toLowerCase(Locale.ROOT);
    return switch (name) {
      case "head" -> ModuleChoice.head();
      case "supernet", "both" -> ModuleChoice.supernet();
      case Candidate.LORA, Candidate.ADAPTER -> ModuleChoice.type(name);
      case "full" -> ModuleChoice.full();
      case "all-linear" -> ModuleChoice.allLinear(within);
      case RANDOM -> ModuleChoice.random(within, draw);
      case "first-layers" -> ModuleChoice.layers(Layers.FIRST, within);
      case "middle-layers" -> ModuleChoice.layers(Layers.MIDDLE, within);
      case "last-layers", "depth" -> ModuleChoice.layers(Layers.LAST, within);
      default -> configuration();
    };
  }

  /** Named modules, or what an earlier run trained. */
  private ModuleChoice configuration() {
    Path run = Path.of(modules).toAbsolutePath();
    if (!Files.isDirectory(run)) {
      if (options.hasType(modules)) {
        return ModuleChoice.type(modules);
      }
      List<String> names = List.of(modules.split("\\s*,\\s*"));
      if (names.stream().allMatch(name -> name.startsWith(ModuleType.LAYER))) {
        modules = String.join(ModuleOptions.BETWEEN, names);
        return ModuleChoice.modules(names);
      }
      throw new IllegalArgumentException(
          Spelling.unknown("choice of --modules", modules, CHOICES)
              + ", names of modules, or a run's directory");
    }
    if (RunStatus.of(run) == RunStatus.CHOSEN) {
      System.err.println(
          run + " is not complete; the choice of modules that it had made is trained here");
    }
    modules = run.toString();
    options.takeModules(run, spec);
    if (warmStart) {
      return ModuleChoice.ofSupernet(run, row == null ? OptionalInt.empty() : OptionalInt.of(row));
    }
    ModuleChoice choice = row == null ? ModuleChoice.ofRun(run) : ModuleChoice.ofFront(run, row);
    return mapLayers && !choice.trainsEncoder() ? choice.mapped() : choice;
  }
}
