package org.prunepeft.search;

/**
 * How one criterion judges one module among the modules of its type.
 *
 * @param raw the criterion's Θ
 * @param scaled Θ turned so that high means "prune", in [0, 1] over the modules of the type; 0 if
 *     all are equal
 * @param rank 0 for the module that goes first; ties share their mean rank
 * @param probability the pruning probability; its mean over the modules of the type is 1 (over the
 *     partition, the reciprocal of its number of modules, with the reference selection)
 */
public record Score(double raw, double scaled, double rank, double probability) {}
