/**
 * What modules and encoders need beside LibTorch's own classes.
 *
 * <p>A {@link org.prunepeft.torch.Tape} records operations with backward passes of their own; a
 * {@link org.prunepeft.torch.ComputeDevice} says where tensors lie; {@link
 * org.prunepeft.torch.FlatParameters} are trained weights in one buffer.
 */
package org.prunepeft.torch;
