package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.testing.TestSeed;

/** Our causal attention beside LibTorch's. */
class CausalAttentionTest {
  /** Roundings of a result that are in no sum: scales, a cap, exponentials, a division. */
  private static final int OTHERS = 16;

  private final Random random = TestSeed.random();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** Packed samples, the first of which may begin after padding. */
  private Tensor starts(int rows, int length) {
    int[] starts = new int[rows * length];
    for (int row = 0; row < rows; row++) {
      int start = random.nextInt(3);
      for (int t = 0; t < length; t++) {
        if (t > start && random.nextInt(8) == 0) {
          start = t;
        }
        starts[row * length + t] = start;
      }
    }
    return Tensor.create(starts, rows * length);
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, 1, 4, 0, 0, false, false",
    "2, 33, 6, 2, 20, 0, 0, false, false",
    "2, 70, 4, 4, 16, 7, 0, false, false",
    "1, 50, 4, 1, 8, 0, 2.5, false, false",
    "3, 61, 6, 3, 12, 20, 1.5, true, false",
    "2, 129, 3, 1, 64, 0, 0, true, true",
    "2, 40, 4, 2, 17, 9, 2, true, true",
  })
  void contextAndGradientAreLibTorchs(
      int rows,
      int length,
      int heads,
      int keyHeads,
      int size,
      int window,
      double cap,
      boolean packed,
      boolean bfloat16) {
    torch.ScalarType type = bfloat16 ? torch.ScalarType.BFloat16 : torch.ScalarType.Float;
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      CausalAttention attention =
          CausalAttentionBuilder.builder()
              .sequences(rows)
              .tokens(length)
              .heads(heads)
              .keyHeads(keyHeads)
              .headSize(size)
              .scale(0.3)
              .window(window)
              .cap(cap)
              .starts(packed ? starts(rows, length) : null)
              .build();
      Tensor qkv = RandomTensors.normal((long) rows * length, (heads + 2L * keyHeads) * size);
      Tensor gradient = RandomTensors.normal((long) rows * length, (long) heads * size);
      // A score and the gradient of its weight sum up over a head's size; the softmax, its gradient
      // and what is weighted by it over the tokens. Ours in bfloat16 stores the weights, their
      // gradients and the results. A token alone has a gradient of 0 in query and key.
      double whole = qkv.norm().item_double();
      double cancelling = length == 1 ? 0.3 * gradient.norm().item_double() * whole * whole : 0;
      OpComparison.Roundings roundings =
          new OpComparison.Roundings(2 * size + 3 * length + OTHERS, 3, 0, cancelling);
      new OpComparison(type, roundings, qkv, gradient)
          .check(tape, (own, in) -> attention.apply(own, in));
    }
  }

  /** As flash attention takes them: each head of keys once, not once for each head of query. */
  @ParameterizedTest
  @CsvSource({"6, 2, 20, 33", "4, 1, 8, 50", "8, 4, 16, 1", "3, 3, 64, 70"})
  void headsOfKeysThatAreSharedAreThoseThatAreCopied(
      int heads, int keyHeads, int size, int length) {
    int rows = 2;
    try (PointerScope scope = new PointerScope()) {
      CausalAttention attention =
          CausalAttentionBuilder.builder()
              .sequences(rows)
              .tokens(length)
              .heads(heads)
              .keyHeads(keyHeads)
              .headSize(size)
              .scale(0.3)
              .build();
      long tokens = (long) rows * length;
      Tensor q = RandomTensors.normal(tokens, (long) heads * size);
      Tensor k = RandomTensors.normal(tokens, (long) keyHeads * size);
      Tensor v = RandomTensors.normal(tokens, (long) keyHeads * size);
      Tensor gradient = RandomTensors.normal(tokens, (long) heads * size);
      Tensor[][] results = new Tensor[2][];
      for (int i = 0; i < 2; i++) {
        Tensor[] in = {leaf(q), leaf(k), leaf(v)};
        Tensor context = attention.byLibTorch(in[0], in[1], in[2], length, null, i == 1);
        context.mul(gradient).sum().backward();
        results[i] = new Tensor[] {context.detach(), in[0].grad(), in[1].grad(), in[2].grad()};
      }
      for (int i = 0; i < results[0].length; i++) {
        // As above; keys' gradients are summed over the queries' heads too.
        int terms = 2 * size + 3 * length + heads / keyHeads + OTHERS;
        OpComparison.assertNear(results[0][i], results[1][i], terms, "result " + i);
      }
    }
  }

  private static Tensor leaf(Tensor values) {
    return values.detach().clone().set_requires_grad(true);
  }

  /** A text's tokens one after the other, and several at once, are what they are in one batch. */
  @ParameterizedTest
  @CsvSource({"0, 0, false", "5, 0, true", "0, 3, true"})
  void cachedTokensAreThoseOfTheWhole(int window, double cap, boolean padded) {
    int rows = 2;
    int length = 13;
    int capacity = 17;
    long queries = 4 * 8;
    long keys = 2 * 8;
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      Tensor starts =
          padded
              ? torch.cat(
                  new TensorVector(
                      Tensor.create(new int[length], length),
                      Tensor.create(new int[length], length).add_(Tensor.create(new int[] {3}))))
              : null;
      CausalAttention whole =
          CausalAttentionBuilder.builder()
              .sequences(rows)
              .tokens(length)
              .heads(4)
              .keyHeads(2)
              .headSize(8)
              .scale(0.4)
              .window(window)
              .cap(cap)
              .starts(starts)
              .build();
      Tensor qkv = RandomTensors.normal(rows * length, queries + 2 * keys);
      Tensor expected = whole.apply(tape, qkv).view(rows, length, queries);
      Tensor split = qkv.view(rows, length, queries + 2 * keys);
      Tensor nan = RandomTensors.normal(rows, capacity, 2 * keys).mul_(Tensor.create(Float.NaN));
      nan.narrow(1, 0, length).copy_(split.narrow(2, queries, 2 * keys));
      Tensor k = nan.narrow(2, 0, keys).reshape(rows * capacity, keys);
      Tensor v = nan.narrow(2, keys, keys).reshape(rows * capacity, keys);
      for (int[] part : new int[][] {{0, 6}, {6, 1}, {7, 1}, {8, 5}}) {
        Tensor own =
            starts == null
                ? null
                : starts.view(rows, length).narrow(1, part[0], part[1]).contiguous().view(-1);
        CausalAttention last = whole.with().tokens(part[1]).starts(own).build();
        Tensor q = split.narrow(1, part[0], part[1]).narrow(2, 0, queries).reshape(-1, queries);
        Tensor wanted = expected.narrow(1, part[0], part[1]).reshape(-1, queries);
        long count = part[0] + part[1];
        // Scores over 8 columns; the softmax and its weights over the tokens.
        int terms = 8 + 2 * length + OTHERS;
        OpComparison.assertNear(wanted, last.cached(tape, q, k, v, count), terms, "with a tape");
        OpComparison.assertNear(wanted, last.cached(null, q, k, v, count), terms, "without");
      }
    }
  }

  @Test
  void paddingOnTheLeftIsZeros() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      Tensor starts = Tensor.create(new int[] {2, 2, 2, 2, 2}, 5);
      CausalAttention attention =
          CausalAttentionBuilder.builder()
              .sequences(1)
              .tokens(5)
              .heads(2)
              .keyHeads(1)
              .headSize(4)
              .scale(0.5)
              .starts(starts)
              .build();
      Tensor qkv = RandomTensors.normal(5, 16);
      for (Tape own : new Tape[] {tape, null}) {
        Tensor context = attention.apply(own, qkv);
        assertEquals(0, context.narrow(0, 0, 2).abs().sum().item_float());
        // The first real token sees itself alone.
        OpComparison.assertNear(
            qkv.narrow(0, 2, 1).narrow(1, 12, 4),
            context.narrow(0, 2, 1).narrow(1, 0, 4),
            OTHERS,
            "the first token");
      }
    }
  }
}
