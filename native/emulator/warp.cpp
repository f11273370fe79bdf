// Warp-wide operations: the last lane to arrive does the work for all. Lane maps are those of the PTX ISA.
#include "counting.h"

namespace simt {
namespace {
/** mma.m16n8k16, row.col: g = lane / 4 and t = lane % 4 place the elements. */
template <float (*value)(uint16_t)>
void multiply(Gathering* gathering) {
  float a[16][16], b[16][8], d[16][8] = {};
  for (int lane = 0; lane < kWarpSize; lane++) {
    const uint16_t* in = static_cast<const uint16_t*>(gathering->lanes[lane]->in);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 8; i++) a[g + (i / 2 % 2) * 8][t * 2 + i % 2 + (i / 4) * 8] = value(in[i]);
    for (int i = 0; i < 4; i++) b[t * 2 + i % 2 + (i / 2) * 8][g] = value(in[8 + i]);
  }
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 16; k++)
      for (int j = 0; j < 8; j++) d[i][j] += a[i][k] * b[k][j];
  for (int lane = 0; lane < kWarpSize; lane++) {
    float* out = static_cast<float*>(gathering->lanes[lane]->out);
    for (int i = 0; i < 4; i++) out[i] += d[lane / 4 + (i / 2) * 8][lane % 4 * 2 + i % 2];
  }
}

/** ldmatrix.x4: lanes 8m to 8m+7 name the rows of matrix m. */
void load_matrices(Gathering* gathering, bool transposed) {
  for (int m = 0; m < 4; m++) {
    uint16_t matrix[8][8];
    for (int row = 0; row < 8; row++) __builtin_memcpy(matrix[row], gathering->lanes[m * 8 + row]->in, sizeof matrix[row]);
    for (int lane = 0; lane < kWarpSize; lane++) {
      uint16_t* out = static_cast<uint16_t*>(gathering->lanes[lane]->out) + m * 2;
      const int g = lane / 4, t = lane % 4;
      for (int i = 0; i < 2; i++) out[i] = transposed ? matrix[t * 2 + i][g] : matrix[g][t * 2 + i];
    }
  }
}

int shuffle_source(Op op, const Lane& lane, int index) {
  const int first = index & ~(lane.width - 1), end = first + lane.width;
  switch (op) {
    case Op::kShuffle:
      return first + (lane.argument & (lane.width - 1));
    case Op::kShuffleUp:
      return index - lane.argument < first ? index : index - lane.argument;
    case Op::kShuffleDown:
      return index + lane.argument >= end ? index : index + lane.argument;
    default:
      return (index ^ lane.argument) >= end ? index : index ^ lane.argument;
  }
}

void shuffle(Gathering* gathering) {
  uint64_t result[kWarpSize];
  for (int i = 0; i < kWarpSize; i++) {
    if ((gathering->mask >> i & 1) == 0) continue;
    const int source = shuffle_source(gathering->op, *gathering->lanes[i], i);
    if ((gathering->mask >> source & 1) == 0)
      fail("a shuffle reads a lane that its mask does not name", gathering->file, gathering->line);
    result[i] = gathering->lanes[source]->value;
  }
  for (int i = 0; i < kWarpSize; i++)
    if ((gathering->mask >> i & 1) != 0) gathering->lanes[i]->value = result[i];
}

void ballot(Gathering* gathering) {
  unsigned votes = 0;
  for (int i = 0; i < kWarpSize; i++)
    if ((gathering->mask >> i & 1) != 0 && gathering->lanes[i]->value != 0) votes |= 1u << i;
  for (int i = 0; i < kWarpSize; i++)
    if ((gathering->mask >> i & 1) != 0) gathering->lanes[i]->value = votes;
}

void perform(Gathering* gathering, Warp* warp) {
  switch (gathering->op) {
    case Op::kSyncWarp:
      if (gathering->mask == ~0u) warp->epoch++;
      break;
    case Op::kConverge:
      break;
    case Op::kMmaBf16:
      return multiply<bfloat16_value>(gathering);
    case Op::kMmaF16:
      return multiply<half_value>(gathering);
    case Op::kLdMatrix:
      return load_matrices(gathering, false);
    case Op::kLdMatrixTrans:
      return load_matrices(gathering, true);
    case Op::kBallot:
      return ballot(gathering);
    default:
      return shuffle(gathering);
  }
}

