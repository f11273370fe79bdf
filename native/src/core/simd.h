// Float vectors of the instruction set that a translation unit is compiled for. One source serves all sets: files named
// *_simd.cpp are compiled once for each, with PP_SIMD naming the namespace (portable, avx2, avx512) that keeps the copies
// apart. Nothing here may be used in other files. The portable vector has 8 lanes and relies on the compiler.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(PP_SIMD_avx2) || defined(PP_SIMD_avx512)
#include <immintrin.h>
#endif

#if !defined(PP_SIMD)
#error "simd.h is for files that are compiled once for each instruction set"
#endif

namespace pp::PP_SIMD {

#if defined(PP_SIMD_avx512)

/** 16 floats. */
struct Vec {
  static constexpr int kLanes = 16;
  __m512 v;

  static Vec zero() { return {_mm512_setzero_ps()}; }
  static Vec broadcast(float x) { return {_mm512_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  /** The first n elements (0 <= n <= kLanes), the others 0; touches no memory behind them. */
  static Vec load(const float* p, int n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store(float* p, int n) const { _mm512_mask_storeu_ps(p, first(n), v); }

  friend Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
  /** a·b + c, rounded once. */
  static Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  static Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
  static Vec abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
  /** The sum of all lanes, in a fixed order. */
  float sum() const { return _mm512_reduce_add_ps(v); }

 private:
  static __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
};

#elif defined(PP_SIMD_avx2)

/** 8 floats. */
struct Vec {
  static constexpr int kLanes = 8;
  __m256 v;

  static Vec zero() { return {_mm256_setzero_ps()}; }
  static Vec broadcast(float x) { return {_mm256_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  /** The first n elements (0 <= n <= kLanes), the others 0; touches no memory behind them. */
  static Vec load(const float* p, int n) { return {_mm256_maskload_ps(p, first(n))}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store(float* p, int n) const { _mm256_maskstore_ps(p, first(n), v); }

  friend Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
  friend Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
  /** a·b + c, rounded once. */
  static Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  static Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
  static Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
  /** The sum of all lanes, in a fixed order. */
  float sum() const {
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
  }

 private:
  static __m256i first(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
};

#else

/** 8 floats in the compiler's hands. */
struct Vec {
  static constexpr int kLanes = 8;
  float v[kLanes];

  static Vec zero() { return broadcast(0); }
  static Vec broadcast(float x) {
    return make([x](int) { return x; });
  }
  static Vec load(const float* p) {
    return make([p](int i) { return p[i]; });
  }
  /** The first n elements (0 <= n <= kLanes), the others 0; touches no memory behind them. */
  static Vec load(const float* p, int n) {
    return make([p, n](int i) { return i < n ? p[i] : 0.0f; });
  }
  void store(float* p) const { store(p, kLanes); }
  void store(float* p, int n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }

  friend Vec operator+(Vec a, Vec b) {
    return make([&](int i) { return a.v[i] + b.v[i]; });
  }
  friend Vec operator-(Vec a, Vec b) {
    return make([&](int i) { return a.v[i] - b.v[i]; });
  }
  friend Vec operator*(Vec a, Vec b) {
    return make([&](int i) { return a.v[i] * b.v[i]; });
  }
  /** a·b + c, rounded twice. */
  static Vec fma(Vec a, Vec b, Vec c) {
    return make([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
  }
  static Vec max(Vec a, Vec b) {
    return make([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  static Vec abs(Vec a) {
    return make([&](int i) { return std::fabs(a.v[i]); });
  }
  /** The sum of all lanes, in a fixed order. */
  float sum() const {
    float half[4];
    for (int i = 0; i < 4; ++i) half[i] = v[i] + v[i + 4];
    return (half[0] + half[2]) + (half[1] + half[3]);
  }

 private:
  template <class Lane>
  static Vec make(const Lane& lane) {
    Vec r;
    for (int i = 0; i < kLanes; ++i) r.v[i] = lane(i);
    return r;
  }
};

#endif

}  // namespace pp::PP_SIMD
