// Memory that runs out: what a program allocates by `new` and aligned_alloc on the calling thread fails on request.
// Each program includes it once.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

namespace failing {

thread_local int64_t left = 0;
thread_local bool for_good = false;
thread_local bool happened = false;

/** The n-th allocation from now on fails, and with `and_later` all that follow; 0: none. */
inline void at(int64_t n, bool and_later = false) {
  left = n;
  for_good = and_later;
  happened = false;
}

/** Whether one has failed; none does from now on. */
inline bool stop() {
  left = 0;
  return happened;
}

inline void* memory(size_t alignment, size_t bytes) {
  if (left > 0 && --left == 0) {
    if (for_good) left = 1;
    happened = true;
    return nullptr;
  }
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, bytes == 0 ? 1 : bytes) == 0 ? memory : nullptr;
}

inline void* memory_or_throw(size_t alignment, size_t bytes) {
  void* const got = memory(alignment, bytes);
  if (got == nullptr) throw std::bad_alloc();
  return got;
}

constexpr size_t kAlignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace failing

#define PP_ALLOCATES __attribute__((visibility("default")))
PP_ALLOCATES void* operator new(size_t bytes) {
  return failing::memory_or_throw(failing::kAlignment, bytes);
}
PP_ALLOCATES void* operator new(size_t bytes, std::align_val_t alignment) {
  return failing::memory_or_throw(static_cast<size_t>(alignment), bytes);
}
PP_ALLOCATES void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return failing::memory(failing::kAlignment, bytes);
}
PP_ALLOCATES void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return failing::memory(static_cast<size_t>(alignment), bytes);
}
PP_ALLOCATES void operator delete(void* memory) noexcept {
  free(memory);
}
PP_ALLOCATES void operator delete(void* memory, size_t) noexcept {
  free(memory);
}
PP_ALLOCATES void operator delete(void* memory, std::align_val_t) noexcept {
  free(memory);
}
PP_ALLOCATES void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  free(memory);
}
extern "C" PP_ALLOCATES void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  return failing::memory(alignment, bytes);
}
#undef PP_ALLOCATES
