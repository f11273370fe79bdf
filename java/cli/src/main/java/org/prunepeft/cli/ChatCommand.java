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
import picocli.CommandLine.Option;

@Command(
    name = "chat",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Talks with a language model: each line is a message, whose answer is shown as it is written. The model's chat template makes a prompt of the whole conversation. The end of the input (Ctrl-D) ends it."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft chat runs/earlier",
      "  prunepeft chat models/llama --system 'Answer in one sentence.' --temperature 0.7 --top-p 0.9",
      "  echo 'Why is the sky blue?' | prunepeft chat runs/earlier"
    })
final class ChatCommand implements Callable<Integer> {
  /** How the next turn begins where the model has no template. */
  private static final String PLAIN_TURN = "\n\n### ";

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
      Chat chat = new Chat(format);
      List<String> stop = new ArrayList<>(settings.stop());
      if (format.plain()) {
        stop.add(PLAIN_TURN);
      }
      settings = settings.with().stop(stop).addSpecialTokens(format.plain()).build();
      List<Message> messages = new ArrayList<>();
      if (system != null) {
        messages.add(new Message("system", system));
      }
      for (String line = next(in); line != null; line = next(in)) {
        messages.add(new Message("user", line));
        messages.add(new Message("assistant", answer(model, chat.prompt(messages), settings)));
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

  private static String answer(TextGenerator model, String prompt, GenerationSettings settings) {
    String text =
        model
            .generate(
                List.of(prompt),
                settings,
                (number, piece) -> {
                  System.out.print(piece);
                  System.out.flush();
                })
            .get(0)
            .text();
    System.out.println();
    return text;
  }
}
