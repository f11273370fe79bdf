// Of compute capability 9.0: mbarriers, the bulk copy engine and its tensor maps, and products by warpgroups. Formats and
// layouts are those of the PTX ISA: swizzle of 128 bytes, shared-memory descriptors, fragments of an accumulator.
#include "hopper.h"

#include <algorithm>
#include <cstdio>

#include "counting.h"

namespace simt {
namespace {
constexpr uint64_t kMapMagic = 0x70616d726f736e65;
constexpr size_t kCellBytes = 16, kSwizzleBytes = 128, kAtomBytes = 1024;
constexpr int64_t kMostExpectedBytes = (1 << 20) - 1;
constexpr int kProductRows = 64, kProductInner = 16;

cudaError_t g_driver_answer = cudaSuccess;
CUresult g_tensor_map_answer = CUDA_SUCCESS;
int g_driver_questions = 0;

uintptr_t shared_begin() {
  return shared_region()->begin;
}

/** Where, in a block of the cluster, lies what lies at `address` in the current one: mapa. */
uintptr_t at_same_place(const Block& block, uintptr_t address) {
  return block.shared.begin + (address - shared_begin());
}

/** Within 1024 bytes, the groups of 16 in a row of 128 are exchanged by the row's number; shared memory begins at a page. */
uintptr_t swizzled(uintptr_t address) {
  return address ^ (address >> 3 & 0x70);
}

AsyncBlock& async_block() {
  return *g_block->async;
}

AsyncThread& async_thread(Thread* thread) {
  if (!thread->async) thread->async = std::make_unique<AsyncThread>();
  return *thread->async;
}

AsyncCell& cell_at(const Block& block, uintptr_t address) {
  return block.async->cells[(address - block.shared.begin) / kCellBytes];
}

void check_barrier_place(const uint64_t* barrier, const char* file, int line) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(barrier);
  if (address % sizeof(uint64_t) != 0) fail("an mbarrier is not aligned to 8 bytes", file, line);
  if (!shared_region()->contains(address)) fail("an mbarrier is not in shared memory", file, line);
}

uintptr_t check_barrier_address(const uint64_t* barrier, Access access, const char* file, int line) {
  check_barrier_place(barrier, file, line);
  const uintptr_t address = reinterpret_cast<uintptr_t>(barrier);
  if (const char* fault = check_access(address, sizeof(uint64_t), access)) fail(fault, file, line);
  return address;
}

Mbarrier& find_barrier(uint64_t* barrier, Access access, const char* file, int line) {
  const uintptr_t address = check_barrier_address(barrier, access, file, line);
  if (!g_block->async || async_block().barriers.count(address) == 0) fail("not an initialised mbarrier", file, line);
  return async_block().barriers.at(address);
}

/** The barrier at the same place in a block of the cluster, which may be the current one. */
Mbarrier& find_barrier_of(Block* block, uint64_t* barrier, Access access, const char* file, int line) {
  if (block == g_block) return find_barrier(barrier, access, file, line);
  check_barrier_place(barrier, file, line);
  if (block->has_left()) fail("another block is reached that has left", file, line);
  const uintptr_t address = at_same_place(*block, reinterpret_cast<uintptr_t>(barrier));
  if (!block->async || block->async->barriers.count(address) == 0 ||
      block->async->barriers.at(address).made_at == g_cluster.barriers)
    fail("no cluster barrier has come between another block's mbarrier's initialisation and its use", file, line);
  if (!block->async->barriers.at(address).published)
    fail("another block's mbarrier's initialisation has not been fenced for the cluster", file, line);
  if (const char* fault = check_access(&block->shared, address, sizeof(uint64_t), access)) fail(fault, file, line);
  return block->async->barriers.at(address);
}

void settle(Mbarrier* barrier) {
  if (barrier->missing != 0 || barrier->bytes != 0) return;
  barrier->phase++;
  barrier->missing = barrier->arrivals;
  barrier->completed = barrier->arrived;
  g_cluster.ready.insert(g_cluster.ready.end(), barrier->waiting.begin(), barrier->waiting.end());
  barrier->waiting.clear();
}

/** Bytes of a box, all of which count, whether they lie in the matrix or not. */
uint32_t box_bytes(const TensorMapFields& map) {
  return map.box_columns * map.box_rows * map.element_bytes;
}

/** The part of a box's row that lies in the matrix, as columns of the box. */
struct Span {
  int64_t first = 0, end = 0;
};
Span columns_inside(const BulkCopy& copy, int64_t row) {
  if (copy.row + row < 0 || copy.row + row >= static_cast<int64_t>(copy.map.rows)) return {};
  const int64_t first = std::max<int64_t>(-copy.column, 0);
  const int64_t end = std::min<int64_t>(copy.map.box_columns, static_cast<int64_t>(copy.map.columns) - copy.column);
  return {first, std::max(first, end)};
}

const unsigned char* source_of(const BulkCopy& copy, int64_t row, int64_t column) {
  return copy.map.data + (copy.row + row) * static_cast<int64_t>(copy.map.stride_bytes) +
         (copy.column + column) * static_cast<int64_t>(copy.map.element_bytes);
}

void finish(Block* block, uint32_t number) {
  BulkCopy& copy = block->async->copies[number - 1];
  const size_t element = copy.map.element_bytes;
  for (int64_t row = 0; row < copy.map.box_rows; row++) {
    const Span inside = columns_inside(copy, row);
    for (int64_t column = 0; column < copy.map.box_columns; column++) {
      const uintptr_t offset = static_cast<uintptr_t>(row * copy.map.box_columns + column) * element;
      void* to = reinterpret_cast<void*>(swizzled(copy.target + offset));
      if (column >= inside.first && column < inside.end)
        __builtin_memcpy(to, source_of(copy, row, column), element);
      else
        __builtin_memset(to, 0, element);
    }
  }
  const uint32_t bytes = box_bytes(copy.map);
  for (uintptr_t address = copy.target; address < copy.target + bytes; address += kUnitBytes) {
    Unit* unit = block->shared.unit(address);
    unit->in_flight = false;
    unit->written = true;
    unit->writer = kNobody;
  }
  for (uintptr_t address = copy.target; address < copy.target + bytes; address += kCellBytes)
    cell_at(*block, address).copy = number;
  Mbarrier& barrier = block->async->barriers.at(copy.barrier);
  copy.phase = barrier.phase;
  barrier.bytes -= bytes;
  settle(&barrier);
}

/** A matrix descriptor, decoded. */
struct Operand {
  uintptr_t start;
  uintptr_t leading, stride;
  bool transposed;  // the 64 elements of a row of shared memory run along M or N, not along the inner dimension
};

Operand decode(uint64_t descriptor, bool transposed, const char* file, int line) {
  constexpr uint64_t kField = 0x3fff;
  if (descriptor >> 62 != 1) fail("wgmma: of the swizzles, the emulator knows that of 128 bytes", file, line);
  if ((descriptor >> 49 & 7) != 0) fail("wgmma: the emulator knows no base offset", file, line);
  return {shared_begin() + ((descriptor & kField) << 4), (descriptor >> 16 & kField) << 4, (descriptor >> 32 & kField) << 4,
          transposed};
}

/** Where element (i, k) lies: i along M or N, k along the inner dimension. The canonical layouts of the PTX ISA. */
uintptr_t place(const Operand& operand, int i, int k) {
  const auto row = static_cast<uintptr_t>(operand.transposed ? k : i),
             column = static_cast<uintptr_t>(operand.transposed ? i : k);
  return swizzled(operand.start + column / 64 * operand.leading + column % 64 * 2 + row / 8 * operand.stride +
                  row % 8 * kSwizzleBytes);
}

/** Checks what a product will read, and enters it. `number` is the product's. */
void check_operand(const Operand& operand, int extent, unsigned group, uint32_t number, const char* file, int line) {
  uint32_t last_copy = 0;
  const int rows = operand.transposed ? kProductInner : extent, columns = operand.transposed ? extent : kProductInner;
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column += static_cast<int>(kCellBytes / 2)) {
      const uintptr_t address = operand.transposed ? place(operand, column, row) : place(operand, row, column);
      if (!shared_region()->contains(address)) fail("wgmma reads outside shared memory", file, line);
      bool by_threads = false;
      for (const Unit *unit = shared_region()->unit(address), *end = unit + kCellBytes / kUnitBytes; unit != end; unit++) {
        if (!unit->allocated) fail("wgmma reads outside a shared array", file, line);
        if (unit->in_flight) fail("wgmma reads what a bulk copy has not brought yet", file, line);
        if (!unit->written) fail("wgmma reads what nobody has brought or written", file, line);
        by_threads = by_threads || unit->writer != kNobody;
      }
      for (unsigned i = 0; i < kWarpgroup && by_threads; i++)
        if (const char* fault = check_proxy(shared_region(), address, kCellBytes, g_block->members[group * kWarpgroup + i]))
          fail(("wgmma: " + std::string(fault)).c_str(), file, line);
      AsyncCell& cell = cell_at(*g_block, address);
      cell.reads[group] = number;
      if (cell.copy == 0 || cell.copy == last_copy) continue;
      last_copy = cell.copy;
      const BulkCopy& copy = async_block().copies[last_copy - 1];
      for (unsigned i = 0; i < kWarpgroup; i++) {
        const auto& phases = async_thread(&g_block->members[group * kWarpgroup + i]).phases;
        const auto seen = phases.find(copy.barrier);
        if (seen == phases.end() || seen->second <= copy.phase)
          fail("wgmma reads a bulk copy that its threads have not waited for", file, line);
      }
    }
}

