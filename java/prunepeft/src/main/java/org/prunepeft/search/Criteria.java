package org.prunepeft.search;

import static org.prunepeft.search.Criterion.Order.LARGEST;
import static org.prunepeft.search.Criterion.Order.SMALLEST;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.ToDoubleFunction;
import org.prunepeft.text.Spelling;

/** The criteria by name: those of Table 1 of the paper, and any that are registered. */
public final class Criteria {
  /** (1/n) Σ w²; the smallest go first. */
  public static final Criterion WEIGHT =
      new Statistic("weight", SMALLEST, false, s -> s.sumW2() / s.count());

  /** (1/n) Σ [w ≠ 0]; the smallest go first. */
  public static final Criterion ZEROS =
      new Statistic("zeros", SMALLEST, false, s -> s.nonZero() / s.count());

  /** (1/n) Σ [|w| &lt; t]; the largest go first. */
  public static final Criterion THRESHOLD =
      new Statistic("threshold", LARGEST, false, s -> s.below() / s.count());

  /** Mean of |f| over the elements of the module's output; the smallest go first. */
  public static final Criterion ACTIVATION =
      new Statistic("activation", SMALLEST, true, ModuleStatistics::meanAbsOutput);

  /** (1/n) Σ |w·g|; the smallest go first. */
  public static final Criterion SENSITIVITY =
      new Statistic("sensitivity", SMALLEST, true, s -> s.sumAbsWg() / s.count());

  /** (1/n) Σ |g|; the smallest go first. */
  public static final Criterion GRADIENT =
      new Statistic("gradient", SMALLEST, true, s -> s.sumAbsG() / s.count());

  /** (1/n) Σ w·g, as the paper prints it, without bars; the smallest go first. */
  public static final Criterion SENSITIVITY_SIGNED =
      new Statistic("sensitivity-signed", SMALLEST, true, s -> s.sumWg() / s.count());

  private static final List<Criterion> SIX =
      List.of(WEIGHT, ZEROS, THRESHOLD, ACTIVATION, SENSITIVITY, GRADIENT);

  private static final Map<String, Criterion> REGISTERED = new ConcurrentHashMap<>();

  static {
    SIX.forEach(Criteria::register);
    register(SENSITIVITY_SIGNED);
  }

  /** The six of the paper's table first, in its order, then the others by name. */
  static final Comparator<String> CANONICAL =
      Comparator.comparingInt(Criteria::place).thenComparing(Comparator.naturalOrder());

  private Criteria() {}

  /** {@return the six criteria of the paper, in the order of its table} */
  public static List<Criterion> six() {
    return SIX;
  }

  /**
   * {@return the names of all registered criteria: the six first, then the others in alphabetical
   * order}
   */
  public static List<String> names() {
    return canonical(REGISTERED.keySet());
  }

  /**
   * Makes a criterion known by its name.
   *
   * @param criterion with a name that no other has
   * @throws IllegalArgumentException if the name is not one word, or another criterion has it
   */
  public static void register(Criterion criterion) {
    requireNew(criterion);
    REGISTERED.putIfAbsent(criterion.name(), criterion);
  }

  /**
   * Checks that a criterion can be registered.
   *
   * @throws IllegalArgumentException as {@link #register}
   */
  public static void requireNew(Criterion criterion) {
    String name = criterion.name();
    if (!name.matches("[A-Za-z0-9._-]+")) {
      throw new IllegalArgumentException(
          "a criterion's name must be made of letters, digits, '.', '_' and '-', got '"
              + name
              + "'");
    }
    Criterion earlier = REGISTERED.get(name);
    if (earlier != null && !earlier.equals(criterion)) {
      throw new IllegalArgumentException(
          "a criterion named " + name + " is registered already; give this one another name");
    }
  }

  /**
   * {@return the criterion of that name}
   *
   * @param name such as sensitivity, in lower case
   * @throws IllegalArgumentException if there is none; the message lists the names there are and
   *     suggests the nearest
   */
  public static Criterion byName(String name) {
    Criterion found = REGISTERED.get(name);
    if (found == null) {
      throw new IllegalArgumentException(Spelling.unknown("criterion", name, names()));
    }
    return found;
  }

  static List<String> canonical(Collection<String> names) {
    return names.stream().distinct().sorted(CANONICAL).toList();
  }

  /** Sorts criteria and checks that a strategy which names them can be read back. */
  static List<Criterion> requireRegistered(Collection<Criterion> criteria) {
    if (criteria.isEmpty()) {
      throw new IllegalArgumentException(
          "at least one criterion is needed, got none; registered are " + names());
    }
    List<String> names = new ArrayList<>();
    for (Criterion criterion : criteria) {
      if (!Optional.of(criterion).equals(Optional.ofNullable(REGISTERED.get(criterion.name())))) {
        throw new IllegalArgumentException(
            "criterion " + criterion.name() + " must be registered first (Criteria.register)");
      }
      names.add(criterion.name());
    }
    return canonical(names).stream().map(Criteria::byName).toList();
  }

  private static int place(String name) {
    for (int i = 0; i < SIX.size(); i++) {
      if (SIX.get(i).name().equals(name)) {
        return i;
      }
    }
    return SIX.size();
  }

  private record Statistic(
      String name, Order prunedFirst, boolean seesData, ToDoubleFunction<ModuleStatistics> formula)
      implements Criterion {
    @Override
    public double score(ModuleStatistics statistics) {
      return formula.applyAsDouble(statistics);
    }
  }
}
