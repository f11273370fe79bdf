package org.prunepeft.kernels;

/**
 * Some rows of a batch, one behind the other.
 *
 * @param first the first of them, from 0
 * @param count 0 or more
 */
public record Rows(long first, long count) {}