uint16_t element_at(uintptr_t address) {
  uint16_t bits;
  __builtin_memcpy(&bits, reinterpret_cast<const void*>(address), sizeof bits);
  return bits;
}

/** Row and column in a warpgroup's 64 rows of element i of a thread's part, of which each four are of a 16 by 8 piece. */
struct FragmentPlace {
  unsigned row, column;
};
FragmentPlace fragment_place(unsigned thread, unsigned i) {
  return {thread / kWarpSize * 16 + thread % kWarpSize / 4 + i / 2 % 2 * 8, i / 4 * 8 + thread % 4 * 2 + i % 2};
}

using LeftValues = float[kProductRows][kProductInner];

/** A in registers, as it was when the product was issued; it must be the same still. */
template <float (*value)(uint16_t)>
void read_registers(const Product& product, LeftValues& a) {
  for (unsigned t = 0; t < kWarpgroup; t++) {
    const LeftRegisters& left = product.left[t];
    if (!std::equal(left.values.begin(), left.values.end(), left.at))
      fail("registers of a wgmma's left operand have changed before the wait for it", product.file, product.line);
    for (unsigned i = 0; i < 2 * left.values.size(); i++) {
      const FragmentPlace at = fragment_place(t, i);
      a[at.row][at.column] = value(static_cast<uint16_t>(left.values[i / 2] >> i % 2 * 16));
    }
  }
}

