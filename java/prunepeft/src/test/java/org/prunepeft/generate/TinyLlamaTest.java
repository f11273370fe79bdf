package org.prunepeft.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.LanguageModel;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.model.Decoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.Models;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Quantization;
import org.prunepeft.torch.TokenLoss;
import org.prunepeft.torch.Torch;

class TinyLlamaTest {
  private static final String PROMPT = "Once upon a time";

  /** What llama2.c itself says after it, without drawing. */
  private static final String STORY =
      ", there was a little girl named Lily. She loved to play outside in the park. One day, she"
          + " saw a big, red ball. She wanted to play with it, but it was too high.";

  private static Path directory;
  private static LanguageModel model;

  @BeforeAll
  static void load(@TempDir Path temporary) throws Exception {
    directory = TinyLlama.in(temporary);
    model =
        LanguageModel.load(directory.toString(), 1, "cpu", Precision.FLOAT32, Quantization.NONE);
  }

  @AfterAll
  static void close() {
    if (model != null) {
      model.close();
    }
  }

  @Test
  void ofNoPromptsNothingIsWrittenAndWhatIsNullIsNamed() {
    GenerationSettings settings = settings(1).build();
    assertEquals(List.of(), model.generate(List.of(), settings, GenerationListener.NONE));
    var prompt =
        assertThrows(
            NullPointerException.class,
            () -> model.generate(Arrays.asList(PROMPT, null), settings, GenerationListener.NONE));
    assertEquals("prompt 1 must not be null", prompt.getMessage());
    var listener =
        assertThrows(
            NullPointerException.class, () -> model.generate(List.of(PROMPT), settings, null));
    assertTrue(listener.getMessage().startsWith("the listener must not be null"));
  }

  @Test
  void aClosedModelRefusesCallsAndIsClosedOnce() {
    LanguageModel closed =
        LanguageModel.load(directory.toString(), 1, "cpu", Precision.FLOAT32, Quantization.NONE);
    closed.close();
    closed.close();
    GenerationSettings settings = settings(1).build();
    for (Executable call :
        List.<Executable>of(
            () -> closed.generate(List.of(PROMPT), settings, GenerationListener.NONE),
            () -> closed.room(PROMPT, true))) {
      assertEquals(
          "the model %s is closed; load it again".formatted(directory),
          assertThrows(IllegalStateException.class, call).getMessage());
    }
  }

  private static GenerationSettingsBuilder settings(int tokens) {
    return GenerationSettings.builder().maxNewTokens(tokens);
  }

  private static Generation generate(String prompt, GenerationSettings settings) {
    return model.generate(List.of(prompt), settings, GenerationListener.NONE).get(0);
  }

  @Test
  void tellsItsStory() {
    StringBuilder pieces = new StringBuilder();
    Generation story =
        model
            .generate(
                List.of(PROMPT),
                settings(80).build(),
                (prompt, piece) -> pieces.append(prompt).append(piece))
            .get(0);
    assertTrue(story.text().startsWith(STORY), story::text);
    assertEquals(story.text(), pieces.toString().replace("0", ""));
    assertEquals(80, story.tokens());
    assertEquals(Generation.End.LENGTH, story.end());
  }

  @Test
  void continuesAPromptAsTheDocumentationShows() throws IOException {
    String call = "    ./prunepeft generate stories --prompt 'give' --max-new-tokens 24\n    ";
    String shown = call + "give" + generate("give", settings(24).build()).text() + "\n";
    String text = Files.readString(Path.of("../../docs/language-models.md"));
    assertTrue(text.contains(shown), () -> "docs/language-models.md does not show: " + shown);
  }

  @Test
  void withTheCacheItSaysWhatItSaysWithout() {
    Models.LoadedModel loaded = Models.byName(directory.toString()).loader().load();
    try (Decoder decoder = (Decoder) loaded.encoder();
        Tokenizer tokenizer = Tokenizer.decoding(loaded.tokenizer(), 512)) {
      int[] ids = tokenizer.tokens(PROMPT, true).ids();
      int prompt = ids.length;
      TokenLoss output = new TokenLoss(decoder.outputWeight(), decoder.logitCap());
      for (int step = 0; step < 40; step++) {
        try (NoGradGuard guard = new NoGradGuard();
            PointerScope scope = new PointerScope()) {
          byte[] mask = new byte[ids.length];
          Arrays.fill(mask, (byte) 1);
          EncoderInput input =
              EncoderInput.of(
                  Arrays.stream(ids).asLongStream().toArray(),
                  new long[ids.length],
                  mask,
                  1,
                  ids.length);
          Tensor hidden = decoder.forward(input, Insertions.NONE);
          float[] logits = Torch.toFloats(output.logits(hidden.narrow(0, ids.length - 1, 1)));
          int best = 0;
          for (int i = 1; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
          }
          ids = Arrays.copyOf(ids, ids.length + 1);
          ids[ids.length - 1] = best;
        }
      }
      String whole = tokenizer.decode(ids);
      assertEquals(PROMPT + generate(PROMPT, settings(40).build()).text(), whole);
      assertArrayEquals(tokenizer.tokens(PROMPT, true).ids(), Arrays.copyOf(ids, prompt));
    }
  }

  @Test
  void promptsOfDifferentLengthsGoOnAsEachDoesAlone() {
    List<String> prompts = List.of(PROMPT, "Lily", "The big dog ran to the park and saw a", "A");
    List<Generation> together =
        model.generate(prompts, settings(30).build(), GenerationListener.NONE);
    for (int i = 0; i < prompts.size(); i++) {
      assertEquals(generate(prompts.get(i), settings(30).build()), together.get(i));
    }
  }

  @Test
  void itStopsAtATextOrAtTheEndOfItsOwn() {
    Generation stopped = generate(PROMPT, settings(80).stop(List.of("xyz", " One")).build());
    assertEquals(STORY.substring(0, STORY.indexOf(" One")), stopped.text());
    assertEquals(Generation.End.STOP, stopped.end());
    Generation whole = generate(PROMPT, settings(10_000).build());
    assertTrue(whole.tokens() < 512);
    assertTrue(whole.text().startsWith(STORY));
  }

  @Test
  void drawsRepeatBySeed() {
    GenerationSettings drawn = settings(30).temperature(1).topP(0.9).seed(1).build();
    assertEquals(generate(PROMPT, drawn), generate(PROMPT, drawn));
    assertNotEquals(generate(PROMPT, drawn), generate(PROMPT, drawn.withSeed(2)));
  }

  @Test
  void aPromptThatIsTooLongIsRefused() {
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> generate("Once upon a time ".repeat(200), GenerationSettings.DEFAULT));
    assertTrue(e.getMessage().contains("the model takes 512"), e.getMessage());
  }
}
