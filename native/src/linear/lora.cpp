// Entry points of LoRA on a frozen linear: arguments are checked here, once for all devices. Modules that share their rows are
// one call of the kernels; on CUDA, modules on different rows whose S lie in one matrix are one launch.
#include "linear/lora.h"

#include <algorithm>

#include "core/call.h"
#include "cuda/availability.h"
#include "linear/cpu/lora_cpu.h"
#include "linear/cuda/lora_cuda.h"
#include "linear/cuda/multi_lora_cuda.h"
#include "linear/kept_mask.h"
#include "linear/modules.h"

namespace prunepeft {
namespace {

/** What a call of the kernels may hold: modules on one run of rows, in the order of the call. */
struct Batch {
  const Run& run;
  std::array<LoraModule, kMostModulesOfARow> modules;
  int32_t count = 0;
  bool accumulate = false;

  int64_t ranks() const {
    int64_t sum = 0;
    for (int32_t i = 0; i < count; ++i) sum += modules[i].rank;
    return sum;
  }
};

/** How modules become calls of the kernels. */
struct Plan {
  /** S or dS, whichever the modules of the kernels hold. */
  pp_matrix pp_lora_module::*narrow;
  /** The gradient that is written, by which one module on several runs is known; null: none. */
  pp_matrix pp_lora_module::*gradient = nullptr;
  /** Whether the modules' columns matter, and a call of the kernels takes one module. */
  bool by_columns = false;
};

/** Gradients that calls have written already: what comes later is added. */
class Written {
 public:
  bool has(const void* gradient) const { return gradient != nullptr && std::find(of_, of_ + count_, gradient) != of_ + count_; }
  void add(const void* gradient) { of_[count_++] = gradient; }

