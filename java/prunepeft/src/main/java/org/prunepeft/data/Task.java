package org.prunepeft.data;

/** A classification task with its data. */
public interface Task {
  /** By which {@link Tasks#byName} finds it. */
  String name();

  /** What is classified into what, in a sentence. */
  String description();

  /** Where the data comes from. */
  String source();

  /** Under which licence the data may be used. */
  String licence();

  /**
   * Draws the three parts. Equal arguments give equal data sets on every machine.
   *
   * @param sizes examples in each part
   * @param seed of the draw
   * @throws IllegalArgumentException if the task has fewer examples than asked for
   * @throws DataException if the data is missing or damaged
   */
  Dataset load(SplitSizes sizes, long seed);
}
