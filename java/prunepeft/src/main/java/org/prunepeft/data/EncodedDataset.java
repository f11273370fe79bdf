package org.prunepeft.data;

import java.util.ArrayList;
import java.util.List;

/** Labelled examples as token ids. Immutable. */
public final class EncodedDataset {
  /** Texts that are encoded at once: enough to keep all cores busy. */
  private static final int CHUNK = 1024;

  private final Encoding[] encodings;
  private final int[] labels;

  private EncodedDataset(Encoding[] encodings, int[] labels) {
    this.encodings = encodings;
    this.labels = labels;
  }

  /** Encodes the examples, in their order. */
  public static EncodedDataset of(Tokenizer tokenizer, List<Example> examples) {
    List<Encoding> encodings = new ArrayList<>(examples.size());
    for (int from = 0; from < examples.size(); from += CHUNK) {
      List<Example> chunk = examples.subList(from, Math.min(examples.size(), from + CHUNK));
      encodings.addAll(tokenizer.encode(chunk));
    }
    return new EncodedDataset(
        encodings.toArray(Encoding[]::new), examples.stream().mapToInt(Example::label).toArray());
  }

  /**
   * Examples that are token ids already.
   *
   * @param labels the class of each
   * @throws IllegalArgumentException if there are more or fewer labels than encodings
   */
  public static EncodedDataset of(List<Encoding> encodings, int[] labels) {
    if (encodings.size() != labels.length) {
      throw new IllegalArgumentException(
          "every example needs one label, got %d examples and %d labels"
              .formatted(encodings.size(), labels.length));
    }
    return new EncodedDataset(encodings.toArray(Encoding[]::new), labels.clone());
  }

  /** How many examples. */
  public int size() {
    return labels.length;
  }

  /** [T] token ids of an example; a copy. */
  public int[] ids(int i) {
    return encodings[i].ids().clone();
  }

  /** [T] segment ids of an example; a copy. */
  public int[] types(int i) {
    return encodings[i].types().clone();
  }

  /** The class of an example. */
  public int label(int i) {
    return labels[i];
  }

  /** [size] the classes of all; a copy. */
  public int[] labels() {
    return labels.clone();
  }

  /**
   * Some of the examples, in the order of the indices.
   *
   * @throws IndexOutOfBoundsException if an index is out of range
   */
  public EncodedDataset subset(List<Integer> indices) {
    return new EncodedDataset(
        indices.stream().map(i -> encodings[i]).toArray(Encoding[]::new),
        indices.stream().mapToInt(i -> labels[i]).toArray());
  }

  /** Tokens of all examples, special tokens included, padding not. */
  public long tokens() {
    long tokens = 0;
    for (Encoding encoding : encodings) {
      tokens += encoding.ids().length;
    }
    return tokens;
  }

  int length(int i) {
    return encodings[i].ids().length;
  }

  /** Not a copy. */
  Encoding encoding(int i) {
    return encodings[i];
  }
}
