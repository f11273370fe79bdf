package org.prunepeft.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.prunepeft.PrunePeft;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.report.RunStatus;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.DepthOrder.Layers;
import org.prunepeft.settings.ModuleChoice;
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
      "  prunepeft train --modules runs/earlier         the configuration that an earlier search found",
      "  prunepeft train --modules runs/earlier --select 3    another that it measured, row 3 of its summary"
    })
final class TrainCommand implements Callable<Integer> {
  private static final List<String> CHOICES =
      List.of(
          "head",
          Candidate.LORA,
          Candidate.ADAPTER,
          "supernet",
          "both",
          "full",
          "random",
          "first-layers",
          "middle-layers",
          "last-layers",
          "depth");

  private static final String SELECT = "--select";

  @Spec private CommandSpec spec;
  @Mixin private SetupOptions options;

  @Option(
      names = "--modules",
      defaultValue = "supernet",
      paramLabel = "WHICH",
      description =
          "head (none), lora, adapter, supernet or both (all), full (the encoder's own weights), random, first-layers, middle-layers, last-layers (or depth), modules by name (encoder.layer.0.lora,encoder.layer.5.adapter), or a run's directory, whose modules are as that run had them (default: ${DEFAULT-VALUE}).")
  private String modules;

  @Option(
      names = SELECT,
      paramLabel = "ROW",
      description =
          "Row of the front of configurations that the measured search named by --modules found, from 1, as its summary.md numbers them (default: the one it chose).")
  private Integer row;

  @ArgGroup(validate = false, heading = "%nBudget, for random modules and those of some layers:%n")
  private BudgetOptions budget = new BudgetOptions();

  @Override
  public Integer call() {
    boolean ofRun = Files.isDirectory(Path.of(modules));
    if (!ofRun && ConfigFile.isTyped(SELECT, spec)) {
      throw new IllegalArgumentException(
          "%s is for --modules RUN, the directory of a measured search, but --modules is %s; leave %s out"
              .formatted(SELECT, modules, SELECT));
    }
    row = ofRun ? row : null;
    ModuleChoice selection = selection();
    if (selection.budget() == null) {
      budget.refuse(spec, modules);
    }
    new Runs<TrainOutcome>(
            spec,
            options,
            (setup, progress, shared) -> PrunePeft.train(setup, selection, progress, shared),
            outcome -> outcome,
            Report::print)
        .start();
    return 0;
  }

  private ModuleChoice selection() {
    String name = modules.toLowerCase(Locale.ROOT);
    return switch (name) {
      case "head" -> ModuleChoice.head();
      case "supernet", "both" -> ModuleChoice.supernet();
      case Candidate.LORA, Candidate.ADAPTER -> ModuleChoice.type(name);
      case "full" -> ModuleChoice.full();
      case "random" -> ModuleChoice.random(budget.settle(spec));
      case "first-layers" -> ModuleChoice.layers(Layers.FIRST, budget.settle(spec));
      case "middle-layers" -> ModuleChoice.layers(Layers.MIDDLE, budget.settle(spec));
      case "last-layers", "depth" -> ModuleChoice.layers(Layers.LAST, budget.settle(spec));
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
    return row == null ? ModuleChoice.ofRun(run) : ModuleChoice.ofFront(run, row);
  }
}
