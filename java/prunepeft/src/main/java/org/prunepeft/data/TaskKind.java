package org.prunepeft.data;

/** What is predicted from a text. */
public enum TaskKind {
  /** Which one of some classes it is in; learnt by cross-entropy. */
  CLASSIFICATION("single_label_classification"),
  /** A number; learnt by mean squared error. */
  REGRESSION("regression"),
  /** How it continues, token by token; learnt by cross-entropy. */
  LANGUAGE_MODELING("causal_lm");

  private final String problemType;

  TaskKind(String problemType) {
    this.problemType = problemType;
  }

  /**
   * {@return its name in Hugging Face's configurations, {@code problem_type}; of a language model
   * causal_lm}
   */
  public String problemType() {
    return problemType;
  }
}
