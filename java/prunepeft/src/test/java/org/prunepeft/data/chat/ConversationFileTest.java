package org.prunepeft.data.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.TrainingText.Span;
import org.prunepeft.testing.Endless;

class ConversationFileTest {
  private static final String CHATML =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>\n{% endfor %}"
          + "{% if add_generation_prompt %}<assistant>{% endif %}";

  @TempDir private Path directory;

  private Path file(String name, String content) throws IOException {
    return Files.writeString(directory.resolve(name), content);
  }

  private List<TrainingText> texts(String lines, ChatFormat format) throws IOException {
    return texts(file("a.jsonl", lines.replace('\'', '"')), format);
  }

  private static List<TrainingText> texts(Path file, ChatFormat format) {
    return ConversationFile.read(file, format).stream().map(Example::training).toList();
  }

  private static ChatFormat format(String template) {
    return new ChatFormat(template, null, Map.of("bos_token", "<s>"), true, "2026-03-07");
  }

  /** A text after a template: learnt parts in brackets. */
  private static String marked(TrainingText text) {
    StringBuilder marked = new StringBuilder();
    for (Span span : text.spans()) {
      marked.append(span.trained() ? "[" + span.text() + "]" : span.text());
    }
    return marked.toString();
  }

  private String marked(String line, ChatFormat format) throws IOException {
    return marked(texts(line, format).get(0));
  }

  private static final String TWO_TURNS =
      "{'messages': [{'role': 'system', 'content': 'S'}, {'role': 'user', 'content': 'a'},"
          + " {'role': 'assistant', 'content': 'b'}, {'role': 'user', 'content': 'c'},"
          + " {'role': 'assistant', 'content': 'd'}]}";

  @Test
  void theAssistantsTurnsAreLearnt() throws IOException {
    TrainingText text = texts(TWO_TURNS, format(CHATML)).get(0);
    assertEquals(
        "<system>S</s>\n<user>a</s>\n<assistant>[b</s>\n]<user>c</s>\n<assistant>[d</s>\n]",
        marked(text));
    assertEquals(false, text.addSpecialTokens() || text.appendEnd());
  }

  @Test
  void everythingMayBeLearnt() throws IOException {
    String text = marked(TWO_TURNS, format(CHATML).with(false, null));
    assertEquals('[', text.charAt(0));
    assertEquals(text.length() - 1, text.indexOf(']'));
  }