 private:
  const void* of_[PP_MOST_MODULES];
  int32_t count_ = 0;
};

const void* gradient_of(const Plan& plan, const pp_lora_module& module) {
  return plan.gradient == nullptr ? nullptr : (module.*plan.gradient).data;
}

/** Calls `call(batch)` for the runs' modules, as many at once as one call of the kernels takes. */
template <class Call>
pp_status for_batches(const pp_device& device, const Runs& runs, const Plan& plan, Call call) {
  Written written;
  for (int32_t r = 0; r < runs.count; ++r) {
    const Run& run = runs.of[r];
    for (int32_t i = 0; i < run.count;) {
      Batch batch{run, {}};
      for (; i < run.count; ++i) {
        const pp_lora_module& module = *run.of[i];
        const bool added = written.has(gradient_of(plan, module));
        const bool joins = !plan.by_columns && added == batch.accumulate &&
                           (device.type == PP_CPU || drop_alike(module.dropout, batch.modules[0].dropout));
        if (batch.count > 0 && !joins) break;
        batch.accumulate = added;
        batch.modules[batch.count++] = lora_module(module, module.*plan.narrow, run.first_row, device.type == PP_CPU);
        if (plan.gradient != nullptr) written.add(gradient_of(plan, module));
      }
      const pp_status status = call(batch);
      if (status != PP_OK) return status;
    }
  }
  return PP_OK;
}

/** Modules on different rows that one launch takes. */
struct Group {
  const pp_lora_module* first = nullptr;
  cuda::ModulesOnRows multi = {};
  bool accumulate = false;
};

bool same_place(const pp_matrix& one, const pp_matrix& other) {
  return one.data == other.data && one.ld == other.ld;
}

bool fits(const Plan& plan, const Group& group, const pp_lora_module& module) {
  if (group.first == nullptr) return true;
  const pp_lora_module& first = *group.first;
  return group.multi.count < cuda::kMostRuns && same_place(first.s, module.s) && same_place(first.ds, module.ds) &&
         (!plan.by_columns || (first.first_column == module.first_column && first.b.rows == module.b.rows)) &&
         group.multi.runs[group.multi.count - 1].first_row < module.first_row;
}

/** The number of the module in the group that has this gradient; a new one if none has. */
int32_t adapter_of(const Group& group, const void* gradient) {
  for (int32_t i = 0; i < group.multi.count && gradient != nullptr; ++i) {
    const LoraModule& module = group.multi.runs[i].module;
    if (module.da == gradient || module.db == gradient) return group.multi.runs[i].adapter;
  }
  return group.multi.count;
}

/** Calls `call(group)` for modules on several runs, as many at once as one launch takes. */
template <class Call>
pp_status for_groups(const Runs& runs, const Plan& plan, Call call) {
  std::array<const pp_lora_module*, PP_MOST_MODULES> left;
  int32_t count = 0;
  for (int32_t r = 0; r < runs.count; ++r)
    for (int32_t i = 0; i < runs.of[r].count; ++i) left[count++] = runs.of[r].of[i];
  Written written;
  while (count > 0) {
    Group group;
    int32_t kept = 0;
    for (int32_t i = 0; i < count; ++i) {
      const pp_lora_module& module = *left[i];
      const void* gradient = gradient_of(plan, module);
      const bool accumulate = written.has(gradient);
      if (!fits(plan, group, module) || (group.first != nullptr && accumulate != group.accumulate)) {
        left[kept++] = &module;
        continue;
      }
      if (group.first == nullptr) group.first = &module;
      group.accumulate = accumulate;
      cuda::ModulesOnRows& multi = group.multi;
      const int32_t adapter = adapter_of(group, gradient);
      multi.runs[multi.count++] = {module.first_row, module.rows, adapter, lora_module(module, module.*plan.narrow, 0, false)};
    }
    for (int32_t i = 0; i < group.multi.count && plan.gradient != nullptr; ++i) {
      const LoraModule& module = group.multi.runs[i].module;
      written.add(plan.by_columns ? module.db : module.da);
    }
    count = kept;
    const pp_status status = call(group);
    if (status != PP_OK) return status;
  }
  return PP_OK;
}

/** Whether a call is several launches of a run each, or one launch for many runs. */
bool takes_groups(const pp_device& device, const Runs& runs) {
  return is_cuda(&device) && runs.count > 1;
}

/** So many rows and columns of a matrix. */
pp_matrix part(const pp_matrix& matrix, int64_t row, int64_t rows, int64_t column, int64_t columns) {
  return {element(matrix, row, column), rows, columns, matrix.ld, matrix.dtype};
}

/** A batch's rows. */
pp_matrix rows_of(const pp_matrix& matrix, const Batch& batch) {
  return part(matrix, batch.run.first_row, batch.run.rows, 0, matrix.cols);
}

/** A batch's rows and its module's columns. */
pp_matrix columns_of(const pp_matrix& matrix, const Batch& batch) {
  const LoraModule& one = batch.modules[0];
  return part(matrix, batch.run.first_row, batch.run.rows, one.first_column, one.columns);
}

/** The columns of a group. */
pp_matrix columns_of(const pp_matrix& matrix, const Group& group) {
  return part(matrix, 0, matrix.rows, group.first->first_column, group.first->b.rows);
}

/** What all functions check; `wide` is x or y or the gradient of one. */
pp_status check_call(const pp_context* context, const char* name, const pp_matrix* wide, const pp_lora_module* modules,
                     int32_t count, unsigned use) {
  Arguments arguments;
  if (!arguments.first(context, name, wide)) return arguments.status();
  const pp_device& device = context->device;
  const bool trains = (use & (kWritesDa | kWritesDb)) != 0, is_y = (use & kReadsB) != 0;
  const pp_status supported = trains ? check_trainable(&device, wide->dtype) : check_supported(&device, wide->dtype);
  if (supported != PP_OK) return supported;
  check_modules(
      arguments,
      {device, wide->dtype, wide->rows, is_y ? Arguments::kAny : wide->cols, is_y ? wide->cols : Arguments::kAny, use}, modules,
      count);
  return arguments.status();
}

}  // namespace

pp_status lora_down(Room& room, const pp_matrix& x, const pp_lora_module* modules, int32_t count) {
  const pp_device& device = room.device();
  const Runs runs(modules, count);
  const Plan plan{&pp_lora_module::s};
  if constexpr (kCuda) {
    if (takes_groups(device, runs)) {
      return for_groups(runs, plan, [&](const Group& group) {
        return room.with(cuda::multi_lora_down_workspace(x, group.multi),
                         [&](void* memory) { return cuda::multi_lora_down(device, x, group.multi, memory); });
      });
    }
  }
  return for_batches(device, runs, plan, [&](const Batch& batch) {
    const pp_matrix own = rows_of(x, batch);
    const LoraModule* const of = batch.modules.data();
    if constexpr (kCuda) {
      if (is_cuda(&device)) {
        return room.with(cuda::lora_down_workspace(own, batch.ranks()),
                         [&](void* memory) { return cuda::lora_down(device, own, of, batch.count, memory); });
      }
    }
    return room.with(lora_down_cpu_workspace(own.cols, batch.ranks()), [&](void* memory) {
      lora_cpu().down({own.rows, own.cols, static_cast<const float*>(own.data), own.ld, of, batch.count, memory});
      return PP_OK;
    });
  });
}

pp_status lora_up(Room& room, const pp_lora_module* modules, int32_t count, const pp_matrix& y, bool accumulate) {
  const pp_device& device = room.device();
  const Runs runs(modules, count);
  const Plan plan{&pp_lora_module::s, nullptr, true};
  if constexpr (kCuda) {
    if (takes_groups(device, runs) && accumulate) {
      return for_groups(runs, plan, [&](const Group& group) {
        return room.with(0, [&](void*) { return cuda::multi_lora_up(device, group.multi, columns_of(y, group)); });
      });
    }
  }
  return for_batches(device, runs, plan, [&](const Batch& batch) {
    const LoraModule& one = batch.modules[0];
    const pp_matrix own = columns_of(y, batch);
    if constexpr (kCuda) {
      if (is_cuda(&device)) return room.with(0, [&](void*) { return cuda::lora_up(device, one, own, accumulate); });
    }
    return room.with(lora_up_cpu_workspace(own.cols, one.rank), [&](void* memory) {
      lora_cpu().up({own.rows, own.cols, one.rank, static_cast<const float*>(one.s), one.lds, static_cast<const float*>(one.b),
                     one.ldb, static_cast<float*>(own.data), own.ld, accumulate, memory});
      return PP_OK;
    });
  });
}

pp_status lora_grad_input(Room& room, const pp_lora_module* modules, int32_t count, const pp_matrix& dx, bool accumulate) {
  const pp_device& device = room.device();
  const Runs runs(modules, count);
  const Plan plan{&pp_lora_module::ds};
  if constexpr (kCuda) {
    if (takes_groups(device, runs) && accumulate) {
      return for_groups(runs, plan, [&](const Group& group) {
        return room.with(0, [&](void*) { return cuda::multi_lora_grad_input(device, group.multi, dx); });
      });
    }
  }
  int64_t written_rows = 0;  // up to where runs have been overwritten
  return for_batches(device, runs, plan, [&](const Batch& batch) {
    const bool adds = accumulate || batch.run.first_row < written_rows;
    written_rows = batch.run.first_row + batch.run.rows;
    const pp_matrix own = rows_of(dx, batch);
    const LoraModule* const of = batch.modules.data();
    if constexpr (kCuda) {
      if (is_cuda(&device))
        return room.with(0, [&](void*) { return cuda::lora_grad_input(device, of, batch.count, own, adds); });
    }
    return room.with(lora_grad_input_cpu_workspace(own.cols, batch.ranks()), [&](void* memory) {
      lora_cpu().grad_input({own.rows, own.cols, of, batch.count, static_cast<float*>(own.data), own.ld, adds, memory});
      return PP_OK;
    });
  });
}

pp_status lora_grad_up(Room& room, const pp_matrix& dy, const pp_lora_module* modules, int32_t count) {
  const pp_device& device = room.device();
  const Runs runs(modules, count);
  const Plan plan{&pp_lora_module::s, &pp_lora_module::db, true};
  if constexpr (kCuda) {
    if (takes_groups(device, runs)) {
      return for_groups(runs, plan, [&](const Group& group) {
        const pp_matrix own = columns_of(dy, group);
        return room.with(cuda::multi_lora_grad_up_workspace(own, group.multi), [&](void* memory) {
          return cuda::multi_lora_grad_up(device, own, group.multi, group.accumulate, memory);
        });
      });
    }
  }
  return for_batches(device, runs, plan, [&](const Batch& batch) {
    const LoraModule& one = batch.modules[0];
    const pp_matrix own = columns_of(dy, batch);
    if constexpr (kCuda) {
      if (is_cuda(&device)) {
        return room.with(cuda::lora_grad_up_workspace(own, one),
                         [&](void* memory) { return cuda::lora_grad_up(device, own, one, batch.accumulate, memory); });
      }
    }
    return room.with(lora_grad_up_cpu_workspace(own.rows, own.cols, one.rank), [&](void* memory) {
      lora_gradients_cpu(dy.dtype).grad_up({own.rows, own.cols, one.rank, own.data, own.ld, static_cast<const float*>(one.b),
                                            one.ldb, static_cast<const float*>(one.s), one.lds, one.scale,
                                            static_cast<float*>(one.ds), one.ldds, one.db, one.lddb, batch.accumulate, memory});
      return PP_OK;
    });
  });
}

pp_status lora_grad_down(Room& room, const pp_matrix& x, const pp_lora_module* modules, int32_t count) {
  const pp_device& device = room.device();
  const Runs runs(modules, count);
  const Plan plan{&pp_lora_module::ds, &pp_lora_module::da};
  if constexpr (kCuda) {
    if (takes_groups(device, runs)) {
      return for_groups(runs, plan, [&](const Group& group) {
        return room.with(cuda::multi_lora_grad_down_workspace(x, group.multi), [&](void* memory) {
          return cuda::multi_lora_grad_down(device, x, group.multi, group.accumulate, memory);
        });
      });
    }
  }
  return for_batches(device, runs, plan, [&](const Batch& batch) {
    const pp_matrix own = rows_of(x, batch);
    const LoraModule* const of = batch.modules.data();
    if constexpr (kCuda) {
      if (is_cuda(&device)) {
        return room.with(cuda::lora_grad_down_workspace(own, batch.ranks()), [&](void* memory) {
          return cuda::lora_grad_down(device, own, of, batch.count, batch.accumulate, memory);
        });
      }
    }
    return room.with(lora_grad_down_cpu_workspace(own.rows, own.cols, batch.ranks()), [&](void* memory) {
      lora_gradients_cpu(x.dtype).grad_down({own.rows, own.cols, own.data, own.ld, of, batch.count, batch.accumulate, memory});
      return PP_OK;
    });
  });
}

}  // namespace prunepeft

