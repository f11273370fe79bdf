package org.prunepeft.torch;

/** A mark at the most memory that was taken since it was last set back. There is one for all. */
@FunctionalInterface
public interface MemoryMark {
  /** {@return the bytes at the mark, which is set back to what is taken now; 0: nobody tells} */
  long take();
}
