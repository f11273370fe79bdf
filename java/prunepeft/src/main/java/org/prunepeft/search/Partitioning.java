package org.prunepeft.search;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.prunepeft.text.Spelling;

/** Where the layers of a model are cut into four blocks; with four layers or fewer, one a layer. */
public enum Partitioning {
  /** At L/6, L/2 and 5L/6 of L layers, rounded half up, as the paper's figure draws 24 layers. */
  SPINDLE(1, 3, 5, 6),

  /** At 20, 50 and 80 % of the layers, rounded half up, as the authors' code does. */
  QUANTILE(2, 5, 8, 10);

  private static final int BLOCKS = 4;

  private final int[] cuts;
  private final int whole;

  Partitioning(int first, int second, int third, int whole) {
    this.cuts = new int[] {first, second, third};
    this.whole = whole;
  }

  /**
   * {@return the partitioning of that name in any case: {@code spindle} or {@code quantile}}
   *
   * @param name spindle or quantile
   * @throws IllegalArgumentException if there is none
   */
  public static Partitioning byName(String name) {
    for (Partitioning partitioning : values()) {
      if (partitioning.name().equalsIgnoreCase(name)) {
        return partitioning;
      }
    }
    throw new IllegalArgumentException(
        Spelling.unknown(
            "partitioning", name, Stream.of(values()).map(Partitioning::toString).toList()));
  }

  /**
   * {@return the blocks of a model}
   *
   * @param layers at least 1
   * @throws IllegalArgumentException if layers is below 1
   */
  public Blocks blocks(int layers) {
    if (layers < 1) {
      throw new IllegalArgumentException("a model must have at least 1 layer, got " + layers);
    }
    List<Integer> ends = new ArrayList<>();
    if (layers <= BLOCKS) {
      for (int end = 1; end <= layers; end++) {
        ends.add(end);
      }
      return new Blocks(ends);
    }
    for (int cut : cuts) {
      // layers · cut / whole, rounded half up, in integers.
      ends.add((int) ((2L * layers * cut + whole) / (2L * whole)));
    }
    ends.add(layers);
    return new Blocks(ends);
  }

  /**
   * {@return the partition of a module in a model of so many layers}
   *
   * @param module with its layer and type
   * @param layers of the model, 1 or more
   */
  public Partition partitionOf(Candidate module, int layers) {
    return new Partition(module.type(), blocks(layers).blockOf(module.layer()));
  }

  /**
   * {@return the partitions of a search space that hold at least one module, sorted}
   *
   * @param space all modules that there are
   */
  public List<Partition> partitions(SearchSpace space) {
    return assign(space).values().stream().distinct().sorted().toList();
  }

  /** The partition of each module of a search space. */
  Map<Candidate, Partition> assign(SearchSpace space) {
    Map<Candidate, Partition> partitions = new LinkedHashMap<>();
    for (Candidate module : space.candidates()) {
      partitions.put(module, partitionOf(module, space.layers()));
    }
    return partitions;
  }

  /** The name in lower case, as strategies and reports hold it. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
