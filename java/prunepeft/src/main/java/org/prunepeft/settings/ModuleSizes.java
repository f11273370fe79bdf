package org.prunepeft.settings;

import java.util.Objects;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;

/**
 * Settings of modules that a search made smaller.
 *
 * @param lora with the ranks that are left; null: there is no LoRA
 * @param adapter with the bottlenecks that are left; null: there are no adapters
 */
public record ModuleSizes(LoraConfig lora, AdapterConfig adapter) {
  /** Those of a setup that are not another's; null: they are the same. */
  static ModuleSizes between(Setup whole, Setup sized) {
    return Objects.equals(whole.lora(), sized.lora())
            && Objects.equals(whole.adapter(), sized.adapter())
        ? null
        : new ModuleSizes(sized.lora(), sized.adapter());
  }

  /** A setup with these in place of its own. */
  Setup of(Setup setup) {
    return setup.with().lora(lora).adapter(adapter).build();
  }
}
