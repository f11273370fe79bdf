#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "state.h"

namespace simt {
namespace {
bool are_checks_wanted() {
  const char* const value = std::getenv("PRUNEPEFT_EMULATOR_CHECKS");
  return value == nullptr || strcmp(value, "off") != 0;
}
}  // namespace

bool g_watching = are_checks_wanted();

namespace {
/** By their addresses. */
std::vector<std::unique_ptr<Region>> g_buffers;
/** Buffers that were found lately, each in the place that an address in it has. */
std::array<Region*, 1024> g_found{};
bool g_host_memory_admitted = false;

/** A thread's fence for the copy engine and products, of device memory or of shared memory, and when it was. */
struct ProxyFence {
  bool global;
  uint32_t epoch;
  uint16_t warp_epoch;
};
/** Of the launch, by block and thread. */
std::unordered_map<uint64_t, std::vector<ProxyFence>> g_proxy_fences;

Region*& found_at(uintptr_t address) {
  constexpr uintptr_t kGrain = 256;  // cudaMalloc's alignment: none has parts of two buffers
  return g_found[address / kGrain % g_found.size()];
}

/** The buffer that holds `address` if it was found lately, or null. */
Region* found_lately(uintptr_t address) {
  Region* const found = found_at(address);
  return found != nullptr && found->contains(address) ? found : nullptr;
}

auto first_behind(uintptr_t address) {
  return std::upper_bound(g_buffers.begin(), g_buffers.end(), address,
                          [](uintptr_t at, const auto& buffer) { return at < buffer->begin; });
}

uint64_t thread_key(uint32_t serial, uint16_t thread) {
  return uint64_t{serial} << 16 | thread;
}

bool covers(const Clock& clock, uint32_t serial, uint32_t epoch, uint16_t thread) {
  const Known& known = clock[serial - g_first_serial];
  return epoch < known.epoch || (epoch == known.epoch && (known.thread == thread || known.thread == kSeveral));
}

/** Is this event of another block, or of an earlier launch, ordered before the thread? */
bool is_ordered(uint32_t serial, uint32_t epoch, uint16_t thread, const Thread& before) {
  if (serial < g_first_serial) return true;
  if (covers(before.block->ordered, serial, epoch, thread)) return true;
  return before.ordered && covers(*before.ordered, serial, epoch, thread);
}

bool write_is_ordered(const Unit& unit, const Thread& before) {
  const Block& block = *before.block;
  if (unit.write_block != block.serial) return is_ordered(unit.write_block, unit.write_epoch, unit.writer, before);
  if (unit.writer == before.id || unit.write_epoch != block.epoch) return true;
  const int warp = before.id / kWarpSize;
  return unit.writer / kWarpSize == warp && unit.write_warp_epoch != block.warps[warp].epoch;
}

bool read_is_ordered(const Unit& unit) {
  if (unit.read_block != g_block->serial) return is_ordered(unit.read_block, unit.read_epoch, unit.reader, *g_current);
  if (unit.reader == g_current->id || unit.read_epoch != g_block->epoch) return true;
  const int warp = g_current->id / kWarpSize;
  return unit.reader != kSeveral && unit.reader_warp == warp && unit.read_warp_epoch != g_block->warps[warp].epoch;
}

const char* check_unit(const Unit& unit, Access access) {
  const bool writes = access != Access::kRead && access != Access::kAtomicRead;
  const bool atomic = access == Access::kAtomic || access == Access::kAtomicRead;
  if (!unit.allocated) return writes ? "write outside a shared array" : "read outside a shared array";
  if (unit.in_flight && access != Access::kFill)
    return writes ? "write to memory that a cp.async is filling" : "read of memory that a cp.async has not filled yet";
  if ((access == Access::kRead || atomic) && !unit.written) return "read of memory that nobody wrote";
  if (unit.writer != kNobody && !(atomic && unit.atomic_write) && !write_is_ordered(unit, *g_current)) {
    if (unit.write_block != g_block->serial)
      return writes ? "race between blocks: two writes" : "race between blocks: read of another block's write";
    return writes ? "race: two threads write" : "race: read of another thread's write";
  }
  if (writes && unit.reader != kNobody && !(atomic && unit.atomic_read) && !read_is_ordered(unit))
    return unit.read_block != g_block->serial ? "race between blocks: write of what another block reads"
                                              : "race: write of what another thread reads";
  return nullptr;
}

void record_write(Unit* unit, bool atomic) {
  unit->write_block = g_block->serial;
  unit->write_epoch = g_block->epoch;
  unit->writer = g_current->id;
  unit->write_warp_epoch = g_block->warps[g_current->id / kWarpSize].epoch;
  unit->proxy_fences = g_current->proxy_fences;
  unit->written = true;
  unit->atomic_write = atomic;
  unit->reader = kNobody;
}

void record_read(Unit* unit, bool atomic) {
  const auto warp = static_cast<uint8_t>(g_current->id / kWarpSize);
  if (unit->reader == kNobody || unit->read_block != g_block->serial || unit->read_epoch != g_block->epoch) {
    unit->read_block = g_block->serial;
    unit->read_epoch = g_block->epoch;
    unit->reader = g_current->id;
    unit->reader_warp = warp;
    unit->atomic_read = true;
  } else if (unit->reader != g_current->id) {
    unit->reader = unit->reader != kSeveral && unit->reader_warp == warp ? kSeveralOfWarp : kSeveral;
  }
  unit->read_warp_epoch = g_block->warps[warp].epoch;
  unit->atomic_read = unit->atomic_read && atomic;
}

/** A unit as words. An access finds the same in units of the same words, and leaves the same. */
using UnitWords = std::array<uint64_t, 4>;
static_assert(sizeof(UnitWords) == sizeof(Unit), "a unit has no padding");

UnitWords words_of(const Unit& unit) {
  UnitWords words;
  __builtin_memcpy(words.data(), &unit, sizeof unit);
  return words;
}

bool are_alike(const UnitWords& a, const UnitWords& b) {
  return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])) == 0;
}

