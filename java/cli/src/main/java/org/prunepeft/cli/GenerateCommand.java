package org.prunepeft.cli;

import java.util.List;
import java.util.concurrent.Callable;
import org.prunepeft.generate.Generation;
import org.prunepeft.generate.GenerationListener;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.generate.TextGenerator;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Lets a language model continue prompts: one that a run trained, or a pre-trained one as it"
          + " is. One prompt's text is shown as it is written, of several each when all are there."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft generate runs/earlier --prompt 'Once upon a time'",
      "  prunepeft generate models/llama --prompt 'Once' --temperature 0.8 --top-p 0.9 --seed 1",
      "  prunepeft generate runs/earlier --prompt 'Q: why?' --prompt 'Q: how?' --stop 'Q:'"
    })
final class GenerateCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      required = true,
      description = "A text to continue; may be given several times.")
  private List<String> prompts;

  @Mixin private GenerationOptions generation;
  @Mixin private WriterOptions writer;
  @Mixin private PluginOptions plugins;

  @Override
  public Integer call() {
    GenerationSettings settings = generation.settings(spec);
    try (TextGenerator model = writer.load()) {
      write(model, settings);
    }
    return 0;
  }

  private void write(TextGenerator model, GenerationSettings settings) {
    if (prompts.size() == 1) {
      // Not before what writes no texts has been refused, nor a prompt that is too long.
      if (model.room(prompts.get(0), settings.addSpecialTokens()) > 0) {
        System.out.print(prompts.get(0));
        System.out.flush();
      }
      model.generate(
          prompts,
          settings,
          (prompt, piece) -> {
            System.out.print(piece);
            System.out.flush();
          });
      System.out.println();
      return;
    }
    List<Generation> texts = model.generate(prompts, settings, GenerationListener.NONE);
    for (int i = 0; i < texts.size(); i++) {
      System.out.printf("%s%s%s%n", i == 0 ? "" : "\n", prompts.get(i), texts.get(i).text());
    }
  }
}
