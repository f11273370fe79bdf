package org.prunepeft.run;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.torch.StateExchange;

/** Tells the trainings of a run apart in its metrics: the second of a name is "name (2)". */
final class TrainingNames {
  private final Map<String, Integer> begun = new HashMap<>();
  private String last;

  /** What the training that begins is called. */
  String next(String name) {
    last = name;
    int count = begun.merge(name, 1, Integer::sum);
    return count == 1 ? name : "%s (%d)".formatted(name, count);
  }

  /** The training that goes on begins again when its run is resumed. */
  void exchange(StateExchange state) {
    Map<String, Integer> before = new TreeMap<>(begun);
    if (last != null) {
      before.merge(last, -1, Integer::sum);
    }
    Map<?, ?> then = state.value("begun", Map.class, before);
    if (state.restoring()) {
      then.forEach((name, count) -> begun.put((String) name, ((Number) count).intValue()));
    }
  }
}
