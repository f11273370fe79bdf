package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.prunepeft.RunContents;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.MeasuredFile;
import org.prunepeft.report.MeasuredQuantity;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.Verdict;
import org.prunepeft.search.peer.PeerResult.ScoredModule;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

@Command(
    name = "explain",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Says why a module went or stayed: what each criterion said of it in each round, who judged, how near it was to the cut, and what would have had to differ.",
      "",
      "Of a measured search: what it is worth, and the subsets with and without it. Of the other ways to search: its score and the cut."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft explain runs/earlier 3.lora",
      "  prunepeft explain runs/earlier encoder.layer.0.adapter"
    })
final class ExplainCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "RUN", description = "Directory of a search.")
  private Path directory;

  @Parameters(
      index = "1",
      paramLabel = "MODULE",
      description = "Its name, or layer and kind: 3.lora, 3.lora.query, 3.lora.slice-0.")
  private String module;

  @Mixin private PluginOptions plugins;

  @Override
  public Integer call() {
    RunContents run = RunContents.of(directory);
    if (run.rounds().isEmpty() && run.measured().isEmpty() && run.peer().isEmpty()) {
      throw new RunDirectoryException(
          "%s has no search that chose modules (it is %s%s); explain needs one"
              .formatted(
                  directory,
                  run.info().state(),
                  run.notes().isEmpty() ? "" : ": " + String.join("; ", run.notes())));
    }
    System.out.print(text(run));
    return 0;
  }

  private String text(RunContents run) {
    if (run.measured().isPresent()) {
      MeasuredFile file = run.measured().get();
      return new MeasuredExplanation(
              file,
              run.schema().map(MeasuredQuantity::of).orElse(null),
              find(file.values().stream().map(MeasuredFile.Value::module).toList()))
          .text();
    }
    if (run.peer().isPresent()) {
      return new PeerExplanation(
              run.peer().get(),
              find(names(run.peer().get().modules().stream().map(ScoredModule::module))))
          .text();
    }
    return new PruningExplanation(
            run, find(names(run.rounds().get(0).verdicts().stream().map(Verdict::module))))
        .text();
  }

  private static List<String> names(Stream<Candidate> modules) {
    return modules.map(Candidate::name).toList();
  }

  private String find(List<String> known) {
    return ModuleName.find(module, known).name();
  }
}
