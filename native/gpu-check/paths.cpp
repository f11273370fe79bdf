// A LoRA linear by every path of layer.h: all must give the same within the type's rounding. They are compared with the split
// path or, where there is no cuBLAS, with the fused one by the small tile.
#include <algorithm>
#include <cmath>

#include "layer.h"

namespace gpu_check {
namespace {
struct Shape {
  int64_t M, K, N, r;
  int modules = 1;
};
#if defined(PRUNEPEFT_EMULATED)
constexpr Shape kShapes[] = {{70, 72, 136, 8}, {70, 72, 144, 8, 3}};
#else
/**
 * The first has a rank that eight does not divide. The second has more tiles than there are multiprocessors, in both
 * directions: a block by warpgroups takes several. The third has three modules.
 */
constexpr Shape kShapes[] = {{333, 520, 264, 20}, {18000, 520, 264, 24}, {18000, 520, 792, 8, 3}};
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

/** What others are compared with: the path that cuBLAS has most part in, or our own smallest. */
std::vector<Layer::Path>::const_iterator find_reference(const std::vector<Layer::Path>& paths, bool backward, bool cublas) {
  return std::find_if(paths.begin(), paths.end(), [&](const Layer::Path& path) {
    return path.backward == backward && path.name.find(cublas ? ", split" : ", small tile") != std::string::npos;
  });
}

Layer::Outputs run(Layer& layer, const Layer::Path& path) {
  layer.poison_outputs();
  path.run();
  check(cudaDeviceSynchronize(), path.name.c_str());
  return layer.outputs(path.backward);
}

bool paths_agree(Layer& layer, bool cublas, pp_dtype dtype, int64_t M, float p) {
  const std::vector<Layer::Path> paths = layer.paths(p, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, true);
  bool agree = true;
  for (bool backward : {false, true}) {
    const auto reference = find_reference(paths, backward, cublas);
    const Layer::Outputs expected = run(layer, *reference);
    for (auto path = paths.begin(); path != paths.end(); ++path) {
      if (path->backward != backward || path == reference) continue;
      const Layer::Outputs outputs = run(layer, *path);
      double worst = difference(dtype, outputs.wide, expected.wide);
      if (backward)
        worst =
            std::max({worst, difference(PP_FLOAT32, outputs.da, expected.da), difference(PP_FLOAT32, outputs.db, expected.db)});
      const bool close = worst <= allowed(dtype);  // NaN is not
      agree = agree && close;
      printf("%-9s M=%-6lld %-36s %.2g from %s%s\n", dtype_name(dtype), static_cast<long long>(M), path->name.c_str(), worst,
             reference->name.c_str(), close ? "" : ", TOO MUCH");
    }
  }
  return agree;
}
}  // namespace

int check_paths() {
  const Cublas cublas;
  if (!cublas.present()) printf("cuBLAS is not here: the fused paths are compared among each other\n");
  bool agree = true;
  for (const Shape& shape : kShapes)
    for (pp_dtype dtype : {PP_FLOAT32, PP_FLOAT16, PP_BFLOAT16}) {
      Layer layer(dtype, shape.M, shape.K, shape.N, shape.r, cublas, 1, shape.modules);
      for (float p : {0.0f, 0.1f}) agree = paths_agree(layer, cublas.present(), dtype, shape.M, p) && agree;
    }
  return agree ? 0 : 1;
}
}  // namespace gpu_check
