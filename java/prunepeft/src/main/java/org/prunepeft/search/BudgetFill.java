package org.prunepeft.search;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Removes modules in a given order until the rest is within a target.
 *
 * <p>The last module that fits the budget is never removed. Where all modules are of one size that
 * is the last module of all; where sizes differ it also keeps a search from ending with one module
 * that is larger than the budget.
 *
 * @param removed those that went, in that order
 * @param spared those that were next in the order but were the last to fit
 * @param kept those that are left, sorted by layer, type and name
 */
record BudgetFill(List<Candidate> removed, List<Candidate> spared, List<Candidate> kept) {
  /**
   * {@return modules in a given order, each that still fits the budget, sorted by layer, type and
   * name} Where a slice of a module does not fit, those of it that follow are not taken either.
   */
  static List<Candidate> take(List<Candidate> order, long budget) {
    List<Candidate> taken = new ArrayList<>();
    Set<String> full = new HashSet<>();
    long left = budget;
    for (Candidate candidate : order) {
      String module = Slice.of(candidate).module();
      if (candidate.parameters() <= left && !full.contains(module)) {
        taken.add(candidate);
        left -= candidate.parameters();
      } else {
        full.add(module);
      }
    }
    taken.sort(Candidate.CANONICAL);
    return List.copyOf(taken);
  }

  /**
   * @param order all modules that are left, the first to go first
   * @param target the parameters to be left at most now
   * @param budget the parameters to be left at most in the end, at most target and at least those
   *     of the smallest module in order
   */
  static BudgetFill remove(List<Candidate> order, long target, long budget) {
    long parameters = Candidate.total(order);
    long fitting = order.stream().filter(module -> module.parameters() <= budget).count();
    List<Candidate> removed = new ArrayList<>();
    List<Candidate> spared = new ArrayList<>();
    List<Candidate> kept = new ArrayList<>();
    for (Candidate module : order) {
      boolean fits = module.parameters() <= budget;
      if (parameters <= target) {
        kept.add(module);
      } else if (fits && fitting == 1) {
        spared.add(module);
        kept.add(module);
      } else {
        removed.add(module);
        parameters -= module.parameters();
        fitting -= fits ? 1 : 0;
      }
    }
    kept.sort(Candidate.CANONICAL);
    return new BudgetFill(List.copyOf(removed), List.copyOf(spared), List.copyOf(kept));
  }
}
