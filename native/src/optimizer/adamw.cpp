// The door of AdamW's step, and its CPU side: chunks of weights are independent, and their copies go with them.
// SPDX-License-Identifier: Apache-2.0
#include "prunepeft/adamw.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <memory>

#include "core/arguments.h"
#include "core/status.h"
#include "core/threads.h"
#include "cuda/availability.h"
#include "optimizer/adamw_cuda.h"
#include "optimizer/adamw_plan.h"

namespace prunepeft {
namespace {

/** Weights of an item of work: 28 bytes each, within the second cache. */
constexpr int64_t kItemWeights = 16384;
/** Multiplications and additions that an element's square root and division are worth. */
constexpr double kOperationsAWeight = 40;

/** To nearest, ties to even. */
uint16_t bfloat16_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

void copy_row(const float* from, int64_t count, pp_dtype dtype, void* to, int64_t at) {
  if (dtype == PP_FLOAT32) {
    std::memcpy(static_cast<char*>(to) + at * static_cast<int64_t>(sizeof(float)), from,
                static_cast<size_t>(count) * sizeof(float));
    return;
  }
  char* target = static_cast<char*>(to) + at * static_cast<int64_t>(sizeof(uint16_t));
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t bits = bfloat16_bits(from[i]);
    std::memcpy(target + i * static_cast<int64_t>(sizeof bits), &bits, sizeof bits);
  }
}

/** Writes what of the copies comes from the weights [begin, end). */
void store_copies(const pp_adamw& plan, const float* weights, int64_t begin, int64_t end) {
  const auto count = static_cast<int64_t>(plan.copies.size());
  for (int64_t c = copy_from(plan.copies.data(), count, begin); c < count && plan.copies[c].offset < end; ++c) {
    const WeightCopy& copy = plan.copies[c];
    const int64_t last = std::min(end, copy.offset + copy.size);
    for (int64_t i = std::max(begin, copy.offset); i < last;) {
      const int64_t place = i - copy.offset, column = place % copy.columns;
      const int64_t columns = std::min(copy.columns - column, last - i);
      copy_row(weights + i, columns, plan.dtype, copy.to, place / copy.columns * copy.ld + column);
      i += columns;
    }
  }
}

void step_on_cpu(const pp_adamw& plan, const AdamWFactors* factors, float* weights, const float* gradients, float* mean,
                 float* square) {
  const auto item = [&](int64_t number) {
    const int64_t begin = number * kItemWeights, end = std::min(begin + kItemWeights, plan.n);
    if (factors != nullptr) {
      const AdamWFactors f = *factors;
      for (int64_t i = begin; i < end; ++i) adamw_update(f, weights[i], gradients[i], mean[i], square[i]);
    }
    store_copies(plan, weights, begin, end);
  };
  run_phases(kOperationsAWeight * static_cast<double>(plan.n), phase((plan.n + kItemWeights - 1) / kItemWeights, item));
}

pp_status run_step(const pp_device& device, const pp_adamw& plan, const AdamWFactors* factors, float* weights,
                   const float* gradients, float* mean, float* square) {
  if (plan.n == 0) return PP_OK;
  if constexpr (kCuda) {
    if (is_cuda(&device)) return cuda::adamw_step(device, plan, factors, weights, gradients, mean, square);
  }
  step_on_cpu(plan, factors, weights, gradients, mean, square);
  return PP_OK;
}

void check_copy(Arguments& arguments, const pp_weight_copy& copy, int64_t index, int64_t end, int64_t n) {
  arguments.require(copy.offset >= end,
                    "copies[%" PRId64 "].offset must be at least %" PRId64 ", the end of the copy before, got %" PRId64, index,
                    end, copy.offset);
  arguments.require(copy.rows >= 1 && copy.columns >= 1,
                    "copies[%" PRId64 "] must have at least 1 row and 1 column, got %" PRId64 " and %" PRId64, index, copy.rows,
                    copy.columns);
  if (arguments.failed()) return;
  arguments.require(copy.offset <= n && copy.rows <= (n - copy.offset) / copy.columns,
                    "copies[%" PRId64 "] must end within the %" PRId64 " weights, got offset %" PRId64 ", %" PRId64
                    " rows and %" PRId64 " columns",
                    index, n, copy.offset, copy.rows, copy.columns);
  arguments.require(copy.ld >= copy.columns,
                    "copies[%" PRId64 "].ld must be at least the row's %" PRId64 " elements, got %" PRId64, index, copy.columns,
                    copy.ld);
  arguments.require(copy.to != nullptr, "copies[%" PRId64 "].to must not be null", index);
}

/** Written so that NaN fails too. */
void check_settings(Arguments& arguments, const pp_adamw_settings* settings) {
  arguments.not_null("settings", settings);
  if (arguments.failed()) return;
  const auto within = [&](const char* name, float value, bool good, const char* range) {
    arguments.require(good, "settings->%s must be %s, got %g", name, range, static_cast<double>(value));
  };
  within("learning_rate", settings->learning_rate, settings->learning_rate >= 0 && std::isfinite(settings->learning_rate),
         "at least 0");
  within("beta1", settings->beta1, settings->beta1 >= 0 && settings->beta1 < 1, "in [0, 1)");
  within("beta2", settings->beta2, settings->beta2 >= 0 && settings->beta2 < 1, "in [0, 1)");
  within("epsilon", settings->epsilon, settings->epsilon > 0 && std::isfinite(settings->epsilon), "above 0");
  within("weight_decay", settings->weight_decay, settings->weight_decay >= 0 && std::isfinite(settings->weight_decay),
         "at least 0");
  arguments.at_least("settings->step", settings->step, 1);
}

AdamWFactors make_factors(const pp_adamw_settings& settings) {
  const double rate = settings.learning_rate, beta1 = settings.beta1, beta2 = settings.beta2;
  const auto t = static_cast<double>(settings.step);
  return {static_cast<float>(1 - rate * settings.weight_decay),
          settings.beta1,
          static_cast<float>(1 - beta1),
          settings.beta2,
          static_cast<float>(1 - beta2),
          static_cast<float>(rate / (1 - std::pow(beta1, t))),
          static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, t))),
          settings.epsilon};
}

