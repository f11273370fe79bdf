package org.prunepeft.generate;

/** Reads along while texts are written. */
@FunctionalInterface
public interface GenerationListener {
  /** Reads nothing. */
  GenerationListener NONE = (prompt, piece) -> {};

  /**
   * A piece of a text has been written. All pieces of a prompt together are the text.
   *
   * @param prompt the number of the prompt that it belongs to, from 0
   * @param piece one character or more
   * @throws java.util.concurrent.CancellationException to end the work
   */
  void written(int prompt, String piece);
}
