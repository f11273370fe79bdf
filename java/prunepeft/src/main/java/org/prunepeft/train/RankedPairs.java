package org.prunepeft.train;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.prunepeft.data.Example;
import org.prunepeft.data.Schema;

/**
 * How well the second texts of pairs are ranked for each first text, by the score of the second of
 * two classes; first texts without a right second text, or with one second text alone, do not
 * count.
 *
 * @param map mean average precision, 0 to 1
 * @param mrr mean of one over the rank of the first right one, 0 to 1
 * @param queries first texts that count
 */
public record RankedPairs(double map, double mrr, int queries) {
  /**
   * {@return the measures; empty where they do not fit: for single texts, for other than two
   * classes, or if no first text counts}
   *
   * @param examples labelled pairs
   * @param predictions of as many
   */
  public static Optional<RankedPairs> of(List<Example> examples, Predictions predictions) {
    Schema schema = predictions.schema();
    if (schema.textColumns() != 2 || schema.labels().size() != 2) {
      return Optional.empty();
    }
    Map<String, List<Integer>> queries = new LinkedHashMap<>();
    for (int i = 0; i < examples.size(); i++) {
      queries.computeIfAbsent(examples.get(i).text(), text -> new ArrayList<>()).add(i);
    }
    double precisions = 0;
    double reciprocals = 0;
    int counted = 0;
    for (List<Integer> query : queries.values()) {
      long right = query.stream().filter(i -> examples.get(i).label() == 1).count();
      if (query.size() < 2 || right == 0) {
        continue;
      }
      // Of equal scores the wrong one comes first, so that a constant gains nothing.
      query.sort(
          Comparator.comparingDouble((Integer i) -> -predictions.probabilities(i)[1])
              .thenComparingInt(i -> examples.get(i).label()));
      int found = 0;
      double precision = 0;
      for (int rank = 1; rank <= query.size(); rank++) {
        if (examples.get(query.get(rank - 1)).label() == 1) {
          found++;
          precision += (double) found / rank;
          reciprocals += found == 1 ? 1.0 / rank : 0;
        }
      }
      precisions += precision / right;
      counted++;
    }
    return counted == 0
        ? Optional.empty()
        : Optional.of(new RankedPairs(precisions / counted, reciprocals / counted, counted));
  }
}
