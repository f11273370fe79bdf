package org.prunepeft.generate.decoding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
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
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Insertions;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.TokenLoss;
import org.prunepeft.torch.Torch;

/** A small decoder of random weights, whose tokens are characters. */
class GeneratorTest {
  private static final int POSITIONS = 64;

  /** Of the 36 tokens that a family writes, those whose two best logits rounding may exchange. */
  private static final int MOST_TIES = 2;

  /** Texts that repeat a token or two would come out with a wrong cache too. */
  private static final int LEAST_DISTINCT = 6;

  /** Some models write fewer. */
  private static final int MOST_DRAWS = 5;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** One whose texts have no end. */
  private static Family endless() {
    return endless(DecoderFamilies.all().findFirst().orElseThrow());
  }

  private static Family endless(Family family) {
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

  /** Of equal logits the first token's is taken, which is special. */
  @Test
  void aSpecialTokenEndsItWhereItIsAmongTheTextsToStopAt() {
    Map<String, SafeTensors.Tensor> tensors = endless().tensors(TestSeed.random());
    Arrays.fill(output(tensors).values(), 0);
    GenerationSettings settings = GenerationSettings.builder().maxNewTokens(5).build();
    for (String stop : List.of("<unk>", " <unk>\n", "<unk></s>")) {
      Generation stopped = generate(tensors, settings.withStop(List.of("x", stop)), "A").get(0);
      assertEquals(new Generation("", 1, Generation.End.STOP), stopped, stop);
    }
    for (String stop : List.of("</s>", "<un", "A<unk>")) {
      Generation goesOn = generate(tensors, settings.withStop(List.of(stop)), "A").get(0);
      assertEquals(new Generation("", 5, Generation.End.LENGTH), goesOn, stop);
    }
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
    assertTrue(e.getMessage().contains(": the first that is not finite is the output of the "));
  }

  @Test
  void theFirstPlaceThatIsNotFiniteIsNamed() {
    Map<String, SafeTensors.Tensor> tensors = endless().tensors(TestSeed.random());
    Arrays.fill(tensors.get("layers.1.mlp.down_proj.weight").values(), 3e38f);
    Exception e =
        assertThrows(
            IllegalStateException.class,
            () -> generate(tensors, GenerationSettings.DEFAULT, "ABC", "D"));
    assertTrue(e.getMessage().contains("layers.1.mlp.down_proj;"), e.getMessage());
  }

  static Stream<Family> families() {
    return DecoderFamilies.all();
  }

  /** Beyond the windows of those that have one. */
  @ParameterizedTest
  @MethodSource("families")
  void eachTokenIsTheMostProbableWithoutACacheToo(Family family) {
    int draws = 1;
    while (distinctTokens(family) < LEAST_DISTINCT) {
      assertTrue(draws++ < MOST_DRAWS, "models of random weights repeat themselves");
    }
  }

  /** How many different tokens a model of random weights writes, each checked. */
  private static int distinctTokens(Family family) {
    Random random = TestSeed.random();
    Map<String, SafeTensors.Tensor> tensors = family.tensors(random);
    withoutSpecialTokens(tensors);
    withoutRepetition(tensors);
    List<String> prompts = List.of(letters(random, 6), letters(random, 1), letters(random, 13));
    int tokens = 12;
    try (CausalDecoder decoder = endless(family).decoder(tensors);
        Tokenizer tokenizer =
            Tokenizer.decoding(CharacterTokenizer.json(), decoder.config().maxTokens());
        Tape tape = new Tape()) {
      List<Generation> written =
          new Generator(decoder, tokenizer, Insertions.none(tape))
              .generate(
                  prompts,
                  GenerationSettings.builder().maxNewTokens(tokens).addSpecialTokens(false).build(),
                  GenerationListener.NONE);
      // Either logit may be off.
      double most = 2 * logitError(decoder);
      int ties = 0;
      Set<Integer> chosen = new HashSet<>();
      for (int i = 0; i < prompts.size(); i++) {
        int[] ids =
            (prompts.get(i) + written.get(i).text()).chars().map(GeneratorTest::id).toArray();
        int prompt = prompts.get(i).length();
        assertEquals(prompt + tokens, ids.length);
        for (int at = prompt; at < ids.length; at++) {
          float[] logits = logits(decoder, tape, Arrays.copyOf(ids, at), 13 + tokens - 1);
          int[] best = twoBest(logits);
          String where = "prompt %d, token %d".formatted(i, at);
          if (logits[best[0]] - logits[best[1]] > most) {
            assertEquals(best[0], ids[at], where);
          } else {
            assertEquals(logits[best[0]], logits[ids[at]], most, where);
            ties++;
          }
          chosen.add(ids[at]);
        }
      }
      assertTrue(ties <= MOST_TIES, ties + " tokens may be either of two");
      return chosen.size();
    }
  }

  private static int[] twoBest(float[] logits) {
    return IntStream.range(0, logits.length)
        .boxed()
        .sorted(Comparator.comparing(id -> -logits[id]))
        .limit(2)
        .mapToInt(id -> id)
        .toArray();
  }

  private static int id(int character) {
    return CharacterTokenizer.id((char) character);
  }

  private static String letters(Random random, int count) {
    return random
        .ints(count, 'A', ' ' + DecoderFamilies.VOCABULARY - 3)
        .mapToObj(letter -> String.valueOf((char) letter))
        .collect(Collectors.joining());
  }

  /** Their logits are 0, which is never the highest, so that a text has all of its tokens. */
  private static void withoutSpecialTokens(Map<String, SafeTensors.Tensor> tensors) {
    SafeTensors.Tensor output = output(tensors);
    Arrays.fill(output.values(), 0, 3 * (int) output.shape()[1], 0);
  }

  private static SafeTensors.Tensor output(Map<String, SafeTensors.Tensor> tensors) {
    return tensors.getOrDefault("lm_head.weight", tensors.get("embed_tokens.weight"));
  }

  /** Where embeddings are the output layer too, large ones give each token the highest logit. */
  private static void withoutRepetition(Map<String, SafeTensors.Tensor> tensors) {
    if (!tensors.containsKey("lm_head.weight")) {
      float[] embeddings = tensors.get("embed_tokens.weight").values();
      for (int i = 0; i < embeddings.length; i++) {
        embeddings[i] *= 0.1f;
      }
    }
  }

  /**
   * By how much a logit differs where hidden states differ by 1e-5: what is nearer may be a tie.
   */
  private static double logitError(CausalDecoder decoder) {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      return 1e-5 * decoder.outputWeight().abs().sum(1L).max().item_double();
    }
  }

  /**
   * Those of the next token, by the whole text.
   *
   * @param longest tokens that the texts of the batch will have
   */
  private static float[] logits(CausalDecoder decoder, Tape tape, int[] ids, int longest) {
    byte[] mask = new byte[ids.length];
    Arrays.fill(mask, (byte) 1);
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      EncoderInput input =
          EncoderInput.of(
                  Arrays.stream(ids).asLongStream().toArray(),
                  new long[ids.length],
                  mask,
                  1,
                  ids.length)
              .startingAt(new int[ids.length], longest);
      Tensor last = decoder.forward(input, Insertions.none(tape)).narrow(0, ids.length - 1, 1);
      return Torch.toFloats(new TokenLoss(decoder.outputWeight(), decoder.logitCap()).logits(last));
    }
  }
}
