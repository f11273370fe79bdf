/**
 * Stored weights, on plain arrays, without a tensor library.
 *
 * <p>A {@link org.prunepeft.io.Checkpoint} gives a model's tensors by name: out of a file ({@link
 * org.prunepeft.io.SafeTensors}) or out of memory ({@link org.prunepeft.io.MapCheckpoint}). A
 * {@link org.prunepeft.io.MavenArtifact} is where a model's files come from. What is wrong with a
 * file is told by {@link org.prunepeft.io.FormatException}, with what is missing by {@link
 * org.prunepeft.io.AssetException}, with a run's directory by {@link
 * org.prunepeft.io.RunDirectoryException}.
 */
package org.prunepeft.io;
