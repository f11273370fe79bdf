package org.prunepeft.run;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;
import org.prunepeft.search.peer.PeerResult;
import org.prunepeft.search.peer.PeerResult.ScoredModule;
import org.prunepeft.search.peer.PeerResult.Trial;
import org.prunepeft.text.Markdown;

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
    table(
        lines,
        List.of("module", "score", "kept"),
        result.modules().stream()
            .sorted(Comparator.comparingDouble(ScoredModule::score).reversed())
            .map(
                each ->
                    List.of(
                        each.module().name(),
                        String.format(Locale.ROOT, "%.4g", each.score()),
                        each.kept() ? "yes" : "no"))
            .toList(),
        i -> i == 1);
    if (!result.trials().isEmpty()) {
      lines.add("");
      List<List<String>> rows = new ArrayList<>();
      for (Trial trial : result.trials()) {
        rows.add(
            List.of(
                "" + (rows.size() + 1),
                String.format(Locale.ROOT, "%.4f", trial.metric()),
                String.join(", ", trial.modules())));
      }
      table(lines, List.of("trial", "validation", "modules"), rows, i -> i < 2);
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

  private static void table(
      List<String> lines, List<String> heads, List<List<String>> rows, IntPredicate right) {
    Markdown.table(heads, rows, right).lines().forEach(lines::add);
  }
}
