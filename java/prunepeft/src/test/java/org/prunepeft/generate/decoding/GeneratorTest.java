package org.prunepeft.generate.decoding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.batch.CharacterTokenizer;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.generate.Generation;
import org.prunepeft.generate.GenerationListener;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.CausalDecoder;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.DecoderFamilies.Family;
import org.prunepeft.model.Insertions;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** A small decoder of random weights, whose tokens are characters. */
class GeneratorTest {
  private static final int POSITIONS = 64;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** One whose texts have no end. */
  private static Family endless() {
    Family family = DecoderFamilies.all().findFirst().orElseThrow();
    ObjectNode json = family.json().deepCopy();
    return new Family(family.name(), json.putNull("eos_token_id"));
  }

  private static List<Generation> generate(
      Map<String, SafeTensors.Tensor> tensors, GenerationSettings settings, String... prompts) {
    try (CausalDecoder decoder = endless().decoder(tensors);
        Tokenizer tokenizer = Tokenizer.decoding(CharacterTokenizer.json(), POSITIONS);
        Tape tape = new Tape()) {
      assertEquals(POSITIONS, decoder.config().maxTokens());
      return new Generator(decoder, tokenizer, Insertions.none(tape))
          .generate(List.of(prompts), settings, GenerationListener.NONE);
    }
  }

  @Test
  void aPromptsRoomIsItsOwn() {
    List<Generation> together =
        generate(
            endless().tensors(TestSeed.random()),
            GenerationSettings.builder().maxNewTokens(50).build(),
            "A".repeat(POSITIONS - 4),
            "B",
            "C".repeat(30));
    assertEquals(
        List.of(3, 50, POSITIONS - 31), together.stream().map(Generation::tokens).toList());
    together.forEach(text -> assertEquals(Generation.End.LENGTH, text.end()));
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 1})
  void logitsThatAreNoNumbersEndIt(double temperature) {
    Map<String, SafeTensors.Tensor> tensors = endless().tensors(TestSeed.random());
    Arrays.fill(tensors.get("norm.weight").values(), 3e38f);
    GenerationSettings settings = GenerationSettings.builder().temperature(temperature).build();
    Exception e =
        assertThrows(IllegalStateException.class, () -> generate(tensors, settings, "A", "BC"));
    assertTrue(e.getMessage().startsWith("prompt 0, new token 1: the logit of"), e.getMessage());
  }
}
