package org.prunepeft.search;

/**
 * A module that a round removed.
 *
 * @param probability its pruning probability
 * @param parametersAfter the trainable parameters left without it
 */
public record Removal(Candidate module, double probability, long parametersAfter) {}
