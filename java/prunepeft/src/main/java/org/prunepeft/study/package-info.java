/**
 * What a study of several methods says: runs over tasks, budgets and seeds, their means, paired
 * differences with intervals, corrections for many comparisons, ranks and costs. Plain numbers;
 * nothing is trained here.
 */
package org.prunepeft.study;
