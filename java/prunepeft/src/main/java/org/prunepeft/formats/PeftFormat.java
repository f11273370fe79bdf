package org.prunepeft.formats;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.AdapterPartLowRankBuilder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * LoRA, DoRA and AdaLoRA as Hugging Face's PEFT keeps them: {@value #CONFIG} and {@value #WEIGHTS}.
 * A tensor's key is {@code base_model.model.} + the module's path in the model + {@code
 * .lora_A.weight} [r, in], {@code .lora_B.weight} [out, r] or {@code .lora_magnitude_vector} [out];
 * of AdaLoRA {@code .lora_A} [r, in], {@code .lora_E} [r, 1] and {@code .lora_B} [out, r], r the
 * singular values that are left, with rank_pattern saying which of init_r they are.
 *
 * <p>A language model's adapter has the task_type CAUSAL_LM, or in files of Python none, and no
 * head. With a head, the adapter is the encoder's alone, its task_type FEATURE_EXTRACTION, and the
 * head is in {@value HeadFile#NAME}: no sequence classifier of the library has a head over the mean
 * of hidden states, or one that compares two texts. target_modules is an expression that matches
 * paths from the encoder on, so that PEFT refuses a model with a head of its own, whose paths are
 * longer. What Python saved may be a sequence classifier's: its paths have the model's prefix, and
 * its head is {@code base_model.model.classifier.weight} and {@code .bias}, a decoder's {@code
 * base_model.model.score.weight}, which has no bias.
 */
public final class PeftFormat implements AdapterFormat {
  static final String WEIGHTS = "adapter_model.safetensors";
  static final String ROOT = "base_model.model.";
  static final String HEAD = "classifier";

  /** Of a decoder, over the last token. */
  private static final String SCORE = "score";

  private static final String LANGUAGE_MODEL = "CAUSAL_LM";

  /** Behind the encoder; all-linear targets it too. */
  private static final String POOLER = "pooler.dense";

  private static final Logger LOG = LoggerFactory.getLogger(PeftFormat.class);

  @Override
  public String name() {
    return "peft";
  }

  @Override
  public void require(TrainedAdapter adapter) {
    int bottlenecks = adapter.bottlenecks().size();
    if (bottlenecks > 0) {
      throw new IllegalArgumentException(
          "PEFT has no bottleneck adapters, and %s of this run's modules are some; --format adapters holds both kinds, or search with --adapter-size 0 for LoRA alone"
              .formatted(bottlenecks));
    }
    if (adapter.lowRank().isEmpty()) {
      throw new IllegalArgumentException(
          "PEFT needs at least one LoRA module, and this run has none"
              + (adapter.hasHead() ? ": its head alone was trained" : ""));
    }
    List<LowRank> updates = updates(adapter);
    long dora = updates.stream().filter(update -> update.magnitude() != null).count();
    if (dora != 0 && dora != updates.size()) {
      throw new IllegalArgumentException(
          "PEFT's use_dora holds for a whole adapter, but %s of this run's %s low-rank updates are DoRA; train one kind of them"
              .formatted(dora, updates.size()));
    }
  }

  /**
   * Of the library's linears, by their names in the model that the adapter is for. All have one
   * dropout and one kind of scale, each of which PEFT has for a whole adapter.
   */
  private static List<LowRank> updates(TrainedAdapter adapter) {
    String prefix = adapter.hasHead() ? "" : adapter.encoder().architecture().prefix() + ".";
    return StoredLinear.fuse(adapter.encoder(), PlainLora.alike(adapter.lowRank())).stream()
        .map(
            update ->
                AdapterPartLowRankBuilder.builder(update).path(prefix + update.path()).build())
        .toList();
  }

  @Override
  public void write(TrainedAdapter adapter, RunDirectory directory) throws IOException {
    require(adapter);
    List<LowRank> updates = updates(adapter);
    Map<String, SafeTensors.Tensor> tensors = new TreeMap<>();
    for (LowRank update : updates) {
      String key = ROOT + update.path();
      if (update.singular() != null) {
        AdaLoraLayout.put(tensors, key, update);
        continue;
      }
      tensors.put(key + ".lora_A.weight", update.a());
      tensors.put(key + ".lora_B.weight", update.b());
      if (update.magnitude() != null) {
        tensors.put(key + ".lora_magnitude_vector", update.magnitude());
      }
    }
    SafeTensors.write(directory.file(WEIGHTS), tensors);
    if (adapter.hasHead()) {
      HeadFile.write(adapter, directory);
    }
    directory.writeJson(CONFIG, config(adapter, updates));
  }

