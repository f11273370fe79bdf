package org.prunepeft.kernels;

import static org.prunepeft.kernels.binding.LibPrunePeft.PP_OK;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_last_error;

import java.lang.ref.Reference;

/** A native call failed; the message is the native library's own. */
public final class KernelException extends RuntimeException {
  /** A {@code pp_status}. */
  private final int status;

  KernelException(int status, String message) {
    super(message);
    this.status = status;
  }

  /** {@return the {@code pp_status} that the call returned} */
  public int status() {
    return status;
  }

  /**
   * Throws if {@code status} is not PP_OK, with the calling thread's last native message.
   *
   * @param status what a call returned
   * @param used objects whose memory the call used: the collector frees none of it before here
   */
  static void check(int status, Object... used) {
    for (Object each : used) {
      Reference.reachabilityFence(each);
    }
    if (status != PP_OK) {
      throw new KernelException(status, pp_last_error().getString());
    }
  }
}
