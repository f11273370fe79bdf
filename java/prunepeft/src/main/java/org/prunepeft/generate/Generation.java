package org.prunepeft.generate;

import org.prunepeft.data.chat.Chat.Message;

/**
 * What was written after a prompt.
 *
 * @param text without the prompt, special tokens and the text at which it stopped
 * @param tokens how many were generated, that which ends a text among them
 * @param end why it ended
 */
public record Generation(String text, int tokens, End end) {
  /** Why a text ends. */
  public enum End {
    /** The model ended it. */
    END_OF_TEXT,
    /** A text or special token came at which it was to stop. */
    STOP,
    /** It has as many tokens as it was to have, or as the model has positions. */
    LENGTH
  }

  /** {@return the text as the assistant's message, of an answer in a conversation} */
  public Message message() {
    return Message.assistant(text);
  }
}
