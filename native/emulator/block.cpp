// Runs a launch: blocks one after another, threads as fibers, block barriers, fences, and the end of it all by a fault.
// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <unordered_map>

#include "launches.h"
#include "state.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace simt {
Block g_block;
std::vector<Thread> g_threads;
Thread* g_current = nullptr;
int g_inside = 0;

namespace {
constexpr size_t kSharedBytes = 232448;  // the most that a block of sm_90 may have, 227 KB
constexpr size_t kRedZoneBytes = 64;     // between two shared arrays

struct SharedArray {
  const void* tag;
  void* memory;
};

Context g_host;
uint64_t g_seed = 1, g_random = 1;
bool g_failed = false;
uint64_t g_launches = 0;
std::string g_report;
void (*g_kernel)(void*) = nullptr;
void* g_context = nullptr;
size_t g_shared_top = 0, g_dynamic_bytes = 0;
void* g_dynamic = nullptr;
std::vector<SharedArray> g_shared_arrays;
std::unordered_map<const void*, Clock> g_left_at;  // what fences and atomics have left at an address

void jump(Context* from, Thread* to) {
  const int inside = g_inside;
  g_inside = 0;
  g_current = to;
  if (to != nullptr) threadIdx = to->index;
  switch_context(from, to != nullptr ? &to->context : &g_host);
  g_inside = inside;
}

Thread* next_ready() {
  std::vector<uint16_t>& ready = g_block.ready;
  constexpr uint32_t kCopyOneIn = 8;  // of the switches; without a thread to run, all copies are done
  if (g_block.async && draw(kCopyOneIn) == 0) finish_a_copy();
  while (ready.empty() && finish_a_copy()) continue;
  if (ready.empty()) return nullptr;
  std::swap(ready[draw(static_cast<uint32_t>(ready.size()))], ready.back());
  Thread* thread = &g_threads[ready.back()];
  ready.pop_back();
  return thread;
}

void leave() {
  Inside inside;
  Thread* me = g_current;
  me->done = true;
  g_block.done++;
  Warp& warp = g_block.warps[me->id / kWarpSize];
  warp.left |= 1u << me->lane;
  if (const char* undone = async_left_undone(g_block.done == g_block.threads)) fail(undone, me->wait_file, me->wait_line);
  if (g_block.at_barrier != 0)
    fail("a thread has left while others wait at a block barrier", g_block.barrier_file, g_block.barrier_line);
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
  const size_t begin = (g_shared_top + kRedZoneBytes + alignment - 1) / alignment * alignment;
  g_shared_top = begin + bytes;
  if (g_shared_top > kSharedBytes) {
    fail("more shared memory than a block may have", "launch", 0);
    return nullptr;
  }
  Region* region = shared_region();
  for (size_t i = begin; i < begin + bytes; i += kUnitBytes) *region->unit(region->begin + i) = Unit{};
  for (size_t i = begin; i < begin + bytes; i += kUnitBytes) region->unit(region->begin + i)->allocated = true;
  return reinterpret_cast<void*>(region->begin + begin);
}

void start_up() {
  Region* region = shared_region();
  void* memory = mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) abort();
  region->begin = reinterpret_cast<uintptr_t>(memory);
  region->end = region->begin + kSharedBytes;
  region->units.resize(kSharedBytes / kUnitBytes);
  g_threads.resize(kMaxThreads);
  install_signal_handler();
}

void prepare_thread(unsigned id, dim3 block) {
  Thread& thread = g_threads[id];
  if (thread.context.stack == nullptr) thread.context.stack = allocate_stack();
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
  prepare(&thread.context, thread_main);
}

/** Keeps the first report alone. `who` is null for what no thread did. */
void report(const char* what, const char* file, int line, const Thread* who) {
  g_failed = true;
  if (!g_report.empty()) return;
  g_report = std::string(what) + " at " + position(file, line);
  if (who == nullptr) return;
  char text[100];
  snprintf(text, sizeof text, " [block %u,%u,%u thread %u,%u,%u]", blockIdx.x, blockIdx.y, blockIdx.z, who->index.x,
           who->index.y, who->index.z);
  g_report += text;
}

/** Says how many wait where, and names the first of them. */
void report_deadlock() {
  std::map<std::string, int> waiting;
  const Thread* first = nullptr;
  for (unsigned i = 0; i < g_block.threads; i++) {
    const Thread& thread = g_threads[i];
    if (thread.done) continue;
    if (first == nullptr) first = &thread;
    waiting[thread.wait_kind + position(thread.wait_file, thread.wait_line)]++;
  }
  std::string text = "deadlock:";
  for (const auto& entry : waiting) text += " " + std::to_string(entry.second) + " threads wait at " + entry.first + ",";
  text += " the first";
  report(text.c_str(), first->wait_file, first->wait_line, first);
}

void run_block(unsigned number, dim3 grid, dim3 block) {
  const unsigned blocks = grid.x * grid.y * grid.z;
  g_block.serial = g_block.first_serial + number;
  g_block.epoch = 1;
  g_block.done = g_block.at_barrier = 0;
  g_block.ready.clear();
  g_block.warps.assign((g_block.threads + kWarpSize - 1) / kWarpSize, {});
  g_block.ordered.assign(blocks, {});
  g_block.async.reset();
  blockIdx = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
  g_shared_arrays.clear();
  g_dynamic = nullptr;
  reset_shared();
  for (unsigned i = 0; i < g_block.threads; i++) {
    prepare_thread(i, block);
    g_block.ready.push_back(static_cast<uint16_t>(i));
  }
  jump(&g_host, next_ready());
  if (!g_failed && g_block.done != g_block.threads) report_deadlock();
}
}  // namespace

