package org.prunepeft.formats;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Block;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.Bottleneck.Input;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.NonLinearity;

/** Reads an adapter that AdapterHub's library saved: its configurations say where tensors are. */
final class AdapterHubReader {
  private static final Pattern VERSION = Pattern.compile("adapters\\.(\\d{1,6})\\.(\\d{1,6})\\..*");

  private static final String REMEDY = "save the adapter with use_safetensors=True";

  private final Path directory;
  private final EncoderConfig encoder;
  private final Fields description;
  private final String name;
  private final StoredTensors tensors;
  private final List<AdapterPart> parts = new ArrayList<>();

  AdapterHubReader(Path directory, Map<String, Object> config, EncoderConfig encoder)
      throws IOException {
    this.directory = directory;
    this.encoder = encoder;
    description = new Fields(directory.resolve(AdapterFormat.CONFIG).toString(), config);
    name = description.text("name", AdapterHubFormat.NAME);
    tensors = new StoredTensors(directory, AdapterHubFormat.WEIGHTS, REMEDY);
  }

  TrainedAdapter read(List<String> labels) throws IOException {
    description
        .require("model_type", encoder.architecture().modelType())
        .require("hidden_size", encoder.hidden())
        .ignore("model_class", "model_name", "version", "config_id");
    Fields config = new Fields(description.origin() + ", config", description.value("config"));
    description.finish();
    if ("union".equals(config.value("architecture"))) {
      for (Object one : config.list("configs")) {
        read(new Fields(config.origin(), one));
      }
      config.finish();
    } else {
      read(config);
    }
    tensors.finish();
    HeadFile head = HeadFile.isIn(directory) ? HeadFile.read(directory) : head();
    return new TrainedAdapter(
        description.text("model_name", ""), encoder, parts, labels, head.weight(), head.bias());
  }

  private void read(Fields config) throws IOException {
    Object architecture = config.value("architecture");
    if (architecture == null) {
      bottlenecks(config);
    } else if (architecture.equals("lora")) {
      lowRank(config);
    } else {
      throw new IllegalArgumentException(
          "%s: architecture %s is not supported; there are bottleneck adapters, lora and their union"
              .formatted(config.origin(), architecture));
    }
  }

  private List<Integer> layers(Fields config) {
    List<?> leftOut = config.list("leave_out");
    List<Integer> layers = new ArrayList<>();
    for (int layer = 0; layer < encoder.layers(); layer++) {
      if (!leftOut.contains(layer)) {
        layers.add(layer);
      }
    }
    return layers;
  }

  private void bottlenecks(Fields config) throws IOException {
    config
        .require("original_ln_after", true)
        .require("ln_before", false)
        .require("ln_after", false)
        .require("residual_before_ln", true)
        .require("adapter_residual_before_ln", false)
        .require("phm_layer", false)
        // Of initial values and training alone, or of what is switched off above. The size is
        // that of the tensors.
        .ignore(
            "init_weights",
            "init_weights_seed",
            "dropout",
            "stochastic_depth",
            "reduction_factor",
            "inv_adapter_reduction_factor")
        .ignore("phm_dim", "factorized_phm_W", "shared_W_phm", "shared_phm_rule", "phm_c_init")
        .ignore("phm_init_range", "learn_phm", "hypercomplex_nonlinearity", "phm_rank")
        .ignore("phm_bias", "factorized_phm_rule");
    boolean parallel = config.flag("is_parallel", false);
    boolean normed = config.flag("original_ln_before", false);
    if (parallel && normed) {
      throw new IllegalArgumentException(
          config.origin() + ": is_parallel with original_ln_before is not supported");
    }
    Input input = parallel ? Input.RESIDUAL : normed ? Input.NORMED_SUM : Input.OUTPUT;
    double scaling = config.number("scaling", 1);
    Activation activation = NonLinearity.byName(config.text("non_linearity", ""));
    boolean attention = config.flag("mh_adapter", false);
    boolean feedForward = config.flag("output_adapter", false);
    List<Integer> layers = layers(config);
    config.finish();
    for (int layer : layers) {
      for (Block place : Block.values()) {
        if (place == Block.ATTENTION ? attention : feedForward) {
          parts.add(bottleneck(layer, place, input, scaling, activation));
        }
      }
    }
  }