  @Test
  void aTemplateMayMarkWhatIsGenerated() throws IOException {
    String template =
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}"
            + "A:{% generation %}{{ m.content }}.{% endgeneration %}"
            + "{% if loop.last %} end{% endif %}{% else %}{{ m.content }}{% endif %} {% endfor %}";
    assertEquals("<s>S a A:[b.] c A:[d.] end ", marked(TWO_TURNS, format(template)));
  }

  @Test
  void aTemplateMayMarkMoreThanOnePartOfATurn() throws IOException {
    String template =
        "{% for m in messages %}{% if m.role == 'assistant' %}"
            + "A:{% generation %}{{ m.content }}{% endgeneration %}|{% else %}{{ m.content }}{% endif %}"
            + "{% endfor %}{% generation %}</s>{% endgeneration %}";
    assertEquals("SaA:[b]|cA:[d]|[</s>]", marked(TWO_TURNS, format(template)));
  }

  @Test
  void ofPromptsCompletionsAreLearnt() throws IOException {
    String row =
        "{'prompt': [{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'},"
            + " {'role': 'user', 'content': 'c'}], 'completion': [{'role': 'assistant', 'content': 'd'}]}\n";
    String expected = "<user>a</s>\n<assistant>b</s>\n<user>c</s>\n<assistant>[d</s>\n]";
    assertEquals(expected, marked(row, format(CHATML)));
    String marking =
        CHATML.replace(
            "{{ m.content }}</s>\n",
            "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}</s>\n");
    assertEquals(expected.replace("[d</s>\n]", "[d]</s>\n"), marked(row, format(marking)));
    assertEquals(
        List.of(TrainingText.of("2+2=", "4")),
        texts("{'prompt': '2+2=', 'completion': '4'}", format(CHATML)));
  }

  /** Marks the assistant's turns that a condition is true of, each twice. */
  private static String marking(String condition) {
    return "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' and "
        + condition
        + " %}{% generation %}{{ m.content }}{% endgeneration %}"
        + "{% generation %}</s>{% endgeneration %}{% else %}{{ m.content }}</s>{% endif %}"
        + "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
  }

  @Test
  void marksOfACompletionAreThoseBehindThePrompt() throws IOException {
    String asked =
        "{'prompt': [{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'},"
            + " {'role': 'user', 'content': 'c'}], 'completion': [{'role': 'assistant', 'content': 'd'}%s]}";
    String more = ", {'role': 'user', 'content': 'e'}, {'role': 'assistant', 'content': 'f'}";
    String start = "<user>a</s><assistant>b</s><user>c</s><assistant>";
    assertEquals(start + "[d][</s>]", marked(asked.formatted(""), format(marking("true"))));
    // The first turn without a mark, and two marks for the last: as many as there are turns.
    assertEquals(
        start + "[d][</s>]", marked(asked.formatted(""), format(marking("m.content != 'b'"))));
    assertEquals(
        start + "[d][</s>]<user>e</s><assistant>[f][</s>]",
        marked(asked.formatted(more), format(marking("m.content != 'b'"))));
  }

  @Test
  void aTurnWithoutAMarkIsNotLost() throws IOException {
    String all = "<system>S</s><user>a</s><assistant>[b</s>]<user>c</s><assistant>[d</s>]";
    assertEquals(all, marked(TWO_TURNS, format(marking("m.content != 'b'"))));
    assertEquals(all, marked(TWO_TURNS, format(marking("m.content != 'd'"))));
    assertEquals(
        all.replace("[d</s>", "[d][</s>").replace("[b</s>", "[b][</s>"),
        marked(TWO_TURNS, format(marking("true"))));
  }

  /** As Qwen3's does it: what was thought before the last question is left out. */
  private static final String THINKING =
      "{% set ns = namespace(asked=-1) %}"
          + "{% for m in messages %}{% if m.role == 'user' %}{% set ns.asked = loop.index0 %}{% endif %}{% endfor %}"
          + "{% for m in messages %}<{{ m.role }}>"
          + "{% if m.role == 'assistant' and loop.index0 > ns.asked %}({{ m.reasoning_content }}){% endif %}"
          + "{{ m.content }}</s>{% endfor %}"
          + "{% if add_generation_prompt %}<assistant>{% endif %}";

  /** As Phi-3's does it: a token that only the end has. */
  private static final String ENDING =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
          + "{% if add_generation_prompt %}<assistant>{% else %}<end>{% endif %}";

  private List<String> allMarked(String line, ChatFormat format) throws IOException {
    return texts(line, format).stream().map(ConversationFileTest::marked).toList();
  }

  @Test
  void aTurnThatIsWrittenOtherwiseOnceMoreFollowsIsLearntInATextOfItsOwn() throws IOException {
    String thoughts =
        TWO_TURNS
            .replace("'content': 'b'", "'content': 'b', 'reasoning_content': 'x'")
            .replace("'content': 'd'", "'content': 'd', 'reasoning_content': 'y'");
    assertEquals(
        List.of(
            "<system>S</s><user>a</s><assistant>[(x)b</s>]",
            "<system>S</s><user>a</s><assistant>b</s><user>c</s><assistant>[(y)d</s>]"),
        allMarked(thoughts, format(THINKING)));
    assertEquals(
        List.of(
            "<system>S</s><user>a</s><assistant>[b</s><end>]",
            "<system>S</s><user>a</s><assistant>b</s><user>c</s><assistant>[d</s><end>]"),
        allMarked(TWO_TURNS, format(ENDING)));
    // Each is preceded by what the model is asked with.
    String before = texts(TWO_TURNS, format(ENDING)).get(1).prompt();
    assertEquals(
        before,
        new Chat(format(ENDING))
            .prompt(
                List.of(
                    new Chat.Message("system", "S"),
                    new Chat.Message("user", "a"),
                    new Chat.Message("assistant", "b"),
                    new Chat.Message("user", "c"))));
    assertEquals(1, texts(TWO_TURNS, format(ENDING).with(false, null)).size());
  }

  @Test
  void ofTextsOfTheirOwnOnlyTheTurnsToLearnAreThere() throws IOException {
    String one =
        "{'messages': [{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'}]}";
    assertEquals(List.of("<user>a</s><assistant>[b</s><end>]"), allMarked(one, format(ENDING)));
    String asked = one.replace("]}", ", {'role': 'user', 'content': 'c'}]}");
    assertEquals(List.of("<user>a</s><assistant>[b</s><end>]"), allMarked(asked, format(ENDING)));
    String completed =
        "{'prompt': [{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'},"
            + " {'role': 'user', 'content': 'c'}], 'completion': [{'role': 'assistant', 'content': 'd'}]}";
    assertEquals(
        List.of("<user>a</s><assistant>b</s><user>c</s><assistant>[d</s><end>]"),
        allMarked(completed, format(ENDING)));
  }

  @Test
  void textsOfAConversationHaveItsPlace() throws IOException {
    Path file = file("a.jsonl", ("\n" + TWO_TURNS + "\n" + TWO_TURNS).replace('\'', '"'));
    assertEquals(
        List.of(2L, 2L, 3L, 3L),
        ConversationFile.read(file, format(ENDING)).stream()
            .map(example -> example.place().line())
            .toList());
  }

  @Test
  void shareGptsNamesAreKnown() throws IOException {
    String row =
        "{'conversations': [{'from': 'human', 'value': 'a'}, {'from': 'gpt', 'value': 'b'}]}";
    assertEquals("<user>a</s>\n<assistant>[b</s>\n]", marked(row, format(CHATML)));
    String mixed = row.replace("from", "role").replace("value", "content");
    assertEquals("<user>a</s>\n<assistant>[b</s>\n]", marked(mixed, format(CHATML)));
  }

  private static String cell(String json) {
    return "\"" + json.replace("'", "\"\"") + "\"";
  }

  private static final String ASKED = "[{'role': 'user', 'content': 'a'}]";
  private static final String ANSWERED = "[{'role': 'assistant', 'content': 'b'}]";

  @Test
  void aCellHasItsMessagesInJson() throws IOException {
    String expected = "<user>a</s>\n<assistant>[b</s>\n]";
    Path completions =
        file("a.csv", "prompt,completion\n%s,%s\n".formatted(cell(ASKED), cell(ANSWERED)));
    assertEquals(expected, marked(texts(completions, format(CHATML)).get(0)));
    assertEquals(true, ConversationFile.hasMessages(completions));
    Path tabs =
        file("a.tsv", "prompt\tcompletion\n%s\t%s\n".formatted(ASKED, ANSWERED).replace('\'', '"'));
    assertEquals(expected, marked(texts(tabs, format(CHATML)).get(0)));
    assertEquals(true, ConversationFile.hasMessages(tabs));
    String both = ASKED.replace("]", ", ") + ANSWERED.substring(1);
    String from =
        both.replace("role", "from").replace("content", "value").replace("assistant", "gpt");
    for (String one : List.of(both, from)) {
      Path conversations = file("b.csv", "conversations\n" + cell(one) + "\n");
      assertEquals(expected, marked(texts(conversations, format(CHATML)).get(0)));
    }
  }

  @Test
  void otherJsonInACellIsAText() throws IOException {
    for (String text : List.of("[1, 2]", "[a]", "[", "{'role': 'user'}", "[{'name': 'a'}]")) {
      Path file = file("a.csv", "prompt,completion\n%s,%s\n".formatted(cell(text), cell("[b]")));
      assertEquals(false, ConversationFile.hasMessages(file));
      assertEquals(
          List.of(TrainingText.of(text.replace('\'', '"'), "[b]")), texts(file, format(CHATML)));
    }
    // A text of a JSON Lines file is one, whatever it looks like.
    String line = "{\"prompt\": \"%s\", \"completion\": \"%s\"}";
    Path lines =
        file("a.jsonl", line.formatted(ASKED.replace("'", "\\\""), ANSWERED.replace("'", "\\\"")));
    assertEquals(false, ConversationFile.hasMessages(lines));
    assertEquals(
        List.of(TrainingText.of(ASKED.replace('\'', '"'), ANSWERED.replace('\'', '"'))),
        texts(lines, format(CHATML)));
  }

  @Test
  void messagesInOneOfTwoCellsAreRefused() throws IOException {
    Path file = file("a.csv", "prompt,completion\n%s,b\n".formatted(cell(ASKED)));
    assertEquals(
        file
            + ", line 2: 'prompt' and 'completion' must both be texts, or both lists of messages; in JSON Lines a text may look like such a list",
        assertThrows(DataException.class, () -> texts(file, format(CHATML))).getMessage());
  }

  @Test
  void partsOfAMessageAreJoined() throws IOException {
    String row =
        "{'messages': [{'role': 'user', 'content': [{'type': 'text', 'text': 'a'},"
            + " {'type': 'text', 'text': 'b'}]}, {'role': 'assistant', 'content': 'c'}]}";
    assertEquals("<user>ab</s>\n<assistant>[c</s>\n]", marked(row, format(CHATML)));
  }

  @Test
  void toolsAndOtherMembersReachTheTemplate() throws IOException {
    String row =
        "{'messages': [{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': null,"
            + " 'tool_calls': [{'function': {'name': 'f', 'arguments': {'x': 1.50}}}]}],"
            + " 'tools': [{'name': 'f'}]}\n"
            + "{'messages': [{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'}]}";
    ChatFormat format =
        new ChatFormat(
            "plain {% for m in messages[1:] %}{% generation %}x{% endgeneration %}{% endfor %}",
            "{{ tools|tojson }}{% for m in messages[1:] %}{% generation %}{{ m.tool_calls|tojson }}{% endgeneration %}{% endfor %}",
            Map.of(),
            true,
            null);
    List<String> lines = row.lines().toList();
    assertEquals(
        List.of(marked(lines.get(1), format), marked(lines.get(0), format)),
        allMarked(lines.get(1) + "\n" + lines.get(0), format));
    List<TrainingText> texts = texts(row, format);
    assertEquals(
        "[{'name': 'f'}][[{'function': {'name': 'f', 'arguments': {'x': 1.5}}}]]"
            .replace('\'', '"'),
        marked(texts.get(0)));
    assertEquals("plain [x]", marked(texts.get(1)));
  }

  /** The text up to each turn is written to see where it begins. */
  @Test
  void moreTurnsThanCanBeToldApartAreRefused() throws IOException {
    String turns = "{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'}";
    String row = "{'messages': [" + String.join(", ", Collections.nCopies(2000, turns)) + "]}";
    DataException e = assertThrows(DataException.class, () -> texts(row, ChatFormat.DEFAULT));
    assertTrue(
        e.getMessage()
            .matches(
                ".*line 1: 2,000 turns of the assistant in a text of [0-9,]+ characters take too long to tell apart; divide the conversation, or learn everything \\(--assistant-only-loss false\\)"),
        e.getMessage());
    ChatFormat everything = new ChatFormat(null, null, Map.of(), false, null);
    assertEquals(1, texts(row, everything).size());
  }

  @Test
  void withoutATemplateTurnsHaveHeads() throws IOException {
    TrainingText text = texts(TWO_TURNS, ChatFormat.DEFAULT).get(0);
    assertEquals(
        "### System:\nS\n\n### User:\na\n\n### Assistant:\n[b]\n\n### User:\nc\n\n### Assistant:\n[d]",
        marked(text));
    assertEquals(true, text.addSpecialTokens() && text.appendEnd() && text.endTrained());
    assertEquals(
        "### User:\na\n\n### Assistant:\n",
        new Chat(ChatFormat.DEFAULT).prompt(List.of(new Chat.Message("user", "a"))));
  }

  @Test
  void answersEndAtTheHeadsOfTurnsAndAtNoOthers() {
    Chat chat = new Chat(ChatFormat.DEFAULT);
    List<String> ends = chat.answerEnds();
    for (String role : List.of("system", "user", "assistant", "tool", "developer")) {
      String after =
          chat.prompt(List.of(new Chat.Message("user", "a"), new Chat.Message(role, "b")));
      assertEquals(1, ends.stream().filter(after.split("b")[0]::contains).count(), after);
    }
    assertEquals(5, ends.size());
    assertEquals(List.of(), ends.stream().filter("a\n\n### A heading"::contains).toList());
  }

  @Test
  void answersEndAtWhatTheTemplateWritesBehindThem() {
    assertEquals(List.of("</s>"), new Chat(format(CHATML)).answerEnds());
    assertEquals(List.of("</s><end>"), new Chat(format(ENDING)).answerEnds());
    assertEquals(
        List.of(),
        new Chat(format("{% for m in messages %}{{ m.content }}\n{% endfor %}")).answerEnds());
    assertEquals(List.of(), new Chat(format("nothing is said")).answerEnds());
    assertEquals(List.of(), new Chat(format("{{ raise_exception('no') }}")).answerEnds());
  }

  @ParameterizedTest
  @CsvSource({
    "alternating, </s>",
    "chatml, <|im_end|>",
    "generation, <|im_end|>",
    "headers, <|eot_id|>",
    "parts, <end_of_turn>",
    "phi, <|end|></s>",
    "thinking, <|im_end|>",
    "turns, <end_of_turn>",
    "zephyr, </s>"
  })
  void answersEndWithTheTokensOfKnownTemplates(String name, String end) throws Exception {
    URL template = getClass().getResource("/org/prunepeft/template/" + name + ".jinja");
    ChatFormat format =
        new ChatFormat(
            Files.readString(Path.of(template.toURI())),
            null,
            Map.of("bos_token", "<s>", "eos_token", "</s>"),
            true,
            "2026-03-07");
    assertEquals(List.of(end), new Chat(format).answerEnds());
  }

  @Test
  void aConversationToAnswerHasAMessageAndAllOfIt() {
    Chat chat = new Chat(ChatFormat.DEFAULT);
    assertThrows(IllegalArgumentException.class, () -> chat.prompt(List.of()));
    assertThrows(IllegalArgumentException.class, () -> Chat.Message.user(null));
  }

  @Test
  void theDateIsThatOfTheFormat() {
    Chat chat = new Chat(format("{{ strftime_now('%d %b %Y') }}"));
    assertEquals("07 Mar 2026", chat.prompt(List.of(new Chat.Message("user", "a"))));
    assertThrows(IllegalArgumentException.class, () -> ChatFormat.DEFAULT.with(true, "7 March"));
  }

  @Test
  void conversationsInTablesAreJson() throws IOException {
    Path file =
        file(
            "a.csv",
            "messages\n\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"a\"\"},"
                + " {\"\"role\"\": \"\"assistant\"\", \"\"content\"\": \"\"b\"\"}]\"\n");
    List<TrainingText> texts = texts(file, format(CHATML));
    assertEquals("<user>a</s>\n<assistant>[b</s>\n]", marked(texts.get(0)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '§',
      value = {
        "{'messages': []}§ 'messages' has no messages",
        "{'messages': 3}§ 'messages' must be a list of messages, got a number",
        "{'messages': null}§ 'messages' must be a list of messages, got nothing",
        "{'messages': ['a']}§ messages[0] must be an object with role and content, got a text",
        "{'messages': [{'content': 'a'}]}§ messages[0] has no role",
        "{'messages': [{'role': 'asistant', 'content': 'a'}]}§ messages[0]: unknown role 'asistant'; did you mean assistant?",
        "{'messages': [{'role': 'user'}]}§ messages[0] has no content; it must be a text, got nothing",
        "{'messages': [{'role': 'user', 'content': [{'type': 'image'}]}]}§ messages[0].content has a part of type image; texts alone are learnt",
        "{'messages': [{'role': 'user', 'content': 'a'}]}§ the assistant says nothing, so there is nothing to learn",
        "{'messages': [{'role': 'tool', 'content': 'a'}, {'role': 'assistant', 'content': 'a'}]}§ the model's chat template can't write the conversation: template line 1: the template says: no tools",
        "{'messages': [{'role': 'user', 'content': 'b'}, {'role': 'assistant', 'content': 'a'}]}§ with add_generation_prompt=True the text before messages[1] is not how the text with it begins, so",
      })
  void errorsNameLineAndMember(String row, String message) {
    String template =
        "{% for m in messages %}{{ raise_exception('no tools') if m.role == 'tool' else m.content }}"
            + "{% endfor %}{% if add_generation_prompt %}>{% endif %}";
    DataException e = assertThrows(DataException.class, () -> texts("\n" + row, format(template)));
    assertEquals(
        directory.resolve("a.jsonl") + ", line 2: " + message,
        e.getMessage()
            .substring(
                0,
                Math.min(
                    e.getMessage().length(),
                    (directory.resolve("a.jsonl") + ", line 2: " + message).length())));
  }

  @Test
  void templatesAndTokensAreThoseOfTheModel() throws IOException {
    file(
        "tokenizer_config.json",
        """
        {"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "pad_token": null,
         "chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}
        """);
    file("special_tokens_map.json", "{\"eos_token\": \"old\", \"unk_token\": \"<unk>\"}");
    Map<String, String> tokens =
        Map.of("bos_token", "<s>", "eos_token", "</s>", "unk_token", "<unk>");
    assertEquals(new ChatFormat("d", "t", tokens, true, null), ChatFormat.of(directory, null));
    file("chat_template.jinja", "j");
    // Those of the configuration are of no account then.
    assertEquals(new ChatFormat("j", null, tokens, true, null), ChatFormat.of(directory, null));
    Files.createDirectory(directory.resolve("additional_chat_templates"));
    file("additional_chat_templates/tool_use.jinja", "u");
    file("additional_chat_templates/rag.jinja", "{% if %}");
    assertEquals(new ChatFormat("j", "u", tokens, true, null), ChatFormat.of(directory, null));
    assertEquals(
        new ChatFormat("own", null, tokens, true, null),
        ChatFormat.of(directory, file("own.jinja", "own")));
    assertEquals(true, ChatFormat.of(directory.resolve("none"), null).plain());
  }

  @Test
  void aTemplateForToolsIsLookedAtWhenThereAreTools() throws IOException {
    file(
        "tokenizer_config.json",
        """
        {"chat_template": [{"name": "default", "template": "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"},
         {"name": "tool_use", "template": "a\\n{% if %}"}]}
        """);
    ChatFormat format = ChatFormat.of(directory, null);
    String row =
        "{'messages': [{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'}]%s}";
    assertEquals("<user>a<assistant>[b]", marked(row.formatted(""), format));
    assertEquals("<user>a<assistant>", new Chat(format).prompt(List.of(Chat.Message.user("a"))));
    DataException e =
        assertThrows(
            DataException.class, () -> marked(row.formatted(", 'tools': [{'name': 'f'}]"), format));
    assertEquals(
        directory.resolve("a.jsonl")
            + ", line 1: the model's chat template tool_use is not understood: template line 2: expected a value, got '%}'",
        e.getMessage());
  }

  @Test
  void brokenTemplatesAreNamed() throws IOException {
    DataException e = assertThrows(DataException.class, () -> new Chat(format("a\n{% if %}")));
    assertEquals(
        "the model's chat template is not understood: template line 2: expected a value, got '%}'",
        e.getMessage());
    file("tokenizer_config.json", "{");
    assertThrows(DataException.class, () -> ChatFormat.of(directory, null));
  }

  @Test
  void templatesThatAreTooLongOrNoTextAreRefused() throws IOException {
    Path template = file("long.jinja", "a".repeat(1_000_001));
    DataException e = assertThrows(DataException.class, () -> ChatFormat.of(directory, template));
    assertEquals(
        template
            + " has more than 1,000,000 bytes, the most that such a file may have; name another",
        e.getMessage());
    file("long.jinja", "a".repeat(1_000_000));
    assertEquals(1_000_000, ChatFormat.of(directory, template).template().length());
    Files.write(template, new byte[] {'a', (byte) 0xff});
    e = assertThrows(DataException.class, () -> ChatFormat.of(directory, template));
    assertEquals(template + " is not UTF-8; save it as UTF-8", e.getMessage());
    Path endless = Path.of("/dev/zero");
    if (Files.exists(endless)) {
      e = assertThrows(DataException.class, () -> ChatFormat.of(directory, endless));
      assertEquals(true, e.getMessage().startsWith("/dev/zero has more than 1,000,000 bytes"));
    }
  }

  @ParameterizedTest
  @EnumSource
  void whatHasNoEndIsRefusedByItsName(Endless endless) throws IOException {
    for (String name :
        List.of("chat_template.jinja", "tokenizer_config.json", "special_tokens_map.json")) {
      Path file = directory.resolve(name);
      var e =
          endless.read(
              file, () -> assertThrows(DataException.class, () -> ChatFormat.of(directory, null)));
      assertTrue(e.getMessage().startsWith(file + " is a device, a FIFO"), e.getMessage());
    }
  }
}
