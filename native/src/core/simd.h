// Vectors of float32 and float64 for the kernels' translation units, which the build compiles once for each instruction set,
// with PRUNEPEFT_ISA as the name of the namespace that their copy lives in. GCC's vector types give the arithmetic; what they
// lack is here: fused multiply-add, loads and stores of a part, masks as bits, and the dropout mask.
//
// Everything is force-inlined or of internal linkage: a function compiled for a wide instruction set must never be merged with
// one that a narrow processor calls. For the same reason these translation units use no templates of the standard library.
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "core/inline.h"
#include "core/philox.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
constexpr int kRegisters = 32;
#elif defined(__AVX2__)
constexpr int kWidth = 8;
constexpr int kRegisters = 16;
#elif defined(__aarch64__)
constexpr int kWidth = 4;
constexpr int kRegisters = 32;
#else
constexpr int kWidth = 4;
constexpr int kRegisters = 16;
#endif

/** Has this translation unit tile registers (tiles.h)? */
#if defined(PRUNEPEFT_TILES)
constexpr bool kTiles = true;
#else
constexpr bool kTiles = false;
#endif

typedef float Vec __attribute__((vector_size(4 * kWidth), may_alias));
typedef int32_t IntVec __attribute__((vector_size(4 * kWidth), may_alias));
typedef uint64_t WordVec __attribute__((vector_size(4 * kWidth), may_alias));
/** Half as many float32 as a Vec has: what widens to one DoubleVec. */
typedef float HalfVec __attribute__((vector_size(2 * kWidth), may_alias));
typedef double DoubleVec __attribute__((vector_size(4 * kWidth), may_alias));

static PP_INLINE int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}
static PP_INLINE int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/** An element of the callers, which may lie at any address. */
static PP_INLINE float load_one(const float* p) {
  float value;
  memcpy(&value, p, sizeof value);
  return value;
}
static PP_INLINE int32_t load_one(const int32_t* p) {
  int32_t value;
  memcpy(&value, p, sizeof value);
  return value;
}
static PP_INLINE void store_one(float* p, float value) {
  memcpy(p, &value, sizeof value);
}
static PP_INLINE Vec broadcast(float value) {
  return value - Vec{};
}
static PP_INLINE Vec load(const float* p) {
  Vec v;
  memcpy(&v, p, sizeof v);
  return v;
}
static PP_INLINE void store(float* p, Vec v) {
  memcpy(p, &v, sizeof v);
}

static PP_INLINE Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
  return (Vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

static PP_INLINE DoubleVec fma(DoubleVec a, DoubleVec b, DoubleVec c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_pd(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_pd(a, b, c);
#elif defined(__aarch64__)
  return (DoubleVec)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
  return a * b + c;
#endif
}

/** Is any lane of a comparison true? */
static PP_INLINE bool any(IntVec lanes) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)lanes, (__m512i)lanes) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_epi8((__m256i)lanes) != 0;
#else
  int32_t all = 0;
  for (int i = 0; i < kWidth; ++i) all |= lanes[i];
  return all != 0;
#endif
}

/** The first n elements, 0 < n; zeros for the rest. What lies beyond is not touched. */
static PP_INLINE Vec load(const float* p, int64_t n) {
  if (n >= kWidth) return load(p);
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
#else
  Vec v = {};
  memcpy(&v, p, static_cast<size_t>(n) * sizeof(float));
  return v;
#endif
}

static PP_INLINE void store(float* p, Vec v, int64_t n) {
  if (n >= kWidth) return store(p, v);
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
#else
  memcpy(p, &v, static_cast<size_t>(n) * sizeof(float));
#endif
}

static PP_INLINE Vec absolute(Vec v) {
  return (Vec)((IntVec)v & 0x7FFFFFFF);
}

static PP_INLINE DoubleVec absolute(DoubleVec v) {
  return (DoubleVec)((WordVec)v & 0x7FFFFFFFFFFFFFFFu);
}