/** Adds to the hidden accumulators of the warpgroup's threads. */
template <float (*value)(uint16_t)>
void multiply(unsigned group, Product* product) {
  const WarpgroupProduct& what = product->what;
  const Operand right = decode(what.b, what.columns_inner, "wgmma", 0);
  static LeftValues a;
  static float b[kProductInner][256], d[kProductRows][256];
  if (what.registers != nullptr) {
    read_registers<value>(*product, a);
  } else {
    const Operand left = decode(what.a, what.rows_inner, "wgmma", 0);
    for (int k = 0; k < kProductInner; k++)
      for (int i = 0; i < kProductRows; i++) a[i][k] = value(element_at(place(left, i, k)));
  }
  for (int k = 0; k < kProductInner; k++)
    for (int j = 0; j < what.columns; j++) b[k][j] = value(element_at(place(right, j, k)));
  for (int i = 0; i < kProductRows; i++) {
    std::fill(d[i], d[i] + what.columns, 0.0f);
    for (int k = 0; k < kProductInner; k++)
      for (int j = 0; j < what.columns; j++) d[i][j] += a[i][k] * b[k][j];
  }
  for (unsigned t = 0; t < kWarpgroup; t++) {
    std::vector<float>& values = async_thread(&g_block->members[group * kWarpgroup + t]).accumulators.at(product->d[t]).values;
    for (unsigned i = 0; i < values.size(); i++) {
      const FragmentPlace at = fragment_place(t, i);
      values[i] = (what.adds ? values[i] : 0.0f) + d[at.row][at.column];
    }
  }
  product->done = true;
}

