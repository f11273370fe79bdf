package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.List;
import org.prunepeft.torch.RecordedWork;

/**
 * Records what it is given, as work and not as kernels: what it launches again is the work of the
 * first recording, with whatever that held.
 */
public final class RecorderStandIn implements RecordedWork.Recorder {
  /** What it was asked to do, in order: rehearse, record, launch, close. */
  public final List<String> calls = new ArrayList<>();

  /** Whether it launches now, which on a GPU calls nothing. */
  public boolean launching;

  /** Thrown in place of a recording; null: nothing. */
  public RuntimeException refusal;

  @Override
  public void rehearse(Runnable work) {
    calls.add("rehearse");
    work.run();
  }

  @Override
  public RecordedWork.Recording record(Runnable work) {
    calls.add("record");
    if (refusal != null) {
      throw refusal;
    }
    return new RecordedWork.Recording() {
      @Override
      public void launch() {
        calls.add("launch");
        launching = true;
        work.run();
        launching = false;
      }

      @Override
      public void close() {
        calls.add("close");
      }
    };
  }

  public long count(String call) {
    return calls.stream().filter(call::equals).count();
  }
}