/** The smaller one; b where a is NaN. */
static PP_INLINE Vec minimum(Vec a, Vec b) {
  return a < b ? a : b;
}

static PP_INLINE HalfVec load_half(const float* p) {
  HalfVec v;
  memcpy(&v, p, sizeof v);
  return v;
}

/** The first n < kWidth / 2 elements; zeros for the rest. */
static PP_INLINE HalfVec load_half(const float* p, int64_t n) {
  HalfVec v = {};
  memcpy(&v, p, static_cast<size_t>(n) * sizeof(float));
  return v;
}

static PP_INLINE DoubleVec widen(HalfVec v) {
  return __builtin_convertvector(v, DoubleVec);
}
static PP_INLINE HalfVec low_half(Vec v) {
  HalfVec half;
  memcpy(&half, &v, sizeof half);
  return half;
}
static PP_INLINE HalfVec high_half(Vec v) {
  HalfVec half;
  memcpy(&half, reinterpret_cast<const char*>(&v) + sizeof half, sizeof half);
  return half;
}

typedef float Quad __attribute__((vector_size(16), may_alias));

/** Four of the elements of a (0 to 3) and b (4 to 7). */
template <int i, int j, int k, int l>
static PP_INLINE Quad pick(Quad a, Quad b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, i, j, k, l);
#else
  typedef int32_t Indices __attribute__((vector_size(16)));
  return __builtin_shuffle(a, b, Indices{i, j, k, l});
#endif
}

/**
 * to[j * step + i] = element j of row i, of 32 bits each; rows lie `row_bytes` apart, at any address. Quads of rows and columns
 * go through registers: a fifth of the time that one after the other takes.
 */
static PP_INLINE void transpose_words(int64_t rows, int64_t columns, const void* from, int64_t row_bytes, float* to,
                                      int64_t step) {
  const char* bytes = static_cast<const char*>(from);
  const auto one_by_one = [&](int64_t first_row, int64_t last_row, int64_t first_column) {
    for (int64_t j = first_column; j < columns; ++j) {
      for (int64_t i = first_row; i < last_row; ++i) memcpy(to + j * step + i, bytes + i * row_bytes + 4 * j, 4);
    }
  };
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    int64_t j = 0;
    for (; j + 4 <= columns; j += 4) {
      Quad row[4];
      for (int n = 0; n < 4; ++n) memcpy(&row[n], bytes + (i + n) * row_bytes + 4 * j, sizeof row[n]);
      const Quad even_upper = pick<0, 4, 2, 6>(row[0], row[1]), odd_upper = pick<1, 5, 3, 7>(row[0], row[1]);
      const Quad even_lower = pick<0, 4, 2, 6>(row[2], row[3]), odd_lower = pick<1, 5, 3, 7>(row[2], row[3]);
      const Quad column[4] = {pick<0, 1, 4, 5>(even_upper, even_lower), pick<0, 1, 4, 5>(odd_upper, odd_lower),
                              pick<2, 3, 6, 7>(even_upper, even_lower), pick<2, 3, 6, 7>(odd_upper, odd_lower)};
      for (int n = 0; n < 4; ++n) memcpy(to + (j + n) * step + i, &column[n], sizeof column[n]);
    }
    one_by_one(i, i + 4, j);
  }
  one_by_one(i, rows, 0);
}

/** The sum, and the largest, of a vector's elements. */
static PP_INLINE float sum(Vec v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(v);
#else
  float total = 0.0f;
  for (int i = 0; i < kWidth; ++i) total += v[i];
  return total;
#endif
}
static PP_INLINE float largest(Vec v) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps(v);
#else
  float most = v[0];
  for (int i = 1; i < kWidth; ++i) most = v[i] > most ? v[i] : most;
  return most;
#endif
}

static PP_INLINE double sum(DoubleVec v) {
  double total = 0.0;
  for (int i = 0; i < kWidth / 2; ++i) total += v[i];
  return total;
}

