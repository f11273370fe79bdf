package org.prunepeft.train;

import java.util.List;
import java.util.Locale;
import org.prunepeft.text.Spelling;

/** The optimisers that there are; Hugging Face's {@code optim}. */
public enum OptimizerType {
  /** Adam with decoupled weight decay (Loshchilov &amp; Hutter 2019); β 0.9 and 0.999, ε 1e-8. */
  ADAMW,
  /**
   * Adafactor (Shazeer &amp; Stern 2018) with a given learning rate: a matrix keeps second moments
   * of its rows and columns only.
   */
  ADAFACTOR;

  /**
   * The optimiser of a name, in upper or lower case.
   *
   * @param name adamw or adafactor; adamw_torch, adamw_torch_fused and adamw_hf are adamw
   * @return the optimiser
   * @throws IllegalArgumentException if there is none; names those that there are
   */
  public static OptimizerType byName(String name) {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "adamw", "adamw_torch", "adamw_torch_fused", "adamw_hf" -> ADAMW;
      case "adafactor" -> ADAFACTOR;
      default ->
          throw new IllegalArgumentException(
              Spelling.unknown("optimiser", name, List.of("adamw", "adamw_torch", "adafactor")));
    };
  }
}
