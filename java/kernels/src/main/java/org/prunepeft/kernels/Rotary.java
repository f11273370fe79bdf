package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import org.bytedeco.javacpp.IntPointer;
import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * Rotary position embedding (Su et al. 2021): of a head's d columns the first 2·n are rotated, in
 * pairs (j, j + n), by the angle of the token's position. Errors as in {@link Linear}.
 *
 * @param sequences 0 or more
 * @param tokens of each sequence, padding included
 * @param heads that are rotated, from a row's first column on: those of query and key side by side
 * @param headSize d, 2 or more
 * @param table of the angles of positions 0 to P - 1
 * @param positions at which tokens stand
 */
public record Rotary(
    long sequences, long tokens, long heads, long headSize, Table table, Positions positions) {
  /**
   * The cosines and sines of angles, by position.
   *
   * @param cosines [P, n], a row a position, n at most d / 2, float32
   * @param sines of the same shape
   */
  public record Table(Matrix cosines, Matrix sines) {}

  /**
   * Token t of a sequence stands at position past + t - start, which is kept in [0, P - 1].
   *
   * @param past tokens before the first one of each sequence: those in a cache
   * @param starts sequences · tokens numbers; null: 0 for all
   */
  public record Positions(long past, IntPointer starts) {}

  /**
   * Rotates heads, and copies what is not rotated.
   *
   * @param x [sequences · tokens, N], N at least heads · headSize
   * @param y of x's shape, written; may be its buffer
   */
  public void forward(Context context, Matrix x, Matrix y) {
    rotate(context, 0, x, y);
  }

  /**
   * The gradient by x: heads rotated back.
   *
   * @param dy of x's shape
   * @param dx of x's shape, written; may be dy's buffer
   */
  public void backward(Context context, Matrix dy, Matrix dx) {
    rotate(context, 1, dy, dx);
  }

  private void rotate(Context context, int backward, Matrix x, Matrix y) {
    long rows = Math.multiplyExact(sequences, tokens);
    x.require("x", x.dtype(), rows, x.cols());
    y.require("y", x.dtype(), rows, x.cols());
    Arguments.requireLength("starts", positions.starts, rows, "numbers");
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_rotate(
            context.struct(),
            call.rotary(this).backward(backward),
            call.matrix(0, x),
            call.matrix(1, y)),
        context);
  }
}
