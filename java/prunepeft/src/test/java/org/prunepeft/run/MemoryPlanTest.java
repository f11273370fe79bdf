package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Quantization;
import org.prunepeft.torch.HostMemoryException;

/** Predictions from shapes alone. */
class MemoryPlanTest {
  /** SmolLM2-135M's shape, with as many key and value heads as others. */
  private static final EncoderConfig LLAMA =
      DecoderFamilies.llama(30, 576, 1536, 9, 2048).config().with().vocabulary(49152).build();

  private static final TrainingShape SHAPE =
      new TrainingShape(
          LLAMA,
          Precision.FLOAT32,
          Quantization.NONE,
          true,
          false,
          1_000_000,
          5,
          3264,
          56,
          1536 * 16,
          1,
          8,
          256,
          true,
          false,
          false,
          1);

  private static final long LINEARS = 30L * (4 * 576 * 576 + 3 * 576 * 1536);

  @Test
  void frozenLinearsArePackedTwiceAndTrainedOnesAreThemselves() {
    MemoryPlan plan = MemoryPlan.of(SHAPE);
    assertEquals(4 * 49152L * 576, plan.weights());
    assertEquals(8 * LINEARS, plan.prepared());
    assertEquals(4 * LINEARS, plan.freed());
    assertEquals(20_000_000, plan.trained());
    MemoryPlan narrow = MemoryPlan.of(SHAPE.withPrecision(Precision.BF16));
    assertEquals(plan.weights() / 2, narrow.weights());
    assertEquals(plan.prepared() / 2, narrow.prepared());
    MemoryPlan quantized = MemoryPlan.of(SHAPE.withQuantization(Quantization.NF4));
    assertEquals(4 * 49152L * 576, quantized.weights());
    assertEquals(1.0625 * LINEARS, quantized.prepared());
    assertEquals(0, quantized.freed());
    MemoryPlan dense = MemoryPlan.of(SHAPE.withDense(true));
    assertEquals(4 * (LINEARS + 49152L * 576), dense.weights());
    assertEquals(0, dense.freed());
    MemoryPlan full = MemoryPlan.of(SHAPE.withFull(true).withParameters(0));
    assertEquals(0, full.prepared());
    assertEquals(4 * (LINEARS + 49152L * 576), full.weights());
    assertEquals(5 * full.weights(), full.trained());
  }

  @Test
  void unpackedWeightsMayTakeMoreThanTheTraining() {
    MemoryPlan plan = MemoryPlan.of(SHAPE.withRows(1).withLength(4).withParameters(1));
    assertEquals(plan.process() + plan.weights() + 12 * LINEARS, plan.total());
  }

  @Test
  void aCheckpointedLayerKeepsItsInputAndOneIsComputedAgain() {
    long all = MemoryPlan.of(SHAPE).activations();
    long inputs = MemoryPlan.of(SHAPE.withCheckpointing(true)).activations();
    // With the gaps between them, and what a layer keeps that is computed again.
    assertEquals(1.12 * 8 * 256 * 30 * 576 * 4, inputs - all / 30.0, 1);
    long hidden = 2 * 8 * 256 * 576 * 4;
    long loss = (96 << 20) + hidden;
    long backward = 8 * 256 * 4 * (3 * 1536 + 3 * 576) + 16 * 4 * 1536 * 16 + hidden;
    assertEquals(Math.max(loss, backward), MemoryPlan.of(SHAPE).work());
    assertEquals(loss + backward, MemoryPlan.of(SHAPE.withCheckpointing(true)).work());
    assertEquals(2.0 * all, MemoryPlan.of(SHAPE.withRows(16)).activations(), 2);
    assertEquals(all / 2.0, MemoryPlan.of(SHAPE.withLength(128)).activations(), 2);
  }

  @Test
  void whatDoesNotFitIsRefusedWithWhatTakesLess() {
    long total = MemoryPlan.of(SHAPE).total();
    long available = 6 * total / 10;
    String message = refusal(SHAPE, available);
    String lesser = MemoryPlan.gigabytes(MemoryPlan.of(SHAPE.withCheckpointing(true)).total());
    for (String part :
        new String[] {
          MemoryPlan.gigabytes(total) + " GB",
          MemoryPlan.gigabytes(available) + " GB",
          "--gradient-checkpointing takes " + lesser + " GB",
          "--max-seq-length 128 takes ",
          "--precision bf16 takes "
        }) {
      assertTrue(message.contains(part), () -> part + " in " + message);
    }
    assertFalse(message.contains("together"), message);
  }

