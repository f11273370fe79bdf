// The shapes whose times gpu-check takes, and what it calls them. torch_baseline.py has the same.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace gpu_check {
#if defined(PRUNEPEFT_EMULATED)
constexpr int64_t kShrink = 128;  // everything runs at a fraction of its size, to show that it runs
#else
constexpr int64_t kShrink = 1;
#endif

/** M tokens through a linear [M,K] to [M,N], on which modules of rank r share out the columns. */
struct Shape {
  const char* name;
  int64_t M, K, N, r;
  int modules = 1;
};
/** At their full size, which predictions and counts are of wherever they are made. */
constexpr Shape kWholeShapes[] = {{"MiniLM", 2048, 384, 384, 32},
                                  {"RoBERTa-large", 4096, 1024, 1024, 32},
                                  {"Llama-7B", 8192, 4096, 4096, 16},
                                  {"8192 squared", 8192, 8192, 8192, 16}};
constexpr Shape kWholeRobertaLarge = kWholeShapes[1], kWholeLlama = kWholeShapes[2];

constexpr Shape shrunk(const Shape& shape) {
  return {shape.name, shape.M / kShrink, shape.K / kShrink, shape.N / kShrink, shape.r};
}
constexpr Shape kMiniLm = shrunk(kWholeShapes[0]), kRobertaLarge = shrunk(kWholeRobertaLarge), kLlama = shrunk(kWholeLlama),
                kSquare = shrunk(kWholeShapes[3]);
constexpr Shape kLlamaQkv = {"Llama-7B q, k, v", kLlama.M, kLlama.K, 3 * kLlama.N, kLlama.r, 3};
/** Rows of a call that decodes codes in its tiles, and columns of a head that is rotated, of Llama. */
constexpr int64_t kFewRows = 64, kHeadSize = 128;

/** How the table names a shape. */
inline std::string group_name(const Shape& shape) {
  return std::string(shape.name) + " " + std::to_string(shape.M) + "," + std::to_string(shape.K) + "," +
         std::to_string(shape.N) + "," + std::to_string(shape.r);
}

/** Two of each of RoBERTa-large's layers' linears with a module each: 96 tensors. */
constexpr const char* kRobertaModules = "RoBERTa-large, query and value, r 32";
/** All of Llama-7B's linears with a module each: 448 tensors. */
constexpr const char* kLlamaModules = "Llama-7B, all linears, r 16";

/** A model's layers, and K and N of those of their linears that have a module: two of RoBERTa-large's, all of Llama's. */
struct ModelLinears {
  int layers;
  std::vector<std::pair<int64_t, int64_t>> linears;
};
inline ModelLinears model_linears(const Shape& shape) {
  if (std::string(shape.name) == kWholeRobertaLarge.name) return {24, {{1024, 1024}, {1024, 1024}}};
  if (std::string(shape.name) == kWholeLlama.name)
    return {32, {{4096, 4096}, {4096, 4096}, {4096, 4096}, {4096, 4096}, {4096, 11008}, {4096, 11008}, {11008, 4096}}};
  return {0, {}};
}
/** Weights of such modules' tensors. */
inline double importance_weights(const Shape& shape) {
  const ModelLinears model = model_linears(shape);
  int64_t weights = 0;
  for (const auto& [K, N] : model.linears) weights += shape.r * (K + N);
  return static_cast<double>(model.layers * weights);
}
}  // namespace gpu_check
