package org.prunepeft.data.chat;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/** Who says a message, by the names of OpenAI's format and of ShareGPT's. */
enum Role {
  SYSTEM("system"),
  DEVELOPER("developer"),
  USER("user", "human"),
  ASSISTANT("assistant", "gpt", "chatgpt", "bing", "bard", "model"),
  TOOL("tool", "observation", "function_response");

  private final List<String> names;

  Role(String... names) {
    this.names = List.of(names);
  }

  /** The name that templates know. */
  String key() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** What {@link ChatFormat#PLAIN} writes between the text before and what it says. */
  String heading() {
    return "\n\n### %s%s:".formatted(name().charAt(0), key().substring(1));
  }

  static Optional<Role> of(String name) {
    return Stream.of(values()).filter(role -> role.names.contains(name)).findFirst();
  }

  /** All that are known. */
  static List<String> names() {
    return Stream.of(values()).flatMap(role -> role.names.stream()).toList();
  }
}
