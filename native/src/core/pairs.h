// bfloat16 for the kernels' translation units: loads that widen, stores that round (to nearest, ties to even), and operands of
// pairs for product.h.
//
// A pair is two bfloat16 that are neighbours along the inner dimension, the first in the low half of a 32-bit lane: what one
// step of a product takes. A large operand's rows hold pairs as they lie (PairRows). Where the inner dimension runs over rows,
// two rows at a time are interleaved first (PairColumns). The small operand is packed in pairs. An odd inner dimension ends
// with a pair whose second half is 0. AVX-512 BF16 multiplies pairs; other instruction sets widen both halves.
#pragma once

#include "core/bytes.h"
#include "core/product.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

typedef uint16_t Bfloat16 __attribute__((aligned(1), may_alias));
typedef uint16_t HalfWordVec __attribute__((vector_size(2 * kWidth), may_alias));

/** Types that name the elements', whose alignment a template's argument would lose. */
struct Float32 {
  typedef float Element;
};
struct BFloat16 {
  typedef Bfloat16 Element;
};

static PP_INLINE int64_t pairs(int64_t elements) {
  return (elements + 1) / 2;
}

/** The bits of the first n elements, 0 < n, one in the low half of each lane; zeros for the rest. */
static PP_INLINE BitVec load_bits(const Bfloat16* p, int64_t n) {
  HalfWordVec v = {};
  if (n >= kWidth) {
    memcpy(&v, p, sizeof v);
  } else {
#if defined(__AVX512F__)
    v = (HalfWordVec)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), p);
#else
    memcpy(&v, p, static_cast<size_t>(n) * sizeof(Bfloat16));
#endif
  }
  return __builtin_convertvector(v, BitVec);
}

/** The first n elements, 0 < n; zeros for the rest. */
static PP_INLINE Vec load(const Bfloat16* p, int64_t n) {
  return (Vec)(load_bits(p, n) << 16);
}

/** Rounded to nearest, the result in the high half of each lane; a NaN stays one. */
static PP_INLINE BitVec round_bits(Vec v) {
  const BitVec bits = (BitVec)v;
  const BitVec rounded = bits + 0x7FFFu + ((bits >> 16) & 1u);
  return (v == v ? rounded : (bits | 0x400000u)) & 0xFFFF0000u;
}

static PP_INLINE void store(Bfloat16* p, Vec v, int64_t n) {
#if defined(__AVX512BF16__)
  const __m256i rounded = (__m256i)_mm512_cvtneps_pbh(v);
  if (n >= kWidth) {
    _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(p), rounded);
  } else {
    _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1u << n) - 1), rounded);
  }
#else
  const HalfWordVec rounded = __builtin_convertvector(round_bits(v) >> 16, HalfWordVec);
  memcpy(p, &rounded, n >= kWidth ? sizeof rounded : static_cast<size_t>(n) * sizeof(Bfloat16));
#endif
}

/** Pairs of two rows' elements, rounded. */
static PP_INLINE Vec pair(Vec first, Vec second) {
  return (Vec)((round_bits(first) >> 16) | round_bits(second));
}

/** sum + the products of both halves. */
static PP_INLINE Vec multiply_pairs(Vec a, Vec b, Vec sum) {
#if defined(__AVX512BF16__)
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
#else
  const Vec low = fma((Vec)((BitVec)a << 16), (Vec)((BitVec)b << 16), sum);
  return fma((Vec)((BitVec)a & 0xFFFF0000u), (Vec)((BitVec)b & 0xFFFF0000u), low);
#endif
}

static PP_INLINE Vec spread_bits(uint32_t bits) {
  return (Vec)(bits - BitVec{});
}
/** Of a pair at any address. */
static PP_INLINE Vec spread_pair(const void* p) {
  uint32_t bits;
  memcpy(&bits, p, sizeof bits);
  return spread_bits(bits);
}
/** Of a pair whose second half is 0. */
static PP_INLINE Vec spread_first(const Bfloat16* p) {
  uint16_t bits;
  memcpy(&bits, p, sizeof bits);
  return spread_bits(bits);
}

/** The large operand: rows of bfloat16 with an even number of them along the inner dimension; so many in `depth` pairs. */
struct PairRows {
  const Bfloat16* p;
  int64_t ld;
  PP_INLINE Vec spread(int64_t i, int64_t k) const { return spread_pair(p + i * ld + 2 * k); }
  static PP_INLINE Vec multiply_add(Vec a, Vec b, Vec sum) { return multiply_pairs(a, b, sum); }
  PP_INLINE int64_t elements(int64_t depth) const { return 2 * depth; }
  PP_INLINE PairRows from(int64_t i) const { return {p + i * ld, ld}; }
  PP_INLINE PairRows skip(int64_t k) const { return {p + 2 * k, ld}; }
};

/** The same with an odd number: pair number `last` has but one element. */
struct OddPairRows {
  const Bfloat16* p;
  int64_t ld;
  int64_t last;
  PP_INLINE Vec spread(int64_t i, int64_t k) const {
    const Bfloat16* at = p + i * ld + 2 * k;
    return k == last ? spread_first(at) : spread_pair(at);
  }
  static PP_INLINE Vec multiply_add(Vec a, Vec b, Vec sum) { return multiply_pairs(a, b, sum); }
  PP_INLINE int64_t elements(int64_t depth) const { return least(2 * depth, 2 * last + 1); }
  PP_INLINE OddPairRows from(int64_t i) const { return {p + i * ld, ld, last}; }
  PP_INLINE OddPairRows skip(int64_t k) const { return {p + 2 * k, ld, last - k}; }
};

