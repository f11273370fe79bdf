package org.prunepeft.data;

import java.nio.file.Path;
import java.util.List;

/** A task with its data. */
public interface Task {
  /**
   * By which {@link org.prunepeft.data.task.Tasks#byName} finds it.
   *
   * @return the name
   */
  String name();

  /** {@return what is predicted from what, in a sentence} */
  String description();

  /** {@return where the data comes from} */
  String source();

  /** {@return under which licence the data may be used} */
  String licence();

  /** {@return whether a class or a number is predicted} */
  default TaskKind kind() {
    return TaskKind.CLASSIFICATION;
  }

  /** {@return texts an example has, 1 or 2} */
  default int textColumns() {
    return 1;
  }

  /** {@return what is measured, the official metric first; the best epoch is chosen by that one} */
  default List<Metric> metrics() {
    return List.of(Metric.ACCURACY, Metric.MACRO_F1);
  }

  /**
   * {@return this task with its data in a directory}
   *
   * @param data the directory
   * @throws IllegalArgumentException if its data is not read from a directory
   */
  default Task at(Path data) {
    throw new IllegalArgumentException(
        "task %s is not read from a directory; leave out --data %s".formatted(name(), data));
  }

  /**
   * The files that {@link #load} reads, whose checksums a run keeps.
   *
   * @return none if the data is made as it is asked for
   * @throws IllegalArgumentException if the directory of its data is not known
   * @throws DataException if one is missing
   */
  default List<Path> files() {
    return List.of();
  }

  /**
   * Draws the three parts. Equal arguments give equal data sets on every machine.
   *
   * @param sizes examples in each part; where none is specified, what suits the task. A training
   *     part has at most those that there are
   * @param seed of the draw of training and validation
   * @param testSeed of the draw of the test part, which depends on nothing else, so that it is the
   *     same for every seed
   * @return the three parts, with no example in two of them
   * @throws IllegalArgumentException if the task has fewer examples than asked for to validate and
   *     test on
   * @throws DataException if the data is missing or damaged
   */
  Dataset load(SplitSizes sizes, long seed, long testSeed);
}
