// What linear/cuda/cost.h expects of a device by its data sheet: no device is needed, and nothing is measured.
#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include "device.h"
#include "linear/cuda/path_choice.h"

namespace gpu_check {
using namespace prunepeft::cuda;

namespace {
struct Shape {
  const char* name;
  int64_t M, K, N, r;
};
constexpr Shape kShapes[] = {{"MiniLM", 2048, 384, 384, 32},
                             {"RoBERTa-large", 4096, 1024, 1024, 32},
                             {"Llama-7B", 8192, 4096, 4096, 16},
                             {"8192 squared", 8192, 8192, 8192, 16}};

/** An H100 SXM by its data sheet: 989 TFLOPS are 132 multiprocessors at this clock. */
constexpr DeviceRates kH100 = {9, 0, 132, 1829, 3.35e6, 227 * 1024, 50 << 20};
constexpr int64_t kBytes = 2;
constexpr const char* kNames[] = {"split", "fused"};
constexpr struct Path {
  const char* name;
  pp_linear_path path;
  LinearPath fused;
} kPaths[] = {{"split", PP_SPLIT, LinearPath::kLargeTile},
              {"fused, mma.sync", PP_FUSED, LinearPath::kLargeTile},
              {"fused, warpgroups", PP_FUSED, LinearPath::kWarpgroup},
              {"fused, clusters", PP_FUSED, LinearPath::kWarpgroupClusters},
              {"fused, clusters with S", PP_FUSED, LinearPath::kClustersWithS}};

constexpr Shape kLlama = kShapes[2];
/** Its query, key and value, each with a module. */
constexpr Shape kStacked = {"Llama-7B's q, k and v stacked", kLlama.M, kLlama.K, 3 * kLlama.N, 3 * kLlama.r};

Costs costs_of(const Shape& shape, int masks, bool kept = false) {
  return {static_cast<double>(shape.M),
          static_cast<double>(shape.K),
          static_cast<double>(shape.N),
          static_cast<double>(shape.r),
          static_cast<double>(kBytes),
          masks,
          132,
          kept};
}

/** Of what predict() takes the largest. */
const char* bound_of(const Ceilings& ceilings, const Cost& cost) {
  const double memory = memory_bytes(cost, ceilings.cache_bytes) / ceilings.copy_bytes;
  const double issue = cost.instructions / ceilings.instructions, draws = cost.draws / ceilings.draws;
  const double products = cost.own_flops / ceilings.own_flops;
  if (memory >= std::max({issue, draws, products})) return "memory";
  if (products >= std::max(issue, draws)) return "products";
  return issue >= draws ? "issue" : "draws of masks";
}

/** What the skinny families move and issue, and are predicted to take. */
void print_families(const Ceilings& ceilings) {
  const Costs plain = costs_of(kLlama, 0), dropped = costs_of(kLlama, 1), kept = costs_of(kLlama, 1, true);
  const Costs stack = costs_of(kStacked, 3), stack_kept = costs_of(kStacked, 3, true);
  const std::pair<const char*, Cost> families[] = {{"lora_down", plain.down()},
                                                   {"lora_down, dropout", dropped.down()},
                                                   {"lora_down, mask written", kept.down()},
                                                   {"lora_down of 3, dropout", stack.down()},
                                                   {"lora_down of 3, masks written", stack_kept.down()},
                                                   {"lora_up", plain.up()},
                                                   {"lora_up, overwriting", plain.up(false)},
                                                   {"lora_grad_up", plain.grad_up()},
                                                   {"lora_grad_down", plain.grad_down()},
                                                   {"lora_grad_down, dropout", dropped.grad_down()},
                                                   {"lora_grad_down, mask read", kept.grad_down()},
                                                   {"lora_grad_down of 3, dropout", stack.grad_down()},
                                                   {"lora_grad_down of 3, masks read", stack_kept.grad_down()},
                                                   {"lora_grad_input", plain.grad_input()},
                                                   {"lora_grad_input, dropout", dropped.grad_input()},
                                                   {"lora_grad_input, mask read", kept.grad_input()},
                                                   {"lora_grad_input of 3, dropout", stack.grad_input()},
                                                   {"lora_grad_input of 3, masks read", stack_kept.grad_input()},
                                                   {"adapter_forward", plain.adapter_forward()},
                                                   {"adapter_backward", plain.adapter_backward()},
                                                   {"output_magnitude", plain.magnitude()}};
  constexpr double kMega = 1e6;
  printf("By themselves, at %s's shape: least MB, moved MB, their ratio, million instructions of warps, us, what binds\n",
         kLlama.name);
  for (const auto& [name, cost] : families) {
    const double moved = memory_bytes(cost, ceilings.cache_bytes);
    char instructions[20] = "-";
    if (cost.instructions > 0) snprintf(instructions, sizeof instructions, "%.1f", cost.instructions / kMega);
    printf("  %-32s %7.1f %7.1f %5.2f %6s %5.0f  %s\n", name, cost.bytes / kMega, moved / kMega, moved / cost.bytes,
           instructions, predict(ceilings, cost), bound_of(ceilings, cost));
  }
}

void print(const std::string& path, double frozen, double predicted) {
  printf("  %-44s %7.0f us  %+5.0f %%\n", path.c_str(), predicted, 100 * (predicted / frozen - 1));
}
/** What keeping three masks from forward to backward changes. */
void print_stack(const Ceilings& ceilings) {
  const double frozen = predict(ceilings, costs_of(kStacked, 0).frozen());
  printf("%s, r %lld: frozen linear %.0f us\n", kStacked.name, static_cast<long long>(kStacked.r), frozen);
  for (const bool kept : {false, true}) {
    const Costs cost = costs_of(kStacked, 3, kept);
    const std::string suffix = kept ? ", masks kept" : ", masks drawn again";
    for (const Path& path : {kPaths[0], kPaths[3]}) {
      print("forward, " + std::string(path.name) + suffix, frozen, predict_forward(ceilings, cost, path.path, path.fused));
      print("backward, " + std::string(path.name) + suffix, frozen, predict_backward(ceilings, cost, path.path, path.fused));
    }
  }
  const LinearPaths chosen = choose_paths(kH100, {kStacked.M, kStacked.K, kStacked.N, kStacked.r, kBytes, 3});
  printf("  chosen: forward %s, backward %s%s\n", kNames[chosen.forward], kNames[chosen.backward],
         chosen.keep_masks ? ", masks kept" : "");
}
}  // namespace

void print_predictions() {
  const Ceilings ceilings = assumed_ceilings(kH100, kBytes);
  printf(
      "Predicted, not measured: bfloat16 on an H100 SXM by its data sheet (copy %.2f TB/s, library %.0f TFLOPS, own products\n"
      "%.0f TFLOPS by mma.sync, %.0f by warpgroups, %.0f in clusters, %.1f us a launch); %% over the frozen linear.\n",
      ceilings.copy_bytes * 1e-6, ceilings.library_flops * 1e-6, ceilings.own_flops * 1e-6, ceilings.warpgroup_flops * 1e-6,
      ceilings.cluster_flops * 1e-6, ceilings.launch);
  for (const Shape& shape : kShapes) {
    Costs cost = costs_of(shape, false);
    const double frozen = predict(ceilings, cost.frozen());
    printf("%s %lld,%lld,%lld, r %lld: frozen linear %.0f us\n", shape.name, static_cast<long long>(shape.M),
           static_cast<long long>(shape.K), static_cast<long long>(shape.N), static_cast<long long>(shape.r), frozen);
    for (int dropout : {0, 1}) {
      cost.masks = dropout;
      const std::string suffix = dropout != 0 ? ", dropout" : "";
      for (const Path& path : kPaths) {
        print("forward, " + std::string(path.name) + suffix, frozen, predict_forward(ceilings, cost, path.path, path.fused));
        if (path.path == PP_SPLIT) print("forward, ranks first" + suffix, frozen, predict_forward_ranks_first(ceilings, cost));
      }
      for (const Path& path : kPaths) {
        const bool makes_ds = path.fused == LinearPath::kClustersWithS;
        if (makes_ds && (dropout != 0 || shape.r > kMostRankTilesOfDs * kRankTileRanks)) continue;  // it is not for that
        print("backward, " + std::string(makes_ds ? "fused, clusters with dS and dB" : path.name) + suffix, frozen,
              predict_backward(ceilings, cost, path.path, path.fused));
        if (path.path == PP_SPLIT)
          print("backward, ranks first" + suffix, frozen, predict_backward_ranks_first(ceilings, cost));
      }
      const LinearPaths chosen = choose_paths(kH100, {shape.M, shape.K, shape.N, shape.r, kBytes, dropout});
      printf("  chosen%s: forward %s, backward %s\n", dropout != 0 ? " under dropout" : "", kNames[chosen.forward],
             kNames[chosen.backward]);
    }
  }
  print_stack(ceilings);
  print_families(ceilings);
}
}  // namespace gpu_check
