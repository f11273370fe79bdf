// Shadow memory: for every two bytes of global and shared memory, who wrote and who read them last, and when.
//
// Time within a block is its barrier epoch, and within a warp also its __syncwarp epoch. Between blocks it is a vector clock: a
// thread's fence packs up what it knows, its next atomic leaves that with the atomic's address, and whoever later makes an
// atomic on that address and then a fence, or an acquire load of it, takes it over; a barrier shares it with the block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace simt {
constexpr size_t kUnitBytes = 2;
constexpr uint16_t kNobody = 0xffff, kSeveralOfWarp = 0xfffe, kSeveral = 0xfffd;

/** What of one block is known to have happened: epochs before `epoch`, and in `epoch` itself what `thread` did. */
struct Known {
  uint32_t epoch = 0;
  uint16_t thread = kNobody;
};
/** One entry a block of the launch. */
using Clock = std::vector<Known>;
void join(Clock* clock, const Clock& other);

struct Unit {
  uint32_t write_block = 0, write_epoch = 0, read_block = 0, read_epoch = 0;
  uint16_t writer = kNobody, write_warp_epoch = 0;
  uint16_t reader = kNobody, read_warp_epoch = 0;
  uint16_t proxy_fences = 0;  // of the writer, before it wrote
  uint8_t reader_warp = 0;
  bool allocated = false, written = false, in_flight = false, atomic_write = false, atomic_read = false;
};

struct Region {
  uintptr_t begin = 0, end = 0;
  std::vector<Unit> units;
  bool contains(uintptr_t address) const { return address - begin < end - begin; }
  Unit* unit(uintptr_t address) { return &units[(address - begin) / kUnitBytes]; }
};

enum class Access { kRead, kWrite, kAtomic, kAtomicRead, kFill };  // kAtomic: an update; kFill: the end of a cp.async

/**
 * Whether accesses are checked and recorded, and so whether memory counts as written: true at first, but where
 * PRUNEPEFT_EMULATOR_CHECKS=off is in the environment, which takes some 0.6 of the time.
 */
extern bool g_watching;
/** Checks an access of the current thread and records it. Null, or what is wrong with it. */
const char* check_access(uintptr_t address, size_t bytes, Access access);
/** The same in a certain region, which may be another block's shared memory. */
const char* check_access(Region* region, uintptr_t address, size_t bytes, Access access);
/** "shared memory, byte 12" */
void describe(uintptr_t address, char* text, size_t size);

/** The current block's. */
Region* shared_region();
/** The global buffer that holds `address`, or null. */
Region* global_region(uintptr_t address);
void add_global_region(void* memory, size_t bytes);
/** All global buffers. */
const std::vector<std::unique_ptr<Region>>& global_regions();
void remove_global_region(Region* region);
/** Sets whether global memory counts as written; forgets who did it. */
void mark_global(const void* memory, size_t bytes, bool written);
/** The first byte offset in [memory, memory + bytes) that nobody wrote, or -1. */
ptrdiff_t first_unwritten(const void* memory, size_t bytes);
}  // namespace simt