/** The current thread's wait for a product: its accumulator shows again when nothing more is pending on it. */
void reveal(AsyncThread* thread, float* d) {
  HiddenAccumulator& hidden = thread->accumulators.at(d);
  if (--hidden.pending != 0) return;
  std::copy(hidden.values.begin(), hidden.values.end(), d);
  thread->accumulators.erase(d);
  thread->fenced = false;
}
}  // namespace

void join(Passed* known, const Passed& other) {
  for (size_t i = 0; i < known->products.size(); i++) {
    known->products[i] = std::max(known->products[i], other.products[i]);
    known->reads[i] = std::max(known->reads[i], other.reads[i]);
  }
}

const char* check_copied(const Block& block, uintptr_t address, size_t bytes) {
  if (!block.async || block.async->copies.empty()) return nullptr;
  for (uintptr_t at = address; at < address + bytes; at = at / kCellBytes * kCellBytes + kCellBytes) {
    const uint32_t number = cell_at(block, at).copy;
    if (number == 0) continue;
    const BulkCopy& copy = block.async->copies[number - 1];
    const auto& phases = async_thread(g_current).phases;
    const auto seen = phases.find(copy.barrier);
    if (seen == phases.end() || seen->second <= copy.phase) return "read of a bulk copy that the thread has not waited for";
  }
  return nullptr;
}

bool has_mbarriers() {
  return std::any_of(g_cluster.begin(), g_cluster.end(), [](const Block& block) { return block.async != nullptr; });
}

bool finish_a_copy() {
  Inside inside;
  size_t count = 0;
  for (const Block& block : g_cluster) count += block.async ? block.async->pending.size() : 0;
  if (count == 0) return false;
  size_t drawn = draw(static_cast<uint32_t>(count));
  for (Block& block : g_cluster) {
    if (!block.async) continue;
    std::vector<uint32_t>& pending = block.async->pending;
    if (drawn >= pending.size()) {
      drawn -= pending.size();
      continue;
    }
    std::swap(pending[drawn], pending.back());
    const uint32_t number = pending.back();
    pending.pop_back();
    finish(&block, number);
    return true;
  }
  return false;
}

void share_at_barrier(Block* begin, Block* end) {
  if (!has_mbarriers()) return;
  Passed all;
  for (Block* block = begin; block != end; block++)
    for (unsigned i = 0; i < block->threads; i++) join(&all, async_thread(&block->members[i]).known);
  for (Block* block = begin; block != end; block++)
    for (unsigned i = 0; i < block->threads; i++) async_thread(&block->members[i]).known = all;
}

namespace {
/** Of each mbarrier of a block: phases that one of its threads has seen end. */
std::map<uintptr_t, uint32_t> phases_seen(Block* block) {
  std::map<uintptr_t, uint32_t> seen;
  for (unsigned i = 0; i < block->threads; i++)
    for (const auto& [barrier, phase] : async_thread(&block->members[i]).phases) seen[barrier] = std::max(seen[barrier], phase);
  return seen;
}
}  // namespace

const char* async_left_undone(bool is_last) {
  if (!g_block->async) return nullptr;
  if (g_current->async && !g_current->async->accumulators.empty()) return "a thread has left with a wgmma under way";
  if (!is_last) return nullptr;
  std::map<uintptr_t, uint32_t> seen = phases_seen(g_block);
  const bool all_seen = std::all_of(async_block().copies.begin(), async_block().copies.end(),
                                    [&](const BulkCopy& copy) { return seen[copy.barrier] > copy.phase; });
  return all_seen && async_block().pending.empty() ? nullptr : "a block has ended without a wait for one of its bulk copies";
}

void check_remote_arrivals() {
  for (Block& block : g_cluster) {
    if (!block.async) continue;
    std::map<uintptr_t, uint32_t> seen = phases_seen(&block);
    for (const auto& [address, barrier] : block.async->barriers) {
      const RemoteArrival& remote = barrier.remote;
      if (remote.file != nullptr && remote.barriers == g_cluster.barriers && seen[address] <= remote.phase)
        fail("a block may leave before another's arrival here: no cluster barrier follows it", remote.file, remote.line);
    }
  }
}

unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(reinterpret_cast<uintptr_t>(pointer) - shared_begin());
}

