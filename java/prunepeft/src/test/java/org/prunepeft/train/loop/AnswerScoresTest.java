package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.TrainingText.Span;
import org.prunepeft.data.batch.CharacterTokenizer;
import org.prunepeft.data.batch.Tokenizer;

class AnswerScoresTest {
  private static TrainingText turn(String answer, boolean appendEnd) {
    return new TrainingText(
        List.of(new Span("<s>so ", false), new Span(answer, true)), appendEnd, appendEnd);
  }

  @Test
  void answersEndWhereTheirTemplateEndsATurn() {
    try (Tokenizer prompter = Tokenizer.decoding(CharacterTokenizer.json(), 40)) {
      assertEquals(
          List.of("</s>"),
          AnswerScores.ends(
              List.of(turn("it</s> ", false), turn("is</s> ", false), turn("no", false)),
              prompter));
      assertEquals(List.of(), AnswerScores.ends(List.of(turn("it</s>", true)), prompter));
      // What a template writes behind the end of a last turn is not what the model is to write.
      assertEquals(
          List.of("</s>"), AnswerScores.ends(List.of(turn("it</s>\n<s>", false)), prompter));
    }
  }
}
