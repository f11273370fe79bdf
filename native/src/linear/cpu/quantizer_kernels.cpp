// Weights to codes and back, on the CPU; compiled once for each instruction set.
//
// Rows of int8, and blocks of NF4, which run on over row ends, are independent of each other. What shares a scale is read
// twice: for its largest magnitude, and for its codes. Magnitudes are compared as integers, so that what is not finite is the
// largest.
#include "core/pairs.h"
#include "core/threads.h"
#include "core/workspace.h"
#include "linear/cpu/quantizer_cpu.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** Elements of an item of work, whole blocks of any size. */
constexpr int64_t kItem = 4 * kMostBlock;
/** Elements that are decoded at a time. */
constexpr int64_t kPart = 256;

/** Calls `work(row)`, with a pointer to the elements of row number `i`. */
template <class Work>
void with_row(const pp_matrix& matrix, int64_t i, const Work& work) {
  if (matrix.dtype == PP_FLOAT32) {
    work(static_cast<float*>(matrix.data) + i * matrix.ld);
  } else {
    work(static_cast<Bfloat16*>(matrix.data) + i * matrix.ld);
  }
}

IntVec larger(IntVec a, IntVec b) {
  return a > b ? a : b;
}

float largest_of(IntVec magnitudes) {
  int32_t most = 0;
  for (int lane = 0; lane < kWidth; ++lane) most = magnitudes[lane] > most ? magnitudes[lane] : most;
  float value;
  memcpy(&value, &most, sizeof value);
  return value;
}

IntVec magnitudes(Vec values) {
  return (IntVec)values & 0x7FFFFFFF;
}

/** A row of int8. Returns its scale. */
template <class Element>
float quantize_row(const Element* row, int64_t columns, uint8_t* codes) {
  IntVec most = {};
  for (int64_t j = 0; j < columns; j += kWidth) most = larger(magnitudes(load(row + j, columns - j)), most);
  const float scale = largest_of(most) / 127.0f;
  if (!(scale > 0.0f && scale < __builtin_inff())) {
    memset(codes, 0, static_cast<size_t>(columns));
    return scale;
  }
  for (int64_t j = 0; j < columns; j += kWidth) {
    // A scale that has lost bits may give more than 127. The sum's lowest bits are the nearest integer's.
    constexpr float kRounds = 12582912.0f;
    const Vec in_range = minimum(broadcast(127.0f), -minimum(broadcast(127.0f), -(load(row + j, columns - j) / scale)));
    uint8_t bytes[kWidth];
    store_bytes(bytes, (BitVec)(in_range + kRounds));
    memcpy(codes + j, bytes, static_cast<size_t>(least(kWidth, columns - j)));
  }
  return scale;
}

/** Between which of the table's values each code's nearest begin: it is so many as an element is larger than. */
struct Thresholds {
  float of[kCodes - 1];
  explicit Thresholds(const float* table) {
    for (int code = 0; code + 1 < kCodes; ++code) of[code] = 0.5f * (table[code] + table[code + 1]);
  }
};

/** A block of 4-bit codes, `count` elements and zeros up to a whole vector. Returns its scale. */
float quantize_block(const float* values, int64_t count, const Thresholds& thresholds, uint8_t* codes) {
  IntVec most = {};
  for (int64_t i = 0; i < count; i += kWidth) most = larger(magnitudes(load(values + i)), most);
  const float scale = largest_of(most), inverse = 1.0f / scale;
  uint8_t single[kMostBlock];
  for (int64_t i = 0; i < count; i += kWidth) {
    const Vec scaled = load(values + i) * inverse;
    IntVec code = {};
    for (const float threshold : thresholds.of) code -= scaled > broadcast(threshold);
    store_bytes(single + i, (BitVec)code);
  }
  for (int64_t i = 0; i < count; i += 2) codes[i / 2] = static_cast<uint8_t>(single[i] << 4 | single[i + 1]);
  return scale;
}

/** Copies `count` elements from number `element` on, row after row, and zeros up to a whole vector. */
void copy_elements(const pp_matrix& matrix, int64_t element, int64_t count, float* to) {
  for (int64_t done = 0; done < count;) {
    const int64_t j = (element + done) % matrix.cols, run = least(count - done, matrix.cols - j);
    with_row(matrix, (element + done) / matrix.cols, [&](const auto* row) {
      for (int64_t at = 0; at < run; at += kWidth) store(to + done + at, load(row + j + at, run - at), run - at);
    });
    done += run;
  }
  for (int64_t i = count; i < round_up(count, kWidth); ++i) to[i] = 0.0f;
}

double operations(const QuantizerCall& c) {
  return 32.0 * static_cast<double>(c.dense.rows) * static_cast<double>(c.dense.cols);
}

void quantize(const QuantizerCall& c) {
  const int64_t columns = c.dense.cols, elements = c.dense.rows * columns;
  if (c.decoding.type == PP_INT8) {
    const auto row = [&](int64_t i) {
      with_row(c.dense, i, [&](const auto* values) {
        store_one(c.decoding.scales + i, quantize_row(values, columns, c.codes + i * columns));
      });
    };
    run_phases(operations(c), phase(c.dense.rows, row));
    return;
  }
  const Thresholds thresholds(c.decoding.table);
  const int64_t block = int64_t{1} << c.decoding.block_shift;
  const auto blocks = [&](int64_t item) {
    alignas(kCacheLine) float values[kMostBlock];
    for (int64_t at = item * kItem; at < least((item + 1) * kItem, elements); at += block) {
      const int64_t count = least(block, elements - at);
      copy_elements(c.dense, at, count, values);
      store_one(c.decoding.scales + at / block, quantize_block(values, count, thresholds, c.codes + at / 2));
    }
  };
  run_phases(operations(c), phase((elements + kItem - 1) / kItem, blocks));
}

/** Element number `element`, to float32. */
float decoded(const QuantizerCall& c, int64_t i, int64_t element) {
  if (c.decoding.type == PP_INT8) return static_cast<int8_t>(c.codes[element]) * load_one(c.decoding.scales + i);
  const int code = element % 2 == 0 ? c.codes[element / 2] >> 4 : c.codes[element / 2] & 15;
  return c.decoding.table[code] * load_one(c.decoding.scales + (element >> c.decoding.block_shift));
}

void dequantize(const QuantizerCall& c) {
  const int64_t columns = c.dense.cols;
  const auto row = [&](int64_t i) {
    alignas(kCacheLine) float values[kPart];
    for (int64_t first = 0; first < columns; first += kPart) {
      const int64_t count = least(kPart, columns - first);
      for (int64_t j = 0; j < count; ++j) values[j] = decoded(c, i, i * columns + first + j);
      with_row(c.dense, i, [&](auto* to) {
        for (int64_t j = 0; j < count; j += kWidth) store(to + first + j, load(values + j), count - j);
      });
    }
  };
  run_phases(operations(c), phase(c.dense.rows, row));
}

}  // namespace

extern const QuantizerKernels quantizer_kernels;
const QuantizerKernels quantizer_kernels = {quantize, dequantize};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
