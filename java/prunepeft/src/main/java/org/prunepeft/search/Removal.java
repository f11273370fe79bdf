package org.prunepeft.search;

import org.prunepeft.text.Required;

/**
 * A module that a round removed.
 *
 * @param probability its pruning probability
 * @param parametersAfter the trainable parameters left without it
 */
public record Removal(Candidate module, double probability, long parametersAfter) {
  /**
   * @throws IllegalArgumentException if the module is null
   */
  public Removal {
    Required.present("a removal's module", module);
  }
}
