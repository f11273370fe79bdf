package org.prunepeft.search.measured;

/**
 * How much random subsets of the budget differ from one another.
 *
 * @param observed the standard deviation of their metrics as measured, in the metric's units
 * @param noise what it would be, on the same number of examples, if they were all worth the same
 * @param deviation the standard deviation that is left when noise is taken off, at least 0
 * @param beyond the share of the observed variance that is not noise, from 0 to 1, with its
 *     interval
 */
public record Spread(double observed, double noise, double deviation, Estimate beyond) {}
