package org.prunepeft.peft.supernet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Torch;

/** Slices of the modules of a small whole model, whose sizes no number of slices divides. */
class SlicesTest {
  private static final LoraConfig LORA = LoraConfig.of(7, 9, 0, List.of("query", "value"));
  private static final AdapterConfig ADAPTER = AdapterConfig.of(10, Activation.RELU);

  private final SmallSupernet small = new SmallSupernet();

  @AfterEach
  void close() {
    small.close();
  }

  private static Slices slices(LoraConfig lora, int count) {
    return new Slices(PeftConfig.of(lora, ADAPTER), SmallBert.CONFIG, count);
  }

  private PeftModules supernet(LoraConfig lora) {
    return small.modules(PeftConfig.of(lora, ADAPTER));
  }

  private float[] outputs(PeftModules modules) {
    return small.outputs(modules);
  }

  private static List<Candidate> some(SearchSpace space, Random random) {
    return space.candidates().stream().filter(slice -> random.nextInt(3) > 0).toList();
  }

  private static Set<String> names(List<Candidate> candidates) {
    return candidates.stream().map(Candidate::name).collect(Collectors.toSet());
  }

  @Test
  void allSlicesTogetherComputeWhatTheModulesDid() {
    for (LoraConfig lora : List.of(LORA, LORA.withDora(true), LORA.withPerProjection(true))) {
      try (PeftModules modules = supernet(lora)) {
        float[] before = outputs(modules);
        Slices slices = slices(lora, 4);
        modules.cut(slices);
        small.assertNear(before, modules);
        modules.activate(slices.space().candidates());
        small.assertNear(before, modules);
      }
    }
  }

  @Test
  void someSlicesComputeWhatSmallerModulesDo() {
    Random random = TestSeed.random();
    for (LoraConfig lora :
        List.of(
            LORA,
            LORA.withRsLora(true),
            LORA.withDora(true),
            LORA.withRankPattern(Map.of("query", 3)))) {
      Slices slices = slices(lora, 4);
      try (PeftModules modules = supernet(lora)) {
        modules.cut(slices);
        List<Candidate> chosen = some(slices.space(), random);
        Set<String> names = names(chosen);
        PeftConfig config = PeftConfig.of(slices.lora(lora, names), slices.adapter(ADAPTER, names));
        List<String> kept = slices.modules(names);
        List<Candidate> candidates =
            config.space(SmallBert.CONFIG).candidates().stream()
                .filter(module -> kept.contains(module.name()))
                .toList();
        assertTrue(Candidate.total(candidates) <= Candidate.total(chosen));
        try (PeftModules smaller = new PeftModules(config, SmallBert.CONFIG, candidates)) {
          smaller.copySlices(modules, chosen);
          smaller.begin(ForwardPass.evaluation(small.tape));
          modules.activate(chosen);
          small.assertNear(outputs(smaller), modules);
        }
      }
    }
  }

  @Test
  void theFirstSlicesDoTheMost() {
    try (PeftModules modules = supernet(LORA)) {
      modules.cut(slices(LORA, 7));
      Tensor a =
          modules.groups().get("lora").get("encoder.layer.1.attention.self.query.lora_A.weight");
      Tensor b =
          modules.groups().get("lora").get("encoder.layer.1.attention.self.query.lora_B.weight");
      float[] lengths =
          Torch.toFloats(b.detach().square().sum(0L).mul(a.detach().square().sum(1L)));
      Tensor down =
          modules
              .groups()
              .get("adapter")
              .get("encoder.layer.1.output.adapter.adapter_down.0.weight");
      Tensor up =
          modules.groups().get("adapter").get("encoder.layer.1.output.adapter.adapter_up.weight");
      float[] effects =
          Torch.toFloats(up.detach().square().sum(0L).mul(down.detach().square().sum(1L)));
      for (float[] falling : List.of(lengths, effects)) {
        // Two sums of 24 squares, here and where they are ordered; of the largest, as singular
        // values are.
        double limit = 2 * Rounding.gamma(2 * 24 + 2, Rounding.FLOAT32) * falling[0];
        for (int i = 1; i < falling.length; i++) {
          assertTrue(falling[i] <= falling[i - 1] + limit, Arrays.toString(falling));
        }
      }
    }
  }

  @Test
  void oneSliceIsTheModuleItself() {
    PeftConfig config = PeftConfig.of(LORA, ADAPTER);
    Slices slices = slices(LORA, 1);
    SearchSpace space = config.space(SmallBert.CONFIG);
    assertEquals(space, slices.space());
    Set<String> names = names(space.candidates().subList(0, 3));
    assertEquals(LORA, slices.lora(LORA, names));
    assertEquals(ADAPTER, slices.adapter(ADAPTER, names));
    try (PeftModules modules = supernet(LORA)) {
      float[] before = outputs(modules);
      modules.cut(slices);
      assertArrayEquals(before, outputs(modules));
      modules.activate(space.candidates());
      assertArrayEquals(before, outputs(modules));
    }
  }

  @Test
  void thereAreNoMoreSlicesThanRanks() {
    SearchSpace space = slices(LORA, 8).space();
    assertEquals(7, space.candidates().stream().filter(c -> in(c, "encoder.layer.0.lora")).count());
    assertEquals(
        8, space.candidates().stream().filter(c -> in(c, "encoder.layer.0.adapter")).count());
  }

  private static boolean in(Candidate slice, String module) {
    return slice.name().startsWith(module + ".slice-");
  }

  @Test
  void anUnknownSliceIsRefused() {
    Slices slices = slices(LORA, 4);
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> slices.modules(List.of("encoder.layer.0.lora")))
            .getMessage();
    assertTrue(message.contains("encoder.layer.0.lora.slice-0"), message);
  }
}
