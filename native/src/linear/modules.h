// The modules of a call: checked, and handed to the kernels by the rows that they share.
#pragma once

#include <array>

#include "core/arguments.h"
#include "linear/lora_module.h"

namespace prunepeft {

/** Which matrices of a module a function uses, beside S or dS, and what it does with them. */
enum ModuleUse : unsigned {
  kReadsA = 1,
  kReadsB = 2,
  kTakesS = 4,   // S, read or written
  kTakesDs = 8,  // dS
  kWritesDa = 16,
  kWritesDb = 32,
  kDrops = 128,  // draws masks
};

/** What the modules of a call are checked against. */
struct ModuleCall {
  pp_device device;
  pp_dtype dtype;
  /** Rows of x and y; columns of x and of y, or Arguments::kAny where the function has no such matrix. */
  int64_t M, K, N;
  unsigned use;
};

void check_modules(Arguments& arguments, const ModuleCall& call, const pp_lora_module* modules, int32_t count);

/** Modules on the same rows, in the order of the call. */
struct Run {
  int64_t first_row;
  int64_t rows;
  int32_t count;
  const pp_lora_module* const* of;
};

/** The runs of rows that have modules and are not empty, by their first row. */
class Runs {
 public:
  Runs(const pp_lora_module* modules, int32_t module_count);
  Runs(const Runs&) = delete;
  /** All modules on all rows, or none at all. */
  bool is_whole(int64_t M) const { return count == 0 || (count == 1 && of[0].first_row == 0 && of[0].rows == M); }

  std::array<Run, PP_MOST_MODULES> of;
  int32_t count = 0;

 private:
  std::array<const pp_lora_module*, PP_MOST_MODULES> sorted_;
};

/** Element (row, column) of a matrix; null without data. */
void* element(const pp_matrix& matrix, int64_t row, int64_t column = 0);

/** A module as the kernels take it, S being the matrix `s`, from row `row` on; its mask for the CPU if `on_cpu`. */
LoraModule lora_module(const pp_lora_module& module, const pp_matrix& s, int64_t row, bool on_cpu);

/** Whether two modules drop alike, but for their masks' names. */
bool drop_alike(const pp_dropout* one, const pp_dropout* other);

}  // namespace prunepeft
