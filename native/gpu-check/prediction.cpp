// What linear/cuda/cost.h expects of a device by its data sheet: no device is needed, and nothing is measured.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "decoder/cuda/decoder_cost.h"
#include "device.h"
#include "linear/cuda/path_choice.h"

namespace gpu_check {
using namespace prunepeft::cuda;

namespace {
struct Shape {
  const char* name;
  int64_t M, K, N, r;  // r: of each module
  int modules = 1;     // which share out the columns
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
/** Of its 448 tensors of LoRA modules. */
constexpr double kLlamaWeights = 39976960;
/** Three linears on one input, such as query, key and value, each with a module. */
constexpr Shape stack_of(const Shape& shape, const char* name) {
  return {name, shape.M, shape.K, 3 * shape.N, shape.r, 3};
}
constexpr Shape kStacked = stack_of(kLlama, "Llama-7B's q, k and v stacked");

/** Of one call, on rows of their own. */
constexpr int kAdapters = 8;

LoraShape lora_shape(const Shape& shape, int masks) {
  LoraRanks ranks;
  for (int i = 0; i < shape.modules; i++) ranks.add(shape.r);
  return {shape.M, shape.K, shape.N, ranks, kBytes, masks};
}
Costs costs_of(const Shape& shape, int masks, bool kept = false) {
  return prunepeft::cuda::costs_of(kH100, lora_shape(shape, masks), kept);
}

/** Of what predict() adds or takes the largest of, what takes longest. */
const char* bound_of(const Ceilings& ceilings, const Cost& cost) {
  const double memory = memory_bytes(cost, ceilings.cache_bytes) / ceilings.copy_bytes;
  const double issue = cost.instructions / ceilings.instructions, draws = cost.draws / ceilings.draws;
  const double products = cost.own_flops / ceilings.own_flops + cost.cluster_flops / ceilings.cluster_flops;
  const double longest = std::max({memory, issue, draws, products});
  if (cost.launches * ceilings.launch >= longest) return "launches";
  if (memory >= longest) return "memory";
  if (products >= std::max(issue, draws)) return "products";
  return issue >= draws ? "issue" : "draws of masks";
}

/** What the families move and issue at a shape, and are predicted to take. */
void print_families(const Ceilings& ceilings, const Shape& shape) {
  const Costs plain = costs_of(shape, 0), dropped = costs_of(shape, 1), kept = costs_of(shape, 1, true);
  const Shape stacked = stack_of(shape, shape.name);
  const Costs stack_plain = costs_of(stacked, 0), stack = costs_of(stacked, 3), stack_kept = costs_of(stacked, 3, true);
  Shape of_many = shape;
  of_many.r = 64;
  const Costs many = costs_of(of_many, 0);
  Costs runs = plain, dropped_runs = dropped;
  runs.runs = dropped_runs.runs = kAdapters;
  constexpr int64_t kHeadSize = 128;
  constexpr double kNf4Bytes = 0.5 + 4.0 / 64;  // a scale for each 64 weights
  const double weights = plain.N * plain.K;
  Costs of_few = plain;
  of_few.M = 64;
  of_few.r = 0;
  of_few.modules = 0;
  std::vector<std::pair<const char*, Cost>> families = {
      {"linear_forward, clusters with S", plain.fused_forward(LinearPath::kClustersWithS)},
      {"linear_grad_input, clusters, mask read", kept.fused_grad_input(LinearPath::kWarpgroupClusters)},
      {"linear_backward, dS and dB inside", plain.grad_input_with_ds()},
      {"W of NF4, decoded", decode_cost(PP_NF4, weights, kNf4Bytes * weights, kBytes)},
      {"W of int8, decoded", decode_cost(PP_INT8, weights, weights, kBytes)},
      {"64 rows by NF4 in the tiles", of_few.frozen_codes(kNf4Bytes * weights)},
      {"64 rows by int8 in the tiles", of_few.frozen_codes(weights)},
      {"lora_down", plain.down()},
      {"lora_down, r 64", many.down()},
      {"lora_down, dropout", dropped.down()},
      {"lora_down, mask written", kept.down()},
      {"lora_down of 3", stack_plain.down()},
      {"lora_down of 3, dropout", stack.down()},
      {"lora_down of 3, masks written", stack_kept.down()},
      {"lora_down of 8 adapters", runs.down()},
      {"lora_down of 8, dropout", dropped_runs.down()},
      {"lora_up", plain.up()},
      {"lora_up, overwriting", plain.up(false)},
      {"lora_up of 3", stack_plain.up()},
      {"lora_up of 3, overwriting", stack_plain.up(false)},
      {"lora_up of 8 adapters", runs.up()},
      {"lora_grad_up", plain.grad_up()},
      {"lora_grad_up, r 64", many.grad_up()},
      {"lora_grad_up of 3", stack_plain.grad_up()},
      {"lora_grad_up of 8 adapters", runs.grad_up()},
      {"lora_grad_down", plain.grad_down()},
      {"lora_grad_down, r 64", many.grad_down()},
      {"lora_grad_down, dropout", dropped.grad_down()},
      {"lora_grad_down, mask read", kept.grad_down()},
      {"lora_grad_down of 3", stack_plain.grad_down()},
      {"lora_grad_down of 3, dropout", stack.grad_down()},
      {"lora_grad_down of 3, masks read", stack_kept.grad_down()},
      {"lora_grad_down of 8 adapters", runs.grad_down()},
      {"lora_grad_down of 8, dropout", dropped_runs.grad_down()},
      {"lora_grad_input", plain.grad_input()},
      {"lora_grad_input, dropout", dropped.grad_input()},
      {"lora_grad_input, mask read", kept.grad_input()},
      {"lora_grad_input of 3", stack_plain.grad_input()},
      {"lora_grad_input of 3, dropout", stack.grad_input()},
      {"lora_grad_input of 3, masks read", stack_kept.grad_input()},
      {"lora_grad_input of 8 adapters", runs.grad_input()},
      {"lora_grad_input of 8, dropout", dropped_runs.grad_input()},
      {"adapter_forward", plain.adapter_forward()},
      {"adapter_backward", plain.adapter_backward()},
      {"output_magnitude", plain.magnitude()},
      {"rms_norm_forward", rms_norm_cost(plain.M, shape.K, kBytes, false)},
      {"rms_norm_backward", rms_norm_cost(plain.M, shape.K, kBytes, true)},
      {"rotate, heads of 128", rotate_cost(plain.M, shape.K / kHeadSize, kHeadSize, kBytes)},
      {"gate_forward", gate_cost(plain.M * plain.N, kBytes, false)},
      {"gate_backward", gate_cost(plain.M * plain.N, kBytes, true)}};
  if (std::string(shape.name) == kLlama.name) {
    families.emplace_back("importance, 448 tensors", importance_cost(kLlamaWeights, kBytes));
    families.emplace_back("importance_quantile, 448 tensors", quantile_cost(kLlamaWeights, kBytes));
  }
  constexpr double kMega = 1e6;
  printf(
      "By themselves, at the shape of %s, r %lld: least MB, moved MB, their ratio, million instructions of warps, us, what "
      "binds\n",
      shape.name, static_cast<long long>(shape.r));
  for (const auto& [name, cost] : families) {
    const double moved = memory_bytes(cost, ceilings.cache_bytes) + product_memory_bytes(cost, ceilings.cache_bytes);
    const double least = cost.bytes + cost.product_bytes;
    char instructions[20] = "-";
    if (cost.instructions > 0) snprintf(instructions, sizeof instructions, "%.1f", cost.instructions / kMega);
    printf("  %-32s %7.1f %7.1f %5.2f %6s %5.0f  %s\n", name, least / kMega, moved / kMega, moved / least, instructions,
           predict(ceilings, cost), bound_of(ceilings, cost));
  }
}

void print(const std::string& path, double frozen, double predicted) {
  printf("  %-56s %7.0f us  %+5.0f %%\n", path.c_str(), predicted, 100 * (predicted / frozen - 1));
}

void print_chosen(const char* when, const LinearPaths& chosen) {
  printf("  chosen%s: forward %s, backward %s%s\n", when, kNames[chosen.forward], kNames[chosen.backward],
         chosen.keep_masks ? ", masks kept" : "");
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
    print("backward, fused, clusters, dA beside" + suffix, frozen,
          predict_branched(ceilings, cost, LinearPath::kWarpgroupClusters));
  }
  const LinearPaths chosen = choose_paths(kH100, lora_shape(kStacked, 3));
  print_chosen("", chosen);
}
/** What one of the goals is predicted to reach, and what lies between. */
void print_goal(const std::string& what, const char* goal, const std::string& predicted, bool met, const std::string& parts) {
  printf("  %-58s %-7s predicted %s, %s%s%s\n", what.c_str(), goal, predicted.c_str(), met ? "met" : "missed",
         parts.empty() ? "" : ": ", parts.c_str());
}

template <class... Values>
std::string text_of(const char* format, Values... values) {
  char text[200];
  snprintf(text, sizeof text, format, values...);
  return text;
}

/** A direction's goal over the frozen linear, by its fused kernel: how far, and what each part of it takes. */
void print_product_goal(const Ceilings& ceilings, const Shape& shape, int masks, bool forward, double goal) {
  const LinearDirection direction = forward ? LinearDirection::kForward : LinearDirection::kGradInput;
  const LoraShape lora = lora_shape(shape, masks);
  const bool kept = !forward && choose_paths(kH100, lora).keep_masks;
  const Costs costs = costs_of(shape, masks, kept);
  const LinearPath kernel = fused_kernel(kH100, lora, direction);
  const bool branched = !forward && branch_pays(ceilings, costs, kernel);
  const bool inside = kernel == LinearPath::kClustersWithS && !branched;
  const double frozen = predict(ceilings, costs.frozen());
  const auto by = [&](const Ceilings& of, pp_linear_path path) {
    return forward ? predict_forward(of, costs, path, kernel) : predict_best_backward(of, costs, path, kernel);
  };
  const double fused = by(ceilings, PP_FUSED), split = by(ceilings, PP_SPLIT), best = std::min(fused, split);
  const double of_dx = branched ? predict(ceilings, costs.fused_grad_input(LinearPath::kWarpgroupClusters)) : 0;
  const double of_da = forward    ? 0
                       : branched ? predict_beside(ceilings, costs, LinearPath::kWarpgroupClusters) - of_dx
                                  : predict(ceilings, costs.grad_down());
  // Times the frozen linear, if our product had such a share of the library's rate, and the least share that is enough.
  const auto over_at = [&](double share) {
    Ceilings other = ceilings;
    other.cluster_flops = share * ceilings.library_flops;
    return std::min(by(other, PP_FUSED), split) / frozen;
  };
  double enough = 2;
  for (double step = 1; step > 1e-6; step /= 2)
    if (over_at(enough - step) <= 1 + goal) enough -= step;
  std::string parts = text_of("%.0f us too many; ", best - (1 + goal) * frozen);
  if (split < fused) {
    const double narrow = predict(ceilings, forward ? costs.down() : costs.grad_up());
    const double added = predict(ceilings, forward ? costs.up() : costs.grad_input());
    parts +=
        text_of("split: %s %.0f, what it adds to %s %.0f", forward ? "S" : "dS and dB", narrow, forward ? "y" : "dX", added);
  } else {
    const double distance = predict(ceilings, costs.fused_frozen(kernel)) - frozen;
    const double of_ranks = 2 * costs.M * (forward ? costs.N * 16 : costs.K * 16 * shape.modules) / ceilings.cluster_flops;
    const double masking = forward ? 0 : costs.fused_grad_input(kernel).clocks / ceilings.clocks;
    parts +=
        text_of("the product over the library's %.0f, ranks' products %.0f, %s%s %.0f", distance, of_ranks,
                forward ? "S" : "dS and dB", inside ? " inside" : "", fused - frozen - distance - of_ranks - masking - of_da);
    if (masking > 0) parts += text_of(", masking these %.0f", masking);
  }
  if (!forward) parts += text_of(", dA%s %.0f", branched ? " beside dX" : "", of_da);
  parts += text_of("; at the library's rate %+.1f %%", 100 * (over_at(1) - 1));
  constexpr double kTenths = 1000;
  parts += enough <= 1 ? text_of(", met from %.1f %% of it on", std::ceil(kTenths * enough) / 10) : ", missed too";
  const double over = best / frozen - 1;
  print_goal(std::string(shape.name) + (forward ? ", forward" : ", backward") + (masks > 0 ? ", dropout" : "") +
                 (kept ? ", mask kept" : ""),
             text_of("+%.0f %%", 100 * goal).c_str(), text_of("%+.1f %%", 100 * over), over <= goal, over <= goal ? "" : parts);
}

void print_goals_predicted(const Ceilings& ceilings) {
  printf("The goals, by the same argument:\n");
  for (const int masks : {0, 1}) print_product_goal(ceilings, kLlama, masks, true, 0.06);
  for (const int masks : {0, 1}) print_product_goal(ceilings, kLlama, masks, false, 0.12);
  for (const int masks : {0, 3}) print_product_goal(ceilings, kStacked, masks, true, 0.03);
  constexpr double kGoalOfCopy = 0.9;
  const Cost importance = importance_cost(kLlamaWeights, kBytes);
  const double of_copy = importance.bytes / ceilings.copy_bytes / predict(ceilings, importance);
  print_goal("importance of Llama-7B's 448 tensors, of copy", "90 %", text_of("%.0f %%", 100 * of_copy), of_copy >= kGoalOfCopy,
             "");
  constexpr double kMostOfOne = 1.15;
  Costs one = costs_of(kLlama, 1), eight = one;
  eight.runs = kAdapters;
  const std::pair<const char*, Cost (*)(const Costs&)> calls[] = {
      {"down", [](const Costs& c) { return c.down(); }},
      {"up", [](const Costs& c) { return c.up(); }},
      {"grad_up", [](const Costs& c) { return c.grad_up(); }},
      {"grad_down", [](const Costs& c) { return c.grad_down(); }},
      {"grad_input", [](const Costs& c) { return c.grad_input(); }}};
  double of_one = 0, of_eight = 0;
  for (const auto& [name, cost] : calls) {
    const double once = predict(ceilings, cost(one)), together = predict(ceilings, cost(eight));
    of_one += once;
    of_eight += together;
    print_goal(std::string("eight adapters over one with dropout, ") + name, "1.15", text_of("%.2f", together / once),
               together <= kMostOfOne * once,
               text_of("%.0f us over %.0f, %.1f MB of slots over %.1f", together, once, cost(eight).slot_bytes * 1e-6,
                       cost(one).slot_bytes * 1e-6));
  }
  printf("  %-58s         predicted %.2f\n", "all five of them together", of_eight / of_one);
}

/** A device before Hopper, whose library has our instruction: S is made among the tiles; what dS and dB there would change. */
struct Ampere {
  const char* name;
  DeviceRates rates;
};
/** Their data sheets' 312 and 125 TFLOPS are so many multiprocessors at these clocks. */
constexpr Ampere kAmperes[] = {{"A100 SXM", {8, 0, 108, 1410, 2.039e6, 163 * 1024, 40 << 20}},
                               {"A10", {8, 6, 72, 1695, 0.6e6, 99 * 1024, 6 << 20}}};

void print_ampere(const Ampere& device) {
  const Ceilings ceilings = assumed_ceilings(device.rates, kBytes);
  const Costs costs = prunepeft::cuda::costs_of(device.rates, lora_shape(kLlama, 0), false);
  const double frozen = predict(ceilings, costs.frozen());
  printf("%s on an %s, sm_%d%d, by its data sheet (copy %.2f TB/s, library %.0f TFLOPS, own %.0f): frozen linear %.0f us\n",
         kLlama.name, device.name, device.rates.compute_major, device.rates.compute_minor, ceilings.copy_bytes * 1e-6,
         ceilings.library_flops * 1e-6, ceilings.own_flops * 1e-6, frozen);
  for (const pp_linear_path path : {PP_SPLIT, PP_FUSED}) {
    print(std::string("forward, ") + kNames[path], frozen, predict_forward(ceilings, costs, path));
    print(std::string("backward, ") + kNames[path], frozen, predict_backward(ceilings, costs, path));
  }
  // The products of dS, in each of two runs of a row's tiles, and of dB once; slots of dB for each row tile, read by a launch.
  const double products = 2 * costs.M * costs.N * 16 * 3 / ceilings.own_flops;
  const double slots = 4 * costs.M / 128 * costs.N * costs.r / ceilings.copy_bytes + ceilings.launch;
  const double saved = predict(ceilings, costs.grad_up());
  print("backward, fused, if it made dS and dB", frozen,
        predict_backward(ceilings, costs, PP_FUSED) - saved + products + slots);
  print_chosen("", choose_paths(device.rates, lora_shape(kLlama, 0)));
  print_chosen(" under dropout", choose_paths(device.rates, lora_shape(kLlama, 1)));
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
        if (is_by_warpgroups(path.fused) && !makes_ds)
          print("backward, " + std::string(path.name) + ", dA beside" + suffix, frozen,
                predict_branched(ceilings, cost, path.fused));
        if (path.path == PP_SPLIT)
          print("backward, ranks first" + suffix, frozen, predict_backward_ranks_first(ceilings, cost));
      }
      if (dropout != 0)
        print("backward, fused, clusters, dA beside, dropout, mask kept", frozen,
              predict_branched(ceilings, costs_of(shape, dropout, true), LinearPath::kWarpgroupClusters));
      const LinearPaths chosen = choose_paths(kH100, lora_shape(shape, dropout));
      print_chosen(dropout != 0 ? " under dropout" : "", chosen);
    }
  }
  print_stack(ceilings);
  for (const Shape& shape : kShapes) print_families(ceilings, shape);
  print_goals_predicted(ceilings);
  for (const Ampere& device : kAmperes) print_ampere(device);
}
}  // namespace gpu_check
