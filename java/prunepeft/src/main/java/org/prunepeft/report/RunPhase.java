package org.prunepeft.report;

import java.util.Map;
import org.prunepeft.text.EnumNames;

/** The parts of a run, in their order, and what {@code result.json} says that each took. */
public enum RunPhase {
  /**
   * Loading, tokenising, and what the training is compared with: a head on the frozen encoder, or a
   * language model without modules.
   */
  PREPARATION("preparation"),
  /**
   * Of a search by pruning, unless its strategy was given: which criteria judge which partition.
   */
  WARM_UP("warm_up"),
  /** The rounds of a search, or the supernet and the measuring. */
  SEARCH("round"),
  /** The training whose result is kept, with its validation. */
  TRAINING("training");

  private final String key;

  RunPhase(String key) {
    this.key = key;
  }

  /** {@return the member of {@code result.json} that has its seconds} */
  public String secondsMember() {
    return key + "_seconds";
  }

  /** {@return the member of {@code result.json} that has its peak of main memory, in bytes} */
  public String peakMember() {
    return key + "_peak_bytes";
  }

  /** {@return the member of {@code result.json} that has its peak of a GPU's memory, in bytes} */
  public String gpuPeakMember() {
    return key + "_gpu_peak_bytes";
  }

  /**
   * {@return how many seconds it took; null: none, or it is not known}
   *
   * @param result members of {@code result.json}
   */
  public Double seconds(Map<String, ?> result) {
    return result.get(secondsMember()) instanceof Number seconds && seconds.doubleValue() > 0
        ? (Double) seconds.doubleValue()
        : null;
  }

  /**
   * {@return the most bytes that the process had resident in main memory during it; null: not
   * known}
   *
   * @param result members of {@code result.json}
   */
  public Long peakBytes(Map<String, ?> result) {
    return bytes(result, peakMember());
  }

  /**
   * {@return the most bytes that LibTorch's tensors had of a GPU's memory during it; null: there
   * was none, or it is not known}
   *
   * @param result members of {@code result.json}
   */
  public Long gpuPeakBytes(Map<String, ?> result) {
    return bytes(result, gpuPeakMember());
  }

  private static Long bytes(Map<String, ?> result, String member) {
    return result.get(member) instanceof Number bytes ? (Long) bytes.longValue() : null;
  }

  /** {@return its name in words: warm-up} */
  @Override
  public String toString() {
    return EnumNames.dashed(this);
  }
}
