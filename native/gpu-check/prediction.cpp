// What prediction.h expects of a device whose ceilings are assumed: no device
// is needed, and nothing is measured. SPDX-License-Identifier: Apache-2.0
#include "prediction.h"

#include <cstdio>
#include <string>

#include "device.h"

namespace gpu_check {
namespace {
struct Shape {
  const char* name;
  double M, K, N, r;
};
constexpr Shape kShapes[] = {{"MiniLM", 2048, 384, 384, 32},
                             {"RoBERTa-large", 4096, 1024, 1024, 32},
                             {"Llama-7B", 8192, 4096, 4096, 16},
                             {"8192 squared", 8192, 8192, 8192, 16}};

// An H100 SXM by its data sheet, in bytes and operations a microsecond, and
// what of it programs are taken to reach.
constexpr double kCopy = 0.9 * 3.35e6, kMatrix = 0.7 * 989e6, kLaunch = 2.5, kMultiprocessors = 132, kMegahertz = 1755;
constexpr int kComputeMajor = 9, kBytes = 2;
constexpr Ceilings kCeilings = {kCopy,
                                kMatrix,
                                own_share(kComputeMajor) * kMatrix,
                                draw_rate(kMultiprocessors, kMegahertz),
                                kLaunch,
                                kWarpgroupShare* kMatrix};

void print(const std::string& path, double frozen, double predicted) {
  printf("  %-44s %7.0f us  %+5.0f %%\n", path.c_str(), predicted, 100 * (predicted / frozen - 1));
}
}  // namespace

void print_predictions() {
  printf(
      "Predicted, not measured: bfloat16 on an H100 SXM by its data sheet "
      "(copy %.2f TB/s, library %.0f TFLOPS, own products\n"
      "%.0f TFLOPS by mma.sync and %.0f by warpgroups, %.1f us a launch); %% over the frozen linear.\n",
      kCeilings.copy_bytes * 1e-6, kCeilings.library_flops * 1e-6, kCeilings.own_flops * 1e-6, kCeilings.warpgroup_flops * 1e-6,
      kCeilings.launch);
  for (const Shape& shape : kShapes) {
    const Costs cost = {shape.M, shape.K, shape.N, shape.r, kBytes};
    const double frozen = predict(kCeilings, cost.frozen());
    const auto sum = [&](auto... costs) { return predict_sequence(kCeilings, costs...); };
    printf("%s %.0f,%.0f,%.0f, r %.0f: frozen linear %.0f us\n", shape.name, shape.M, shape.K, shape.N, shape.r, frozen);
    Costs dropped = cost;
    dropped.dropout = true;
    for (const Costs& c : {cost, dropped}) {
      const std::string suffix = c.dropout ? ", dropout" : "";
      print("forward, split" + suffix, frozen, sum(c.frozen(), c.down(false), c.up()));
      print("forward, bordered" + suffix, frozen, sum(c.down(false), c.bordered_forward()));
      print("forward, bordered, x copied" + suffix, frozen, sum(c.down(true), c.bordered_forward()));
      print("forward, fused, mma.sync" + suffix, frozen, sum(c.fused_forward(false)));
      print("forward, fused, warpgroups" + suffix, frozen, sum(c.fused_forward(true)));
      print("backward, split" + suffix, frozen, sum(c.frozen(), c.grad_up(), c.grad_input(), c.grad_down()));
      if (!c.dropout) print("backward, bordered", frozen, sum(c.bordered_backward(), c.grad_up(), c.grad_down()));
      print("backward, fused, mma.sync" + suffix, frozen, sum(c.fused_grad_input(false), c.grad_up(), c.grad_down()));
      print("backward, fused, warpgroups" + suffix, frozen, sum(c.fused_grad_input(true), c.grad_up(), c.grad_down()));
    }
  }
}
}  // namespace gpu_check
