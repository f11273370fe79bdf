package org.prunepeft.cli;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import org.prunepeft.search.peer.BayesianSearch;
import org.prunepeft.search.peer.FirstOrderSearch;
import org.prunepeft.search.peer.GateSearch;
import org.prunepeft.search.peer.PeerResult;
import org.prunepeft.search.peer.PeerResult.ScoredModule;
import org.prunepeft.search.peer.PeerResult.Trial;

/** Why a search without pruning kept a module or not, in Markdown. */
final class PeerExplanation {
  private final PeerResult result;
  private final String module;

  PeerExplanation(PeerResult result, String module) {
    this.result = result;
    this.module = module;
  }

  /** What the scores of a method are. */
  static String meaning(String method) {
    return switch (method) {
      case GateSearch.NAME -> "the probability that the module's gate is open";
      case FirstOrderSearch.NAME -> "|Σ w·g|, the first-order change of the loss if it went";
      case BayesianSearch.NAME -> "by how much the metric is expected to rise with it";
      default -> "higher is better";
    };
  }

  String text() {
    List<ScoredModule> order =
        result.modules().stream()
            .sorted(Comparator.comparingDouble(ScoredModule::score).reversed())
            .toList();
    ScoredModule own =
        order.stream()
            .filter(each -> each.module().name().equals(module))
            .findFirst()
            .orElseThrow();
    StringBuilder text = new StringBuilder();
    text.append("# %s: %s%n%n".formatted(module, own.kept() ? "kept" : "not kept"));
    text.append(
        "Its score is %s, place %d of %d: %s.%n"
            .formatted(
                number(own.score()),
                order.indexOf(own) + 1,
                order.size(),
                meaning(result.method())));
    if (result.trials().isEmpty()) {
      text.append(cut(own));
    } else {
      text.append(trials(own.kept()));
    }
    return text.toString();
  }

  /** The nearest on the other side of the cut. */
  private String cut(ScoredModule own) {
    Stream<ScoredModule> others =
        result.modules().stream().filter(each -> each.kept() != own.kept());
    Comparator<ScoredModule> byScore = Comparator.comparingDouble(ScoredModule::score);
    Optional<ScoredModule> nearest = own.kept() ? others.max(byScore) : others.min(byScore);
    return nearest
        .map(
            other ->
                String.format(
                        Locale.ROOT,
                        "Modules were taken by falling score, each that still fitted the budget of %,d parameters. The %s score of a module that %s: %s (%s).%n",
                        result.budget(),
                        own.kept() ? "highest" : "lowest",
                        own.kept() ? "is not" : "is",
                        number(other.score()),
                        other.module().name())
                    + differ(own, other))
        .orElse("The budget has room for all modules.%n".formatted());
  }

  /**
   * What would have turned the choice.
   *
   * @param other the nearest on the other side
   */
  private static String differ(ScoredModule own, ScoredModule other) {
    boolean decides = own.kept() ? own.score() > other.score() : own.score() < other.score();
    return decides
        ? "What would have had to differ, with the other modules as they were: its score, %s %s.%n"
            .formatted(own.kept() ? "below" : "above", number(other.score()))
        : "The score alone did not decide: what is kept has to fit the budget.%n".formatted();
  }

  private String trials(boolean kept) {
    List<Trial> with =
        result.trials().stream().filter(trial -> trial.modules().contains(module)).toList();
    List<Trial> without =
        result.trials().stream().filter(trial -> !trial.modules().contains(module)).toList();
    return "The best of %d trials is kept as a whole. Best validation metric with it: %s (%d trials); without it: %s (%d trials).%n"
            .formatted(
                result.trials().size(), best(with), with.size(), best(without), without.size())
        + "What would have had to differ: a trial %s it that gives more than %s.%n"
            .formatted(kept ? "without" : "with", best(kept ? with : without));
  }

  private static String best(List<Trial> trials) {
    return trials.stream()
        .map(Trial::metric)
        .max(Double::compare)
        .map(PeerExplanation::number)
        .orElse("-");
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.4g", value);
  }
}
