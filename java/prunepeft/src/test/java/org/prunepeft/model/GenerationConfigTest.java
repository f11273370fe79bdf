package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The tokens at which a language model's texts end. */
class GenerationConfigTest {
  @TempDir Path directory;

  private List<Integer> ends(String configured, String generation) throws IOException {
    Files.writeString(
        directory.resolve("config.json"),
        """
        {"model_type": "llama", "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1,
         "intermediate_size": 8, "vocab_size": 40000, "eos_token_id": %s}"""
            .formatted(configured));
    Files.writeString(directory.resolve("generation_config.json"), generation);
    return Models.directoryConfig(directory.toString()).orElseThrow().decoder().endTokens();
  }

  @Test
  void areThoseOfBothFilesTheConfigurationsFirst() throws IOException {
    // Phi-3-mini's and Gemma 2's.
    assertEquals(
        List.of(32000, 32001, 32007), ends("32000", "{\"eos_token_id\": [32000, 32001, 32007]}"));
    assertEquals(List.of(1, 107), ends("1", "{\"eos_token_id\": [1, 107]}"));
    assertEquals(List.of(2, 5), ends("2", "{\"eos_token_id\": 5}"));
    assertEquals(List.of(7, 2, 5), ends("[7, 2]", "{\"eos_token_id\": [5, 2]}"));
    assertEquals(List.of(5), ends("null", "{\"eos_token_id\": 5}"));
    for (String none : List.of("{}", "{\"eos_token_id\": null, \"temperature\": 0.6}")) {
      assertEquals(List.of(2), ends("2", none));
    }
    Files.delete(directory.resolve("generation_config.json"));
    assertEquals(
        List.of(2),
        Models.directoryConfig(directory.toString()).orElseThrow().decoder().endTokens());
  }

  @Test
  void aFileThatDoesNotSayThemIsRefusedByName() {
    for (String damaged : List.of("{", "[]", "{\"eos_token_id\": \"</s>\"}")) {
      var e = assertThrows(UncheckedIOException.class, () -> ends("2", damaged));
      assertTrue(
          e.getMessage().startsWith(directory.resolve("generation_config.json").toString()),
          e.getMessage());
    }
  }
}
