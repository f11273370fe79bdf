package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.checkpoint.TokenizerJson;
import org.prunepeft.checkpoint.WordPieceVocabulary;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.MapCheckpoint;

/**
 * Tokenizers of models in directories: which files they are read from, and what Python makes of
 * these.
 */
class DirectoryTokenizerTest extends ModelDirectoryTest {
  @Test
  void vocabTxtStandsInForATokenizer() throws IOException {
    write(BERT);
    Files.delete(directory.resolve("tokenizer.json"));
    Files.writeString(
        directory.resolve("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nParis\nparis\n");
    assertArrayEquals(new int[] {2, 6, 3}, encoded("Paris"));
    Files.writeString(
        directory.resolve("tokenizer_config.json"), "{\"do_lower_case\": false, \"x\": 1}");
    Files.writeString(
        directory.resolve("special_tokens_map.json"), "{\"additional_special_tokens\": [\"[E]\"]}");
    Files.writeString(directory.resolve("added_tokens.json"), "{\"[MASK]\": 4}");
    assertArrayEquals(new int[] {2, 5, 3}, encoded("Paris"));
    // A copy has the same settings, word for word.
    Path copy = directory.resolve("copy");
    try (var model = Models.byName(directory.toString()).loader().open()) {
      model.write(copy);
    }
    assertEquals(
        "{\"do_lower_case\": false, \"x\": 1}",
        Files.readString(copy.resolve("tokenizer_config.json")));
    assertEquals(
        "{\"additional_special_tokens\": [\"[E]\"]}",
        Files.readString(copy.resolve("special_tokens_map.json")));
    assertEquals("{\"[MASK]\": 4}", Files.readString(copy.resolve("added_tokens.json")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          tokenizer_config.json | {"tokenizer_class": "BertJapaneseTokenizer"} | for a BertJapaneseTokenizer, which is not read
          added_tokens.json     | {"[MASK]": 4, "[E]": 5} | the added token '[E]', which is not read
          tokenizer_config.json | {"added_tokens_decoder": {"0": {"content": "[PAD]"}, "5": {"content": "<s>"}}} | the added token '<s>'
          """)
  void aVocabTxtThatIsNotAllOfATokenizerIsRefused(String file, String content, String message)
      throws IOException {
    write(BERT);
    Files.delete(directory.resolve("tokenizer.json"));
    Files.writeString(
        directory.resolve("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nParis\n");
    Files.writeString(directory.resolve(file), content);
    failsWith("no tokenizer.json", message, "AutoTokenizer.from_pretrained(DIR)");
  }

  @Test
  void theClassOfATokenizerMayBeInTheConfiguration() throws IOException {
    write(BERT);
    Files.delete(directory.resolve("tokenizer.json"));
    Files.writeString(
        directory.resolve("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nparis\n");
    configure("tokenizer_class", "\"CamembertTokenizer\"");
    failsWith("for a CamembertTokenizer, which is not read");
    for (String kind : List.of("BertTokenizer", "DistilBertTokenizerFast", "ElectraTokenizer")) {
      Files.writeString(
          directory.resolve("tokenizer_config.json"), "{\"tokenizer_class\": \"" + kind + "\"}");
      assertArrayEquals(new int[] {2, 5, 3}, encoded("Paris"));
    }
  }

  @Test
  void aTokenizerWithoutSettingsIsWrittenWithWhatItDoes() throws IOException {
    byte[] vocabulary =
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nParis\n".getBytes(StandardCharsets.UTF_8);
    for (boolean lower : new boolean[] {false, true}) {
      byte[] tokenizer = new WordPieceVocabulary(vocabulary).tokenizerJson(lower, null, false);
      JsonNode config = tokenizerConfig(BERT, tokenizer);
      assertEquals(lower, config.get("do_lower_case").booleanValue());
      assertTrue(config.get("strip_accents").isNull());
      assertFalse(config.get("tokenize_chinese_chars").booleanValue());
      assertEquals("BertTokenizer", config.get("tokenizer_class").asText());
      assertEquals(BERT.maxTokens(), config.get("model_max_length").intValue());
    }
    // A BERT with another kind of tokenizer is not said to have BERT's.
    JsonNode other =
        tokenizerConfig(
            BERT,
            """
            {"model": {"type": "BPE"}, "normalizer": null,
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true}}"""
                .getBytes(StandardCharsets.UTF_8));
    assertEquals("PreTrainedTokenizerFast", other.get("tokenizer_class").asText());
    assertFalse(other.has("do_lower_case"));
    assertTrue(other.get("add_prefix_space").booleanValue());
  }

  private JsonNode tokenizerConfig(EncoderConfig config, byte[] tokenizer) throws IOException {
    var model = new Pretrained(config, tokenizer, new MapCheckpoint("memory", tensors));
    return tokenizerConfig(model, OptionalInt.empty());
  }

  private static JsonNode tokenizerConfig(Pretrained model, OptionalInt maxLength)
      throws IOException {
    return JSON.readTree(model.tokenizerFilesToWrite(maxLength).get("tokenizer_config.json"));
  }

  private static byte[] cased() throws IOException {
    return new WordPieceVocabulary(
            "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nParis\n".getBytes(StandardCharsets.UTF_8))
        .tokenizerJson(false, null, true);
  }

  /** Where no config.json lies beside it, Python needs the class, and cuts by the run's length. */
  @Test
  void aTokenizersSettingsAreCompletedForAnotherDirectory() throws IOException {
    write(BERT);
    Files.write(directory.resolve("tokenizer.json"), cased());
    Path settings = directory.resolve("tokenizer_config.json");
    Files.writeString(settings, "{\"model_max_length\": Infinity}");
    assertEquals(24, exported(OptionalInt.of(24)).get("model_max_length").intValue());
    Files.writeString(settings, "{\"model_max_length\": 512, \"x\": [1]}");
    assertEquals(
        JSON.readTree(
            """
            {"model_max_length": 24, "x": [1], "tokenizer_class": "BertTokenizer",
             "do_lower_case": false}"""),
        exported(OptionalInt.of(24)));
    assertEquals(512, exported(OptionalInt.empty()).get("model_max_length").intValue());
    configure("tokenizer_class", "\"ElectraTokenizer\"");
    assertEquals("ElectraTokenizer", exported(OptionalInt.empty()).get("tokenizer_class").asText());
    String whole = "{\"tokenizer_class\": \"DistilBertTokenizer\", \"do_lower_case\": false}";
    Files.writeString(settings, whole);
    assertEquals(JSON.readTree(whole), exported(OptionalInt.empty()));
    // One that knows no special tokens of its own.
    configure("tokenizer_class", "null");
    Files.writeString(settings, "{}");
    ObjectNode other = (ObjectNode) JSON.readTree(cased());
    ((ObjectNode) other.get("model")).put("type", "BPE");
    JSON.writeValue(directory.resolve("tokenizer.json").toFile(), other);
    JsonNode completed = exported(OptionalInt.of(7));
    assertEquals("PreTrainedTokenizerFast", completed.get("tokenizer_class").asText());
    assertEquals("[PAD]", completed.get("pad_token").asText());
  }

  /** Runs cut the ends of texts, whatever Python's tokenizer of the model does. */
  @Test
  void anExportCutsTextsWhereTheRunDid() throws IOException {
    write(BERT);
    ObjectNode tokenizer = (ObjectNode) JSON.readTree(cased());
    tokenizer.putObject("truncation").put("direction", "Left");
    Path file = directory.resolve("tokenizer.json");
    Path settings = directory.resolve("tokenizer_config.json");
    for (String said : List.of("", ", \"truncation_side\": \"left\"")) {
      Files.write(file, said.isEmpty() ? JSON.writeValueAsBytes(tokenizer) : cased());
      Files.writeString(settings, "{\"do_lower_case\": false" + said + "}");
      assertEquals("right", exported(OptionalInt.of(24)).get("truncation_side").asText(), said);
      assertTrue(
          TokenizerJson.cutsBeginnings(JSON.readTree(settings.toFile()), Files.readAllBytes(file)));
    }
    Files.write(file, JSON.writeValueAsBytes(tokenizer));
    Files.writeString(settings, "{\"do_lower_case\": false, \"truncation_side\": \"right\"}");
    assertFalse(
        TokenizerJson.cutsBeginnings(JSON.readTree(settings.toFile()), Files.readAllBytes(file)));
    assertEquals("right", exported(OptionalInt.of(24)).get("truncation_side").asText());
    Files.write(file, cased());
    Files.writeString(settings, "{\"do_lower_case\": false}");
    assertFalse(exported(OptionalInt.of(24)).has("truncation_side"));
  }

  /** Python's class of RoBERTa's tokenizer never asks tokenizer.json. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      textBlock =
          """
          roberta | RobertaTokenizer     | true  | -     | has no add_prefix_space, which means false | has true
          roberta | RobertaTokenizerFast | true  | false | has add_prefix_space false                 | has true
          roberta | -                    | false | true  | has add_prefix_space true                  | has false
          roberta | -                    | true  | -     | has no add_prefix_space, which means false | has true
          roberta | RobertaTokenizer     | true  | true  | - | -
          roberta | RobertaTokenizer     | false | -     | - | -
          roberta | PreTrainedTokenizerFast | true | -   | - | -
          bert    | -                    | true  | -     | - | -
          bert    | RobertaTokenizer     | true  | -     | has no add_prefix_space | has true
          """)
  void aSpaceBeforeTextsIsThatOfRobertasSettings(
      String model, String kind, boolean own, Boolean named, String inPython, String here)
      throws IOException {
    Files.writeString(
        directory.resolve("config.json"), "{\"model_type\": \"%s\"}".formatted(model));
    Files.writeString(
        directory.resolve("tokenizer.json"),
        "{\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": %s}}".formatted(own));
    ObjectNode settings = JSON.createObjectNode();
    if (kind != null) {
      settings.put("tokenizer_class", kind);
    }
    if (named != null) {
      settings.put("add_prefix_space", named);
    }
    if (!settings.isEmpty()) {
      JSON.writeValue(directory.resolve("tokenizer_config.json").toFile(), settings);
    }
    HuggingFaceDirectory inDirectory = new HuggingFaceDirectory(directory);
    if (inPython == null) {
      assertEquals(
          own,
          JSON.readTree(inDirectory.tokenizer(false))
              .at("/pre_tokenizer/add_prefix_space")
              .booleanValue());
      return;
    }
    String message =
        assertThrows(FormatException.class, () -> inDirectory.tokenizer(false)).getMessage();
    assertTrue(message.contains(inPython), message);
    assertTrue(message.contains("tokenizer.json " + here), message);
  }

  private JsonNode exported(OptionalInt maxLength) throws IOException {
    try (Pretrained model = Models.byName(directory.toString()).loader().open()) {
      return tokenizerConfig(model, maxLength);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"do_lower_case": true}           | do_lower_case true, by which Python goes | lowercase false
          {"strip_accents": true}           | strip_accents true                       | strip_accents null
          {"tokenize_chinese_chars": false} | tokenize_chinese_chars false             | handle_chinese_chars true
          {"do_lower_case": true, "tokenizer_class": "ElectraTokenizerFast"} | do_lower_case true | lowercase false
          """)
  void settingsThatPythonWouldGoByInPlaceOfTheTokenizerAreRefused(
      String settings, String inPython, String own) throws IOException {
    write(BERT);
    Files.write(directory.resolve("tokenizer.json"), cased());
    Files.writeString(directory.resolve("tokenizer_config.json"), settings);
    failsWith(
        directory.resolve("tokenizer_config.json") + " has " + inPython,
        "the normalizer of %s has %s".formatted(directory.resolve("tokenizer.json"), own),
        "save_pretrained(NEW) writes both, into another directory, as Python has them");
  }

  /** Many cased models say nothing of capitals. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "{\"do_lower_case\": false, \"strip_accents\": null, \"tokenize_chinese_chars\": true}",
        "{\"strip_accents\": null}",
        "{\"strip_accents\": false}",
        "{\"do_lower_case\": true, \"tokenizer_class\": \"PreTrainedTokenizerFast\"}"
      })
  void settingsThatSayTheSameOrNothingAreTaken(String settings) throws IOException {
    write(BERT);
    Files.write(directory.resolve("tokenizer.json"), cased());
    Files.writeString(directory.resolve("tokenizer_config.json"), settings);
    assertArrayEquals(new int[] {2, 5, 3}, encoded("Paris"));
  }

  /** As that of an export of adapters, into which no Python files are copied. */
  @Test
  void aTokenizerIsWrittenWithoutTheNamesOfLocalCode() throws IOException {
    Path target = Files.createDirectory(directory.resolve("tokenizer"));
    String other = "{\"auto_map\" :{\"AutoTokenizer\":[\"some/model--slow.Slow\",null]}}";
    for (String code : List.of("[\"slow.Slow\", null]", "\"slow.Slow\"", other)) {
      String settings =
          code.equals(other)
              ? other
              : "{\"a\": 1, \"auto_map\": {\"AutoTokenizer\": " + code + "}}";
      new HuggingFaceDirectory(target)
          .writeTokenizer(
              new byte[] {'{', '}'},
              Map.of("tokenizer_config.json", settings.getBytes(StandardCharsets.UTF_8)));
      String written = Files.readString(target.resolve("tokenizer_config.json"));
      if (code.equals(other)) {
        assertEquals(other, written);
      } else {
        assertEquals(JSON.readTree("{\"a\": 1}"), JSON.readTree(written));
      }
      Files.delete(target.resolve("tokenizer_config.json"));
      Files.delete(target.resolve("tokenizer.json"));
    }
  }

  @Test
  void aTokenizerOfAbsurdSizeIsNotRead() throws IOException {
    write(BERT);
    for (String name : new String[] {"tokenizer.json", "vocab.txt"}) {
      // Without content: a hole as large.
      try (var file = new RandomAccessFile(directory.resolve(name).toFile(), "rw")) {
        file.setLength(200_000_001L);
      }
      failsWith(
          directory.resolve(name)
              + " has more than 200,000,000 bytes, the most that such a file may have");
      Files.delete(directory.resolve(name));
    }
  }

  private int[] encoded(String text) {
    Models.LoadedModel loaded = Models.byName(directory.toString()).loader().load();
    try (Encoder encoder = loaded.encoder();
        Tokenizer tokenizer = Tokenizer.of(loaded.tokenizer(), 8)) {
      return tokenizer.encode(text, null).ids();
    }
  }
}
