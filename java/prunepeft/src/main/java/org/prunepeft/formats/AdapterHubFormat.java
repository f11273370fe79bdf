package org.prunepeft.formats;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.Block;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.Bottleneck.Input;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.NonLinearity;

/**
 * Bottleneck adapters and LoRA together as AdapterHub's library {@code adapters} keeps them:
 * {@value #CONFIG} with one configuration or a union of several, {@value #WEIGHTS}, {@value
 * #HEAD_CONFIG} and {@value #HEAD_WEIGHTS}. Each configuration leaves out the layers that have none
 * of it, and one holds all LoRA. The library has no head that compares two texts; such a one is in
 * {@value HeadFile#NAME} instead.
 */
public final class AdapterHubFormat implements AdapterFormat {
  static final String WEIGHTS = "adapter.safetensors";
  static final String HEAD_CONFIG = "head_config.json";
  static final String HEAD_WEIGHTS = "model_head.safetensors";

  /** The adapter's name in keys and configurations. */
  static final String NAME = "prunepeft";

  /** The first release whose LoRA is scaled by alpha / r is 1.1.0; earlier ones do not scale it. */
  static final String VERSION = "adapters.1.2.0";

  @Override
  public String name() {
    return "adapters";
  }

  @Override
  public void require(TrainedAdapter adapter) {
    if (adapter.encoder().architecture().isDecoder()) {
      throw new IllegalArgumentException(
          "adapters of AdapterHub are written for encoders, and this is a %s; --format peft holds LoRA: search with --adapter-size 0"
              .formatted(adapter.encoder().architecture()));
    }
    if (adapter.parts().isEmpty()) {
      throw new IllegalArgumentException(
          "this run has no modules, its head alone was trained: there is no adapter to write");
    }
    configs(adapter);
  }

  @Override
  public boolean recognises(Path directory, Map<String, Object> config) {
    return config.containsKey("config") && config.containsKey("model_type");
  }

  @Override
  public TrainedAdapter read(
      Path directory, Map<String, Object> config, EncoderConfig encoder, List<String> labels)
      throws IOException {
    return new AdapterHubReader(directory, config, encoder).read(labels);
  }

  @Override
  public void write(TrainedAdapter adapter, RunDirectory directory) throws IOException {
    require(adapter);
    List<Map<String, Object>> configs = configs(adapter);
    Map<String, Object> config = description(adapter);
    config.put("config", configs.size() == 1 ? configs.get(0) : union(configs));
    SafeTensors.write(directory.file(WEIGHTS), tensors(adapter));
    if (adapter.headComparesTexts()) {
      HeadFile.write(adapter, directory);
    } else {
      SafeTensors.write(
          directory.file(HEAD_WEIGHTS),
          Map.of(
              "heads." + NAME + ".1.weight", adapter.headWeight(),
              "heads." + NAME + ".1.bias", adapter.headBias()));
      directory.writeJson(HEAD_CONFIG, headConfig(adapter));
    }
    directory.writeJson(CONFIG, config);
  }

  private static Map<String, Object> description(TrainedAdapter adapter) {
    Architecture architecture = adapter.encoder().architecture();
    Map<String, Object> description = new TreeMap<>();
    description.put("model_type", architecture.modelType());
    description.put("model_class", architecture.className() + "AdapterModel");
    description.put("model_name", adapter.base());
    description.put("hidden_size", adapter.encoder().hidden());
    description.put("name", NAME);
    description.put("version", VERSION);
    return description;
  }

  private static Map<String, Object> union(List<Map<String, Object>> configs) {
    Map<String, Object> union = new TreeMap<>();
    union.put("architecture", "union");
    union.put("configs", configs);
    return union;
  }

  private static Map<String, Object> headConfig(TrainedAdapter adapter) {
    Map<String, Object> label2id = new LinkedHashMap<>();
    for (String label : adapter.labels()) {
      label2id.put(label, label2id.size());
    }
    Map<String, Object> head = new TreeMap<>();
    head.put("head_type", "classification");
    head.put("num_labels", adapter.headWeight().shape()[0]);
    head.put("layers", 1);
    head.put("activation_function", "tanh");
    head.put("label2id", label2id);
    head.put("use_pooler", false);
    head.put("bias", true);
    head.put("dropout_prob", null);
    Map<String, Object> config = description(adapter);
    config.put("config", head);
    return config;
  }

