package org.prunepeft.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.model.Pretrained;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.AdapterConfigBuilder;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.NonLinearity;
import org.prunepeft.settings.Setup;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;

/** The modules that a layer gets, in the names of PEFT and AdapterHub. */
@OptionsOf({LoraConfig.class, AdaLoraConfig.class, AdapterConfig.class})
final class ModuleOptions {
  /** Of a text's items: a file of options may have long texts, but no word that is as long. */
  static final String BETWEEN = ", ";

  private static final String RANK = "--lora-r";
  private static final String ADALORA = "--use-adalora";

  private static final List<String> OF_ADALORA =
      List.of(
          "--init-r",
          "--target-r",
          "--tinit",
          "--tfinal",
          "--deltaT",
          "--beta1",
          "--beta2",
          "--orth-reg-weight");

  private static final String TARGETS = "--target-modules";
  private static final String SETTINGS = "--module-settings";
  private static final String SIZE = "--adapter-size";
  private static final String FACTOR = "--reduction-factor";
  private static final String ALPHA = "--lora-alpha";
  private static final String DROPOUT = "--lora-dropout";
  private static final String RSLORA = "--use-rslora";
  private static final String DORA = "--use-dora";
  private static final String PER_PROJECTION = "--module-per-projection";
  private static final String STYLE = "--adapter-config";
  private static final String NON_LINEARITY = "--adapter-non-linearity";
  private static final String SCALING = "--adapter-scaling";

  private static final List<String> OF_LORA =
      List.of(ALPHA, DROPOUT, TARGETS, RSLORA, DORA, PER_PROJECTION);

  private static final List<String> OF_ADAPTERS = List.of(STYLE, NON_LINEARITY, SCALING);

  @Option(
      names = {RANK, "--lora-rank"},
      paramLabel = "R",
      description = "LoRA rank; 0: no LoRA (default: ${DEFAULT-VALUE}).")
  int rank;

  @Option(
      names = ALPHA,
      paramLabel = "ALPHA",
      description = "LoRA alpha: a LoRA update is scaled by alpha / r (default: ${DEFAULT-VALUE}).")
  double alpha;

  @Option(
      names = DROPOUT,
      paramLabel = "P",
      description = "Dropout probability on LoRA's input (default: ${DEFAULT-VALUE}).")
  double dropout;

  @Option(
      names = TARGETS,
      split = ",",
      paramLabel = "NAME",
      description =
          "Linear layers that get LoRA: query, key, value, attention.output.dense, intermediate.dense, output.dense (the feed-forward block's alone, where PEFT takes attention.output.dense too), gate_proj, or the model's own names; all-linear: all of them; auto: query and value of an encoder, all of a decoder (default: ${DEFAULT-VALUE}).")
  List<String> targets;

  @Option(
      names = RSLORA,
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description = "Rank-stabilised LoRA: scale updates by alpha / √r instead of alpha / r.")
  boolean rsLora;

  @Option(
      names = DORA,
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description =
          "DoRA (weight-decomposed LoRA): train each output's magnitude separately from its direction.")
  boolean dora;

  @Option(
      names = ADALORA,
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "true|false",
      description =
          "AdaLoRA: updates P·Λ·Q start with rank --init-r and are pruned to --target-r on average; --lora-r is not used.")
  boolean useAdaLora;

  @Option(
      names = "--init-r",
      paramLabel = "R",
      description = "AdaLoRA: initial rank of each update (default: ${DEFAULT-VALUE}).")
  int initR;

  @Option(
      names = "--target-r",
      paramLabel = "R",
      description = "AdaLoRA: mean rank of the updates at the end (default: ${DEFAULT-VALUE}).")
  int targetR;

  @Option(
      names = "--tinit",
      paramLabel = "STEPS",
      description =
          "AdaLoRA: training steps before ranks are first reduced (default: ${DEFAULT-VALUE}).")
  int tinit;

