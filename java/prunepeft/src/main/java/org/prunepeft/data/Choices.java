package org.prunepeft.data;

import java.util.List;
import org.prunepeft.data.TrainingText.Span;
import org.prunepeft.text.Required;

/**
 * A question with answers to choose from, of which a language model takes the most probable.
 *
 * @param prompt what comes before an answer, without a space added
 * @param answers as they follow the prompt, 2 or more
 * @param right index of the right one
 */
public record Choices(String prompt, List<String> answers, int right) {
  /**
   * Copies the list and checks the values.
   *
   * @throws IllegalArgumentException if there are fewer than 2 answers, or none is the right one
   */
  public Choices {
    Required.present("the prompt", prompt);
    answers = List.copyOf(answers);
    if (answers.size() < 2) {
      throw new IllegalArgumentException(
          "a question needs at least 2 answers to choose from, got " + answers.size());
    }
    if (right < 0 || right >= answers.size()) {
      throw new IllegalArgumentException(
          "the right answer must have a number from 0 to %d, got %d"
              .formatted(answers.size() - 1, right));
    }
  }

  /** {@return what is learnt: the right answer, behind the prompt} */
  public TrainingText training() {
    return TrainingText.of(prompt, answers.get(right));
  }

  /** {@return each answer behind the prompt, without a token that ends the text} */
  public List<TrainingText> texts() {
    return answers.stream()
        .map(
            answer ->
                new TrainingText(
                    List.of(new Span(prompt, false), new Span(answer, true)), true, false))
        .toList();
  }

  /**
   * {@return an answer's characters without the spaces around it, 1 or more}
   *
   * @param answer its index
   */
  public int length(int answer) {
    String text = answers.get(answer).strip();
    return Math.max(1, text.codePointCount(0, text.length()));
  }
}
