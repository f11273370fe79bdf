/**
 * What the modules of a supernet are worth, by measuring subsets of it; without a tensor.
 *
 * <p>A {@link org.prunepeft.search.measured.SubsetMeasurer}, which lives elsewhere, switches
 * modules of one trained supernet on and off and reports a number for each held-out example. From
 * subsets drawn around the budget {@link org.prunepeft.search.measured.MeasuredSearch} learns the
 * value of each module and of pairs of them, measures those subsets that promise to be the best,
 * and says with intervals, on examples by which subsets were not ranked, whether the choice pays.
 */
package org.prunepeft.search.measured;
