// What the calls of decoder.cuh should take, as linear/cuda/cost.h has it of the linear layers': each byte of an operand once,
// and instructions where operands lie in aligned rows.
#pragma once

#include <cmath>
#include <cstdint>

#include "linear/cuda/cost.h"

namespace prunepeft::cuda {
/**
 * Instructions of a warp for 256 elements in 16 bits, eight a thread: of the normalisation's first and second reading of x, and
 * of what lies between for a run that a block shares. cmake/cost_of_loops.py compares them with native/cuda-loops.txt.
 */
constexpr double kNormSquares = 43, kNormScaled = 106, kNormRun = 173;
constexpr double kNormProducts = 106, kNormGradients = 135, kNormBackwardRun = 165;
/** Of the rotation eight pairs a thread, and what a row takes besides; of gates (SwiGLU) eight elements of the result. */
constexpr double kRotatePairs = 185, kRotateRow = 123;
constexpr double kGateForward = 342, kGateBackward = 447;

/** Of decoder.cuh: warps of a block, elements of a warp's turn, and of a run that a warp normalises by itself. */
constexpr double kWarpsOfBlock = 8, kElementsOfWarp = 8 * 32, kMostNormalisedByWarp = 4 * kElementsOfWarp;

inline double turns_of_warps(double elements) {
  return std::ceil(elements / kElementsOfWarp);
}

/** Runs of K elements. What lies between the readings of a run that a warp has by itself is taken to cost as much. */
inline Cost rms_norm_cost(double runs, double K, double element_bytes, bool backward) {
  Cost cost = {(backward ? 3 : 2) * element_bytes * runs * K, 0, 0, 1};
  const double warps = K > kMostNormalisedByWarp ? kWarpsOfBlock : 1;
  if (element_bytes == 2)
    cost.instructions = runs * (turns_of_warps(K) * (backward ? kNormProducts + kNormGradients : kNormSquares + kNormScaled) +
                                warps * (backward ? kNormBackwardRun : kNormRun));
  return cost;
}

/** Rows of heads, each of which is rotated whole, by float32 tables with a row for each row of x. */
inline Cost rotate_cost(double rows, double heads, double head_size, double element_bytes) {
  const double columns = heads * head_size;
  Cost cost = {rows * (2 * element_bytes * columns + 2 * sizeof(float) * head_size / 2), 0, 0, 1};
  if (element_bytes == 2) cost.instructions = rows * (turns_of_warps(columns / 2) * kRotatePairs + kWarpsOfBlock * kRotateRow);
  return cost;
}

/** A result of so many elements, or the gradients of what it is of. */
inline Cost gate_cost(double elements, double element_bytes, bool backward) {
  Cost cost = {(backward ? 5 : 3) * element_bytes * elements, 0, 0, 1};
  if (element_bytes == 2) cost.instructions = turns_of_warps(elements) * (backward ? kGateBackward : kGateForward);
  return cost;
}
}  // namespace prunepeft::cuda
