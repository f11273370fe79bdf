package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Choices;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.batch.Answers;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.EncodedTexts;
import org.prunepeft.data.batch.Encoding;
import org.prunepeft.train.Predictions;

class ChoiceScoresTest {
  private static final Schema SCHEMA =
      Schema.languageModeling().withMetrics(List.of(Metric.ACCURACY_NORM, Metric.ACCURACY));

  /** Tokens that are learnt of each answer: 1, 2; 1, 1, 3. */
  private static final EncodedDataset TEXTS =
      EncodedDataset.labelled(List.of(text(1), text(2), text(1), text(1), text(3)));

  /** By token. By text: -1, -3; -4, -2, -3. */
  private static final float[] BY_TOKEN = {-1, -1.5f, -4, -2, -1};

  private static Encoding text(int learnt) {
    boolean[] trained = new boolean[learnt + 1];
    Arrays.fill(trained, 1, learnt + 1, true);
    return Encoding.labelled(new int[learnt + 1], trained);
  }

  private static Answers answers(int... cut) {
    BitSet cutTexts = new BitSet();
    for (int text : cut) {
      cutTexts.set(text);
    }
    return new Answers(
        SCHEMA,
        List.of(
            question(new Choices("a", List.of(" b", " long answer"), 0)),
            question(new Choices("c", List.of(" d", " e", " of many characters"), 1))),
        new EncodedTexts(TEXTS, cutTexts, 0),
        null,
        1);
  }

  private static Example question(Choices choices) {
    return Example.of(choices);
  }

  private static ChoiceScores scores(Answers answers, float... byToken) {
    return new ChoiceScores(answers, new Predictions(Schema.languageModeling(), byToken));
  }

  @Test
  void theMostProbableAnswerIsChosenAsATextOrByCharacter() {
    ChoiceScores scores = scores(answers(), BY_TOKEN);
    assertArrayEquals(new boolean[] {true, true}, scores.chosen(Metric.ACCURACY));
    // By character -1 and -3 / 11; -4, -2 and -3 / 18.
    assertArrayEquals(new boolean[] {false, false}, scores.chosen(Metric.ACCURACY_NORM));
  }

  @Test
  void probabilitiesAreThoseAmongTheAnswers() {
    ChoiceScores scores = scores(answers(), BY_TOKEN);
    assertEquals(1 / (1 + Math.exp(-2)), scores.probability(0, Metric.ACCURACY), 1e-6);
    assertEquals(
        1 / (1 + Math.exp(-2) + Math.exp(-1)), scores.probability(1, Metric.ACCURACY), 1e-6);
    assertEquals(
        1 / (1 + Math.exp(1 - 3.0 / 11)), scores.probability(0, Metric.ACCURACY_NORM), 1e-6);
  }

  @Test
  void aQuestionWithACutAnswerHasNone() {
    ChoiceScores scores = scores(answers(4), BY_TOKEN);
    assertArrayEquals(new boolean[] {true, false}, scores.chosen(Metric.ACCURACY));
    assertEquals(0, scores.probability(1, Metric.ACCURACY));
  }

  @Test
  void someQuestionsKeepTheirAnswers() {
    EncodedDataset data =
        EncodedDataset.labelled(List.of(text(1), text(1))).withAnswers(answers(4));
    Answers second = data.subset(List.of(1)).answers();
    assertEquals(List.of(answers().examples().get(1)), second.examples());
    assertEquals(3, second.choices().data().size());
    assertEquals(3, second.choices().data().target(2));
    assertEquals(1, second.cutQuestions().cardinality());
    Answers turned = data.subset(List.of(1, 0)).answers();
    ChoiceScores scores = scores(turned, -4, -2, -1, -1, -1.5f);
    assertArrayEquals(new boolean[] {false, true}, scores.chosen(Metric.ACCURACY));
    assertEquals(Metric.ACCURACY_NORM, turned.choosing());
  }
}
