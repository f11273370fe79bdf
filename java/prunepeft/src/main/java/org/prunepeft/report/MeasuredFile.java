package org.prunepeft.report;

import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import java.util.List;
import java.util.Map;
import org.prunepeft.search.measured.Estimate;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.search.measured.Spread;
import org.prunepeft.text.Required;

/**
 * What a measured search left in its run directory, as {@link MeasuredResult#toMap} wrote it:
 * modules by their names, what they are worth in the metric's units.
 *
 * @param kept the choice
 * @param choice best, cheapest or within_tolerance
 * @param parameters trainable ones of the choice, the head apart
 * @param placementMatters whether the best is measurably better than random subsets, by more than
 *     is negligible: {@link MeasuredResult#placementMatters}
 * @param negligibleGain whether the score alone shows it to be better, and the metric a negligible
 *     gain at most; files of earlier versions do not say it, which is false
 * @param best the subset of the budget with the highest expected metric
 * @param comparisons the choice against others, by their names, such as random
 * @param spread how much random subsets of the budget differ; null: there is but one
 * @param explained share of the variance between subsets that the model of values explains
 * @param values of all modules
 * @param pairs interactions that show
 * @param front configurations that no other beats
 * @param measured all subsets that were measured
 * @param examples how many examples choices were made on
 * @param confirmationExamples how many others there were
 */
@JsonNaming(SnakeCaseStrategy.class)
public record MeasuredFile(
    List<String> kept,
    String choice,
    long parameters,
    boolean placementMatters,
    boolean negligibleGain,
    List<String> best,
    Map<String, Estimate> comparisons,
    Spread spread,
    double explained,
    List<Value> values,
    List<Pair> pairs,
    List<Point> front,
    List<Subset> measured,
    int examples,
    int confirmationExamples) {
  /**
   * No list or map is null.
   *
   * @throws IllegalArgumentException if the choice is missing
   */
  public MeasuredFile {
    Required.present("choice", choice);
    kept = kept == null ? List.of() : List.copyOf(kept);
    best = best == null ? List.of() : List.copyOf(best);
    comparisons = comparisons == null ? Map.of() : comparisons;
    values = values == null ? List.of() : List.copyOf(values);
    pairs = pairs == null ? List.of() : List.copyOf(pairs);
    front = front == null ? List.of() : List.copyOf(front);
    measured = measured == null ? List.of() : List.copyOf(measured);
  }

  /**
   * What a module is worth.
   *
   * @param module the module's name
   * @param kept whether it is part of the choice
   * @param mean by how much the metric rises when it is added to a random subset
   * @param low end of the 95 % interval
   * @param high end of the 95 % interval
   * @param score the same of the mean score, by which subsets are chosen
   */
  public record Value(
      String module, boolean kept, double mean, double low, double high, double score) {
    /**
     * Checks the value.
     *
     * @throws IllegalArgumentException if the module is missing
     */
    public Value {
      Required.present("a value's module", module);
    }

    /** {@return mean and interval} */
    public Estimate estimate() {
      return new Estimate(mean, low, high);
    }
  }

  /**
   * An interaction of two modules.
   *
   * @param first the name of one module
   * @param second the name of the other
   * @param mean by how much both together are worth more than the sum of each
   * @param low end of the 95 % interval
   * @param high end of the 95 % interval
   * @param evidence by how much the logarithm of the model's evidence rises with it
   */
  public record Pair(
      String first, String second, double mean, double low, double high, double evidence) {
    /**
     * Checks the pair.
     *
     * @throws IllegalArgumentException if one of the modules is missing
     */
    public Pair {
      Required.present("a pair's first module", first);
      Required.present("a pair's second module", second);
    }
  }

  /**
   * A configuration of the front.
   *
   * @param modules those that are kept
   * @param costs by name
   * @param metric that is expected of it
   * @param belowSupernet by how much that lies below the supernet's
   * @param confirmed the same on other examples; null: not measured
   */
  @JsonNaming(SnakeCaseStrategy.class)
  public record Point(
      List<String> modules,
      Map<String, Double> costs,
      Estimate metric,
      Estimate belowSupernet,
      Estimate confirmed) {
    /**
     * Checks the configuration; one without costs has none.
     *
     * @throws IllegalArgumentException if modules or an estimate are missing
     */
    public Point {
      modules = List.copyOf(Required.present("a point's modules", modules));
      costs = costs == null ? Map.of() : costs;
      Required.present("a point's metric", metric);
      Required.present("a point's below_supernet", belowSupernet);
    }
  }

  /**
   * A subset that was measured.
   *
   * @param purpose why, such as random or design
   * @param modules those that were switched on
   * @param score its mean score
   * @param search its metric on the examples that choices were made on
   * @param confirmation its metric on the others
   */
  public record Subset(
      String purpose, List<String> modules, double score, double search, double confirmation) {
    /**
     * Checks the subset.
     *
     * @throws IllegalArgumentException if purpose or modules are missing
     */
    public Subset {
      Required.present("a subset's purpose", purpose);
      modules = List.copyOf(Required.present("a subset's modules", modules));
    }
  }
}
