package org.prunepeft.torch;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A GPU's memory does not suffice for a pass or a prediction. The message says what was asked for,
 * and which options take less.
 */
public final class GpuMemoryException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** What LibTorch, cuBLAS and our kernels say, wherever in a message: hooks put more around it. */
  private static final Pattern SHORT =
      Pattern.compile(
          "CUDA out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED"
              + "|allocating (?:device memory|an importance plan): out of memory");

  /** Where LibTorch's messages go on with the C++ calls that they come from. */
  private static final Pattern CALLS =
      Pattern.compile("\\s*(?:Exception raised from |\\bframe #\\d)");

  private static final String REMEDIES =
      "; these take less: a smaller --batch-size with more --gradient-accumulation-steps, --gradient-checkpointing, a smaller --max-seq-length, --precision bf16, --quantize nf4; and without CUDA graphs, PRUNEPEFT_JAVA_OPTIONS=-D"
          + RecordedWork.SWITCH
          + "=false, their memory is free";

  private GpuMemoryException(Throwable cause) {
    super(message(cause), cause);
  }

  /**
   * {@return the failure of work as its caller should see it: itself, if it is not that a GPU's
   * memory is short}
   *
   * @param failure what the work threw
   */
  static RuntimeException of(RuntimeException failure) {
    return isMeant(failure) && !(failure instanceof GpuMemoryException)
        ? new GpuMemoryException(failure)
        : failure;
  }

  /**
   * {@return whether a failure says that a GPU's memory is short}
   *
   * @param failure of LibTorch or of our kernels, or one of these
   */
  static boolean isMeant(Throwable failure) {
    return failure.getMessage() != null && SHORT.matcher(failure.getMessage()).find();
  }

  /**
   * {@return what a failure says, without the C++ calls that LibTorch's messages go on with; where
   * a GPU's memory is short, with what takes less; null if it says nothing}
   *
   * @param failure of any kind
   */
  public static String message(Throwable failure) {
    String text = failure.getMessage();
    if (text == null || failure instanceof GpuMemoryException) {
      return text;
    }
    Matcher calls = CALLS.matcher(text);
    String own = calls.find() && calls.start() > 0 ? text.substring(0, calls.start()) : text;
    return isMeant(failure) ? own + REMEDIES : own;
  }
}
