package org.prunepeft.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.data.batch.CharacterTokenizer;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.io.FormatException;

/**
 * What tokenizer_config.json says of the tokens around a text, of which s and e begin and end one.
 */
class SequenceTokensTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String BYTES =
      "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true}";

  @TempDir Path directory;
  private ObjectNode tokenizer;

  @BeforeEach
  void read() throws IOException {
    tokenizer = (ObjectNode) JSON.readTree(CharacterTokenizer.json());
  }

  private String post() {
    return tokenizer.get("post_processor").toString();
  }

  private byte[] tokenizer(String settings, String post) throws IOException {
    tokenizer.set("post_processor", JSON.readTree(post));
    Files.write(directory.resolve("tokenizer.json"), JSON.writeValueAsBytes(tokenizer));
    Files.writeString(directory.resolve("tokenizer_config.json"), settings.replace('\'', '"'));
    return new HuggingFaceDirectory(directory).tokenizer(false);
  }

  /** The tokens of "ab" and those of the pair "a", "b". */
  private static String tokens(byte[] tokenizer) {
    try (Tokenizer encoder = Tokenizer.of(tokenizer, 20)) {
      return letters(encoder.encode("ab", null).ids())
          + " "
          + letters(encoder.encode("a", "b").ids());
    }
  }

  private static String letters(int[] ids) {
    StringBuilder letters = new StringBuilder();
    for (int id : ids) {
      letters.append(
          id == CharacterTokenizer.START
              ? 's'
              : id == CharacterTokenizer.END
                  ? 'e'
                  : (char) (id - CharacterTokenizer.id('a') + 'a'));
    }
    return letters.toString();
  }

  /** Of a tokenizer.json that places none, as DeepSeek's, and of one that begins each text. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {'tokenizer_class': 'LlamaTokenizerFast', 'add_bos_token': true, 'add_eos_token': false} | sab sasb | sab sasb
          {'tokenizer_class': 'LlamaTokenizer', 'add_bos_token': true, 'add_eos_token': true}      | sabe saesbe | sabe saesbe
          {'tokenizer_class': 'CodeLlamaTokenizerFast', 'add_bos_token': false}                    | ab ab | ab ab
          {'tokenizer_class': 'LlamaTokenizer', 'add_bos_token': false, 'add_eos_token': true}     | abe aebe | abe aebe
          {'tokenizer_class': 'LlamaTokenizer', 'add_eos_token': true}                             | sabe saesbe | sabe saesbe
          {'tokenizer_class': 'LlamaTokenizer'}                                                    | sab sasb | sab sab
          {'tokenizer_class': 'GemmaTokenizer', 'bos_token': {'content': '</s>'}}                  | eab eaeb | sab sab
          {'tokenizer_class': 'LlamaTokenizer', 'add_bos_token': true, 'bos_token': null}          | ab ab | ab ab
          {'tokenizer_class': 'LlamaTokenizer', 'add_bos_token': true, 'bos_token': 'q'}           | qab qaqb | qab qaqb
          {'tokenizer_class': 'PreTrainedTokenizerFast', 'add_bos_token': true}                    | ab ab | sab sab
          {'add_bos_token': true}                                                                  | ab ab | sab sab
          """)
  void areThoseOfPythonsClass(String settings, String withoutAny, String withABegin)
      throws IOException {
    String begins = post();
    assertEquals(withoutAny, tokens(tokenizer(settings, "null")));
    assertEquals(withABegin, tokens(tokenizer(settings, begins)));
    assertEquals(withoutAny, tokens(tokenizer(settings, BYTES)));
  }

  /** By the base class of version 5: a flag that is not named is false. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      textBlock =
          """
          {'add_bos_token': true, 'bos_token': '<s>'}                         | <s> TEXT | -
          {'add_bos_token': true, 'bos_token': {'content': '</s>'}}           | </s> TEXT | </s> TEXT
          {'add_bos_token': true}                                             | - | TEXT
          {'add_bos_token': false}                                            | - | TEXT
          {'add_eos_token': false, 'bos_token': '<s>'}                        | - | TEXT
          {'add_eos_token': true, 'bos_token': '<s>', 'eos_token': '</s>'}    | TEXT </s> | TEXT </s>
          {'add_bos_token': true, 'add_eos_token': true, 'bos_token': '<s>', 'eos_token': 'of no id'} | <s> TEXT of no id | <s> TEXT of no id
          {'bos_token': '<s>'}                                                | - | -
          {}                                                                  | - | -
          """)
  void whatVersion5PlacesOtherwiseIsKnown(String settings, String withoutAny, String withABegin)
      throws IOException {
    String begins = post();
    byte[] begun =
        tokenizer("{'tokenizer_class': 'LlamaTokenizer', 'add_bos_token': true}", "null");
    for (String none : new String[] {"null", BYTES}) {
      tokenizer.set("post_processor", JSON.readTree(none));
      assertEquals(withoutAny, otherwise(JSON.writeValueAsBytes(tokenizer), settings));
    }
    assertEquals(withABegin, otherwise(begun, settings));
    // What is in the fixture begins the first text of a pair alone.
    tokenizer.set("post_processor", JSON.readTree(begins));
    assertEquals(
        settings.contains("add_") && withABegin == null ? "<s> TEXT" : withABegin,
        otherwise(JSON.writeValueAsBytes(tokenizer), settings));
  }

  private static String otherwise(byte[] tokenizer, String settings) throws IOException {
    return SequenceTokens.otherwiseInPython(
            tokenizer,
            "PreTrainedTokenizerFast",
            JSON.readTree(settings.replace('\'', '"')),
            JSON.createObjectNode())
        .orElse(null);
  }

  @Test
  void theClassMayBeInTheConfigurationAndATokenInTheMap() throws IOException {
    Files.writeString(
        directory.resolve("config.json"), "{\"tokenizer_class\": \"LlamaTokenizer\"}");
    Files.writeString(
        directory.resolve("special_tokens_map.json"), "{\"bos_token\": {\"content\": \"</s>\"}}");
    assertEquals("eab eaeb", tokens(tokenizer("{'model_max_length': 1e30, 'x': NaN}", "null")));
  }

  @Test
  void aMapOfTokensIsReadOnlyWhereTheSettingsPlaceTokens() throws IOException {
    Files.writeString(directory.resolve("special_tokens_map.json"), "{");
    String settings = "{'tokenizer_class': 'PreTrainedTokenizerFast'}";
    assertEquals("sab sab", tokens(tokenizer(settings, post())));
    assertThrows(
        FormatException.class,
        () -> tokenizer(settings.replace("}", ", 'add_bos_token': true}"), post()));
  }

  @Test
  void allElseOfATokenizerIsAsItWas() throws IOException {
    ((ObjectNode) tokenizer.get("model")).put("dropout", 0.1234567890123456789);
    String settings = "{'tokenizer_class': 'LlamaTokenizer', 'add_eos_token': true}";
    ObjectNode placed = (ObjectNode) JSON.readTree(tokenizer(settings, BYTES));
    assertEquals("Sequence", placed.at("/post_processor/type").asText());
    assertEquals(JSON.readTree(BYTES), placed.at("/post_processor/processors/0"));
    placed.set("post_processor", tokenizer.get("post_processor"));
    assertEquals(JSON.readTree(Files.readAllBytes(directory.resolve("tokenizer.json"))), placed);
  }

  @Test
  void whatPlacesThemAlreadyIsTheSameBytes() throws IOException {
    String settingsThatPlace = "{'tokenizer_class': 'LlamaTokenizer', 'add_bos_token': true}";
    String begins =
        JSON.readTree(tokenizer(settingsThatPlace, "null")).get("post_processor").toString();
    for (String settings :
        new String[] {
          settingsThatPlace,
          "{'tokenizer_class': 'LlamaTokenizer'}",
          "{'tokenizer_class': 'Qwen2Tokenizer', 'add_bos_token': false}"
        }) {
      byte[] same = tokenizer(settings, begins);
      assertArrayEquals(Files.readAllBytes(directory.resolve("tokenizer.json")), same);
    }
    byte[] none = tokenizer("{'tokenizer_class': 'LlamaTokenizer', 'add_bos_token': false}", BYTES);
    assertArrayEquals(Files.readAllBytes(directory.resolve("tokenizer.json")), none);
  }

  /** The tokenizer says what is wrong with it. */
  @Test
  void aDamagedFileIsLeftAsItIs() throws IOException {
    Files.writeString(
        directory.resolve("tokenizer_config.json"), "{\"tokenizer_class\": \"LlamaTokenizer\"}");
    String added = "{\"added_tokens\": [{\"content\": \"<s>\", \"id\": 1}], \"x\": ";
    for (String damaged :
        new String[] {"", "[]", "{", added, added + "1e99999999999}", added + "[".repeat(2000)}) {
      Files.writeString(directory.resolve("tokenizer.json"), damaged);
      assertEquals(
          damaged,
          new String(new HuggingFaceDirectory(directory).tokenizer(false), StandardCharsets.UTF_8));
    }
  }

  @Test
  void oneThatTheTokenizerDoesNotHaveIsRefused() {
    FormatException e =
        assertThrows(
            FormatException.class,
            () ->
                tokenizer("{'tokenizer_class': 'GemmaTokenizer', 'add_bos_token': true}", "null"));
    assertEquals(
        directory
            + ": add_bos_token in tokenizer_config.json asks for the token '<bos>' (bos_token), which tokenizer.json does not have; name one that it has as bos_token, or say \"add_bos_token\": false",
        e.getMessage());
  }
}
