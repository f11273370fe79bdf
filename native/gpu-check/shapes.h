// The shapes whose times gpu-check takes, and what it calls them. torch_baseline.py has the same.
#pragma once

#include <cstdint>
#include <string>

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
constexpr Shape kRobertaLarge = {"RoBERTa-large", 4096 / kShrink, 1024 / kShrink, 1024 / kShrink, 32};
constexpr Shape kLlama = {"Llama-7B", 8192 / kShrink, 4096 / kShrink, 4096 / kShrink, 16};
constexpr Shape kLlamaQkv = {"Llama-7B q, k, v", kLlama.M, kLlama.K, 3 * kLlama.N, kLlama.r, 3};
constexpr Shape kMiniLm = {"MiniLM", 2048 / kShrink, 384 / kShrink, 384 / kShrink, 32};
constexpr Shape kSquare = {"8192 squared", 8192 / kShrink, 8192 / kShrink, 8192 / kShrink, 16};

/** How the table names a shape. */
inline std::string group_name(const Shape& shape) {
  return std::string(shape.name) + " " + std::to_string(shape.M) + "," + std::to_string(shape.K) + "," +
         std::to_string(shape.N) + "," + std::to_string(shape.r);
}

/** Two of each of RoBERTa-large's layers' linears with a module each: 96 tensors. */
constexpr const char* kRobertaModules = "RoBERTa-large, query and value, r 32";
/** All of Llama-7B's linears with a module each: 448 tensors. */
constexpr const char* kLlamaModules = "Llama-7B, all linears, r 16";
}  // namespace gpu_check
