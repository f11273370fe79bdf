// Launches of the importance family, and the plan's tables.
#pragma once

#include "prunepeft/importance.h"

namespace prunepeft::cuda {
struct ImportancePlan;

// Arguments have been checked by the C functions of the same names.
pp_status importance_plan_create(const pp_device& device, const pp_importance_plan& host, ImportancePlan** plan);
void importance_plan_destroy(int32_t device_index, ImportancePlan* plan);
size_t importance_workspace(const ImportancePlan& plan);
pp_status importance(const pp_device& device, const ImportancePlan& plan, pp_dtype zero_dtype, const float* thresholds,
                     double* statistics, void* workspace);
pp_status importance_quantile(const pp_device& device, const ImportancePlan& plan, double q, float* thresholds,
                              void* workspace);
size_t output_magnitude_workspace(const pp_matrix& p, int64_t N);
pp_status output_magnitude(const pp_device& device, const pp_matrix& p, pp_activation activation, const pp_matrix& q,
                           const pp_matrix* bias, const uint8_t* row_mask, double* sum, void* workspace);
}  // namespace prunepeft::cuda
