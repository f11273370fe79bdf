// The fused linear on codes of int8 and NF4, which its tiles decode.
#pragma once

#include "linear/cuda/linear.cuh"
#include "linear/plan.h"

namespace prunepeft::cuda {
/** W [rows,columns] as its tiles read it. */
struct CodeSource {
  const uint8_t* codes;
  int64_t rows;
  int64_t columns;
  Decoding decoding;
};

/** Whether tiles can read the codes: 16 bytes at a time, which lie in a row, of elements of 16 bits. */
bool can_read_codes(const pp_linear& linear);

/** Enqueues the product; its order is that of small tiles, and `shared_bytes` what parts of S need. */
template <class T>
cudaError_t run_linear_forward_codes(const LinearForwardArguments<T>& arguments, const CodeSource& source, size_t shared_bytes,
                                     cudaStream_t stream);
template <class T>
cudaError_t run_linear_grad_input_codes(const LinearArguments<T>& arguments, const CodeSource& source, cudaStream_t stream);
}  // namespace prunepeft::cuda
