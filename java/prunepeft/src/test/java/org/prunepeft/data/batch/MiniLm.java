package org.prunepeft.data.batch;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/** MiniLM's tokenizer, from the class path. */
public final class MiniLm {
  private MiniLm() {}

  public static Tokenizer tokenizer(int maxLength) {
    return Tokenizer.of(tokenizerJson(), maxLength);
  }

  public static byte[] tokenizerJson() {
    try (InputStream stream =
        MiniLm.class.getResourceAsStream("/all-minilm-l6-v2-tokenizer.json")) {
      return stream.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
