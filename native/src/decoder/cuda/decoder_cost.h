// What the calls of decoder.cuh should take, as linear/cuda/cost.h has it of the linear layers': each byte of an operand once,
// and instructions where operands lie in aligned rows. And how many threads a run has, which the launches ask too.
#pragma once

#include <cmath>
#include <cstdint>

#include "linear/cuda/ceilings.h"

namespace prunepeft::cuda {
/**
 * Instructions of a warp for 256 elements in 16 bits, eight a thread: of the normalisation's first and second reading of x, and
 * of what lies between for a run that several warps share, or threads of one. cmake/cost_of_loops.py compares them with
 * native/cuda-loops.txt.
 */
constexpr double kNormSquares = 30, kNormScaled = 70, kNormRun = 221, kNormRunOfWarp = 186;
constexpr double kNormProducts = 93, kNormGradients = 95, kNormBackwardRun = 207, kNormBackwardRunOfWarp = 172;
/** Of the rotation eight pairs a thread, and what a row takes besides; of gates (SwiGLU) eight elements of the result. */
constexpr double kRotatePairs = 144, kRotateRow = 184;
constexpr double kGateForward = 360, kGateBackward = 452;

/** Of decoder.cuh: threads of a block and of a warp, and elements that a thread takes at a time. */
constexpr int kThreadsOfBlock = 256, kThreadsOfWarp = 32, kElementsOfThread = 8;

/**
 * Threads of a run that is normalised, or a row that is rotated: a power of two, of which this is the logarithm, so that each
 * has at most four groups of eight, but of what has more than 8192 elements.
 */
inline int log_threads_of(int64_t elements) {
  constexpr int kLeast = 2, kElements = 28;
  int log_threads = kLeast;
  while (1 << log_threads < kThreadsOfBlock && (kElements << log_threads) < elements) ++log_threads;
  return log_threads;
}

/** Turns of warps that a run of so many elements takes, of which each takes eight for a thread: runs share warps. */
inline double turns_of(int64_t elements, int threads) {
  const int at_once = kElementsOfThread * threads;
  return std::ceil(static_cast<double>(elements) / at_once) * threads / kThreadsOfWarp;
}

/** Runs of K elements, of whole rows or of heads. */
inline Cost rms_norm_cost(double runs, int64_t K, double element_bytes, bool backward) {
  Cost cost = {(backward ? 3 : 2) * element_bytes * runs * static_cast<double>(K), 0, 0, 1};
  if (element_bytes != 2) return cost;
  const int threads = 1 << log_threads_of(K);
  const double readings = backward ? kNormProducts + kNormGradients : kNormSquares + kNormScaled;
  const double between = threads > kThreadsOfWarp ? (backward ? kNormBackwardRun : kNormRun)
                                                  : (backward ? kNormBackwardRunOfWarp : kNormRunOfWarp);
  cost.instructions = runs * (turns_of(K, threads) * readings + between * threads / kThreadsOfWarp);
  return cost;
}

/** Rows of heads, each of which is rotated whole, by float32 tables with a row for each row of x. */
inline Cost rotate_cost(double rows, int64_t heads, int64_t head_size, double element_bytes) {
  const int64_t columns = heads * head_size;
  const double of_row = 2 * element_bytes * static_cast<double>(columns),
               of_tables = 2.0 * sizeof(float) / 2 * static_cast<double>(head_size);
  Cost cost = {rows * (of_row + of_tables), 0, 0, 1};
  if (element_bytes != 2) return cost;
  const int threads = 1 << log_threads_of(columns);
  cost.instructions = rows * (turns_of(columns / 2, threads) * kRotatePairs + kRotateRow * threads / kThreadsOfWarp);
  return cost;
}

/** A result of so many elements, or the gradients of what it is of. */
inline Cost gate_cost(double elements, double element_bytes, bool backward) {
  Cost cost = {(backward ? 5 : 3) * element_bytes * elements, 0, 0, 1};
  if (element_bytes == 2)
    cost.instructions = std::ceil(elements / (kElementsOfThread * kThreadsOfWarp)) * (backward ? kGateBackward : kGateForward);
  return cost;
}
}  // namespace prunepeft::cuda
