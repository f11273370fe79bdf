// Runs kernels of a program: blocks one after another, in their order; the threads of a warp together as long as they stand at
// the same instruction, else those first that are furthest back.
//
// Faults: accesses outside of the memory that a launch may use, misaligned ones, threads that wait for ever, loops without end.
// Atomics of a block come in the order of its warps; fences have nothing to do.
#pragma once

#include <array>
#include <map>

#include "program.h"

namespace ptx {
constexpr int kLanes = 32;
constexpr uint32_t kAllLanes = ~0u;

struct Size {
  unsigned x, y, z;
};

struct Range {
  uintptr_t begin, end;
};

struct Parameter {
  const void* value;
  size_t bytes;
};

struct Launch {
  Size grid, block;
  /** In addition to what the kernel itself names. */
  size_t shared_bytes;
  std::vector<Parameter> parameters;
  /** Global memory. */
  std::vector<Range> memory;
};

/** What a block's threads can address. */
class Memory {
 public:
  Memory(const Kernel& kernel, const Launch& launch);
  /** Forgets what the block before has left in shared memory, which then holds NaNs. */
  void clear_shared();
  unsigned char* at(Space space, uint64_t address, size_t bytes) { return at(space, address, bytes, bytes); }
  unsigned char* at(Space space, uint64_t address, size_t bytes, size_t alignment);

 private:
  std::vector<unsigned char> parameters_, shared_;
  std::vector<Range> global_;
  Range last_ = {0, 0};  // in which an access was
};

/** A copy to shared memory, made when its thread waits for it. */
struct Copy {
  uint64_t to, from;
  uint32_t bytes;
};

struct Warp {
  Memory* memory = nullptr;
  /** 32 lanes each; numbers with their sign, floats by their bits, predicates as 0 or 1. */
  std::vector<uint64_t> registers;
  std::array<uint32_t, kLanes> next;  // instructions
  uint32_t present = 0;               // lanes that have not left
  uint32_t at_barrier = 0;
  uint32_t gathered = 0;               // lanes that wait for others at an instruction of the warp
  std::array<uint32_t, kLanes> carry;  // of the last add.cc
  std::array<std::vector<Copy>, kLanes> open_group;
  std::array<std::vector<std::vector<Copy>>, kLanes> groups;

  uint64_t* lanes(const Operand& operand) { return registers.data() + size_t{operand.index} * kLanes; }
};

template <class Body>
void for_lanes(uint32_t mask, Body body) {
  if (mask == kAllLanes) {
    for (int lane = 0; lane < kLanes; lane++) body(lane);
  } else {
    for (; mask != 0; mask &= mask - 1) body(__builtin_ctz(mask));
  }
}

void run(const Kernel& kernel, const Launch& launch);
}  // namespace ptx