/** The same for what the copy engine or a product reads for the thread. */
const char* check_proxy(const Unit& unit, bool global, const Thread& by) {
  if (unit.writer == kNobody || unit.write_block < g_first_serial) return nullptr;
  const bool of_other_block = unit.write_block != by.block->serial;
  bool fenced = false;
  const std::vector<ProxyFence>& fences = g_proxy_fences[thread_key(unit.write_block, unit.writer)];
  for (size_t i = unit.proxy_fences; i < fences.size(); i++) {
    if (fences[i].global != global) continue;
    fenced = true;
    Unit at_fence = unit;
    at_fence.write_epoch = fences[i].epoch;
    at_fence.write_warp_epoch = fences[i].warp_epoch;
    if (!write_is_ordered(at_fence, by)) continue;
    if (!of_other_block || (by.proxied && covers(*by.proxied, unit.write_block, fences[i].epoch, unit.writer))) return nullptr;
    return "what another block has written is read past this thread's caches: no proxy fence follows the acquire";
  }
  return fenced ? "what a thread has written is read past its caches: its proxy fence is not ordered before"
                : "what a thread has written is read past its caches without a proxy fence";
}
}  // namespace

const char* check_proxy(Region* region, uintptr_t address, size_t bytes, const Thread& by) {
  for (size_t i = 0; i < bytes; i += kUnitBytes)
    if (const char* fault = check_proxy(*region->unit(address + i), region != &by.block->shared, by)) return fault;
  return nullptr;
}

void fence_proxy(bool global) {
  Thread* me = g_current;
  const uint16_t warp_epoch = g_block->warps[me->id / kWarpSize].epoch;
  g_proxy_fences[thread_key(g_block->serial, me->id)].push_back({global, g_block->epoch, warp_epoch});
  me->proxy_fences++;
  if (!global) return;
  me->proxied = std::make_unique<Clock>(g_block->ordered);
  if (me->ordered) join(me->proxied.get(), *me->ordered);
}

void forget_proxy_fences() {
  g_proxy_fences.clear();
}

void admit_host_memory() {
  defer_streams(false);  // whose work on that memory knows no streams
  g_host_memory_admitted = true;
}

void join(Clock* clock, const Clock& other) {
  for (size_t i = 0; i < clock->size(); i++) {
    Known& mine = (*clock)[i];
    const Known& theirs = other[i];
    if (theirs.epoch > mine.epoch) {
      mine = theirs;
    } else if (theirs.epoch != 0 && theirs.epoch == mine.epoch && theirs.thread != mine.thread && theirs.thread != kNobody) {
      mine.thread = mine.thread == kNobody ? theirs.thread : kSeveral;
    }
  }
}

