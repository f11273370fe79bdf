package org.prunepeft.search;

/**
 * Which part of a module a candidate is: where modules are cut into slices of their rank or
 * bottleneck, each slice is a candidate, and the first slices of a module do most.
 *
 * @param module the name of the module
 * @param index from 0; 0 also for a whole module
 */
public record Slice(String module, int index) {
  private static final String MARK = ".slice-";

  /** No module has as many as ten thousand slices. */
  private static final int MOST_DIGITS = 4;

  /** {@return the candidate's name} */
  public String name() {
    return module + MARK + index;
  }

  /** What a candidate's name says; a name without a slice's number is that of a whole module. */
  static Slice of(Candidate candidate) {
    String name = candidate.name();
    int mark = name.lastIndexOf(MARK);
    String number = mark < 1 ? "" : name.substring(mark + MARK.length());
    boolean sliced =
        !number.isEmpty()
            && number.length() <= MOST_DIGITS
            && number.chars().allMatch(digit -> digit >= '0' && digit <= '9');
    return sliced
        ? new Slice(name.substring(0, mark), Integer.parseInt(number))
        : new Slice(name, 0);
  }
}
