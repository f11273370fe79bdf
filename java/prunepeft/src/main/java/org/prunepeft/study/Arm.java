package org.prunepeft.study;

import java.util.Objects;

/**
 * What is compared: a method within a budget.
 *
 * @param method its name
 * @param budget of trainable parameters, as the study says it, such as 0.25 or 200k; null: the
 *     method has none
 */
public record Arm(String method, String budget) {
  public Arm {
    Objects.requireNonNull(method, "method");
  }

  /** {@return random 0.25, or supernet} */
  @Override
  public String toString() {
    return budget == null ? method : method + " " + budget;
  }
}
