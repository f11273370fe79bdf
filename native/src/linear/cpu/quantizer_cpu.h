// The CPU side of quantising and decoding weights, behind quantized.cpp, which has checked the arguments.
#pragma once

#include "linear/plan.h"

namespace prunepeft {

/** A matrix and what it is in codes: one of them is read, the other written. */
struct QuantizerCall {
  pp_matrix dense;
  uint8_t* codes;
  Decoding decoding;
};

/** The kernels of one instruction set. */
struct QuantizerKernels {
  void (*quantize)(const QuantizerCall& call);
  void (*dequantize)(const QuantizerCall& call);
};

/** The kernels of the instruction set in use. */
const QuantizerKernels& quantizer_cpu();

}  // namespace prunepeft
