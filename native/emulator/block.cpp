// Runs a launch: blocks (or clusters) one after another, threads as fibers, barriers, fences, and the end of it all by a fault.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "counting.h"
#include "launches.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace simt {
Cluster g_cluster;
Block* g_block = g_cluster.blocks.data();
uint32_t g_first_serial = 0;
__thread Thread* g_current [[gnu::tls_model("initial-exec")]] = nullptr;
int g_inside = 0;

namespace {
constexpr size_t kSharedBytes = 232448;  // the most that a block of sm_90 may have, 227 KB
constexpr size_t kRedZoneBytes = 64;     // between two shared arrays
constexpr unsigned kRegisters = 65536;   // of a multiprocessor
constexpr unsigned kMostRegisters = 248;

Context g_host;
uint64_t g_seed = 1, g_random = 1;
bool g_failed = false;
uint64_t g_launches = 0;
std::map<const void*, uint64_t> g_launches_by_kernel;
std::string g_report;
void (*g_kernel)(void*) = nullptr;
void* g_context = nullptr;
size_t g_dynamic_bytes = 0, g_most_named_bytes = 0;
uint32_t g_last_serial = 0;
std::unordered_map<const void*, Clock> g_left_at;  // what fences and atomics have left at an address

void jump(Context* from, Thread* to) {
  const int inside = g_inside;
  g_inside = 0;
  g_current = to;
  if (to != nullptr) {
    g_block = to->block;
    threadIdx = to->index;
    blockIdx = to->block->index;
  }
  switch_context(from, to != nullptr ? &to->context : &g_host);
  g_inside = inside;
}

Thread* next_ready() {
  std::vector<Thread*>& ready = g_cluster.ready;
  constexpr uint32_t kCopyOneIn = 8;  // of the switches; without a thread to run, all copies are done
  if (has_mbarriers() && draw(kCopyOneIn) == 0) finish_a_copy();
  while (ready.empty() && finish_a_copy()) continue;
  if (ready.empty()) return nullptr;
  std::swap(ready[draw(static_cast<uint32_t>(ready.size()))], ready.back());
  Thread* thread = ready.back();
  ready.pop_back();
  return thread;
}

void leave() {
  Inside inside;
  Thread* me = g_current;
  me->done = true;
  g_block->done++;
  Warp& warp = g_block->warps[me->id / kWarpSize];
  warp.left |= 1u << me->lane;
  if (const char* undone = async_left_undone(g_block->has_left())) fail(undone, me->wait_file, me->wait_line);
  if (g_block->has_left())
    if (const char* unequal = registers_left_unequal()) fail(unequal, me->wait_file, me->wait_line);
  if (std::all_of(g_cluster.begin(), g_cluster.end(), [](const Block& block) { return block.has_left(); }))
    check_remote_arrivals();
  if (g_block->at_barrier != 0)
    fail("a thread has left while others wait at a block barrier", g_block->barrier_file, g_block->barrier_line);
  if (g_cluster.at_barrier != 0)
    fail("a thread has left while others wait at a cluster barrier", g_cluster.barrier_file, g_cluster.barrier_line);
  for (const Gathering& gathering : warp.gatherings)
    if (gathering.arrived != 0 && (gathering.mask >> me->lane & 1) != 0)
      fail("a lane that a warp operation names has left", gathering.file, gathering.line);
}

void thread_main() {
  g_kernel(g_context);
  leave();
  jump(&g_current->context, next_ready());
  abort();
}

void* allocate_shared(size_t bytes, size_t alignment) {
  alignment = std::max<size_t>(alignment, 16);
  const size_t begin = (g_block->shared_top + kRedZoneBytes + alignment - 1) / alignment * alignment;
  g_block->shared_top = begin + bytes;
  if (g_block->shared_top > kSharedBytes) {
    fail("more shared memory than a block may have", "launch", 0);
    return nullptr;
  }
  Region* region = shared_region();
  Unit unwritten;
  unwritten.allocated = true;
  std::fill_n(region->unit(region->begin + begin), (bytes + kUnitBytes - 1) / kUnitBytes, unwritten);
  return reinterpret_cast<void*>(region->begin + begin);
}

/** Gives a block of the cluster, of any rank, its threads and its shared memory. */
void start_up(Block* block) {
  void* memory = mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) abort();
  block->shared.begin = reinterpret_cast<uintptr_t>(memory);
  block->shared.end = block->shared.begin + kSharedBytes;
  block->shared.units.resize(kSharedBytes / kUnitBytes);
  block->members.resize(kMaxThreads);
}

