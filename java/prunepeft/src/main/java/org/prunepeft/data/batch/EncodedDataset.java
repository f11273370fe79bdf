package org.prunepeft.data.batch;

import java.util.ArrayList;
import java.util.List;
import org.prunepeft.data.Example;

/** Examples as token ids, with their targets. Immutable. */
public final class EncodedDataset {
  /** Texts that are encoded at once: enough to keep all cores busy. */
  private static final int CHUNK = 1024;

  private final Encoding[] encodings;
  private final double[] targets;

  private EncodedDataset(Encoding[] encodings, double[] targets) {
    this.encodings = encodings;
    this.targets = targets;
  }

  /** Encodes the examples, in their order. */
  public static EncodedDataset of(Tokenizer tokenizer, List<Example> examples) {
    List<Encoding> encodings = new ArrayList<>(examples.size());
    for (int from = 0; from < examples.size(); from += CHUNK) {
      List<Example> chunk = examples.subList(from, Math.min(examples.size(), from + CHUNK));
      encodings.addAll(tokenizer.encode(chunk));
    }
    return new EncodedDataset(
        encodings.toArray(Encoding[]::new),
        examples.stream().mapToDouble(Example::target).toArray());
  }

  /**
   * Examples that are token ids already.
   *
   * @param targets of each: the number of its class, or the number to be predicted
   * @throws IllegalArgumentException if there are more or fewer targets than encodings
   */
  public static EncodedDataset of(List<Encoding> encodings, double[] targets) {
    if (encodings.size() != targets.length) {
      throw new IllegalArgumentException(
          "every example needs one target, got %d examples and %d targets"
              .formatted(encodings.size(), targets.length));
    }
    return new EncodedDataset(encodings.toArray(Encoding[]::new), targets.clone());
  }

  /** How many examples. */
  public int size() {
    return targets.length;
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
   * Some of the examples, in the order of the indices.
   *
   * @throws IndexOutOfBoundsException if an index is out of range
   */
  public EncodedDataset subset(List<Integer> indices) {
    return new EncodedDataset(
        indices.stream().map(i -> encodings[i]).toArray(Encoding[]::new),
        indices.stream().mapToDouble(i -> targets[i]).toArray());
  }

  /** Tokens of all examples, special tokens included, padding not. */
  public long tokens() {
    long tokens = 0;
    for (Encoding encoding : encodings) {
      tokens += encoding.ids().length;
    }
    return tokens;
  }

  /** Tokens of an example, special tokens included. */
  public int length(int i) {
    return encodings[i].ids().length;
  }

  /** Not a copy. */
  Encoding encoding(int i) {
    return encodings[i];
  }
}
