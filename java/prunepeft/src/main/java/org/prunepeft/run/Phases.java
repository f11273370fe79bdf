package org.prunepeft.run;

import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.ToLongFunction;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.report.RunPhase;
import org.prunepeft.torch.StateExchange;

/** What the phases of a run have taken, what they took before it was cut off included. */
public final class Phases {
  private final Map<RunPhase, Taken> ended = new EnumMap<>(RunPhase.class);
  private final Map<RunPhase, Open> open = new EnumMap<>(RunPhase.class);

  /** Null: the run is on the CPU, or it is not known yet where. */
  private PeakMemory gpu;

  /**
   * What a phase took.
   *
   * @param peakBytes of memory that were resident at most; 0: not known
   * @param gpuPeakBytes of a GPU's that tensors had at most; 0: not known, or there is none
   */
  record Taken(double seconds, long peakBytes, long gpuPeakBytes) {
    private static final Taken NOTHING = new Taken(0, 0, 0);

    private Taken and(Taken later) {
      return new Taken(
          seconds + later.seconds,
          Math.max(peakBytes, later.peakBytes),
          Math.max(gpuPeakBytes, later.gpuPeakBytes));
    }
  }

  /**
   * A phase that goes on.
   *
   * @param gpu null: on the CPU
   */
  private record Open(long since, PeakMemory.Span memory, PeakMemory.Span gpu) {
    private Taken taken() {
      return new Taken(Stopwatch.seconds(since), memory.bytes(), gpu == null ? 0 : gpu.bytes());
    }

    private void end() {
      memory.end();
      if (gpu != null) {
        gpu.end();
      }
    }
  }

  /** The run is on a GPU with this memory: phases that are open or begin later count it too. */
  void on(PeakMemory memory) {
    gpu = memory;
    open.replaceAll((phase, now) -> new Open(now.since, now.memory, gpu.begin()));
  }

  /** A phase begins, or goes on. */
  public void begin(RunPhase phase) {
    open.put(
        phase,
        new Open(System.nanoTime(), PeakMemory.PROCESS.begin(), gpu == null ? null : gpu.begin()));
  }

  /** {@return the seconds that a phase has taken, now that it is over} */
  public double end(RunPhase phase) {
    Taken taken = soFar(phase);
    ended.put(phase, taken);
    open.remove(phase).end();
    return taken.seconds;
  }

  /** Adds what is known of the memory of the phases that are over to a run's result. */
  void putPeaks(Map<String, Object> result) {
    ended.forEach(
        (phase, taken) -> {
          if (taken.peakBytes > 0) {
            result.put(phase.peakMember(), taken.peakBytes);
          }
          if (taken.gpuPeakBytes > 0) {
            result.put(phase.gpuPeakMember(), taken.gpuPeakBytes);
          }
        });
  }

  /** {@return the most of all phases that are over; empty: not known} */
  OptionalLong peak() {
    return most(Taken::peakBytes);
  }

  /** {@return the same of a GPU's memory; empty: there is none, or it is not known} */
  OptionalLong gpuPeak() {
    return most(Taken::gpuPeakBytes);
  }

  private OptionalLong most(ToLongFunction<Taken> peak) {
    return ended.values().stream().mapToLong(peak).filter(bytes -> bytes > 0).max();
  }

  private Taken soFar(RunPhase phase) {
    Taken before = ended.getOrDefault(phase, Taken.NOTHING);
    Open now = open.get(phase);
    return now == null ? before : before.and(now.taken());
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
