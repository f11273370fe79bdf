package org.prunepeft.peft.supernet;

import java.util.ArrayList;
import java.util.List;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.type.BuiltInTypes;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;

/**
 * The modules that every layer of the supernet holds.
 *
 * @param types at least one, their names distinct
 */
public record PeftConfig(List<ModuleType> types) {
  public PeftConfig {
    types = List.copyOf(types);
    if (types.isEmpty()) {
      throw new IllegalArgumentException("a supernet needs at least one module a layer");
    }
    if (types.stream().map(ModuleType::name).distinct().count() != types.size()) {
      throw new IllegalArgumentException("the modules of a layer must have distinct names");
    }
  }

  /** Low-rank updates and bottleneck adapters; a null configuration leaves the kind out. */
  public static PeftConfig of(LoraConfig lora, AdapterConfig adapter) {
    return of(lora, adapter, List.of());
  }

  /**
   * The same, and other types after them.
   *
   * @throws IllegalArgumentException if there is no type at all
   */
  public static PeftConfig of(LoraConfig lora, AdapterConfig adapter, List<ModuleType> others) {
    List<ModuleType> types = new ArrayList<>(BuiltInTypes.of(lora, adapter));
    types.addAll(others);
    return new PeftConfig(types);
  }

  /** All candidate modules for an encoder. */
  public SearchSpace space(EncoderConfig encoder) {
    List<Candidate> candidates = new ArrayList<>();
    for (int layer = 0; layer < encoder.layers(); layer++) {
      for (ModuleType type : types) {
        long count =
            type.parameters(encoder, layer).stream().mapToLong(ModuleType.Parameter::count).sum();
        candidates.add(new Candidate(type.moduleName(layer), layer, type.kind(), count));
      }
    }
    return new SearchSpace(encoder.layers(), candidates);
  }

  /** The kinds of modules, in order. */
  public List<String> kinds() {
    return types.stream().map(ModuleType::kind).distinct().toList();
  }

  /**
   * What a module of the space is.
   *
   * @throws IllegalArgumentException if it is none of the space
   */
  public ModuleType typeOf(Candidate module) {
    return types.stream()
        .filter(type -> type.moduleName(module.layer()).equals(module.name()))
        .findFirst()
        .orElseThrow(
            () -> new IllegalArgumentException("the configuration has no module " + module.name()));
  }
}
