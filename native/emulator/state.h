// What the emulator's parts share: the running launch, its cluster of blocks, their warps and threads.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "fiber.h"
#include "hopper.h"
#include "shadow.h"
#include "simt.h"

namespace simt {
constexpr unsigned kMaxThreads = 1024;
constexpr int kWarpSize = 32;

struct AsyncCopy {
  void* target;
  const void* source;
  int source_bytes;
};

struct Block;
struct Thread {
  Context context;
  Block* block = nullptr;
  uint3 index{};
  uint16_t id = 0;
  uint8_t lane = 0;
  bool done = false;
  const char* wait_kind = "";
  const char* wait_file = "";
  int wait_line = 0;
  std::vector<std::vector<AsyncCopy>> copy_groups;
  std::vector<AsyncCopy> open_group;
  /** Other blocks' work: ordered before this thread; seen at atomics but not yet fenced; packed by the last fence. */
  std::unique_ptr<Clock> ordered, seen, fenced;
  std::unique_ptr<AsyncThread> async;
  /** How often it has fenced what it wrote for the copy engine and for products; and what of other blocks it knew at the last
   * such fence of device memory. */
  uint16_t proxy_fences = 0;
  std::unique_ptr<Clock> proxied;
};

/** A warp operation that some lanes have reached. */
struct Gathering {
  Op op{};
  unsigned mask = 0, arrived = 0;
  const char* file = "";
  int line = 0;
  Lane* lanes[kWarpSize] = {};
};

struct Warp {
  unsigned left = 0;
  unsigned registers = 0;  // of each thread
  uint16_t epoch = 0;
  std::vector<Gathering> gatherings;
};

struct SharedArray {
  const void* tag;
  void* memory;
};

struct Block {
  uint3 index{};
  unsigned rank = 0;  // in its cluster
  unsigned threads = 0, done = 0, at_barrier = 0;
  uint32_t serial = 0, epoch = 1;
  uint64_t accesses = 0;  // since its last barrier
  const char* barrier_file = "";
  int barrier_line = 0;
  std::vector<Warp> warps;
  unsigned free_registers = 0;  // that warps have given back
  std::vector<Thread*> waiting_for_registers;
  std::vector<Thread> members;  // of which the first `threads` run
  Clock ordered;
  std::unique_ptr<AsyncBlock> async;
  Region shared;
  size_t shared_top = 0;
  size_t named_bytes = 0;  // of shared memory that is not dynamic
  std::vector<SharedArray> shared_arrays;
  void* dynamic_shared = nullptr;

  bool has_left() const { return done == threads; }
};

/** The blocks that run: one, or a cluster whose threads take turns. */
struct Cluster {
  unsigned size = 1;
  std::array<Block, kMostClusterBlocks> blocks;
  std::vector<Thread*> ready;
  unsigned at_barrier = 0;
  uint32_t barriers = 0;  // that have ended
  const char* barrier_file = "";
  int barrier_line = 0;

  Block* begin() { return blocks.data(); }
  Block* end() { return blocks.data() + size; }
};

extern Cluster g_cluster;
/** That of the current thread. */
extern Block* g_block;
/** Of the launch's first block. */
extern uint32_t g_first_serial;
/** Null while host code runs, as on each of the host's threads but the one that runs a kernel. */
extern __thread Thread* g_current [[gnu::tls_model("initial-exec")]];
/** Not 0 while the emulator itself runs on a thread's stack: its own accesses are not checked. */
extern int g_inside;
struct Inside {
  Inside() { g_inside++; }
  ~Inside() { g_inside--; }
};

/** A number below `bound`, of the launch's sequence. */
uint32_t draw(uint32_t bound);
/** Lets another ready thread run; returns when this one is made ready again and drawn. */
void yield();
/** Reports a fault; does not return if a kernel is running. */
void fail(const char* what, const char* file, int line);
/** The same, the position being that of a code address. */
void fail_at(const char* what, void* code, uintptr_t address);
/** When the last thread of a block leaves: null, or that a warpgroup's warps have different numbers of registers. */
const char* registers_left_unequal();
/** Of the current thread, for the copy engine and products: of device memory, or of shared memory. */
void fence_proxy(bool global);
/** At a launch. */
void forget_proxy_fences();
/** Null, or that the copy engine or a product may not see what a thread has written there; `by` is the thread that asks. */
const char* check_proxy(Region* region, uintptr_t address, size_t bytes, const Thread& by);
/** Where code comes from, "file:line", what is inlined before that into which it is. */
std::vector<std::string> lines_of_code(void* code);
/** Null, or that the block has made so many accesses since its last barrier that some loop has no end. */
inline const char* count_access() {
  constexpr uint64_t kMost = 50'000'000;
  return ++g_block->accesses > kMost ? "a loop does not end" : nullptr;
}
/** Where the current thread has what other threads do not share, and what counts as written. */
inline bool is_on_own_stack(uintptr_t address) {
  return address - reinterpret_cast<uintptr_t>(g_current->context.stack) < kStackBytes;
}
std::string position(const char* file, int line);
/** The report that cudaGetErrorString gives. */
const std::string& pending_report();
/** Whether a fault has been found since the last report was taken, as an error of the runtime. */
cudaError_t launch_status();
/** Waits for what is in the stream, and for what that waits for. */
cudaError_t finish(cudaStream_t stream);
/** Draws the order of streams anew. */
void order_streams(uint64_t seed);
/** That of launches; piece by piece, since each keeps the one under which it was enqueued. */
uint64_t seed();
uint64_t exchange_seed(uint64_t seed);
/** The error, which also stays until cudaGetLastError. */
cudaError_t keep_error(cudaError_t error);
/** So many as simt::set_device_count has said. */
int device_count();
bool is_device(int device);
/**
 * The calling thread's, as far as it was chosen by cudaSetDevice or given to the driver; or null. Driver functions want one.
 * Others of the runtime would make one current too, which is left out here, so that what relies on it is found.
 */
CUcontext current_context();
/** That of its context, or the one that it chose, 0 at first. */
int current_device();
void choose_device(int device);
/** Makes the current device's context, as most calls of the runtime do. */
void use_device();
/** Whether a call that takes device memory is to fail (`fail_allocation`). */
bool allocation_fails();
/** Held by each call from the host: threads may make them side by side, and one at a time is carried out. */
std::recursive_mutex& host_calls();
class HostCall {
  const std::lock_guard<std::recursive_mutex> lock_{host_calls()};
};
/** Success, or what a call gets that CUDA forbids during a capture; the capture is then void. */
cudaError_t outside_capture();
/** The same for what depends on the modes of threads and capture, such as that code is loaded, memory taken, a stream freed. */
cudaError_t may_be_unsafe();
/** Kernels' arguments, which lie on the host's stack, and constants. */
bool is_host_readable(uintptr_t address);
void install_signal_handler();
/** Where the calling thread's stack lies, from which kernels take their arguments. */
void know_host_stack();
/** How often each has been launched. */
const std::map<const void*, uint64_t>& launches_by_kernel();
}  // namespace simt
