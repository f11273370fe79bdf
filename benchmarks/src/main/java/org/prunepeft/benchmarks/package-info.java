/**
 * JMH benchmarks, one class a question. Each compares what the library does with LibTorch's own
 * operations on the same data, and checks first that both give the same result. {@link
 * org.prunepeft.benchmarks.Tables} puts the figures of one run beside their baselines and limits.
 */
package org.prunepeft.benchmarks;