void prepare_thread(Block* owner, unsigned id, dim3 block) {
  Thread& thread = owner->members[id];
  if (thread.context.stack == nullptr) thread.context.stack = allocate_stack();
  thread.block = owner;
  thread.id = static_cast<uint16_t>(id);
  thread.lane = static_cast<uint8_t>(id % kWarpSize);
  thread.index = {id % block.x, id / block.x % block.y, id / block.x / block.y};
  thread.done = false;
  thread.copy_groups.clear();
  thread.open_group.clear();
  thread.ordered.reset();
  thread.seen.reset();
  thread.fenced.reset();
  thread.async.reset();
  thread.proxy_fences = 0;
  thread.proxied.reset();
  prepare(&thread.context, thread_main);
}

/** Keeps the first report alone. `who` is null for what no thread did. */
void report(const char* what, const char* file, int line, const Thread* who) {
  g_failed = true;
  if (!g_report.empty()) return;
  g_report = std::string(what) + " at " + position(file, line);
  if (who == nullptr) return;
  char text[100];
  const uint3& block = who->block->index;
  snprintf(text, sizeof text, " [block %u,%u,%u thread %u,%u,%u]", block.x, block.y, block.z, who->index.x, who->index.y,
           who->index.z);
  g_report += text;
}

/** Says how many wait where, and names the first of them. */
void report_deadlock() {
  std::map<std::string, int> waiting;
  const Thread* first = nullptr;
  for (const Block& block : g_cluster)
    for (unsigned i = 0; i < block.threads; i++) {
      const Thread& thread = block.members[i];
      if (thread.done) continue;
      if (first == nullptr) first = &thread;
      waiting[thread.wait_kind + position(thread.wait_file, thread.wait_line)]++;
    }
  std::string text = "deadlock:";
  for (const auto& entry : waiting) text += " " + std::to_string(entry.second) + " threads wait at " + entry.first + ",";
  text += " the first";
  report(text.c_str(), first->wait_file, first->wait_line, first);
}

void reset_shared(Block* block) {
  std::vector<Unit>& units = block->shared.units;
  const size_t used = std::min(block->shared_top / kUnitBytes + 1, units.size());
  for (size_t i = 0; i < used; i++) units[i].allocated = false;
  block->shared_top = block->named_bytes = 0;
  block->shared_arrays.clear();
  block->dynamic_shared = nullptr;
}

void prepare_block(Block* prepared, unsigned number, dim3 grid, dim3 block) {
  if (prepared->members.empty()) start_up(prepared);
  prepared->index = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
  prepared->serial = g_first_serial + number;
  prepared->epoch = 1;
  prepared->accesses = 0;
  prepared->threads = block.x * block.y * block.z;
  prepared->done = prepared->at_barrier = 0;
  const unsigned warps = (prepared->threads + kWarpSize - 1) / kWarpSize;
  prepared->warps.assign(warps, {});
  for (Warp& warp : prepared->warps) warp.registers = std::min(kMostRegisters, kRegisters / (warps * kWarpSize) / 8 * 8);
  prepared->free_registers = 0;
  prepared->waiting_for_registers.clear();
  prepared->ordered.assign(grid.x * grid.y * grid.z, {});
  prepared->async.reset();
  reset_shared(prepared);
  for (unsigned i = 0; i < prepared->threads; i++) {
    prepare_thread(prepared, i, block);
    g_cluster.ready.push_back(&prepared->members[i]);
  }
}

/** Runs the blocks of one cluster, which lie side by side. */
void run_cluster(unsigned number, dim3 grid, dim3 block) {
  g_cluster.ready.clear();
  g_cluster.at_barrier = g_cluster.barriers = 0;
  for (unsigned rank = 0; rank < g_cluster.size; rank++) {
    g_cluster.blocks[rank].rank = rank;
    prepare_block(&g_cluster.blocks[rank], number * g_cluster.size + rank, grid, block);
  }
  jump(&g_host, next_ready());
  if (!g_failed && !std::all_of(g_cluster.begin(), g_cluster.end(), [](const Block& b) { return b.has_left(); }))
    report_deadlock();
  if (g_counting)
    for (const Block& ended : g_cluster) count_barrier(ended);
}

/** What a thread has ordered before itself now comes before all that the block does next. */
void end_epoch(Block* block) {
  if (g_counting) count_barrier(*block);
  block->epoch++;
  block->accesses = 0;
  for (unsigned i = 0; i < block->threads; i++) {
    Thread& thread = block->members[i];
    if (thread.ordered) join(&block->ordered, *thread.ordered);
    thread.ordered.reset();
    g_cluster.ready.push_back(&thread);
  }
}