  private static Map<String, SafeTensors.Tensor> tensors(TrainedAdapter adapter) {
    Architecture architecture = adapter.encoder().architecture();
    String prefix = architecture.prefix() + ".";
    Map<String, SafeTensors.Tensor> tensors = new TreeMap<>();
    for (LowRank update : updates(adapter)) {
      String key = prefix + update.path() + ".loras." + NAME + ".";
      tensors.put(key + "lora_A", update.a());
      tensors.put(key + "lora_B", update.b());
    }
    for (Bottleneck bottleneck : adapter.bottlenecks()) {
      String key =
          prefix
              + container(architecture, bottleneck.layer(), bottleneck.place())
              + ".adapters."
              + NAME
              + ".";
      tensors.put(key + "adapter_down.0.weight", bottleneck.down());
      tensors.put(key + "adapter_down.0.bias", bottleneck.downBias());
      tensors.put(key + "adapter_up.weight", bottleneck.up());
      tensors.put(key + "adapter_up.bias", bottleneck.upBias());
    }
    return tensors;
  }

  /** What holds a layer's adapters, without the model's prefix. */
  static String container(Architecture architecture, int layer, Block place) {
    return architecture.adaptersPath(layer, place);
  }

  private static List<Map<String, Object>> configs(TrainedAdapter adapter) {
    List<Map<String, Object>> configs = new ArrayList<>();
    int layers = adapter.encoder().layers();
    bottleneckKinds(adapter.bottlenecks())
        .forEach(
            (kind, in) ->
                configs.add(kind.config(adapter.encoder().hidden(), leftOut(in, layers))));
    if (!adapter.lowRank().isEmpty()) {
      configs.add(lora(adapter));
    }
    return configs;
  }

  private static List<Integer> leftOut(Set<Integer> in, int layers) {
    List<Integer> out = new ArrayList<>();
    for (int layer = 0; layer < layers; layer++) {
      if (!in.contains(layer)) {
        out.add(layer);
      }
    }
    return out;
  }

  /** What the bottlenecks of a layer share that are one configuration. */
  private record BottleneckKind(
      Set<Block> places, Input input, double scaling, String nonLinearity, int size) {
    Map<String, Object> config(int hidden, List<Integer> leaveOut) {
      Map<String, Object> config = new TreeMap<>();
      config.put("mh_adapter", places.contains(Block.ATTENTION));
      config.put("output_adapter", places.contains(Block.FEED_FORWARD));
      config.put("reduction_factor", reductionFactor(hidden, size));
      config.put("non_linearity", nonLinearity);
      config.put("original_ln_before", input == Input.NORMED_SUM);
      config.put("original_ln_after", true);
      config.put("ln_before", false);
      config.put("ln_after", false);
      config.put("residual_before_ln", true);
      config.put("adapter_residual_before_ln", false);
      config.put("is_parallel", input == Input.RESIDUAL);
      config.put("scaling", scaling);
      config.put("init_weights", input == Input.RESIDUAL ? "mam_adapter" : "bert");
      config.put("use_gating", false);
      config.put("cross_adapter", false);
      config.put("inv_adapter", null);
      config.put("inv_adapter_reduction_factor", null);
      config.put("dropout", 0.0);
      config.put("phm_layer", false);
      config.put("leave_out", leaveOut);
      return config;
    }
  }

  /**
   * A factor f for which ⌊hidden / f⌋, as the library computes the size, is exactly m: a whole
   * number where there is one, else hidden / (m + ½), in the middle of those that do.
   */
  static Number reductionFactor(int hidden, int size) {
    return hidden % size == 0 ? (Number) (hidden / size) : hidden / (size + 0.5);
  }

