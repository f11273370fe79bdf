package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.measured.Cost;
import org.prunepeft.settings.MeasuringSettings;

class ConfigurationCostsTest {
  private static final List<Cost> COSTS =
      ConfigurationCosts.of(MeasuringSettings.OBJECTIVES, KnownRun.ENCODER, KnownRun.SPACE, true);

  @Test
  void eachObjectiveIsACostOfItsName() {
    assertEquals(MeasuringSettings.OBJECTIVES, COSTS.stream().map(Cost::name).toList());
  }

  @Test
  void costsAreThoseOfCountedOperationsAndWeights() {
    assertEquals(
        List.of(192.0, 1.0, 1.0, 4 * 128.0),
        COSTS.stream().map(cost -> cost.of(KnownRun.ALL)).toList());
    // LoRA is merged: no multiplication, no byte.
    assertEquals(
        List.of(32.0, 352.0 / 1088, 256.0 / 384, 0.0),
        COSTS.stream().map(cost -> cost.of(KnownRun.KEPT)).toList());
    assertEquals(0, COSTS.get(3).of(List.of()));
    // Of latency the frozen encoder's pass is there whatever is kept.
    assertEquals(List.of(0.0, 0.0, 256.0 / 384, 0.0), COSTS.stream().map(Cost::fixed).toList());
  }
}
