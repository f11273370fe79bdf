package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Columns;
import org.prunepeft.data.TrainingText;
import org.prunepeft.testing.FixedSeed;

/** Conversations as a language model's data. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class ConversationTest {
  @TempDir static Path temporary;
  private static Path model;
  private static Path chats;

  @BeforeAll
  static void write() throws IOException {
    model = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    String line =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"%s\"},"
            + " {\"role\": \"assistant\", \"content\": \"b\"}]}\n";
    chats =
        Files.writeString(
            temporary.resolve("chats.jsonl"),
            IntStream.range(0, 40)
                .mapToObj(i -> line.formatted((char) ('a' + i % 6)))
                .collect(Collectors.joining()));
  }

  private static Call train(Path model, Path file, String run, String... more) {
    return Call.of(
        "train",
        "--model=" + model,
        "--train-file=" + file,
        "--epochs=1",
        "--lora-r=2",
        "--adapter-size=2",
        "--max-seq-length=48",
        "--threads=2",
        "--output=" + temporary.resolve(run),
        List.of(more));
  }

  @Test
  void turnsAreWrittenByTheModelsTemplate() throws IOException {
    Path chatty = LlamaDirectory.write(temporary.resolve("chatty"));
    Files.writeString(
        chatty.resolve("chat_template.jinja"),
        "{{ strftime_now('%d') }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
            + "{% if add_generation_prompt %}<assistant>{% endif %}");
    Call call = train(chatty, chats, "with", "--chat-date=2026-03-07").exits(0);
    assertFalse(call.err().contains("no chat template"), call.err());
    Path run = temporary.resolve("with");
    String options = Files.readString(run.resolve("config.yaml"));
    assertTrue(options.matches("(?s).*\nchat_date: \\W?2026-03-07.*"), options);
    assertTrue(Files.readString(run.resolve("config.json")).contains("strftime_now"));
    // The run has the template, so the model's is not asked for again.
    String tested = testLine(Call.of("evaluate", run).exits(0).out());
    Files.writeString(chatty.resolve("chat_template.jinja"), "{{ raise_exception('gone') }}");
    assertEquals(tested, testLine(Call.of("evaluate", run).exits(0).out()));
  }

  private static String testLine(String out) {
    return out.lines().filter(line -> line.contains("log-likelihood")).findFirst().orElseThrow();
  }

  @Test
  void exportsHaveTheTemplateThatTheRunWasTrainedWith() throws IOException {
    String turns =
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
            + "{% if add_generation_prompt %}<assistant>{% endif %}";
    Path template = Files.writeString(temporary.resolve("turns.jinja"), turns);
    train(model, chats, "turns", "--modules=lora", "--chat-template=" + template).exits(0);
    for (List<String> form :
        List.of(
            List.of("--format=peft"), List.of("--format=peft", "--portable"), List.of("--merge"))) {
      Path export = temporary.resolve("turns" + String.join("", form));
      Call.of("export", temporary.resolve("turns"), "--output=" + export, form).exits(0);
      assertEquals(turns, Files.readString(export.resolve("chat_template.jinja")));
    }
  }

  private static final String TURNS =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
          + "{% if add_generation_prompt %}<assistant>{% endif %}";

  @Test
  void exportsHaveTheTemplatesOfTheModelUnlessTheRunHasOthers() throws IOException {
    Path chatty = LlamaDirectory.write(temporary.resolve("chatty-with-tools"));
    Path more = Files.createDirectory(chatty.resolve("additional_chat_templates"));
    Files.writeString(chatty.resolve("chat_template.jinja"), TURNS);
    Files.writeString(more.resolve("tool_use.jinja"), "tools" + TURNS);
    Files.writeString(more.resolve("rag.jinja"), "rag" + TURNS);
    Path never = temporary.resolve("never");
    Path another = Files.writeString(temporary.resolve("another.jinja"), "." + TURNS);
    train(chatty, chats, "as-the-model", "--modules=lora").exits(0);
    train(chatty, chats, "otherwise", "--modules=lora", "--chat-template=" + another).exits(0);
    for (String form : List.of("--format=peft", "--merge")) {
      Path same = export("as-the-model", form);
      assertEquals(TURNS, Files.readString(same.resolve("chat_template.jinja")));
      Path templates = same.resolve("additional_chat_templates");
      assertEquals(Set.of("tool_use.jinja", "rag.jinja"), Small.names(templates));
      assertEquals("tools" + TURNS, Files.readString(templates.resolve("tool_use.jinja")));
      Files.writeString(templates.resolve("rag.jinja"), "damaged");
      Path other = export("otherwise", form);
      assertEquals("." + TURNS, Files.readString(other.resolve("chat_template.jinja")));
      // Rows with tools were written by it too.
      assertEquals(Set.of("rag.jinja"), Small.names(other.resolve("additional_chat_templates")));
    }
    Call.of("import", temporary.resolve("as-the-model--format=peft"), "--output=" + never)
        .exits(1, "rag.jinja");
    // The run keeps both, wherever the model has them now.
    Files.delete(more.resolve("tool_use.jinja"));
    Files.delete(more.resolve("rag.jinja"));
    Files.delete(more);
    Files.writeString(chatty.resolve("chat_template.jinja"), "{{ raise_exception('gone') }}");
    for (String form : List.of("--format=peft", "--merge")) {
      Path kept = temporary.resolve("kept" + form);
      Call.of("export", temporary.resolve("as-the-model"), "--output=" + kept, form).exits(0);
      assertEquals(TURNS, Files.readString(kept.resolve("chat_template.jinja")));
      assertEquals(
          "tools" + TURNS,
          Files.readString(kept.resolve("additional_chat_templates/tool_use.jinja")));
    }
  }

  private static Path export(String run, String form) {
    Path export = temporary.resolve(run + form);
    Call.of("export", temporary.resolve(run), "--output=" + export, form).exits(0);
    return export;
  }

  @Test
  void aRunThatKeptNoTemplateWritesConversationsByItsModels() throws IOException {
    Path chatty = LlamaDirectory.write(temporary.resolve("chatty-later"));
    Path texts =
        Files.writeString(temporary.resolve("strings.jsonl"), "{\"text\": \"a b\"}\n".repeat(40));
    train(chatty, texts, "strings").exits(0);
    Path run = temporary.resolve("strings");
    Path pair =
        Files.writeString(
            temporary.resolve("pair.jsonl"), "{\"prompt\": \"a\", \"completion\": \"b\"}\n");
    String said = "kept no chat template";
    String plain =
        Call.of("evaluate", run, "--test-file=" + chats).exits(0, said, "has none").out();
    Files.writeString(chatty.resolve("chat_template.jinja"), TURNS);
    String byTemplate = "they are written by that of its model " + chatty;
    String written =
        Call.of("evaluate", run, "--test-file=" + chats).exits(0, said, byTemplate).out();
    assertNotEquals(testLine(plain), testLine(written));
    Call.of("predict", run, chats).exits(0, byTemplate);
    for (Path file : List.of(texts, pair)) {
      Call other = Call.of("predict", run, file).exits(0);
      assertFalse(other.err().contains(said), other.err());
    }
    try (TrainedModel trained = TrainedModel.load(run)) {
      TrainingText text = trained.read(chats, Columns.DEFAULT).get(0).training();
      assertEquals("<user>a<assistant>", text.prompt());
      assertEquals("b", text.answer());
    }
  }

  @Test
  void aTemplateAmongTheTokenizersFilesIsThereOnce() throws IOException {
    Path chatty = LlamaDirectory.write(temporary.resolve("configured"));
    Files.writeString(
        chatty.resolve("tokenizer_config.json"),
        "{\"chat_template\": \"{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
            + "{% if add_generation_prompt %}<assistant>{% endif %}\"}");
    train(chatty, chats, "configured-run", "--modules=lora").exits(0);
    Path export = temporary.resolve("configured-export");
    Call.of("export", temporary.resolve("configured-run"), "--output=" + export, "--format=peft")
        .exits(0);
    assertFalse(Files.exists(export.resolve("chat_template.jinja")));
    ObjectMapper json = new ObjectMapper();
    assertEquals(
        json.readTree(chatty.resolve("tokenizer_config.json").toFile()).get("chat_template"),
        json.readTree(export.resolve("tokenizer_config.json").toFile()).get("chat_template"));
  }

  @Test
  void withoutATemplateTheRunSaysHowTurnsAreWritten() throws IOException {
    train(model, chats, "without").exits(0, "has no chat template");
    String options = Files.readString(temporary.resolve("without").resolve("config.yaml"));
    assertTrue(options.matches("(?s).*\nchat_date: \\W?20\\d\\d-.*"), options);
  }

  @Test
  void turnsThatAreWrittenOtherwiseOnceMoreFollowsAreTextsOfTheirOwn() throws IOException {
    Path ending = temporary.resolve("ending.jinja");
    Files.writeString(
        ending,
        "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}{% endfor %}"
            + "{{ '<a>' if add_generation_prompt else '</s>' }}");
    String turn =
        "{\"role\": \"user\", \"content\": \"%s\"}, {\"role\": \"assistant\", \"content\": \"b\"}";
    Path two =
        Files.writeString(
            temporary.resolve("two.jsonl"),
            IntStream.range(0, 40)
                .mapToObj(i -> turn.formatted((char) ('a' + i % 6)))
                .map(one -> "{\"messages\": [%s, %s]}\n".formatted(one, one))
                .collect(Collectors.joining()));
    train(model, two, "two", "--chat-template=" + ending)
        .exits(
            0,
            "32 training conversations are 64 texts",
            "4 validation conversations are 8 texts",
            "4 test conversations are 8 texts");
    Call.of("evaluate", temporary.resolve("two"), "--test-file=" + two)
        .exits(0)
        .prints("80 examples");
    // One turn each: as ever.
    Call one = train(model, chats, "one", "--chat-template=" + ending).exits(0);
    assertFalse(one.err().contains("training conversations are"), one.err());
  }

  @Test
  void aTemplateThatRefusesNamesTheLine() throws IOException {
    Path refusing = temporary.resolve("refusing.jinja");
    Files.writeString(refusing, "{{ raise_exception('never') }}");
    train(model, chats, "refused", "--chat-template=" + refusing)
        .exits(1, "chats.jsonl, line 1: ", "template line 1: the template says: never");
  }

  @Test
  void aTemplateThatIsNotUnderstoodIsNamedWithItsLine() throws IOException {
    Path broken = temporary.resolve("broken.jinja");
    Files.writeString(broken, "{% for m in messages %}\n{{ m.content }\n{% endfor %}");
    String message = "the chat template is not understood: template line 2: ";
    train(model, chats, "broken", "--chat-template=" + broken).exits(1, broken + ": " + message);
    Call.of("chat", model, "--chat-template=" + broken).exits(1, broken + ": " + message);
    Path damaged = LlamaDirectory.write(temporary.resolve("damaged"));
    Path own = damaged.resolve("chat_template.jinja");
    Files.copy(broken, own);
    train(damaged, chats, "broken").exits(1, own + ": " + message);
    Call.of("chat", damaged).exits(1, own + ": " + message);
    // With another one it is not asked for.
    train(damaged, chats, "broken", "--chat-template=" + temporary.resolve("none.jinja"))
        .exits(1, "can't read " + temporary.resolve("none.jinja"));
    assertFalse(Files.exists(temporary.resolve("broken")));
  }

  @Test
  void whatATemplateSaysOfAConversationIsShownInAChat() throws IOException {
    Path refusing = temporary.resolve("silent.jinja");
    Files.writeString(refusing, "{{ raise_exception('only tools may speak') }}");
    InputStream input = System.in;
    try {
      System.setIn(new ByteArrayInputStream("hi\n".getBytes(StandardCharsets.UTF_8)));
      Call.of("chat", model, "--chat-template=" + refusing)
          .exits(1, "template line 1: the template says: only tools may speak");
    } finally {
      System.setIn(input);
    }
  }

  @Test
  void aMessageWithoutARoleIsNamed() throws IOException {
    Path silent = temporary.resolve("silent.jsonl");
    Files.writeString(
        silent, Files.readString(chats) + "{\"messages\": [{\"content\": \"who says it?\"}]}\n");
    for (String command : List.of("train", "search")) {
      Call.of(
              command,
              "--model=" + model,
              "--train-file=" + silent,
              "--output=" + temporary.resolve("silent"))
          .exits(1, silent + ", line 41: messages[0] has no role; it must be one of system, ");
    }
    Call.of("evaluate", trained(), "--test-file=" + silent)
        .exits(1, silent + ", line 41: messages[0] has no role");
    assertFalse(Files.exists(temporary.resolve("silent")));
  }

  private static Path trained() {
    Path run = temporary.resolve("trained");
    train(model, chats, "trained").exits(0);
    return run;
  }

  @Test
  void whatIsForConversationsIsRefusedElsewhere() throws IOException {
    Path texts = Files.writeString(temporary.resolve("texts.jsonl"), "{\"text\": \"a\"}\n");
    train(model, texts, "none", "--chat-template=x")
        .exits(2, "--chat-template is for conversations");
    train(model, texts, "none", "--assistant-only-loss=false")
        .exits(2, "--assistant-only-loss is for conversations");
    train(Small.model(temporary), texts, "none", "--chat-date=2026-03-07")
        .exits(2, "--chat-date is for conversations");
  }
}
