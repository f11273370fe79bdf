package org.prunepeft.search;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import org.prunepeft.text.Required;

/**
 * A module that the supernet holds and that pruning may remove as a whole.
 *
 * @param name unique in its search space
 * @param layer the transformer layer it sits in, from 0
 * @param type what it is, such as {@link #LORA} or {@link #ADAPTER}; any word without a slash
 * @param parameters how many trainable parameters it has, from 1 to 2^48
 */
public record Candidate(String name, int layer, String type, long parameters) {
  /** LoRA: low-rank updates of linear layers. */
  public static final String LORA = "lora";

  /** A serial adapter: a bottleneck behind the feed-forward block. */
  public static final String ADAPTER = "adapter";

  /** So that the sum over a space's modules is a long. */
  private static final long MOST_PARAMETERS = 1L << 48;

  /** The order in which this package treats and reports modules: by layer, type and name. */
  static final Comparator<Candidate> CANONICAL =
      Comparator.comparingInt(Candidate::layer)
          .thenComparing(Candidate::type)
          .thenComparing(Candidate::name);

  /**
   * @throws IllegalArgumentException if a component is out of its range
   */
  public Candidate {
    if (Required.present("a module's name", name).isBlank()) {
      throw new IllegalArgumentException("a module must have a name, got a blank one");
    }
    if (layer < 0) {
      throw new IllegalArgumentException(
          "layer must be at least 0, got " + layer + " (module " + name + ")");
    }
    Partition.requireType(type, "module " + name);
    if (parameters < 1) {
      throw new IllegalArgumentException(
          "a module must have at least 1 parameter, got " + parameters + " (module " + name + ")");
    }
    if (parameters > MOST_PARAMETERS) {
      throw new IllegalArgumentException(
          "a module must have at most 2^48 parameters, got "
              + parameters
              + " (module "
              + name
              + ")");
    }
  }

  /** {@return their names, in the same order} */
  public static List<String> names(Collection<Candidate> modules) {
    return modules.stream().map(Candidate::name).toList();
  }

  /**
   * {@return trainable parameters of all of them together}
   *
   * @param modules each counted once for each time it is listed
   */
  public static long total(Collection<Candidate> modules) {
    long total = 0;
    for (Candidate module : modules) {
      total = Math.addExact(total, module.parameters());
    }
    return total;
  }
}
