// Gradients of LoRA on the CPU, bfloat16; compiled once for each instruction set.
//
//   grad_up     dS = s·dY B, dB = dYᵀ S    a block of rows and columns of dY is read for dS and interleaved in pairs for dB
//   grad_down   dA = dSᵀ D(x)              as dB, turned as the slots are added
//
// x and dY are bfloat16; A, B, S and dS are float32, rounded as they are packed; all sums are float32. Chunks and slots are
// those of float32 (lora_kernels.cpp).
#include "core/pairs.h"
#include "core/slots.h"
#include "core/threads.h"
#include "core/workspace.h"
#include "linear/cpu/lora_cpu.h"
#include "linear/cpu/lora_pair_rows.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** Rows of dA or dB that an item of the last stage adds up. */
constexpr int64_t kSumRows = 16;

int64_t items_of(int64_t n, int64_t size) {
  return (n + size - 1) / size;
}

double operations(int64_t M, int64_t N, int64_t r) {
  return 2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(r);
}

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
  const auto add = [&](int64_t item) {
    const int64_t n = item * kSumRows;
    sum.add_rows(slots + n * step, step, least(kSumRows, c.N - n), c.r, c.db + n * c.lddb, c.lddb);
  };
  run_phases(2 * operations(c.M, c.N, c.r), phase(pack_items(pairs(c.N), c.r), pack), phase(chunks.count, chunk),
             phase(items_of(c.N, kSumRows), add));
}

void grad_down(const LoraGradDown& c) {
  const RowChunks chunks(c.M);
  const Bfloat16* x = static_cast<const Bfloat16*>(c.x);
  int64_t begin[kMostModulesOfARow + 1] = {0};  // each branch's columns in a slot
  for (int32_t n = 0; n < c.branch_count; ++n) begin[n + 1] = begin[n] + padded(c.branches[n].rank);
  const int64_t step = begin[c.branch_count], slot_floats = c.K * step;
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
      for (int32_t n = 0; n < c.branch_count; ++n) {
        const LoraModule& branch = c.branches[n];
        interleave(rows, branch.rank, static_cast<const float*>(branch.s) + row * branch.lds, branch.lds,
                   branch.mask.keep_scale, ds + begin[n], step);
      }
      for (int64_t first = 0; first < c.K; first += kDepth) {
        const int64_t columns = least(kDepth, c.K - first);
        bool holds_x = false;  // the block, without a mask
        for (int32_t n = 0; n < c.branch_count; ++n) {
          const DropoutMask& mask = c.branches[n].mask;
          const bool masks = mask.threshold != 0;
          for (int64_t i = 0; i < rows && masks; i += kRowGroup) {
            mask_rows(mask, c.branches[n].module, c.K, row + i, least(kRowGroup, rows - i), first, columns, x, c.ldx,
                      masked + i * kDepth);
          }
          if (masks) {
            interleave(rows, columns, masked, kDepth, block.values, kDepth);
          } else if (!holds_x) {
            interleave(rows, columns, x + row * c.ldx + first, c.ldx, block.values, kDepth);
          }
          holds_x = !masks;
          times_rows(columns, block.columns(), pairs(rows), ds + begin[n], step, c.branches[n].rank,
                     AddTo{da + first * step + begin[n], step, !starts_slot});
        }
      }
    }
  };
  const SlotSum sum{slot_floats, chunks.count, c.accumulate};
  const auto add = [&](int64_t item) {
    const int64_t k = item * kSumRows, rows = least(kSumRows, c.K - k);
    for (int32_t n = 0; n < c.branch_count; ++n) {
      const LoraModule& branch = c.branches[n];
      sum.add_transposed(slots + k * step + begin[n], step, rows, branch.rank, branch.da + k, branch.ldda);
    }
  };
  run_phases(operations(c.M, c.K, step), phase(chunks.count, chunk), phase(items_of(c.K, kSumRows), add));
}

}  // namespace

extern const LoraGradients lora_bf16_kernels;
const LoraGradients lora_bf16_kernels = {grad_up, grad_down};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
