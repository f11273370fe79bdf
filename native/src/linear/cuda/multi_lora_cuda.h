// LoRA of modules on different rows, as one launch for all. Arguments have been checked.
#pragma once

#include "linear/lora_module.h"

namespace prunepeft::cuda {
/** Runs of a call are at most as many. */
constexpr int32_t kMostRuns = 31;

/**
 * Rows of a batch that go through a module. Runs with the same `adapter` are one module: their gradients are those of the
 * calls one after the other.
 */
struct ModuleRows {
  int64_t first_row;
  int64_t rows;
  int32_t adapter;
  LoraModule module;
};

/**
 * 1 to kMostRuns, in rising order of rows, none overlapping; numbers of adapters are less than kMostRuns. Modules
 * begin at the batch's first row, and S of all lie in one matrix, as do dS.
 */
struct ModulesOnRows {
  ModuleRows runs[kMostRuns];
  int32_t count;
};

size_t multi_lora_down_workspace(const pp_matrix& x, const ModulesOnRows& multi);
pp_status multi_lora_down(const pp_device& device, const pp_matrix& x, const ModulesOnRows& multi, void* workspace);
pp_status multi_lora_up(const pp_device& device, const ModulesOnRows& multi, const pp_matrix& y);
size_t multi_lora_grad_up_workspace(const pp_matrix& dy, const ModulesOnRows& multi);
pp_status multi_lora_grad_up(const pp_device& device, const pp_matrix& dy, const ModulesOnRows& multi, bool accumulate,
                             void* workspace);
size_t multi_lora_grad_down_workspace(const pp_matrix& x, const ModulesOnRows& multi);
pp_status multi_lora_grad_down(const pp_device& device, const pp_matrix& x, const ModulesOnRows& multi, bool accumulate,
                               void* workspace);
pp_status multi_lora_grad_input(const pp_device& device, const ModulesOnRows& multi, const pp_matrix& dx);
}  // namespace prunepeft::cuda
