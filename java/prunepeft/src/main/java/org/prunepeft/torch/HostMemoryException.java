package org.prunepeft.torch;

/**
 * This machine's memory does not suffice for a training on the CPU, by what its shapes say before
 * it begins. The message says how much it takes, and what takes less. Of a GPU's memory it is
 * {@link GpuMemoryException}.
 */
public final class HostMemoryException extends IllegalStateException {
  private static final long serialVersionUID = 1;

  /** {@code message} is for the user: what is taken, what there is, and what takes less. */
  public HostMemoryException(String message) {
    super(message);
  }
}
