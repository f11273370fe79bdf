package org.prunepeft.peft.supernet;

import java.util.SplittableRandom;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.Torch;

/**
 * Normal initial values that depend on the seed, the stage and the tensor's name alone: not on
 * which other modules there are, nor on the machine.
 */
final class InitialWeights {
  private InitialWeights() {}

  /** `count` values of N(0, deviation²). */
  static float[] draw(long count, long seed, String stage, String name, double deviation) {
    float[] values = new float[Math.toIntExact(count)];
    if (deviation > 0) {
      SplittableRandom random = new SplittableRandom(Seeds.derive(seed, stage + '\n' + name));
      for (int i = 0; i < values.length; i += 2) {
        // Box-Muller; StrictMath gives the same bits everywhere.
        double radius = deviation * StrictMath.sqrt(-2 * StrictMath.log(1 - random.nextDouble()));
        double angle = 2 * Math.PI * random.nextDouble();
        values[i] = (float) (radius * StrictMath.cos(angle));
        if (i + 1 < values.length) {
          values[i + 1] = (float) (radius * StrictMath.sin(angle));
        }
      }
    }
    return values;
  }

  /** Copies values into a dense float32 tensor. */
  static void fill(Tensor tensor, float[] values) {
    try (NoGradGuard guard = new NoGradGuard();
        Tensor plain = tensor.detach();
        Tensor given = Torch.floats(values, values.length).view_as(plain)) {
      plain.copy_(given);
    }
  }
}
