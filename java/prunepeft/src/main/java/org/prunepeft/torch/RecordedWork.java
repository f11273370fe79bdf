package org.prunepeft.torch;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Work that is done over and over on the same tensors, and that on a GPU is recorded once as a CUDA
 * graph and then launched as one: for the parts of a step that are many small kernels. On the CPU
 * it runs call by call.
 *
 * <p>A graph keeps what its calls were given. So the work may read and write the same tensors each
 * time, whose contents change from run to run; numbers and shapes that it takes from elsewhere may
 * not change. It must not wait for the device, copy from or to the host, or leave a tensor behind.
 *
 * <p>It runs call by call a few times first, so that what libraries load and allocate is there. The
 * system property {@code prunepeft.cuda-graphs=false} leaves it at that. Not for two threads at
 * once.
 */
public final class RecordedWork implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(RecordedWork.class);
  private static final String SWITCH = "prunepeft.cuda-graphs";
  private static final int REHEARSALS = 2;

  /** Where work is recorded. */
  public interface Recorder {
    /**
     * Runs the work as it will be recorded, and waits for its end.
     *
     * @param work what it throws is thrown
     */
    void rehearse(Runnable work);

    /**
     * Records the work, which is not carried out.
     *
     * @param work what it throws is thrown
     * @return the recording, the caller's to close
     */
    Recording record(Runnable work);
  }

  /** What was recorded. */
  public interface Recording extends AutoCloseable {
    /** Enqueues the work behind what the calling thread has enqueued. */
    void launch();

    @Override
    void close();
  }

  private final Runnable work;

  /** Null: the work runs call by call. */
  private Recorder recorder;

  private int rehearsals;
  private Recording recording;

  /**
   * @param recorder null: the work runs call by call
   * @param work what {@link #run} does
   */
  public RecordedWork(Recorder recorder, Runnable work) {
    this.recorder = recorder;
    this.work = work;
  }

  /**
   * Recorded on a GPU, unless the switch says no; not on the CPU.
   *
   * @param device where the work's tensors lie
   * @param work what {@link #run} does
   * @return the caller's to close
   */
  public static RecordedWork on(ComputeDevice device, Runnable work) {
    return switched(device.recorder().orElse(null), work);
  }

  /** With the recorder, unless the switch says no. */
  static RecordedWork switched(Recorder recorder, Runnable work) {
    return new RecordedWork("false".equals(System.getProperty(SWITCH)) ? null : recorder, work);
  }

  /**
   * Does the work once. If it cannot be recorded, a warning says why, and it runs call by call from
   * then on.
   */
  public void run() {
    if (recorder == null) {
      work.run();
    } else if (rehearsals < REHEARSALS) {
      rehearsals++;
      recorder.rehearse(work);
    } else {
      launch();
    }
  }

  private void launch() {
    if (recording == null) {
      try {
        recording = recorder.record(work);
      } catch (RuntimeException e) {
        LOG.warn(
            "a part of the training step is not recorded as a CUDA graph, and runs call by call: {}",
            e.getMessage());
        recorder = null;
        work.run();
        return;
      }
    }
    recording.launch();
  }

  @Override
  public void close() {
    if (recording != null) {
      recording.close();
      recording = null;
    }
  }
}
