package org.prunepeft.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SchemaTest {
  private static final Schema PAIRS =
      new Schema(
          TaskKind.CLASSIFICATION,
          2,
          List.of("not_equivalent", "equivalent"),
          List.of(Metric.ACCURACY_AND_F1, Metric.ACCURACY, Metric.F1));

  @Test
  void firstMetricIsPrimary() {
    assertEquals(Metric.ACCURACY_AND_F1, PAIRS.primary());
    assertEquals(Metric.PEARSON, Schema.regression().primary());
  }

  @Test
  void classificationHasAnOutputForEachClassAndRegressionOne() {
    assertEquals(2, PAIRS.outputs());
    assertEquals(3, Schema.classification(List.of("a", "b", "c")).outputs());
    assertEquals(1, Schema.regression().outputs());
  }

  @Test
  void mapIsReadBack() {
    for (Schema schema : List.of(PAIRS, Schema.regression(), Schema.languageModeling())) {
      Map<String, Object> map = new HashMap<>(schema.toMap());
      map.put("other", 1);
      assertEquals(schema, Schema.fromMap(map));
    }
    assertEquals(
        Map.of(
            "problem_type",
            "single_label_classification",
            "text_columns",
            2,
            "labels",
            List.of("not_equivalent", "equivalent"),
            "metrics",
            List.of("accuracy_and_f1", "accuracy", "f1")),
        PAIRS.toMap());
  }

  @Test
  void keyThatIsMissingOrUnfitIsNamed() {
    for (String key : PAIRS.toMap().keySet()) {
      Map<String, Object> map = new HashMap<>(PAIRS.toMap());
      map.remove(key);
      Exception e = assertThrows(IllegalArgumentException.class, () -> Schema.fromMap(map));
      assertEquals(key + " describes no task, got nothing", e.getMessage());
      map.put(key, Map.of());
      assertThrows(IllegalArgumentException.class, () -> Schema.fromMap(map));
    }
  }

  @Test
  void metricMustFitTheTask() {
    List<String> three = List.of("a", "b", "c");
    for (Metric metric : Metric.values()) {
      if (metric.binary() || !metric.measures(TaskKind.CLASSIFICATION)) {
        assertThrows(
            IllegalArgumentException.class,
            () -> new Schema(TaskKind.CLASSIFICATION, 1, three, List.of(metric)));
      } else {
        assertEquals(
            metric, new Schema(TaskKind.CLASSIFICATION, 1, three, List.of(metric)).primary());
      }
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> new Schema(TaskKind.REGRESSION, 1, List.of(), List.of(Metric.ACCURACY)));
    assertThrows(
        IllegalArgumentException.class,
        () -> new Schema(TaskKind.REGRESSION, 1, List.of(), List.of()));
  }

  @Test
  void whatMeasuresMoreThanTwoClassesIsNamed() {
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Schema.classification(List.of("a", "b", "c")).withMetrics(List.of(Metric.F1)));
    assertTrue(e.getMessage().endsWith("only one of two; take macro_f1 or accuracy"));
  }

  @Test
  void labelsMustBeTwoOrMoreAndDiffer() {
    assertThrows(IllegalArgumentException.class, () -> Schema.classification(List.of("only")));
    assertThrows(IllegalArgumentException.class, () -> Schema.classification(List.of("a", "a")));
    assertThrows(
        IllegalArgumentException.class,
        () -> new Schema(TaskKind.REGRESSION, 1, List.of("a"), List.of(Metric.PEARSON)));
  }

  @Test
  void metricIsFoundByItsKeyAndTheNearestIsSuggested() {
    for (Metric metric : Metric.values()) {
      assertEquals(metric, Metric.byKey(metric.key()));
    }
    Exception e = assertThrows(IllegalArgumentException.class, () -> Metric.byKey("acuracy"));
    assertTrue(
        e.getMessage().startsWith("unknown metric 'acuracy'; did you mean accuracy?"),
        e.getMessage());
  }

  @Test
  void datasetRefusesWhatTheTaskDoesNotHave() {
    Schema classes = Schema.classification(List.of("a", "b"));
    refused(classes, new Example("text", null, 2), "below 2, the number of classes, got 2.0");
    refused(classes, new Example("text", null, -1), "got -1.0 (train example 1)");
    refused(classes, new Example("text", null, 0.5), "whole number");
    refused(classes, new Example("text", "pair", 0), "as many texts as the task, 1");
    refused(PAIRS, new Example("text", null, 0), "as many texts as the task, 2");
    refused(classes, new Example("text", null, Example.UNLABELLED), "needs a target");
    refused(Schema.regression(), new Example("text", null, Example.UNLABELLED), "needs a target");
  }

  private static void refused(Schema schema, Example example, String message) {
    Example right = new Example("right", schema.textColumns() == 2 ? "pair" : null, 1);
    new Dataset("data", schema, List.of(right), List.of(right), List.of(right));
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> new Dataset("data", schema, List.of(right, example), List.of(), List.of()));
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void labelIsTheTargetOfAClass() {
    assertEquals(3, new Example("text", null, 3).label());
    assertThrows(
        IllegalStateException.class, () -> new Example("text", null, Example.UNLABELLED).label());
    assertThrows(IllegalStateException.class, () -> new Example("text", null, 1.5).label());
    assertThrows(
        IllegalArgumentException.class, () -> new Example("text", null, Double.POSITIVE_INFINITY));
  }
}
