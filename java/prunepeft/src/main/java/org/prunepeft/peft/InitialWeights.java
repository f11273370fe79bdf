package org.prunepeft.peft;

import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

/**
 * Normal initial values that depend on the seed, the stage and the tensor's name alone: not on which other modules there are, nor on
 * the machine.
 */
final class InitialWeights {
  private InitialWeights() {}

  /** Fills a dense float32 tensor with N(0, deviation²). */
  static void fill(Tensor tensor, long seed, String stage, String name, double deviation) {
    float[] values = new float[Math.toIntExact(tensor.numel())];
    if (deviation > 0) {
      SplittableRandom random = new SplittableRandom(hash(seed, stage + '\n' + name));
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
    try (NoGradGuard guard = new NoGradGuard();
        Tensor plain = tensor.detach();
        FloatPointer data = plain.data_ptr_float()) {
      data.put(values);
    }
  }

  /** FNV-1a over the text, begun from the seed and finished by the mixer of SplitMix64. */
  private static long hash(long seed, String text) {
    long hash = 0xcbf29ce484222325L ^ seed;
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
    }
    hash = (hash ^ (hash >>> 30)) * 0xbf58476d1ce4e5b9L;
    hash = (hash ^ (hash >>> 27)) * 0x94d049bb133111ebL;
    return hash ^ (hash >>> 31);
  }
}
