package org.prunepeft.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.prunepeft.data.chat.Chat;
import org.prunepeft.data.chat.Chat.Message;
import org.prunepeft.data.chat.ChatFormat;
import org.prunepeft.generate.GenerationSettings;
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
    GenerationSettings settings = generation.settings();
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (TextGenerator model = writer.load()) {
      ChatFormat format = writer.format(model, another.template());
      List<String> stop = new ArrayList<>(settings.stop());
      stop.addAll(format.answerEnds());
      Dialogue dialogue =
          new Dialogue(
              model,
              new Chat(format),
              settings.with().stop(stop).addSpecialTokens(format.plain()).build(),
              system == null ? List.of() : List.of(new Message("system", system)),
              spec.commandLine().getErr());
      for (String line = next(in); line != null; line = next(in)) {
        dialogue.say(line);
      }
    }
    return 0;
  }

  /** The next message that is not blank; null at the end. */
  private static String next(BufferedReader in) throws IOException {
    String line;
    do {
      if (System.console() != null) {
        System.out.print("> ");
        System.out.flush();
      }
      line = in.readLine();
    } while (line != null && line.isBlank());
    return line;
  }
}
