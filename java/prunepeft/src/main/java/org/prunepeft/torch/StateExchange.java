package org.prunepeft.torch;

import org.bytedeco.pytorch.Tensor;

/**
 * Gives a state to a checkpoint, or takes it from one: what has a state names each piece of it
 * once, in one method that serves both ways. Names are unique within a part.
 */
public interface StateExchange {
  /** {@return whether a state is taken from a checkpoint; false: it is given to one} */
  boolean restoring();

  /**
   * {@return whether a state that is taken from a checkpoint has a value} Of one that is given it
   * is true. For values that checkpoints of earlier versions do not have.
   *
   * @param name of the piece
   */
  default boolean has(String name) {
    return true;
  }

  /**
   * Keeps a tensor's values as they are now, or overwrites them.
   *
   * @param name of the piece
   * @param tensor float32, dense, on any device; of the same size each time
   */
  void tensor(String name, Tensor tensor);

  /**
   * {@return the values given, or those of the checkpoint}
   *
   * @param name of the piece
   * @param now the values as they are; may be null when restoring
   */
  float[] floats(String name, float[] now);

  /**
   * {@return the value given, or that of the checkpoint}
   *
   * @param <T> what JSON can hold, such as a number, a text or a record of these
   * @param name of the piece
   * @param type of the value
   * @param now the value as it is; may be null
   */
  <T> T value(String name, Class<T> type, T now);

  /**
   * {@return the number given, or that of the checkpoint}
   *
   * @param name of the piece
   * @param now the number as it is
   */
  default int number(String name, int now) {
    return value(name, Integer.class, now);
  }

  /**
   * {@return the number given, or that of the checkpoint}
   *
   * @param name of the piece
   * @param now the number as it is
   */
  default long number(String name, long now) {
    return value(name, Long.class, now);
  }

  /**
   * {@return the number given, or that of the checkpoint, to the bit}
   *
   * @param name of the piece
   * @param now the number as it is; finite
   */
  default double number(String name, double now) {
    return value(name, Double.class, now);
  }

  /**
   * {@return where the pieces of a part go, whose names are its own}
   *
   * @param name of the part
   */
  StateExchange part(String name);
}
