package org.prunepeft.data.batch;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.prunepeft.data.Example;
import org.prunepeft.data.PairEncoding;

/**
 * Examples as token ids, with their targets: of a language model, which has labels instead, how
 * many tokens contribute to the loss. Immutable.
 */
public final class EncodedDataset {
  /** Texts that are encoded at once: enough to keep all cores busy. */
  private static final int CHUNK = 1024;

  /** [examples · towers], the texts of an example one after the other. */
  private final Encoding[] encodings;

  private final double[] targets;
  private final int towers;

  /** What a language model is asked beside it; null: nothing. */
  private final Answers answers;

  private EncodedDataset(Encoding[] encodings, double[] targets, int towers) {
    this(encodings, targets, towers, null);
  }

  private EncodedDataset(Encoding[] encodings, double[] targets, int towers, Answers answers) {
    this.encodings = encodings;
    this.targets = targets;
    this.towers = towers;
    this.answers = answers;
  }

  /** Encodes the examples, in their order, the two texts of a pair jointly. */
  public static EncodedDataset of(Tokenizer tokenizer, List<Example> examples) {
    return of(tokenizer, examples, PairEncoding.JOINT);
  }

  /**
   * Encodes the examples, in their order.
   *
   * @param pairs {@link PairEncoding#SEPARATE}: all examples are pairs, whose texts are encoded by
   *     themselves; else pairs are encoded jointly
   */
  public static EncodedDataset of(Tokenizer tokenizer, List<Example> examples, PairEncoding pairs) {
    return of(tokenizer, examples, pairs, () -> {});
  }

  /**
   * The same for work that takes long.
   *
   * @param beforeEach is called before some texts at a time; what it throws ends the work
   */
  public static EncodedDataset of(
      Tokenizer tokenizer, List<Example> examples, PairEncoding pairs, Runnable beforeEach) {
    boolean separate = pairs == PairEncoding.SEPARATE;
    List<Encoding> encodings = new ArrayList<>(examples.size());
    for (int from = 0; from < examples.size(); from += CHUNK) {
      beforeEach.run();
      List<Example> chunk = examples.subList(from, Math.min(examples.size(), from + CHUNK));
      encodings.addAll(tokenizer.encode(separate ? texts(chunk) : chunk));
    }
    return new EncodedDataset(
        encodings.toArray(Encoding[]::new),
        examples.stream().mapToDouble(Example::target).toArray(),
        separate ? 2 : 1);
  }

  private static List<Example> texts(List<Example> pairs) {
    return pairs.stream()
        .flatMap(pair -> Stream.of(pair.text(), pair.pair()))
        .map(text -> new Example(text, null, Example.UNLABELLED))
        .toList();
  }

  static double[] unlabelled(int examples) {
    double[] targets = new double[examples];
    Arrays.fill(targets, Example.UNLABELLED);
    return targets;
  }

  /**
   * Examples that are token ids already.
   *
   * @param targets of each: the number of its class, or the number to be predicted
   * @throws IllegalArgumentException if there are more or fewer targets than encodings
   */
  public static EncodedDataset of(List<Encoding> encodings, double[] targets) {
    return of(encodings, targets, 1);
  }

  /**
   * The same where each example has several texts.
   *
   * @param encodings the texts of an example one after the other
   * @param targets of each example
   * @param towers texts of an example, 1 or 2
   * @throws IllegalArgumentException if there are not so many encodings for each target
   */
  public static EncodedDataset of(List<Encoding> encodings, double[] targets, int towers) {
    if (encodings.size() != targets.length * towers) {
      throw new IllegalArgumentException(
          "every example needs one target and %d encodings, got %d encodings and %d targets"
              .formatted(towers, encodings.size(), targets.length));
    }
    return new EncodedDataset(encodings.toArray(Encoding[]::new), targets.clone(), towers);
  }

  /**
   * Texts that a language model learns from; an example's target is the number of its tokens that
   * contribute to the loss.
   */
  public static EncodedDataset labelled(List<Encoding> encodings) {
    return of(encodings, encodings.stream().mapToDouble(Encoding::learnt).toArray());
  }

