// LoRA modules as the stack of a skinny product.
#pragma once

#include "linear/lora_module.h"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
/** All modules, with `scale` times their own scale where they have one that matters. */
inline Stack make_stack(const LoraModule* modules, int32_t count, float scale, bool own_scale) {
  Stack stack = {};
  for (int32_t i = 0; i < count; i++) {
    const LoraModule& from = modules[i];
    StackedModule module = {};
    module.a = from.a;
    module.lda = from.lda;
    module.s = from.s;
    module.lds = from.lds;
    module.gradient = from.da;
    module.ldg = from.ldda;
    module.kept = from.kept_mask;
    module.scale = own_scale ? scale * from.scale : scale;
    module.mask_name = from.mask_name;
    module.rank = static_cast<int32_t>(from.rank);
    stack.add(module);
  }
  stack.cut();
  return stack;
}
}  // namespace prunepeft::cuda
