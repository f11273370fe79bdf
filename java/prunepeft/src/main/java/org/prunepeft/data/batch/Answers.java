package org.prunepeft.data.batch;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TrainingText;

/**
 * What a language model is asked, beside how probable its texts are.
 *
 * @param schema with the metrics of the answers
 * @param examples in the data set's order
 * @param choices texts of all answers to choose from, one question's after the other; null: none
 *     are asked for
 * @param prompter reads and writes the texts that are to be written; stays the caller's; null: none
 *     are
 * @param maxNewTokens the most tokens that are written as an answer
 */
public record Answers(
    Schema schema,
    List<Example> examples,
    EncodedTexts choices,
    Tokenizer prompter,
    int maxNewTokens) {
  /**
   * {@return what the metrics need; null if it is nothing beside the texts' likelihoods}
   *
   * @param tokenizer by which the texts are encoded
   * @throws IllegalArgumentException if an example has not what a metric needs
   */
  public static Answers of(
      Schema schema,
      List<Example> examples,
      Tokenizer tokenizer,
      Tokenizer prompter,
      int maxNewTokens) {
    if (schema.outputs() == 1 || examples.isEmpty()) {
      return null;
    }
    examples.forEach(schema::requireAnswers);
    EncodedTexts choices = null;
    if (schema.metrics().stream().anyMatch(Metric::chooses)) {
      List<TrainingText> texts = new ArrayList<>();
      examples.forEach(example -> texts.addAll(example.choices().texts()));
      choices = EncodedTexts.of(tokenizer, texts, OptionalInt.empty());
    }
    return new Answers(schema, examples, choices, prompter, maxNewTokens);
  }

  /** {@return the metric that is named first, if by it an answer is chosen; else null} */
  public Metric choosing() {
    return schema.primary().chooses() ? schema.primary() : null;
  }

  /** What some of the examples are asked, in the order of the indices. */
  Answers subset(List<Integer> indices) {
    List<Example> some = indices.stream().map(examples::get).toList();
    if (choices == null) {
      return new Answers(schema, some, null, prompter, maxNewTokens);
    }
    int[] first = new int[examples.size() + 1];
    for (int i = 0; i < examples.size(); i++) {
      first[i + 1] = first[i] + examples.get(i).choices().answers().size();
    }
    List<Integer> texts =
        indices.stream().flatMap(i -> IntStream.range(first[i], first[i + 1]).boxed()).toList();
    return new Answers(schema, some, choices.subset(texts), prompter, maxNewTokens);
  }

  /**
   * {@return which questions have an answer that was cut: the rest of one is more probable than it,
   * so that none of theirs can be chosen}
   */
  public BitSet cutQuestions() {
    BitSet cut = new BitSet();
    int first = 0;
    for (int i = 0; choices != null && i < examples.size(); i++) {
      int next = first + examples.get(i).choices().answers().size();
      cut.set(i, !choices.cut().get(first, next).isEmpty());
      first = next;
    }
    return cut;
  }
}
