package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.Encoding;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.CausalDecoder;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.DecoderFamilies.Family;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.LanguageModelHead;
import org.prunepeft.train.pass.TrainingRun;

/**
 * A step's loss and gradients, of LoRA on all linears and adapters in each family of decoders, are
 * the same however its texts are laid out.
 */
class DecoderStepsTest extends TrainingTest {
  private static final int PARTS = 4;
  private static final int PERTURBATIONS = 4;
  private static final String LOSS = "loss";
  private static final int TEXTS_OF_A_PART = 5;
  private static final int LONGEST = 9;

  private final long seed = TestSeed.draw();
  private Family family;
  private Map<String, SafeTensors.Tensor> tensors;
  private CausalDecoder decoder;
  private LanguageModelHead head;

  /** What a step leaves. */
  private record Outcome(double loss, Map<String, float[]> gradients) {
    double error(String name, Outcome other) {
      return name.equals(LOSS)
          ? Math.abs(loss - other.loss)
          : Rounding.distance(gradients.get(name), other.gradients.get(name));
    }
  }

  static Stream<Family> families() {
    return DecoderFamilies.all();
  }

  /**
   * Texts of 1 token and more, of which fewer are learnt in each part. Each part has a text of the
   * greatest length, since some kinds of RoPE go by a batch's longest text.
   */
  private static EncodedDataset texts(Random random) {
    List<Encoding> texts = new ArrayList<>();
    for (int i = 0; i < PARTS * TEXTS_OF_A_PART; i++) {
      int length = i % TEXTS_OF_A_PART == 0 ? LONGEST : 1 + random.nextInt(LONGEST);
      boolean[] trained = new boolean[length];
      for (int t = 1; t < length; t++) {
        trained[t] = random.nextInt(1 + i / TEXTS_OF_A_PART) == 0;
      }
      int[] ids = random.ints(length, 0, DecoderFamilies.VOCABULARY).toArray();
      texts.add(Encoding.labelled(ids, trained));
    }
    return EncodedDataset.labelled(texts);
  }

  private void make(Family family, Random random) {
    this.family = family;
    tensors = family.tensors(random);
    use(tensors);
  }

  private void use(Map<String, SafeTensors.Tensor> weights) {
    decoder = keep(family.decoder(weights));
    head = keep(LanguageModelHead.of(decoder));
  }

  /**
   * Compares what a step leaves with that of texts in rows of their own: its loss, and each
   * gradient by its norm. What rounding may move is measured, by weights that are off as far as the
   * longest sum may be: gradients whose terms cancel move by more of themselves.
   */
  private void assertNear(EncodedDataset rows, Outcome actual) {
    Outcome expected = step(rows, 1);
    double share = RandomCheckpoint.share(decoder.config(), (int) rows.tokens());
    Random random = TestSeed.random();
    Map<String, Double> moved = new LinkedHashMap<>();
    for (int i = 0; i < PERTURBATIONS; i++) {
      use(RandomCheckpoint.perturbed(tensors, share, random));
      Outcome off = step(rows, 1);
      expected
          .gradients
          .keySet()
          .forEach(name -> moved.merge(name, expected.error(name, off), Math::max));
      moved.merge(LOSS, expected.error(LOSS, off), Math::max);
    }
    assertEquals(expected.gradients.keySet(), actual.gradients.keySet());
    moved.forEach(
        (name, limit) -> Rounding.assertAtMost(2 * limit, expected.error(name, actual), name));
  }

  private Outcome step(EncodedDataset data, int parts) {
    return step(data, parts, false);
  }

  private Outcome step(EncodedDataset data, int parts, boolean checkpointing) {
    LoraConfig lora = LoraConfig.of(3, 5, 0, List.of(LoraConfig.ALL)).on(decoder.config());
    PeftConfig config = PeftConfig.of(lora, AdapterConfig.of(7, Activation.GELU));
    PeftModules modules =
        keep(
            new PeftModules(config, decoder.config(), config.space(decoder.config()).candidates()));
    fill(modules.groups().values(), new Random(seed));
    TrainingSettings settings =
        TrainingSettings.builder()
            .batchSize((data.size() + parts - 1) / parts)
            .gradientAccumulationSteps(parts)
            .gradientCheckpointing(checkpointing)
            .build();
    Batch batch = Batch.of(data, IntStream.range(0, data.size()).toArray());
    double loss =
        SingleStep.loss(
            keep(new Trainer(decoder, settings)),
            new TrainingRun(modules, head, data, 1, seed, null),
            batch);
    Map<String, float[]> gradients = new LinkedHashMap<>();
    for (FlatParameters group : modules.groups().values()) {
      group.names().forEach(name -> gradients.put(name, Torch.toFloats(group.gradient(name))));
    }
    return new Outcome(loss, gradients);
  }

  @ParameterizedTest
  @MethodSource("families")
  void packedTextsGiveWhatRowsOfTheirOwnGive(Family family) {
    Random random = new Random(seed);
    make(family, random);
    EncodedDataset data = texts(random);
    EncodedDataset packed = data.packed(2 * LONGEST + random.nextInt(LONGEST));
    Batch rows = Batch.of(packed, IntStream.range(0, packed.size()).toArray());
    assertNotNull(rows.starts());
    assertEquals(LONGEST, rows.longest());
    assertNear(data, step(packed, 1));
  }

  @ParameterizedTest
  @MethodSource("families")
  void accumulatedPartsGiveWhatTheLargeBatchGives(Family family) {
    Random random = new Random(seed);
    make(family, random);
    EncodedDataset data = texts(random);
    assertNear(data, step(data, PARTS));
  }

  @ParameterizedTest
  @MethodSource("families")
  void layersThatAreComputedAgainGiveTheSameBits(Family family) {
    Random random = new Random(seed);
    make(family, random);
    EncodedDataset data = texts(random).packed(2 * LONGEST);
    Outcome kept = step(data, 1);
    Outcome again = step(data, 1, true);
    assertEquals(kept.loss, again.loss);
    assertSame(kept.gradients, again.gradients);
  }
}
