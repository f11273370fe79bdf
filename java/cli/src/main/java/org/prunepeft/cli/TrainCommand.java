package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.prunepeft.PrunePeft;
import org.prunepeft.Selection;
import org.prunepeft.Setup;
import org.prunepeft.TrainOutcome;
import org.prunepeft.io.RunDirectory;
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
      "Trains a fixed choice of modules: what a search is to be compared with, or the configuration of an earlier one."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft train --modules supernet             all of them",
      "  prunepeft train --modules random --keep 0.5    random ones, half of the parameters",
      "  prunepeft train --modules runs/earlier         the configuration that an earlier search found"
    })
final class TrainCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private SetupOptions options;

  @Option(
      names = "--modules",
      defaultValue = "supernet",
      paramLabel = "WHICH",
      description =
          "head (none), supernet (all), random, depth (last layers first), or a run's directory (default: ${DEFAULT-VALUE}).")
  private String modules;

  @Option(
      names = "--keep",
      defaultValue = "0.5",
      paramLabel = "SHARE",
      description =
          "Share of the supernet's parameters, for random and depth (default: ${DEFAULT-VALUE}).")
  private double keep;

  @Override
  public Integer call() {
    Setup setup = options.setup();
    Selection selection = selection();
    try (ProgressDisplay display = ProgressDisplay.create(SetupOptions.yaml(spec))) {
      List<String> names =
          selection == Selection.CONFIGURATION ? configuration(Path.of(modules)) : List.of();
      TrainOutcome outcome = PrunePeft.train(setup, selection, keep, names, display);
      display.close();
      Report.print(setup, outcome);
    }
    return 0;
  }

  private Selection selection() {
    for (Selection selection : Selection.values()) {
      if (selection.name().equalsIgnoreCase(modules) && selection != Selection.CONFIGURATION) {
        return selection;
      }
    }
    if (!java.nio.file.Files.isDirectory(Path.of(modules))) {
      throw new IllegalArgumentException(
          "--modules must be head, supernet, random, depth or a run's directory, got '"
              + modules
              + "'");
    }
    modules = Path.of(modules).toAbsolutePath().toString();
    return Selection.CONFIGURATION;
  }

  private static List<String> configuration(Path run) {
    Object listed = RunDirectory.open(run).readJson("configuration.json").get("modules");
    if (listed instanceof List<?> list) {
      return list.stream().map(module -> String.valueOf(((Map<?, ?>) module).get("name"))).toList();
    }
    throw new IllegalArgumentException(run + " has no list of modules in configuration.json");
  }
}
