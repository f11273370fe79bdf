// W of a plan as a product reads it: strips of floats or of pairs of bfloat16 as they lie, or brought into order a run at a
// time where W is quantised or borrowed. For the kernels' translation units alone.
//
// A run is decoded or packed into a buffer of the thread's own, which stays in the second cache while all rows of an item are
// multiplied by it. What comes out are the bits that a plan of the dense W holds, so that the results are its results too.
#pragma once

#include "core/call.h"
#include "core/pairs.h"
#include "core/threads.h"
#include "core/workspace.h"
#include "linear/cpu/linear_cpu.h"
#include "linear/plan.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** Carves the buffers of Strips, none where W is packed. */
static PP_INLINE float* run_buffers(const pp_linear& linear, WorkspacePieces& pieces) {
  return linear.by_runs() ? pieces.floats(kRunFloats, call_threads()) : nullptr;
}

/** A value for each of the 16 codes, in registers where they fit. */
class CodeTable {
 public:
  PP_INLINE explicit CodeTable(const float* values) {
    for (int v = 0; v < kVectors; ++v) values_[v] = load(values + v * kWidth);
  }

  /** What `f` makes of vectors of values. */
  template <class F>
  PP_INLINE CodeTable map(const F& f) const {
    CodeTable mapped(*this);
    for (int v = 0; v < kVectors; ++v) mapped.values_[v] = f(values_[v]);
    return mapped;
  }

  /** Of a code in the lowest 4 bits of each lane. */
  PP_INLINE Vec operator[](BitVec codes) const {
#if defined(__AVX512F__)
    return _mm512_permutexvar_ps((__m512i)codes, values_[0]);
#elif defined(__AVX2__)
    const Vec low = _mm256_permutevar8x32_ps(values_[0], (__m256i)codes);
    const Vec high = _mm256_permutevar8x32_ps(values_[1], (__m256i)codes);
    return _mm256_blendv_ps(low, high, (__m256)(codes << 28));
#else
    Vec found;
    for (int lane = 0; lane < kWidth; ++lane) {
      const uint32_t code = codes[lane] % kCodes;
      found[lane] = values_[code / kWidth][code % kWidth];
    }
    return found;
#endif
  }

 private:
  static constexpr int kVectors = kCodes / kWidth;
  Vec values_[kVectors];
};

/** A pair of weights, rounded. */
static PP_INLINE Vec weight_pair(Vec first, Vec second) {
#if defined(__AVX512BF16__)
  const __m512i apart = (__m512i)_mm512_cvtne2ps_pbh(second, first);
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20,
                                         4, 19, 3, 18, 2, 17, 1, 16, 0);
  return (Vec)_mm512_permutexvar_epi16(order, apart);
#else
  return pair(first, second);
#endif
}

/** Writes a vector of pairs: rounded, or first ones in a row and second ones in the next. */
template <bool kRounds>
static PP_INLINE void store_pairs(Vec first, Vec second, float* to, int64_t width) {
  if constexpr (kRounds) {
    store(to, weight_pair(first, second));
  } else {
    store(to, first);
    store(to + width, second);
  }
}

/** A pair's two codes in a byte, the first in the high half. */
class Nf4Codes {
 public:
  static constexpr int64_t kPairBytes = 1;
  PP_INLINE explicit Nf4Codes(const Decoding& decoding) : table_(decoding.table) {}

  /** The values of a vector of pairs, not scaled yet. */
  PP_INLINE void read(const uint8_t* at, Vec* first, Vec* second) const {
    const BitVec both = load_bytes(at);
    *first = table_[both >> 4];
    *second = table_[both];
  }

