package org.prunepeft.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.WeakHashMap;
import java.util.concurrent.ConcurrentHashMap;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.HostMemory;
import org.prunepeft.torch.MemoryMark;

/**
 * The most memory that is taken during spans of time. Spans may overlap, those of runs that are
 * trained together: there is one mark for all, which each open span takes before it is set back.
 */
final class PeakMemory {
  /** What the process has resident, as Linux reports it. */
  static final PeakMemory PROCESS = new PeakMemory(new ResidentMark());

  private static final Map<ComputeDevice, PeakMemory> GPUS = new ConcurrentHashMap<>();

  private final MemoryMark mark;
  private final Set<Span> open = Collections.newSetFromMap(new WeakHashMap<>());

  PeakMemory(MemoryMark mark) {
    this.mark = mark;
  }

  /** What tensors take of a GPU's memory; empty: it is the CPU. */
  static Optional<PeakMemory> of(ComputeDevice device) {
    return device
        .memoryMark()
        .map(mark -> GPUS.computeIfAbsent(device, unused -> new PeakMemory(mark)));
  }

  /** Begins a span. */
  synchronized Span begin() {
    take();
    Span span = new Span();
    open.add(span);
    return span;
  }

  private void take() {
    long most = mark.take();
    open.forEach(span -> span.bytes = Math.max(span.bytes, most));
  }

  /** A span of time. */
  final class Span {
    private long bytes;

    /** {@return the bytes so far; 0: nobody tells} */
    long bytes() {
      synchronized (PeakMemory.this) {
        take();
        return bytes;
      }
    }

    /** Ends the span. */
    void end() {
      synchronized (PeakMemory.this) {
        open.remove(this);
      }
    }
  }

  /** Linux's mark. Where it can't be set back, what is resident now stands in for it. */
  private static final class ResidentMark implements MemoryMark {
    private static final HostMemory HOST = new HostMemory();

    /** 5 written there sets the mark back to what is resident now. */
    private static final Path SET_BACK = Path.of("/proc/self/clear_refs");

    private boolean marks = true;

    @Override
    public long take() {
      long most = (marks ? HOST.peak() : HOST.resident()).orElse(0);
      try {
        Files.writeString(SET_BACK, "5", StandardOpenOption.WRITE);
      } catch (IOException e) {
        marks = false;
      }
      return most;
    }
  }
}
