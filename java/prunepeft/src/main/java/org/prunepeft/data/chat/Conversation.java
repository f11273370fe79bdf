package org.prunepeft.data.chat;

import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Messages, checked.
 *
 * @param messages with role and content, a text; other members as they are for the template
 * @param learntFrom index of the first message that may be learnt
 * @param tools their descriptions; null: none
 */
record Conversation(List<Map<String, Object>> messages, int learntFrom, Object tools) {
  /** Indices of the assistant's messages. */
  List<Integer> assistantTurns() {
    return IntStream.range(0, messages.size())
        .filter(i -> Role.ASSISTANT.key().equals(messages.get(i).get("role")))
        .boxed()
        .toList();
  }

  /** Those that are learnt; the others come before them. */
  List<Integer> learntTurns() {
    return assistantTurns().stream().filter(i -> i >= learntFrom).toList();
  }

  /** Its first messages. */
  Conversation first(int count) {
    return new Conversation(messages.subList(0, count), learntFrom, tools);
  }
}