  /** A step of pairs of which all first ones have one scale, and all second ones: tables are scaled in place of values. */
  template <bool kRounds>
  PP_INLINE void decode_row(const uint8_t* from, int64_t width, float first_scale, float second_scale, float* to) const {
    const CodeTable first = table_.map([&](Vec values) {
      const Vec scaled = values * first_scale;
      return kRounds ? (Vec)(round_bits(scaled) >> 16) : scaled;
    });
    const CodeTable second = table_.map([&](Vec values) {
      const Vec scaled = values * second_scale;
      return kRounds ? (Vec)round_bits(scaled) : scaled;
    });
    for (int64_t j = 0; j < width; j += kWidth) {
      const BitVec both = load_bytes(from + j);
      if constexpr (kRounds) {
        store(to + j, (Vec)((BitVec)first[both >> 4] | (BitVec)second[both]));
      } else {
        store(to + j, first[both >> 4]);
        store(to + width + j, second[both]);
      }
    }
  }

 private:
  CodeTable table_;
};

/** A pair's two codes in two bytes. */
class Int8Codes {
 public:
  static constexpr int64_t kPairBytes = 2;
  PP_INLINE explicit Int8Codes(const Decoding&) {}

  PP_INLINE void read(const uint8_t* at, Vec* first, Vec* second) const {
    HalfWordVec words;
    memcpy(&words, at, sizeof words);
    const IntVec both = (IntVec) __builtin_convertvector(words, BitVec);
    *first = __builtin_convertvector((both << 24) >> 24, Vec);
    *second = __builtin_convertvector((both << 16) >> 24, Vec);
  }

  template <bool kRounds>
  PP_INLINE void decode_row(const uint8_t* from, int64_t width, float first_scale, float second_scale, float* to) const {
    for (int64_t j = 0; j < width; j += kWidth) {
      Vec first, second;
      read(from + j * kPairBytes, &first, &second);
      store_pairs<kRounds>(first * first_scale, second * second_scale, to + j, width);
    }
  }
};

/** W, or Wᵀ, as a matrix of `depth` x `columns` in strips. */
class Strips {
 public:
  /** `buffers` has kRunFloats for each thread where W comes by runs. */
  Strips(const pp_linear& linear, bool forward, float* buffers)
      : linear_(linear),
        forward_(forward),
        pairs_(linear.dtype == PP_BFLOAT16),
        depth_(forward ? linear.K : linear.N),
        columns_(forward ? linear.N : linear.K),
        packed_(forward ? linear.forward : linear.backward),
        buffers_(buffers) {}

  /**
   * Steps [first, first + steps) of the strip of `width` floats a step that begins at `column`: a step is an element of the
   * depth, or a pair of bfloat16. `first` is even, steps are at most kMostRun. Until the thread's next call.
   */
  const float* run(int64_t column, int64_t width, int64_t first, int64_t steps) const {
    if (!linear_.by_runs()) {
      return static_cast<const float*>(packed_) + column * (pairs_ ? pairs(depth_) : depth_) + first * width;
    }
    float* to = buffers_ + thread_number() * kRunFloats;
    if (linear_.borrowed) {
      pack(column, width, first, steps, to);
    } else if (linear_.decoding.type == PP_NF4) {
      decode<Nf4Codes>(column, width, first, steps, to);
    } else {
      decode<Int8Codes>(column, width, first, steps, to);
    }
    return to;
  }

 private:
  /** Packs a run of W, or Wᵀ, from where it lies. */
  void pack(int64_t column, int64_t width, int64_t first, int64_t steps, float* to) const {
    const int64_t columns = least(width, columns_ - column), ld = linear_.ldw;
    if (pairs_) {
      const int64_t depth = least(2 * steps, depth_ - 2 * first);
      const Bfloat16* w = static_cast<const Bfloat16*>(linear_.w);
      if (forward_) {
        transpose_pairs(columns, depth, w + column * ld + 2 * first, ld, to, width);
      } else {
        interleave(depth, columns, w + 2 * first * ld + column, ld, to, width);
      }
    } else {
      const float* w = static_cast<const float*>(linear_.w);
      if (forward_) {
        transpose_words(columns, steps, w + column * ld + first, ld * int64_t{sizeof(float)}, to, width);
      } else {
        copy_padded(steps, columns, w + first * ld + column, ld, to, width);
      }
    }
    // What is beyond the last column may have any value but is read.
    const int64_t written = forward_ ? columns : padded(columns);
    for (int64_t k = 0; k < steps && written < width; ++k) {
      memset(to + k * width + written, 0, static_cast<size_t>(width - written) * sizeof *to);
    }
  }