/** The operation that lanes of `mask` gather for, after checking that the caller belongs to it. */
Gathering* find_gathering(Warp* warp, Op op, unsigned mask, const char* file, int line) {
  Gathering* unused = nullptr;
  for (Gathering& gathering : warp->gatherings) {
    if (gathering.arrived == 0) {
      unused = &gathering;
    } else if (gathering.mask == mask) {
      if (gathering.op != op || gathering.line != line) {
        const std::string text =
            "lanes of one warp are at different warp operations: " + position(gathering.file, gathering.line) + " and";
        fail(text.c_str(), file, line);
      }
      return &gathering;
    }
  }
  if (unused == nullptr) {
    warp->gatherings.reserve(kWarpSize);  // pointers into it live across switches
    warp->gatherings.emplace_back();
    unused = &warp->gatherings.back();
  }
  unused->op = op;
  unused->mask = mask;
  unused->file = file;
  unused->line = line;
  return unused;
}
}  // namespace

void collective(Op op, unsigned mask, Lane* lane, const char* file, int line) {
  Inside inside;
  Thread* me = g_current;
  const unsigned warp_index = me->id / kWarpSize, bit = 1u << me->lane;
  Warp* warp = &g_block->warps[warp_index];
  const unsigned lanes = g_block->threads - warp_index * kWarpSize;
  if ((mask & bit) == 0) fail("the caller is not in its own mask", file, line);
  if (lanes < kWarpSize && (mask >> lanes) != 0) fail("the mask names lanes that do not exist", file, line);
  if ((mask & warp->left) != 0) fail("a lane named in the mask has left", file, line);
  if (op == Op::kLdMatrix || op == Op::kLdMatrixTrans) {
    constexpr size_t kRowBytes = 16;
    const uintptr_t address = reinterpret_cast<uintptr_t>(lane->in);
    if (address % kRowBytes != 0) fail("ldmatrix: a row is not aligned to 16 bytes", file, line);
    if (!shared_region()->contains(address)) fail("ldmatrix: a row is not in shared memory", file, line);
    if (const char* fault = check_access(address, kRowBytes, Access::kRead)) fail(fault, file, line);
  }
  if (g_counting) count_collective(op, lane->in, mask == ~0u, file, line);
  Gathering* gathering = find_gathering(warp, op, mask, file, line);
  gathering->arrived |= bit;
  gathering->lanes[me->lane] = lane;
  if (gathering->arrived == mask) {
    perform(gathering, warp);
    gathering->arrived = 0;
    for (int i = 0; i < kWarpSize; i++)
      if ((mask >> i & 1) != 0) g_cluster.ready.push_back(&g_block->members[warp_index * kWarpSize + static_cast<unsigned>(i)]);
  }
  me->wait_kind = "warp operation ";
  me->wait_file = file;
  me->wait_line = line;
  yield();
}

void cp_async16(void* target, const void* source, int source_bytes, const char* file, int line) {
  Inside inside;
  constexpr size_t kBytes = 16;
  const uintptr_t to = reinterpret_cast<uintptr_t>(target), from = reinterpret_cast<uintptr_t>(source);
  if (to % kBytes != 0) fail("cp.async: the target is not aligned to 16 bytes", file, line);
  if (from % kBytes != 0) fail("cp.async: the source is not aligned to 16 bytes", file, line);
  if (source_bytes < 0 || source_bytes > static_cast<int>(kBytes)) fail("cp.async: source size out of [0, 16]", file, line);
  if (!shared_region()->contains(to)) fail("cp.async: the target is not in shared memory", file, line);
  if (source_bytes != 0)
    if (const char* fault = check_access(from, static_cast<size_t>(source_bytes), Access::kRead)) fail(fault, file, line);
  if (const char* fault = check_access(to, kBytes, Access::kWrite)) fail(fault, file, line);
  if (g_counting) count_async_copy(to, from, static_cast<size_t>(source_bytes), file, line);
  for (size_t i = 0; i < kBytes; i += kUnitBytes) shared_region()->unit(to + i)->in_flight = true;
  __builtin_memset(target, 0xff, kBytes);
  g_current->open_group.push_back({target, source, source_bytes});
}

void cp_async_commit() {
  Inside inside;
  g_current->copy_groups.push_back(std::move(g_current->open_group));
  g_current->open_group.clear();
}

void cp_async_wait(int pending_groups, const char* file, int line) {
  Inside inside;
  constexpr size_t kBytes = 16;
  auto& groups = g_current->copy_groups;
  while (groups.size() > static_cast<size_t>(pending_groups)) {
    for (const AsyncCopy& copy : groups.front()) {
      const uintptr_t to = reinterpret_cast<uintptr_t>(copy.target);
      if (const char* fault = check_access(to, kBytes, Access::kFill)) fail(fault, file, line);
      for (size_t i = 0; i < kBytes; i += kUnitBytes) shared_region()->unit(to + i)->in_flight = false;
      const size_t bytes = static_cast<size_t>(copy.source_bytes);
      __builtin_memcpy(copy.target, copy.source, bytes);
      __builtin_memset(static_cast<char*>(copy.target) + bytes, 0, kBytes - bytes);
    }
    groups.erase(groups.begin());
  }
}
}  // namespace simt
