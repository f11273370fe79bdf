package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Place;
import org.prunepeft.data.Schema;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;

class NotesTest {
  private static List<Example> examples(int from, int to) {
    return IntStream.range(from, to).mapToObj(i -> new Example("text " + i, null, i % 2)).toList();
  }

  private static Dataset data(List<String> labels, int testFrom) {
    Schema schema = Schema.classification(labels);
    return new Dataset(
        "t", schema, examples(0, 8), examples(8, 12), examples(testFrom, testFrom + 4));
  }

  @Test
  void nothingIsSaidOfDataAsItShouldBe() {
    Dataset data = data(List.of("a", "b"), 12);
    assertEquals(List.of(), DataNotes.of(data, SplitSizes.UNSPECIFIED));
    assertEquals(List.of(), DataNotes.of(data, new SplitSizes(8, 4, 4)));
  }

  @Test
  void partsThatAreSmallerThanAskedForAreNamed() {
    List<String> notes = DataNotes.of(data(List.of("a", "b"), 12), new SplitSizes(1000, 4, 5));
    assertEquals(2, notes.size());
    assertTrue(notes.get(0).contains("8 examples for the training part, not the 1,000"));
    assertTrue(notes.get(1).contains("4 examples for the test part, not the 5"));
  }

  @Test
  void conversationsOfSeveralTextsCountOnce() {
    List<Example> texts =
        IntStream.range(0, 8)
            .mapToObj(i -> new Example("text " + i, null, i % 2).at(new Place("a", 1 + i / 2)))
            .toList();
    Dataset data = data(List.of("a", "b"), 12);
    Dataset several = new Dataset("t", data.schema(), texts, data.validation(), data.test());
    assertEquals(List.of(), DataNotes.of(several, new SplitSizes(4, 4, 4)));
    List<String> notes = DataNotes.of(several, new SplitSizes(5, 4, 4));
    assertTrue(
        notes.get(0).contains("4 examples for the training part, not the 5"), notes::toString);
  }

  @Test
  void testTextsThatAreTrainedOnAreCounted() {
    List<String> notes = DataNotes.of(data(List.of("a", "b"), 6), SplitSizes.UNSPECIFIED);
    assertEquals(1, notes.size());
    assertTrue(notes.get(0).startsWith("2 of 4 test examples have texts that are trained on"));
    assertTrue(notes.get(0).contains("'text 6'"));
  }

  @Test
  void aPairIsTheSameIfBothOfItsTextsAre() {
    Schema pairs = new Schema(TaskKind.CLASSIFICATION, 2, List.of("a", "b"), List.of(Metric.F1));
    List<Example> train = List.of(new Example("x", "y", 0), new Example("x", "z", 1));
    List<Example> other = List.of(new Example("x", "w", 0));
    Dataset apart = new Dataset("t", pairs, train, other, List.of(new Example("z", "x", 1)));
    assertEquals(List.of(), DataNotes.of(apart, SplitSizes.UNSPECIFIED));
    Dataset same = new Dataset("t", pairs, train, other, List.of(new Example("x", "z", 0)));
    assertEquals(1, DataNotes.of(same, SplitSizes.UNSPECIFIED).size());
  }

  @ParameterizedTest
  @CsvSource({
    "'1 2 3 4 5', true",
    "'0.5 1.5 2', true",
    "'0 1 2', false",
    "'-1 1', false",
    "'one 2 3', false"
  })
  void numbersThatAreTakenForNamesOfClassesAreNamed(String labels, boolean noted) {
    List<String> notes = DataNotes.of(data(List.of(labels.split(" ")), 12), SplitSizes.UNSPECIFIED);
    assertEquals(noted, notes.stream().anyMatch(note -> note.contains("--do-regression")));
    assertEquals(noted ? 1 : 0, notes.size());
  }

  private static Evaluation evaluation(double[] gold, int... predicted) {
    Schema schema =
        new Schema(TaskKind.CLASSIFICATION, 1, List.of("no", "yes"), List.of(Metric.F1));
    float[] outputs = new float[2 * gold.length];
    for (int i = 0; i < gold.length; i++) {
      outputs[2 * i + predicted[i]] = 1;
    }
    return Evaluation.of(new Predictions(schema, outputs), gold);
  }

  @Test
  void aClassThatIsNeverFoundIsNamed() {
    double[] gold = {0, 1, 1};
    assertTrue(EpochNotes.of(evaluation(gold, 0, 1, 0), gold).isEmpty());
    String none = EpochNotes.of(evaluation(gold, 1, 0, 0), gold).orElseThrow();
    assertTrue(none.contains("F1 is 0: no example of 'yes'"), none);
    String one = EpochNotes.of(evaluation(gold, 0, 0, 0), gold).orElseThrow();
    assertTrue(one.contains("all 3 validation examples are predicted as 'no'"), one);
    assertFalse(one.contains("F1"), one);
  }

  @Test
  void metricsOfOneClassNameIt() {
    assertEquals("F1 of 'yes' 50.00 %", evaluation(new double[] {0, 1, 1}, 1, 1, 0).text());
  }

  @Test
  void examplesOfOneClassAreNamedBeforeWhatIsPredicted() {
    double[] gold = {0, 0, 0};
    for (int[] predicted : new int[][] {{0, 0, 0}, {1, 0, 1}}) {
      String note = EpochNotes.of(evaluation(gold, predicted), gold).orElseThrow();
      assertTrue(note.contains("all 3 validation examples are of one class, 'no'"), note);
    }
  }
}
