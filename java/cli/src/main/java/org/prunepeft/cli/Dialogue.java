package org.prunepeft.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.prunepeft.data.chat.Chat;
import org.prunepeft.data.chat.Chat.Message;
import org.prunepeft.generate.Generation;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.generate.PromptTooLongException;
import org.prunepeft.generate.TextGenerator;

/**
 * A conversation with a language model. Where the model has no positions left for it, its oldest
 * questions are forgotten with their answers, and the user is told.
 */
final class Dialogue {
  /** A question and its answer. */
  private static final int TURN = 2;

  private final TextGenerator model;
  private final Chat chat;
  private final GenerationSettings settings;
  private final List<Message> instructions;
  private final PrintWriter err;
  private List<Message> turns = new ArrayList<>();

  /**
   * @param instructions that stay before the conversation
   * @param err is told what is forgotten
   */
  Dialogue(
      TextGenerator model,
      Chat chat,
      GenerationSettings settings,
      List<Message> instructions,
      PrintWriter err) {
    this.model = model;
    this.chat = chat;
    this.settings = settings;
    this.instructions = instructions;
    this.err = err;
  }

  /** Shows the answer to a message on the standard output, as it is written. */
  void say(String text) {
    List<Message> asked = new ArrayList<>(turns);
    asked.add(new Message("user", text));
    Generation answer = null;
    while (answer == null) {
      try {
        answer = answer(asked);
      } catch (PromptTooLongException e) {
        if (asked.size() == 1) {
          tell("this message is left out: " + e.getMessage());
          return;
        }
        asked.subList(0, TURN).clear();
      }
    }
    asked.add(new Message("assistant", answer.text()));
    if (isCut(answer)) {
      tell("the answer is cut off, since the model has no more positions");
      asked.subList(0, Math.min(TURN, asked.size() - TURN)).clear();
    }
    int forgotten = turns.size() + TURN - asked.size();
    if (forgotten > 0) {
      tell("the conversation is longer than the model takes: %d messages are forgotten", forgotten);
    }
    turns = asked;
  }

  private Generation answer(List<Message> asked) {
    String prompt = chat.prompt(Stream.of(instructions, asked).flatMap(List::stream).toList());
    Generation answer =
        model
            .generate(
                List.of(prompt),
                settings,
                (number, piece) -> {
                  System.out.print(piece);
                  System.out.flush();
                })
            .get(0);
    System.out.println();
    return answer;
  }

  private boolean isCut(Generation answer) {
    return answer.end() == Generation.End.LENGTH && answer.tokens() < settings.maxNewTokens();
  }

  private void tell(String what, Object... values) {
    err.println("prunepeft: " + what.formatted(values));
    err.flush();
  }
}
