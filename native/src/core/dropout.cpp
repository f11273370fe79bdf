#include "core/dropout.h"

#include <cinttypes>
#include <cmath>

namespace prunepeft {
namespace {

constexpr int64_t kMostGroups = int64_t{1} << 48;
constexpr double kMaskSteps = 65536.0;

uint32_t mask_threshold(const pp_dropout* dropout) {
  return dropout == nullptr ? 0 : static_cast<uint32_t>(std::round(kMaskSteps * dropout->p));
}

}  // namespace

void check_dropout(Arguments& arguments, const char* name, const pp_dropout* dropout, int64_t rows, int64_t K) {
  if (dropout == nullptr || arguments.failed()) return;
  // Written so that NaN fails too.
  if (!(dropout->p >= 0.0f && dropout->p < 1.0f)) {
    arguments.require(false, "%s->p must be in [0, 1), got %g", name, static_cast<double>(dropout->p));
    return;
  }
  arguments.require(mask_threshold(dropout) < kMaskSteps,
                    "%s->p must be less than 1 once rounded to a multiple of 1/65536, got %.9g", name,
                    static_cast<double>(dropout->p));
  arguments.require(dropout->counter != nullptr || dropout->micro_batch <= UINT16_MAX,
                    "%s->micro_batch must be at most 65535, got %u", name, static_cast<unsigned>(dropout->micro_batch));
  arguments.require(reinterpret_cast<uintptr_t>(dropout->counter) % alignof(DropoutCounter) == 0,
                    "%s->counter must be at a multiple of %zu bytes, got %p", name, alignof(DropoutCounter),
                    static_cast<const void*>(dropout->counter));
  arguments.require(rows <= kMostGroups / dropout_groups(K),
                    "rows must be at most 2^48 / ceil(K/8) with %s, got %" PRId64 " (K %" PRId64 ")", name, rows, K);
}

DropoutSpec make_spec(const pp_dropout* dropout) {
  const uint32_t threshold = mask_threshold(dropout);
  DropoutSpec spec = kNoDropout;
  if (threshold == 0) return spec;
  spec.threshold = static_cast<uint16_t>(threshold);
  spec.keep_scale = static_cast<float>(kMaskSteps / (kMaskSteps - threshold));
  spec.in_memory = dropout->counter != nullptr;
  if (spec.in_memory)
    spec.memory = reinterpret_cast<const DropoutCounter*>(dropout->counter);
  else
    spec.counter = {dropout->step, dropout->micro_batch};
  spec.seed = dropout->seed;
  return spec;
}

DropoutMask make_mask(const pp_dropout* dropout) {
  return read_mask(make_spec(dropout));
}

}  // namespace prunepeft
