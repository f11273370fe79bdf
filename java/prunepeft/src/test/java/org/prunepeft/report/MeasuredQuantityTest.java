package org.prunepeft.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;

class MeasuredQuantityTest {
  @Test
  void classesAreMeasuredByAccuracyAndNumbersByTheVarianceThatIsPredicted() {
    assertEquals(
        new MeasuredQuantity("accuracy", true),
        MeasuredQuantity.of(
            new Schema(TaskKind.CLASSIFICATION, 1, List.of("a", "b"), List.of(Metric.F1))));
    assertEquals(new MeasuredQuantity("R²", false), MeasuredQuantity.of(Schema.regression()));
  }
}