void wait_at(const char* kind, const char* file, int line) {
  Thread* me = g_current;
  me->wait_kind = kind;
  me->wait_file = file;
  me->wait_line = line;
  yield();
}

/** All threads of a barrier must be at the same one. */
void check_place(const char* what, const char* first_file, int first_line, const char* file, int line) {
  if (first_line == line && strcmp(first_file, file) == 0) return;
  const std::string text = std::string("threads wait at different ") + what + "s: " + position(first_file, first_line) + " and";
  fail(text.c_str(), file, line);
}
}  // namespace

uint32_t draw(uint32_t bound) {  // xorshift64
  g_random ^= g_random << 13;
  g_random ^= g_random >> 7;
  g_random ^= g_random << 17;
  return static_cast<uint32_t>(((g_random >> 32) * bound) >> 32);
}

void set_seed(uint64_t seed) {
  const HostCall call;
  g_seed = seed;
  order_streams(seed);
}

uint64_t exchange_seed(uint64_t seed) {
  return std::exchange(g_seed, seed);
}

uint64_t seed() {
  return g_seed;
}

const std::string& pending_report() {
  return g_report;
}

std::string take_report() {
  const HostCall call;
  finish_streams();
  std::string report;
  report.swap(g_report);
  return report;
}

std::string position(const char* file, int line) {
  const char* slash = strrchr(file, '/');
  return std::string(slash != nullptr ? slash + 1 : file) + ":" + std::to_string(line);
}

void fail(const char* what, const char* file, int line) {
  report(what, file, line, g_current);
  if (g_current == nullptr) return;
  jump(&g_current->context, nullptr);
  abort();
}

void yield() {
  Thread* me = g_current;
  Thread* next = next_ready();
  if (next != me) jump(&me->context, next);
}

void* shared_array(const void* tag, size_t bytes, size_t alignment) {
  Inside inside;
  for (const SharedArray& array : g_block->shared_arrays)
    if (array.tag == tag) return array.memory;
  g_block->named_bytes = (g_block->named_bytes + alignment - 1) / alignment * alignment + bytes;
  if (g_block->named_bytes > g_most_named_bytes) {
    const std::string text = std::to_string(g_block->named_bytes) + " bytes of shared memory by name and " +
                             std::to_string(g_dynamic_bytes) +
                             " dynamic ones are more than the kernel may have or has asked for";
    fail(text.c_str(), "launch", 0);
  }
  void* memory = allocate_shared(bytes, alignment);
  g_block->shared_arrays.push_back({tag, memory});
  return memory;
}

void* dynamic_shared() {
  Inside inside;
  void*& memory = g_block->dynamic_shared;
  if (memory == nullptr) memory = allocate_shared(g_dynamic_bytes, 128);
  return memory;
}

void barrier(const char* file, int line) {
  Inside inside;
  if (g_block->done != 0) fail("a block barrier after some thread has left", file, line);
  if (g_block->at_barrier == 0) {
    g_block->barrier_file = file;
    g_block->barrier_line = line;
  }
  check_place("block barrier", g_block->barrier_file, g_block->barrier_line, file, line);
  if (++g_block->at_barrier == g_block->threads) {
    g_block->at_barrier = 0;
    share_at_barrier(g_block, g_block + 1);
    end_epoch(g_block);
  }
  wait_at("block barrier ", file, line);
}

unsigned cluster_rank() {
  return g_block->rank;
}

/** Arrives, and waits for every thread of every block: what they have done before now comes before what any does next. */
void cluster_barrier(const char* file, int line) {
  Inside inside;
  for (const Block& block : g_cluster)
    if (block.done != 0) fail("a cluster barrier after some thread has left", file, line);
  if (g_cluster.at_barrier == 0) {
    g_cluster.barrier_file = file;
    g_cluster.barrier_line = line;
  }
  check_place("cluster barrier", g_cluster.barrier_file, g_cluster.barrier_line, file, line);
  if (++g_cluster.at_barrier == g_cluster.size * g_block->threads) {
    g_cluster.at_barrier = 0;
    g_cluster.barriers++;
    share_at_barrier(g_cluster.begin(), g_cluster.end());
    Clock all(g_block->ordered.size());
    for (Block& block : g_cluster) {
      end_epoch(&block);
      join(&all, block.ordered);
      all[block.serial - g_first_serial] = {block.epoch, kNobody};
    }
    for (Block& block : g_cluster) block.ordered = all;
  }
  wait_at("cluster barrier ", file, line);
}

