package org.prunepeft.search;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.prunepeft.text.EnumNames;
import org.prunepeft.text.Spelling;

/**
 * Which criteria judge the modules of which partition.
 *
 * @param origin where it comes from
 * @param partitioning where the layers are cut
 * @param criteria the names of all criteria it knows; they stand in where all of a partition's own
 *     are left out of a round
 * @param assignment the names of the criteria of each partition; empty if all judge everywhere
 * @param warmUp the evidence for it, if it comes from a warm-up
 */
public record Strategy(
    Origin origin,
    Partitioning partitioning,
    List<String> criteria,
    Map<Partition, List<String>> assignment,
    Optional<WarmUpRecord> warmUp) {
  /** Layers of the paper's model, for which the authors' strategy was made. */
  public static final int PAPER_LAYERS = 24;

  /** Where a strategy comes from. */
  public enum Origin {
    /** A warm-up. */
    WARM_UP,
    /** The authors' fixed strategy. */
    AUTHORS,
    /** One criterion everywhere. */
    SINGLE,
    /** All six criteria everywhere: hybrid without partitions. */
    ALL,
    /** Written by hand. */
    CUSTOM;

    /** The name in strategy files, such as {@code warm-up}. */
    @Override
    public String toString() {
      return EnumNames.dashed(this);
    }
  }

  /**
   * @throws IllegalArgumentException if a criterion is unknown, there is none, or a partition has
   *     none or one that the strategy does not list
   */
  public Strategy {
    if (criteria.isEmpty()) {
      throw new IllegalArgumentException("a strategy must have at least one criterion, got none");
    }
    criteria.forEach(Criteria::byName);
    criteria = Criteria.canonical(criteria);
    Map<Partition, List<String>> sorted = new LinkedHashMap<>();
    for (Map.Entry<Partition, List<String>> entry : new TreeMap<>(assignment).entrySet()) {
      List<String> assigned = entry.getValue();
      if (assigned.isEmpty()) {
        throw new IllegalArgumentException(
            "a partition must have at least one criterion, got none (" + entry.getKey() + ")");
      }
      for (String name : assigned) {
        if (!criteria.contains(name)) {
          throw new IllegalArgumentException(
              "a partition's criteria must be among the strategy's "
                  + criteria
                  + ", got "
                  + name
                  + " ("
                  + entry.getKey()
                  + ")");
        }
      }
      sorted.put(entry.getKey(), Criteria.canonical(assigned));
    }
    assignment = Ordered.map(sorted);
  }

  /** {@return the authors' fixed strategy for LoRA modules and adapters in four blocks} */
  public static Strategy authors() {
    List<List<String>> lora =
        List.of(
            List.of("activation", "threshold"),
            List.of("threshold"),
            List.of("zeros"),
            List.of("gradient"));
    List<List<String>> adapter =
        List.of(
            List.of("activation", "weight", "sensitivity", "zeros"),
            List.of("sensitivity", "weight"),
            List.of("weight", "sensitivity"),
            List.of("sensitivity"));
    Map<Partition, List<String>> assignment = new LinkedHashMap<>();
    for (int i = 0; i < lora.size(); i++) {
      assignment.put(new Partition(Candidate.LORA, i + 1), lora.get(i));
      assignment.put(new Partition(Candidate.ADAPTER, i + 1), adapter.get(i));
    }
    return new Strategy(
        Origin.AUTHORS, Partitioning.SPINDLE, sixNames(), assignment, Optional.empty());
  }

  /**
   * {@return one criterion for all modules}
   *
   * @param criterion registered or not
   * @throws IllegalArgumentException if it is not registered
   */
  public static Strategy single(Criterion criterion) {
    Criteria.requireRegistered(List.of(criterion));
    return new Strategy(
        Origin.SINGLE, Partitioning.SPINDLE, List.of(criterion.name()), Map.of(), Optional.empty());
  }

  /** {@return all six criteria for all modules: hybrid without partitions} */
  public static Strategy all() {
    return new Strategy(Origin.ALL, Partitioning.SPINDLE, sixNames(), Map.of(), Optional.empty());
  }

  /**
   * {@return a strategy that needs no warm-up, by name: {@code authors}, {@code all}, or that of a
   * criterion that judges alone}
   *
   * @param name authors, all, or the name of a registered criterion
   * @throws IllegalArgumentException if there is none of that name; the message lists them
   */
  public static Strategy byName(String name) {
    if (name.equals(Origin.AUTHORS.toString())) {
      return authors();
    }
    if (name.equals(Origin.ALL.toString())) {
      return all();
    }
    if (!names().contains(name)) {
      throw new IllegalArgumentException(Spelling.unknown("strategy", name, names()));
    }
    return single(Criteria.byName(name));
  }

  /** {@return the names that {@link #byName} knows} */
  public static List<String> names() {
    return Stream.concat(
            Stream.of(Origin.AUTHORS.toString(), Origin.ALL.toString()), Criteria.names().stream())
        .toList();
  }

  /**
   * {@return this strategy with other cuts between blocks}
   *
   * @param partitioning how layers are cut into blocks
   * @throws IllegalStateException if it comes from a warm-up, whose tallies hold for its own cuts
   */
  public Strategy withPartitioning(Partitioning partitioning) {
    if (warmUp.isPresent() && partitioning != this.partitioning) {
      throw new IllegalStateException(
          "a strategy from a warm-up keeps its partitioning "
              + this.partitioning
              + ", got "
              + partitioning
              + "; run the warm-up with that partitioning");
    }
    return new Strategy(origin, partitioning, criteria, assignment, warmUp);
  }

  /**
   * {@return the names of the criteria of a partition}
   *
   * @param partition one that the strategy names, if it names partitions
   * @throws IllegalArgumentException if the strategy has partitions but not this one
   */
  public List<String> criteriaOf(Partition partition) {
    if (assignment.isEmpty()) {
      return criteria;
    }
    List<String> assigned = assignment.get(partition);
    if (assigned == null) {
      throw new IllegalArgumentException(
          "the strategy has no criteria for partition "
              + partition
              + "; it has "
              + assignment.keySet());
    }
    return assigned;
  }

  /**
   * This strategy for a model of another depth. A model of more than four layers has four blocks,
   * so between two of those each partition keeps its criteria; else a block takes those of the
   * block in which its middle lies, in shares of the depth. What a warm-up saw is left behind: it
   * holds for the model it ran on.
   *
   * @param layers of the model that the strategy comes from, at least 1
   * @param target layers of the other model, at least 1
   * @return of origin {@link Origin#CUSTOM}, unless it names no partitions and stays as it is
   */
  public Strategy transfer(int layers, int target) {
    if (assignment.isEmpty()) {
      return this;
    }
    Blocks from = partitioning.blocks(layers);
    Blocks to = partitioning.blocks(target);
    Map<Partition, List<String>> transferred = new LinkedHashMap<>();
    for (String type : assignment.keySet().stream().map(Partition::type).distinct().toList()) {
      int start = 0;
      for (int block = 1; block <= to.count(); block++) {
        int end = to.ends().get(block - 1);
        int source = block;
        if (from.count() != to.count()) {
          // The block's middle is (start + end) / 2 layers deep.
          source = from.blockOf((int) ((long) (start + end) * layers / (2L * target)));
        }
        List<String> assigned = assignment.get(new Partition(type, source));
        if (assigned != null) {
          transferred.put(new Partition(type, block), assigned);
        }
        start = end;
      }
    }
    return new Strategy(Origin.CUSTOM, partitioning, criteria, transferred, Optional.empty());
  }

  /**
   * Checks that each partition of a search space has criteria.
   *
   * @param space all modules that there are
   * @throws IllegalArgumentException if one has none
   */
  public void requireCovers(SearchSpace space) {
    partitioning.partitions(space).forEach(this::criteriaOf);
  }

  /**
   * {@return plain maps, lists, strings and numbers, ready for JSON, that {@link #fromMap} reads
   * back}
   */
  public Map<String, Object> toMap() {
    return StrategyFormat.write(this);
  }

  /**
   * Reads what {@link #toMap} wrote, or a person did.
   *
   * @param map as parsed from JSON
   * @return the strategy
   * @throws IllegalArgumentException if a key is missing, unknown or has a value that is not legal;
   *     the message begins with the key
   */
  public static Strategy fromMap(Map<String, ?> map) {
    return StrategyFormat.read(map);
  }

  private static List<String> sixNames() {
    return Criteria.six().stream().map(Criterion::name).toList();
  }
}