/** A device and a plan made for it. */
void check_plan(Arguments& arguments, const pp_device* device, const pp_adamw* plan) {
  arguments.not_null("plan", plan);
  if (arguments.failed()) return;
  arguments.target(device, plan->dtype);
  if (arguments.failed()) return;
  arguments.require(device->type == plan->device_type && (device->type == PP_CPU || device->index == plan->device_index),
                    "device must be the plan's, type %d, index %d; got type %d, index %d", static_cast<int>(plan->device_type),
                    static_cast<int>(plan->device_index), static_cast<int>(device->type), static_cast<int>(device->index));
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_adamw_create(const pp_device* device, pp_dtype dtype, int64_t n, const pp_weight_copy* copies, int64_t count,
                          pp_adamw** plan) {
  Arguments arguments;
  arguments.not_null("plan", plan);
  arguments.target(device, dtype);
  arguments.at_least("n", n, 0);
  arguments.at_least("count", count, 0);
  if (count > 0) arguments.not_null("copies", copies);
  int64_t end = 0;
  for (int64_t i = 0; i < count && !arguments.failed(); ++i) {
    check_copy(arguments, copies[i], i, end, n);
    end = copies[i].offset + copies[i].rows * copies[i].columns;
  }
  if (arguments.failed()) return arguments.status();
  pp_status status = check_trainable(device, dtype);
  if (status != PP_OK) return status;

  auto made = std::make_unique<pp_adamw>();
  *made = {device->type, device->index, dtype, n, {}, nullptr};
  for (int64_t i = 0; i < count; ++i) {
    const pp_weight_copy& copy = copies[i];
    made->copies.push_back({copy.offset, copy.rows * copy.columns, copy.columns, copy.to, copy.ld});
  }
  if constexpr (kCuda) {
    if (is_cuda(device)) status = cuda::adamw_create(*device, made.get());
  }
  if (status != PP_OK) {
    pp_adamw_destroy(made.release());
    return status;
  }
  *plan = made.release();
  return PP_OK;
}

void pp_adamw_destroy(pp_adamw* plan) {
  if (plan == nullptr) return;
  if constexpr (kCuda) {
    if (plan->device_type == PP_CUDA) cuda::adamw_destroy(*plan);
  }
  delete plan;
}

pp_status pp_adamw_step(const pp_device* device, const pp_adamw* plan, const pp_adamw_settings* settings, float* weights,
                        const float* gradients, float* mean, float* square) {
  Arguments arguments;
  check_plan(arguments, device, plan);
  if (!arguments.failed()) check_settings(arguments, settings);
  if (arguments.failed()) return arguments.status();
  if (plan->n > 0) {
    arguments.not_null("weights", weights);
    arguments.not_null("gradients", gradients);
    arguments.not_null("mean", mean);
    arguments.not_null("square", square);
    if (arguments.failed()) return arguments.status();
  }
  const AdamWFactors factors = make_factors(*settings);
  return run_step(*device, *plan, &factors, weights, gradients, mean, square);
}

pp_status pp_adamw_refresh(const pp_device* device, const pp_adamw* plan, const float* weights) {
  Arguments arguments;
  check_plan(arguments, device, plan);
  if (arguments.failed()) return arguments.status();
  if (plan->n > 0) arguments.not_null("weights", weights);
  if (arguments.failed()) return arguments.status();
  return run_step(*device, *plan, nullptr, const_cast<float*>(weights), nullptr, nullptr, nullptr);  // only read
}
