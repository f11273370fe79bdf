package org.prunepeft.cli;

import java.io.BufferedReader;
import java.io.Console;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.Callable;
import org.prunepeft.data.chat.Chat.Message;
import org.prunepeft.data.chat.ChatFormat;
import org.prunepeft.generate.Dialogue;
import org.prunepeft.generate.Generation;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.generate.PromptTooLongException;
import org.prunepeft.generate.TextGenerator;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "chat",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Talks with a language model: each line is a message, whose answer is shown as it is written. The model's chat template makes a prompt of the whole conversation; where the model has no room for all of it, the oldest messages are forgotten. The end of the input (Ctrl-D) ends it."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft chat runs/earlier",
      "  prunepeft chat models/llama --system 'Answer in one sentence.' --temperature 0.7 --top-p 0.9",
      "  echo 'Why is the sky blue?' | prunepeft chat runs/earlier"
    })
final class ChatCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--system",
      paramLabel = "TEXT",
      description = "A system message before the conversation.")
  private String system;

  @Mixin private TemplateOption another;
  @Mixin private GenerationOptions generation;
  @Mixin private WriterOptions writer;
  @Mixin private PluginOptions plugins;

  @Override
  public Integer call() throws IOException {
    GenerationSettings settings = generation.settings(spec);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (TextGenerator model = writer.load()) {
      ChatFormat format = model.chatFormat(another.template());
      if (format.plain()) {
        tell("there is no chat template: turns are headed '### User:' and '### Assistant:'");
      }
      List<Message> instructions = system == null ? List.of() : List.of(Message.system(system));
      Dialogue dialogue = new Dialogue(model, format, settings, instructions);
      for (String line = next(in); line != null; line = next(in)) {
        say(dialogue, line, settings.maxNewTokens());
      }
    }
    return 0;
  }

  /** The next message that is not blank; null at the end. */
  private static String next(BufferedReader in) throws IOException {
    boolean typed = isTyped();
    String line;
    do {
      if (typed) {
        System.out.print("> ");
        System.out.flush();
      }
      line = in.readLine();
    } while (line != null && line.isBlank());
    if (typed && line == null) {
      System.out.println();
    }
    return line;
  }

  /** Whether a person types. From Java 22 on there is a console without a terminal too. */
  private static boolean isTyped() {
    Console console = System.console();
    try {
      return console != null && (boolean) Console.class.getMethod("isTerminal").invoke(console);
    } catch (NoSuchMethodException e) {
      return true;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Shows the answer to a message as it is written, and tells what came in its way. */
  private void say(Dialogue dialogue, String message, int mostTokens) {
    Dialogue.Answer answer;
    try {
      answer =
          dialogue.say(
              message,
              piece -> {
                System.out.print(piece);
                System.out.flush();
              });
    } catch (PromptTooLongException e) {
      tell("this message is left out: " + e.getMessage());
      return;
    }
    System.out.println();
    if (answer.forgotten() > 0) {
      tell(
          "the conversation is longer than the model takes: %d messages are forgotten",
          answer.forgotten());
    }
    Generation generation = answer.generation();
    if (generation.end() == Generation.End.LENGTH) {
      tell(
          generation.tokens() < mostTokens
              ? "the answer is cut off, since the model has no more positions"
              : "the answer is cut off after %d tokens (--max-new-tokens)",
          generation.tokens());
    }
  }

  private void tell(String what, Object... values) {
    PrintWriter err = spec.commandLine().getErr();
    err.println("prunepeft: " + what.formatted(values));
    err.flush();
  }
}
