package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.prunepeft.AdapterExport;
import org.prunepeft.model.OnnxOptions;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "export",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Writes what a run trained as files that other libraries read.",
      "",
      "peft: adapter_config.json and adapter_model.safetensors of Hugging Face's PEFT, the head"
          + " apart in head.safetensors; LoRA and DoRA alone. With --portable what vLLM takes.",
      "adapters: adapter_config.json, adapter.safetensors, head_config.json and"
          + " model_head.safetensors of AdapterHub's adapters; LoRA and bottleneck adapters"
          + " together.",
      "gguf: adapter.gguf of a language model, for llama.cpp, Ollama and java-llama.cpp; LoRA alone.",
      "onnx: model.onnx, config.json and tokenizer.json of a whole model, with all kinds of modules"
          + " and the head, for ONNX Runtime and what is built on it: DJL, LangChain4j, Spring AI.",
      "--merge: config.json, model.safetensors and tokenizer.json of a plain model, and the class of"
          + " its head for AutoModelForSequenceClassification; a language model's whole directory."
          + " LoRA and DoRA, or full fine-tuning.",
      "",
      "All have README.md, a model card, and all but gguf the tokenizer's files: they can be pushed"
          + " to the hub as they are.",
      "",
      "A format that cannot hold all of a run's modules refuses it. docs/formats.md has the files,"
          + " and how to use them."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft export runs/earlier --format adapters --output adapter",
      "  prunepeft export runs/chat --format peft --portable --output adapter",
      "  prunepeft export runs/earlier --merge --output model",
      "  prunepeft export runs/earlier --format onnx --int8 --output model"
    })
@OptionsOf(OnnxOptions.class)
final class ExportCommand implements Callable<Integer> {
  @Parameters(paramLabel = "RUN", description = "Directory of a complete run.")
  private Path run;

  @ArgGroup(multiplicity = "1")
  private ExportForm form;

  static final class ExportForm {
    @Option(
        names = "--format",
        required = true,
        paramLabel = "FORMAT",
        description = "What to write: peft, adapters, gguf or onnx.")
    String format;

    @Option(
        names = "--merge",
        required = true,
        description = "Write a whole model, with the LoRA modules in its weights.")
    boolean merge;
  }

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "DIR",
      description = "Directory to write, new or empty.")
  private Path output;

  @Option(
      names = "--model",
      description =
          "The run's base model, if it is not where it was: a Hugging Face directory (default: where the run found it).")
  private String model;

  @Option(
      names = "--base-model-name",
      paramLabel = "NAME",
      description =
          "The base model's name on the hub, which the files name in place of its directory; they then have no paths of this machine, and there is a warning without it (default: known for the program's own models).")
  private String baseModelName;

  @Option(
      names = "--portable",
      description =
          "With --format peft, of a language model: one rank for all modules, the smaller ones padded with zeros, and their scales in the weights, as vLLM needs it.")
  private boolean portable;

  @Option(
      names = "--int8",
      description =
          "With --format onnx: the encoder's weights in 8 bits, not float32: a quarter of the size.")
  boolean int8;

  @Option(
      names = "--external-data",
      description =
          "With --format onnx: weights in a file of their own, model.onnx_data; they are anyway where one file would have more than 2 GiB.")
  boolean externalData;

  @Option(
      names = "--encoder-only",
      description =
          "With --format onnx: the encoder without its head, for embeddings; the head apart in head.safetensors.")
  boolean encoderOnly;

  @Mixin private PluginOptions plugins;

  @Override
  public Integer call() {
    if (portable && !"peft".equals(form.format)) {
      throw new IllegalArgumentException("--portable is for --format peft alone");
    }
    OnnxOptions onnx = RecordOptions.fill(OnnxOptions.builder(), this).build();
    if ("onnx".equals(form.format)) {
      AdapterExport.onnx(run, output, model, baseModelName, onnx);
    } else if (!onnx.equals(OnnxOptions.DEFAULT)) {
      throw new IllegalArgumentException(
          "--int8, --external-data and --encoder-only are for --format onnx alone");
    } else if (portable) {
      AdapterExport.portable(run, output, model, baseModelName);
    } else if (form.merge) {
      AdapterExport.merge(run, output, model, baseModelName);
    } else {
      AdapterExport.write(run, form.format, output, model, baseModelName);
    }
    System.out.println("wrote " + output);
    return 0;
  }
}
