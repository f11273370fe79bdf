/**
 * Pre-trained encoders: by which names they are known, how they are loaded, what they compute.
 *
 * <p>{@link org.prunepeft.model.Models} knows them by name; {@link
 * org.prunepeft.model.PostNormEncoder} computes BERT and its like from a checkpoint. At each linear
 * and after each block an encoder asks its {@link org.prunepeft.model.Insertions}, which is all
 * that it knows of fine-tuning.
 */
package org.prunepeft.model;