  /** The fields of PEFT's LoraConfig. */
  private static Map<String, Object> config(TrainedAdapter adapter, List<LowRank> updates) {
    int rank = SharedSettings.mostFrequent(updates, LowRank::rank);
    double alpha = SharedSettings.mostFrequent(updates, LowRank::alpha);
    Map<String, Object> ranks = new TreeMap<>();
    Map<String, Object> alphas = new TreeMap<>();
    for (LowRank update : updates) {
      if (update.rank() != rank) {
        ranks.put(update.path(), update.rank());
      }
      if (update.alpha() != alpha) {
        alphas.put(update.path(), number(update.alpha()));
      }
    }
    Map<String, Object> config = new TreeMap<>();
    config.put("peft_type", "LORA");
    config.put("task_type", adapter.hasHead() ? "FEATURE_EXTRACTION" : LANGUAGE_MODEL);
    config.put("base_model_name_or_path", adapter.base());
    config.put("revision", null);
    config.put("auto_mapping", null);
    config.put("inference_mode", true);
    config.put("r", rank);
    config.put("lora_alpha", number(alpha));
    config.put("lora_dropout", updates.get(0).dropout());
    config.put("rank_pattern", ranks);
    config.put("alpha_pattern", alphas);
    config.put("bias", "none");
    config.put("fan_in_fan_out", false);
    config.put("init_lora_weights", true);
    config.putAll(targets(adapter, updates));
    config.put("modules_to_save", null);
    config.put("use_rslora", updates.get(0).rsLora());
    config.put("use_dora", updates.get(0).magnitude() != null);
    if (updates.get(0).singular() != null) {
      AdaLoraLayout.describe(config, updates);
    }
    return config;
  }

  /**
   * What is adapted. Of a language model with the same linears in each layer that has some, their
   * names and the layers, which more readers understand than an expression.
   */
  private static Map<String, Object> targets(TrainedAdapter adapter, List<LowRank> updates) {
    Set<Integer> layers = new TreeSet<>();
    Set<String> names = new TreeSet<>();
    for (LowRank update : updates) {
      layers.add(update.layer());
      names.add(update.path().substring(update.path().lastIndexOf('.') + 1));
    }
    boolean even = !adapter.hasHead() && updates.size() == layers.size() * names.size();
    boolean some = even && layers.size() < adapter.encoder().layers();
    Map<String, Object> targets = new TreeMap<>();
    targets.put("target_modules", even ? names : expression(updates));
    targets.put("layers_to_transform", some ? layers : null);
    targets.put("layers_pattern", some ? "layers" : null);
    return targets;
  }

  /** Matches the whole paths of these modules and no others; a list would match their ends. */
  private static String expression(List<LowRank> updates) {
    return updates.stream()
        .map(update -> update.path().replace(".", "\\."))
        .sorted()
        .collect(Collectors.joining("|"));
  }

  @Override
  public boolean recognises(Path directory, Map<String, Object> config) {
    return config.containsKey("peft_type");
  }

  @Override
  public boolean ofLanguageModel(
      Path directory, Map<String, Object> config, BooleanSupplier decoder) throws IOException {
    Object taskType = config.get("task_type");
    if (taskType != null || HeadFile.isIn(directory)) {
      return LANGUAGE_MODEL.equals(taskType);
    }
    // PEFT writes null where a LoraConfig was made without one.
    return !hasHead(directory) && decoder.getAsBoolean();
  }

  private static boolean hasHead(Path directory) throws IOException {
    Path file = directory.resolve(WEIGHTS);
    if (!Files.exists(file)) {
      return false;
    }
    try (SafeTensors stored = SafeTensors.open(file)) {
      return stored.names().stream().anyMatch(PeftFormat::isOfHead);
    }
  }

  private static boolean isOfHead(String key) {
    return key.startsWith(ROOT + SCORE + ".") || key.startsWith(ROOT + HEAD + ".");
  }

