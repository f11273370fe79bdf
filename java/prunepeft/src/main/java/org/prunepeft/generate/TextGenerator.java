package org.prunepeft.generate;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.prunepeft.data.chat.Chat;
import org.prunepeft.data.chat.Chat.Message;
import org.prunepeft.data.chat.ChatFormat;

/** A language model that writes texts, and answers in conversations. */
public interface TextGenerator extends AutoCloseable {
  /**
   * {@return what the model writes after prompts, in their order}
   *
   * @param prompts as one batch; of none nothing is written, and the list is empty
   * @param settings how it goes on
   * @param listener reads along; may be called by another thread, and must not call the model
   * @throws NullPointerException if an argument or a prompt is null; names it
   * @throws PromptTooLongException if a prompt leaves the model no position for what follows
   * @throws IllegalArgumentException if a prompt has no token, or the model writes none
   * @throws IllegalStateException if the model is closed, gives a logit that is not finite, or is
   *     called by its listener
   */
  List<Generation> generate(
      List<String> prompts, GenerationSettings settings, GenerationListener listener);

  /**
   * {@return for how many tokens the model has positions behind a prompt; 0: the prompt is too
   * long}
   *
   * @param addSpecialTokens as {@link GenerationSettings} has it
   * @throws IllegalArgumentException if the model writes no texts
   * @throws IllegalStateException if the model is closed
   */
  int room(String prompt, boolean addSpecialTokens);

  /**
   * {@return how conversations with the model are written: as those that it was trained with, or
   * else by the chat template in its directory} Where there is none, the format is {@link
   * ChatFormat#plain}.
   *
   * @throws org.prunepeft.data.DataException if a file can't be read or is damaged, or the template
   *     is not understood; names the file
   * @throws IllegalArgumentException if the model writes no texts
   */
  default ChatFormat chatFormat() {
    return chatFormat(null);
  }

  /**
   * {@return how conversations with the model are written by another template}
   *
   * @param template a file; null: none, as {@link #chatFormat()}
   * @throws org.prunepeft.data.DataException as {@link #chatFormat()}
   * @throws IllegalArgumentException if the model writes no texts
   */
  ChatFormat chatFormat(Path template);

  /**
   * {@return what the model answers in a conversation} It ends where the model ends it, at a text
   * of the settings, or where by the format a turn ends. {@link Dialogue} keeps a conversation that
   * goes on.
   *
   * @param messages one or more, the oldest first
   * @param format how they are written, such as {@link #chatFormat()}
   * @param settings how it goes on; the format says whether special tokens are added
   * @param listener is given the answer piece by piece; may be called by another thread, and must
   *     not call the model
   * @throws org.prunepeft.data.DataException if the format's template is not understood, or refuses
   *     the messages
   * @throws PromptTooLongException if they leave the model no position for an answer
   * @throws IllegalArgumentException if there is no message, or the model writes no texts
   * @throws IllegalStateException as {@link #generate}
   */
  default Generation chat(
      List<Message> messages,
      ChatFormat format,
      GenerationSettings settings,
      Consumer<String> listener) {
    Chat chat = new Chat(format);
    return Dialogue.answer(this, chat.prompt(messages), settings.forAnswers(chat), listener);
  }

  @Override
  void close();
}
