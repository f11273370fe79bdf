/**
 * Stored weights, on plain arrays, without a tensor library, and how files are read and written
 * safely.
 *
 * <p>A {@link org.prunepeft.io.Checkpoint} gives a model's tensors by name: out of a file ({@link
 * org.prunepeft.io.SafeTensors}, {@link org.prunepeft.io.Gguf}) or out of memory ({@link
 * org.prunepeft.io.MapCheckpoint}). A {@link org.prunepeft.io.MavenArtifact} is where a model's
 * files come from. A file of the wrong form is a {@link org.prunepeft.io.FormatException}, one that
 * is missing an {@link org.prunepeft.io.AssetException}, a wrong run directory a {@link
 * org.prunepeft.io.RunDirectoryException}.
 *
 * <p>Text that a stranger may have written is read by {@link org.prunepeft.io.Utf8Reader} and
 * {@link org.prunepeft.io.Yaml}; {@link org.prunepeft.io.AtomicFile} and {@link
 * org.prunepeft.io.NewDirectories} leave nothing half made.
 */
package org.prunepeft.io;