/** The large operand transposed: rows of pairs, element (i, k) at p[k * ld + i]. */
struct PairColumns {
  const float* p;
  int64_t ld;
  PP_INLINE Vec spread(int64_t i, int64_t k) const { return spread_pair(p + k * ld + i); }
  static PP_INLINE Vec multiply_add(Vec a, Vec b, Vec sum) { return multiply_pairs(a, b, sum); }
  PP_INLINE PairColumns from(int64_t i) const { return {p + i, ld}; }
};

/** Calls product(large) with rows of `depth` elements each. */
template <class Product>
static PP_INLINE void with_pair_rows(const Bfloat16* p, int64_t ld, int64_t depth, const Product& product) {
  if (depth % 2 == 0) {
    product(PairRows{p, ld});
  } else {
    product(OddPairRows{p, ld, depth / 2});
  }
}

/** to[k * step + i] = pair k of row i; an odd row ends with a pair whose second half is 0. */
static inline void transpose_pairs(int64_t rows, int64_t columns, const Bfloat16* from, int64_t ld, float* to, int64_t step) {
  transpose_words(rows, columns / 2, from, ld * int64_t{sizeof(Bfloat16)}, to, step);
  if (columns % 2 == 0) return;
  for (int64_t i = 0; i < rows; ++i) {
    const uint32_t last = from[i * ld + columns - 1];
    memcpy(to + columns / 2 * step + i, &last, sizeof last);
  }
}

/** Rows of two: pairs (2i, 2i + 1) of `rows` rows, in rows of `step` pairs. Beyond `columns`, up to whole vectors, are zeros.
 */
static inline void interleave(int64_t rows, int64_t columns, const Bfloat16* from, int64_t ld, float* to, int64_t step) {
  for (int64_t i = 0; i < rows; i += 2) {
    const Bfloat16* row = from + i * ld;
    for (int64_t j = 0; j < columns; j += kWidth) {
      BitVec both = load_bits(row + j, columns - j);
      if (i + 1 < rows) both |= load_bits(row + ld + j, columns - j) << 16;
      store(to + i / 2 * step + j, (Vec)both);
    }
  }
}

/** The same of float32 rows, each multiplied by `scale` and rounded. */
static inline void interleave(int64_t rows, int64_t columns, const float* from, int64_t ld, float scale, float* to,
                              int64_t step) {
  for (int64_t i = 0; i < rows; i += 2) {
    const float* row = from + i * ld;
    for (int64_t j = 0; j < columns; j += kWidth) {
      const Vec second = i + 1 < rows ? load(row + ld + j, columns - j) : Vec{};
      store(to + i / 2 * step + j, pair(load(row + j, columns - j) * scale, second * scale));
    }
  }
}

/** Rounds `rows` rows of `columns` floats, each row followed by a 0 where their number is odd. */
static inline void round_rows(int64_t rows, int64_t columns, const float* from, int64_t ld, Bfloat16* to, int64_t ldto) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; j += kWidth) {
      store(to + i * ldto + j, load(from + i * ld + j, columns - j), least(kWidth, 2 * pairs(columns) - j));
    }
  }
}

/** Packs small(k, j) = source[k * ld + j] in pairs; an item of pack_items(pairs(depth), columns). */
static inline void pack_pairs_straight(int64_t item, const float* source, int64_t ld, int64_t depth, int64_t columns,
                                       float* panels) {
  const int64_t blocks = (pairs(depth) + kDepth - 1) / kDepth;
  const int64_t column = item / blocks * kPanel, first = item % blocks * kDepth, last = least(first + kDepth, pairs(depth));
  const int vectors = panel_vectors(columns, column);
  float* to = panels + column * pairs(depth) + first * vectors * kWidth;
  for (int64_t k = first; k < last; ++k) {
    const float* row = source + 2 * k * ld;
    for (int v = 0; v < vectors; ++v, to += kWidth) {
      const int64_t j = column + v * kWidth;
      store(to, pair(load(row + j, columns - j), 2 * k + 1 < depth ? load(row + ld + j, columns - j) : Vec{}));
    }
  }
}

/** Packs small(k, j) = source[j * ld + k] in pairs; an item of pack_items(pairs(depth), columns). */
static inline void pack_pairs_transposed(int64_t item, const float* source, int64_t ld, int64_t depth, int64_t columns,
                                         float* panels) {
  const int64_t blocks = (pairs(depth) + kDepth - 1) / kDepth;
  const int64_t column = item / blocks * kPanel, first = item % blocks * kDepth, last = least(first + kDepth, pairs(depth));
  const int64_t width = panel_vectors(columns, column) * kWidth;
  float* to = panels + column * pairs(depth);
  for (int64_t j = 0; j < width; j += kWidth) {
    for (int64_t k = first; k < last; ++k) {
      Vec low = {}, high = {};
      for (int64_t lane = 0; lane < least(kWidth, columns - column - j); ++lane) {
        const float* at = source + (column + j + lane) * ld + 2 * k;
        low[lane] = load_one(at);
        if (2 * k + 1 < depth) high[lane] = load_one(at + 1);
      }
      store(to + k * width + j, pair(low, high));
    }
  }
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
