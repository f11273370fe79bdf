package org.prunepeft.train.loop;

import java.util.function.Consumer;
import org.prunepeft.torch.StateExchange;

/**
 * The checkpoints of a run, as those see them that have a state: each adds its own as a part while
 * it goes on. A run that is resumed makes its way from the beginning again, by the same seeds; a
 * part that the checkpoint has takes up its state where it is added, and leaves out the work that
 * led there.
 */
public interface Checkpoints {
  /** Keeps nothing. */
  Checkpoints NONE =
      new Checkpoints() {
        @Override
        public boolean resumes(String part) {
          return false;
        }

        @Override
        public boolean add(String part, Consumer<StateExchange> state) {
          return false;
        }

        @Override
        public void remove(String part) {}

        @Override
        public boolean due(int step) {
          return false;
        }

        @Override
        public boolean dueAtStart() {
          return false;
        }

        @Override
        public void save() {}
      };

  /** {@return whether a part that is added now takes up a state} */
  boolean resumes(String part);

  /**
   * Makes a state a part of each checkpoint from now on. Where the run is resumed and its
   * checkpoint has the part, the state is taken from there at once, the first time that it is
   * added.
   *
   * @param part its name
   * @param state gives the state as it is then, or takes it
   * @return whether it was taken
   */
  boolean add(String part, Consumer<StateExchange> state);

  /** Leaves a part out from now on: what it stood for is over. */
  void remove(String part);

  /**
   * {@return whether it is time for a checkpoint}
   *
   * @param step of the work that goes on, from 0
   */
  boolean due(int step);

  /** {@return whether it is time for a checkpoint where a phase or an epoch begins} */
  boolean dueAtStart();

  /**
   * Writes a checkpoint of all parts. Nothing is written while the run makes its way to where the
   * last one was: that one has more.
   */
  void save();
}
