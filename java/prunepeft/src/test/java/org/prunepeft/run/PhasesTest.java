package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.prunepeft.report.RunPhase;
import org.prunepeft.run.PeakMemoryTest.CountedMark;

class PhasesTest {
  private final Phases phases = new Phases();

  private Map<String, Object> result() {
    Map<String, Object> result = new LinkedHashMap<>();
    phases.putPeaks(result);
    return result;
  }

  @Test
  void eachPhaseHasThePeakOfTheGpusMemory() {
    CountedMark mark = new CountedMark();
    phases.begin(RunPhase.PREPARATION);
    // It is known by now on which device the run is.
    phases.on(new PeakMemory(mark));
    mark.take(500);
    mark.take(-300);
    phases.end(RunPhase.PREPARATION);
    phases.begin(RunPhase.TRAINING);
    mark.take(50);
    phases.end(RunPhase.TRAINING);
    Map<String, Object> result = result();
    assertEquals(500L, RunPhase.PREPARATION.gpuPeakBytes(result));
    assertEquals(250L, RunPhase.TRAINING.gpuPeakBytes(result));
    assertNull(RunPhase.SEARCH.gpuPeakBytes(result));
    assertEquals(OptionalLong.of(500), phases.gpuPeak());
  }

  @Test
  void onTheCpuThereIsNone() {
    phases.begin(RunPhase.TRAINING);
    assertTrue(phases.end(RunPhase.TRAINING) >= 0);
    assertFalse(result().containsKey(RunPhase.TRAINING.gpuPeakMember()), result().toString());
    assertTrue(phases.gpuPeak().isEmpty());
  }
}
