package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.prunepeft.AdapterExport;
import org.prunepeft.formats.AdapterFormat;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "export",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Writes what a run trained as files that Python's libraries read.",
      "",
      "peft: adapter_config.json and adapter_model.safetensors of Hugging Face's PEFT; LoRA and DoRA alone.",
      "adapters: adapter_config.json, adapter.safetensors, head_config.json and model_head.safetensors of AdapterHub's adapters; LoRA and"
          + " bottleneck adapters together.",
      "",
      "A format that cannot hold all of a run's modules refuses it. docs/formats.md has the files, and how to use them from Python."
    },
    footer = {"", "Example:", "  prunepeft export runs/earlier --format adapters --output adapter"})
final class ExportCommand implements Callable<Integer> {
  @Parameters(paramLabel = "RUN", description = "Directory of a complete run.")
  private Path run;

  @Option(
      names = "--format",
      required = true,
      paramLabel = "FORMAT",
      description = "Whose files to write: peft or adapters.")
  private String format;

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "DIR",
      description = "Directory to write, new or empty.")
  private Path output;

  @Override
  public Integer call() {
    AdapterExport.write(run, AdapterFormat.byName(format), output);
    System.out.println("wrote " + output);
    return 0;
  }
}
