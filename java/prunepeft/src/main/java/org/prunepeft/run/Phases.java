package org.prunepeft.run;

import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.report.RunPhase;
import org.prunepeft.torch.StateExchange;

/** What the phases of a run have taken, what they took before it was cut off included. */
public final class Phases {
  private final Map<RunPhase, Taken> ended = new EnumMap<>(RunPhase.class);
  private final Map<RunPhase, Open> open = new EnumMap<>(RunPhase.class);

  /**
   * What a phase took.
   *
   * @param peakBytes of memory that were resident at most; 0: not known
   */
  record Taken(double seconds, long peakBytes) {
    private static final Taken NOTHING = new Taken(0, 0);

    private Taken and(Taken later) {
      return new Taken(seconds + later.seconds, Math.max(peakBytes, later.peakBytes));
    }
  }

  /** A phase that goes on. */
  private record Open(long since, PeakMemory memory) {}

  /** A phase begins, or goes on. */
  public void begin(RunPhase phase) {
    open.put(phase, new Open(System.nanoTime(), PeakMemory.begin()));
  }

  /** {@return the seconds that a phase has taken, now that it is over} */
  public double end(RunPhase phase) {
    Taken taken = soFar(phase);
    ended.put(phase, taken);
    open.remove(phase).memory.end();
    return taken.seconds;
  }

  /** Adds what is known of the memory of the phases that are over to a run's result. */
  void putPeaks(Map<String, Object> result) {
    ended.forEach(
        (phase, taken) -> {
          if (taken.peakBytes > 0) {
            result.put(phase.peakMember(), taken.peakBytes);
          }
        });
  }

  /** {@return the most of all phases that are over; empty: not known} */
  OptionalLong peak() {
    return ended.values().stream().mapToLong(Taken::peakBytes).filter(peak -> peak > 0).max();
  }

  private Taken soFar(RunPhase phase) {
    Taken before = ended.getOrDefault(phase, Taken.NOTHING);
    Open now = open.get(phase);
    return now == null
        ? before
        : before.and(new Taken(Session.seconds(now.since), now.memory.bytes()));
  }

  void exchange(StateExchange state) {
    Map<String, Taken> now = new LinkedHashMap<>();
    for (RunPhase phase : RunPhase.values()) {
      now.put(phase.toString(), soFar(phase));
    }
    Map<?, ?> taken = state.value("taken", Map.class, now);
    if (state.restoring()) {
      for (RunPhase phase : RunPhase.values()) {
        ended.put(phase, RunDirectory.convert(taken.get(phase.toString()), Taken.class));
      }
    }
  }
}
