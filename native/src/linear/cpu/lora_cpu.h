// The CPU side of the LoRA family, behind lora.cpp, which has checked the arguments. float32, and bfloat16 for the
// two gradients of the weights.
#pragma once

#include "linear/lora_module.h"

namespace prunepeft {

struct LoraDown {
  int64_t M, K;
  const float* x;
  int64_t ldx;
  const LoraModule* modules;
  int32_t module_count;
  void* workspace;
};

struct LoraUp {
  int64_t M, N, r;
  const float* s;
  int64_t lds;
  const float* b;
  int64_t ldb;
  float* y;
  int64_t ldy;
  bool accumulate;
  void* workspace;
};

struct LoraGradUp {
  int64_t M, N, r;
  const void* dy;
  int64_t lddy;
  const float* b;
  int64_t ldb;
  const float* s;
  int64_t lds;
  float scale;
  float* ds;
  int64_t ldds;
  float* db;
  int64_t lddb;
  bool accumulate;
  void* workspace;
};

struct LoraGradDown {
  int64_t M, K;
  const void* x;
  int64_t ldx;
  const LoraModule* modules;
  int32_t module_count;
  bool accumulate;
  void* workspace;
};

struct LoraGradInput {
  int64_t M, K;
  const LoraModule* modules;
  int32_t module_count;
  float* dx;
  int64_t lddx;
  bool accumulate;
  void* workspace;
};

/** The gradients of the weights, of one instruction set and element type. */
struct LoraGradients {
  void (*grad_up)(const LoraGradUp& call);
  void (*grad_down)(const LoraGradDown& call);
};

/** The kernels of one instruction set. */
struct LoraKernels {
  void (*down)(const LoraDown& call);
  void (*up)(const LoraUp& call);
  LoraGradients gradients;
  void (*grad_input)(const LoraGradInput& call);
};

/** The kernels of the instruction set in use. */
const LoraKernels& lora_cpu();
const LoraGradients& lora_gradients_cpu(pp_dtype dtype);

size_t lora_down_cpu_workspace(int64_t K, int64_t ranks);
size_t lora_up_cpu_workspace(int64_t N, int64_t r);
size_t lora_grad_up_cpu_workspace(int64_t M, int64_t N, int64_t r);
size_t lora_grad_down_cpu_workspace(int64_t M, int64_t K, int64_t ranks);
size_t lora_grad_input_cpu_workspace(int64_t K, int64_t ranks);

}  // namespace prunepeft
