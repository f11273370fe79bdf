package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class RecordedWorkTest {
  private final List<String> calls = new ArrayList<>();

  /** Records nothing but that it was asked to. */
  private final RecordedWork.Recorder recorder =
      new RecordedWork.Recorder() {
        @Override
        public void rehearse(Runnable work) {
          calls.add("rehearse");
        }

        @Override
        public RecordedWork.Recording record(Runnable work) {
          calls.add("record");
          return new RecordedWork.Recording() {
            @Override
            public void launch() {
              calls.add("launch");
            }

            @Override
            public void close() {
              calls.add("close");
            }
          };
        }
      };

  @AfterEach
  void forgetTheSwitch() {
    System.clearProperty("prunepeft.cuda-graphs");
  }

  private List<String> run(RecordedWork work) {
    try (work) {
      for (int i = 0; i < 4; i++) {
        work.run();
      }
    }
    return calls;
  }

  @Test
  void workIsRehearsedTwiceRecordedOnceAndThenLaunched() {
    assertEquals(
        List.of("rehearse", "rehearse", "record", "launch", "launch", "close"),
        run(RecordedWork.switched(recorder, () -> calls.add("work"))));
  }

  @Test
  void theSwitchLeavesItAtCalls() {
    System.setProperty("prunepeft.cuda-graphs", "false");
    assertEquals(
        List.of("work", "work", "work", "work"),
        run(RecordedWork.switched(recorder, () -> calls.add("work"))));
  }

  @Test
  void onTheCpuItIsCalls() {
    assertEquals(
        List.of("work", "work", "work", "work"),
        run(RecordedWork.on(ComputeDevice.CPU, () -> calls.add("work"))));
  }
}
