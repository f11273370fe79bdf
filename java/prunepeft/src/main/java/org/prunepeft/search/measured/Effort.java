package org.prunepeft.search.measured;

import io.soabase.recordbuilder.core.RecordBuilder;
import org.prunepeft.search.SearchSpace;

/**
 * How many subsets a measured search measures at most. To these come at most five: the supernet, no
 * module at all, and the first, middle and last layers of the budget.
 *
 * @param design subsets of about the budget from which the modules' values are learnt, at least 8
 * @param random random subsets of the budget, with which the choice is compared, at least 4
 * @param refinement subsets that are chosen from what was learnt before, at least 0
 * @param batch how many of these are measured before the next are chosen, at least 1
 * @param front configurations of the front that are measured in the end, at least 0
 */
@RecordBuilder
public record Effort(int design, int random, int refinement, int batch, int front)
    implements EffortBuilder.With {
  private static final int MIN_DESIGN = 8;
  private static final int MIN_RANDOM = 4;

  /**
   * @throws IllegalArgumentException if a number is out of its range
   */
  public Effort {
    requireAtLeast(MIN_DESIGN, design, "subsets of the design");
    requireAtLeast(MIN_RANDOM, random, "random subsets of the budget");
    requireAtLeast(0, refinement, "subsets of the refinement");
    requireAtLeast(1, batch, "subsets of a batch");
    requireAtLeast(0, front, "measured configurations of the front");
  }

  /**
   * {@return an effort that suits a search space: as many subsets as twice its modules, but 64 to
   * 320, in the design}
   *
   * @param space all modules that there are
   */
  public static Effort of(SearchSpace space) {
    int design = Math.max(64, Math.min(320, 2 * space.candidates().size()));
    return new Effort(design, 24, design / 2, 16, 12);
  }

  /**
   * {@return an effort of a given number of subsets: half of them in the design, a quarter in the
   * refinement}
   *
   * @param subsets all that may be measured, at least 24
   * @throws IllegalArgumentException if there are fewer
   */
  public static Effort ofTotal(int subsets) {
    requireAtLeast(24, subsets, "subsets to be measured");
    int rest = subsets - 5;
    int random = Math.max(MIN_RANDOM, Math.min(32, rest / 8));
    int front = Math.min(12, rest / 10);
    int refinement = (rest - random - front) / 3;
    int design = rest - random - front - refinement;
    return new Effort(design, random, refinement, Math.max(1, Math.min(16, refinement / 4)), front);
  }

  /** {@return the subsets that are measured at most, with the five} */
  public int total() {
    return design + random + refinement + front + 5;
  }

  private static void requireAtLeast(int least, int value, String what) {
    if (value < least) {
      throw new IllegalArgumentException(what + " must be at least " + least + ", got " + value);
    }
  }
}
