// Gradients of LoRA on the CPU, bfloat16; compiled once for each instruction set.
//
//   grad_up     dS = s·dY B, dB = dYᵀ S    a block of rows and columns of dY is read for dS and interleaved in pairs for dB
//   grad_down   dA = dSᵀ D(x)              as dB, turned as the slots are added
//
// x and dY are bfloat16; A, B, S and dS are float32, rounded as they are packed; all sums are float32. Chunks and slots are
// those of float32 (lora_kernels.cpp).
#include "core/pairs.h"
#include "core/threads.h"
#include "core/workspace.h"
#include "linear/cpu/lora_pair_rows.h"
#include "linear/cpu/lora_sums.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** A block of rows, kDepth columns of it, as pairs of rows. */
struct Interleaved {
  alignas(kCacheLine) float values[kBlockRows / 2 * kDepth];
  PairColumns columns() const { return {values, kDepth}; }
};

void grad_up(const LoraGradUp& c) {
  const RowChunks chunks(c.M);
  const Bfloat16* all_dy = static_cast<const Bfloat16*>(c.dy);
  const int64_t step = padded(c.r), slot_floats = c.N * step;
  WorkspacePieces pieces(c.workspace);
  float* packed = pieces.floats(panel_floats(c.N, c.r));
  float* s_blocks = pieces.floats(call_threads(), kBlockRows * step);
  float* slots = pieces.floats(chunks.count, slot_floats);
  const Panels panels{packed, pairs(c.N), c.r};
  const auto pack = [&](int64_t item) { pack_pairs_straight(item, c.b, c.ldb, c.N, c.r, packed); };
  const auto add_ds = [&](int64_t row, int64_t rows, int64_t first) {
    const int64_t columns = least(kDepth, c.N - first);
    const bool starts = first == 0, ends = first + columns == c.N;
    const AddTo to{c.ds + row * c.ldds, c.ldds, !starts, ends ? c.scale : 1.0f};
    with_pair_rows(all_dy + row * c.lddy + first, c.lddy, columns,
                   [&](const auto& large) { times_panels(rows, large, first / 2, pairs(columns), panels, 0, c.r, to); });
  };
  const auto ds_rows = [&](int64_t item) {
    const int64_t row = item * kRowGroup;
    for (int64_t first = 0; first < c.N; first += kDepth) add_ds(row, least(kRowGroup, c.M - row), first);
  };
  const ChunkParts parts(chunks, c.N);
  const auto part = [&](int64_t item) {
    const int64_t chunk = parts.chunk(item);
    float* s = s_blocks + thread_number() * kBlockRows * step;
    float* db = slots + chunk * slot_floats;
    Interleaved block;
    for (int64_t row = chunks.begin(chunk); row < chunks.end(chunk); row += kBlockRows) {
      const int64_t rows = least(kBlockRows, chunks.end(chunk) - row);
      const bool starts_slot = row == chunks.begin(chunk);
      interleave(rows, c.r, c.s + row * c.lds, c.lds, 1.0f, s, step);
      for (int64_t first = parts.first(item); first < parts.last(item); first += kDepth) {
        if (c.ds != nullptr && !parts.cut()) add_ds(row, rows, first);
        const int64_t columns = least(kDepth, c.N - first);
        const Bfloat16* dy = all_dy + row * c.lddy + first;
        interleave(rows, columns, dy, c.lddy, block.values, kDepth);
        times_rows(columns, block.columns(), pairs(rows), s, step, c.r, AddTo{db + first * step, step, !starts_slot});
      }
    }
  };
  const SlotSum sum{slot_floats, chunks.count, c.accumulate};
  const auto add = [&](int64_t item) { add_db(c, sum, slots, item); };
  run_phases(2 * operations(c.M, c.N, c.r), phase(pack_items(pairs(c.N), c.r), pack),
             phase(c.ds != nullptr && parts.cut() ? items_of(c.M, kRowGroup) : 0, ds_rows), phase(parts.items(), part),
             phase(items_of(c.N, kSumRows), add));
}

void grad_down(const LoraGradDown& c) {
  const RowChunks chunks(c.M);
  const Bfloat16* x = static_cast<const Bfloat16*>(c.x);
  const SlotColumns place(c);
  const int64_t step = place.step, slot_floats = c.K * step;
  WorkspacePieces pieces(c.workspace);
  float* ds_blocks = pieces.floats(call_threads(), kBlockRows * step);
  float* slots = pieces.floats(chunks.count, slot_floats);
  const ChunkParts parts(chunks, c.K);
  const auto part = [&](int64_t item) {
    const int64_t chunk = parts.chunk(item);
    float* ds = ds_blocks + thread_number() * kBlockRows * step;
    float* da = slots + chunk * slot_floats;
    alignas(kCacheLine) uint16_t masked[kBlockRows * kDepth];
    Interleaved block;
    for (int64_t row = chunks.begin(chunk); row < chunks.end(chunk); row += kBlockRows) {
      const int64_t rows = least(kBlockRows, chunks.end(chunk) - row);
      const bool starts_slot = row == chunks.begin(chunk);
      for (int32_t n = 0; n < c.module_count; ++n) {
        const LoraModule& module = c.modules[n];
        interleave(rows, module.rank, static_cast<const float*>(module.s) + row * module.lds, module.lds,
                   module.mask.keep_scale, ds + place.begin[n], step);
      }
      for (int64_t first = parts.first(item); first < parts.last(item); first += kDepth) {
        const int64_t columns = least(kDepth, c.K - first);
        bool holds_x = false;  // the block, without a mask
        for (int32_t n = 0; n < c.module_count; ++n) {
          const bool masks = c.modules[n].mask.threshold != 0;
          for (int64_t i = 0; i < rows && masks; i += kRowGroup) {
            mask_rows(c.modules[n], c.K, {row + i, least(kRowGroup, rows - i), first, columns}, x, c.ldx, masked + i * kDepth);
          }
          if (masks) {
            interleave(rows, columns, masked, kDepth, block.values, kDepth);
          } else if (!holds_x) {
            interleave(rows, columns, x + row * c.ldx + first, c.ldx, block.values, kDepth);
          }
          holds_x = !masks;
          times_rows(columns, block.columns(), pairs(rows), ds + place.begin[n], step, c.modules[n].rank,
                     AddTo{da + first * step + place.begin[n], step, !starts_slot});
        }
      }
    }
  };
  const SlotSum sum{slot_floats, chunks.count, c.accumulate};
  const auto add = [&](int64_t item) { add_da(c, sum, slots, place, item); };
  run_phases(operations(c.M, c.K, step), phase(parts.items(), part), phase(items_of(c.K, kSumRows), add));
}

}  // namespace

extern const LoraGradients lora_bf16_kernels;
const LoraGradients lora_bf16_kernels = {grad_up, grad_down};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
