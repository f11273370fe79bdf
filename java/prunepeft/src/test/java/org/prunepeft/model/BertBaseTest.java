package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.data.batch.Encoding;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.torch.Torch;

/** BERT-base by what it was trained to do: filling gaps. */
class BertBaseTest {
  private static Checkpoint checkpoint;
  private static Encoder encoder;
  private static Tokenizer tokenizer;
  private static String[] vocabulary;

  @BeforeAll
  static void load() throws IOException {
    assumeTrue(
        ModelResources.arePresent(EasyBert.JAR, EasyBert.RESOURCE),
        "bert-base is absent; './prunepeft models --fetch bert-base' gets it (408 MB)");
    Models.LoadedModel loaded = Models.byName("bert-base").loader().load();
    encoder = loaded.encoder();
    tokenizer = Tokenizer.of(loaded.tokenizer(), 64);
    EasyBert bert = EasyBert.read();
    checkpoint = bert.checkpoint();
    vocabulary = new String(bert.vocabulary(), StandardCharsets.UTF_8).split("\n");
    assertEquals(30522, vocabulary.length);
  }

  @AfterAll
  static void close() {
    if (encoder != null) {
      encoder.close();
      tokenizer.close();
    }
  }

  @Test
  void hasTheSizesOfBertBase() {
    assertEquals(EncoderConfig.bert(12, 768, 12, 3072, 30522, 512), encoder.config());
  }

  @Test
  void parisIsTheCapitalOfFrance() throws IOException {
    assertEquals("france", fill("Paris is the capital of [MASK].").get(0));
  }

  @Test
  void parisIsTheCapitalOfFranceWithoutAFullStopToo() throws IOException {
    // Without one the gap ends the sentence, and a full stop is likelier than any word.
    assertEquals(
        "france",
        fill("paris is the capital of [MASK]").stream()
            .filter(token -> token.chars().allMatch(Character::isLetter))
            .findFirst()
            .orElseThrow());
  }

  @Test
  void writtenToADirectoryItComputesTheSameBits(@TempDir Path temporary) throws IOException {
    Path directory = temporary.resolve("bert-base");
    try (Pretrained parts = Models.byName("bert-base").loader().open()) {
      parts.write(directory);
    }
    Models.LoadedModel loaded = Models.byName(directory.toString()).loader().load();
    try (Encoder read = loaded.encoder();
        PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      EncoderInput input =
          EncoderInput.of(
              new long[] {101, 3000, 2003, 102}, new long[4], new byte[] {1, 1, 1, 1}, 1, 4);
      assertArrayEquals(
          Torch.toFloats(encoder.forward(input, Insertions.NONE)),
          Torch.toFloats(read.forward(input, Insertions.NONE)));
    }
  }

  @Test
  void gapsAreFilledWithWhatFits() throws IOException {
    assertTrue(fill("The [MASK] barked at the postman.").contains("dog"));
    assertTrue(fill("She drank a cup of hot [MASK].").contains("coffee"));
    assertEquals("tokyo", fill("[MASK] is the capital of Japan.").get(0));
  }

  /** The twenty likeliest tokens, by the checkpoint's masked-language-model head. */
  private static List<String> fill(String text) throws IOException {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      Encoding encoding = tokenizer.encode(text, null);
      int length = encoding.ids().length;
      long[] ids = new long[length];
      byte[] mask = new byte[length];
      int gap = -1;
      for (int i = 0; i < length; i++) {
        ids[i] = encoding.ids()[i];
        mask[i] = 1;
        if (vocabulary[(int) ids[i]].equals("[MASK]")) {
          gap = i;
        }
      }
      Tensor hidden =
          encoder
              .forward(EncoderInput.of(ids, new long[length], mask, 1, length), Insertions.NONE)
              .narrow(0, gap, 1);
      String transform = "cls.predictions.transform.";
      Tensor middle =
          torch.gelu(
              torch.linear(
                  hidden,
                  tensor(transform + "dense.weight"),
                  new TensorOptional(tensor(transform + "dense.bias"))));
      Tensor normed =
          new LayerNorm(
                  tensor(transform + "LayerNorm.weight"),
                  tensor(transform + "LayerNorm.bias"),
                  1e-12)
              .apply(middle);
      float[] scores =
          Torch.toFloats(
              torch.linear(
                  normed,
                  tensor("bert.embeddings.word_embeddings.weight"),
                  new TensorOptional(tensor("cls.predictions.bias"))));
      List<Integer> order = new ArrayList<>();
      for (int i = 0; i < scores.length; i++) {
        order.add(i);
      }
      order.sort((a, b) -> Float.compare(scores[b], scores[a]));
      return order.stream().limit(20).map(i -> vocabulary[i]).toList();
    }
  }

  private static Tensor tensor(String name) throws IOException {
    return Torch.floats(checkpoint.floats(name), checkpoint.shape(name));
  }
}