uint32_t draw(uint32_t bound) {  // xorshift64
  g_random ^= g_random << 13;
  g_random ^= g_random >> 7;
  g_random ^= g_random << 17;
  return static_cast<uint32_t>(((g_random >> 32) * bound) >> 32);
}

void set_seed(uint64_t seed) {
  g_seed = seed;
}
const std::string& pending_report() {
  return g_report;
}

std::string take_report() {
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

void reset_shared() {
  Region* region = shared_region();
  const size_t used = std::min(g_shared_top / kUnitBytes + 1, region->units.size());
  for (size_t i = 0; i < used; i++) region->units[i].allocated = false;
  g_shared_top = 0;
}

void* shared_array(const void* tag, size_t bytes, size_t alignment) {
  Inside inside;
  for (const SharedArray& array : g_shared_arrays)
    if (array.tag == tag) return array.memory;
  void* memory = allocate_shared(bytes, alignment);
  g_shared_arrays.push_back({tag, memory});
  return memory;
}

void* dynamic_shared() {
  Inside inside;
  if (g_dynamic == nullptr) g_dynamic = allocate_shared(g_dynamic_bytes, 128);
  return g_dynamic;
}

void barrier(const char* file, int line) {
  Inside inside;
  Thread* me = g_current;
  if (g_block.done != 0) fail("a block barrier after some thread has left", file, line);
  if (g_block.at_barrier == 0) {
    g_block.barrier_file = file;
    g_block.barrier_line = line;
  } else if (g_block.barrier_line != line || strcmp(g_block.barrier_file, file) != 0) {
    const std::string text =
        "threads wait at different block barriers: " + position(g_block.barrier_file, g_block.barrier_line) + " and";
    fail(text.c_str(), file, line);
  }
  if (++g_block.at_barrier == g_block.threads) {
    g_block.at_barrier = 0;
    g_block.epoch++;
    share_at_barrier();
    for (unsigned i = 0; i < g_block.threads; i++) {
      Thread& thread = g_threads[i];
      if (thread.ordered) join(&g_block.ordered, *thread.ordered);
      thread.ordered.reset();
      g_block.ready.push_back(thread.id);
    }
  }
  me->wait_kind = "block barrier ";
  me->wait_file = file;
  me->wait_line = line;
  yield();
}

void fence() {
  Inside inside;
  Thread* me = g_current;
  if (me->seen) {
    if (!me->ordered) me->ordered = std::make_unique<Clock>(g_block.ordered.size());
    join(me->ordered.get(), *me->seen);
  }
  me->fenced = std::make_unique<Clock>(g_block.ordered);
  if (me->ordered) join(me->fenced.get(), *me->ordered);
  (*me->fenced)[g_block.serial - g_block.first_serial] = {g_block.epoch, me->id};
}

namespace {
void check_atomic(const void* pointer, size_t bytes, Access access, const char* file, int line) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
  if (address % bytes != 0) fail("atomic on a misaligned address", file, line);
  if (const char* fault = check_access(address, bytes, access)) fail(fault, file, line);
  if (const char* fault = count_access()) fail(fault, file, line);
}

/** Adds what the fences before updates of an address have left there to one of the current thread's clocks. */
void take_over(const void* pointer, std::unique_ptr<Clock>* clock) {
  const auto left = g_left_at.find(pointer);
  if (left == g_left_at.end()) return;
  if (!*clock) *clock = std::make_unique<Clock>(g_block.ordered.size());
  join(clock->get(), left->second);
}
}  // namespace

void atomic_access(void* pointer, size_t bytes, const char* file, int line) {
  Inside inside;
  check_atomic(pointer, bytes, Access::kAtomic, file, line);
  Thread* me = g_current;
  take_over(pointer, &me->seen);
  if (!me->fenced) return;
  join(&g_left_at.try_emplace(pointer, g_block.ordered.size()).first->second, *me->fenced);
}

void acquire_access(const void* pointer, size_t bytes, const char* file, int line) {
  Inside inside;
  check_atomic(pointer, bytes, Access::kAtomicRead, file, line);
  take_over(pointer, &g_current->ordered);
}

uint64_t launches() {
  return g_launches;
}

void run(dim3 grid, dim3 block, size_t dynamic_shared_bytes, void (*kernel)(void*), void* context) {
  g_launches++;
  if (g_threads.empty()) start_up();
  g_failed = false;
  const unsigned blocks = grid.x * grid.y * grid.z;
  g_block.threads = block.x * block.y * block.z;
  if (blocks == 0 || g_block.threads == 0 || g_block.threads > kMaxThreads || grid.y > 65535 || grid.z > 65535) {
    fail("a grid or block size is out of its range", "launch", 0);
    return;
  }
  blockDim = block;
  gridDim = grid;
  g_kernel = kernel;
  g_context = context;
  g_dynamic_bytes = dynamic_shared_bytes;
  g_left_at.clear();
  g_random = g_seed * 0x9E3779B97F4A7C15ull + 0x1234567;
  for (int i = 0; i < 8; i++) draw(2);
  std::vector<unsigned> order(blocks);
  std::iota(order.begin(), order.end(), 0u);
  for (unsigned i = blocks; i > 1; i--) std::swap(order[i - 1], order[draw(i)]);
  g_block.first_serial = g_block.serial + 1;
  const uint32_t last_serial = g_block.serial + blocks;
  for (unsigned number : order) {
    run_block(number, grid, block);
    if (g_failed) break;
  }
  g_block.serial = last_serial;
}
}  // namespace simt
