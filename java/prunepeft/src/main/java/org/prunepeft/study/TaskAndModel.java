package org.prunepeft.study;

import java.util.Objects;

/**
 * Where methods are compared.
 *
 * @param task its name in the study
 * @param model its name in the study
 */
public record TaskAndModel(String task, String model) {
  public TaskAndModel {
    Objects.requireNonNull(task, "task");
    Objects.requireNonNull(model, "model");
  }
}
