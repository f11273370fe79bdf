package org.prunepeft.data.batch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.DataException;

/** Most of these ended the virtual machine before there was a check. */
class TokenizerFileTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "/post_processor/single/0/SpecialToken | {\"id\": \"\\u0000\", \"type_id\": 0} | post_processor.single[0].SpecialToken.id must be one of post_processor.special_tokens",
        "/post_processor/single/1/Sequence | {\"id\": \"B\", \"type_id\": 0} | post_processor.single must have the texts [A] once each, got [B]",
        "/post_processor/special_tokens | {} | must be one of post_processor.special_tokens",
        "/post_processor | {\"type\": \"Roberta\"} | post_processor.type must be Sequence or one of",
        "/model/vocab | {\"[UNK]\": 4294967295} | model.vocab.[UNK] must be a whole number from 0 to 9999999, got 4294967295",
        "/model/vocab | {} | model.unk_token must be a token of the vocabulary",
        "/model/type | \"Other\" | model.type must be one of BPE, WordPiece",
        "/model/max_input_chars_per_word | 1000000 | must be a whole number from 0 to 1000",
        "/added_tokens | [{\"id\": -1, \"content\": \"a\"}] | added_tokens[0].id must be",
        "/normalizer | {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"BAAAAAD8//9hAA==\"} | precompiled_charsmap is damaged: it has a place",
        "/normalizer | {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"BAAAAAAAAABhAB==\"} | precompiled_charsmap must be Base64, with zeros",
        "/normalizer | {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"BAAAAAAAAABhAA\"} | precompiled_charsmap must be Base64, with zeros",
        "/normalizer | {\"type\": \"Nfkc\"} | normalizer.type must be Sequence or one of",
        "/normalizer | {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"(a+)+\"}, \"content\": \"\"} | normalizer.pattern.Regex repeats a group",
        "/pre_tokenizer | {\"type\": \"Split\", \"pattern\": {\"Regex\": \"a*a*b\"}} | pre_tokenizer.pattern.Regex has some 1e+06 ways to match at one place of a text of 1,000 characters",
        "/pre_tokenizer | {\"type\": \"Split\", \"pattern\": {\"Regex\": \"(a)\\\\1\"}} | refers to a group",
        "/normalizer | {\"type\": \"Replace\", \"pattern\": {\"Regex\": \" {0,}\"}, \"content\": \"\"} | may match where there is no character",
        "/normalizer | {\"type\": \"Replace\", \"pattern\": {\"String\": \"\"}, \"content\": \"b\"} | must be a text with a character",
        "/pre_tokenizer | {\"type\": \"FixedLength\", \"length\": 0} | pre_tokenizer.length must be",
      })
  void whatTheLibraryDoesNotExpectIsRefusedByItsPlace(String place, String value, String message)
      throws IOException {
    JsonNode file = JSON.readTree(MiniLm.tokenizerJson());
    int last = place.lastIndexOf('/');
    ((ObjectNode) file.at(place.substring(0, last)))
        .set(place.substring(last + 1), JSON.readTree(value));
    assertRefused(JSON.writeValueAsBytes(file), message);
  }

  /** The first three ended the virtual machine at a token "a", the last one for want of memory. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"type\": \"Strip\", \"content\": \"a\", \"start\": 1, \"stop\": 1} | decoder.stop must be 0",
        "{\"type\": \"Strip\", \"content\": \"a\", \"start\": 0, \"stop\": 2} | decoder.stop must be 0",
        "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": \"\"}, {\"type\": \"Strip\", \"content\": \" \", \"start\": 0, \"stop\": 1}]} | decoder.decoders[1].stop must be 0",
        "{\"type\": \"Strip\", \"content\": \" \", \"start\": -1, \"stop\": 0} | decoder.start must be a whole number",
        "{\"type\": \"CTC\", \"pad_token\": \"a\"} | decoder.type must be Sequence or one of",
        "\"\\u0000\" | decoder must be an object",
        "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}, {\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]} | decoder.decoders[1]: replacements make a text more than 1000 times longer",
      })
  void aDecoderThatTheLibraryDoesNotExpectIsRefusedWhereTokensAreReadAsTexts(
      String decoder, String message) throws IOException {
    ObjectNode file = (ObjectNode) JSON.readTree(MiniLm.tokenizerJson());
    file.set("decoder", JSON.readTree(decoder));
    byte[] whole = JSON.writeValueAsBytes(file);
    assertRefused(() -> Tokenizer.decoding(whole, 16), message);
    Tokenizer.of(whole, 16).close();
  }

  /** That of Llama and of others whose tokenizer is SentencePiece's. */
  @Test
  void aLlamasDecoderIsTaken() throws IOException {
    ObjectNode file = (ObjectNode) JSON.readTree(MiniLm.tokenizerJson());
    file.set(
        "decoder",
        JSON.readTree(
            """
            {"type": "Sequence", "decoders": [
              {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
              {"type": "ByteFallback"}, {"type": "Fuse"},
              {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
            """));
    try (Tokenizer tokenizer = Tokenizer.decoding(JSON.writeValueAsBytes(file), 16)) {
      assertEquals("helloworld", tokenizer.decode(tokenizer.tokens("hello world", false).ids()));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"\\ud800\": 0, \"a\": 1}, \"unk_token\": \"a\"}}",
        "{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 1e999]]}}",
        "{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 1e2147483648]]}}",
        "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"##\": 1}, \"merges\": [\"a a\"],"
            + " \"continuing_subword_prefix\": \"##\"}}",
        "[]",
      })
  void whatIsNoTokenizerIsRefused(String file) {
    assertRefused(file.getBytes(StandardCharsets.UTF_8), "");
  }

  private static void assertRefused(byte[] file, String message) {
    assertRefused(() -> Tokenizer.of(file, 16), message);
  }

  private static void assertRefused(Executable read, String message) {
    var e = assertThrows(DataException.class, read);
    assertTrue(e.getMessage().startsWith("tokenizer.json ("), e.getMessage());
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  /** Each ended the process at a text of some letters, once it had gone back ten million times. */
  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "[^\\n]*[^\\n]*(?!); 1",
        "[^\\n]+(?:[^\\n]*x)?y; 1",
        "[^\\n]?; 30",
        "[^\\n]{0,9}; 20",
        "(?:\\S|\\w); 24",
        "(?:a|a)?; 24",
        "(?=[^\\n]*[^\\n]*z); 1",
        "(?>a*)(?<!a*b); 1",
      })
  void patternsWithTooManyWaysAreRefused(String regex, int times) {
    assertTrue(
        refusal(regex.repeat(times) + "(?!)").contains(" ways to match at one place "),
        () -> refusal(regex.repeat(times) + "(?!)"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "(a+)+; repeats a group",
        "(?:a+){2}; repeats a group",
        "[ab]{0,9}+; repeats what is repeated",
        "a*+*; repeats what is repeated",
        "a{2,200}; more than 100 times",
        "\\X; has \\X",
        "(?x)a; a group of a kind",
        "a(?i)b|c; sets flags in its midst",
        "(a; parentheses that do not match",
        "a); parentheses that do not match",
        "[a; a [ that is not closed",
      })
  void patternsThatMayNotEndAreRefused(String regex, String message) {
    assertTrue(refusal(regex).contains(message), () -> refusal(regex));
  }

  private static String refusal(String regex) {
    var pattern = new TokenizerPart("pattern", JSON.createObjectNode().put("Regex", regex));
    return assertThrows(
            IllegalArgumentException.class, () -> TokenizerPattern.check(pattern, 1), regex)
        .getMessage();
  }

  /** What replacements have made longer has as many times the ways. */
  @Test
  void growthByReplacementsCounts() {
    var pattern = new TokenizerPart("pattern", JSON.createObjectNode().put("Regex", "\\s+(?!\\S)"));
    TokenizerPattern.check(pattern, 5);
    assertThrows(IllegalArgumentException.class, () -> TokenizerPattern.check(pattern, 10));
  }

  /** Patterns of GPT-2, Llama 3, o200k, DeepSeek and CLIP, and of sentence encoders. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
        "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{M}]*[\\p{Ll}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{M}]+[\\p{Ll}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
        "[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
        "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
        " ?[^(\\s|[.,!?\u2026\u3002])]+",
        "\\s?[A-Za-z]+|\\s?\\p{P}+|\\s+$|[\\u4e00-\\u9fa5]+",
        "(?i)'s|\\p{L}+",
        " {2,}",
        "\\s+",
      })
  void patternsOfRealTokenizersAreTaken(String regex) throws IOException {
    JsonNode pattern = JSON.createObjectNode().put("Regex", regex);
    TokenizerPattern.check(new TokenizerPart("pattern", pattern), 1);
  }

  /** With it each of these calls would have one of 8 outcomes. */
  @Test
  void dropoutOfMergesIsLeftOut() throws IOException {
    byte[] file =
        """
        {"version": "1.0", "model": {"type": "BPE", "dropout": 0.5, "vocab": {"a": 0, "b": 1, "ab": 2, "abab": 3},
          "merges": [["a", "b"], ["ab", "ab"]]}}
        """
            .getBytes(StandardCharsets.UTF_8);
    try (Tokenizer tokenizer = Tokenizer.of(file, 16)) {
      for (int i = 0; i < 100; i++) {
        assertArrayEquals(new int[] {3}, tokenizer.encode("abab", null).ids());
      }
    }
  }

  @Test
  void whatIsOfNoConsequenceIsNotRead() throws IOException {
    ObjectNode file = (ObjectNode) JSON.readTree(MiniLm.tokenizerJson());
    file.put("decoder", "\u0000");
    file.putObject("padding").putObject("strategy").put("Fixed", 1L << 60);
    file.put("of another release", true);
    ((ObjectNode) file.get("normalizer")).put("of another release", 1);
    try (Tokenizer tokenizer = Tokenizer.of(JSON.writeValueAsBytes(file), 16);
        Tokenizer whole = MiniLm.tokenizer(16)) {
      assertEquals(
          java.util.Arrays.toString(whole.encode("Hello, world!", null).ids()),
          java.util.Arrays.toString(tokenizer.encode("Hello, world!", null).ids()));
    }
  }
}