  /** The scales of a strip's columns at one place of the depth. */
  struct Scales {
    alignas(kCacheLine) float of[kStrip];
  };

  /** That of element `k` of the depth in a column. */
  float scale(int64_t k, int64_t column) const {
    const Decoding& decoding = linear_.decoding;
    const int64_t row = forward_ ? column : k, element = row * linear_.K + (forward_ ? k : column);
    return decoding.scales[decoding.type == PP_NF4 ? element >> decoding.block_shift : row];
  }

  /** Fills `scales` for element `k` of the depth; returns the first for which they are others. */
  int64_t scales_at(int64_t k, int64_t column, int64_t valid, Scales& scales) const {
    for (int64_t j = 0; j < valid; ++j) scales.of[j] = scale(k, column + j);
    if (!forward_) return k + 1;
    if (linear_.decoding.type == PP_INT8) return depth_;
    const int64_t block = int64_t{1} << linear_.decoding.block_shift;
    return linear_.K % block == 0 ? (k / block + 1) * block : k + 1;
  }

  /** Whether all columns of a strip have one scale at each place of the depth. */
  bool has_one_scale(int64_t column, int64_t valid) const {
    if (forward_ || linear_.decoding.type == PP_INT8) return !forward_;
    const int32_t shift = linear_.decoding.block_shift;
    return linear_.K % (int64_t{1} << shift) == 0 && column >> shift == (column + valid - 1) >> shift;
  }

  template <class Codes>
  void decode(int64_t column, int64_t width, int64_t first, int64_t steps, float* to) const {
    if (pairs_) {
      decode_pairs<Codes, true>(column, width, first, first + steps, to);
    } else {
      decode_pairs<Codes, false>(column, width, first / 2, (first + steps + 1) / 2, to);
    }
  }

  template <class Codes, bool kRounds>
  void decode_pairs(int64_t column, int64_t width, int64_t begin, int64_t end, float* to) const {
    constexpr int64_t kRows = kRounds ? 1 : 2;
    const Codes codes(linear_.decoding);
    const int64_t bytes = width * Codes::kPairBytes, valid = least(width, columns_ - column);
    const uint8_t* from = static_cast<const uint8_t*>(packed_) + column * pairs(depth_) * Codes::kPairBytes + begin * bytes;
    const bool one_scale = has_one_scale(column, valid);
    Scales low = {}, high = {};
    const Scales* of_second = &low;
    for (int64_t p = begin, next = 2 * begin; p < end; ++p, from += bytes, to += kRows * width) {
      const bool whole = 2 * p + 1 < depth_;
      if (one_scale && whole) {
        codes.template decode_row<kRounds>(from, width, scale(2 * p, column), scale(2 * p + 1, column), to);
        continue;
      }
      if (2 * p >= next) {
        next = scales_at(2 * p, column, valid, low);
        of_second = &low;
      }
      if (2 * p + 1 >= next && whole) {
        next = scales_at(2 * p + 1, column, valid, high);
        of_second = &high;
      }
      for (int64_t j = 0; j < width; j += kWidth) {
        Vec first, second;
        codes.read(from + j * Codes::kPairBytes, &first, &second);
        store_pairs<kRounds>(first * load(low.of + j), whole ? second * load(of_second->of + j) : Vec{}, to + j, width);
      }
    }
  }

  const pp_linear& linear_;
  const bool forward_, pairs_;
  const int64_t depth_, columns_;
  const void* packed_;
  float* buffers_;
};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