using namespace prunepeft;

size_t pp_kept_mask_bytes(int64_t rows, int64_t K) {
  if (rows < 1 || K < 1) return 0;
  size_t bytes = sizeof(uint16_t);
  const auto strips = static_cast<size_t>((K - 1) / kKeptColumns + 1), groups = static_cast<size_t>((rows - 1) / kKeptRows + 1);
  const bool overflows =
      __builtin_mul_overflow(bytes * kKeptRows, strips, &bytes) || __builtin_mul_overflow(bytes, groups, &bytes);
  return overflows ? SIZE_MAX : bytes;
}

pp_status pp_lora_down(const pp_context* context, const pp_matrix* x, const pp_lora_module* modules, int32_t count) {
  const Call call;
  const pp_status status = check_call(context, "x", x, modules, count, kReadsA | kTakesS | kDrops);
  if (status != PP_OK) return status;
  return Room::of(*context, [&](Room& room) { return lora_down(room, *x, modules, count); });
}

pp_status pp_lora_up(const pp_context* context, const pp_lora_module* modules, int32_t count, const pp_matrix* y,
                     int32_t accumulate) {
  const Call call;
  const pp_status status = check_call(context, "y", y, modules, count, kReadsB | kTakesS);
  if (status != PP_OK) return status;
  return Room::of(*context, [&](Room& room) { return lora_up(room, modules, count, *y, accumulate != 0); });
}