void fence() {
  Inside inside;
  Thread* me = g_current;
  if (me->seen) {
    if (!me->ordered) me->ordered = std::make_unique<Clock>(g_block->ordered.size());
    join(me->ordered.get(), *me->seen);
  }
  me->fenced = std::make_unique<Clock>(g_block->ordered);
  if (me->ordered) join(me->fenced.get(), *me->ordered);
  (*me->fenced)[g_block->serial - g_first_serial] = {g_block->epoch, me->id};
}

namespace {
void check_atomic(const void* pointer, size_t bytes, Access access, const char* file, int line) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
  if (address % bytes != 0) fail("atomic on a misaligned address", file, line);
  if (const char* fault = check_access(address, bytes, access)) fail(fault, file, line);
  if (const char* fault = count_access()) fail(fault, file, line);
  if (g_counting) count_request(access, address, bytes, file, line);
}

/** Adds what the fences before updates of an address have left there to one of the current thread's clocks. */
void take_over(const void* pointer, std::unique_ptr<Clock>* clock) {
  const auto left = g_left_at.find(pointer);
  if (left == g_left_at.end()) return;
  if (!*clock) *clock = std::make_unique<Clock>(g_block->ordered.size());
  join(clock->get(), left->second);
}
}  // namespace

void atomic_access(void* pointer, size_t bytes, const char* file, int line) {
  Inside inside;
  check_atomic(pointer, bytes, Access::kAtomic, file, line);
  Thread* me = g_current;
  take_over(pointer, &me->seen);
  if (!me->fenced) return;
  join(&g_left_at.try_emplace(pointer, g_block->ordered.size()).first->second, *me->fenced);
}

void acquire_access(const void* pointer, size_t bytes, const char* file, int line) {
  Inside inside;
  check_atomic(pointer, bytes, Access::kAtomicRead, file, line);
  take_over(pointer, &g_current->ordered);
}

uint64_t launches() {
  const HostCall call;
  finish_streams();
  return g_launches;
}

const std::map<const void*, uint64_t>& launches_by_kernel() {
  return g_launches_by_kernel;
}

namespace {
using Reading = std::function<void(const Launch& launch, const std::function<void()>& run)>;
Reading& reading() {
  static Reading set;
  return set;
}

void run_here(const Launch& launch, void (*call)(void*), void* context) {
  const dim3 grid = launch.grid, block = launch.block;
  const unsigned cluster = launch.cluster;
  if (g_launches++ == 0) install_signal_handler();
  know_host_stack();
  g_launches_by_kernel[launch.kernel]++;
  g_failed = false;
  constexpr uint64_t kMostBlocks = 1 << 24;
  const uint64_t all_blocks = uint64_t{grid.x} * grid.y * grid.z, threads = uint64_t{block.x} * block.y * block.z;
  if (all_blocks == 0 || threads == 0 || threads > kMaxThreads) {
    fail("a grid or block size is out of its range", "launch", 0);
    return;
  }
  if (all_blocks > kMostBlocks) {
    fail("a grid of more blocks than the emulator runs", "launch", 0);
    return;
  }
  const auto blocks = static_cast<unsigned>(all_blocks);
  if (cluster == 0 || cluster > kMostClusterBlocks || grid.x % cluster != 0) {
    fail("a cluster of so many blocks is not known, or does not divide the grid", "launch", 0);
    return;
  }
  blockDim = block;
  gridDim = grid;
  g_kernel = call;
  g_context = context;
  g_dynamic_bytes = launch.dynamic_shared_bytes;
  g_most_named_bytes = launch.most_named_bytes;
  g_left_at.clear();
  forget_proxy_fences();
  g_random = g_seed * 0x9E3779B97F4A7C15ull + 0x1234567;
  for (int i = 0; i < 8; i++) draw(2);
  g_cluster.size = cluster;
  std::vector<unsigned> order(blocks / cluster);
  std::iota(order.begin(), order.end(), 0u);
  for (size_t i = g_counting ? 0 : order.size(); i > 1; i--) std::swap(order[i - 1], order[draw(static_cast<uint32_t>(i))]);
  g_first_serial = g_last_serial + 1;
  g_last_serial += blocks;
  for (unsigned number : order) {
    run_cluster(number, grid, block);
    if (g_failed) break;
  }
}
}  // namespace

void run(const Launch& launch, void (*call)(void*), void* context) {
  const auto here = [&] { run_here(launch, call, context); };
  if (reading() != nullptr)
    reading()(launch, here);
  else
    here();
}

void read_launches(std::function<void(const Launch& launch, const std::function<void()>& run)> by) {
  reading() = std::move(by);
}
}  // namespace simt
