package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.prunepeft.LanguageModel;
import org.prunepeft.TrainedModel;
import org.prunepeft.generate.Generation;
import org.prunepeft.generate.GenerationListener;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.model.Precision;
import org.prunepeft.report.RunStatus;
import org.prunepeft.torch.Threads;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Lets a language model go on with prompts: one that a run trained, or a pre-trained one as it"
          + " is. One prompt's text is shown as it is written, of several each when all are there."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft generate runs/earlier --prompt 'Once upon a time'",
      "  prunepeft generate models/llama --prompt 'Once' --temperature 0.8 --top-p 0.9 --seed 1",
      "  prunepeft generate runs/earlier --prompt 'Q: why?' --prompt 'Q: how?' --stop 'Q:'"
    })
@OptionsOf(GenerationSettings.class)
final class GenerateCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "RUN|MODEL",
      description =
          "Directory of a complete run of a language model, or a Hugging Face directory of a"
              + " decoder.")
  private String source;

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      required = true,
      description = "A text to go on with; may be given several times.")
  private List<String> prompts;

  @Option(
      names = "--max-new-tokens",
      paramLabel = "N",
      description =
          "The most tokens that are written, as far as the model has positions (default:"
              + " ${DEFAULT-VALUE}).")
  private int maxNewTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description =
          "Logits are divided by it before a token is drawn; 0: greedy, the most probable token"
              + " each time (default: ${DEFAULT-VALUE}).")
  private double temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description =
          "Draw one of the K most probable tokens; 0: of all (default: ${DEFAULT-VALUE}).")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description =
          "Nucleus sampling: draw one of the most probable tokens that have this probability"
              + " together; 1: of all (default: ${DEFAULT-VALUE}).")
  private double topP;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "A text at which it stops, itself left out; may be given several times.")
  private List<String> stop;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Random seed of the draws (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "CPU threads (default: those of the run, or the processors at hand).")
  private Integer threads;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "Device to compute on: cpu, cuda, cuda:N or auto (default: the run's, or cpu).")
  private String device;

  @Option(
      names = "--precision",
      paramLabel = "TYPE",
      description =
          "Data type of the weights of a pre-trained model: ${COMPLETION-CANDIDATES} (default:"
              + " float32; a run keeps its own).")
  private Precision precision;

  @Option(
      names = "--model",
      description =
          "The run's base model, if it is not where it was: a Hugging Face directory (default:"
              + " where the run found it).")
  private String model;

  @Mixin private PluginOptions plugins;

  @Override
  public Integer call() {
    GenerationSettings settings = RecordOptions.fill(GenerationSettings.builder(), this).build();
    if (threads != null) {
      Threads.requireHere(threads);
    }
    if (RunStatus.of(Path.of(source)) != RunStatus.OPEN) {
      if (precision != null) {
        throw new IllegalArgumentException(
            "a run has a precision of its own; leave out --precision");
      }
      try (TrainedModel trained = TrainedModel.load(Path.of(source), threads, device, model)) {
        write(listener -> trained.generate(prompts, settings, listener));
      }
      return 0;
    }
    if (model != null) {
      throw new IllegalArgumentException(
          "--model is the base model of a run, but %s is none".formatted(source));
    }
    try (LanguageModel pretrained =
        LanguageModel.load(
            source,
            threads == null ? Runtime.getRuntime().availableProcessors() : threads,
            device == null ? "cpu" : device,
            precision == null ? Precision.FLOAT32 : precision)) {
      write(listener -> pretrained.generate(prompts, settings, listener));
    }
    return 0;
  }

  @FunctionalInterface
  private interface Model {
    List<Generation> generate(GenerationListener listener);
  }

  private void write(Model writer) {
    if (prompts.size() == 1) {
      System.out.print(prompts.get(0));
      System.out.flush();
      writer.generate(
          (prompt, piece) -> {
            System.out.print(piece);
            System.out.flush();
          });
      System.out.println();
      return;
    }
    List<Generation> texts = writer.generate(GenerationListener.NONE);
    for (int i = 0; i < texts.size(); i++) {
      System.out.printf("%s%s%s%n", i == 0 ? "" : "\n", prompts.get(i), texts.get(i).text());
    }
  }
}