namespace {
void need_async_block() {
  if (g_block->async) return;
  g_block->async = std::make_unique<AsyncBlock>();
  async_block().cells.resize((shared_region()->end - shared_begin()) / kCellBytes);
}
}  // namespace

void mbarrier_init(uint64_t* barrier, unsigned arrivals, const char* file, int line) {
  Inside inside;
  const uintptr_t address = check_barrier_address(barrier, Access::kWrite, file, line);
  if (arrivals == 0 || arrivals >= 1u << 20) fail("mbarrier: the number of arrivals is out of [1, 2^20)", file, line);
  need_async_block();
  Mbarrier made;
  made.arrivals = made.missing = arrivals;
  made.owner = g_current->id;
  made.made_at = g_cluster.barriers;
  if (!async_block().barriers.emplace(address, made).second) fail("an mbarrier is initialised twice", file, line);
}

void fence_proxy_async(bool global) {
  Inside inside;
  fence_proxy(global);
  if (global || !g_block->async) return;
  for (auto& entry : async_block().barriers)
    if (entry.second.owner == g_current->id) entry.second.visible = true;
}

void fence_mbarrier_init() {
  Inside inside;
  if (!g_block->async) return;
  for (auto& entry : async_block().barriers)
    if (entry.second.owner == g_current->id) entry.second.published = true;
}

namespace {
void arrive(Mbarrier* barrier, unsigned expected_bytes, const char* file, int line) {
  if (barrier->missing == 0) fail("more arrivals at an mbarrier than its phase has", file, line);
  barrier->bytes += expected_bytes;
  if (barrier->bytes > kMostExpectedBytes) fail("an mbarrier expects more than 2^20 - 1 bytes", file, line);
  barrier->missing--;
  Passed& known = async_thread(g_current).known;
  const unsigned warp = g_current->id / kWarpSize;
  known.reads[g_block->rank * kMostWarps + warp] = g_block->warps[warp].epoch;
  join(&barrier->arrived, known);
  settle(barrier);
}

Block* block_of_cluster(unsigned rank, const char* file, int line) {
  if (rank >= g_cluster.size) fail("the cluster has no block of that rank", file, line);
  return &g_cluster.blocks[rank];
}
}  // namespace

void mbarrier_arrive(uint64_t* barrier, unsigned expected_bytes, const char* file, int line) {
  Inside inside;
  arrive(&find_barrier(barrier, Access::kAtomic, file, line), expected_bytes, file, line);
}

void mbarrier_arrive_at(uint64_t* barrier, unsigned rank, const char* file, int line) {
  Inside inside;
  Block* const block = block_of_cluster(rank, file, line);
  Mbarrier& found = find_barrier_of(block, barrier, Access::kAtomic, file, line);
  if (block != g_block) found.remote = {file, line, found.phase, g_cluster.barriers};
  arrive(&found, 0, file, line);
}

void mbarrier_wait(uint64_t* barrier, unsigned parity, const char* file, int line) {
  Inside inside;
  Thread* me = g_current;
  Mbarrier& found = find_barrier(barrier, Access::kAtomicRead, file, line);
  if (parity > 1) fail("mbarrier: a parity is 0 or 1", file, line);
  me->wait_kind = "mbarrier ";
  me->wait_file = file;
  me->wait_line = line;
  while ((found.phase & 1) == parity) {
    found.waiting.push_back(me);
    yield();
  }
  async_thread(me).phases[reinterpret_cast<uintptr_t>(barrier)] = found.phase;
  join(&async_thread(me).known, found.completed);
}