  @Override
  public TrainedAdapter read(
      Path directory, Map<String, Object> config, EncoderConfig encoder, List<String> labels)
      throws IOException {
    Fields fields = new Fields(directory.resolve(CONFIG).toString(), config);
    fields
        .require("peft_type", "LORA", "ADALORA")
        .require("task_type", "SEQ_CLS", "FEATURE_EXTRACTION", LANGUAGE_MODEL)
        .require("bias", "none")
        .require("fan_in_fan_out", false)
        // The others leave their mark on the base model's weights.
        .require("init_lora_weights", true, false, "gaussian", "orthogonal", "eva")
        // The keys of the tensors give the places of the modules.
        .ignore("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern")
        .ignore("base_model_name_or_path", "revision", "auto_mapping", "inference_mode")
        .ignore("peft_version", "runtime_config", "megatron_core", "qalora_group_size")
        .ignore("eva_config", "parent_library");
    for (Object saved : fields.list("modules_to_save")) {
      // PEFT names both heads that a sequence classifier may have, whichever is there.
      if (!HEAD.equals(saved) && !SCORE.equals(saved)) {
        throw new IllegalArgumentException(
            "%s: modules_to_save %s is not supported; only a linear %s is"
                .formatted(fields.origin(), saved, HEAD));
      }
    }
    String taskType = fields.text("task_type", "");
    AdaLoraLayout adaLora =
        fields.text("peft_type", "").equals("ADALORA") ? new AdaLoraLayout(fields) : null;
    Scales scales = adaLora == null ? new Scales(fields) : null;
    fields.finish();
    StoredTensors tensors =
        new StoredTensors(directory, WEIGHTS, "save the adapter with safe_serialization=True");
    boolean headless = encoder.architecture().isDecoder() && !tensors.hasAny(PeftFormat::isOfHead);
    List<AdapterPart> parts = new ArrayList<>();
    String prefix = encoder.architecture().prefix() + ".";
    for (int layer = 0; layer < encoder.layers(); layer++) {
      for (StoredLinear linear : StoredLinear.of(encoder, layer)) {
        // A base model on its own has no prefix.
        for (String module : List.of(prefix + linear.path(), linear.path())) {
          if (scales != null && tensors.has(ROOT + module + ".lora_A.weight")) {
            parts.addAll(linear.split(scales.update(tensors, module, linear)));
            break; // the same by its other name is refused as a tensor that is left
          } else if (adaLora != null && tensors.has(ROOT + module + AdaLoraLayout.A)) {
            parts.addAll(linear.split(adaLora.update(tensors, module, linear)));
            break;
          }
        }
      }
    }
    for (String pooler : List.of(prefix + POOLER, POOLER)) {
      if (tensors.skip(ROOT + pooler)) {
        LOG.warn("{}: {} is left out; the head looks at hidden states", directory, pooler);
      }
    }
    HeadFile head = HeadFile.NONE;
    if (HeadFile.isIn(directory)) {
      head = HeadFile.read(directory);
    } else if (!(LANGUAGE_MODEL.equals(taskType) || taskType.isEmpty() && headless)) {
      head = head(tensors, encoder);
    }
    tensors.finish();
    return new TrainedAdapter(
        fields.text("base_model_name_or_path", ""),
        encoder,
        parts,
        labels,
        head.weight(),
        head.bias());
  }

  private static HeadFile head(StoredTensors tensors, EncoderConfig encoder)
      throws FormatException {
    if (tensors.has(ROOT + SCORE + ".weight")) {
      Tensor score = tensors.take(ROOT + SCORE + ".weight", -1, encoder.hidden());
      long outputs = score.shape()[0];
      return new HeadFile(score, new Tensor(new long[] {outputs}, new float[(int) outputs]));
    }
    Tensor weight = tensors.take(ROOT + HEAD + ".weight", -1, encoder.hidden());
    return new HeadFile(weight, tensors.take(ROOT + HEAD + ".bias", weight.shape()[0]));
  }

  /** Ranks and alphas by module. */
  private record Scales(
      String origin,
      double rank,
      double alpha,
      ModulePatterns ranks,
      ModulePatterns alphas,
      double dropout,
      boolean rsLora,
      boolean dora) {
    Scales(Fields fields) {
      this(
          fields.origin(),
          fields.number("r", 8),
          fields.number("lora_alpha", 8),
          patterns(fields, "rank_pattern"),
          patterns(fields, "alpha_pattern"),
          fields.number("lora_dropout", 0),
          fields.flag("use_rslora", false),
          fields.flag("use_dora", false));
    }

    private static ModulePatterns patterns(Fields fields, String name) {
      return new ModulePatterns(fields.origin() + ", " + name, fields.map(name));
    }

    LowRank update(StoredTensors tensors, String module, StoredLinear linear)
        throws FormatException {
      String key = ROOT + module;
      int outputs = linear.outputs();
      Tensor a = tensors.take(key + ".lora_A.weight", -1, linear.inputs());
      Tensor b = tensors.take(key + ".lora_B.weight", outputs, a.shape()[0]);
      if (a.shape()[0] != ranks.of(module, rank)) {
        throw new FormatException(
            "%s gives %s rank %s, but its tensors have rank %d"
                .formatted(origin, module, number(ranks.of(module, rank)), a.shape()[0]));
      }
      Tensor magnitude = dora ? tensors.take(key + ".lora_magnitude_vector", outputs) : null;
      return new LowRank(
          linear.layer(),
          linear.path(),
          a,
          b,
          alphas.of(module, alpha),
          rsLora,
          dropout,
          magnitude,
          null);
    }
  }

  /** As PEFT writes it: a whole number without a point. */
  static Number number(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e9 ? (Number) (int) value : value;
  }
}
