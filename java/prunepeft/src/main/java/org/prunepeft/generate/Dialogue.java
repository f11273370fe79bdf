package org.prunepeft.generate;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.prunepeft.data.chat.Chat;
import org.prunepeft.data.chat.Chat.Message;
import org.prunepeft.data.chat.ChatFormat;

/**
 * A conversation with a language model, question by question. Where the model has too few positions
 * for all of it, the oldest questions are forgotten with their answers: an answer has room for the
 * settings' tokens, or for half of what its question leaves if that is less. One thread may call it
 * at a time. The model stays the caller's.
 */
public final class Dialogue {
  /** A question and its answer. */
  private static final int TURN = 2;

  private final TextGenerator model;
  private final Chat chat;
  private final GenerationSettings settings;
  private final List<Message> instructions;
  private List<Message> turns = new ArrayList<>();

  /**
   * @param format how it is written, such as {@link TextGenerator#chatFormat()}
   * @param settings of each answer
   * @param instructions that stay ahead of the conversation, such as a system message; may be empty
   * @throws org.prunepeft.data.DataException if the format's template is not understood
   */
  public Dialogue(
      TextGenerator model,
      ChatFormat format,
      GenerationSettings settings,
      List<Message> instructions) {
    this.model = model;
    chat = new Chat(format);
    this.settings = settings.forAnswers(chat);
    this.instructions = List.copyOf(instructions);
  }

  /**
   * What came of a question.
   *
   * @param generation the answer
   * @param forgotten how many messages were forgotten for it
   */
  public record Answer(Generation generation, int forgotten) {}

  /**
   * {@return the answer to a question} After an exception the conversation is as it was before.
   *
   * @param question the user's message
   * @param listener is given the answer piece by piece; may be called by another thread
   * @throws PromptTooLongException if the question alone leaves the model no position
   * @throws org.prunepeft.data.DataException if the template refuses the conversation
   * @throws IllegalStateException as {@link TextGenerator#generate}
   */
  public Answer say(String question, Consumer<String> listener) {
    List<Message> asked = new ArrayList<>(turns);
    asked.add(Message.user(question));
    int alone = room(asked.subList(turns.size(), asked.size()));
    int wanted = Math.max(1, Math.min(settings.maxNewTokens(), alone / 2));
    while (asked.size() > 1 && room(asked) < wanted) {
      asked.subList(0, TURN).clear();
    }
    int forgotten = turns.size() + 1 - asked.size();
    Generation answer = answer(model, prompt(asked), settings, listener);
    asked.add(answer.message());
    turns = asked;
    return new Answer(answer, forgotten);
  }

  /** {@return the instructions, and what is not forgotten of the conversation so far} */
  public List<Message> messages() {
    return Stream.concat(instructions.stream(), turns.stream()).toList();
  }

  private int room(List<Message> asked) {
    return model.room(prompt(asked), settings.addSpecialTokens());
  }

  private String prompt(List<Message> asked) {
    return chat.prompt(Stream.concat(instructions.stream(), asked.stream()).toList());
  }

  /**
   * What a model writes after a conversation.
   *
   * @param settings for answers
   */
  static Generation answer(
      TextGenerator model, String prompt, GenerationSettings settings, Consumer<String> listener) {
    return model
        .generate(List.of(prompt), settings, (number, piece) -> listener.accept(piece))
        .get(0);
  }
}
