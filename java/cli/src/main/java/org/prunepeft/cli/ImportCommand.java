package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.prunepeft.AdapterImport;
import org.prunepeft.search.Candidate;
import org.prunepeft.train.TrainingSettings;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "import",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Reads adapter files into a run directory, which evaluate, predict and export take: LoRA and"
          + " DoRA of PEFT, bottleneck adapters and LoRA of AdapterHub's adapters, and GGUF adapters.",
      "",
      "An export of prunepeft says all that is needed. Of files from elsewhere the options say what"
          + " the head predicts and from what; a language model's have no head."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft import adapter --output runs/imported",
      "  prunepeft import from-python --task wordnet --mean-pooled --output runs/imported"
    })
final class ImportCommand implements Callable<Integer> {
  @Parameters(
      paramLabel = "DIR",
      description =
          "Directory with adapter_config.json and the adapter's weights in safetensors, or with adapter.gguf.")
  private Path adapter;

  @Option(
      names = "--model",
      description =
          "The model that the adapter is for: a name or a Hugging Face directory (default: the one"
              + " that the files name).")
  private String model;

  @Option(
      names = "--task",
      description = "Task that the adapter was trained for (default: the export's).")
  private String task;

  @Option(
      names = "--max-seq-length",
      paramLabel = "TOKENS",
      description =
          "Maximum sequence length in tokens; longer texts are truncated (default: the export's, else "
              + TrainingSettings.DEFAULT_MAX_LENGTH
              + ", for a language model "
              + TrainingSettings.DEFAULT_TEXT_LENGTH
              + ", or the most that the model takes).")
  private Integer maxLength;

  @Option(
      names = "--mean-pooled",
      description =
          "The head is a linear layer over the mean of the last hidden states, or in a decoder over the"
              + " last token's, as transformers' score is; an export says so itself.")
  private boolean meanPooled;

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "RUN",
      description = "Run directory to write, new or empty.")
  private Path output;

  @Mixin private PluginOptions plugins;

  @Override
  public Integer call() {
    List<Candidate> modules =
        AdapterImport.read(
            adapter, new AdapterImport.Options(model, task, maxLength, meanPooled), output);
    System.out.printf(
        Locale.ROOT,
        "wrote %s: %d modules, %,d parameters%n",
        output,
        modules.size(),
        Candidate.total(modules));
    return 0;
  }
}
