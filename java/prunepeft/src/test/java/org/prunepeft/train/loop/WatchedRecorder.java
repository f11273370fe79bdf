package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.List;
import org.prunepeft.torch.RecordedWork;

/** Counts another one's recordings and launches, and notes what goes wrong with them. */
final class WatchedRecorder implements RecordedWork.Recorder {
  final List<String> failures = new ArrayList<>();
  int recordings;
  int launches;

  /** From then on recordings are closed for a good reason. */
  boolean over;

  private final RecordedWork.Recorder recorder;

  WatchedRecorder(RecordedWork.Recorder recorder) {
    this.recorder = recorder;
  }

  @Override
  public void rehearse(Runnable work) {
    recorder.rehearse(work);
  }

  @Override
  public RecordedWork.Recording record(Runnable work) {
    RecordedWork.Recording recording;
    try {
      recording = recorder.record(work);
    } catch (RuntimeException e) {
      failures.add("not recorded: " + e.getMessage());
      throw e;
    }
    recordings++;
    return new RecordedWork.Recording() {
      @Override
      public void launch() {
        launches++;
        recording.launch();
      }

      @Override
      public void close() {
        if (!over) {
          failures.add("its launch differs from its calls");
        }
        recording.close();
      }
    };
  }
}
