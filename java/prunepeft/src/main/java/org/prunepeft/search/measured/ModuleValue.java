package org.prunepeft.search.measured;

import org.prunepeft.search.Candidate;

/**
 * What a module is worth.
 *
 * @param module its layer, type, name and parameters
 * @param value by how much the metric rises on average when it is added to a random subset of about
 *     the budget, in the metric's units
 * @param score the same of the mean score, by which subsets are chosen
 * @param kept whether it is part of the choice
 */
public record ModuleValue(Candidate module, Estimate value, double score, boolean kept) {}
