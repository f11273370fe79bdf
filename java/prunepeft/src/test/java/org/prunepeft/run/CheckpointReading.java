package org.prunepeft.run;

import org.prunepeft.files.RunDirectory;
import org.prunepeft.settings.Checkpointing;
import org.prunepeft.torch.StateExchange;

/** What a run that goes on takes of a checkpoint, each kind of value once. */
public final class CheckpointReading {
  /** The tensor that it takes. */
  public static final String TENSOR = "run/training/weights";

  /** How a training is to be named in JSON. */
  private record Named(String name, int number) {}

  private CheckpointReading() {}

  /** Takes the newest checkpoint of a run. */
  public static void of(RunDirectory run) {
    try (CheckpointStore store = new CheckpointStore(run, Checkpointing.RESUME)) {
      store.isComplete("run");
      CheckpointStore.OfRun parts = store.of("run");
      parts.add("metrics", CheckpointReading::metrics);
      parts.add("training", CheckpointReading::training);
    }
  }

  private static void metrics(StateExchange state) {
    state.number("length", 0L);
    if (state.has("crc32c")) {
      state.value("crc32c", String.class, null);
    }
  }

  private static void training(StateExchange state) {
    state.number("step", 0);
    state.number("seconds", 0.0);
    state.value("named", Named[].class, null);
    state.floats("weights", null);
    state.part("best").number("epoch", 0);
  }
}
