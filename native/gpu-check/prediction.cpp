// What linear/cuda/cost.h expects of a device by its data sheet: no device is needed, and nothing is measured.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "decoder/cuda/decoder_cost.h"
#include "device.h"
#include "linear/cuda/path_choice.h"
#include "shapes.h"

namespace gpu_check {
using namespace prunepeft::cuda;

namespace {
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

/** Three linears on one input, such as query, key and value, each with a module. */
constexpr Shape stack_of(const Shape& shape, const char* name) {
  return {name, shape.M, shape.K, 3 * shape.N, shape.r, 3};
}
constexpr Shape kStacked = stack_of(kWholeLlama, "Llama-7B's q, k and v stacked");

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
  const double of_products = product_memory_bytes(cost, ceilings.cache_bytes) / ceilings.copy_bytes;
  const double by_clusters = cost.cluster_flops / ceilings.cluster_flops;
  const double memory =
      std::max(memory_bytes(cost, ceilings.cache_bytes) / ceilings.copy_bytes, of_products > by_clusters ? of_products : 0);
  const double issue = cost.instructions / ceilings.instructions, draws = cost.draws / ceilings.draws;
  const double products = cost.own_flops / ceilings.own_flops + by_clusters;
  const double longest = std::max({memory, issue, draws, products});
  if (cost.launches * ceilings.launch >= longest) return "launches";
  if (memory >= longest) return "memory";
  if (products >= std::max(issue, draws)) return "products";
  return issue >= draws ? "issue" : "draws of masks";
}

/** A call by itself, named as the emulator's counts name it (test/cuda/counted_test.cpp). */
struct Family {
  std::string name;
  Cost cost;
  double least = 0;  // bytes of its operands, each once, where its cost has others too
  double time = 0;   // us, where its parts do not follow each other
};

/** Of a module's dropout. */
enum class Masks { kNone, kDrawn, kKept };

void add_linears(std::vector<Family>* families, const Ceilings& ceilings, const Shape& shape) {
  const Costs plain = costs_of(shape, 0), dropped = costs_of(shape, 1), kept = costs_of(shape, 1, true);
  constexpr LinearPath kWithS = LinearPath::kClustersWithS, kApart = LinearPath::kWarpgroupClusters;
  families->push_back({"linear_forward, clusters with S", plain.fused_forward(kWithS)});
  families->push_back({"linear_forward, dropout, clusters with S", dropped.fused_forward(kWithS)});
  families->push_back({"linear_grad_input, clusters", plain.fused_grad_input(kApart)});
  families->push_back({"linear_grad_input, mask read, clusters", kept.fused_grad_input(kApart)});
  const auto least_of_backward = [&plain](bool with_da, double mask) {
    const auto& [M, K, N, r, size] = std::tie(plain.M, plain.K, plain.N, plain.r, plain.size);
    constexpr double kGradient = sizeof(float);
    return size * (M * (N + K + 2 * r) + N * K + r * (N + K)) + kGradient * N * r + mask +
           (with_da ? size * M * K + kGradient * r * K : 0);
  };
  if (shape.r <= kMostRankTilesOfDs * kRankTileRanks) {
    const Cost cost = plain.grad_input_with_ds();
    Cost with_da = cost;
    with_da += plain.grad_down();
    families->push_back({"linear_backward, clusters with S", cost, least_of_backward(false, 0)});
    families->push_back({"linear_backward with dA, clusters with S", with_da, least_of_backward(true, 0)});
  }
  for (const auto& [name, costs] : {std::pair("linear_backward with dA, clusters", plain),
                                    std::pair("linear_backward with dA, mask read, clusters", kept)}) {
    Cost cost = costs.fused_grad_input(kApart);
    cost += costs.grad_up();
    cost += costs.grad_down();
    const double mask = costs.kept ? costs.M * costs.K / 8 : 0;
    families->push_back({name, cost, least_of_backward(true, mask), predict_branched(ceilings, costs, kApart)});
  }
  const double weights = plain.N * plain.K;
  constexpr double kNf4Bytes = 0.5 + 4.0 / 64;  // a scale for each 64 weights
  const double int8_bytes = weights + static_cast<double>(sizeof(float)) * plain.N;
  Costs frozen = plain;
  frozen.r = 0;
  frozen.modules = 0;
  for (const auto& [type, codes] : {std::pair(PP_NF4, kNf4Bytes * weights), std::pair(PP_INT8, int8_bytes)}) {
    Cost decoded = decode_cost(type, weights, codes, kBytes);
    const std::string name = type == PP_NF4 ? "NF4" : "int8";
    families->push_back({"decoding W of " + name, decoded});
    decoded += frozen.fused_frozen(kApart);
    const double least = codes + kBytes * plain.M * (plain.K + plain.N);
    families->push_back({"quantized_forward, " + name + ", decoded before", decoded, least});
    Costs of_few = frozen;
    of_few.M = kFewRows;
    families->push_back({"quantized_forward, " + name + ", in the tiles", of_few.frozen_codes(codes)});
  }
}

/** Of one module, or of a stack of them on the same rows. */
void add_skinny(std::vector<Family>* families, const Shape& shape, const std::string& of) {
  const bool stacked = shape.modules > 1;
  const int count = shape.modules;
  for (const Masks masks : {Masks::kNone, Masks::kDrawn, Masks::kKept}) {
    const Costs costs = costs_of(shape, masks == Masks::kNone ? 0 : count, masks == Masks::kKept);
    const std::string mask = stacked ? "masks" : "mask";
    const std::string drops = masks == Masks::kNone ? "" : ", dropout";
    const std::string writes = masks == Masks::kKept ? drops + ", " + mask + " written" : drops;
    const std::string reads = masks == Masks::kKept ? ", " + mask + " read" : drops;
    // A stack's name stands before its masks, what else a module is behind them.
    const auto named = [&](const std::string& name, const std::string& suffix) {
      return stacked ? name + of + suffix : name + suffix + of;
    };
    families->push_back({named("lora_down", writes), costs.down()});
    families->push_back({named("lora_grad_down", reads), costs.grad_down()});
    families->push_back({named("lora_grad_input, overwriting", reads), costs.grad_input(false)});
    if (shape.r < 64) families->push_back({named("lora_grad_input", reads), costs.grad_input()});
  }
  const Costs plain = costs_of(shape, 0);
  families->push_back({"lora_up, overwriting" + of, plain.up(false)});
  if (shape.r < 64) families->push_back({"lora_up" + of, plain.up()});
  families->push_back({"lora_grad_up" + of, plain.grad_up()});
}

/** Of eight modules, each on rows of its own. */
void add_adapters(std::vector<Family>* families, const Shape& shape) {
  Costs runs = costs_of(shape, 0), dropped = costs_of(shape, 1);
  runs.runs = dropped.runs = kAdapters;
  families->push_back({"lora_down, dropout, 8 modules", dropped.down()});
  families->push_back({"lora_up, 8 modules", runs.up()});
  families->push_back({"lora_grad_up, 8 modules", runs.grad_up()});
  families->push_back({"lora_grad_down, dropout, 8 modules", dropped.grad_down()});
  families->push_back({"lora_grad_input, dropout, 8 modules", dropped.grad_input()});
}

void add_others(std::vector<Family>* families, const Shape& shape) {
  const Costs plain = costs_of(shape, 0);
  const double wide = 3 * kBytes * plain.M * plain.K + kBytes * plain.M * plain.r, matrix = 2 * plain.r * plain.K;
  families->push_back({"adapter_forward", plain.adapter_forward(), wide + kBytes * matrix});
  families->push_back(
      {"adapter_backward", plain.adapter_backward(), wide + (kBytes + static_cast<double>(sizeof(float))) * matrix});
  families->push_back({"output_magnitude", plain.magnitude()});
  families->push_back({"rms_norm_forward", rms_norm_cost(plain.M, shape.K, kBytes, false)});
  families->push_back({"rms_norm_backward", rms_norm_cost(plain.M, shape.K, kBytes, true)});
  families->push_back({"rotate", rotate_cost(plain.M, shape.K / kHeadSize, kHeadSize, kBytes)});
  families->push_back({"gate_forward", gate_cost(plain.M * plain.N, kBytes, false)});
  families->push_back({"gate_backward", gate_cost(plain.M * plain.N, kBytes, true)});
  const double weights = importance_weights(shape);
  if (weights == 0) return;
  families->push_back({"importance", importance_cost(weights, kBytes)});
  families->push_back({"importance_quantile", quantile_cost(weights, kBytes)});
}

/** What the families move and issue at a shape, and are predicted to take. */
void print_families(const Ceilings& ceilings, const Shape& shape) {
  Shape many = shape;
  many.r = 64;
  std::vector<Family> families;
  add_linears(&families, ceilings, shape);
  add_skinny(&families, shape, "");
  add_skinny(&families, many, ", r 64");
  add_skinny(&families, stack_of(shape, shape.name), ", stack of 3");
  add_adapters(&families, shape);
  add_others(&families, shape);
  constexpr double kMega = 1e6;
  printf(
      "By themselves, at the shape of %s, r %lld: least MB, moved MB, their ratio, million instructions of warps, "
      "launches, us, what binds\n",
      shape.name, static_cast<long long>(shape.r));
  for (const Family& family : families) {
    const Cost& cost = family.cost;
    const double moved = memory_bytes(cost, ceilings.cache_bytes) + product_memory_bytes(cost, ceilings.cache_bytes);
    const double least = family.least > 0 ? family.least : cost.bytes + cost.product_bytes;
    const double time = family.time > 0 ? family.time : predict(ceilings, cost);
    char instructions[20] = "-";
    if (cost.instructions > 0) snprintf(instructions, sizeof instructions, "%.2f", cost.instructions / kMega);
    printf("  %-52s %9.3f %9.3f %5.2f %6s %3d %8.2f  %s\n", family.name.c_str(), least / kMega, moved / kMega, moved / least,
           instructions, cost.launches, time, bound_of(ceilings, cost));
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
  for (const int masks : {0, 1}) print_product_goal(ceilings, kWholeLlama, masks, true, 0.06);
  for (const int masks : {0, 1}) print_product_goal(ceilings, kWholeLlama, masks, false, 0.12);
  for (const int masks : {0, 3}) print_product_goal(ceilings, kStacked, masks, true, 0.03);
  constexpr double kGoalOfCopy = 0.9;
  const Cost importance = importance_cost(importance_weights(kWholeLlama), kBytes);
  const double of_copy = importance.bytes / ceilings.copy_bytes / predict(ceilings, importance);
  print_goal("importance of Llama-7B's 448 tensors, of copy", "90 %", text_of("%.0f %%", 100 * of_copy), of_copy >= kGoalOfCopy,
             "");
  constexpr double kMostOfOne = 1.15;
  Costs one = costs_of(kWholeLlama, 1), eight = one;
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
  const Costs costs = prunepeft::cuda::costs_of(device.rates, lora_shape(kWholeLlama, 0), false);
  const double frozen = predict(ceilings, costs.frozen());
  printf("%s on an %s, sm_%d%d, by its data sheet (copy %.2f TB/s, library %.0f TFLOPS, own %.0f): frozen linear %.0f us\n",
         kWholeLlama.name, device.name, device.rates.compute_major, device.rates.compute_minor, ceilings.copy_bytes * 1e-6,
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
  print_chosen("", choose_paths(device.rates, lora_shape(kWholeLlama, 0)));
  print_chosen(" under dropout", choose_paths(device.rates, lora_shape(kWholeLlama, 1)));
}
}  // namespace

void print_predictions() {
  const Ceilings ceilings = assumed_ceilings(kH100, kBytes);
  printf(
      "Predicted, not measured: bfloat16 on an H100 SXM by its data sheet (copy %.2f TB/s, library %.0f TFLOPS, own products\n"
      "%.0f TFLOPS by mma.sync, %.0f by warpgroups, %.0f in clusters, %.1f us a launch); %% over the frozen linear.\n",
      ceilings.copy_bytes * 1e-6, ceilings.library_flops * 1e-6, ceilings.own_flops * 1e-6, ceilings.warpgroup_flops * 1e-6,
      ceilings.cluster_flops * 1e-6, ceilings.launch);
  for (const Shape& shape : kWholeShapes) {
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
  for (const Shape& shape : kWholeShapes) print_families(ceilings, shape);
  print_goals_predicted(ceilings);
  for (const Ampere& device : kAmperes) print_ampere(device);
}
}  // namespace gpu_check
