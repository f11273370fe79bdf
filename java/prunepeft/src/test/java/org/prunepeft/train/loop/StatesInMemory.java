package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.torch.Torch;

/**
 * Checkpoints in memory, of one run or of several, which are due where a phase or an epoch begins
 * and at no step.
 */
final class StatesInMemory {
  /** What is resumed, by names; empty: nothing is. */
  private final Map<String, Object> resumed;

  private final Map<String, Consumer<StateExchange>> parts = new LinkedHashMap<>();
  private final List<Map<String, Object>> saved = new ArrayList<>();

  private StatesInMemory(Map<String, Object> resumed) {
    this.resumed = resumed;
  }

  /** Of runs that begin. */
  static StatesInMemory ofNew() {
    return new StatesInMemory(Map.of());
  }

  /**
   * Of runs that go on.
   *
   * @param state one of {@link #saved}
   */
  static StatesInMemory from(Map<String, Object> state) {
    return new StatesInMemory(state);
  }

  /** What was saved, the last at the end: names with slashes, numbers and arrays of float. */
  List<Map<String, Object>> saved() {
    return saved;
  }

  /** A number of each of them. */
  List<Object> saved(String name) {
    return saved.stream().map(state -> state.get(name)).toList();
  }

  /** Those of one of the runs. */
  Checkpoints of(String run) {
    return new Checkpoints() {
      private String prefix(String part) {
        return run + "/" + part + "/";
      }

      @Override
      public boolean resumes(String part) {
        return resumed.keySet().stream().anyMatch(name -> name.startsWith(prefix(part)));
      }

      @Override
      public boolean add(String part, Consumer<StateExchange> state) {
        parts.put(prefix(part), state);
        if (!resumes(part)) {
          return false;
        }
        state.accept(new Exchange(prefix(part), resumed, true));
        return true;
      }

      @Override
      public void remove(String part) {
        parts.remove(prefix(part));
      }

      @Override
      public boolean due(int step) {
        return false;
      }

      @Override
      public boolean dueAtStart() {
        return true;
      }

      @Override
      public void save() {
        Map<String, Object> states = new LinkedHashMap<>();
        parts.forEach((name, state) -> state.accept(new Exchange(name, states, false)));
        saved.add(states);
      }
    };
  }

  private record Exchange(String prefix, Map<String, Object> states, boolean restoring)
      implements StateExchange {
    @Override
    public void tensor(String name, Tensor tensor) {
      if (restoring) {
        float[] values = (float[]) states.get(prefix + name);
        tensor.detach().data_ptr_float().put(values, 0, values.length);
      } else {
        states.put(prefix + name, Torch.toFloats(tensor.detach()));
      }
    }

    @Override
    public float[] floats(String name, float[] now) {
      if (!restoring) {
        states.put(prefix + name, now.clone());
      }
      return ((float[]) states.get(prefix + name)).clone();
    }

    @Override
    public <T> T value(String name, Class<T> type, T now) {
      if (!restoring) {
        states.put(prefix + name, now);
      }
      return type.cast(states.get(prefix + name));
    }

    @Override
    public StateExchange part(String name) {
      return new Exchange(prefix + name + "/", states, restoring);
    }
  }
}
