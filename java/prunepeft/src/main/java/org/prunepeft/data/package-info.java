/**
 * Tasks, tokens and batches, in plain arrays.
 *
 * <p>A {@link org.prunepeft.data.Task} draws a {@link org.prunepeft.data.Dataset} of texts; a
 * {@link org.prunepeft.data.Tokenizer} turns it into an {@link org.prunepeft.data.EncodedDataset};
 * {@link org.prunepeft.data.Batches} cuts that into padded batches. All draws are functions of a
 * seed and are the same on every machine and JDK.
 */
package org.prunepeft.data;
