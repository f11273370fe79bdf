package org.prunepeft.run;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.prunepeft.torch.StateExchange;

/** How long the pieces of a run have taken, those before it was cut off included. */
public final class Times {
  private final Map<String, Double> ended = new LinkedHashMap<>();
  private final Map<String, Long> begun = new HashMap<>();

  /** A piece begins, or goes on. */
  public void begin(String piece) {
    begun.put(piece, System.nanoTime());
  }

  /** {@return the seconds that a piece has taken, now that it is over} */
  public double end(String piece) {
    double seconds = soFar(piece);
    ended.put(piece, seconds);
    begun.remove(piece);
    return seconds;
  }

  private double soFar(String piece) {
    Long since = begun.get(piece);
    return ended.getOrDefault(piece, 0.0) + (since == null ? 0 : Session.seconds(since));
  }

  void exchange(StateExchange state) {
    Map<String, Double> now = new LinkedHashMap<>(ended);
    begun.keySet().forEach(piece -> now.put(piece, soFar(piece)));
    Map<?, ?> seconds = state.value("seconds", Map.class, now);
    if (state.restoring()) {
      seconds.forEach((piece, value) -> ended.put((String) piece, ((Number) value).doubleValue()));
    }
  }
}
