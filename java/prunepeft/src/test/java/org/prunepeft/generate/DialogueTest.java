package org.prunepeft.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.chat.Chat;
import org.prunepeft.data.chat.Chat.Message;
import org.prunepeft.data.chat.ChatFormat;

class DialogueTest {
  private static final ChatFormat FORMAT =
      new ChatFormat(
          "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}"
              + "{% if add_generation_prompt %}a:{% endif %}",
          null, Map.of(), true, null);

  /** Each character is a token; it answers "yes", or what of it there is room for. */
  private static final class Characters implements TextGenerator {
    private final int positions;
    private final List<String> prompts = new ArrayList<>();
    private GenerationSettings last;

    Characters(int positions) {
      this.positions = positions;
    }

    @Override
    public List<Generation> generate(
        List<String> asked, GenerationSettings settings, GenerationListener listener) {
      last = settings;
      int room = room(asked.get(0), settings.addSpecialTokens());
      if (room == 0) {
        throw new PromptTooLongException("too long");
      }
      prompts.addAll(asked);
      String text = "yes".substring(0, Math.min(3, room));
      listener.written(0, text);
      return List.of(new Generation(text, text.length(), Generation.End.STOP));
    }

    @Override
    public int room(String prompt, boolean addSpecialTokens) {
      return Math.max(0, positions - prompt.length());
    }

    @Override
    public ChatFormat chatFormat(Path template) {
      return FORMAT;
    }

    @Override
    public void close() {}
  }

  private static Dialogue dialogue(Characters model, int tokens, Message... instructions) {
    return new Dialogue(
        model,
        model.chatFormat(),
        GenerationSettings.builder().maxNewTokens(tokens).stop(List.of("!")).build(),
        List.of(instructions));
  }

  @Test
  void eachQuestionComesWithWhatWasSaidBefore() {
    Characters model = new Characters(100);
    Dialogue dialogue = dialogue(model, 5, Message.system("S"));
    StringBuilder pieces = new StringBuilder();
    assertEquals("yes", dialogue.say("1", pieces::append).generation().text());
    assertEquals(0, dialogue.say("2", pieces::append).forgotten());
    assertEquals(List.of("s:S;u:1;a:", "s:S;u:1;a:yes;u:2;a:"), model.prompts);
    assertEquals("yesyes", pieces.toString());
    assertEquals(List.of("!", ";"), model.last.stop());
    assertEquals(false, model.last.addSpecialTokens());
    assertEquals(
        List.of(
            Message.system("S"),
            Message.user("1"),
            Message.assistant("yes"),
            Message.user("2"),
            Message.assistant("yes")),
        dialogue.messages());
  }

  @Test
  void theOldestTurnsGoWhereAnAnswerHasNoRoom() {
    // A turn has 10 characters, the system message 4, a question that is asked 6.
    Characters model = new Characters(4 + 10 + 6 + 8);
    Dialogue dialogue = dialogue(model, 8, Message.system("S"));
    assertEquals(0, dialogue.say("1", piece -> {}).forgotten());
    assertEquals(0, dialogue.say("2", piece -> {}).forgotten());
    assertEquals(2, dialogue.say("3", piece -> {}).forgotten());
    assertEquals("s:S;u:2;a:yes;u:3;a:", model.prompts.get(2));
    assertEquals(5, dialogue.messages().size());
  }

  @Test
  void anAnswerThatMayBeLongLeavesHalfOfTheRoomToTheConversation() {
    Characters model = new Characters(6 + 40);
    Dialogue dialogue = dialogue(model, 1000);
    assertEquals(0, dialogue.say("1", piece -> {}).forgotten());
    assertEquals(0, dialogue.say("2", piece -> {}).forgotten());
    assertEquals(0, dialogue.say("3", piece -> {}).forgotten());
    assertEquals(2, dialogue.say("4", piece -> {}).forgotten());
  }

  @Test
  void aQuestionThatIsTooLongAloneIsLeftOut() {
    Characters model = new Characters(40);
    Dialogue dialogue = dialogue(model, 3);
    dialogue.say("1", piece -> {});
    List<Message> before = dialogue.messages();
    assertThrows(PromptTooLongException.class, () -> dialogue.say("x".repeat(40), piece -> {}));
    assertEquals(before, dialogue.messages());
    assertEquals(0, dialogue.say("2", piece -> {}).forgotten());
  }

  @Test
  void oneAnswerIsThatOfADialogue() {
    Characters model = new Characters(100);
    dialogue(model, 5, Message.system("S")).say("1", piece -> {});
    GenerationSettings ofDialogue = model.last;
    StringBuilder pieces = new StringBuilder();
    Generation answer =
        model.chat(
            List.of(Message.system("S"), Message.user("1")),
            model.chatFormat(),
            GenerationSettings.builder().maxNewTokens(5).stop(List.of("!")).build(),
            pieces::append);
    assertEquals(Message.assistant("yes"), answer.message());
    assertEquals("yes", pieces.toString());
    assertEquals(model.prompts.get(0), model.prompts.get(1));
    assertEquals(ofDialogue, model.last);
  }

  @Test
  void aModelWithoutATemplateGetsItsSpecialTokensFromTheTokenizer() {
    GenerationSettings settings =
        GenerationSettings.DEFAULT
            .withAddSpecialTokens(false)
            .forAnswers(new Chat(ChatFormat.DEFAULT));
    assertEquals(true, settings.addSpecialTokens());
    assertEquals(5, settings.stop().size());
  }
}
