package org.prunepeft.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/** A decoder's config.json, with the defaults that each family has in Hugging Face's library. */
final class DecoderJson {
  private static final String LAYER_TYPES = "layer_types";
  private static final String SLIDING = "sliding_attention";

  /** The parameters of rotation by kind of layer, where there are several. */
  private static final String FULL = "full_attention";

  private static final String ORIGINAL = "original_max_position_embeddings";

  /** By how much a quotient that somebody has rounded may differ. */
  private static final double ROUNDING = 1e-6;

  private final ConfigFields json;
  private final Architecture family;
  private final int layers;
  private final int hidden;
  private final int heads;
  private final int positions;
  private final int headSize;

  DecoderJson(ConfigFields json, Architecture family) {
    this.json = json;
    this.family = family;
    layers = json.size("num_hidden_layers");
    EncoderConfig.requireLayers(layers);
    hidden = json.size("hidden_size");
    heads = json.size("num_attention_heads");
    positions = json.integer("max_position_embeddings", defaultPositions());
    headSize = json.integer("head_dim", defaultHeadSize());
  }

  private int defaultPositions() {
    return switch (family) {
      case MISTRAL -> 131072;
      case QWEN2, QWEN3, SMOLLM3 -> 32768;
      case GEMMA2 -> 8192;
      case GEMMA3 -> 131072;
      case PHI3 -> 4096;
      default -> 2048;
    };
  }

  private int defaultHeadSize() {
    return switch (family) {
      case QWEN3 -> 128;
      case GEMMA2, GEMMA3 -> 256;
      default -> hidden / Math.max(1, heads);
    };
  }

  private int defaultKeyHeads() {
    return switch (family) {
      case MISTRAL -> 8;
      case QWEN2, QWEN3 -> 32;
      case GEMMA2, GEMMA3, SMOLLM3 -> 4;
      default -> heads;
    };
  }

  EncoderConfig read() {
    json.refuse("use_bidirectional_attention", Set.of("false"));
    List<Integer> ends = ends(json);
    return new EncoderConfig(
        family,
        layers,
        hidden,
        heads,
        json.size("intermediate_size"),
        json.size("vocab_size"),
        positions,
        0,
        json.number("rms_norm_eps", family == Architecture.PHI3 ? 1e-5 : 1e-6),
        hidden,
        family.isGemma()
            ? json.activation("hidden_activation", "gelu_pytorch_tanh")
            : json.activation("hidden_act", "silu"),
        json.has("pad_token_id")
            ? Math.max(0, json.integer("pad_token_id", 0))
            : ends.isEmpty() ? 0 : ends.get(0),
        false,
        null,
        null,
        decoder(ends));
  }

  /** The ids that end a text. */
  private static List<Integer> ends(ConfigFields json) {
    return json.numbers("eos_token_id").stream().map(Double::intValue).toList();
  }

  /**
   * A model with what the files beside its config.json say of its texts.
   *
   * @param generation generation_config.json, whose eos_token_id end a text too
   * @param tokenizer tokenizer_config.json, whose model_max_length holds where it is between
   *     max_position_embeddings and what the rotation stretches them to: there they are the
   *     stretched ones already, or nearer to them
   */
  static EncoderConfig with(EncoderConfig config, ConfigFields generation, ConfigFields tokenizer) {
    DecoderConfig decoder = config.decoder().endingToo(ends(generation));
    JsonNode longest = tokenizer.json().path("model_max_length");
    boolean between =
        longest.canConvertToInt()
            && longest.intValue() >= config.positions()
            && longest.intValue() < config.maxTokens();
    return config
        .with()
        .decoder(between ? decoder.with().mostTokens(longest.intValue()).build() : decoder)
        .build();
  }

  private DecoderConfig decoder(List<Integer> ends) {
    boolean gemma = family.isGemma();
    boolean bias = json.flag("attention_bias", false);
    double scalar = gemma ? json.number("query_pre_attn_scalar", 256) : headSize;
    boolean capped = family == Architecture.GEMMA2;
    List<Boolean> rotated = rotated();
    return new DecoderConfig(
        json.integer(
            "num_key_value_heads", json.isNull("num_key_value_heads") ? heads : defaultKeyHeads()),
        headSize,
        rope(),
        localRope(),
        rotated,
        windows(rotated),
        1 / Math.sqrt(scalar),
        cap("attn_logit_softcapping", capped ? 50 : 0),
        cap("final_logit_softcapping", capped ? 30 : 0),
        gemma ? Math.sqrt(hidden) : 1,
        family == Architecture.QWEN2 || bias,
        family != Architecture.QWEN2 && bias,
        json.flag("mlp_bias", false),
        family == Architecture.QWEN3 || family == Architecture.GEMMA3,
        gemma,
        gemma,
        json.flag("tie_word_embeddings", gemma || family == Architecture.SMOLLM3),
        ends,
        0);
  }