  @Test
  void whatMayNotFitIsWarnedOfUpToTheLargestErrorOfAPrediction() {
    long total = MemoryPlan.of(SHAPE).total();
    assertEquals(Optional.empty(), MemoryPlan.requireFits(SHAPE, total));
    String lesser = MemoryPlan.gigabytes(MemoryPlan.of(SHAPE.withCheckpointing(true)).total());
    for (long available : new long[] {total - 1, (long) Math.ceil(total / 1.15)}) {
      String warning = MemoryPlan.requireFits(SHAPE, available).orElseThrow();
      String start =
          "the training may take more memory than there is: about %s GB of %s GB; --gradient-checkpointing takes %s GB, "
              .formatted(MemoryPlan.gigabytes(total), MemoryPlan.gigabytes(available), lesser);
      assertTrue(warning.startsWith(start), warning);
    }
    refusal(SHAPE, (long) Math.ceil(total / 1.15) - 1);
  }

  @Test
  void rowsThatMayBeShorterAreRefusedByShortTextsAndWarnedOfByFullOnes() {
    TrainingShape shape = SHAPE.withPacked(false);
    long most = MemoryPlan.of(shape).total();
    long least = MemoryPlan.of(shape.withLength(16)).total();
    assertTrue(least < most / 2);
    assertEquals(Optional.empty(), MemoryPlan.requireFits(shape, most));
    String half = MemoryPlan.gigabytes(MemoryPlan.of(shape.withLength(128)).total());
    long enough = (long) Math.ceil(least / 1.15);
    for (long available : new long[] {most - 1, enough}) {
      String warning = MemoryPlan.requireFits(shape, available).orElseThrow();
      for (String part :
          new String[] {
            "at most %s GB of %s GB; "
                .formatted(MemoryPlan.gigabytes(most), MemoryPlan.gigabytes(available)),
            "--max-seq-length 128 takes at most " + half + " GB"
          }) {
        assertTrue(warning.contains(part), () -> part + " in " + warning);
      }
    }
    String message = refusal(shape, enough - 1);
    String start =
        "the training takes about %s GB of memory with texts of 16 tokens, and there are %s GB ("
            .formatted(MemoryPlan.gigabytes(least), MemoryPlan.gigabytes(enough - 1));
    assertTrue(message.startsWith(start), message);
    assertFalse(message.contains("at most"), message);
    assertFalse(message.contains("--max-seq-length"), message);
  }

  @Test
  void linesSayWhetherRowsMayBeShorter() {
    MemoryPlan full = MemoryPlan.of(SHAPE);
    String total = MemoryPlan.gigabytes(full.total());
    assertTrue(full.text().startsWith("memory: about " + total + " GB: process 0.31, weights "));
    assertEquals(
        "memory: predicted %s GB, peak of the process 1.00 GB%n".formatted(total),
        full.text(OptionalLong.of(1 << 30)));
    MemoryPlan most = MemoryPlan.of(SHAPE.withPacked(false));
    assertEquals(full.text().replace("about", "at most"), most.text());
    assertEquals(
        "memory: predicted at most %s GB, peak of the process 1.00 GB%n".formatted(total),
        most.text(OptionalLong.of(1 << 30)));
    assertEquals(
        "memory: predicted at most %s GB%n".formatted(total), most.text(OptionalLong.empty()));
  }

  @Test
  void aBatchSizeIsNamedThatFits() {
    TrainingShape large = SHAPE.withRows(500);
    long quarter = MemoryPlan.of(large.withRows(125)).total();
    String takes = " takes " + MemoryPlan.gigabytes(quarter) + " GB";
    String message = refusal(large, quarter);
    assertTrue(
        message.contains("--batch-size 125 with 4 times the --gradient-accumulation-steps" + takes),
        message);
    // Two runs together, of 250 texts each.
    String together = refusal(large.withTimes(2), quarter - 1);
    assertTrue(
        together.contains("--batch-size 50 with 5 times the --gradient-accumulation-steps takes "),
        together);
  }

  @Test
  void whereNoOptionIsEnoughAllAreCounted() {
    TrainingShape least =
        SHAPE
            .withCheckpointing(true)
            .withRows(1)
            .withLength(128)
            .withPrecision(Precision.BF16)
            .withQuantization(Quantization.NF4);
    long total = MemoryPlan.of(least).total();
    String together = "all of these together take " + MemoryPlan.gigabytes(total) + " GB";
    String message = refusal(SHAPE, total);
    assertTrue(message.endsWith(together), message);
    String smaller = refusal(SHAPE, total / 2);
    assertTrue(smaller.endsWith(together + ", or take a smaller model"), smaller);
    String nothingElse = refusal(least.withLength(8), 1);
    assertTrue(nothingElse.endsWith("); take a smaller model"), nothingElse);
  }

  private static String refusal(TrainingShape shape, long available) {
    return assertThrows(HostMemoryException.class, () -> MemoryPlan.requireFits(shape, available))
        .getMessage();
  }
}
