// What the emulator knows of a block's bulk copies, their barriers (mbarriers), and products by warpgroups (wgmma).
//
// Copies and products are done late: a copy when every thread waits, or at a drawn moment before; a product at the wait for its
// group. Until then a copy's target holds 0xFF and an accumulator NaN.
//
// Order: a product must find its operands in what bulk copies have brought, each of its threads having waited for the phase
// that the copy counted in; and a copy must not be issued onto what products may yet read: the issuing thread must know,
// through barriers, that every warp of those products has waited for them. The same of what threads read of a copy's target:
// they must have waited for its phase, and whoever has the next copy made must know, through an mbarrier, of an arrival by
// their warp that a __syncwarp parts from the reads.
//
// What threads write, to shared memory for a product or to device memory for a copy, goes past the caches that these read by.
// The writer must fence it for them, and that fence must come before the reading thread by a barrier, or is its own; between
// blocks, where an atomic hands it over, the reading thread too must fence after its acquire. What an earlier launch wrote
// needs none. mbarriers pass on nothing of this, and what threads write onto operands that products may yet read is not found.
//
// Clusters: a copy to several blocks is a copy in each, with its own end at the block's own mbarrier; those of a phase may end
// before the phase's bytes are expected. Such a copy, and an arrival at another block's mbarrier, need a fence and a cluster
// barrier since that was initialised; and after the last arrival from outside a block may end only behind a cluster barrier, or
// having waited for the phase. Another block's shared memory is reached in no other way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "simt.h"

namespace simt {
constexpr int kMostWarps = 32, kWarpgroup = 128, kMostWarpgroups = 8;
/** Devices have clusters of eight and more; these are what kernels here have. */
constexpr unsigned kMostClusterBlocks = 2;

struct Block;
struct Thread;

/** Of each warp of the cluster, block by block: up to which of its warpgroup's products it has waited. */
using Waited = std::array<uint32_t, kMostWarps * kMostClusterBlocks>;
/** What threads know of other warps: their products that are over, and the __syncwarp epoch before which their reads are. */
struct Passed {
  Waited products{}, reads{};
};
void join(Passed* known, const Passed& other);

/** What the emulated driver writes into a tensor map. */
struct TensorMapFields {
  uint64_t magic;
  const unsigned char* data;
  uint64_t columns, rows, stride_bytes;
  uint32_t element_bytes, box_columns, box_rows;
};

/** The last arrival at an mbarrier from another block. */
struct RemoteArrival {
  const char* file = nullptr;
  int line = 0;
  uint32_t phase = 0;     // of the mbarrier
  uint32_t barriers = 0;  // of the cluster, that had ended
};

struct Mbarrier {
  unsigned arrivals = 0, missing = 0;
  int64_t bytes = 0;
  uint32_t phase = 0;
  uint16_t owner = 0;
  bool visible = false;    // to the copy engine
  bool published = false;  // to other blocks, after a cluster barrier
  Passed arrived{}, completed{};
  std::vector<Thread*> waiting;
  uint32_t made_at = 0;  // cluster barriers that had ended
  RemoteArrival remote;
};

struct BulkCopy {
  TensorMapFields map;
  int column, row;
  uintptr_t target;
  uintptr_t barrier;
  uint32_t phase = 0;  // that it counted in, once done
};

/** Of 16 bytes of shared memory: the copy that filled them (0: none), and the last products that read them. */
struct AsyncCell {
  uint32_t copy = 0;
  std::array<uint32_t, kMostWarpgroups> reads{};
};

/** A thread's part of an operand in registers: where it is, and what it was when the product was issued. */
struct LeftRegisters {
  const unsigned* at = nullptr;
  std::array<unsigned, 4> values{};
};

struct Product {
  WarpgroupProduct what;
  std::array<float*, kWarpgroup> d;
  std::array<LeftRegisters, kWarpgroup> left;
  const char* file;
  int line;
  bool done = false;
};

struct Warpgroup {
  WarpgroupProduct gathering{};
  std::array<float*, kWarpgroup> d{};
  std::array<LeftRegisters, kWarpgroup> left{};
  unsigned arrived = 0;
  const char* file = "";
  int line = 0;
  std::vector<Product> products;  // in the order of their issue; the first is number 1
};

/** Of a running block, once it has an mbarrier. */
struct AsyncBlock {
  std::map<uintptr_t, Mbarrier> barriers;
  std::vector<BulkCopy> copies;   // number n at n - 1
  std::vector<uint32_t> pending;  // numbers of those under way
  std::vector<AsyncCell> cells;
  std::array<Warpgroup, kMostWarpgroups> warpgroups;
};

/** An accumulator's values while products on it are pending. */
struct HiddenAccumulator {
  std::vector<float> values;
  uint32_t pending = 0;
};

/** Of a thread. */
struct AsyncThread {
  Passed known{};
  std::map<uintptr_t, uint32_t> phases;  // of each mbarrier: phases that the thread has seen end
  std::map<float*, HiddenAccumulator> accumulators;
  std::vector<uint32_t> groups;  // the last product of each committed group
  uint32_t issued = 0, waited = 0;
  bool fenced = false;
  bool has_read_registers = false;  // a product since the last commit
};

/** Null, or what is wrong with a read of the block's shared memory by the current thread: it is a copy's target. */
const char* check_copied(const Block& block, uintptr_t address, size_t bytes);
/** Whether a running block has an mbarrier. */
bool has_mbarriers();
/** Does one of the cluster's pending copies, drawn; false if there is none. */
bool finish_a_copy();
/** A barrier of those blocks: each thread knows what any knew. */
void share_at_barrier(Block* begin, Block* end);
/** Null, or what is left undone by the current thread, or, with its last one, by the block. */
const char* async_left_undone(bool is_last);
/** When the last thread of a cluster leaves: no block may have left while another could arrive in its shared memory. */
void check_remote_arrivals();
}  // namespace simt
