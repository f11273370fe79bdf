package org.prunepeft.search.measured;

import org.prunepeft.search.Candidate;

/**
 * An interaction that shows in the measurements.
 *
 * @param first a module
 * @param second another
 * @param value by how much the two together are worth more than the sum of what each is worth; it
 *     is negative where one does what the other has done
 * @param evidence by how much the logarithm of the model's evidence rises with it, after the price
 *     of having looked at many pairs
 */
public record PairValue(Candidate first, Candidate second, Estimate value, double evidence) {}
