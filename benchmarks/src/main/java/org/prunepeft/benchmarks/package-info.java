/** JMH benchmarks, one class a question. */
package org.prunepeft.benchmarks;
