package org.prunepeft.model;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.checkpoint.WordPieceVocabulary;
import org.prunepeft.io.MapCheckpoint;

/**
 * A small BERT with random weights whose tokens are whole words, in a directory as Hugging Face's
 * library saves it.
 */
public final class SmallBertDirectory {
  private static final List<String> SPECIAL = List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]");
  private static final int LAYERS = 3;
  private static final int HIDDEN = 48;
  private static final int HEADS = 4;
  private static final int INTERMEDIATE = 96;

  private SmallBertDirectory() {}

  /**
   * @param positions most tokens of a text, with two special ones
   */
  public static Path write(Path directory, List<String> words, int positions, Random random)
      throws IOException {
    String vocabulary = String.join("\n", SPECIAL) + "\n" + String.join("\n", words) + "\n";
    EncoderConfig config = config(SPECIAL.size() + words.size(), positions);
    new HuggingFaceDirectory(directory)
        .write(
            HuggingFaceConfig.write(config),
            new WordPieceVocabulary(vocabulary.getBytes(StandardCharsets.UTF_8))
                .tokenizerJson(true, null, true),
            Map.of(),
            new MapCheckpoint("memory", RandomCheckpoint.tensors(config, random)));
    return directory;
  }

  /** The model's. */
  public static EncoderConfig config(int vocabulary, int positions) {
    return EncoderConfig.bert(LAYERS, HIDDEN, HEADS, INTERMEDIATE, vocabulary, positions);
  }
}
