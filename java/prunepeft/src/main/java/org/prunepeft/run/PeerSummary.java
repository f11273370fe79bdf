package org.prunepeft.run;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import org.prunepeft.search.peer.PeerResult;
import org.prunepeft.search.peer.PeerResult.ScoredModule;
import org.prunepeft.search.peer.PeerResult.Trial;

/** What a summary says of a search that PrunePEFT is compared with. */
final class PeerSummary {
  private PeerSummary() {}

  static List<String> of(PeerResult result) {
    List<String> lines = new ArrayList<>();
    PeerResult.TrainingEffort effort = result.effort();
    lines.add("## Search: %s".formatted(result.method()));
    lines.add("");
    lines.add(
        String.format(
            Locale.ROOT,
            "trainings: %d; epochs: %d, of %,d examples; budget: %,d parameters",
            effort.trainings(),
            effort.epochs(),
            effort.examples(),
            result.budget()));
    lines.add("");
    lines.add(String.format("| %-32s | %12s | %-4s |", "module", "score", "kept"));
    lines.add("| -------------------------------- | -----------: | ---- |");
    result.modules().stream()
        .sorted(Comparator.comparingDouble(ScoredModule::score).reversed())
        .forEach(
            each ->
                lines.add(
                    String.format(
                        Locale.ROOT,
                        "| %-32s | %12.4g | %-4s |",
                        each.module().name(),
                        each.score(),
                        each.kept() ? "yes" : "no")));
    if (!result.trials().isEmpty()) {
      lines.add("");
      lines.add("| trial | validation | modules |");
      lines.add("| ----: | ---------: | ------- |");
      for (Trial trial : result.trials()) {
        lines.add(
            String.format(
                Locale.ROOT,
                "| %5d | %10.4f | %s |",
                result.trials().indexOf(trial) + 1,
                trial.metric(),
                String.join(", ", trial.modules())));
      }
      result.trials().stream()
          .filter(trial -> trial.diverged() != null)
          .forEach(
              trial ->
                  lines.add(
                      String.format(
                          Locale.ROOT,
                          "\ntrial %d diverged, and counts as the head alone: %s",
                          result.trials().indexOf(trial) + 1,
                          trial.diverged())));
    }
    return lines;
  }
}