  /** Null in the file means that there is none, even where the default is one. */
  private double cap(String name, double absent) {
    return json.isNull(name) || !family.isGemma() ? 0 : json.number(name, absent);
  }

  /** After how many layers one of another kind follows. */
  private int period(String name, int absent) {
    int period = json.integer(name, absent);
    if (period < 1) {
      throw new IllegalArgumentException(name + " must be at least 1, got " + period);
    }
    return period;
  }

  private List<Boolean> rotated() {
    if (family != Architecture.SMOLLM3) {
      return List.of();
    }
    List<Double> given = json.numbers("no_rope_layers");
    int interval = period("no_rope_layer_interval", 4);
    return IntStream.range(0, layers)
        .mapToObj(i -> i < given.size() ? given.get(i) != 0 : (i + 1) % interval != 0)
        .toList();
  }

  private List<Integer> windows(List<Boolean> rotated) {
    int window =
        json.isNull("sliding_window") ? 0 : json.integer("sliding_window", defaultWindow());
    List<String> types = layerTypes(window);
    boolean used =
        switch (family) {
          case LLAMA -> false;
          case QWEN2, QWEN3, SMOLLM3 -> json.flag("use_sliding_window", false);
          default -> true;
        };
    if (!used || window == 0) {
      return List.of();
    }
    IntPredicate slides = types.isEmpty() ? slides(rotated) : i -> types.get(i).equals(SLIDING);
    return IntStream.range(0, layers).mapToObj(i -> slides.test(i) ? window : 0).toList();
  }

  /** What attention each layer has; empty if it is not said. */
  private List<String> layerTypes(int window) {
    List<String> types = json.words(LAYER_TYPES);
    if (!types.isEmpty() && types.size() != layers) {
      throw new IllegalArgumentException(
          "%d layers need as many layer_types, got %d".formatted(layers, types.size()));
    }
    for (int i = 0; i < types.size(); i++) {
      String type = types.get(i);
      if (!type.equals(FULL) && !type.equals(SLIDING)) {
        throw new IllegalArgumentException(
            "layer_types has '%s' for layer %d, which is not supported; there are %s and %s"
                .formatted(type, i, FULL, SLIDING));
      }
      if (masksLayersAlike() && type.equals(SLIDING) != window > 0) {
        throw new IllegalArgumentException(
            "layer_types has %s for layer %d, but sliding_window is %s, which holds for all layers of a %s: Hugging Face's library does not look at layer_types there; leave them out"
                .formatted(type, i, window > 0 ? window : "null", family.modelType()));
      }
    }
    return types;
  }

  /** Whether the window alone decides how layers see a text. */
  private boolean masksLayersAlike() {
    return family == Architecture.MISTRAL || family == Architecture.PHI3;
  }

  private int defaultWindow() {
    return switch (family) {
      case MISTRAL, QWEN2, QWEN3, GEMMA2, GEMMA3 -> 4096;
      default -> 0;
    };
  }

  /** Which layers have a window where layer_types does not say it. */
  private IntPredicate slides(List<Boolean> rotated) {
    return switch (family) {
      case QWEN2, QWEN3 -> {
        int from = json.integer("max_window_layers", 28);
        yield i -> i >= from;
      }
      case GEMMA2 -> i -> i % 2 == 0;
      case GEMMA3 -> {
        int pattern = period("sliding_window_pattern", 6);
        yield i -> (i + 1) % pattern != 0;
      }
      case SMOLLM3 -> i -> !rotated.get(i);
      default -> i -> true;
    };
  }

  /** Of Hugging Face's library some versions take the one, some the other. */
  private Rope rope() {
    ConfigFields parameters = ropeFields("rope_parameters");
    ConfigFields scaling = ropeFields("rope_scaling");
    double theta = parameters.number("rope_theta", json.number("rope_theta", defaultTheta()));
    Rope rope = rope(json.has("rope_parameters") ? parameters : scaling, theta);
    if (json.has("rope_parameters") && !scaling.json().isEmpty()) {
      Rope other = rope(scaling, scaling.number("rope_theta", theta));
      if (!other.equals(rope)) {
        throw new IllegalArgumentException(
            "rope_scaling is %s and rope_parameters is %s, which rotate otherwise; leave out the one that is not meant"
                .formatted(scaling.json(), parameters.json()));
      }
    }
    return rope;
  }

  private ConfigFields ropeFields(String name) {
    ConfigFields fields = json.object(name);
    return fields.has(FULL) ? fields.object(FULL) : fields;
  }

