package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.kernels.Attention;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.model.DecoderConfigBuilder;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Quantization;
import org.prunepeft.model.SmallBert;
import org.prunepeft.torch.Torch;

/** The plan has what the kernels ask for. */
class AttentionMemoryTest {
  /** Each piece is at a cache line. */
  private static final long ALIGNMENT = 256;

  private static final int THREADS_BEFORE = Kernels.threads();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  @AfterEach
  void restore() {
    Kernels.setThreads(THREADS_BEFORE);
  }

  private static TrainingShape shape(EncoderConfig model, long rows, long length, int threads) {
    return new TrainingShape(
        model,
        Precision.FLOAT32,
        Quantization.NONE,
        model.decoder() != null,
        false,
        1000,
        5,
        0,
        0,
        0,
        1,
        rows,
        length,
        true,
        false,
        false,
        threads);
  }

  private static void check(TrainingShape shape, Attention attention) {
    Kernels.setThreads(shape.threads());
    long queries = attention.heads() * attention.headSize();
    long keys =
        attention.causal() == null ? queries : attention.causal().keyHeads() * attention.headSize();
    long rows = attention.sequences() * attention.tokens();
    try (PointerScope scope = new PointerScope();
        Context context = new Context(Device.cpu())) {
      Tensor qkv = torch.zeros(rows, queries + 2 * keys);
      attention.backward(
          context,
          Torch.matrix(torch.zeros(rows, queries)),
          Torch.matrix(qkv),
          Torch.matrix(torch.zeros(attention.sequences() * attention.heads(), attention.tokens())),
          Torch.matrix(torch.zeros_like(qkv)));
      assertEquals(shape.attention(), context.bytes(), ALIGNMENT);
      assertTrue(shape.attention() <= context.bytes());
    }
    assertTrue(shape.work() >= shape.attention());
  }

  @ParameterizedTest
  @CsvSource({"1, 33, 1, 1", "1, 300, 4, 3", "4, 130, 4, 7", "3, 17, 2, 64", "9, 64, 1, 64"})
  void ofADecoder(long rows, long length, int keyHeads, int threads) {
    EncoderConfig plain = DecoderFamilies.llama(1, 96, 64, 4, 512).config();
    EncoderConfig model =
        plain
            .with()
            .decoder(DecoderConfigBuilder.builder(plain.decoder()).keyValueHeads(keyHeads).build())
            .build();
    check(
        shape(model, rows, length, threads),
        new Attention(
            rows,
            length,
            4,
            model.decoder().headSize(),
            null,
            new Attention.Causal(keyHeads, 1, 0, 0, null)));
  }

  @ParameterizedTest
  @CsvSource({"1, 33, 1", "8, 100, 3", "2, 130, 64"})
  void ofAnEncoder(long rows, long length, int threads) {
    EncoderConfig model = SmallBert.CONFIG;
    check(
        shape(model, rows, length, threads),
        new Attention(rows, length, model.heads(), model.hidden() / model.heads(), null));
  }
}