namespace {
/** Lets a copy be under way to where it says, in a block of the cluster. */
void begin_copy(Block* block, BulkCopy copy, uint64_t* barrier, const char* file, int line) {
  const Mbarrier& found = find_barrier_of(block, barrier, Access::kAtomicRead, file, line);
  if (!found.visible) fail("bulk copy: the mbarrier's initialisation has not been fenced for the copy engine", file, line);
  copy.target = at_same_place(*block, copy.target);
  copy.barrier = at_same_place(*block, copy.barrier);
  const uint32_t bytes = box_bytes(copy.map);
  const uint32_t* const known = &async_thread(g_current).known.products[block->rank * kMostWarps];
  const uint32_t* const reads = &async_thread(g_current).known.reads[block->rank * kMostWarps];
  for (uintptr_t address = copy.target; address < copy.target + bytes; address += kUnitBytes) {
    Unit* const unit = block->shared.unit(address);
    const bool by_one_warp = unit->reader != kNobody && unit->reader != kSeveral && unit->read_block == block->serial;
    if (by_one_warp && unit->read_warp_epoch < reads[unit->reader_warp]) unit->reader = kNobody;
  }
  if (const char* fault = check_access(&block->shared, copy.target, bytes, Access::kWrite)) fail(fault, file, line);
  for (uintptr_t address = copy.target; address < copy.target + bytes; address += kCellBytes)
    for (unsigned warp = 0; warp < kMostWarps; warp++)
      if (cell_at(*block, address).reads[warp / (kWarpgroup / kWarpSize)] > known[warp])
        fail("a bulk copy onto what a wgmma may yet read", file, line);
  for (uintptr_t address = copy.target; address < copy.target + bytes; address += kUnitBytes)
    block->shared.unit(address)->in_flight = true;
  __builtin_memset(reinterpret_cast<void*>(copy.target), 0xff, bytes);
  block->async->copies.push_back(copy);
  block->async->pending.push_back(static_cast<uint32_t>(block->async->copies.size()));
}
}  // namespace

void bulk_load(void* target, const void* map, int column, int row, uint64_t* barrier, const char* file, int line) {
  bulk_load_multicast(target, map, column, row, barrier, 1u << g_block->rank, file, line);
}

void bulk_load_multicast(void* target, const void* map, int column, int row, uint64_t* barrier, unsigned mask, const char* file,
                         int line) {
  Inside inside;
  if (mask == 0 || mask >> g_cluster.size != 0) fail("bulk copy: to no block, or to one that the cluster has not", file, line);
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0) fail("bulk copy: a tensor map is not aligned to 64 bytes", file, line);
  BulkCopy copy;
  __builtin_memcpy(&copy.map, map, sizeof copy.map);
  if (copy.map.magic != kMapMagic) fail("bulk copy: not a tensor map", file, line);
  copy.column = column;
  copy.row = row;
  copy.target = reinterpret_cast<uintptr_t>(target);
  copy.barrier = reinterpret_cast<uintptr_t>(barrier);
  if (!shared_region()->contains(copy.target)) fail("bulk copy: the target is not in shared memory", file, line);
  if ((copy.target - shared_begin()) % kAtomBytes != 0)
    fail("bulk copy: the target of a swizzle of 128 bytes is not aligned to 1024 bytes", file, line);
  for (int64_t r = 0; r < copy.map.box_rows; r++) {
    const Span part = columns_inside(copy, r);
    if (part.first == part.end) continue;
    const size_t length = static_cast<size_t>(part.end - part.first) * copy.map.element_bytes;
    const auto source = reinterpret_cast<uintptr_t>(source_of(copy, r, part.first));
    if (const char* fault = check_access(source, length, Access::kRead)) fail(fault, file, line);
    if (g_counting) count_bulk_row(source, length, file, line);
    Region* const region = global_region(source);
    if (region == nullptr) continue;
    if (const char* fault = check_proxy(region, source, length, *g_current))
      fail(("bulk copy: " + std::string(fault)).c_str(), file, line);
  }
  for (Block& block : g_cluster)
    if ((mask >> block.rank & 1) != 0) begin_copy(&block, copy, barrier, file, line);
}

void wgmma_fence() {
  Inside inside;
  async_thread(g_current).fenced = true;
}

/** A fence is for the registers of the products up to the commit: others are loaded into those that come after. */
void wgmma_commit() {
  Inside inside;
  AsyncThread& thread = async_thread(g_current);
  if (thread.has_read_registers) thread.fenced = thread.has_read_registers = false;
  thread.groups.push_back(thread.issued);
}