  private static Map<BottleneckKind, Set<Integer>> bottleneckKinds(List<Bottleneck> bottlenecks) {
    Map<Integer, List<Bottleneck>> byLayer = new TreeMap<>();
    bottlenecks.forEach(
        one -> byLayer.computeIfAbsent(one.layer(), layer -> new ArrayList<>()).add(one));
    Map<BottleneckKind, Set<Integer>> kinds = new LinkedHashMap<>();
    byLayer.forEach(
        (layer, own) -> {
          Map<BottleneckKind, Set<Block>> places = new LinkedHashMap<>();
          Set<Block> taken = EnumSet.noneOf(Block.class);
          for (Bottleneck one : own) {
            if (!taken.add(one.place())) {
              throw new IllegalArgumentException(
                  "AdapterHub takes one adapter at a place, but layer %s has two behind its %s; search or train with one kind of bottleneck"
                      .formatted(
                          layer,
                          one.place() == Block.ATTENTION ? "attention" : "feed-forward block"));
            }
            BottleneckKind kind =
                new BottleneckKind(
                    Set.of(),
                    one.input(),
                    one.scaling(),
                    NonLinearity.name(one.activation()),
                    one.size());
            places.computeIfAbsent(kind, k -> EnumSet.noneOf(Block.class)).add(one.place());
          }
          places.forEach(
              (kind, at) ->
                  kinds
                      .computeIfAbsent(
                          new BottleneckKind(
                              at, kind.input, kind.scaling, kind.nonLinearity, kind.size),
                          k -> new TreeSet<>())
                      .add(layer));
        });
    return kinds;
  }

  /** What all updates share: the library's releases from 1.2 on take one LoRA configuration. */
  private record Scale(int rank, double alpha, double dropout) {
    static Scale of(LowRank update) {
      // AdapterHub scales by alpha / r.
      double alpha = update.rsLora() ? update.scale() * update.rank() : update.alpha();
      return new Scale(update.rank(), alpha, update.dropout());
    }
  }

  /** With one scale; where they have several, or singular values, as LoRA of the largest rank. */
  private static List<LowRank> updates(TrainedAdapter adapter) {
    List<LowRank> updates = adapter.lowRank();
    if (updates.stream().allMatch(update -> update.singular() == null)
        && updates.stream().map(Scale::of).distinct().count() <= 1) {
      return updates;
    }
    int rank = updates.stream().mapToInt(LowRank::rank).max().orElseThrow();
    return updates.stream()
        .map(update -> PlainLora.padded(PlainLora.withoutSettings(update), rank))
        .toList();
  }

  /**
   * One configuration of all places that have an update in some layer. Where a layer has none of
   * them, there are no tensors, and the library adds an update of zero.
   */
  private static Map<String, Object> lora(TrainedAdapter adapter) {
    Set<Projection> targets = EnumSet.noneOf(Projection.class);
    Set<Integer> layers = new TreeSet<>();
    for (LowRank update : adapter.lowRank()) {
      targets.add(requirePlace(adapter.encoder(), update));
      layers.add(update.layer());
    }
    Scale scale = Scale.of(updates(adapter).get(0));
    List<String> matrices =
        targets.stream().filter(AdapterHubFormat::attention).map(AdapterHubFormat::matrix).toList();
    Map<String, Object> config = new TreeMap<>();
    config.put("architecture", "lora");
    config.put("selfattn_lora", !matrices.isEmpty());
    config.put("intermediate_lora", targets.contains(Projection.INTERMEDIATE));
    config.put("output_lora", targets.contains(Projection.OUTPUT));
    config.put("attn_matrices", matrices);
    config.put("r", scale.rank);
    config.put("alpha", PeftFormat.number(scale.alpha));
    config.put("dropout", scale.dropout);
    config.put("composition_mode", "add");
    config.put("init_weights", "lora");
    config.put("use_gating", false);
    config.put("leave_out", leftOut(layers, adapter.encoder().layers()));
    return config;
  }

  private static boolean attention(Projection projection) {
    return switch (projection) {
      case QUERY, KEY, VALUE -> true;
      default -> false;
    };
  }

  static String matrix(Projection projection) {
    return projection.target().substring(0, 1);
  }

  /** The place of an update, which is one of the library's. */
  private static Projection requirePlace(EncoderConfig encoder, LowRank update) {
    if (update.magnitude() != null) {
      throw new IllegalArgumentException(
          "AdapterHub has no DoRA, and this run's low-rank updates are some; --format peft holds"
              + " them");
    }
    Projection projection = projection(encoder, update);
    if (projection == Projection.ATTENTION_OUTPUT || projection == Projection.GATE) {
      throw new IllegalArgumentException(
          "AdapterHub has no LoRA on %s; --format peft holds it, or train without %s"
              .formatted(update.path(), projection.target()));
    }
    return projection;
  }

  static Projection projection(EncoderConfig encoder, LowRank update) {
    for (Projection projection : encoder.projections()) {
      if (encoder.path(update.layer(), projection).equals(update.path())) {
        return projection;
      }
    }
    throw new IllegalArgumentException("the model has no projection " + update.path());
  }
}
