package org.prunepeft.data.batch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.TrainingText.Span;

/**
 * Training texts of a language model as token ids with labels, in their order.
 *
 * @param data an example each, whose target is the number of tokens that contribute to the loss
 * @param cut which were longer than the tokenizer's maximum length, and end there
 * @param unlearnt of how many no token contributes to the loss
 */
public record EncodedTexts(EncodedDataset data, BitSet cut, int unlearnt) {
  /** Texts that are encoded at once: enough to keep all cores busy. */
  private static final int CHUNK = 1024;

  /** A text, and whether it was cut. */
  private record EncodedText(Encoding encoding, boolean cut) {}

  /**
   * {@return texts as the tokenizer encodes them}
   *
   * @param end id of the token that ends a text; empty: none is appended
   */
  public static EncodedTexts of(Tokenizer tokenizer, List<TrainingText> texts, OptionalInt end) {
    return of(tokenizer, texts, end, () -> {});
  }

  /**
   * The same for work that takes long.
   *
   * @param beforeEach is called before some texts at a time; what it throws ends the work
   */
  public static EncodedTexts of(
      Tokenizer tokenizer, List<TrainingText> texts, OptionalInt end, Runnable beforeEach) {
    List<EncodedText> encoded = new ArrayList<>(texts.size());
    for (int from = 0; from < texts.size(); from += CHUNK) {
      beforeEach.run();
      texts.subList(from, Math.min(texts.size(), from + CHUNK)).parallelStream()
          .map(text -> text(tokenizer, text, end))
          .forEachOrdered(encoded::add);
    }
    EncodedDataset data =
        EncodedDataset.labelled(encoded.stream().map(EncodedText::encoding).toList());
    BitSet cut = new BitSet();
    IntStream.range(0, encoded.size()).filter(i -> encoded.get(i).cut).forEach(cut::set);
    return new EncodedTexts(
        data, cut, (int) encoded.stream().filter(text -> text.encoding.learnt() == 0).count());
  }

  /** Some of the texts, in the order of the indices. */
  EncodedTexts subset(List<Integer> indices) {
    BitSet some = new BitSet();
    IntStream.range(0, indices.size()).filter(i -> cut.get(indices.get(i))).forEach(some::set);
    EncodedDataset texts = data.subset(indices);
    int none = (int) Arrays.stream(texts.targets()).filter(learnt -> learnt == 0).count();
    return new EncodedTexts(texts, some, none);
  }

  private static EncodedText text(Tokenizer tokenizer, TrainingText text, OptionalInt end) {
    Tokenizer.Tokens tokens = tokenizer.tokens(text.text(), text.addSpecialTokens());
    int count = tokens.ids().length;
    boolean append =
        text.appendEnd()
            && end.isPresent()
            && !tokens.cut()
            && (count == 0 || tokens.ids()[count - 1] != end.getAsInt());
    // A text without room for its end was cut too.
    boolean cut = tokens.cut() || append && count == tokenizer.maxLength();
    append &= !cut;
    int[] ids = Arrays.copyOf(tokens.ids(), append ? count + 1 : count);
    boolean[] trained = new boolean[ids.length];
    if (append) {
      ids[count] = end.getAsInt();
      trained[count] = text.endTrained();
    }
    boolean[] characters = trainedCharacters(text);
    boolean inText = false;
    for (int i = 0; i < count; i++) {
      int begin = tokens.begins()[i];
      inText |= begin >= 0;
      // What the tokenizer adds behind the text is its end.
      trained[i] = begin >= 0 ? characters[begin] : inText && !cut && text.endTrained();
    }
    return new EncodedText(Encoding.labelled(ids, trained), cut);
  }

  /** By code point, as tokens' places are counted. */
  private static boolean[] trainedCharacters(TrainingText text) {
    String whole = text.text();
    boolean[] trained = new boolean[whole.codePointCount(0, whole.length()) + 1];
    int from = 0;
    for (Span span : text.spans()) {
      int to = from + span.text().codePointCount(0, span.text().length());
      Arrays.fill(trained, from, to, span.trained());
      from = to;
    }
    return trained;
  }
}
