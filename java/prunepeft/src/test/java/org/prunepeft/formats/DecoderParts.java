package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.AdapterPartLowRankBuilder;
import org.prunepeft.testing.Rounding;

/** Adapters with fresh random weights for small language models. */
final class DecoderParts {
  /** The scale, its product with a singular value and B, and the same when they are read. */
  private static final int ROUNDINGS = 6;

  private DecoderParts() {}

  static Stream<Architecture> decoders() {
    return Arrays.stream(Architecture.values()).filter(Architecture::isDecoder);
  }

  /** 3 layers, hidden size 10, 4 heads of 6 that share 2 keys, intermediate size 14. */
  static EncoderConfig config(Architecture architecture) {
    return EncoderConfig.bert(3, 12, 4, 14, 30, 16)
        .with()
        .architecture(architecture)
        .hidden(10)
        .embedding(10)
        .types(0)
        .decoder(DecoderFamilies.shape(2, 6, DecoderFamilies.rope(10_000, 6, 16)))
        .build();
  }

  static AdapterPartLowRankBuilder lora(
      EncoderConfig encoder, int layer, Projection projection, int rank) {
    return AdapterPartLowRankBuilder.builder()
        .layer(layer)
        .path(encoder.path(layer, projection))
        .a(Parts.random(rank, encoder.inputs(projection)))
        .b(Parts.random(encoder.outputs(projection), rank))
        .alpha(8)
        .dropout(0.1);
  }

  /** With a rank that was left out. */
  static LowRank adaLora(EncoderConfig encoder, int layer, Projection projection) {
    AdaLoraConfig config = new AdaLoraConfig(3, 2, 1, 2, 1, 0.85, 0.85, 0.5, 9);
    Tensor values = new Tensor(new long[] {3, 1}, new float[] {0.5f, 0, -2});
    return lora(encoder, layer, projection, 3)
        .singular(new AdapterPart.SingularValues(values, config))
        .build();
  }

  /** The same with another alpha, and without dropout. */
  static LowRank with(LowRank update, double alpha) {
    return AdapterPartLowRankBuilder.builder(update).alpha(alpha).dropout(0).build();
  }

  static TrainedAdapter adapter(EncoderConfig encoder, List<? extends AdapterPart> parts) {
    return new TrainedAdapter("some/decoder", encoder, List.copyOf(parts), List.of(), null, null);
  }

  /** s·B·A, [out, in]. */
  static double[] delta(LowRank update) {
    int rank = update.rank();
    double[] scaled = new double[update.b().values().length];
    for (int i = 0; i < scaled.length; i++) {
      scaled[i] = update.scale(i % rank) * update.b().values()[i];
    }
    return product(scaled, update.a().values(), rank);
  }

  /** The sums of the magnitudes of {@link #delta}'s terms. */
  static double[] magnitudes(LowRank update) {
    int rank = update.rank();
    double[] scaled = new double[update.b().values().length];
    for (int i = 0; i < scaled.length; i++) {
      scaled[i] = Math.abs(update.scale(i % rank) * update.b().values()[i]);
    }
    float[] a = update.a().values().clone();
    for (int i = 0; i < a.length; i++) {
      a[i] = Math.abs(a[i]);
    }
    return product(scaled, a, rank);
  }

  /**
   * Compares updates, whose products are summed in float64: a file has scales in B, or by
   * themselves, so that a term passes up to {@link #ROUNDINGS} roundings to float32.
   *
   * @param magnitudes {@link #magnitudes} of what is expected
   */
  static void assertSameUpdate(
      double[] expected, double[] magnitudes, double[] actual, String what) {
    assertEquals(expected.length, actual.length, what);
    double share = Rounding.gamma(ROUNDINGS, Rounding.FLOAT32);
    for (int i = 0; i < expected.length; i++) {
      Rounding.assertNear(expected[i], actual[i], share * magnitudes[i], what + ", " + i);
    }
  }

  static void assertSameUpdate(LowRank expected, double[] actual, String what) {
    assertSameUpdate(delta(expected), magnitudes(expected), actual, what);
  }

  static double[] sum(double[] a, double[] b) {
    double[] sum = a.clone();
    Arrays.setAll(sum, i -> a[i] + b[i]);
    return sum;
  }

  static double[] product(double[] b, float[] a, int rank) {
    int outputs = b.length / rank;
    int inputs = a.length / rank;
    double[] product = new double[outputs * inputs];
    for (int i = 0; i < product.length; i++) {
      for (int r = 0; r < rank; r++) {
        product[i] += b[i / inputs * rank + r] * a[r * inputs + i % inputs];
      }
    }
    return product;
  }

  static double[] doubles(float[] values) {
    double[] doubles = new double[values.length];
    Arrays.setAll(doubles, i -> values[i]);
    return doubles;
  }
}
