// The door of LoRA on a frozen linear: arguments are checked here, once for all devices. Modules that share their rows are the
// branches of one call of the kernels; on CUDA, modules on different rows whose S lie in one matrix are one launch.
#include "linear/lora.h"

#include <algorithm>

#include "core/context.h"
#include "core/dropout.h"
#include "cuda/availability.h"
#include "linear/cpu/lora_cpu.h"
#include "linear/cuda/lora_cuda.h"
#include "linear/cuda/multi_lora_cuda.h"
#include "linear/modules.h"

namespace prunepeft {
namespace {

constexpr auto kAny = Arguments::kAny;

/** What a call of the kernels may hold: modules on one run of rows, in the order of the call. */
struct Batch {
  const Run& run;
  std::array<LoraBranch, kMostBranches> branches;
  int32_t count = 0;
  bool accumulate = false;

  int64_t ranks() const {
    int64_t sum = 0;
    for (int32_t i = 0; i < count; ++i) sum += branches[i].rank;
    return sum;
  }
  DropoutSpec dropout() const { return make_spec(branches[0].dropout); }
};

/** How modules become calls of the kernels. */
struct Plan {
  /** S or dS, whichever the branches of the kernels hold. */
  pp_matrix pp_lora_module::*narrow;
  /** The gradient that is written, by which one module on several runs is known; null: none. */
  pp_matrix pp_lora_module::*gradient = nullptr;
  bool accumulate = false;
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
      Batch batch{run, {}, 0, plan.accumulate};
      for (; i < run.count; ++i) {
        const pp_lora_module& module = *run.of[i];
        const bool added = plan.accumulate || written.has(gradient_of(plan, module));
        const bool joins = !plan.by_columns && added == batch.accumulate &&
                           (device.type == PP_CPU || drop_alike(module.dropout, batch.branches[0].dropout));
        if (batch.count > 0 && !joins) break;
        batch.accumulate = added;
        batch.branches[batch.count++] = make_branch(module, module.*plan.narrow, run.first_row, device.type == PP_CPU);
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
  cuda::MultiLora multi = {};
  bool accumulate = false;
};

bool same_place(const pp_matrix& one, const pp_matrix& other) {
  return one.data == other.data && one.ld == other.ld;
}

bool fits(const Plan& plan, const Group& group, const pp_lora_module& module) {
  if (group.first == nullptr) return true;
  const pp_lora_module& first = *group.first;
  return group.multi.count < cuda::kMostSegments && same_place(first.s, module.s) && same_place(first.ds, module.ds) &&
         (!plan.by_columns || (first.first_column == module.first_column && first.b.rows == module.b.rows)) &&
         group.multi.segments[group.multi.count - 1].first_row < module.first_row;
}

/** The number of the module in the group that has this gradient; a new one if none has. */
int32_t adapter_of(const Group& group, const void* gradient) {
  for (int32_t i = 0; i < group.multi.count && gradient != nullptr; ++i) {
    const LoraBranch& branch = group.multi.segments[i].branch;
    if (branch.da == gradient || branch.db == gradient) return group.multi.segments[i].adapter;
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
      const bool accumulate = plan.accumulate || written.has(gradient);
      if (!fits(plan, group, module) || (group.first != nullptr && accumulate != group.accumulate)) {
        left[kept++] = &module;
        continue;
      }
      if (group.first == nullptr) group.first = &module;
      group.accumulate = accumulate;
      cuda::MultiLora& multi = group.multi;
      const int32_t adapter = adapter_of(group, gradient);
      multi.segments[multi.count++] = {module.first_row, module.rows, adapter,
                                       make_branch(module, module.*plan.narrow, 0, false)};
    }
    for (int32_t i = 0; i < group.multi.count && plan.gradient != nullptr; ++i) {
      const LoraBranch& branch = group.multi.segments[i].branch;
      written.add(plan.by_columns ? branch.db : branch.da);
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

template <class T>
T* rows_from(const pp_matrix& matrix, int64_t row) {
  return static_cast<T*>(element(matrix, row));
}

/** With a workspace of so many bytes: `work(memory)`. */
template <class Work>
pp_status with_workspace(const pp_context& context, size_t bytes, Work work) {
  void* memory;
  const pp_status status = take_workspace(context, bytes, &memory);
  return status == PP_OK ? work(memory) : status;
}

}  // namespace

pp_status lora_down(const pp_context& context, const pp_matrix& x, const pp_lora_module* modules, int32_t count) {
  const pp_device& device = context.device;
  const int64_t K = x.cols;
  const Runs runs(modules, count);
  const Plan plan{&pp_lora_module::s};
  if constexpr (kCuda) {
    if (takes_groups(device, runs)) {
      return for_groups(runs, plan, [&](const Group& group) {
        const pp_matrix& s = group.first->s;
        return with_workspace(context, cuda::multi_lora_down_workspace(K, group.multi), [&](void* memory) {
          return cuda::multi_lora_down(device, x.dtype, K, x.data, x.ld, group.multi, s.data, s.ld, memory);
        });
      });
    }
    if (is_cuda(&device)) {
      return for_batches(device, runs, plan, [&](const Batch& batch) {
        const int64_t rows = batch.run.rows;
        return with_workspace(context, cuda::lora_down_workspace(rows, K, batch.ranks()), [&](void* memory) {
          return cuda::lora_down(device, x.dtype, rows, K, rows_from<void>(x, batch.run.first_row), x.ld, batch.branches.data(),
                                 batch.count, batch.dropout(), memory);
        });
      });
    }
  }
  return for_batches(device, runs, plan, [&](const Batch& batch) {
    return with_workspace(context, lora_down_cpu_workspace(K, batch.ranks()), [&](void* memory) {
      lora_cpu().down({batch.run.rows, K, rows_from<const float>(x, batch.run.first_row), x.ld, batch.branches.data(),
                       batch.count, memory});
      return PP_OK;
    });
  });
}

pp_status lora_up(const pp_context& context, const pp_lora_module* modules, int32_t count, const pp_matrix& y,
                  bool accumulate) {
  const pp_device& device = context.device;
  const Runs runs(modules, count);
  const Plan plan{&pp_lora_module::s, nullptr, accumulate, true};
  if constexpr (kCuda) {
    if (takes_groups(device, runs) && accumulate) {
      return for_groups(runs, plan, [&](const Group& group) {
        const pp_lora_module& first = *group.first;
        return cuda::multi_lora_up(device, y.dtype, first.b.rows, group.multi, first.s.data, first.s.ld,
                                   element(y, 0, first.first_column), y.ld);
      });
    }
    if (is_cuda(&device)) {
      return for_batches(device, runs, plan, [&](const Batch& batch) {
        const LoraBranch& one = batch.branches[0];
        return cuda::lora_up(device, y.dtype, batch.run.rows, one.columns, one.rank, one.s, one.lds, one.b, one.ldb,
                             element(y, batch.run.first_row, one.first_column), y.ld, accumulate);
      });
    }
  }
  return for_batches(device, runs, plan, [&](const Batch& batch) {
    const LoraBranch& one = batch.branches[0];
    return with_workspace(context, lora_up_cpu_workspace(one.columns, one.rank), [&](void* memory) {
      lora_cpu().up({batch.run.rows, one.columns, one.rank, static_cast<const float*>(one.s), one.lds,
                     static_cast<const float*>(one.b), one.ldb,
                     static_cast<float*>(element(y, batch.run.first_row, one.first_column)), y.ld, accumulate, memory});
      return PP_OK;
    });
  });
}

pp_status lora_grad_input(const pp_context& context, const pp_lora_module* modules, int32_t count, const pp_matrix& dx,
                          bool accumulate) {
  const pp_device& device = context.device;
  const int64_t K = dx.cols;
  const Runs runs(modules, count);
  const Plan plan{&pp_lora_module::ds};
  if constexpr (kCuda) {
    if (takes_groups(device, runs) && accumulate) {
      return for_groups(runs, plan, [&](const Group& group) {
        const pp_matrix& ds = group.first->ds;
        return cuda::multi_lora_grad_input(device, dx.dtype, K, group.multi, ds.data, ds.ld, dx.data, dx.ld);
      });
    }
  }
  int64_t written_rows = accumulate ? 0 : -1;  // up to where a run has been overwritten
  return for_batches(device, runs, plan, [&](const Batch& batch) {
    const int64_t rows = batch.run.rows, first_row = batch.run.first_row;
    const bool adds = accumulate || first_row < written_rows;
    written_rows = first_row + rows;
    void* const to = rows_from<void>(dx, first_row);
    if constexpr (kCuda) {
      if (is_cuda(&device)) {
        return cuda::lora_grad_input(device, dx.dtype, rows, K, batch.branches.data(), batch.count, batch.dropout(), to, dx.ld,
                                     adds);
      }
    }
    return with_workspace(context, lora_grad_input_cpu_workspace(K, batch.ranks()), [&](void* memory) {
      lora_cpu().grad_input({rows, K, batch.branches.data(), batch.count, static_cast<float*>(to), dx.ld, adds, memory});
      return PP_OK;
    });
  });
}

}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_lora_down(const pp_context* context, const pp_matrix* x, const pp_lora_module* modules, int32_t count) {
  Arguments arguments;
  arguments.context(context);
  if (!arguments.failed()) arguments.not_null("x", x);
  if (arguments.failed() || !arguments.matrix("x", x, x->dtype, kAny, kAny)) return arguments.status();
  const pp_status supported = check_supported(&context->device, x->dtype);
  if (supported != PP_OK) return supported;
  check_modules(arguments, {context->device, x->dtype, x->rows, x->cols, kAny, kReadsA | kTakesS | kDrops}, modules, count);
  return arguments.failed() ? arguments.status() : lora_down(*context, *x, modules, count);
}

pp_status pp_lora_up(const pp_context* context, const pp_lora_module* modules, int32_t count, const pp_matrix* y,
                     int32_t accumulate) {
  Arguments arguments;
  arguments.context(context);
  if (!arguments.failed()) arguments.not_null("y", y);
  if (arguments.failed() || !arguments.matrix("y", y, y->dtype, kAny, kAny)) return arguments.status();
  const pp_status supported = check_supported(&context->device, y->dtype);
  if (supported != PP_OK) return supported;
  check_modules(arguments, {context->device, y->dtype, y->rows, kAny, y->cols, kReadsB | kTakesS}, modules, count);
  return arguments.failed() ? arguments.status() : lora_up(*context, modules, count, *y, accumulate != 0);
}

pp_status pp_lora_grad_up(const pp_context* context, const pp_matrix* dy, const pp_lora_module* modules, int32_t count,
                          int32_t accumulate) {
  Arguments arguments;
  arguments.context(context);
  if (!arguments.failed()) arguments.not_null("dy", dy);
  if (arguments.failed() || !arguments.matrix("dy", dy, dy->dtype, kAny, kAny)) return arguments.status();
  const pp_device& device = context->device;
  const pp_status supported = check_trainable(&device, dy->dtype);
  if (supported != PP_OK) return supported;
  check_modules(arguments, {device, dy->dtype, dy->rows, kAny, dy->cols, kReadsB | kTakesS | kTakesDs | kWritesDb}, modules,
                count);
  if (arguments.failed()) return arguments.status();
  const Runs runs(modules, count);
  const Plan plan{&pp_lora_module::s, &pp_lora_module::db, accumulate != 0, true};
  if constexpr (kCuda) {
    if (takes_groups(device, runs)) {
      return for_groups(runs, plan, [&](const Group& group) {
        const pp_lora_module& first = *group.first;
        const int64_t N = first.b.rows;
        return with_workspace(*context, cuda::multi_lora_grad_up_workspace(dy->dtype, N, group.multi), [&](void* memory) {
          return cuda::multi_lora_grad_up(device, dy->dtype, N, element(*dy, 0, first.first_column), dy->ld, group.multi,
                                          first.s.data, first.s.ld, first.ds.data, first.ds.ld, group.accumulate, memory);
        });
      });
    }
  }
  return for_batches(device, runs, plan, [&](const Batch& batch) {
    const LoraBranch& one = batch.branches[0];
    const int64_t rows = batch.run.rows, first_row = batch.run.first_row;
    const void* from = element(*dy, first_row, one.first_column);
    if constexpr (kCuda) {
      if (is_cuda(&device)) {
        return with_workspace(
            *context, cuda::lora_grad_up_workspace(dy->dtype, rows, one.columns, one.rank), [&](void* memory) {
              return cuda::lora_grad_up(device, dy->dtype, rows, one.columns, one.rank, from, dy->ld, one.b, one.ldb, one.s,
                                        one.lds, one.scale, one.ds, one.ldds, one.db, one.lddb, batch.accumulate, memory);
            });
      }
    }
    return with_workspace(*context, lora_grad_up_cpu_workspace(rows, one.columns, one.rank), [&](void* memory) {
      lora_gradients_cpu(dy->dtype).grad_up({rows, one.columns, one.rank, from, dy->ld, static_cast<const float*>(one.b),
                                             one.ldb, static_cast<const float*>(one.s), one.lds, one.scale,
                                             static_cast<float*>(one.ds), one.ldds, one.db, one.lddb, batch.accumulate,
                                             memory});
      return PP_OK;
    });
  });
}

pp_status pp_lora_grad_down(const pp_context* context, const pp_matrix* x, const pp_lora_module* modules, int32_t count,
                            int32_t accumulate) {
  Arguments arguments;
  arguments.context(context);
  if (!arguments.failed()) arguments.not_null("x", x);
  if (arguments.failed() || !arguments.matrix("x", x, x->dtype, kAny, kAny)) return arguments.status();
  const pp_device& device = context->device;
  const pp_status supported = check_trainable(&device, x->dtype);
  if (supported != PP_OK) return supported;
  check_modules(arguments, {device, x->dtype, x->rows, x->cols, kAny, kTakesDs | kWritesDa | kDrops}, modules, count);
  if (arguments.failed()) return arguments.status();
  const int64_t K = x->cols;
  const Runs runs(modules, count);
  const Plan plan{&pp_lora_module::ds, &pp_lora_module::da, accumulate != 0};
  if constexpr (kCuda) {
    if (takes_groups(device, runs)) {
      return for_groups(runs, plan, [&](const Group& group) {
        const pp_matrix& ds = group.first->ds;
        return with_workspace(*context, cuda::multi_lora_grad_down_workspace(x->dtype, K, group.multi), [&](void* memory) {
          return cuda::multi_lora_grad_down(device, x->dtype, K, x->data, x->ld, group.multi, ds.data, ds.ld, group.accumulate,
                                            memory);
        });
      });
    }
  }
  return for_batches(device, runs, plan, [&](const Batch& batch) {
    const int64_t rows = batch.run.rows;
    const void* from = rows_from<void>(*x, batch.run.first_row);
    if constexpr (kCuda) {
      if (is_cuda(&device)) {
        return with_workspace(*context, cuda::lora_grad_down_workspace(x->dtype, rows, K, batch.ranks()), [&](void* memory) {
          return cuda::lora_grad_down(device, x->dtype, rows, K, from, x->ld, batch.branches.data(), batch.count,
                                      batch.dropout(), batch.accumulate, memory);
        });
      }
    }
    return with_workspace(*context, lora_grad_down_cpu_workspace(rows, K, batch.ranks()), [&](void* memory) {
      lora_gradients_cpu(x->dtype).grad_down(
          {rows, K, from, x->ld, batch.branches.data(), batch.count, batch.accumulate, memory});
      return PP_OK;
    });
  });
}

pp_status pp_lora_grad_input(const pp_context* context, const pp_lora_module* modules, int32_t count, const pp_matrix* dx,
                             int32_t accumulate) {
  Arguments arguments;
  arguments.context(context);
  if (!arguments.failed()) arguments.not_null("dx", dx);
  if (arguments.failed() || !arguments.matrix("dx", dx, dx->dtype, kAny, kAny)) return arguments.status();
  const pp_status supported = check_supported(&context->device, dx->dtype);
  if (supported != PP_OK) return supported;
  check_modules(arguments, {context->device, dx->dtype, dx->rows, dx->cols, kAny, kReadsA | kTakesDs | kDrops}, modules, count);
  return arguments.failed() ? arguments.status() : lora_grad_input(*context, modules, count, *dx, accumulate != 0);
}
