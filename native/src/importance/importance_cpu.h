// The CPU side of the importance family, behind importance.cpp, which has checked the arguments. float32.
#ifndef PRUNEPEFT_IMPORTANCE_IMPORTANCE_CPU_H
#define PRUNEPEFT_IMPORTANCE_IMPORTANCE_CPU_H

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

size_t importance_cpu_workspace(const pp_importance_plan& plan);
void importance_cpu(const pp_importance_plan& plan, pp_dtype zero_dtype, const float* thresholds, double* statistics,
                    void* workspace);
void importance_quantile_cpu(const pp_importance_plan& plan, double q, float* thresholds, void* workspace);
size_t output_magnitude_cpu_workspace(int64_t M, int64_t N, int64_t r);
void output_magnitude_cpu(const OutputMagnitude& call);

}  // namespace prunepeft

#endif
