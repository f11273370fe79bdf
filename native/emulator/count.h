// What kernels move, counted: of each load and store in the source the sectors of device memory and the wavefronts of shared
// memory that its requests take, and what passes between a simple L2 cache and memory. Off until start_counting().
//
// A request is what the lanes of a warp do at the same place for the same time: since the last operation of the whole warp,
// they have come there equally often. Lanes that leave an access out inside a loop and make the next are so taken for one turn
// behind; kernels here leave out only what lies outside a matrix.
//
// Shared memory has 32 banks of four bytes. Requests of up to four bytes a lane are served 32 lanes at a time, of eight bytes
// 16 lanes, of 16 bytes (and of ldmatrix) eight; each time takes as many wavefronts as the fullest bank has different words.
//
// The cache is fully associative, in lines of 128 bytes of four sectors, of which the one that was used longest ago goes first.
// A miss reads a sector; a store reads nothing and stays until its line goes. A sector of which only a part was stored is then
// read and written, since memory with error correction knows no parts. What is left at the end is written too. There is no L1
// cache: a sector that two requests of a block read counts for both, but for memory once, while L2 has it.
//
// While it counts, blocks follow each other in the order of their numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace simt {
enum class Counted {
  kLoad,
  kStore,
  kAtomic,
  kAsyncCopy,  // cp.async: its read of device memory, and its write of shared memory
  kBulkCopy,   // a row of a box
  kFill,       // cudaMemset
  kSharedLoad,
  kSharedStore,
  kSharedAtomic,
  kMatrixLoad,  // ldmatrix
  kProduct      // mma
};

/** Of one load or store, over all launches. Counts that its kind has not are 0. */
struct AccessCount {
  Counted kind;
  const char* file;  // null: `code` lies behind it
  int line;
  void* code;
  uint64_t requests;
  uint64_t sectors;        // of 32 bytes, that the requests touch
  uint64_t least_sectors;  // that as many different bytes fill
  uint64_t wavefronts;
  uint64_t least_wavefronts;  // that as many different words take
};

struct Traffic {
  /** Bytes. */
  uint64_t read = 0, written = 0;
  /** Calls of cudaMemset. */
  uint64_t fills = 0;
  /** By their first use. */
  std::vector<AccessCount> accesses;

  uint64_t bytes() const { return read + written; }
  /** Requests of a kind. */
  uint64_t requests(Counted kind) const;
};

constexpr size_t kH100CacheBytes = size_t{50} << 20;

/** Waits for all streams, and counts from here on, the cache being empty. */
void start_counting(size_t cache_bytes = kH100CacheBytes);
/** Waits for all streams, and says what they have moved. */
Traffic stop_counting();

/** "load" */
const char* name(Counted kind);
/** Where an access stands, innermost first: "element.cuh:45, statistics.cuh:69". */
std::string place(const AccessCount& access);
}  // namespace simt
