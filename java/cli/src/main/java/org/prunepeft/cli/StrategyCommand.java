package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.prunepeft.search.Blocks;
import org.prunepeft.search.Partition;
import org.prunepeft.search.Strategy;
import org.prunepeft.settings.StrategyFile;
import org.prunepeft.text.Markdown;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
    name = "strategy",
    mixinStandardHelpOptions = true,
    description = {
      "Shows which criteria judge which part of a supernet, and carries it over to another model.",
      "",
      "For another task on a model of as many layers nothing is to be done: search --strategy RUN."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft strategy show runs/earlier",
      "  prunepeft strategy show authors",
      "  prunepeft strategy transfer runs/earlier --layers 4 -o small.json",
      "  prunepeft search --strategy small.json"
    })
final class StrategyCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "name one of: show, transfer");
  }

  /** A strategy, and how many layers the model had that it comes from. */
  private record Found(Strategy strategy, Integer layers) {
    static Found of(String name) {
      if (Strategy.names().contains(name)) {
        return new Found(Strategy.byName(name), null);
      }
      Path path = Path.of(name);
      if (!Files.exists(path)) {
        throw new IllegalArgumentException(
            "'%s' is neither a run's directory nor a strategy's file, nor one of %s"
                .formatted(name, String.join(", ", Strategy.names())));
      }
      Strategy strategy = StrategyFile.read(path);
      if (strategy.warmUp().isPresent()) {
        return new Found(strategy, strategy.warmUp().get().layers());
      }
      return new Found(strategy, Files.isDirectory(path) ? StrategyFile.layers(path) : null);
    }
  }

  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Shows a strategy: the criteria of each partition, and what the warm-up saw.")
  int show(
      @Parameters(
              paramLabel = "WHICH",
              description = "A run's directory, a strategy's file, or a name such as authors.")
          String which,
      @Mixin PluginOptions plugins) {
    Found found = Found.of(which);
    Strategy strategy = found.strategy;
    Blocks blocks = found.layers == null ? null : strategy.partitioning().blocks(found.layers);
    System.out.printf(
        "%s: %s, %s blocks%s%n%n",
        which,
        strategy.origin(),
        strategy.partitioning(),
        blocks == null ? "" : " of " + found.layers + " layers");
    if (strategy.assignment().isEmpty()) {
      System.out.println("everywhere: " + String.join(", ", strategy.criteria()));
      return 0;
    }
    List<List<String>> rows = new ArrayList<>();
    strategy
        .assignment()
        .forEach(
            (partition, criteria) ->
                rows.add(
                    List.of(
                        partition.toString(),
                        layers(blocks, partition),
                        String.join(", ", criteria))));
    System.out.print(Markdown.table(List.of("partition", "layers", "criteria"), rows, i -> false));
    strategy.warmUp().ifPresent(warmUp -> tallies(warmUp.tallies()));
    return 0;
  }

  private static String layers(Blocks blocks, Partition partition) {
    if (blocks == null || partition.block() > blocks.count()) {
      return "";
    }
    int end = blocks.ends().get(partition.block() - 1) - 1;
    int start = end + 1 - blocks.sizes().get(partition.block() - 1);
    return start == end ? "" + start : start + "-" + end;
  }

  private static void tallies(Map<String, Map<Partition, Integer>> tallies) {
    List<Partition> partitions =
        new ArrayList<>(
            tallies.values().stream()
                .flatMap(tally -> tally.keySet().stream())
                .collect(Collectors.toCollection(TreeSet::new)));
    System.out.printf("%nModules that each criterion removed in the warm-up%n%n");
    List<String> heads = new ArrayList<>(List.of("criterion"));
    partitions.forEach(partition -> heads.add(partition.toString()));
    List<List<String>> rows = new ArrayList<>();
    tallies.forEach(
        (criterion, tally) -> {
          List<String> row = new ArrayList<>(List.of(criterion));
          partitions.forEach(partition -> row.add("" + tally.getOrDefault(partition, 0)));
          rows.add(row);
        });
    System.out.print(Markdown.table(heads, rows, i -> i > 0));
  }

  @Command(
      name = "transfer",
      mixinStandardHelpOptions = true,
      description = {
        "Writes a strategy for a model of another depth.",
        "",
        "Models of more than four layers have four blocks, and each block keeps its criteria. With fewer"
            + " layers each is a block: it gets the criteria of the block in which its middle lies, in"
            + " shares of the depth. What the warm-up saw is left out, since it holds for its own model."
      })
  int transfer(
      @Parameters(
              paramLabel = "WHICH",
              description = "A run's directory, a strategy's file, or a name such as authors.")
          String which,
      @Option(
              names = "--layers",
              required = true,
              paramLabel = "N",
              description = "Layers of the model to write the strategy for.")
          int layers,
      @Option(
              names = "--from-layers",
              paramLabel = "N",
              description =
                  "Layers of the model that the strategy comes from (default: those of the run; "
                      + Strategy.PAPER_LAYERS
                      + " where it comes from none, as in the paper).")
          Integer fromLayers,
      @Option(
              names = {"-o", "--output"},
              paramLabel = "FILE",
              description =
                  "Where to write it; replaced if it is there; - is the standard output (default: -).")
          Path output,
      @Mixin PluginOptions plugins)
      throws IOException {
    Found found = Found.of(which);
    if (!Strategy.names().contains(which)) {
      Outputs.requireNoneOf(output, Path.of(which));
      Outputs.requireOther(output, Path.of(which));
    }
    int from =
        fromLayers != null
            ? fromLayers
            : found.layers == null ? Strategy.PAPER_LAYERS : found.layers;
    Strategy transferred = found.strategy.transfer(from, layers);
    Outputs.writeResult(
        output,
        writer -> {
          writer.write(StrategyFile.format(transferred));
          return "a strategy for %d layers, from %d".formatted(layers, from);
        });
    return 0;
  }
}