/** v where bit i of `bits` is 1, else 0. */
static PP_INLINE Vec keep(Vec v, uint32_t bits) {
#if defined(__AVX512F__)
  return _mm512_maskz_mov_ps(static_cast<__mmask16>(bits), v);
#else
  IntVec lane;
  for (int i = 0; i < kWidth; ++i) lane[i] = 1 << i;
  return (Vec)((IntVec)v & (((static_cast<int32_t>(bits) - IntVec{}) & lane) != 0));
#endif
}

/** kWidth mask bits from a row of them, element k first; k is a multiple of kWidth. */
static PP_INLINE uint32_t mask_bits(const uint8_t* row, int64_t k) {
#if defined(__AVX512F__)
  uint16_t bits;
  memcpy(&bits, row + k / 8, sizeof bits);
  return bits;
#elif defined(__AVX2__)
  return row[k / 8];
#else
  return static_cast<uint32_t>(row[k / 8] >> (k % 8));
#endif
}

/** Groups of a dropout mask that are drawn together, one in each 64-bit lane. */
constexpr int kMaskBatch = kWidth / 2;

/** Batches that are drawn interleaved: a round waits for the one before it, and only other batches can fill the time. */
constexpr int kMaskInterleave = kRegisters == 32 ? 4 : 2;

#if defined(__SSE2__)

static PP_INLINE WordVec multiply_low_words(WordVec a, WordVec b) {
#if defined(__AVX512F__)
  return (WordVec)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (WordVec)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
  return (WordVec)_mm_mul_epu32((__m128i)a, (__m128i)b);
#endif
}

/** The high halves of the lanes, in the low ones, xor b xor c; the low halves of b and c count, the result's high halves don't.
 */
static PP_INLINE WordVec high_xor(WordVec a, WordVec b, uint64_t c) {
#if defined(__AVX512F__)
  // A shuffle, for shifts and multiplications share a port.
  const __m512i high = _mm512_shuffle_epi32((__m512i)a, static_cast<_MM_PERM_ENUM>(0xF5));
  return (WordVec)_mm512_ternarylogic_epi64(high, (__m512i)b, _mm512_set1_epi64(static_cast<long long>(c)), 0x96);
#else
  return (a >> 32) ^ b ^ c;
#endif
}

/** Which group of a batch each lane draws, such that the comparison below yields the bits in order. */
static PP_INLINE WordVec batch_order() {
#if defined(__AVX512F__)
  return WordVec{0, 4, 1, 5, 2, 6, 3, 7};
#elif defined(__AVX2__)
  return WordVec{0, 1, 2, 3};
#else
  return WordVec{0, 1};
#endif
}

/** Compares the 16-bit numbers of elements 0 to 3 (`front`) and 4 to 7 (`back`) of each lane's group; writes a byte a group. */
static PP_INLINE void write_batch(uint8_t* bits, WordVec front, WordVec back, uint32_t threshold) {
#if defined(__AVX512F__)
  const __m512i least_kept = _mm512_set1_epi16(static_cast<short>(threshold));
  const uint32_t low = _mm512_cmpge_epu16_mask(_mm512_unpacklo_epi64((__m512i)front, (__m512i)back), least_kept);
  const uint32_t high = _mm512_cmpge_epu16_mask(_mm512_unpackhi_epi64((__m512i)front, (__m512i)back), least_kept);
  const uint64_t all = low | static_cast<uint64_t>(high) << 32;
#elif defined(__AVX2__)
  const __m256i least_kept = _mm256_set1_epi16(static_cast<short>(threshold)), zero = _mm256_setzero_si256();
  const __m256i low = _mm256_unpacklo_epi64((__m256i)front, (__m256i)back);
  const __m256i high = _mm256_unpackhi_epi64((__m256i)front, (__m256i)back);
  // threshold - number saturates at 0 where the number is as large or larger.
  const __m256i kept = _mm256_packs_epi16(_mm256_cmpeq_epi16(_mm256_subs_epu16(least_kept, low), zero),
                                          _mm256_cmpeq_epi16(_mm256_subs_epu16(least_kept, high), zero));
  const uint32_t all = static_cast<uint32_t>(_mm256_movemask_epi8(kept));
#else
  const __m128i least_kept = _mm_set1_epi16(static_cast<short>(threshold)), zero = _mm_setzero_si128();
  const __m128i low = _mm_unpacklo_epi64((__m128i)front, (__m128i)back);
  const __m128i high = _mm_unpackhi_epi64((__m128i)front, (__m128i)back);
  const __m128i kept = _mm_packs_epi16(_mm_cmpeq_epi16(_mm_subs_epu16(least_kept, low), zero),
                                       _mm_cmpeq_epi16(_mm_subs_epu16(least_kept, high), zero));
  const uint16_t all = static_cast<uint16_t>(_mm_movemask_epi8(kept));
#endif
  memcpy(bits, &all, sizeof all);
}