const char* check_access(uintptr_t address, size_t bytes, Access access) {
  if (!g_watching) return nullptr;
  const bool writes = access != Access::kRead && access != Access::kAtomicRead;
  if (is_on_own_stack(address)) return nullptr;
  if (shared_region()->contains(address)) return check_access(shared_region(), address, bytes, access);
  Region* region = found_lately(address);
  if (region == nullptr) {
    if (!writes && is_host_readable(address)) return nullptr;
    region = global_region(address);
  }
  if (region == nullptr) {
    if (g_host_memory_admitted) return nullptr;
    return writes ? "write outside every buffer" : "read outside every buffer";
  }
  return check_access(region, address, bytes, access);
}

const char* check_access(Region* region, uintptr_t address, size_t bytes, Access access) {
  if (!g_watching) return nullptr;
  const bool writes = access != Access::kRead && access != Access::kAtomicRead;
  if (address + bytes > region->end) return writes ? "write past the end of a buffer" : "read past the end of a buffer";
  if (access == Access::kRead && region == shared_region())
    if (const char* fault = check_copied(*g_block, address, bytes)) return fault;
  Unit* const last = region->unit(address + bytes - 1);
  const auto record = [&](Unit* unit) {
    if (writes) record_write(unit, access == Access::kAtomic);
    if (!writes || access == Access::kAtomic) record_read(unit, access != Access::kRead);
  };
  for (Unit* unit = region->unit(address); unit <= last;) {
    const UnitWords before = words_of(*unit);
    if (const char* fault = check_unit(*unit, access)) return fault;
    record(unit);
    for (unit++; unit <= last && are_alike(words_of(*unit), before); unit++) record(unit);
  }
  return nullptr;
}

void describe(uintptr_t address, char* text, size_t size) {
  for (const Block& block : g_cluster)
    if (block.shared.contains(address)) {
      const auto byte = static_cast<size_t>(address - block.shared.begin);
      if (&block == g_block)
        snprintf(text, size, "shared memory, byte %zu", byte);
      else
        snprintf(text, size, "shared memory of the cluster's block %u, byte %zu", block.rank, byte);
      return;
    }
  if (const Region* region = global_region(address)) {
    snprintf(text, size, "global memory, byte %zu of %zu", static_cast<size_t>(address - region->begin),
             static_cast<size_t>(region->end - region->begin));
  } else {
    snprintf(text, size, "address %#zx", static_cast<size_t>(address));
  }
}

Region* shared_region() {
  return &g_block->shared;
}

Region* global_region(uintptr_t address) {
  if (Region* const found = found_lately(address)) return found;
  const auto behind = first_behind(address);
  if (behind == g_buffers.begin() || !(*std::prev(behind))->contains(address)) return nullptr;
  return found_at(address) = std::prev(behind)->get();
}

void add_global_region(void* memory, size_t bytes) {
  auto region = std::make_unique<Region>();
  region->begin = reinterpret_cast<uintptr_t>(memory);
  region->end = region->begin + bytes;
  Unit unwritten;
  unwritten.allocated = true;
  region->units.assign(bytes / kUnitBytes + 1, unwritten);
  g_buffers.insert(first_behind(region->begin), std::move(region));
}

const std::vector<std::unique_ptr<Region>>& global_regions() {
  return g_buffers;
}

void remove_global_region(Region* region) {
  g_found.fill(nullptr);
  g_buffers.erase(std::find_if(g_buffers.begin(), g_buffers.end(), [=](const auto& buffer) { return buffer.get() == region; }));
}

void mark_global(const void* memory, size_t bytes, bool written) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory);
  Region* region = global_region(address);
  if (region == nullptr || bytes == 0) return;
  for (Unit *unit = region->unit(address), *last = region->unit(address + bytes - 1); unit <= last; unit++) {
    unit->written = written;
    unit->writer = unit->reader = kNobody;
  }
}

ptrdiff_t first_unwritten(const void* memory, size_t bytes) {
  if (!g_watching) return -1;
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory);
  Region* region = global_region(address);
  if (region == nullptr) return -1;
  for (size_t i = 0; i < bytes; i += kUnitBytes)
    if (!region->unit(address + i)->written) return static_cast<ptrdiff_t>(i);
  return -1;
}
}  // namespace simt
