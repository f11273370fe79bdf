/**
 * Other ways to choose modules than PrunePEFT's, to compare it with at the same budget and on the
 * same data; without a tensor.
 *
 * <p>Each is a {@link org.prunepeft.search.peer.PeerSearch} that has what it needs trained by a
 * {@link org.prunepeft.search.peer.PeerTrainer}, which lives elsewhere. They take up the ideas of
 * published methods, and say what they leave out of them.
 */
package org.prunepeft.search.peer;