/**
 * Mask bits of `groups` groups of a module's mask from group `first` on; writes up to kMaskInterleave batches at a time, beyond
 * `groups` too. The state's four words lie in the low halves of 64-bit lanes, where the 32x32-bit multiplication wants them and
 * leaves both halves of its product; what gathers in the high halves is never read.
 */
static PP_INLINE void draw_mask(const DropoutMask& mask, uint32_t mask_name, uint64_t first, int64_t groups, uint8_t* bits) {
  const WordVec multiplier0 = kPhiloxMultiplier0 - WordVec{}, multiplier1 = kPhiloxMultiplier1 - WordVec{};
  uint64_t keys[kPhiloxRounds][2];
  PhiloxKey key = dropout_key(mask.seed);
  for (auto& round : keys) {
    round[0] = key.w[0];
    round[1] = key.w[1];
    key.w[0] += kPhiloxWeyl0;
    key.w[1] += kPhiloxWeyl1;
  }
  for (int64_t g = 0; g < groups; g += kMaskInterleave * kMaskBatch) {
    WordVec w0[kMaskInterleave], w1[kMaskInterleave], w2[kMaskInterleave], w3[kMaskInterleave];
#pragma GCC unroll 4
    for (int n = 0; n < kMaskInterleave; ++n) {
      w0[n] = first + static_cast<uint64_t>(g + n * kMaskBatch) + batch_order();
      w1[n] = ((w0[n] >> 32) & 0xFFFFu) | static_cast<uint64_t>(mask.micro_batch) << 16;
      w2[n] = static_cast<uint64_t>(mask.step) - WordVec{};
      w3[n] = static_cast<uint64_t>(mask_name) - WordVec{};
    }
#pragma GCC unroll 10
    for (const auto& round : keys) {
#pragma GCC unroll 4
      for (int n = 0; n < kMaskInterleave; ++n) {
        const WordVec product0 = multiply_low_words(w0[n], multiplier0), product1 = multiply_low_words(w2[n], multiplier1);
        w0[n] = high_xor(product1, w1[n], round[0]);
        w1[n] = product1;
        w2[n] = high_xor(product0, w3[n], round[1]);
        w3[n] = product0;
      }
    }
#pragma GCC unroll 4
    for (int n = 0; n < kMaskInterleave; ++n) {
      write_batch(bits + g + n * kMaskBatch, (w0[n] & 0xFFFFFFFFu) | w1[n] << 32, (w2[n] & 0xFFFFFFFFu) | w3[n] << 32,
                  mask.threshold);
    }
  }
}

#else

static PP_INLINE void draw_mask(const DropoutMask& mask, uint32_t mask_name, uint64_t first, int64_t groups, uint8_t* bits) {
  for (int64_t g = 0; g < groups; ++g) {
    bits[g] = static_cast<uint8_t>(dropout_keep_bits(mask, mask_name, first + static_cast<uint64_t>(g)));
  }
}

#endif

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
