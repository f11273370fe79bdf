package org.prunepeft.data.sampling;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Schema;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;

/**
 * The three parts of a data set of which some are given and some are drawn, stratified, from the
 * training examples: the test part first, then validation. A drawn part has an example of each
 * class at least, where it is as large as the number of classes.
 *
 * @param validation given; null: drawn
 * @param test given; null: drawn
 */
public record Splits(
    String name, Schema schema, List<Example> train, List<Example> validation, List<Example> test) {
  /** Of the training examples, a part that is drawn has this share. */
  private static final int SHARE = 10;

  /**
   * Draws. A training part, or one that is given, has at most the examples that there are.
   *
   * @param sizes of the parts; where none is said, a given part has all its examples, a drawn one a
   *     tenth of the training examples, and training all that are left
   * @param seed of the draw of training and validation
   * @param testSeed of the draw of the test part
   * @throws IllegalArgumentException if there are fewer examples than are to be drawn for
   *     validation and test
   * @throws DataException if a class is too small to be split
   */
  public Dataset draw(SplitSizes sizes, long seed, long testSeed) {
    List<Example> pool = new ArrayList<>(train);
    int drawn = (test == null ? 1 : 0) + (validation == null ? 1 : 0);
    if (drawn > 0) {
      requireLargeClasses(drawn + 1);
    }
    List<Example> tested = part("test", test, pool, sizes.test(), Shuffle.mixed(testSeed, 0));
    List<Example> validated =
        part("validation", validation, pool, sizes.validation(), Shuffle.mixed(seed, 1));
    List<Example> trained =
        sizes.train() == null
            ? pool
            : take(
                "training", pool, Math.min(sizes.train(), pool.size()), Shuffle.mixed(seed, 2), 0);
    requireAllClasses(trained);
    return new Dataset(name, schema, trained, validated, tested);
  }

  private List<Example> part(
      String part, List<Example> given, List<Example> pool, Integer size, long seed) {
    if (given == null) {
      // One of each class at least is left, to be trained on.
      return take(part, pool, size == null ? Math.max(1, train.size() / SHARE) : size, seed, 1);
    }
    return size == null
        ? given
        : take(part, new ArrayList<>(given), Math.min(size, given.size()), seed, 0);
  }

  private List<Example> take(String part, List<Example> pool, int size, long seed, int left) {
    if (size > pool.size()) {
      throw new IllegalArgumentException(
          "task %s has %d examples for the %s part, but %d are asked for"
              .formatted(name, pool.size(), part, size));
    }
    return Stratified.drawEach(pool, schema.kind(), size, seed, left);
  }

  private void requireLargeClasses(int parts) {
    if (schema.kind() != TaskKind.CLASSIFICATION) {
      return;
    }
    Map<Integer, Integer> counts = new TreeMap<>();
    train.forEach(example -> counts.merge(example.label(), 1, Integer::sum));
    counts.forEach(
        (label, count) -> {
          if (count < parts) {
            throw new DataException(
                "task %s: label '%s' has only %d example%s, but the training file is split into %d parts; leave the label out, merge it with another, or give files for validation and test"
                    .formatted(
                        name, schema.labels().get(label), count, count == 1 ? "" : "s", parts));
          }
        });
  }

  private void requireAllClasses(List<Example> trained) {
    if (schema.kind() != TaskKind.CLASSIFICATION) {
      return;
    }
    boolean[] there = new boolean[schema.labels().size()];
    trained.forEach(example -> there[example.label()] = true);
    for (int i = 0; i < there.length; i++) {
      if (!there[i]) {
        throw new DataException(
            "task %s: no example of label '%s' is left to train on; make the validation and test parts smaller, or the training part larger"
                .formatted(name, schema.labels().get(i)));
      }
    }
  }
}
