package org.prunepeft.peft;

import io.soabase.recordbuilder.core.RecordBuilder;

/**
 * AdaLoRA (Zhang et al. 2023, arXiv 2303.10512), in PEFT's names: each update is P·Λ·Q, and the
 * singular values of all updates share a budget that shrinks in training.
 *
 * @param initR init_r: singular values of each update at the start, 1 or more
 * @param targetR target_r: singular values of each update at the end, on average; 1 to initR
 * @param tinit steps before the budget begins to shrink, 0 or more
 * @param tfinal last steps in which the choice stays as it is, 0 or more
 * @param deltaT steps from one choice to the next, 1 or more
 * @param beta1 smoothing of the sensitivity, in (0, 1)
 * @param beta2 smoothing of its uncertainty, in (0, 1)
 * @param orthRegWeight orth_reg_weight: factor of the penalty on P and Q that are not orthogonal,
 *     above 0
 * @param totalStep total_step: steps of the whole training; 0: not known yet
 */
@RecordBuilder
public record AdaLoraConfig(
    int initR,
    int targetR,
    int tinit,
    int tfinal,
    int deltaT,
    double beta1,
    double beta2,
    double orthRegWeight,
    int totalStep)
    implements AdaLoraConfigBuilder.With {
  /** PEFT's defaults: ranks from 12 to 8, β 0.85, orthogonality 0.5. */
  public static final AdaLoraConfig DEFAULT =
      AdaLoraConfigBuilder.builder()
          .initR(12)
          .targetR(8)
          .deltaT(1)
          .beta1(0.85)
          .beta2(0.85)
          .orthRegWeight(0.5)
          .build();

  /** PEFT's guard against a division by zero, which is in every scale. */
  private static final double EPSILON = 1e-5;

  /**
   * @throws IllegalArgumentException if a value is out of its range
   */
  public AdaLoraConfig {
    require(initR >= 1, "init_r must be at least 1", initR);
    require(targetR >= 1 && targetR <= initR, "target_r must be in [1, init_r]", targetR);
    require(tinit >= 0, "tinit must be at least 0", tinit);
    require(tfinal >= 0, "tfinal must be at least 0", tfinal);
    require(deltaT >= 1, "deltaT must be at least 1", deltaT);
    require(beta1 > 0 && beta1 < 1, "beta1 must be in (0, 1)", beta1);
    require(beta2 > 0 && beta2 < 1, "beta2 must be in (0, 1)", beta2);
    require(
        orthRegWeight > 0 && Double.isFinite(orthRegWeight),
        "orth_reg_weight must be above 0",
        orthRegWeight);
    if (totalStep != 0 && tinit >= (long) totalStep - tfinal) {
      throw new IllegalArgumentException(
          "AdaLoRA's tinit and tfinal, %d and %d, must leave some of the training's %d steps between them"
              .formatted(tinit, tfinal, totalStep));
    }
  }

  private static void require(boolean holds, String message, Number value) {
    if (!holds) {
      throw new IllegalArgumentException("AdaLoRA's " + message + ", got " + value);
    }
  }

  /** {@return a builder that begins with the defaults} */
  public static AdaLoraConfigBuilder builder() {
    return AdaLoraConfigBuilder.builder(DEFAULT);
  }

  /** {@return the first step whose choice is the last} */
  public int lastChoice() {
    return totalStep - tfinal;
  }

  /**
   * {@return singular values that all updates together may have after a step: from initR each to
   * targetR each, in a cubic curve}
   *
   * @param step 1-based
   * @param updates how many there are in the model
   */
  public int budget(int step, int updates) {
    int first = initR * updates;
    int last = targetR * updates;
    if (step <= tinit) {
      return first;
    }
    if (step >= lastChoice()) {
      return last;
    }
    double left = 1 - (double) (step - tinit) / (lastChoice() - tinit);
    return (int) ((first - last) * left * left * left + last);
  }

  /**
   * {@return whether a choice is made after a step}
   *
   * @param step from 1
   */
  public boolean chooses(int step) {
    return step == lastChoice() || step > tinit && step < lastChoice() && step % deltaT == 0;
  }

  /** The factor of P·Λ·Q: alpha / initR, whatever is left of the singular values. */
  double scale(double alpha) {
    return alpha / (initR + EPSILON);
  }
}
