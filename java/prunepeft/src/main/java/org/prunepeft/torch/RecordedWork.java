package org.prunepeft.torch;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
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
 * <p>It runs call by call twice first, so that what libraries load and allocate is there. The first
 * launch is compared with calls from the same state: work that does not keep to the rules above is
 * found before anything comes of it. The system property {@code prunepeft.cuda-graphs=false} leaves
 * it at calls. Not for two threads at once.
 */
public final class RecordedWork implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(RecordedWork.class);
  static final String SWITCH = "prunepeft.cuda-graphs";
  private static final int REHEARSALS = 2;

  /**
   * Between a launch and calls, as a share of what the calls changed. The same kernels run, but
   * some of LibTorch's add in an order that is not fixed, in 16 bits too.
   */
  private static final double MOST_DIFFERENCE = 2e-2;

  /** A change of less than this share of the values themselves is taken for rounding. */
  private static final double LEAST_CHANGE = 1e-4;

  /** The comparison holds what changes twice more; of more than this it is left out. */
  private static final long MOST_COMPARED_BYTES = 1L << 30;

  /** Those with a recording. */
  private static final Set<RecordedWork> RECORDED = ConcurrentHashMap.newKeySet();

  private static final ThreadLocal<Boolean> RECORDS = ThreadLocal.withInitial(() -> false);

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
  private final List<Tensor> changed;

  /** Held while it runs, and while another thread gives it up. */
  private final ReentrantLock running = new ReentrantLock();

  /** Null: the work runs call by call. */
  private Recorder recorder;

  private int rehearsals;
  private Recording recording;
  private boolean compared;
  private boolean givenUp;

  /**
   * @param recorder null: the work runs call by call
   * @param work what {@link #run} does
   * @param changed all that the work changes; they stay the caller's
   */
  public RecordedWork(Recorder recorder, Runnable work, List<Tensor> changed) {
    this.recorder = recorder;
    this.work = work;
    this.changed = List.copyOf(changed);
    compared = changed.stream().mapToLong(Tensor::nbytes).sum() > MOST_COMPARED_BYTES;
  }

  /**
   * {@return what records a device's work; empty on the CPU, and where the system property {@code
   * prunepeft.cuda-graphs} is false}
   *
   * @param device where the work's tensors lie
   */
  public static Optional<Recorder> recorder(ComputeDevice device) {
    return "false".equals(System.getProperty(SWITCH)) ? Optional.empty() : device.recorder();
  }

  /**
   * Does the work once. If it cannot be recorded, or its recording does something else, a warning
   * says so, and it runs call by call from then on.
   */
  public void run() {
    running.lock();
    try {
      runOnce();
    } finally {
      running.unlock();
    }
  }

  private void runOnce() {
    if (recorder == null) {
      work.run();
    } else if (recording == null) {
      recorder.rehearse(work);
      rehearsals++;
      if (rehearsals == REHEARSALS) {
        record();
      }
    } else if (compared) {
      recording.launch();
    } else {
      compare();
      compared = true;
    }
  }

  private void record() {
    try {
      RECORDS.set(true);
      recording = recorder.record(work);
      RECORDED.add(this);
    } catch (RuntimeException e) {
      giveUp(e.getMessage());
    } finally {
      RECORDS.remove();
    }
  }

  private void giveUp(String reason) {
    // LibTorch's messages go on with where they come from.
    LOG.warn(
        "a part of the training step is not recorded as a CUDA graph, and runs call by call: {}",
        reason == null ? "no reason is known" : reason.lines().findFirst().orElse(""));
    stop();
  }

  private void stop() {
    recorder = null;
    givenUp = true;
    close();
  }

  /**
   * Closes all recordings of the process, for their memory, but those that another thread launches
   * now; their work goes call by call from then on.
   *
   * @return whether there were any
   */
  static boolean giveUpAll() {
    boolean some = false;
    for (RecordedWork each : RECORDED) {
      if (each.running.tryLock()) {
        try {
          some |= each.recording != null;
          each.stop();
        } finally {
          each.running.unlock();
        }
      }
    }
    return some;
  }

  /**
   * {@return whether the calling thread records work: tensors that outlive the work have to stay
   * where they are, since the recording reads them without referring to them}
   */
  public static boolean isRecording() {
    return RECORDS.get();
  }

  /** {@return whether there is a recording, which runs launch} */
  public boolean recorded() {
    return recording != null;
  }

  /** {@return whether runs launch the recording and do nothing else} */
  public boolean launchesAlone() {
    return recording != null && compared;
  }

  /** {@return whether it could not be recorded, or its recording did something else} */
  public boolean givenUp() {
    return givenUp;
  }

  /** Does the work once by calls and once by a launch, from the same state. */
  private void compare() {
    try (PointerScope scope = new PointerScope()) {
      List<Tensor> before = copies();
      recorder.rehearse(work);
      List<Tensor> expected = copies();
      restore(before);
      recording.launch();
      double difference = difference(before, expected);
      if (!(difference <= MOST_DIFFERENCE)) {
        restore(expected);
        giveUp(
            String.format(
                Locale.ROOT,
                "its launch differs from its calls by %.2g of what they change",
                difference));
      }
    }
  }

  private List<Tensor> copies() {
    try (NoGradGuard guard = new NoGradGuard()) {
      List<Tensor> copies = new ArrayList<>();
      changed.forEach(tensor -> copies.add(tensor.detach().clone()));
      return copies;
    }
  }

  private void restore(List<Tensor> values) {
    try (NoGradGuard guard = new NoGradGuard()) {
      for (int i = 0; i < values.size(); i++) {
        changed.get(i).detach().copy_(values.get(i));
      }
    }
  }

  /** The largest over the tensors; NaN if one is. */
  private double difference(List<Tensor> before, List<Tensor> expected) {
    double largest = 0;
    try (NoGradGuard guard = new NoGradGuard()) {
      for (int i = 0; i < expected.size(); i++) {
        double apart = norm(changed.get(i).detach().sub(expected.get(i)));
        double change =
            Math.max(
                norm(expected.get(i).sub(before.get(i))), LEAST_CHANGE * norm(expected.get(i)));
        largest = Math.max(largest, apart == 0 ? 0 : apart / change);
      }
    }
    return largest;
  }

  private static double norm(Tensor tensor) {
    return tensor.to(torch.ScalarType.Double).norm().item_double();
  }

  @Override
  public void close() {
    RECORDED.remove(this);
    if (recording != null) {
      recording.close();
      recording = null;
    }
  }
}
