package org.prunepeft.model;

import java.io.IOException;
import java.nio.file.Path;

/** What a model's vocabulary says of its tokenizer, for tests of other packages. */
public final class VocabularyCheck {
  private VocabularyCheck() {}

  /** Refuses a tokenizer.json whose model gives ids that the model has no embeddings for. */
  public static void fits(byte[] tokenizer, EncoderConfig config) throws IOException {
    TokenizerVocabulary.requireFits(tokenizer, config, Path.of("model"));
  }
}
