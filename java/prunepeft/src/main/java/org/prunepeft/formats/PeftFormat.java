package org.prunepeft.formats;

import java.io.IOException;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.prunepeft.io.RunDirectory;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.peft.AdapterPart.LowRank;

/**
 * LoRA and DoRA as Hugging Face's PEFT keeps them: {@value #CONFIG} and {@value #WEIGHTS}. A
 * tensor's key is {@code base_model.model.} + the module's path in the model + {@code
 * .lora_A.weight} [r, in], {@code .lora_B.weight} [out, r] or {@code .lora_magnitude_vector} [out];
 * the head is {@code base_model.model.classifier.weight} and {@code .bias}.
 */
public final class PeftFormat implements AdapterFormat {
  static final String CONFIG = "adapter_config.json";
  static final String WEIGHTS = "adapter_model.safetensors";
  static final String ROOT = "base_model.model.";
  static final String HEAD = "classifier";

  @Override
  public String name() {
    return "peft";
  }

  @Override
  public void require(TrainedAdapter adapter) {
    int bottlenecks = adapter.bottlenecks().size();
    if (bottlenecks > 0) {
      throw new IllegalArgumentException(
          "PEFT has no bottleneck adapters, and "
              + bottlenecks
              + " of this run's modules are some; --format adapters holds both kinds");
    }
    List<LowRank> updates = adapter.lowRank();
    if (updates.isEmpty()) {
      throw new IllegalArgumentException(
          "PEFT needs at least one LoRA module, and this run has none: its head alone was trained");
    }
    long dora = updates.stream().filter(update -> update.magnitude() != null).count();
    if (dora != 0 && dora != updates.size()) {
      throw new IllegalArgumentException(
          "PEFT's use_dora holds for a whole adapter, but "
              + dora
              + " of this run's "
              + updates.size()
              + " low-rank updates are DoRA; train one kind of them");
    }
    common(updates, LowRank::rsLora, "use_rslora");
    common(updates, LowRank::dropout, "lora_dropout");
  }

  /** The value that all of them share. */
  private static <T> T common(List<LowRank> updates, Function<LowRank, T> of, String setting) {
    List<T> values = updates.stream().map(of).distinct().toList();
    if (values.size() != 1) {
      throw new IllegalArgumentException(
          "PEFT's "
              + setting
              + " holds for a whole adapter, but this run's modules have "
              + values);
    }
    return values.get(0);
  }

  @Override
  public void write(TrainedAdapter adapter, RunDirectory directory) throws IOException {
    require(adapter);
    String root = ROOT + adapter.encoder().architecture().prefix() + ".";
    Map<String, SafeTensors.Tensor> tensors = new TreeMap<>();
    for (LowRank update : adapter.lowRank()) {
      String key = root + update.path();
      tensors.put(key + ".lora_A.weight", update.a());
      tensors.put(key + ".lora_B.weight", update.b());
      if (update.magnitude() != null) {
        tensors.put(key + ".lora_magnitude_vector", update.magnitude());
      }
    }
    tensors.put(ROOT + HEAD + ".weight", adapter.headWeight());
    tensors.put(ROOT + HEAD + ".bias", adapter.headBias());
    SafeTensors.write(directory.file(WEIGHTS), tensors);
    directory.writeJson(CONFIG, config(adapter));
  }

  /** The fields of PEFT's LoraConfig. */
  private static Map<String, Object> config(TrainedAdapter adapter) {
    List<LowRank> updates = adapter.lowRank();
    Function<LowRank, String> path =
        update -> adapter.encoder().architecture().prefix() + "." + update.path();
    int rank = mostFrequent(updates, LowRank::rank);
    double alpha = mostFrequent(updates, LowRank::alpha);
    Map<String, Object> ranks = new TreeMap<>();
    Map<String, Object> alphas = new TreeMap<>();
    for (LowRank update : updates) {
      if (update.rank() != rank) {
        ranks.put(path.apply(update), update.rank());
      }
      if (update.alpha() != alpha) {
        alphas.put(path.apply(update), number(update.alpha()));
      }
    }
    Map<String, Object> config = new TreeMap<>();
    config.put("peft_type", "LORA");
    config.put("task_type", "SEQ_CLS");
    config.put("base_model_name_or_path", adapter.base());
    config.put("revision", null);
    config.put("auto_mapping", null);
    config.put("inference_mode", true);
    config.put("r", rank);
    config.put("lora_alpha", number(alpha));
    config.put("lora_dropout", common(updates, LowRank::dropout, "lora_dropout"));
    config.put("target_modules", updates.stream().map(path).sorted().toList());
    config.put("rank_pattern", ranks);
    config.put("alpha_pattern", alphas);
    config.put("bias", "none");
    config.put("fan_in_fan_out", false);
    config.put("init_lora_weights", true);
    config.put("layers_to_transform", null);
    config.put("layers_pattern", null);
    config.put("modules_to_save", List.of(HEAD));
    config.put("use_rslora", common(updates, LowRank::rsLora, "use_rslora"));
    config.put("use_dora", updates.get(0).magnitude() != null);
    return config;
  }

  /** As PEFT writes it: a whole number without a point. */
  static Number number(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e9 ? (Number) (int) value : value;
  }

  /** The value that most of them have; of several such the smallest. */
  private static <T extends Comparable<T>> T mostFrequent(
      List<LowRank> updates, Function<LowRank, T> of) {
    Map<T, Long> counts =
        updates.stream().collect(Collectors.groupingBy(of, TreeMap::new, Collectors.counting()));
    long most = Collections.max(counts.values());
    return counts.entrySet().stream()
        .filter(entry -> entry.getValue() == most)
        .map(Map.Entry::getKey)
        .min(Comparator.naturalOrder())
        .orElseThrow();
  }
}