  /**
   * Of texts that a language model learns from, those with a token that contributes to the loss.
   */
  public EncodedDataset learnt() {
    return subset(IntStream.range(0, size()).filter(i -> targets[i] > 0).boxed().toList());
  }

  /**
   * Puts texts that a language model learns from together into rows: the longest first, each into
   * the row that it leaves the least room in (best-fit decreasing). Attention does not cross the
   * texts of a row.
   *
   * @param length tokens of a row at most; none of the texts has more
   * @return an example each row
   */
  public EncodedDataset packed(int length) {
    List<Encoding> longestFirst =
        Arrays.stream(encodings)
            .sorted(Comparator.comparingInt((Encoding encoding) -> -encoding.ids().length))
            .toList();
    List<List<Encoding>> rows = new ArrayList<>();
    // By the room that is left.
    TreeMap<Integer, Deque<List<Encoding>>> open = new TreeMap<>();
    for (Encoding encoding : longestFirst) {
      int tokens = encoding.ids().length;
      Map.Entry<Integer, Deque<List<Encoding>>> fitting = open.ceilingEntry(tokens);
      int room = fitting == null ? length : fitting.getKey();
      List<Encoding> row;
      if (fitting == null) {
        row = new ArrayList<>();
        rows.add(row);
      } else {
        row = fitting.getValue().remove();
        if (fitting.getValue().isEmpty()) {
          open.remove(room);
        }
      }
      row.add(encoding);
      open.computeIfAbsent(room - tokens, key -> new ArrayDeque<>()).add(row);
    }
    return labelled(rows.stream().map(Encoding::row).toList());
  }

  /** What an epoch's mean loss is over: examples; of a language model the tokens to learn. */
  public long weight() {
    return encodings.length > 0 && encodings[0].labels() != null
        ? (long) Arrays.stream(targets).sum()
        : size();
  }

  /**
   * The same examples, of which a language model is asked more than their likelihoods.
   *
   * @param asked of the same examples; null: nothing
   */
  public EncodedDataset withAnswers(Answers asked) {
    return new EncodedDataset(encodings, targets, towers, asked);
  }

  /** What a language model is asked beside the likelihoods; null: nothing. */
  public Answers answers() {
    return answers;
  }

  /** How many examples. */
  public int size() {
    return targets.length;
  }

  /** Texts of an example that are encoded by themselves: 2 of pairs that are so, else 1. */
  public int towers() {
    return towers;
  }

  /** The texts as examples of their own, without targets. */
  public EncodedDataset texts() {
    return towers == 1 ? this : new EncodedDataset(encodings, unlabelled(encodings.length), 1);
  }

  /** The number of an example's class, or the number to be predicted; NaN if not known. */
  public double target(int i) {
    return targets[i];
  }

  /** [size] the targets of all; a copy. */
  public double[] targets() {
    return targets.clone();
  }

  /**
   * Some of the examples, in the order of the indices, with what is asked of them.
   *
   * @throws IndexOutOfBoundsException if an index is out of range
   */
  public EncodedDataset subset(List<Integer> indices) {
    return new EncodedDataset(
        indices.stream()
            .flatMap(i -> Arrays.stream(encodings, i * towers, (i + 1) * towers))
            .toArray(Encoding[]::new),
        indices.stream().mapToDouble(i -> targets[i]).toArray(),
        towers,
        answers == null ? null : answers.subset(indices));
  }

  /** Tokens of all examples, special tokens included, padding not. */
  public long tokens() {
    long tokens = 0;
    for (Encoding encoding : encodings) {
      tokens += encoding.ids().length;
    }
    return tokens;
  }

  /** Tokens of an example's longest text, special tokens included. */
  public int length(int i) {
    int length = 0;
    for (int text = i * towers; text < (i + 1) * towers; text++) {
      length = Math.max(length, encodings[text].ids().length);
    }
    return length;
  }

  /** The largest token id of an example, whose texts are encoded jointly; -1 if it has no token. */
  public int largestId(int i) {
    return Arrays.stream(encodings[i].ids()).max().orElse(-1);
  }

  /** That of a text; not a copy. */
  Encoding encoding(int i) {
    return encodings[i];
  }
}
