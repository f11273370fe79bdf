// Bytes to lanes of 32 bits and back, for which compilers make one element after the other of a conversion of vectors.
#pragma once

#include "core/simd.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

typedef uint32_t BitVec __attribute__((vector_size(4 * kWidth), may_alias));

/** A byte in each lane. */
static PP_INLINE BitVec load_bytes(const uint8_t* p) {
#if defined(__AVX512F__)
  return (BitVec)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(p)));
#elif defined(__AVX2__)
  return (BitVec)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(p)));
#else
  BitVec v;
  for (int lane = 0; lane < kWidth; ++lane) v[lane] = p[lane];
  return v;
#endif
}

/** The lowest byte of each lane. */
static PP_INLINE void store_bytes(uint8_t* p, BitVec v) {
#if defined(__AVX512F__)
  _mm_storeu_si128(reinterpret_cast<__m128i_u*>(p), _mm512_cvtepi32_epi8((__m512i)v));
#else
  for (int lane = 0; lane < kWidth; ++lane) p[lane] = static_cast<uint8_t>(v[lane]);
#endif
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