  private double defaultTheta() {
    return switch (family) {
      case GEMMA3 -> 1e6;
      case SMOLLM3 -> 2e6;
      default -> 1e4;
    };
  }

  private Rope localRope() {
    if (family != Architecture.GEMMA3) {
      return null;
    }
    ConfigFields parameters = json.object("rope_parameters").object(SLIDING);
    return rope(
        parameters, parameters.number("rope_theta", json.number("rope_local_base_freq", 1e4)));
  }

  private Rope rope(ConfigFields scaling, double theta) {
    Rope.Type type = ropeType(scaling);
    double part = scaling.number("partial_rotary_factor", json.number("partial_rotary_factor", 1));
    int original = original(type, scaling);
    double ratio = (double) positions / original;
    if ((type == Rope.Type.LINEAR || type == Rope.Type.DYNAMIC || type == Rope.Type.LLAMA3)
        && !scaling.has("factor")) {
      throw new IllegalArgumentException("rope_scaling of type " + type + " has no factor");
    }
    double factor =
        switch (type) {
          case DEFAULT -> 1;
          case LONGROPE -> longFactor(scaling, ratio);
          default -> scaling.number("factor", ratio);
        };
    return new Rope(
        type,
        theta,
        (int) (headSize * part),
        factor,
        switch (type) {
          case DYNAMIC -> positions;
          // Gemma's positions are those of the stretched context.
          case LINEAR -> family.isGemma() ? Math.max(1, (int) (positions / factor)) : positions;
          default -> original;
        },
        scaling.number("attention_factor", attentionFactor(type, scaling, factor, original)),
        scaling.number("low_freq_factor", 1),
        scaling.number("high_freq_factor", 4),
        scaling.number("beta_fast", 32),
        scaling.number("beta_slow", 1),
        scaling.flag("truncate", true),
        type == Rope.Type.LONGROPE ? scaling.numbers("short_factor") : List.of(),
        type == Rope.Type.LONGROPE ? scaling.numbers("long_factor") : List.of());
  }

  private Rope.Type ropeType(ConfigFields scaling) {
    String name =
        scaling.has("rope_type")
            ? scaling.text("rope_type")
            : scaling.has("type") ? scaling.text("type") : "default";
    if (family != Architecture.PHI3) {
      return Rope.Type.of(name);
    }
    // What its first configurations called the only other rule that it has.
    Rope.Type type =
        name.equals("su") || name.equals("yarn") ? Rope.Type.LONGROPE : Rope.Type.of(name);
    if (type != Rope.Type.DEFAULT && type != Rope.Type.LONGROPE) {
      throw new IllegalArgumentException(
          "rope_type '%s' is not supported in a %s; there are %s and %s, which may be called su or yarn"
              .formatted(name, family.modelType(), Rope.Type.DEFAULT, Rope.Type.LONGROPE));
    }
    return type;
  }

  /** Whether the context of the pre-training is named beside rope_scaling. */
  private boolean hasOriginal() {
    return json.has(ORIGINAL) || family == Architecture.PHI3;
  }

  /** The context of the pre-training. */
  private int original(Rope.Type type, ConfigFields scaling) {
    if (!hasOriginal()) {
      return scaling.integer(ORIGINAL, positions);
    }
    int original = json.integer(ORIGINAL, 4096);
    int ofScaling = scaling.integer(ORIGINAL, original);
    if ((type == Rope.Type.LLAMA3 || type == Rope.Type.YARN) && ofScaling != original) {
      throw new IllegalArgumentException(
          "%s is %d, and that of rope_scaling or rope_parameters %d: versions 4 and 5 of Hugging Face's library take the one or the other; leave out the one that is not meant"
              .formatted(ORIGINAL, original, ofScaling));
    }
    return original;
  }

  /** Of longrope, by which cosine and sine are scaled unless attention_factor is named. */
  private double longFactor(ConfigFields scaling, double ratio) {
    double factor = scaling.number("factor", ratio);
    if (hasOriginal()
        && !scaling.has("attention_factor")
        && Math.abs(factor - ratio) > ROUNDING * ratio) {
      throw new IllegalArgumentException(
          "the factor of longrope is %s, but max_position_embeddings / %s is %s: version 4 of Hugging Face's library takes this, version 5 the factor; make them the same, or name attention_factor"
              .formatted(factor, ORIGINAL, ratio));
    }
    return factor;
  }

  private static double attentionFactor(
      Rope.Type type, ConfigFields scaling, double factor, int original) {
    if (factor <= 1) {
      return 1;
    }
    double mscale = scaling.number("mscale", 0);
    double allDimensions = scaling.number("mscale_all_dim", 0);
    return switch (type) {
      case YARN ->
          mscale != 0 && allDimensions != 0
              ? yarnFactor(factor, mscale) / yarnFactor(factor, allDimensions)
              : yarnFactor(factor, 1);
      case LONGROPE -> Math.sqrt(1 + Math.log(factor) / Math.log(original));
      default -> 1;
    };
  }

