package org.prunepeft.peft.type;

import java.util.ArrayList;
import java.util.List;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.search.Candidate;

/** The library's own module types, by their settings. A new one is registered here. */
public final class BuiltInTypes {
  private BuiltInTypes() {}

  /** Those of a layer; a null configuration leaves the kind out. */
  public static List<ModuleType> of(LoraConfig lora, AdapterConfig adapter) {
    List<ModuleType> types = new ArrayList<>();
    if (lora != null && Boolean.TRUE.equals(lora.perProjection())) {
      lora.targets()
          .forEach(
              target -> types.add(lowRank(lora, Candidate.LORA + "." + target, List.of(target))));
    } else if (lora != null) {
      types.add(lowRank(lora, Candidate.LORA, lora.targets()));
    }
    if (adapter != null) {
      types.addAll(BottleneckAdapter.of(adapter));
    }
    return types;
  }

  private static ModuleType lowRank(LoraConfig config, String name, List<String> targets) {
    if (config.adaLora() != null) {
      return new AdaLora(config, name, targets);
    }
    return config.dora() ? new Dora(config, name, targets) : new Lora(config, name, targets);
  }
}
