package org.prunepeft.data.batch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.Base64;
import java.util.Locale;
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
        "/pre_tokenizer | {\"type\": \"Split\", \"pattern\": {\"Regex\": \"a*a*b\"}} | pre_tokenizer.pattern.Regex has some 1e+06 ways to match at one place of a text of 1,000 characters, which is not taken: the most is 8e+03; write it with fewer repetitions or alternatives",
        "/pre_tokenizer | {\"type\": \"Split\", \"pattern\": {\"Regex\": \"a*a*b{1,3}?\"}} | has some 1e+06 ways",
        "/pre_tokenizer | {\"type\": \"Split\", \"pattern\": {\"Regex\": \"(a)\\\\1\"}} | refers to a group",
        "/normalizer | {\"type\": \"Replace\", \"pattern\": {\"Regex\": \" {0,}\"}, \"content\": \"\"} | may match where there is no character, which is not taken: let each alternative take one, such as by + for *",
        "/normalizer | {\"type\": \"Replace\", \"pattern\": {\"String\": \"\"}, \"content\": \"b\"} | must be a text with a character",
        "/pre_tokenizer | {\"type\": \"FixedLength\", \"length\": 0} | pre_tokenizer.length must be",
        "/post_processor | {\"type\": \"Sequence\", \"processors\": [{\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 102], \"cls\": [\"[CLS]\", 101]}, {\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 102], \"cls\": [\"[CLS]\", 101]}]} | post_processor.processors[1] places special tokens a second time; leave out one of the two",
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
        "{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"[^x]+x\"}, \"content\": \"\"} | decoder.pattern.Regex has some 1e+09 ways",
        "{\"type\": \"CTC\", \"pad_token\": \"a\"} | decoder.type must be Sequence or one of",
        "\"\\u0000\" | decoder must be an object",
        "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}, {\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]} | decoder.decoders[1] may make a text, with what is before it, 1600 times longer: the most is 1000; leave out a step, or shorten what one puts in",
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
        "(?>a*)a*; 1",
        "a*(?i:s)(?i:s)(?i:s); 1",
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
        "(?<=a{2})b; repeats something that it looks behind for",
        "(?<!(?:a|b)?c)d; repeats something that it looks behind for",
        "(?=a)?b; repeats what takes no character",
        "\\b+; repeats what takes no character",
        "*a; has a * that repeats nothing",
        "a{,}; a { that counts nothing",
        "a{}; a { that counts nothing",
        "a{(b|bb)+}; a { that counts nothing",
        "a{3,2}; counts from 3 to 2",
      })
  void patternsThatMayNotEndAreRefused(String regex, String message) {
    assertTrue(refusal(regex).contains(message), () -> refusal(regex));
  }

  /**
   * Oniguruma has alternatives that it tries without end where a reader of fewer constructs has a
   * class or a character: each of the first five ended the process at sixty letters. Others fail at
   * any text, or mean one thing in one version and another in the next.
   */
  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "[^^](a|aa)+$]; repeats a group (at character 11)",
        "\\x{(a|aa)+$}; has \\x, which is not known so",
        "[\\x{](a|aa)+$}]; has \\x, which is not known so",
        "\\o{(a|aa)+$}; has \\o, which is not known so",
        "(?i)[\\p{L}]+$; has \\p where case does not count",
        "(?i:[s\u00df]+$); has \\u00df where case does not count",
        "(?i:[a[^b]]+$); has a class in a class where case does not count",
        "(?i:[[:alpha:]]+$); has a class in a class where case does not count",
        "(?i:[^a]|[\\S]); has \\S where case does not count",
        "(?i:\\u00df); has \\u where case does not count",
        "(?i)\u00df; has \\u00df where case does not count",
        "(?-i:a)(?i:(?m-i:\u00df)\u00e9); has \\u00e9 where case does not count",
        "(*ERROR); has a callout (*",
        "(*FAIL); has a callout (*",
        "(?{a}); a group of a kind",
        "(?@a); a group of a kind",
        "(?~a); a group of a kind",
        "(?~|a|b*); a group of a kind",
        "(?(a)b|c); a group of a kind",
        "(?#(); a group of a kind",
        "(?<i>a); a group of a kind",
        "(?i<=a); a group of a kind",
        "(?-:a); a group of a kind",
        "[]abc]; a ] at the beginning of a class",
        "[^]abc]; a ] at the beginning of a class",
        "[[:alpha:]; a [ that is not closed",
        "[[:alphas:]]; [: without the name of a class",
        "[[:a]b:]]; [: without the name of a class",
        "[\\]; a [ that is not closed",
        "\\x; has \\x, which",
        "\\x4; has \\x, which",
        "\\xe9; has \\x, which",
        "\\x{}; has \\x, which",
        "\\x{61 62}; has \\x, which",
        "\\x{110000}; has \\x, which",
        "\\x{123456789}; has \\x, which",
        "\\u{61}; has \\u, which",
        "\\u12; has \\u, which",
        "\\pL; has \\p, which",
        "\\p{L; has \\p, which",
        "\\p{(a|aa)+}; has \\p, which",
        "\\k<a>; refers to a group",
        "\\g<0>; refers to a group",
        "[\\0]; refers to a group",
        "\\ca; has \\c, which",
        "\\C-a; has \\C, which",
        "\\M-a; has \\M, which",
        "a\\K; has \\K, which",
        "\\R; has \\R, which",
        "\\Qa\\E; has \\Q, which",
        "[\\A]; has \\A, which",
        "a\\; ends with \\",
      })
  void whatOnigurumaMayReadOtherwiseIsRefused(String regex, String message) {
    assertTrue(refusal(regex).contains(message), () -> refusal(regex));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[a^][^^a]",
        "[a\\]][b\\]]",
        "[a[bc]&&[^b]]+",
        "[[:alpha:][:^digit:]]",
        "[-a][a-][\\]a]",
        "\\x{61}\\x{1F642}[\\x{0}-\\x{0010FfFF}]\\x41",
        "{a}|a{2}|a{2}?|a{,3}|a{2,}?",
        "\\p{^L}\\P{Lu}\\p{Script_Extensions}",
        "(?<=a|bcd)e(?<![\\s!])",
        "(?i:[^\\p{L}\u00df][a-z\\s\\d!-/]+'d|(?-i:\u00df+))\u00df",
        "(?m-i).",
        "(?i:<\\|assistants?\\|>)\\d",
        "\\Aa\\Z|\\b\\w\\B|\\Ga\\z",
      })
  void whatIsSureToBeReadAsOnigurumaReadsItIsTaken(String regex) {
    TokenizerPattern.check(
        new TokenizerPart("pattern", JSON.createObjectNode().put("Regex", regex)), 1000);
  }

  private static String refusal(String regex) {
    var pattern = new TokenizerPart("pattern", JSON.createObjectNode().put("Regex", regex));
    return assertThrows(
            IllegalArgumentException.class, () -> TokenizerPattern.check(pattern, 1_000_000), regex)
        .getMessage();
  }

  /** What is tried goes with the length of the text. */
  @Test
  void lengthCounts() {
    var pattern = new TokenizerPart("pattern", JSON.createObjectNode().put("Regex", "\\s+(?!\\S)"));
    TokenizerPattern.check(pattern, 5_000_000);
    assertThrows(IllegalArgumentException.class, () -> TokenizerPattern.check(pattern, 10_000_000));
  }

  /** A pattern as o200k's that stands behind NFC, which makes texts three times longer. */
  @Test
  void aSmallerMaximumLengthTakesPatternsOfMoreWays() throws IOException {
    ObjectNode file = (ObjectNode) JSON.readTree(MiniLm.tokenizerJson());
    file.set("normalizer", JSON.readTree("{\"type\": \"NFC\"}"));
    file.set(
        "pre_tokenizer",
        JSON.readTree(
            """
            {"type": "Split", "pattern": {"Regex": "\\\\s*a|\\\\s*b|\\\\s*c"}, "behavior": "Isolated", "invert": false}
            """));
    byte[] whole = JSON.writeValueAsBytes(file);
    Tokenizer.of(whole, 512).close();
    assertRefused(
        () -> Tokenizer.of(whole, 16_384),
        "9e+06 ways to match at one place of a text of 3,000,000 characters, which is not taken:"
            + " the most is 8e+06; write it with fewer repetitions or alternatives, or take a"
            + " smaller maximum length, so that texts are shorter");
  }

  @Test
  void noMaximumLengthIsARemedyForADecoder() throws IOException {
    ObjectNode file = (ObjectNode) JSON.readTree(MiniLm.tokenizerJson());
    file.set(
        "decoder",
        JSON.readTree(
            "{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"[^x]+x\"}, \"content\": \"\"}"));
    byte[] whole = JSON.writeValueAsBytes(file);
    var e = assertThrows(DataException.class, () -> Tokenizer.decoding(whole, 16));
    assertTrue(
        e.getMessage().endsWith("; write it with fewer repetitions or alternatives"),
        e.getMessage());
  }

  /** What is refused for a limit is so in the model's own file too. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"model\": | true",
        "{\"version\": \"1.0\", \"version\": \"1.0\"} | true",
        "{\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"BAAAAAD8//9hAA==\"}} | true",
        "{\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"(a+)+\"}, \"content\": \"\"}} | false",
        "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 0}, \"unk_token\": \"a\", \"max_input_chars_per_word\": 1001}} | false",
      })
  void onlyAFileThatIsDamagedIsToBeTakenAgain(String file, boolean damaged) {
    byte[] bytes = file.getBytes(StandardCharsets.UTF_8);
    var e = assertThrows(DataException.class, () -> Tokenizer.of(bytes, 16));
    assertEquals(
        damaged, e.getMessage().endsWith("; take the file again from the model"), e.getMessage());
  }

  /** What steps make longer in whole; without a bound a text of 64 letters took all memory. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "normalizer | normalizers | NFKD, NFKC, NFKD | 2 | 5832",
        "normalizer | normalizers | NFD, NFC, NFD, NFC, BertNormalizer, Lowercase | 5 | 1152",
        "normalizer | normalizers | ByteLevel, ByteLevel, ByteLevel, ByteLevel, ByteLevel, ByteLevel, ByteLevel | 6 | 2187",
        "pre_tokenizer | pretokenizers | ByteLevel, Metaspace, ByteLevel, ByteLevel, ByteLevel | 4 | 1024",
        "decoder | decoders | WordPiece, WordPiece, WordPiece, WordPiece, WordPiece, WordPiece, WordPiece, WordPiece, WordPiece, WordPiece | 9 | 1024",
      })
  void stepsThatMakeATextTooLongAreRefused(
      String part, String members, String types, int place, int growth) throws IOException {
    ObjectNode file = (ObjectNode) JSON.readTree(MiniLm.tokenizerJson());
    var steps = file.putObject(part).put("type", "Sequence").putArray(members);
    for (String type : types.split(", ")) {
      steps.addObject().put("type", type);
    }
    byte[] whole = JSON.writeValueAsBytes(file);
    assertRefused(
        () -> Tokenizer.decoding(whole, 16),
        "%s.%s[%d] may make a text, with what is before it, %d times longer: the most is 1000"
            .formatted(part, members, place, growth));
  }

  @Test
  void charactersThatAreMappedToLongTextsAreRefused() throws IOException {
    assertRefused(withMap("e".repeat(1001)), "normalizer may make a text, with what is before it,");
    assertRefused(withMap("\ud83d\ude42".repeat(501)), " 1002 times longer: the most is 1000");
    try (Tokenizer tokenizer = Tokenizer.of(withMap("b c ".repeat(250)), 2048)) {
      assertEquals(502, tokenizer.encode("a", null).ids().length);
    }
  }

  private static byte[] withMap(String text) throws IOException {
    ObjectNode file = (ObjectNode) JSON.readTree(MiniLm.tokenizerJson());
    file.putObject("normalizer").put("type", "Precompiled").put("precompiled_charsmap", map(text));
    return JSON.writeValueAsBytes(file);
  }

  /** SentencePiece's map of "a" to a text. */
  private static String map(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    ByteBuffer map =
        ByteBuffer.allocate(4 * (1 + 768) + bytes.length + 1).order(ByteOrder.LITTLE_ENDIAN);
    map.putInt(4 * 768);
    // What begins at the root is from 256 on, the value of "a" at 512: the text at 0.
    map.putInt(4, 256 << 10);
    map.putInt(4 * (1 + (256 ^ 'a')), (256 ^ 'a' ^ 512) << 10 | 1 << 8 | 'a');
    map.putInt(4 * (1 + 512), 1 << 31);
    map.put(4 * (1 + 768), bytes);
    return Base64.getEncoder().encodeToString(map.array());
  }

  /** SentencePiece's map has 18 characters for one, as NFKD. */
  @Test
  void anAlbertsNormalizerIsTaken() throws IOException {
    ObjectNode file = (ObjectNode) JSON.readTree(MiniLm.tokenizerJson());
    file.set(
        "normalizer",
        JSON.readTree(
            """
            {"type": "Sequence", "normalizers": [
              {"type": "Replace", "pattern": {"String": "``"}, "content": "\\""},
              {"type": "Replace", "pattern": {"String": "''"}, "content": "\\""},
              {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"},
              {"type": "Precompiled", "precompiled_charsmap": "%s"},
              {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
            """
                .formatted(map("b".repeat(18)))));
    Tokenizer.of(JSON.writeValueAsBytes(file), 512).close();
  }

  /** The factors that {@link TokenizerSteps} has for these, by characters. */
  @ParameterizedTest
  @CsvSource({"NFC, 3", "NFD, 4", "NFKC, 18", "NFKD, 18", "Lowercase, 2"})
  void unicodesFormsMakeATextSoMuchLonger(String form, int growth) {
    double most = 0;
    for (int c = 1; c <= Character.MAX_CODE_POINT; c++) {
      String text = Character.toString(c);
      String formed =
          form.equals("Lowercase")
              ? text.toLowerCase(Locale.ROOT)
              : Normalizer.normalize(text, Normalizer.Form.valueOf(form));
      most = Math.max(most, (double) formed.length() / text.length());
    }
    assertEquals(growth, most);
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
        "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
        "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{M}&&[^\\p{Han}]]*[\\p{Ll}\\p{M}&&[^\\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\s+",
        " {2,}",
        "\\s+",
      })
  void patternsOfRealTokenizersAreTaken(String regex) throws IOException {
    JsonNode pattern = JSON.createObjectNode().put("Regex", regex);
    TokenizerPattern.check(new TokenizerPart("pattern", pattern), 1_000_000);
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
