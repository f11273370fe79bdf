// A LoRA linear by every path of layer.h: all must give the same within the type's rounding.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "layer.h"

namespace gpu_check {
namespace {
#if defined(PRUNEPEFT_EMULATED)
constexpr int64_t kM = 70, kK = 72, kN = 136, kRank = 8;
#else
constexpr int64_t kM = 333, kK = 520, kN = 264, kRank = 24;
#endif

double element(pp_dtype dtype, const std::vector<unsigned char>& bytes, size_t i) {
  if (dtype == PP_FLOAT32) {
    float v;
    memcpy(&v, &bytes[i * sizeof v], sizeof v);
    return v;
  }
  uint16_t bits;
  memcpy(&bits, &bytes[i * sizeof bits], sizeof bits);
  return dtype == PP_FLOAT16 ? simt::half_value(bits) : simt::bfloat16_value(bits);
}

/** ‖a - b‖ / ‖b‖. */
double difference(pp_dtype dtype, const std::vector<unsigned char>& a, const std::vector<unsigned char>& b) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < a.size() / pp_dtype_size(dtype); i++) {
    const double x = element(dtype, a, i), y = element(dtype, b, i);
    error += (x - y) * (x - y);
    norm += y * y;
  }
  return std::sqrt(error / norm);
}

/** Two roundings of each result, and S rounded on the way. */
double allowed(pp_dtype dtype) {
  return dtype == PP_FLOAT32 ? 2e-6 : dtype == PP_FLOAT16 ? 2e-3 : 1e-2;
}
}  // namespace

int check_paths() {
  const Cublas cublas;
  if (!cublas.present()) {
    printf("cuBLAS is not here: there is nothing to compare with\n");
    return 0;
  }
  bool agree = true;
  for (pp_dtype dtype : {PP_FLOAT32, PP_FLOAT16, PP_BFLOAT16}) {
    Layer layer(dtype, kM, kK, kN, kRank, cublas, 1);
    for (float p : {0.0f, 0.1f}) {
      std::unique_ptr<Layer::Outputs> first[2];  // forward, backward: of the split path
      for (const Layer::Path& path : layer.paths(p, {1, 1, 1, 1, 1, 1}, true)) {
        layer.poison_outputs();
        path.run();
        check(cudaDeviceSynchronize(), path.name.c_str());
        Layer::Outputs outputs = layer.outputs(path.backward);
        if (first[path.backward] == nullptr) {
          first[path.backward] = std::make_unique<Layer::Outputs>(std::move(outputs));
          continue;
        }
        const Layer::Outputs& split = *first[path.backward];
        double worst = difference(dtype, outputs.wide, split.wide);
        if (path.backward)
          worst = std::max({worst, difference(PP_FLOAT32, outputs.da, split.da), difference(PP_FLOAT32, outputs.db, split.db)});
        const bool close = worst <= allowed(dtype);  // NaN is not
        agree = agree && close;
        printf("%-9s %-36s %.2g from the split path%s\n", dtype_name(dtype), path.name.c_str(), worst,
               close ? "" : ", TOO MUCH");
      }
    }
  }
  return agree ? 0 : 1;
}
}  // namespace gpu_check
