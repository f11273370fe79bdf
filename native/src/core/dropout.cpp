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

void check_dropout(Arguments& arguments, const pp_dropout* dropout, int64_t M, int64_t K) {
  if (dropout == nullptr || arguments.failed()) return;
  // Written so that NaN fails too.
  if (!(dropout->p >= 0.0f && dropout->p < 1.0f)) {
    arguments.require(false, "dropout->p must be in [0, 1), got %g", static_cast<double>(dropout->p));
    return;
  }
  arguments.require(mask_threshold(dropout) < kMaskSteps,
                    "dropout->p must be less than 1 once rounded to a multiple of 1/65536, got %.9g",
                    static_cast<double>(dropout->p));
  arguments.at_most("dropout->micro_batch", dropout->micro_batch, 65535);
  arguments.require(M <= kMostGroups / dropout_groups(K),
                    "M must be at most 2^48 / ceil(K/8) with dropout, got %" PRId64 " (K %" PRId64 ")", M, K);
}

DropoutMask make_mask(const pp_dropout* dropout) {
  const uint32_t threshold = mask_threshold(dropout);
  if (threshold == 0) return DropoutMask{0, 1.0f, 0, 0, 0};
  return DropoutMask{threshold, static_cast<float>(kMaskSteps / (kMaskSteps - threshold)), dropout->micro_batch, dropout->step,
                     dropout->seed};
}

}  // namespace prunepeft