  @Option(
      names = "--tfinal",
      paramLabel = "STEPS",
      description =
          "AdaLoRA: last training steps, with fixed ranks; only epochs that end in them can be the best (default: ${DEFAULT-VALUE}).")
  int tfinal;

  @Option(
      names = "--deltaT",
      paramLabel = "STEPS",
      description =
          "AdaLoRA: training steps between two rank allocations (default: ${DEFAULT-VALUE}).")
  int deltaT;

  @Option(
      names = "--beta1",
      paramLabel = "BETA",
      description =
          "AdaLoRA: factor of the moving average of the sensitivity (default: ${DEFAULT-VALUE}).")
  double beta1;

  @Option(
      names = "--beta2",
      paramLabel = "BETA",
      description =
          "AdaLoRA: factor of the moving average of the sensitivity's uncertainty (default: ${DEFAULT-VALUE}).")
  double beta2;

  @Option(
      names = "--orth-reg-weight",
      paramLabel = "WEIGHT",
      description =
          "AdaLoRA: weight of the orthogonality penalty in the loss (default: ${DEFAULT-VALUE}).")
  double orthRegWeight;

  @Option(
      names = PER_PROJECTION,
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description =
          "LoRA on each linear layer is a module of its own, kept or pruned separately; false: all LoRA of a layer is one module (default: true for a decoder, false for an encoder).")
  Boolean perProjection;

  @Option(
      names = SIZE,
      paramLabel = "M",
      description =
          "Bottleneck dimension of the adapters; 0: no adapters (default: ${DEFAULT-VALUE}).")
  int bottleneck;

  @Option(
      names = {FACTOR, "--adapter-reduction-factor"},
      paramLabel = "FACTOR",
      description =
          "Reduction factor of AdapterHub, instead of --adapter-size: the bottleneck is the hidden size divided by it.")
  Double reductionFactor;

  @Option(
      names = STYLE,
      paramLabel = "NAME",
      description =
          "Placement of the adapters: pfeiffer or seq_bn (after the feed-forward block), houlsby or double_seq_bn (two modules: after attention and after the feed-forward block), parallel or par_bn (beside the feed-forward block) (default: ${DEFAULT-VALUE}).")
  String style;

  @Option(
      names = {NON_LINEARITY, "--non-linearity"},
      paramLabel = "NAME",
      description =
          "Activation function of the adapters: relu, gelu, swish or linear (default: ${DEFAULT-VALUE}).")
  String nonLinearity;

  @Option(
      names = SCALING,
      paramLabel = "S",
      description =
          "Factor by which an adapter's output is scaled (default: "
              + AdapterConfig.PARALLEL_SCALING
              + " for parallel adapters, else "
              + AdapterConfig.SERIAL_SCALING
              + ").")
  Double adapterScaling;

  @Option(
      names = "--module-types",
      split = ",",
      paramLabel = "NAME",
      description =
          "Further types of modules that each layer gets: vera, or those of --plugins; docs/extending.md has their settings.")
  List<String> types;