  private Bottleneck bottleneck(
      int layer, Block place, Input input, double scaling, Activation activation)
      throws IOException {
    String key =
        "%s.%s.adapters.%s."
            .formatted(
                encoder.architecture().prefix(),
                AdapterHubFormat.container(encoder.architecture(), layer, place),
                name);
    long hidden = encoder.hidden();
    Tensor down = tensors.take(key + "adapter_down.0.weight", -1, hidden);
    long size = down.shape()[0];
    return new Bottleneck(
        layer,
        place,
        input,
        scaling,
        activation,
        down,
        tensors.take(key + "adapter_down.0.bias", size),
        tensors.take(key + "adapter_up.weight", hidden, size),
        tensors.take(key + "adapter_up.bias", hidden));
  }

  private void lowRank(Fields config) throws IOException {
    config
        .require("composition_mode", "add")
        .require("init_weights", "lora", "bert")
        .ignore("dtype", "init_weights_seed");
    boolean attention = config.flag("selfattn_lora", true);
    List<?> matrices = config.list("attn_matrices");
    boolean intermediate = config.flag("intermediate_lora", false);
    boolean output = config.flag("output_lora", false);
    long rank = config.integer("r", 8);
    double given = config.number("alpha", 8);
    double alpha = ignoresAlpha() ? rank : given;
    double dropout = config.number("dropout", 0);
    List<Integer> layers = layers(config);
    config.finish();
    for (int layer : layers) {
      int found = parts.size();
      for (Projection projection : encoder.projections()) {
        boolean targeted =
            switch (projection) {
              case QUERY, KEY, VALUE ->
                  attention && matrices.contains(AdapterHubFormat.matrix(projection));
              case INTERMEDIATE -> intermediate;
              case OUTPUT -> output;
              case ATTENTION_OUTPUT, GATE -> false;
            };
        String path = encoder.path(layer, projection);
        String key = "%s.%s.loras.%s.".formatted(encoder.architecture().prefix(), path, name);
        // A pruned place has neither; the library reads it as an update of zero.
        if (targeted && (tensors.has(key + "lora_A") || tensors.has(key + "lora_B"))) {
          parts.add(
              new LowRank(
                  layer,
                  path,
                  tensors.take(key + "lora_A", rank, encoder.inputs(projection)),
                  tensors.take(key + "lora_B", encoder.outputs(projection), rank),
                  alpha,
                  false,
                  dropout,
                  null,
                  null));
        }
      }
      if (parts.size() == found) {
        throw new FormatException(
            "%s has no LoRA of layer %d, which leave_out does not name"
                .formatted(directory.resolve(AdapterHubFormat.WEIGHTS), layer));
      }
    }
  }

  /**
   * Releases before 1.1.0 left the scale out, so that their adapters were trained with 1; later
   * ones scale by alpha / r.
   */
  private boolean ignoresAlpha() {
    String version = description.text("version", "");
    Matcher matcher = VERSION.matcher(version);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "%s: version '%s' does not say how LoRA is scaled; load and save the adapter with a"
                  .formatted(description.origin(), version)
              + " recent release of the library");
    }
    int major = Integer.parseInt(matcher.group(1));
    return major < 1 || major == 1 && Integer.parseInt(matcher.group(2)) < 1;
  }

  /** The head of that name. */
  private HeadFile head() throws IOException {
    String file = AdapterHubFormat.HEAD_CONFIG;
    Fields head =
        new Fields(
            directory.resolve(file) + ", config",
            RunDirectory.open(directory).readJson(file).get("config"));
    head.require("head_type", "classification")
        .require("layers", 1)
        .require("use_pooler", false)
        .require("bias", true)
        .ignore("num_labels", "activation_function", "label2id", "dropout_prob")
        .finish();
    StoredTensors stored = new StoredTensors(directory, AdapterHubFormat.HEAD_WEIGHTS, REMEDY);
    String key = "heads." + name + ".1.";
    Tensor weight = stored.take(key + "weight", -1, encoder.hidden());
    Tensor bias = stored.take(key + "bias", weight.shape()[0]);
    stored.finish();
    return new HeadFile(weight, bias);
  }
}
