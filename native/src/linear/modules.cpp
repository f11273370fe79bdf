#include "linear/modules.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "core/dropout.h"

namespace prunepeft {
namespace {

/** The gradient products copy a mask 16 bytes at a time. */
constexpr size_t kKeptMaskAlignment = 16;

/** "modules[3].a" */
class Field {
 public:
  explicit Field(int32_t index) : index_(index) {}
  const char* operator()(const char* of) {
    std::snprintf(name_, sizeof name_, "modules[%d].%s", static_cast<int>(index_), of);
    return name_;
  }

 private:
  int32_t index_;
  char name_[48];
};

bool has_work(const ModuleCall& call, const pp_lora_module& module) {
  return call.M > 0 && module.rows > 0;
}

/** A matrix that a call without rows for the module does not touch: its memory is not asked for. */
void check_matrix(Arguments& arguments, const char* name, const pp_matrix& matrix, pp_dtype dtype, int64_t rows, int64_t cols,
                  bool needed) {
  static double nowhere;
  pp_matrix checked = matrix;
  if (!needed && checked.data == nullptr) checked.data = &nowhere;
  arguments.matrix(name, &checked, dtype, rows, cols);
}

void check_module(Arguments& arguments, const ModuleCall& call, const pp_lora_module& module, int32_t index) {
  Field field(index);
  const pp_dtype trained = trained_dtype(call.device, call.dtype);
  const bool needed = has_work(call, module);
  const pp_matrix& narrow = (call.use & kTakesS) != 0 ? module.s : module.ds;
  const char* narrow_name = (call.use & kTakesS) != 0 ? "s" : "ds";
  const int64_t rank = narrow.cols;
  char cols[16];
  std::snprintf(cols, sizeof cols, "%s.cols", narrow_name);
  arguments.at_least(field(cols), rank, 1);
  if (arguments.failed()) return;
  check_matrix(arguments, field(narrow_name), narrow, trained, call.M, rank, needed);
  if ((call.use & kTakesS) != 0 && (call.use & kTakesDs) != 0 && module.ds.data != nullptr)
    check_matrix(arguments, field("ds"), module.ds, trained, call.M, rank, needed);
  arguments.at_least(field("first_row"), module.first_row, 0);
  arguments.at_least(field("rows"), module.rows, 0);
  arguments.at_most(field("rows"), module.rows, call.M);
  if (arguments.failed()) return;
  arguments.at_most(field("first_row"), module.first_row, call.M - module.rows);
  if (call.use & kReadsA) check_matrix(arguments, field("a"), module.a, trained, rank, call.K, needed);
  if (call.use & kWritesDa) check_matrix(arguments, field("da"), module.da, PP_FLOAT32, rank, call.K, needed);
  if (call.use & kReadsB) {
    check_matrix(arguments, field("b"), module.b, trained, Arguments::kAny, rank, needed);
    if (arguments.failed()) return;
    arguments.at_least(field("b.rows"), module.b.rows, 1);
    arguments.at_most(field("b.rows"), module.b.rows, call.N);
    arguments.at_least(field("first_column"), module.first_column, 0);
    arguments.at_most(field("first_column"), module.first_column, call.N - module.b.rows);
  }
  if (call.use & kWritesDb) check_matrix(arguments, field("db"), module.db, PP_FLOAT32, module.b.rows, rank, needed);
  if (call.use & kDrops) {
    check_dropout(arguments, field("dropout"), module.dropout, module.rows, call.K);
    arguments.require(call.device.type == PP_CPU || module.dropout == nullptr ||
                          reinterpret_cast<uintptr_t>(module.kept_mask) % kKeptMaskAlignment == 0,
                      "%s must be at a multiple of %zu bytes, got %p", field("kept_mask"), kKeptMaskAlignment,
                      module.kept_mask);
  }
}

}  // namespace

void check_modules(Arguments& arguments, const ModuleCall& call, const pp_lora_module* modules, int32_t count) {
  arguments.at_least("count", count, 0);
  arguments.at_most("count", count, PP_MOST_MODULES);
  if (count > 0) arguments.not_null("modules", modules);
  for (int32_t i = 0; i < count && !arguments.failed(); ++i) check_module(arguments, call, modules[i], i);
  if (arguments.failed()) return;
  const Runs runs(modules, count);
  const auto no_overlap = [&](bool good, const pp_lora_module& one, const pp_lora_module& other) {
    arguments.require(good,
                      "modules[%d] and modules[%d] must have the same rows or none in common, got %" PRId64 "+%" PRId64
                      " and %" PRId64 "+%" PRId64,
                      static_cast<int>(&one - modules), static_cast<int>(&other - modules), one.first_row, one.rows,
                      other.first_row, other.rows);
  };
  for (int32_t r = 0; r < runs.count && !arguments.failed(); ++r) {
    const Run& run = runs.of[r];
    for (int32_t i = 1; i < run.count; ++i) no_overlap(run.of[i]->rows == run.rows, *run.of[0], *run.of[i]);
    if (r > 0) {
      const Run& before = runs.of[r - 1];
      no_overlap(before.first_row + before.rows <= run.first_row, *before.of[0], *run.of[0]);
    }
    arguments.require(run.count <= kMostModulesOfARow, "at most %d modules may be on the same rows, got %d",
                      static_cast<int>(kMostModulesOfARow), static_cast<int>(run.count));
  }
}

Runs::Runs(const pp_lora_module* modules, int32_t module_count) {
  int32_t with_rows = 0;
  for (int32_t i = 0; i < module_count; ++i)
    if (modules[i].rows > 0) sorted_[with_rows++] = &modules[i];
  std::sort(sorted_.data(), sorted_.data() + with_rows, [](const pp_lora_module* one, const pp_lora_module* other) {
    return one->first_row != other->first_row ? one->first_row < other->first_row : one < other;
  });
  for (int32_t i = 0; i < with_rows; ++i) {
    const pp_lora_module& module = *sorted_[i];
    if (count == 0 || of[count - 1].first_row != module.first_row)
      of[count++] = {module.first_row, module.rows, 0, &sorted_[i]};
    ++of[count - 1].count;
  }
}

void* element(const pp_matrix& matrix, int64_t row, int64_t column) {
  if (matrix.data == nullptr) return nullptr;
  return static_cast<char*>(matrix.data) + static_cast<size_t>(row * matrix.ld + column) * pp_dtype_size(matrix.dtype);
}

LoraModule lora_module(const pp_lora_module& module, const pp_matrix& s, int64_t row, bool on_cpu) {
  return {module.a.data,  module.a.ld,
          module.b.data,  module.b.ld,
          s.cols,         module.first_column,
          module.b.rows,  module.scale,
          module.mask,    element(s, row),
          s.ld,           element(module.ds, row),
          module.ds.ld,   static_cast<float*>(module.da.data),
          module.da.ld,   static_cast<float*>(module.db.data),
          module.db.ld,   on_cpu ? make_mask(module.dropout) : make_mask(nullptr),
          module.dropout, static_cast<uint16_t*>(module.kept_mask)};
}

bool drop_alike(const pp_dropout* one, const pp_dropout* other) {
  const DropoutSpec a = make_spec(one), b = make_spec(other);
  if (a.threshold != b.threshold || a.threshold == 0) return a.threshold == b.threshold;
  return a.seed == b.seed && one->counter == other->counter &&
         (one->counter != nullptr || (one->step == other->step && one->micro_batch == other->micro_batch));
}

}  // namespace prunepeft