  private static double yarnFactor(double factor, double scale) {
    return 0.1 * scale * Math.log(factor) + 1;
  }

  static Map<String, Object> write(EncoderConfig config) {
    DecoderConfig decoder = config.decoder();
    Architecture family = config.architecture();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("model_type", family.modelType());
    json.put("vocab_size", config.vocabulary());
    json.put("max_position_embeddings", config.positions());
    json.put("pad_token_id", config.padding());
    List<Integer> ends = decoder.endTokens();
    json.put("eos_token_id", ends.size() == 1 ? ends.get(0) : ends.isEmpty() ? null : ends);
    json.put("hidden_size", config.hidden());
    json.put("num_hidden_layers", config.layers());
    json.put("num_attention_heads", config.heads());
    json.put("num_key_value_heads", decoder.keyValueHeads());
    json.put("head_dim", decoder.headSize());
    json.put("intermediate_size", config.intermediate());
    json.put(
        family.isGemma() ? "hidden_activation" : "hidden_act",
        config.activation() == HiddenActivation.GELU_TANH
            ? "gelu_pytorch_tanh"
            : config.activation().hiddenAct());
    json.put("rms_norm_eps", config.layerNormEpsilon());
    json.put("attention_bias", decoder.attentionBias());
    json.put("mlp_bias", decoder.feedForwardBias());
    json.put("tie_word_embeddings", decoder.tied());
    writeWindows(config, json);
    writeRope(config, json);
    if (family.isGemma()) {
      json.put("query_pre_attn_scalar", 1 / (decoder.attentionScale() * decoder.attentionScale()));
      json.put(
          "attn_logit_softcapping", decoder.attentionCap() == 0 ? null : decoder.attentionCap());
      json.put("final_logit_softcapping", decoder.logitCap() == 0 ? null : decoder.logitCap());
    }
    return json;
  }

  private static void writeWindows(EncoderConfig config, Map<String, Object> json) {
    List<Integer> windows = config.decoder().windows();
    int window = windows.isEmpty() ? 0 : Collections.max(windows);
    json.put("sliding_window", window == 0 ? null : window);
    switch (config.architecture()) {
      case QWEN2, QWEN3 -> {
        json.put("use_sliding_window", window > 0);
        json.put("max_window_layers", window > 0 ? windows.indexOf(window) : config.layers());
      }
      case SMOLLM3 -> {
        json.put("use_sliding_window", window > 0);
        json.put(
            "no_rope_layers",
            config.decoder().rotated().stream().map(rotated -> rotated ? 1 : 0).toList());
      }
      default -> {}
    }
    if (window > 0) {
      List<String> types = new ArrayList<>();
      windows.forEach(own -> types.add(own > 0 ? SLIDING : FULL));
      json.put(LAYER_TYPES, types);
    }
  }

  private static void writeRope(EncoderConfig config, Map<String, Object> json) {
    Rope rope = config.decoder().rope();
    json.put("rope_theta", rope.theta());
    json.put("partial_rotary_factor", (double) rope.size() / config.decoder().headSize());
    if (config.decoder().localRope() != null) {
      json.put("rope_local_base_freq", config.decoder().localRope().theta());
    }
    if (config.architecture() == Architecture.PHI3) {
      json.put(ORIGINAL, rope.originalPositions());
    }
    json.put("rope_scaling", rope.type() == Rope.Type.DEFAULT ? null : scaling(rope));
  }

  private static Map<String, Object> scaling(Rope rope) {
    Map<String, Object> scaling = new LinkedHashMap<>();
    scaling.put("rope_type", rope.type().toString());
    scaling.put("factor", rope.factor());
    switch (rope.type()) {
      case LLAMA3 -> {
        scaling.put("low_freq_factor", rope.lowFrequencyFactor());
        scaling.put("high_freq_factor", rope.highFrequencyFactor());
        scaling.put(ORIGINAL, rope.originalPositions());
      }
      case YARN -> {
        scaling.put("beta_fast", rope.betaFast());
        scaling.put("beta_slow", rope.betaSlow());
        scaling.put("truncate", rope.truncate());
        scaling.put("attention_factor", rope.attentionFactor());
        scaling.put(ORIGINAL, rope.originalPositions());
      }
      case LONGROPE -> {
        scaling.put("short_factor", rope.shortFactors());
        scaling.put("long_factor", rope.longFactors());
        scaling.put("attention_factor", rope.attentionFactor());
        scaling.put(ORIGINAL, rope.originalPositions());
      }
      default -> {}
    }
    return scaling;
  }
}
