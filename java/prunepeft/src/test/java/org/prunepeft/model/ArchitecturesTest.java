package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** Each architecture on random weights and padded batches, against float64 without padding. */
public class ArchitecturesTest {
  private static final int VOCABULARY = 53;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  static EncoderConfig config(Architecture architecture, HiddenActivation activation, int types) {
    boolean roberta =
        architecture == Architecture.ROBERTA || architecture == Architecture.XLM_ROBERTA;
    return EncoderConfig.bert(2, 21, 3, 35, VOCABULARY, 34)
        .with()
        .architecture(architecture)
        .types(types)
        .layerNormEpsilon(architecture == Architecture.DISTILBERT ? 1e-12 : 1e-5)
        .embedding(architecture == Architecture.ELECTRA ? 10 : 21)
        .activation(activation)
        .padding(roberta ? 1 : 0)
        .build();
  }

  static EncoderConfig deberta(
      int types,
      int embedding,
      boolean absolutePositions,
      RelativeAttention relative,
      Convolution convolution) {
    return EncoderConfig.bert(3, 24, 4, 35, VOCABULARY, 34)
        .with()
        .architecture(Architecture.DEBERTA_V2)
        .types(types)
        .layerNormEpsilon(1e-7)
        .embedding(embedding)
        .absolutePositions(absolutePositions)
        .relative(relative)
        .convolution(convolution)
        .build();
  }

  /** One of each kind and more, small. */
  public static Stream<EncoderConfig> configurations() {
    HiddenActivation gelu = HiddenActivation.GELU;
    return Stream.of(
        config(Architecture.BERT, gelu, 2),
        config(Architecture.BERT, HiddenActivation.RELU, 2),
        config(Architecture.BERT, HiddenActivation.SILU, 2),
        config(Architecture.ROBERTA, gelu, 1),
        config(Architecture.XLM_ROBERTA, HiddenActivation.GELU_TANH, 1),
        config(Architecture.DISTILBERT, gelu, 0),
        config(Architecture.ELECTRA, gelu, 2),
        // As the third version is: logarithmic buckets, shared projections.
        deberta(0, 24, false, new RelativeAttention(8, 34, true, true, true, true), null),
        // As the second version's large models are.
        deberta(
            0,
            24,
            false,
            new RelativeAttention(8, 34, true, true, true, true),
            new Convolution(3, 1, HiddenActivation.GELU)),
        deberta(2, 9, true, new RelativeAttention(0, 7, true, true, false, false), null),
        deberta(0, 24, true, new RelativeAttention(6, 20, true, false, false, true), null),
        deberta(0, 24, false, new RelativeAttention(10, 34, false, true, false, false), null),
        deberta(
            0,
            24,
            false,
            new RelativeAttention(6, 34, false, true, true, false),
            new Convolution(5, 2, HiddenActivation.TANH)),
        deberta(0, 24, true, null, null));
  }

  @ParameterizedTest
  @MethodSource("configurations")
  void hiddenStatesAgreeWithFloat64(EncoderConfig config) throws IOException {
    Map<String, SafeTensors.Tensor> tensors = RandomCheckpoint.tensors(config, TestSeed.random());
    try (Encoder encoder = new PostNormEncoder(config, new MapCheckpoint("random", tensors))) {
      agree(encoder, ReferenceConfig.of(config), tensors);
    }
  }

  private static float[] floats(double[][] values) {
    float[] all = new float[values.length * values[0].length];
    for (int i = 0; i < all.length; i++) {
      all[i] = (float) values[i / values[0].length][i % values[0].length];
    }
    return all;
  }

