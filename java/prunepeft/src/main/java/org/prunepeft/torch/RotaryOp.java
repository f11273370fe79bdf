package org.prunepeft.torch;

import java.util.List;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Rotary;

/** Rotary position embedding of query and key, by our kernels, without a tape by LibTorch. */
public final class RotaryOp {
  private RotaryOp() {}

  /**
   * A table of angles, with the scaling that some models have.
   *
   * @param cosines [P, n], a row a position, n at most d / 2, float32
   * @param sines of the same shape
   */
  public record Angles(Tensor cosines, Tensor sines) {}

  /**
   * Which heads are rotated, and by what angles: of a head's d columns the first 2·n, in pairs (j,
   * j + n), as Llama's {@code rotate_half} does.
   *
   * @param sequences B
   * @param heads that are rotated, from a row's first column on: those of query and key
   * @param headSize d
   * @param angles of the positions from 0 to P - 1
   * @param past tokens before the first one of each sequence: those in a cache
   * @param starts [B·T], int32: token t stands at position past + t - start, which is kept in [0, P
   *     - 1]; stays valid until the backward pass is over; null: 0 for all
   */
  public record Rotation(
      long sequences, long heads, long headSize, Angles angles, long past, Tensor starts) {
    private Rotary kernel(long tokens) {
      return new Rotary(
          sequences,
          tokens,
          heads,
          headSize,
          new Rotary.Table(Torch.matrix(angles.cosines), Torch.matrix(angles.sines)),
          new Rotary.Positions(past, Torch.ints(starts)));
    }

    private Tensor byLibTorch(Tensor x) {
      long rows = x.size(0);
      long n = angles.cosines.size(1);
      Tensor position = Torch.range(ComputeDevice.of(x), rows / sequences).add(new Scalar(past));
      position = position.repeat(sequences);
      if (starts != null) {
        position = position.sub(starts);
      }
      position =
          position.clamp_min(new Scalar(0)).clamp_max(new Scalar(angles.cosines.size(0) - 1));
      Tensor cosine = angles.cosines.index_select(0, position).unsqueeze(1);
      Tensor sine = angles.sines.index_select(0, position).unsqueeze(1);
      Tensor rotated =
          x.narrow(1, 0, heads * headSize)
              .reshape(rows, heads, headSize)
              .to(torch.ScalarType.Float);
      Tensor first = rotated.narrow(2, 0, n);
      Tensor second = rotated.narrow(2, n, n);
      Tensor all =
          torch.cat(
              new TensorVector(
                  first.mul(cosine).sub(second.mul(sine)),
                  second.mul(cosine).add(first.mul(sine)),
                  rotated.narrow(2, 2 * n, headSize - 2 * n)),
              2);
      return torch.cat(
          new TensorVector(
              all.reshape(rows, heads * headSize).to(x.scalar_type().intern()),
              x.narrow(1, heads * headSize, x.size(1) - heads * headSize)),
          1);
    }
  }

  /**
   * {@return x with its heads rotated, [B·T, N], of x's type}
   *
   * @param tape null: by LibTorch
   * @param x [B·T, N], dense, float32 or bfloat16, N at least heads·d: query, key and value side by
   *     side
   */
  public static Tensor apply(Tape tape, Tensor x, Rotation rotation) {
    if (tape == null) {
      return rotation.byLibTorch(x);
    }
    ComputeDevice place = ComputeDevice.of(x);
    Context context = tape.context(place.kernels());
    long tokens = x.size(0) / rotation.sequences;
    torch.ScalarType type = x.scalar_type().intern();
    Tensor y;
    // A handle on x would keep its memory until the step is over.
    try (NoGradGuard guard = new NoGradGuard();
        Tensor input = x.detach()) {
      y = place.emptyMatrix(x.size(0), x.size(1), type);
      rotation.kernel(tokens).forward(context, Torch.matrix(input), Torch.matrix(y));
    }
    long rows = y.size(0);
    long columns = y.size(1);
    return tape.record(
        y,
        List.of(x),
        List.of(),
        gradient -> {
          Tensor dx = place.emptyMatrix(rows, columns, type);
          // Refers to the angles' tensors until then.
          rotation
              .kernel(tokens)
              .backward(context, Torch.matrix(gradient.contiguous()), Torch.matrix(dx));
          return new Tensor[] {dx};
        });
  }
}
