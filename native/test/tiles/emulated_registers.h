// core/tile_registers.h over the emulator.
#pragma once

#include "core/inline.h"
#include "tiles/emulator.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

template <class Shapes>
static PP_INLINE void tile_configure(const Shapes& shapes) {
  emulated::configure(&shapes);
}
static PP_INLINE void tile_release() {
  emulated::release();
}
template <int kTile>
static PP_INLINE void tile_zero() {
  emulated::zero(kTile);
}
template <int kTile>
static PP_INLINE void tile_load(const void* p, int64_t stride) {
  emulated::load(kTile, p, stride);
}
template <int kTile>
static PP_INLINE void tile_store(void* p, int64_t stride) {
  emulated::store(kTile, p, stride);
}
template <int kSums, int kRows, int kColumns>
static PP_INLINE void tile_multiply_pairs() {
  emulated::multiply_pairs(kSums, kRows, kColumns);
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
