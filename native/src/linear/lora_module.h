// A LoRA module as kernels take it: checked, and with its matrices beginning at the first row of the call.
#pragma once

#include "core/philox.h"
#include "prunepeft/linear.h"

namespace prunepeft {

/** Of one call of the kernels: modules on the same rows. */
constexpr int32_t kMostModulesOfARow = PP_MOST_MODULES_OF_A_ROW;

struct LoraModule {
  const void* a;
  int64_t lda;
  const void* b;
  int64_t ldb;
  int64_t rank;
  /** The columns of y that it adds to. */
  int64_t first_column;
  int64_t columns;
  float scale;
  /** Names its masks. */
  uint32_t mask_name;
  /** S, or dS where a function takes that. */
  void* s;
  int64_t lds;
  /** dS, where a function has both; or null. */
  void* ds;
  int64_t ldds;
  float* da;
  int64_t ldda;
  float* db;
  int64_t lddb;
  /** What it drops on the CPU. */
  DropoutMask mask;
  /** The same for CUDA, whose kernels read a counter when they run; null: nothing. */
  const pp_dropout* dropout;
  /** For CUDA: the mask as the forward pass keeps it, or null. */
  uint16_t* kept_mask;
};

}  // namespace prunepeft