  /**
   * Hidden states of a padded batch are those of the reference, sequence by sequence. How far
   * rounding may move them is measured: by the reference with weights that are off as far as the
   * longest sum may be.
   */
  static void agree(
      Encoder encoder, ReferenceConfig config, Map<String, SafeTensors.Tensor> tensors) {
    Random random = TestSeed.random();
    int rows = 4;
    int length = config.maxTokens() - random.nextInt(3);
    long[] ids = new long[rows * length];
    long[] types = new long[rows * length];
    byte[] mask = new byte[rows * length];
    int[] lengths = {length, 1, 2 + random.nextInt(length - 2), 2 + random.nextInt(length - 2)};
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < lengths[row]; i++) {
        ids[row * length + i] = random.nextInt(config.vocabulary());
        types[row * length + i] = random.nextInt(Math.max(1, config.types()));
        mask[row * length + i] = 1;
      }
    }
    ReferenceEncoder reference = new ReferenceEncoder(config, tensors);
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape()) {
      EncoderInput input = EncoderInput.of(ids, types, mask, rows, length);
      float[] ours = Torch.toFloats(encoder.forward(input, Insertions.NONE));
      Prediction prediction = new Prediction(tape);
      float[] predicted = Torch.toFloats(encoder.forward(input, prediction));
      EncoderConfig shape = encoder.config();
      boolean whole = shape.relative() == null && shape.activation().kernel() != null;
      assertEquals(whole ? shape.layers() : 0, prediction.wholeLayers);
      for (int row = 0; row < rows; row++) {
        int[] ownIds = new int[lengths[row]];
        int[] ownTypes = new int[lengths[row]];
        for (int i = 0; i < ownIds.length; i++) {
          ownIds[i] = (int) ids[row * length + i];
          ownTypes[i] = (int) types[row * length + i];
        }
        double[][] expected = reference.forward(ownIds, ownTypes);
        double share = RandomCheckpoint.share(shape, length);
        double moved =
            Rounding.moved(
                floats(expected),
                () ->
                    floats(
                        new ReferenceEncoder(
                                config, RandomCheckpoint.perturbed(tensors, share, random))
                            .forward(ownIds, ownTypes)));
        for (int i = 0; i < ownIds.length; i++) {
          int at = (row * length + i) * config.hidden();
          String place = "row %d of %d tokens, token %d".formatted(row, lengths[row], i);
          float[] own = Arrays.copyOfRange(ours, at, at + config.hidden());
          Rounding.assertNear(expected[i], own, 2 * moved, place);
          own = Arrays.copyOfRange(predicted, at, at + config.hidden());
          Rounding.assertNear(expected[i], own, 2 * moved, place + " of a prediction");
        }
      }
    }
  }

  /** Nothing inserted, so that kernels may compute whole layers; counts these. */
  private static final class Prediction implements Insertions {
    private final Tape tape;
    private int wholeLayers;

    Prediction(Tape tape) {
      this.tape = tape;
    }

    @Override
    public Tape tape() {
      return tape;
    }

    @Override
    public List<LayerAdapter> adapters(int layer) {
      wholeLayers++;
      return List.of();
    }
  }

  @Test
  void debertasThirdVersionHasTheBucketsOfItsCheckpoints() {
    RelativeAttention attention = new RelativeAttention(256, 512, true, true, true, true);
    // By float32 arithmetic, as the library computes them.
    for (int distance = -511; distance < 512; distance++) {
      float size = Math.abs(distance) / 128f;
      float logarithms = (float) Math.log(size) / (float) Math.log(511 / 128f);
      int bucket = (int) Math.ceil(logarithms * 127) + 128;
      int expected = Math.abs(distance) <= 128 ? distance : distance < 0 ? -bucket : bucket;
      assertEquals(expected, attention.bucket(distance), "distance " + distance);
    }
    assertEquals(255, attention.bucket(511));
  }

  @Test
  void aSequenceThatIsTooLongAndAnIdThatIsTooLargeAreRefused() throws IOException {
    EncoderConfig config = config(Architecture.ROBERTA, HiddenActivation.GELU, 1);
    assertEquals(32, config.maxTokens());
    try (Encoder encoder =
            new PostNormEncoder(config, RandomCheckpoint.of(config, TestSeed.random()));
        PointerScope scope = new PointerScope()) {
      for (List<Integer> sizes : List.of(List.of(33, 5), List.of(4, VOCABULARY))) {
        int length = sizes.get(0);
        long[] ids = new long[length];
        ids[1] = sizes.get(1);
        byte[] mask = new byte[length];
        Arrays.fill(mask, (byte) 1);
        EncoderInput input = EncoderInput.of(ids, new long[length], mask, 1, length);
        var e =
            assertThrows(
                IllegalArgumentException.class, () -> encoder.forward(input, Insertions.NONE));
        assertTrue(e.getMessage().contains("exceeds"), e.getMessage());
      }
    }
  }
}
