// The CPU side of the importance family, behind importance.cpp, which has checked the arguments. float32.
#pragma once

#include "importance/plan.h"

namespace prunepeft {

struct OutputMagnitude {
  int64_t M, N, r;
  const float* p;
  int64_t ldp;
  pp_activation activation;
  const float* q;
  int64_t ldq;
  const float* bias;
  const uint8_t* row_mask;
  double* sum;
  void* workspace;
};

struct Importance {
  const pp_importance_plan& plan;
  pp_dtype zero_dtype;
  const float* thresholds;
  double* statistics;
  void* workspace;
};

struct ImportanceQuantile {
  const pp_importance_plan& plan;
  double q;
  float* thresholds;
  void* workspace;
};

/** The kernels of one instruction set. */
struct ImportanceKernels {
  void (*statistics)(const Importance& call);
  void (*quantile)(const ImportanceQuantile& call);
  void (*output_magnitude)(const OutputMagnitude& call);
};

/** The kernels of the instruction set in use. */
const ImportanceKernels& importance_cpu();

/** Histograms of 2^16 counts that a quantile's counting is shared out to at most. */
constexpr int64_t kMostHistograms = 8;
constexpr int64_t kHistogramBins = 1 << 16;
/** Statistics of an item that are summed; PP_COUNT is known from the plan. */
constexpr int64_t kItemSums = PP_STATISTICS - 1;

size_t importance_cpu_workspace(const pp_importance_plan& plan);
size_t output_magnitude_cpu_workspace(int64_t M, int64_t N, int64_t r);

}  // namespace prunepeft
