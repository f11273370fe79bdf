package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.DoubleSupplier;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RecordedWorkTest {
  private static final int RUNS = 7;

  private final List<String> calls = new ArrayList<>();

  /** The property before the test; null: it is not set. */
  private final String graphs = System.getProperty(RecordedWork.SWITCH);

  /** What calls add to the first element. */
  private double step = 1;

  private Tensor sum;
  private Tensor untouched;

  @BeforeEach
  void makeTensors() {
    Torch.load();
    sum = Torch.floats(new float[] {0, 3, -4}, 3);
    untouched = Torch.floats(new float[] {5}, 1);
  }

  @AfterEach
  void forgetTheSwitch() {
    if (graphs == null) {
      System.clearProperty(RecordedWork.SWITCH);
    } else {
      System.setProperty(RecordedWork.SWITCH, graphs);
    }
  }

  private void add(double value) {
    sum.select(0, 0).add_(new Scalar(value));
  }

  private void work() {
    calls.add("work");
    add(step);
  }

  /** Adds of what a launch is given to add, so that it may differ from what calls do. */
  private class Recorder implements RecordedWork.Recorder {
    private final DoubleSupplier launched;

    Recorder(DoubleSupplier launched) {
      this.launched = launched;
    }

    @Override
    public void rehearse(Runnable work) {
      calls.add("rehearse");
      work.run();
    }

    @Override
    public RecordedWork.Recording record(Runnable work) {
      calls.add("record");
      return new RecordedWork.Recording() {
        @Override
        public void launch() {
          calls.add("launch");
          add(launched.getAsDouble());
        }

        @Override
        public void close() {
          calls.add("close");
        }
      };
    }
  }

  /** The first element after so many runs, each with another number. */
  private float run(RecordedWork.Recorder recorder) {
    try (RecordedWork work = new RecordedWork(recorder, this::work, List.of(sum, untouched))) {
      for (int i = 0; i < RUNS; i++) {
        step = i + 1;
        work.run();
      }
    }
    assertEquals(5, untouched.item_float());
    float[] values = Torch.toFloats(sum);
    assertEquals(3, values[1]);
    assertEquals(-4, values[2]);
    return values[0];
  }

  private static final float EXPECTED = RUNS * (RUNS + 1) / 2f;

  @Test
  void workIsRehearsedTwiceRecordedComparedOnceAndThenLaunched() {
    assertEquals(EXPECTED, run(new Recorder(() -> step)));
    assertEquals(
        List.of(
            "rehearse",
            "work",
            "rehearse",
            "work",
            "record",
            "rehearse",
            "work",
            "launch",
            "launch",
            "launch",
            "launch",
            "launch",
            "close"),
        calls);
  }

  /** The number at the time of the recording, no number, and other ones. */
  @ParameterizedTest
  @ValueSource(doubles = {2, 0, -3, Double.NaN, Double.POSITIVE_INFINITY})
  void aRecordingThatDoesSomethingElseIsFoundAndNothingComesOfIt(double baked) {
    assertEquals(EXPECTED, run(new Recorder(() -> baked)));
    assertEquals(1, calls.stream().filter("launch"::equals).count());
    assertEquals(RUNS, calls.stream().filter("work"::equals).count());
    assertEquals(1, calls.stream().filter("close"::equals).count());
  }

  @Test
  void whatCannotBeRecordedRunsCallByCall() {
    RecordedWork.Recorder refusing =
        new Recorder(() -> step) {
          @Override
          public RecordedWork.Recording record(Runnable work) {
            throw new IllegalStateException("made up: it waits for the device");
          }
        };
    assertEquals(EXPECTED, run(refusing));
    assertEquals(RUNS, calls.stream().filter("work"::equals).count());
  }

  @Test
  void withoutARecorderItIsCalls() {
    assertEquals(EXPECTED, run(null));
    assertEquals(java.util.Collections.nCopies(RUNS, "work"), calls);
  }

  @Test
  void nothingIsRecordedOnTheCpuNorWhereTheSwitchSaysNo() {
    assertEquals(Optional.empty(), RecordedWork.recorder(ComputeDevice.CPU));
    System.setProperty(RecordedWork.SWITCH, "false");
    // A device that is not there: with the switch nobody asks it.
    assertEquals(Optional.empty(), RecordedWork.recorder(ComputeDevice.cuda(0)));
  }
}