void wgmma(const WarpgroupProduct& product, float* d, const char* file, int line) {
  Inside inside;
  Thread* me = g_current;
  const unsigned index = me->id / kWarpgroup, first = index * kWarpgroup;
  need_async_block();
  if (first + kWarpgroup > g_block->threads) fail("wgmma by less than a warpgroup", file, line);
  AsyncThread& thread = async_thread(me);
  auto hidden = thread.accumulators.find(d);
  if (!thread.fenced && (hidden == thread.accumulators.end() || product.registers != nullptr))
    fail("wgmma on registers that no wgmma.fence has released", file, line);
  if (hidden == thread.accumulators.end()) {
    const size_t values = static_cast<size_t>(product.columns) / 2;
    hidden = thread.accumulators.emplace(d, HiddenAccumulator{std::vector<float>(d, d + values), 0}).first;
    __builtin_memset(d, 0xff, values * sizeof(float));
  }
  if (product.registers != nullptr) thread.has_read_registers = true;
  hidden->second.pending++;
  thread.issued++;
  Warpgroup& group = async_block().warpgroups[index];
  if (group.arrived == 0) {
    group.gathering = product;
    group.file = file;
    group.line = line;
  } else if (group.gathering.a != product.a || group.gathering.b != product.b || group.gathering.columns != product.columns ||
             (group.gathering.registers == nullptr) != (product.registers == nullptr) || group.line != line) {
    const std::string text =
        "the threads of a warpgroup are at different products: " + position(group.file, group.line) + " and";
    fail(text.c_str(), file, line);
  }
  group.d[me->id - first] = d;
  LeftRegisters& left = group.left[me->id - first];
  left.at = product.registers;
  if (left.at != nullptr) std::copy(left.at, left.at + left.values.size(), left.values.begin());
  if (++group.arrived == kWarpgroup) {
    group.arrived = 0;
    const auto number = static_cast<uint32_t>(group.products.size() + 1);
    if (product.registers == nullptr)
      check_operand(decode(product.a, product.rows_inner, file, line), kProductRows, index, number, file, line);
    check_operand(decode(product.b, product.columns_inner, file, line), product.columns, index, number, file, line);
    group.products.push_back({product, group.d, group.left, file, line});
    for (unsigned i = 0; i < kWarpgroup; i++) g_cluster.ready.push_back(&g_block->members[first + i]);
  }
  me->wait_kind = "warpgroup operation ";
  me->wait_file = file;
  me->wait_line = line;
  yield();
}

void wgmma_wait(int pending_groups, const char* file, int line) {
  Lane lane;
  collective(Op::kConverge, ~0u, &lane, file, line);
  Inside inside;
  Thread* me = g_current;
  AsyncThread& thread = async_thread(me);
  const unsigned index = me->id / kWarpgroup;
  while (thread.groups.size() > static_cast<size_t>(pending_groups)) {
    std::vector<Product>& products = async_block().warpgroups[index].products;
    for (; thread.waited < thread.groups.front(); thread.waited++) {
      Product& product = products[thread.waited];
      if (!product.done) (product.what.half ? multiply<half_value> : multiply<bfloat16_value>)(index, &product);
      reveal(&thread, product.d[me->id % kWarpgroup]);
    }
    thread.groups.erase(thread.groups.begin());
  }
  thread.known.products[g_block->rank * kMostWarps + me->id / kWarpSize] = thread.waited;
}

void set_registers(unsigned registers, bool raises, const char* file, int line) {
  constexpr unsigned kLeast = 24, kMost = 256;
  Lane lane;
  collective(Op::kConverge, ~0u, &lane, file, line);
  Inside inside;
  Thread* me = g_current;
  Warp& warp = g_block->warps[me->id / kWarpSize];
  if (registers < kLeast || registers > kMost || registers % 8 != 0)
    fail("setmaxnreg: registers are a multiple of 8 from 24 to 256", file, line);
  if (raises ? registers < warp.registers : registers > warp.registers)
    fail(raises ? "setmaxnreg.inc to fewer registers" : "setmaxnreg.dec to more registers", file, line);
  me->wait_kind = "setmaxnreg ";
  me->wait_file = file;
  me->wait_line = line;
  // The first lane to come does it for its warp.
  while (warp.registers < registers && g_block->free_registers < (registers - warp.registers) * kWarpSize) {
    g_block->waiting_for_registers.push_back(me);
    yield();
  }
  g_block->free_registers += (warp.registers - registers) * kWarpSize;  // or less, modulo 2^32
  warp.registers = registers;
  std::vector<Thread*>& waiting = g_block->waiting_for_registers;
  g_cluster.ready.insert(g_cluster.ready.end(), waiting.begin(), waiting.end());
  waiting.clear();
}

