package org.prunepeft.peft.type;

import org.prunepeft.peft.LoraConfig;
import org.prunepeft.search.Candidate;

/** LoRA, and what {@link LoraConfig} makes of it: DoRA and AdaLoRA. */
interface LoraVariant extends LowRankType {
  LoraConfig config();

  @Override
  default String kind() {
    return Candidate.LORA;
  }

  @Override
  default double dropout() {
    return config().dropout();
  }
}
