package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.testing.FixedSeed;

/** Tokenizers of language models that do not fit, and the tokens that begin and end a text. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class LanguageTokenizerTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** What the model takes; each z is a token. */
  private static final int POSITIONS = 128;

  private static final int LONGEST = 64;

  @TempDir Path temporary;
  private Path model;
  private Path texts;

  @BeforeEach
  void write() throws IOException {
    model = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    texts = Files.writeString(temporary.resolve("a.jsonl"), "{\"text\": \"z\"}\n".repeat(40));
  }

  private Call train(Path file, Object... more) {
    return Call.of(
        "train",
        "--model=" + model,
        "--train-file=" + file,
        "--epochs=1",
        "--lora-r=2",
        "--adapter-size=2",
        "--max-seq-length=" + LONGEST,
        "--threads=1",
        "--output=" + temporary.resolve("run"),
        more);
  }

  private ObjectNode json(String name) throws IOException {
    return (ObjectNode) JSON.readTree(model.resolve(name).toFile());
  }

  private void write(String name, ObjectNode json) throws IOException {
    JSON.writeValue(model.resolve(name).toFile(), json);
  }

  @Test
  void oneOfSentencePieceIsNamedWithWhatMakesATokenizerJson() throws IOException {
    Files.move(model.resolve("tokenizer.json"), model.resolve("tokenizer.model"));
    String message =
        model
            + " has no tokenizer.json, but tokenizer.model, which is not read; make one in Python: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)";
    train(texts).exits(1, message);
    Call.of("generate", model, "--prompt=z").exits(1, message);
    Call.of("chat", model).exits(1, message);
    assertFalse(Files.exists(temporary.resolve("run")));
  }

  @Test
  void aVocabularyThatDoesNotFitIsRefusedBeforeTextsAreEncoded() throws IOException {
    ObjectNode config = json("config.json");
    int vocabulary = config.get("vocab_size").intValue();
    ObjectNode tokenizer = json("tokenizer.json");
    ((ObjectNode) tokenizer.at("/model/vocab")).put("never seen", vocabulary);
    write("tokenizer.json", tokenizer);
    String message =
        "%s: the tokenizer does not fit the model: tokenizer.json gives token 'never seen' the id %d, and vocab_size in config.json is %d"
            .formatted(model, vocabulary, vocabulary);
    Call call = train(texts).exits(1, message);
    assertFalse(call.err().contains("tokenise"), call.err());
    Call.of("generate", model, "--prompt=z").exits(1, message);
    assertFalse(Files.exists(temporary.resolve("run")));
  }

  @Test
  void aTokenThatWasAddedToTheTokenizerAloneIsRefusedInATextThatHasIt() throws IOException {
    int vocabulary = json("config.json").get("vocab_size").intValue();
    ObjectNode tokenizer = json("tokenizer.json");
    ArrayNode added = (ArrayNode) tokenizer.get("added_tokens");
    added.add(((ObjectNode) added.get(0).deepCopy()).put("id", vocabulary).put("content", "<new>"));
    write("tokenizer.json", tokenizer);
    Path some =
        Files.writeString(
            temporary.resolve("new.jsonl"),
            Files.readString(texts) + "{\"text\": \"a <new> one\"}\n");
    train(some, "--validation-file=" + texts, "--test-file=" + texts)
        .exits(
            1,
            some
                + ", line 41: the text has a token with id %d, and the model has %d"
                    .formatted(vocabulary, vocabulary));
    assertFalse(Files.exists(temporary.resolve("run")));
    // Gemma 3 has one that no text has.
    train(texts).exits(0);
  }

  /** Lets the tokenizer put a token before each text. */
  private void startTexts() throws IOException {
    ObjectNode tokenizer = json("tokenizer.json");
    tokenizer.set(
        "post_processor",
        JSON.readTree(
            """
            {"type": "TemplateProcessing",
             "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
             "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
             "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}
            """));
    write("tokenizer.json", tokenizer);
    Files.writeString(
        model.resolve("tokenizer_config.json"),
        "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}");
  }

  /**
   * Counts are by one off if the token is there twice, or not at all.
   *
   * @param template null: the model has none
   * @param turn tokens of a turn of the user's and of what asks the assistant to go on, without
   *     what is said, with the token that begins the text
   * @param end tokens behind an answer
   */
  @ParameterizedTest
  @CsvSource({
    "'{{ bos_token }}{% for m in messages %}{{ m.role[0] }}{{ m.content }}{% endfor %}{% if add_generation_prompt %}a{% endif %}', 3, 0",
    "'{% for m in messages %}{{ m.role[0] }}{{ m.content }}{% endfor %}{% if add_generation_prompt %}a{% endif %}', 2, 0",
    ", 28, 1",
  })
  void theTokenThatBeginsAConversationIsThereAsOftenAsItsTemplateSays(
      String template, int turn, int end) throws IOException {
    startTexts();
    if (template != null) {
      Files.writeString(model.resolve("chat_template.jinja"), template);
    }
    int question = LONGEST - turn - 1 - end;
    train(chats(question), "--too-long=refuse").exits(0);
    Path run = temporary.resolve("run");
    Call.of("evaluate", run, "--test-file=" + chats(question + 1))
        .exits(1, "the text has %d tokens, but".formatted(LONGEST + 1));
    for (Path source : List.of(model, run)) {
      Call fits = chat(source, POSITIONS - turn - 1).exits(0);
      assertFalse(fits.err().contains("left out"), fits.err());
      chat(source, POSITIONS - turn)
          .exits(0, "left out: a prompt has %d tokens, and".formatted(POSITIONS));
    }
  }

  @Test
  void theTokenThatBeginsAPromptIsThereOnce() throws IOException {
    startTexts();
    String longest = "z".repeat(POSITIONS - 2);
    Call.of("generate", model, "--prompt=" + longest).exits(0);
    Call.of("generate", model, "--prompt=" + longest + "z")
        .exits(2, "a prompt has %d tokens, and".formatted(POSITIONS));
    train(texts).exits(0);
    Path run = temporary.resolve("run");
    Call.of("predict", run, "--too-long=refuse", "--text=" + "z".repeat(LONGEST - 2)).exits(0);
    Call.of("predict", run, "--too-long=refuse", "--text=" + "z".repeat(LONGEST - 1))
        .exits(1, "the text has %d tokens, but".formatted(LONGEST + 1));
  }

  /** As DeepSeek's: tokenizer.json places none, and Python's class of it does. */
  @Test
  void theTokenThatTheSettingsAskForIsThereInTrainingPromptsAndExports() throws IOException {
    String settings =
        "{\"tokenizer_class\": \"LlamaTokenizerFast\", \"add_bos_token\": true, \"bos_token\": \"<s>\"}";
    Files.writeString(model.resolve("tokenizer_config.json"), settings);
    String longest = "z".repeat(POSITIONS - 1);
    Call.of("generate", model, "--prompt=" + longest)
        .exits(2, "a prompt has %d tokens, and".formatted(POSITIONS));
    train(texts, "--modules=lora").exits(0);
    Path run = temporary.resolve("run");
    Call.of("predict", run, "--too-long=refuse", "--text=" + "z".repeat(LONGEST - 1))
        .exits(
            1,
            "the text has %d tokens, but the run was made with --max-seq-length %d; shorten the texts, or say --too-long cut"
                .formatted(LONGEST + 1, LONGEST));
    for (String form : List.of("--merge", "--format=peft")) {
      Path export = temporary.resolve(form);
      Call.of("export", run, "--output=" + export, form).exits(0);
      JsonNode post =
          JSON.readTree(export.resolve("tokenizer.json").toFile()).at("/post_processor");
      assertEquals("<s>", post.at("/single/0/SpecialToken/id").asText(), form);
      assertEquals(settings, Files.readString(export.resolve("tokenizer_config.json")));
    }
  }

  /**
   * Python's class of Llama's tokenizers would place a token that the model has not learnt with.
   */
  @Test
  void aTokenizerWithoutSettingsIsExportedAsOneThatPlacesWhatItSays() throws IOException {
    train(texts, "--modules=lora").exits(0);
    Path export = temporary.resolve("export");
    Call.of("export", temporary.resolve("run"), "--output=" + export, "--format=peft").exits(0);
    assertEquals(
        "PreTrainedTokenizerFast",
        JSON.readTree(export.resolve("tokenizer_config.json").toFile())
            .path("tokenizer_class")
            .asText());
  }

  /** As Phi-3's and Gemma 2's: config.json names one of the tokens that end an answer. */
  @Test
  void aTextEndsAtTheTokensOfTheGenerationConfig() throws IOException {
    train(texts).exits(0);
    Path run = temporary.resolve("run");
    List<String> prompt = List.of("--prompt=z", "--max-new-tokens=8", "--threads=1");
    for (Path source : List.of(model, run)) {
      assertNotEquals("z", Call.of("generate", source, prompt).exits(0).out().strip());
    }
    String before = Call.of("evaluate", run).exits(0).out();
    int vocabulary = json("config.json").get("vocab_size").intValue();
    Files.writeString(
        model.resolve("generation_config.json"),
        "{\"eos_token_id\": %s}".formatted(IntStream.range(0, vocabulary).boxed().toList()));
    assertEquals("z", Call.of("generate", model, prompt).exits(0).out().strip());
    Call.of("generate", run, prompt).exits(1, "generation_config.json was not there when the run");
    Call.of("seal", run, "--model=" + model).exits(0);
    assertEquals("z", Call.of("generate", run, prompt).exits(0).out().strip());
    // What is learnt ends as config.json says.
    Call after = Call.of("evaluate", run).exits(0);
    assertEquals(before, after.out());
  }

  private Path chats(int question) throws IOException {
    String line =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"%s\"}, {\"role\": \"assistant\", \"content\": \"z\"}]}\n";
    return Files.writeString(
        temporary.resolve("chats-%d.jsonl".formatted(question)),
        line.formatted("z".repeat(question)).repeat(40));
  }

  private static Call chat(Path source, int question) {
    InputStream input = System.in;
    try {
      System.setIn(
          new ByteArrayInputStream(("z".repeat(question) + "\n").getBytes(StandardCharsets.UTF_8)));
      return Call.of("chat", source, "--max-new-tokens=1", "--threads=1");
    } finally {
      System.setIn(input);
    }
  }
}