pp_status pp_lora_grad_up(const pp_context* context, const pp_matrix* dy, const pp_lora_module* modules, int32_t count) {
  const Call call;
  const pp_status status = check_call(context, "dy", dy, modules, count, kReadsB | kTakesS | kTakesDs | kWritesDb);
  if (status != PP_OK) return status;
  return Room::of(*context, [&](Room& room) { return lora_grad_up(room, *dy, modules, count); });
}

pp_status pp_lora_grad_down(const pp_context* context, const pp_matrix* x, const pp_lora_module* modules, int32_t count) {
  const Call call;
  const pp_status status = check_call(context, "x", x, modules, count, kTakesDs | kWritesDa | kDrops);
  if (status != PP_OK) return status;
  return Room::of(*context, [&](Room& room) { return lora_grad_down(room, *x, modules, count); });
}

pp_status pp_lora_grad_input(const pp_context* context, const pp_lora_module* modules, int32_t count, const pp_matrix* dx,
                             int32_t accumulate) {
  const Call call;
  const pp_status status = check_call(context, "dx", dx, modules, count, kReadsA | kTakesDs | kDrops);
  if (status != PP_OK) return status;
  return Room::of(*context, [&](Room& room) { return lora_grad_input(room, modules, count, *dx, accumulate != 0); });
}
