package org.prunepeft.settings;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import org.prunepeft.search.peer.BayesianSearch;
import org.prunepeft.search.peer.FirstOrderSearch;
import org.prunepeft.search.peer.GateSearch;
import org.prunepeft.search.peer.PeerSearch;
import org.prunepeft.text.EnumNames;

/**
 * How a search goes that PrunePEFT is compared with.
 *
 * @param method which
 * @param searchExamples training examples of each of its trainings, drawn with the labels'
 *     distribution, 1 or more
 * @param searchEpochs epochs of each of its trainings, 1 or more; empty: 3 of a supernet, 1 of a
 *     trial
 * @param gateLearningRate of the gates, above 0
 * @param trials subsets that a Bayesian search trains at most, 1 or more
 * @param trialPatience it ends when so many in a row are no better than the best before; 0: never
 */
@RecordBuilder
public record PeerSettings(
    Method method,
    int searchExamples,
    OptionalInt searchEpochs,
    double gateLearningRate,
    int trials,
    int trialPatience)
    implements PeerSettingsBuilder.With {
  /** The ways to search. */
  public enum Method {
    /** {@link GateSearch}. */
    GATES,
    /** {@link FirstOrderSearch}. */
    FIRST_ORDER,
    /** {@link BayesianSearch}. */
    BAYESIAN;

    /** The name on the command line, such as {@code first-order}. */
    @Override
    public String toString() {
      return EnumNames.dashed(this);
    }

    /** {@return the names of all} */
    public static List<String> names() {
      return Arrays.stream(values()).map(Method::toString).toList();
    }
  }

  /** Gates; 1,000 examples, as PrunePEFT's rounds have; 16 trials. */
  public static final PeerSettings DEFAULT =
      PeerSettingsBuilder.builder()
          .method(Method.GATES)
          .searchExamples(SearchSettings.DEFAULT.roundExamples())
          .gateLearningRate(0.1)
          .trials(16)
          .trialPatience(8)
          .build();

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public PeerSettings {
    if (searchExamples < 1) {
      throw new IllegalArgumentException(
          "the search's examples must be at least 1, got " + searchExamples);
    }
    if (searchEpochs.isPresent() && searchEpochs.getAsInt() < 1) {
      throw new IllegalArgumentException(
          "the search's epochs must be at least 1, got " + searchEpochs.getAsInt());
    }
    for (Method each : Method.values()) {
      search(each, gateLearningRate, trials, trialPatience, 0);
    }
  }

  /** {@return epochs of each training} */
  public int epochs() {
    return searchEpochs.orElse(method == Method.BAYESIAN ? 1 : 3);
  }

  /**
   * {@return the search}
   *
   * @param seed of the run
   */
  public PeerSearch search(long seed) {
    return search(method, gateLearningRate, trials, trialPatience, seed);
  }

  private static PeerSearch search(
      Method method, double gateLearningRate, int trials, int trialPatience, long seed) {
    return switch (method) {
      case GATES -> new GateSearch(gateLearningRate, seed);
      case FIRST_ORDER -> new FirstOrderSearch(seed);
      case BAYESIAN -> new BayesianSearch(trials, trialPatience, seed);
    };
  }
}
