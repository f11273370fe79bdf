package org.prunepeft.study;

import java.util.Objects;

/**
 * Where methods are compared.
 *
 * @param task its name in the study
 * @param model its name in the study
 */
public record Setting(String task, String model) {
  public Setting {
    Objects.requireNonNull(task, "task");
    Objects.requireNonNull(model, "model");
  }
}
