// Products of wide matrices with narrow ones, as launches on a stream. LoRA, adapters and the output magnitude are made of
// these.
//
//   run_down   S = s·D(x) Aᵀ + bias                  x [M,K] wide
//   run_grad   Gᵀ P and G B in one read              G [M,N] wide
//   run_up     out = base + Dᵀ(P Q) + bias           out [M,N] wide
//
// Work is split into shares so that small problems, too, fill the device; how many is a matter of shapes alone, so that results
// do not depend on the device's size. Shares leave partial sums in slots, for which the caller gives memory.
#pragma once

#include "cuda/device.h"
#include "prunepeft/adapter.h"
#include "linear/cuda/dropout.cuh"
#include "linear/cuda/stack.cuh"

namespace prunepeft::cuda {
struct DownCall {
  pp_dtype dtype;
  int64_t M, K;
  const void* x;
  int64_t ldx;
  Stack stack;  // a, lda, s, lds, rank, scale, module
  DropoutSpec dropout;
  const void* bias;  // [stack.columns], or null
  pp_activation activation;
  void* activated;  // [M, stack.columns] of the same dtype becomes σ of S as it is rounded, or null
};
/** Number of floats that run_down needs as slots; may be 0. */
int64_t down_slots(int64_t M, int64_t K, int64_t columns);
/** One launch where `slots` are null: K is not cut then. */
cudaError_t run_down(const DownCall& call, float* slots, cudaStream_t stream);

struct GradCall {
  pp_dtype dtype;
  int64_t M, N;
  const void* g;
  int64_t ldg;
  Stack
      stack;  // s, lds (as P), rank, module; gradient, ldg, scale; of the first module a, lda (as B) if there are row products
  DropoutSpec dropout;
  bool rank_major;  // gradients are [rank,N] rather than [N,rank]
  bool accumulate;

  // Row products of the first module, times row_scale and, with z, times σ'(z). None if `rows` is null.
  void* rows;  // [M, rank]
  int64_t ldrows;
  float row_scale;
  const void* z;
  int64_t ldz;
  pp_activation activation;
};
/** Of a wide matrix, without dropout. */
inline GradCall grad_call(const pp_matrix& g, bool accumulate) {
  GradCall call = {};
  call.dtype = g.dtype;
  call.M = g.rows;
  call.N = g.cols;
  call.g = g.data;
  call.ldg = g.ld;
  call.dropout = kNoDropout;
  call.accumulate = accumulate;
  return call;
}
/** Numbers of floats that run_grad needs as slots, of so many columns of a stack; row_rank is 0 without row products. */
struct GradSlots {
  int64_t columns, rows;
};
GradSlots grad_slots(pp_dtype dtype, int64_t M, int64_t N, int64_t columns, int64_t row_rank);
cudaError_t run_grad(const GradCall& call, float* column_slots, float* row_slots, cudaStream_t stream);

struct UpCall {
  pp_dtype dtype;
  int64_t M, N;
  Stack stack;      // s, lds (as P), a, lda (as Q), rank, module
  bool rank_major;  // Q is [rank,N] rather than [N,rank]
  DropoutSpec dropout;
  const void* base;  // or null
  int64_t ldbase;
  const void* bias;  // [N], or null
  void* out;         // or null
  int64_t ldout;

  // In place of out: *magnitude = Σ|P Q + bias| over the rows of the mask.
  const uint8_t* row_mask;  // or null
  double* magnitude;
};
/** To a wide matrix, which is added to or overwritten, without dropout. */
inline UpCall up_call(const pp_matrix& out, bool adds) {
  UpCall call = {};
  call.dtype = out.dtype;
  call.M = out.rows;
  call.N = out.cols;
  call.dropout = kNoDropout;
  call.base = adds ? out.data : nullptr;
  call.ldbase = adds ? out.ld : 0;
  call.out = out.data;
  call.ldout = out.ld;
  return call;
}
/** Number of doubles that run_up needs as slots for a magnitude. */
int64_t magnitude_slots(int64_t M, int64_t N);
cudaError_t run_up(const UpCall& call, double* slots, cudaStream_t stream);
}  // namespace prunepeft::cuda
