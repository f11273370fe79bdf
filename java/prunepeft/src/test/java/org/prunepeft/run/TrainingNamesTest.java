package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.prunepeft.torch.StateExchange;

class TrainingNamesTest {
  /** A checkpoint of values alone. */
  private record Values(boolean restoring, Map<String, Object> kept) implements StateExchange {
    @Override
    public void tensor(String name, Tensor tensor) {
      throw new AssertionError(name);
    }

    @Override
    public float[] floats(String name, float[] now) {
      throw new AssertionError(name);
    }

    @Override
    public <T> T value(String name, Class<T> type, T now) {
      if (!restoring) {
        kept.put(name, now);
      }
      return type.cast(kept.get(name));
    }

    @Override
    public StateExchange part(String name) {
      throw new AssertionError(name);
    }
  }

  @Test
  void aNameThatWasThereIsNumbered() {
    TrainingNames names = new TrainingNames();
    assertEquals("turn 1", names.next("turn 1"));
    assertEquals("round 1", names.next("round 1"));
    assertEquals("turn 1 (2)", names.next("turn 1"));
    assertEquals("turn 1 (3)", names.next("turn 1"));
  }

  @Test
  void aTrainingThatGoesOnKeepsItsName() {
    TrainingNames names = new TrainingNames();
    names.next("turn 1");
    names.next("turn 1");
    Map<String, Object> kept = new HashMap<>();
    names.exchange(new Values(false, kept));
    TrainingNames resumed = new TrainingNames();
    resumed.exchange(new Values(true, kept));
    assertEquals("turn 1 (2)", resumed.next("turn 1"));
    assertEquals("turn 1 (3)", resumed.next("turn 1"));
  }
}
