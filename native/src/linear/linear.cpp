// Entry points of the fused linear: plans are made and arguments checked here, once for all devices.
#include "prunepeft/linear.h"

#include <atomic>
#include <cinttypes>
#include <new>

#include "core/arguments.h"
#include "core/status.h"
#include "cuda/availability.h"
#include "core/context.h"
#include "linear/cpu/linear_cpu.h"
#include "linear/cuda/linear_cuda.h"
#include "linear/cuda/path.h"
#include "linear/lora.h"
#include "linear/modules.h"
#include "linear/plan.h"
#include "linear/quantized.h"

namespace prunepeft {
namespace {
std::atomic<int> forced_path{cuda::kChosenPath};

/** The plan, and that it is of the context's device. */
void check_plan(Arguments& arguments, const pp_context* context, const pp_linear* linear) {
  arguments.context(context);
  arguments.handle("linear", Handle::kLinear, linear);
  if (arguments.failed()) return;
  const pp_device& device = context->device;
  arguments.require(device.type == linear->device_type && (device.type == PP_CPU || device.index == linear->device_index),
                    "context->device must be the plan's (type %d, index %d), got type %d, index %d",
                    static_cast<int>(linear->device_type), static_cast<int>(linear->device_index),
                    static_cast<int>(device.type), static_cast<int>(device.index));
}

/** What both directions check; `in` and `out` are as wide as the plan says. */
void check_call(Arguments& arguments, const pp_context* context, const pp_linear* linear, const pp_matrix* in,
                const pp_matrix* out, const pp_lora_module* modules, int32_t count, unsigned use, bool forward) {
  check_plan(arguments, context, linear);
  if (arguments.failed()) return;
  const pp_device& device = context->device;
  const int64_t N = linear->N, K = linear->K;
  if (!arguments.matrix(forward ? "x" : "dy", in, linear->dtype, Arguments::kAny, forward ? K : N)) return;
  if (!arguments.matrix(forward ? "y" : "dx", out, linear->dtype, in->rows, forward ? N : K)) return;
  check_modules(arguments, {device, linear->dtype, in->rows, K, N, use}, modules, count);
}

/** Whether the fused kernels of CUDA take all modules: they are on all rows, and drop alike. */
bool fuses(const Runs& runs, int64_t M) {
  if (!runs.is_whole(M)) return false;
  for (int32_t i = 1; i < (runs.count == 0 ? 0 : runs.of[0].count); ++i)
    if (!drop_alike(runs.of[0].of[0]->dropout, runs.of[0].of[i]->dropout)) return false;
  return true;
}

/** The modules of a run for the kernels, from its first row on. */
struct Modules {
  std::array<LoraModule, kMostModulesOfARow> of;
  int32_t count = 0;
  Modules(const Run* run, pp_matrix pp_lora_module::*narrow, bool on_cpu) {
    for (; run != nullptr && count < run->count; ++count)
      of[count] = lora_module(*run->of[count], run->of[count]->*narrow, run->first_row, on_cpu);
  }
};

/** Whether no two modules have the same dA. */
bool gradients_apart(const Modules& modules) {
  for (int32_t i = 0; i < modules.count; ++i)
    for (int32_t j = 0; j < i; ++j)
      if (modules.of[i].da == modules.of[j].da) return false;
  return true;
}

/** Calls `call(first_row, rows, run)` for each run of rows, and for those between that have no modules: run is null there. */
template <class Call>
pp_status for_rows(const Runs& runs, int64_t M, Call call) {
  int64_t row = 0;
  for (int32_t r = 0; r <= runs.count; ++r) {
    const int64_t next = r < runs.count ? runs.of[r].first_row : M;
    pp_status status = next > row ? call(row, next - row, nullptr) : PP_OK;
    row = next;
    if (status == PP_OK && r < runs.count) {
      status = call(row, runs.of[r].rows, &runs.of[r]);
      row += runs.of[r].rows;
    }
    if (status != PP_OK) return status;
  }
  return PP_OK;
}

void free_linear(pp_linear* linear) {
  if (linear != nullptr && linear->device_type == PP_CPU) linear_cpu_release(*linear);
  delete linear;
}

/** Prepares what has been checked. */
pp_status make_linear(const pp_linear& given, pp_linear** linear) {
  pp_linear* made = new (std::nothrow) pp_linear(given);
  if (made == nullptr || (made->device_type == PP_CPU && !linear_cpu_prepare(*made))) {
    free_linear(made);
    return fail(PP_OUT_OF_MEMORY, "out of memory for a linear of %" PRId64 " x %" PRId64, given.N, given.K);
  }
  return give_handle(Handle::kLinear, made, linear, [=] { free_linear(made); });
}

const void* data_of(const pp_matrix* bias) {
  return bias == nullptr ? nullptr : bias->data;
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

void pp_internal_force_linear_path(int path) {
  forced_path = path;
}

int pp_internal_forced_linear_path(void) {
  return forced_path;
}

namespace {

pp_status create_dense(const pp_context* context, const pp_matrix* w, const pp_matrix* bias, bool borrowed,
                       pp_linear** linear) {
  Arguments arguments;
  arguments.context(context);
  arguments.not_null("w", w);
  arguments.not_null("linear", linear);
  if (arguments.failed() || !arguments.matrix("w", w, w->dtype, Arguments::kAny, Arguments::kAny)) return arguments.status();
  arguments.at_least("w.rows", w->rows, 1);
  if (bias != nullptr) arguments.matrix("bias", bias, w->dtype, 1, w->rows);
  if (arguments.failed()) return arguments.status();
  const pp_device& device = context->device;
  const pp_status supported = check_trainable(&device, w->dtype);
  if (supported != PP_OK) return supported;
  return make_linear(
      {device.type, device.index, w->dtype, w->rows, w->cols, w->data, w->ld, data_of(bias), {}, {}, {}, {}, borrowed}, linear);
}

}  // namespace

pp_status pp_linear_create(const pp_context* context, const pp_matrix* w, const pp_matrix* bias, pp_linear** linear) {
  return create_dense(context, w, bias, false, linear);
}

pp_status pp_linear_borrow(const pp_context* context, const pp_matrix* w, const pp_matrix* bias, pp_linear** linear) {
  return create_dense(context, w, bias, true, linear);
}

pp_status pp_linear_create_quantized(const pp_context* context, const pp_quantized* w, const pp_matrix* bias, pp_dtype dtype,
                                     pp_linear** linear) {
  Arguments arguments;
  arguments.context(context);
  if (arguments.failed() || !check_quantized(arguments, "w", w, context->device)) return arguments.status();
  arguments.not_null("linear", linear);
  arguments.dtype("dtype", dtype);
  if (bias != nullptr) arguments.matrix("bias", bias, dtype, 1, w->rows);
  if (arguments.failed()) return arguments.status();
  const pp_device& device = context->device;
  const pp_status supported = check_trainable(&device, dtype);
  if (supported != PP_OK) return supported;
  return make_linear(
      {device.type, device.index, dtype, w->rows, w->cols, w->codes, w->cols, data_of(bias), decoding_of(*w), {}, {}, {}, {}},
      linear);
}

pp_status pp_linear_rows(const pp_context* context, const pp_linear* linear, int64_t first, const pp_matrix* to) {
  Arguments arguments;
  check_plan(arguments, context, linear);
  if (arguments.failed() || !arguments.matrix("to", to, linear->dtype, Arguments::kAny, linear->K)) return arguments.status();
  arguments.at_least("first", first, 0);
  if (!arguments.failed()) arguments.at_most("first", first, linear->N - to->rows);
  if (arguments.failed()) return arguments.status();
  if (is_cuda(&context->device)) {
    return fail(PP_UNSUPPORTED, "pp_linear_rows is for the CPU; on CUDA W, or its codes, are the caller's: pp_dequantize");
  }
  if (to->rows == 0) return PP_OK;
  void* memory;
  const pp_status status = take_workspace(*context, linear_rows_cpu_workspace(*linear), &memory);
  if (status == PP_OK) linear_rows_cpu({linear, first, to->rows, to->data, to->ld, memory});
  return status;
}

pp_status pp_linear_destroy(pp_linear* linear) {
  if (linear == nullptr) return PP_OK;
  return end_handle(Handle::kLinear, "linear", linear, [=] {
    free_linear(linear);
    return PP_OK;
  });
}

pp_status pp_linear_forward(const pp_context* context, const pp_linear* linear, const pp_matrix* x,
                            const pp_lora_module* modules, int32_t count, const pp_matrix* y) {
  Arguments arguments;
  check_call(arguments, context, linear, x, y, modules, count, kReadsA | kReadsB | kTakesS | kDrops, true);
  if (arguments.failed() || x->rows == 0) return arguments.status();
  const Runs runs(modules, count);
  return Room::of(*context, [&](Room& room) {
    if constexpr (kCuda) {
      if (is_cuda(&context->device)) {
        const bool whole = fuses(runs, x->rows);
        const Modules own(whole && runs.count > 0 ? &runs.of[0] : nullptr, &pp_lora_module::s, false);
        const LoraModule* const of = own.of.data();
        pp_status status = room.with(cuda::linear_forward_workspace(*linear, x->rows, of, own.count), [&](void* memory) {
          return cuda::linear_forward(context->device, *linear, *x, of, own.count, *y, memory);
        });
        if (status == PP_OK && !whole) status = lora_down(room, *x, modules, count);
        if (status == PP_OK && !whole) status = lora_up(room, modules, count, *y, true);
        return status;
      }
    }
    return for_rows(runs, x->rows, [&](int64_t row, int64_t rows, const Run* run) {
      const Modules own(run, &pp_lora_module::s, true);
      const LoraModule* const of = own.of.data();
      return room.with(linear_forward_cpu_workspace(*linear, rows, of, own.count), [&](void* memory) {
        linear_cpu(linear->dtype)
            .forward({linear, rows, element(*x, row), x->ld, of, own.count, element(*y, row), y->ld, memory});
        return PP_OK;
      });
    });
  });
}

namespace {

/** dX of arguments that have been checked. */
pp_status grad_input(Room& room, const pp_context* context, const pp_linear* linear, const pp_matrix* dy, const Runs& runs,
                     const pp_lora_module* modules, int32_t count, const pp_matrix* dx) {
  if constexpr (kCuda) {
    if (is_cuda(&context->device)) {
      const bool whole = fuses(runs, dy->rows);
      const Modules own(whole && runs.count > 0 ? &runs.of[0] : nullptr, &pp_lora_module::ds, false);
      const LoraModule* const of = own.of.data();
      const size_t bytes = cuda::linear_grad_input_workspace(*linear, dy->rows, of, own.count);
      const pp_status status = room.with(bytes, [&](void* memory) {
        return cuda::linear_grad_input(context->device, *linear, *dy, of, own.count, *dx, memory);
      });
      return status != PP_OK || whole ? status : lora_grad_input(room, modules, count, *dx, true);
    }
  }
  return for_rows(runs, dy->rows, [&](int64_t row, int64_t rows, const Run* run) {
    const Modules own(run, &pp_lora_module::ds, true);
    const LoraModule* const of = own.of.data();
    return room.with(linear_grad_input_cpu_workspace(*linear, rows, of, own.count), [&](void* memory) {
      linear_cpu(linear->dtype)
          .grad_input({linear, rows, element(*dy, row), dy->ld, of, own.count, element(*dx, row), dx->ld, memory});
      return PP_OK;
    });
  });
}

}  // namespace

pp_status pp_linear_grad_input(const pp_context* context, const pp_linear* linear, const pp_matrix* dy,
                               const pp_lora_module* modules, int32_t count, const pp_matrix* dx) {
  Arguments arguments;
  check_call(arguments, context, linear, dy, dx, modules, count, kReadsA | kTakesDs | kDrops, false);
  if (arguments.failed() || dy->rows == 0) return arguments.status();
  const Runs runs(modules, count);
  return Room::of(*context, [&](Room& room) { return grad_input(room, context, linear, dy, runs, modules, count, dx); });
}

pp_status pp_linear_backward(const pp_context* context, const pp_linear* linear, const pp_matrix* dy, const pp_matrix* x,
                             const pp_lora_module* modules, int32_t count, const pp_matrix* dx) {
  Arguments arguments;
  constexpr unsigned kUse = kReadsA | kReadsB | kTakesS | kTakesDs | kWritesDb | kDrops;
  check_call(arguments, context, linear, dy, dx, modules, count, x != nullptr ? kUse | kWritesDa : kUse, false);
  if (!arguments.failed() && x != nullptr && arguments.matrix("x", x, linear->dtype, dy->rows, linear->K) && dy->rows > 0)
    arguments.distinct("dx", dx->data, "x", x->data);
  for (int32_t i = 0; i < count && !arguments.failed(); ++i)
    arguments.require(modules[i].ds.data != nullptr || modules[i].rows == 0,
                      "modules[%d].ds.data must not be null: dX needs dS", static_cast<int>(i));
  if (arguments.failed() || dy->rows == 0) return arguments.status();
  const Runs runs(modules, count);
  return Room::of(*context, [&](Room& room) {
    const auto then_da = [&](pp_status status) {
      return status != PP_OK || x == nullptr ? status : lora_grad_down(room, *x, modules, count);
    };
    if constexpr (kCuda) {
      const bool whole = is_cuda(&context->device) && runs.count == 1 && fuses(runs, dy->rows);
      if (whole && x != nullptr) {
        const Modules own(&runs.of[0], &pp_lora_module::ds, false);
        const LoraModule* const of = own.of.data();
        bool branch = false;
        pp_status status = PP_OK;
        if (gradients_apart(own))
          status = cuda::linear_takes_branch(context->device, *linear, *dy, of, own.count, *dx, &branch);
        if (status == PP_OK && branch) status = lora_grad_up(room, *dy, modules, count);
        if (status != PP_OK) return status;
        if (branch)
          return room.with(cuda::linear_grad_input_and_down_workspace(*linear, *x, of, own.count), [&](void* memory) {
            return cuda::linear_grad_input_and_down(context->device, *linear, *dy, *x, of, own.count, *dx, memory);
          });
      }
      if (whole && runs.of[0].count == 1) {  // those without rows are no part of it
        const pp_lora_module& one = *runs.of[0].of[0];
        const LoraModule module = lora_module(one, one.s, 0, false);
        bool made = false;
        const size_t bytes = cuda::linear_backward_workspace(*linear, *dy, module, *dx);
        const pp_status status = bytes == 0 ? PP_OK : room.with(bytes, [&](void* memory) {
          return cuda::linear_backward(context->device, *linear, *dy, module, *dx, memory, &made);
        });
        if (status != PP_OK || made) return then_da(status);
      }
    }
    const pp_status status = lora_grad_up(room, *dy, modules, count);
    return status != PP_OK ? status : then_da(grad_input(room, context, linear, dy, runs, modules, count, dx));
  });
}
