// The instructions on tile registers (AMX-TILE, AMX-BF16), one function each, for the translation units of instruction set amx.
//
// A register has up to 16 rows of up to 64 bytes; its configuration says how many. The compiler does not know the registers and
// never uses them itself. GCC's own intrinsics are not used: their loads do not say that they read memory, so that a store just
// before one may be moved behind it.
#pragma once

#include <stdint.h>

#include "core/inline.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** Gives this thread's registers their shapes, and zeros. */
template <class Shapes>
static PP_INLINE void tile_configure(const Shapes& shapes) {
  __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
}

/** Without it, each change of the thread would save the registers. */
static PP_INLINE void tile_release() {
  __asm__ volatile("tilerelease");
}

template <int kTile>
static PP_INLINE void tile_zero() {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTile));
}

/** Rows that lie `stride` bytes apart. */
template <int kTile>
static PP_INLINE void tile_load(const void* p, int64_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
}

template <int kTile>
static PP_INLINE void tile_store(void* p, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
}

/** sums(i, j) += Σ over pairs k of both products of rows(i, k) and columns(k, j). */
template <int kSums, int kRows, int kColumns>
static PP_INLINE void tile_multiply_pairs() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kRows), "i"(kColumns));
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