  @Option(
      names = SETTINGS,
      // At commas between settings, not at those within a value.
      split = ",(?=[^,=]+\\.[^,.=]+=)",
      splitSynopsisLabel = ",",
      paramLabel = "TYPE.NAME=VALUE",
      description =
          "Settings of --module-types, such as vera.rank=64,vera.targets=query,value (default: the types' own).")
  List<String> settings;

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
    types = run.modules().isEmpty() ? null : run.modules();
    settings =
        run.moduleSettings().isEmpty()
            ? null
            : run.moduleSettings().entrySet().stream()
                .flatMap(type -> settings(type.getKey(), type.getValue()))
                .toList();
  }

  private static Stream<String> settings(String type, Map<String, Object> values) {
    return values.entrySet().stream()
        .map(value -> type + "." + value.getKey() + "=" + RecordOptions.text(value.getValue()));
  }

  /** Puts the adapters' size in place of a factor of the model's. */
  void settle(String model, CommandSpec command) {
    refuseIdle(new IdleOptions(command));
    if (ConfigFile.isTyped(TARGETS, command)) {
      compareWithPeft(model, command.commandLine().getErr());
    }
    settleSize(model, command);
  }

  private void settleSize(String model, CommandSpec command) {
    if (ConfigFile.isTypedInstead(SIZE, FACTOR, command)) {
      reductionFactor = null;
    }
    if (reductionFactor != null) {
      bottleneck = AdapterConfig.bottleneck(config(model).hidden(), reductionFactor);
      reductionFactor = null;
    }
  }

  private static EncoderConfig config(String model) {
    try (Pretrained parts = Models.byName(model).loader().open()) {
      return parts.config();
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  /** Says where PEFT would take linears for a name that are not named here. */
  private void compareWithPeft(String model, PrintWriter err) {
    Architecture architecture =
        Models.directoryConfig(model).map(EncoderConfig::architecture).orElse(Architecture.BERT);
    for (String target : targets) {
      List<String> others =
          architecture.endingIn(target).stream().filter(name -> !targets.contains(name)).toList();
      if (architecture.endingIn(target).contains(target) && !others.isEmpty()) {
        err.println(
            "prunepeft: %s %s is the feed-forward block's alone; PEFT takes %s for it too, which has to be named here"
                .formatted(TARGETS, target, String.join(", ", others)));
        err.flush();
      }
    }
  }

  /** Puts in place what the options come to on a model, in the words of a run that has them. */
  void resolve(String model, CommandSpec command) {
    settleSize(model, command);
    style = AdapterConfig.Style.byName(style).toString();
    nonLinearity = NonLinearity.name(NonLinearity.byName(nonLinearity));
    if (ConfigFile.isTyped(TARGETS, command)) {
      targets = LoraConfig.builder().targets(targets).build().on(config(model)).targets();
    }
  }

  /** The option by which one is to be compared with what an earlier run has. */
  static OptionSpec comparable(OptionSpec option, CommandSpec command) {
    return option == command.findOption(FACTOR) ? command.findOption(SIZE) : option;
  }

  /** Whether a value of an option is what an earlier run has, which states all settings. */
  static boolean agree(OptionSpec option, Object value, Object earlier) {
    if (value instanceof List<?> said && earlier instanceof List<?> has) {
      return has.containsAll(said) && (option.names()[0].equals(SETTINGS) || said.containsAll(has));
    }
    return Objects.equals(value, earlier);
  }

  private void refuseIdle(IdleOptions idle) {
    boolean own = earlier == null;
    idle.refuse(!useAdaLora, "%s is for " + ADALORA + "; add that, or leave it out", OF_ADALORA);
    idle.refuse(own && useAdaLora, IdleOptions.beside(ADALORA), List.of(RANK));
    idle.refuse(own && !useAdaLora && rank == 0, IdleOptions.beside(RANK + " 0"), OF_LORA);
    idle.refuse(
        own && bottleneck == 0 && reductionFactor == null,
        IdleOptions.beside(SIZE + " 0"),
        OF_ADAPTERS);
    boolean factor = ConfigFile.isTyped(FACTOR, idle.command());
    idle.refuse(factor, IdleOptions.beside(FACTOR), List.of(SIZE));
  }

  /** By type and name, as texts. */
  Map<String, Map<String, Object>> moduleSettings() {
    if (settings == null) {
      return null;
    }
    Map<String, Map<String, Object>> byType = new LinkedHashMap<>();
    for (String setting : settings) {
      int value = setting.indexOf('=');
      int name = setting.lastIndexOf('.', value);
      if (name < 1) {
        throw new IllegalArgumentException(
            "--module-settings takes TYPE.NAME=VALUE, such as vera.rank=64, got '%s'"
                .formatted(setting));
      }
      byType
          .computeIfAbsent(setting.substring(0, name), type -> new LinkedHashMap<>())
          .put(setting.substring(name + 1, value), setting.substring(value + 1));
    }
    return byType;
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
