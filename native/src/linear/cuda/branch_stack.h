// LoRA modules as the stack of a skinny product.
#pragma once

#include "linear/lora_module.h"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
/** All branches, with `scale` times their own scale where they have one that matters. */
inline Stack make_stack(const LoraModule* branches, int32_t count, float scale, bool own_scale) {
  Stack stack = {};
  for (int32_t i = 0; i < count; i++) {
    const LoraModule& from = branches[i];
    Branch branch = {};
    branch.a = from.a;
    branch.lda = from.lda;
    branch.s = from.s;
    branch.lds = from.lds;
    branch.gradient = from.da;
    branch.ldg = from.ldda;
    branch.scale = own_scale ? scale * from.scale : scale;
    branch.module = from.module;
    branch.rank = static_cast<int32_t>(from.rank);
    stack.add(branch);
  }
  return stack;
}
}  // namespace prunepeft::cuda
