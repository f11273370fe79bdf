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
  float* s_blocks = pieces.floats(chunks.count, kBlockRows * step);
  float* slots = pieces.floats(chunks.count, slot_floats);
  const Panels panels{packed, pairs(c.N), c.r};
  const auto pack = [&](int64_t item) { pack_pairs_straight(item, c.b, c.ldb, c.N, c.r, packed); };
  const auto chunk = [&](int64_t item) {
    float* s = s_blocks + item * kBlockRows * step;
    float* db = slots + item * slot_floats;
    Interleaved block;
    for (int64_t row = chunks.begin(item); row < chunks.end(item); row += kBlockRows) {
      const int64_t rows = least(kBlockRows, chunks.end(item) - row);
      const bool starts_slot = row == chunks.begin(item);
      interleave(rows, c.r, c.s + row * c.lds, c.lds, 1.0f, s, step);
      for (int64_t first = 0; first < c.N; first += kDepth) {
        const int64_t columns = least(kDepth, c.N - first);
        const Bfloat16* dy = all_dy + row * c.lddy + first;
        if (c.ds != nullptr) {
          const bool starts = first == 0, ends = first + columns == c.N;
          const AddTo to{c.ds + row * c.ldds, c.ldds, !starts, ends ? c.scale : 1.0f};
          with_pair_rows(dy, c.lddy, columns,
                         [&](const auto& large) { times_panels(rows, large, first / 2, pairs(columns), panels, 0, c.r, to); });
        }
        interleave(rows, columns, dy, c.lddy, block.values, kDepth);
        times_rows(columns, block.columns(), pairs(rows), s, step, c.r, AddTo{db + first * step, step, !starts_slot});
      }
    }
  };
  const SlotSum sum{slot_floats, chunks.count, c.accumulate};
  const auto add = [&](int64_t item) { add_db(c, sum, slots, item); };
  run_phases(2 * operations(c.M, c.N, c.r), phase(pack_items(pairs(c.N), c.r), pack), phase(chunks.count, chunk),
             phase(items_of(c.N, kSumRows), add));
}

void grad_down(const LoraGradDown& c) {
  const RowChunks chunks(c.M);
  const Bfloat16* x = static_cast<const Bfloat16*>(c.x);
  const SlotColumns place(c);
  const int64_t step = place.step, slot_floats = c.K * step;
  WorkspacePieces pieces(c.workspace);
  float* ds_blocks = pieces.floats(chunks.count, kBlockRows * step);
  float* slots = pieces.floats(chunks.count, slot_floats);
  const auto chunk = [&](int64_t item) {
    float* ds = ds_blocks + item * kBlockRows * step;
    float* da = slots + item * slot_floats;
    alignas(kCacheLine) uint16_t masked[kBlockRows * kDepth];
    Interleaved block;
    for (int64_t row = chunks.begin(item); row < chunks.end(item); row += kBlockRows) {
      const int64_t rows = least(kBlockRows, chunks.end(item) - row);
      const bool starts_slot = row == chunks.begin(item);
      for (int32_t n = 0; n < c.module_count; ++n) {
        const LoraModule& module = c.modules[n];
        interleave(rows, module.rank, static_cast<const float*>(module.s) + row * module.lds, module.lds,
                   module.mask.keep_scale, ds + place.begin[n], step);
      }
      for (int64_t first = 0; first < c.K; first += kDepth) {
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
  run_phases(operations(c.M, c.K, step), phase(chunks.count, chunk), phase(items_of(c.K, kSumRows), add));
}

}  // namespace

extern const LoraGradients lora_bf16_kernels;
const LoraGradients lora_bf16_kernels = {grad_up, grad_down};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
