/**
 * The kernels of libprunepeft, with lengths checked.
 *
 * <p>A {@link org.prunepeft.kernels.Matrix} is memory that the caller owns, on a {@link
 * org.prunepeft.kernels.Device}; a {@link org.prunepeft.kernels.Context} is a device with scratch
 * memory, in which calls run. What the native code refuses is a {@link
 * org.prunepeft.kernels.KernelException} with its message.
 */
package org.prunepeft.kernels;
