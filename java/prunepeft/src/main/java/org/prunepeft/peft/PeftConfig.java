package org.prunepeft.peft;

import java.util.ArrayList;
import java.util.List;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;

/**
 * The kinds of modules that every layer of the supernet holds.
 *
 * @param types at least one, their names distinct
 */
public record PeftConfig(List<ModuleType> types) {
  public PeftConfig {
    types = List.copyOf(types);
    if (types.isEmpty()) {
      throw new IllegalArgumentException("a supernet needs at least one kind of module");
    }
    if (types.stream().map(ModuleType::name).distinct().count() != types.size()) {
      throw new IllegalArgumentException("the kinds of modules must have distinct names");
    }
  }

  /** LoRA and a serial adapter in every layer; a null configuration leaves the kind out. */
  public static PeftConfig of(LoraConfig lora, AdapterConfig adapter) {
    List<ModuleType> types = new ArrayList<>();
    if (lora != null) {
      types.add(new Lora(lora));
    }
    if (adapter != null) {
      types.add(new SerialAdapter(adapter));
    }
    return new PeftConfig(types);
  }

  /** All candidate modules for an encoder. */
  public SearchSpace space(EncoderConfig encoder) {
    List<Candidate> candidates = new ArrayList<>();
    for (int layer = 0; layer < encoder.layers(); layer++) {
      for (ModuleType type : types) {
        long count =
            type.parameters(encoder, layer).stream().mapToLong(ModuleType.Parameter::count).sum();
        candidates.add(
            new Candidate(
                PeftModules.candidateName(type.name(), layer), layer, type.name(), count));
      }
    }
    return new SearchSpace(encoder.layers(), candidates);
  }

  /** The kind of that name. */
  public ModuleType type(String name) {
    return types.stream()
        .filter(type -> type.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no kind of module is named " + name));
  }
}