const char* registers_left_unequal() {
  constexpr size_t kWarps = kWarpgroup / kWarpSize;
  const std::vector<Warp>& warps = g_block->warps;
  for (size_t i = 0; i < warps.size(); i++)
    if (warps[i].registers != warps[i / kWarps * kWarps].registers)
      return "a warpgroup's warps have different numbers of registers: setmaxnreg is for all of them";
  return nullptr;
}

void set_driver_answer(cudaError_t answer) {
  g_driver_answer = answer;
}

int driver_questions() {
  return g_driver_questions;
}

void set_tensor_map_answer(CUresult answer) {
  g_tensor_map_answer = answer;
}
}  // namespace simt

extern "C" {
/** The driver's, as far as matrices of 16-bit elements in swizzled boxes go, with its documented conditions. */
CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* data,
                                const cuuint64_t* extents, const cuuint64_t* strides, const cuuint32_t* box,
                                const cuuint32_t* steps, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion, CUtensorMapFloatOOBfill fill) {
  constexpr uint64_t kMostExtent = uint64_t{1} << 32, kMostStride = uint64_t{1} << 40;
  constexpr uint32_t kMostBox = 256, kElementBytes = 2;
  const bool known_form = rank == 2 && steps[0] == 1 && steps[1] == 1 && interleave == CU_TENSOR_MAP_INTERLEAVE_NONE &&
                          swizzle == CU_TENSOR_MAP_SWIZZLE_128B && fill == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE &&
                          (type == CU_TENSOR_MAP_DATA_TYPE_FLOAT16 || type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
  const bool sound = reinterpret_cast<uintptr_t>(map) % 64 == 0 && reinterpret_cast<uintptr_t>(data) % 16 == 0 &&
                     extents[0] >= 1 && extents[0] <= kMostExtent && extents[1] >= 1 && extents[1] <= kMostExtent &&
                     strides[0] % 16 == 0 && strides[0] < kMostStride && strides[0] >= extents[0] * kElementBytes &&
                     box[0] >= 1 && box[0] * kElementBytes <= simt::kSwizzleBytes && box[0] * kElementBytes % 16 == 0 &&
                     box[1] >= 1 && box[1] <= kMostBox;
  if (simt::current_context() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (!known_form || !sound) return CUDA_ERROR_INVALID_VALUE;
  if (simt::g_tensor_map_answer != CUDA_SUCCESS) return simt::g_tensor_map_answer;
  simt::TensorMapFields fields = {};
  fields.magic = simt::kMapMagic;
  fields.data = static_cast<const unsigned char*>(data);
  fields.columns = extents[0];
  fields.rows = extents[1];
  fields.stride_bytes = strides[0];
  fields.element_bytes = kElementBytes;
  fields.box_columns = box[0];
  fields.box_rows = box[1];
  static_assert(sizeof fields <= sizeof map->opaque, "the fields fit a tensor map");
  __builtin_memcpy(map->opaque, &fields, sizeof fields);
  return CUDA_SUCCESS;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* result) {
  const simt::HostCall call;
  const cudaError_t answer = simt::g_driver_answer;
  simt::g_driver_questions++;
  if (answer != cudaSuccess && answer != cudaErrorNotSupported) return simt::keep_error(answer);
  const std::pair<const char*, void*> functions[] = {
      {"cuInit", reinterpret_cast<void*>(cuInit)},
      {"cuDeviceGet", reinterpret_cast<void*>(cuDeviceGet)},
      {"cuDevicePrimaryCtxRetain", reinterpret_cast<void*>(cuDevicePrimaryCtxRetain)},
      {"cuCtxGetCurrent", reinterpret_cast<void*>(cuCtxGetCurrent)},
      {"cuCtxPushCurrent", reinterpret_cast<void*>(cuCtxPushCurrent)},
      {"cuCtxPopCurrent", reinterpret_cast<void*>(cuCtxPopCurrent)},
      {"cuTensorMapEncodeTiled", reinterpret_cast<void*>(cuTensorMapEncodeTiled)}};
  const auto known = std::find_if(std::begin(functions), std::end(functions),
                                  [&](const auto& named) { return answer == cudaSuccess && strcmp(symbol, named.first) == 0; });
  const bool is_known = known != std::end(functions);
  *function = is_known ? known->second : nullptr;
  *result = is_known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}
}
