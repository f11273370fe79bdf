package org.prunepeft.cli;

import java.nio.file.Path;
import java.time.LocalDate;
import java.util.Optional;
import java.util.stream.Stream;
import org.prunepeft.data.chat.ChatFormat;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** How conversations are written for a language model. */
@OptionsOf(ChatFormat.class)
final class ChatOptions extends TemplateOption {
  private static final String ASSISTANT_ONLY = "--assistant-only-loss";
  private static final String DATE = "--chat-date";

  @Option(
      names = ASSISTANT_ONLY,
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description =
          "Whether of a conversation the assistant's turns alone contribute to the loss; else"
              + " everything does (default: ${DEFAULT-VALUE}).")
  private boolean assistantOnly;

  @Option(
      names = DATE,
      paramLabel = "DATE",
      description =
          "Date that a chat template puts in where it asks for the present one, such as 2026-03-07"
              + " (default: today; the run keeps it).")
  private String date;

  /** The first of the options that the user named for this call, or the template of a file. */
  Optional<String> named(CommandSpec command) {
    return template() != null
        ? Optional.of(TEMPLATE)
        : Stream.of(ASSISTANT_ONLY, DATE)
            .filter(option -> ConfigFile.isTyped(option, command))
            .findFirst();
  }

  boolean isDated() {
    return date != null;
  }

  /** Where there are no conversations; in a file it may stand. */
  void leaveOutDate() {
    date = null;
  }

  /**
   * Also puts in place what has no fixed default.
   *
   * @param model its directory
   */
  ChatFormat settle(Path model) {
    date = date == null ? LocalDate.now().toString() : date;
    ChatFormat format = ChatFormat.of(model, template()).with(assistantOnly, date);
    if (format.plain()) {
      System.err.printf(
          "%s has no chat template: turns are headed '### User:' and '### Assistant:'%n", model);
    }
    return format;
  }
}
