package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.prunepeft.RunContents;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.MeasuredFile;
import org.prunepeft.search.Verdict;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "explain",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Says why a module went or stayed: what each criterion said of it in each round, who judged, how near it was to the cut, and what would have had to differ.",
      "",
      "Of a measured search: what it is worth, and the subsets with and without it."
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
      description = "Its name, or layer and kind: 3.lora, 3.query.lora.")
  private String module;

  @Override
  public Integer call() {
    RunContents run = RunContents.of(directory);
    if (run.rounds().isEmpty() && run.measured().isEmpty()) {
      throw new RunDirectoryException(
          "%s has no search that chose modules (it is %s%s); explain needs one"
              .formatted(
                  directory,
                  run.info().state(),
                  run.notes().isEmpty() ? "" : ": " + String.join("; ", run.notes())));
    }
    List<String> known =
        run.measured().isPresent()
            ? run.measured().get().values().stream().map(MeasuredFile.Value::module).toList()
            : run.rounds().get(0).verdicts().stream()
                .map(Verdict::module)
                .map(c -> c.name())
                .toList();
    String name = ModuleName.find(module, known).name();
    System.out.print(
        run.measured().isPresent()
            ? new MeasuredExplanation(run.measured().get(), name).text()
            : new PruningExplanation(run, name).text());
    return 0;
  }
}
