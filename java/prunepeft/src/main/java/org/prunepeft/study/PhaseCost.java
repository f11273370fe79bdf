package org.prunepeft.study;

/**
 * What a part of a run cost.
 *
 * @param epochs of all its trainings together, whatever number of examples they had
 * @param seconds on the run's machine, beside whatever else that did
 * @param flop floating-point operations of its trainings, counted; null: the run has not kept them
 */
public record PhaseCost(int epochs, double seconds, Double flop) {}
