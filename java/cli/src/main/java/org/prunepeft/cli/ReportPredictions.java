package org.prunepeft.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.prunepeft.data.Example;
import org.prunepeft.data.TaskKind;
import org.prunepeft.report.TestPredictions;
import org.prunepeft.train.ClassReport;

/**
 * What a report says of a run's predictions: what was taken for what, and the worst mistakes; of a
 * language model the texts that it finds least probable.
 */
final class ReportPredictions {
  private static final int MOST_MISTAKES = 20;
  private static final int MOST_CHARACTERS = 2000;
  private static final int MOST_CLASSES = 60;
  private static final int MOST_PAIRS_OF_NUMBERS = 600;

  private ReportPredictions() {}

  /**
   * @param kept of 1 or more examples
   * @param texts gives the test examples by their ids, which may take a while; none: there are no
   *     texts
   * @param map of the run
   */
  static void put(
      TestPredictions kept, Supplier<Map<String, Example>> texts, Map<String, Object> map) {
    switch (kind(kept)) {
      case CLASSIFICATION -> {
        ClassReport report = ClassReport.of(kept.predictions(), kept.targets());
        if (report.labels().size() <= MOST_CLASSES) {
          Map<String, Object> confusion = new LinkedHashMap<>();
          confusion.put("labels", report.labels());
          confusion.put("counts", report.confusion());
          map.put("confusion", confusion);
        }
      }
      case REGRESSION -> map.put("numbers", numbers(kept));
      case LANGUAGE_MODELING -> {}
    }
    map.put("mistakes", mistakes(kept, texts));
  }

  private static TaskKind kind(TestPredictions kept) {
    return kept.predictions().schema().kind();
  }

  private static List<List<Double>> numbers(TestPredictions kept) {
    double[] targets = kept.targets();
    int each = (targets.length + MOST_PAIRS_OF_NUMBERS - 1) / MOST_PAIRS_OF_NUMBERS;
    return IntStream.iterate(0, i -> i < targets.length, i -> i + each)
        .mapToObj(i -> List.of(targets[i], kept.predictions().value(i)))
        .toList();
  }

  /**
   * Those of which the model is the most certain; of numbers those that are the furthest off; of
   * texts the least probable.
   */
  private static List<Map<String, Object>> mistakes(
      TestPredictions kept, Supplier<Map<String, Example>> texts) {
    List<Mistake> mistakes = new ArrayList<>();
    for (int i = 0; i < kept.targets().length; i++) {
      Mistake.of(kept, i).ifPresent(mistakes::add);
    }
    mistakes.sort(Comparator.comparingDouble(Mistake::severity).reversed());
    List<Mistake> shown = mistakes.subList(0, Math.min(MOST_MISTAKES, mistakes.size()));
    Map<String, Example> examples = shown.isEmpty() ? Map.of() : texts.get();
    return shown.stream().map(mistake -> mistake.toMap(examples.get(mistake.example()))).toList();
  }

  private record Mistake(String example, Object target, Object predicted, double severity) {
    static Optional<Mistake> of(TestPredictions kept, int i) {
      return switch (kind(kept)) {
        case CLASSIFICATION -> ofClass(kept, i);
        case REGRESSION -> {
          double target = kept.targets()[i];
          double value = kept.predictions().value(i);
          yield Optional.of(
              new Mistake(kept.examples().get(i), target, value, Math.abs(value - target)));
        }
        case LANGUAGE_MODELING -> ofText(kept, i);
      };
    }

    private static Optional<Mistake> ofClass(TestPredictions kept, int i) {
      int target = (int) kept.targets()[i];
      int label = kept.predictions().label(i);
      if (label == target) {
        return Optional.empty();
      }
      List<String> labels = kept.predictions().schema().labels();
      return Optional.of(
          new Mistake(
              kept.examples().get(i),
              labels.get(target),
              labels.get(label),
              kept.predictions().probabilities(i)[label]));
    }

    /** How many tokens a text has that are learnt, and their mean log-likelihood. */
    private static Optional<Mistake> ofText(TestPredictions kept, int i) {
      double tokens = kept.targets()[i];
      double likelihood = kept.predictions().value(i);
      return tokens == 0
          ? Optional.empty()
          : Optional.of(new Mistake(kept.examples().get(i), tokens, likelihood, -likelihood));
    }

    /**
     * @param text of the example; null: not known
     */
    Map<String, Object> toMap(Example text) {
      Map<String, Object> map = new LinkedHashMap<>();
      map.put("example", example);
      map.put("text", text == null ? null : cut(text.text()));
      map.put("pair", text == null ? null : cut(text.pair()));
      map.put("target", target);
      map.put("predicted", predicted);
      map.put("severity", severity);
      return map;
    }

    private static String cut(String text) {
      return text == null || text.length() <= MOST_CHARACTERS
          ? text
          : text.substring(0, MOST_CHARACTERS) + "…";
    }
  }
}
