package org.prunepeft.train;

/**
 * How modules and head are trained. Learning rates are the peaks of the schedule.
 *
 * @param batchSize examples a step
 * @param loraLearningRate of LoRA modules
 * @param adapterLearningRate of serial adapters, and of any other kind of module
 * @param headLearningRate of the task head
 * @param weightDecay AdamW's, decoupled
 * @param warmupRatio share of the steps over which the rate rises, in [0, 1)
 * @param schedule how the rate falls afterwards
 * @param maxLength longest sequence in tokens; longer texts are cut
 */
public record TrainingSettings(
    int batchSize,
    double loraLearningRate,
    double adapterLearningRate,
    double headLearningRate,
    double weightDecay,
    double warmupRatio,
    Schedule schedule,
    int maxLength) {
  public static final TrainingSettings DEFAULT =
      new TrainingSettings(32, 1e-3, 1e-3, 1e-2, 0.01, 0.06, Schedule.LINEAR, 128);

  public TrainingSettings {
    require(batchSize >= 1, "batch size must be at least 1", batchSize);
    require(loraLearningRate > 0, "the learning rate of LoRA must be above 0", loraLearningRate);
    require(
        adapterLearningRate > 0,
        "the learning rate of adapters must be above 0",
        adapterLearningRate);
    require(
        headLearningRate > 0, "the learning rate of the head must be above 0", headLearningRate);
    require(weightDecay >= 0, "weight decay must be 0 or more", weightDecay);
    require(
        warmupRatio >= 0 && warmupRatio < 1, "the warm-up ratio must be in [0, 1)", warmupRatio);
    require(maxLength >= 2, "the longest sequence must have at least 2 tokens", maxLength);
  }

  private static void require(boolean holds, String message, Number value) {
    if (!holds) {
      throw new IllegalArgumentException(message + ", got " + value);
    }
  }

  /** The peak rate for a kind of module. */
  double moduleLearningRate(String type) {
    return type.equals("lora") ? loraLearningRate : adapterLearningRate;
  }
}
