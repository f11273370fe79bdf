package org.prunepeft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.prunepeft.model.Models;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.AdapterConfigBuilder;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.settings.Setup;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** The modules that a layer gets, in the names of PEFT and AdapterHub. */
@OptionsOf({LoraConfig.class, AdaLoraConfig.class, AdapterConfig.class})
final class ModuleOptions {
  private static final String SIZE = "--adapter-size";
  private static final String FACTOR = "--reduction-factor";

  @Option(
      names = {"--lora-r", "--lora-rank"},
      paramLabel = "R",
      description = "Rank of LoRA; 0 leaves LoRA out (default: ${DEFAULT-VALUE}).")
  int rank;

  @Option(
      names = "--lora-alpha",
      paramLabel = "ALPHA",
      description = "The scale of LoRA is alpha / r (default: ${DEFAULT-VALUE}).")
  double alpha;

  @Option(
      names = "--lora-dropout",
      paramLabel = "P",
      description = "Dropout on LoRA's input (default: ${DEFAULT-VALUE}).")
  double dropout;

  @Option(
      names = "--target-modules",
      split = ",",
      paramLabel = "NAME",
      description =
          "Projections that get LoRA: query, key, value, attention.output.dense, intermediate.dense, output.dense, or the model's own names; those of a layer are one module (default: ${DEFAULT-VALUE}).")
  List<String> targets;

  @Option(
      names = "--use-rslora",
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description = "The scale is alpha / √r: rank-stabilised LoRA.")
  boolean rsLora;

  @Option(
      names = "--use-dora",
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description = "Weight-decomposed LoRA: the magnitude of each output is trained apart.")
  boolean dora;

  @Option(
      names = "--use-adalora",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "true|false",
      description =
          "AdaLoRA: updates P·Λ·Q begin with --init-r singular values each and end with --target-r on average; --lora-r is not used.")
  boolean useAdaLora;

  @Option(
      names = "--init-r",
      paramLabel = "R",
      description = "AdaLoRA: rank of each update at the start (default: ${DEFAULT-VALUE}).")
  int initR;

  @Option(
      names = "--target-r",
      paramLabel = "R",
      description = "AdaLoRA: mean rank of the updates at the end (default: ${DEFAULT-VALUE}).")
  int targetR;

  @Option(
      names = "--tinit",
      paramLabel = "STEPS",
      description = "AdaLoRA: steps before ranks shrink (default: ${DEFAULT-VALUE}).")
  int tinit;

  @Option(
      names = "--tfinal",
      paramLabel = "STEPS",
      description =
          "AdaLoRA: last steps, in which ranks stay; only epochs from there on can be the best (default: ${DEFAULT-VALUE}).")
  int tfinal;

  @Option(
      names = "--deltaT",
      paramLabel = "STEPS",
      description =
          "AdaLoRA: steps from one choice of ranks to the next (default: ${DEFAULT-VALUE}).")
  int deltaT;

  @Option(
      names = "--beta1",
      paramLabel = "BETA",
      description = "AdaLoRA: smoothing of the sensitivity (default: ${DEFAULT-VALUE}).")
  double beta1;

  @Option(
      names = "--beta2",
      paramLabel = "BETA",
      description = "AdaLoRA: smoothing of its uncertainty (default: ${DEFAULT-VALUE}).")
  double beta2;

  @Option(
      names = "--orth-reg-weight",
      paramLabel = "WEIGHT",
      description = "AdaLoRA: factor of the orthogonality penalty (default: ${DEFAULT-VALUE}).")
  double orthRegWeight;

  @Option(
      names = "--module-per-projection",
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description = "LoRA on each projection is a module of its own, kept or pruned apart.")
  boolean perProjection;

  @Option(
      names = SIZE,
      paramLabel = "M",
      description = "Bottleneck of the adapters; 0 leaves them out (default: ${DEFAULT-VALUE}).")
  int bottleneck;

  @Option(
      names = {FACTOR, "--adapter-reduction-factor"},
      paramLabel = "FACTOR",
      description =
          "The bottleneck as AdapterHub says it, instead of --adapter-size: the model's hidden size by this.")
  Double reductionFactor;

  @Option(
      names = "--adapter-config",
      paramLabel = "NAME",
      description =
          "Where adapters sit: pfeiffer or seq_bn (after the feed-forward block), houlsby or double_seq_bn (two modules: after attention and after the feed-forward block), parallel or par_bn (beside the feed-forward block) (default: ${DEFAULT-VALUE}).")
  String style;

  @Option(
      names = {"--adapter-non-linearity", "--non-linearity"},
      paramLabel = "NAME",
      description =
          "What an adapter's bottleneck goes through: relu, gelu, swish or linear (default: ${DEFAULT-VALUE}).")
  String nonLinearity;

  @Option(
      names = "--adapter-scaling",
      paramLabel = "S",
      description = "Factor of what an adapter adds (default: 4 for parallel adapters, else 1).")
  Double adapterScaling;

  /** Those of an earlier run, which may be more than options can say. */
  private Setup earlier;

  /** Puts an earlier run's modules in place of the options. */
  void take(Setup run) {
    earlier = run;
    LoraConfig lora = run.lora();
    useAdaLora = lora != null && lora.adaLora() != null;
    rank = 0;
    if (lora != null) {
      RecordOptions.take(lora, this);
    }
    if (useAdaLora) {
      RecordOptions.take(lora.adaLora(), this);
    }
    AdapterConfig adapter = run.adapter();
    bottleneck = 0;
    reductionFactor = null;
    if (adapter != null) {
      RecordOptions.take(adapter, this);
      adapterScaling = adapter.scaling();
    }
  }

  /** Puts the adapters' size in place of a factor of the model's. */
  void settle(String model, CommandSpec command) {
    if (ConfigFile.isTypedInstead(SIZE, FACTOR, command)) {
      reductionFactor = null;
    }
    if (reductionFactor == null) {
      return;
    }
    try (Models.Pretrained parts = Models.byName(model).loader().open()) {
      bottleneck = AdapterConfig.bottleneck(parts.config().hidden(), reductionFactor);
      reductionFactor = null;
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  LoraConfig lora() {
    if (earlier != null) {
      return earlier.lora();
    }
    if (useAdaLora) {
      AdaLoraConfig ranks = RecordOptions.fill(AdaLoraConfig.builder(), this).build();
      return RecordOptions.fill(LoraConfig.builder(), this)
          .rank(ranks.initR())
          .adaLora(ranks)
          .build();
    }
    return rank == 0 ? null : RecordOptions.fill(LoraConfig.builder(), this).build();
  }

  AdapterConfig adapter() {
    if (earlier != null) {
      return earlier.adapter();
    }
    AdapterConfigBuilder adapter = RecordOptions.fill(AdapterConfig.builder(), this);
    return bottleneck == 0 ? null : adapter.scaling(adapterScaling).build();
  }
}
