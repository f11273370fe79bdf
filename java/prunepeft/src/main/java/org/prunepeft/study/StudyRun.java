package org.prunepeft.study;

import java.util.Objects;

/**
 * A complete run of a study.
 *
 * @param taskAndModel where it is
 * @param arm what it is of
 * @param rate its learning rate as the study says it; null: the default
 * @param seed of its data, weights and order
 * @param draw which of several random subsets, from 0
 * @param result what it gave
 */
public record StudyRun(
    TaskAndModel taskAndModel, Arm arm, String rate, long seed, int draw, RunResult result) {
  public StudyRun {
    Objects.requireNonNull(taskAndModel, "taskAndModel");
    Objects.requireNonNull(arm, "arm");
    Objects.requireNonNull(result, "result");
  }
}
