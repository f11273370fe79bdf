// The CPU side of the adapter family, behind adapter.cpp, which has checked the arguments. float32 and bfloat16.
#pragma once

#include "core/call.h"
#include "core/workspace.h"
#include "prunepeft/adapter.h"

namespace prunepeft {

struct AdapterForward {
  int64_t M, K, m;
  const void* v;
  int64_t ldv;
  const void* h;
  int64_t ldh;
  const pp_adapter& adapter;
  float* z;
  int64_t ldz;
  void* out;
  int64_t ldout;
  void* workspace;
};

struct AdapterBackward {
  int64_t M, K, m;
  const void* dout;
  int64_t lddout;
  const void* v;
  int64_t ldv;
  const float* z;
  int64_t ldz;
  const pp_adapter& adapter;
  const pp_adapter_gradients& gradients;
  void* dv;
  int64_t lddv;
  void* workspace;
};

/** The kernels of one instruction set. */
struct AdapterKernels {
  void (*forward)(const AdapterForward& call);
  void (*backward)(const AdapterBackward& call);
};

/** The kernels of the instruction set in use. */
const AdapterKernels& adapter_cpu(pp_dtype dtype);

/** How many blocks of rows keep σ(z) and dz: one for each chunk, or all where there are more threads than chunks. */
static inline int64_t activation_blocks(int64_t M) {
  const RowChunks chunks(M);
  return call_threads() > chunks.count ? (M + kBlockRows - 1) / kBlockRows : chunks.count;
}

size_t adapter_forward_cpu_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t m);
size_t adapter_backward_cpu_workspace(pp_dtype dtype, int64_t M, int64_t K, int64_t m);

}  // namespace prunepeft
