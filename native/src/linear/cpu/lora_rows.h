// What the LoRA kernels do with a group of rows once the small operands are packed: S of the rows, and the rank's part of their
// dX. The fused linear does the same with its own rows. For the kernels' translation units alone.
#pragma once

#include "core/product.h"
#include "core/workspace.h"
#include "linear/cpu/lora_cpu.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** A row group's mask of one branch, kDepth columns of it. */
struct MaskBlock {
  static_assert(kDepth / kDropoutGroup % (kMaskInterleave * kMaskBatch) == 0, "a row of bits holds whole draws");
  uint8_t bits[kRowGroup][kDepth / kDropoutGroup];

  void draw(const DropoutMask& mask, uint32_t module, int64_t K, int64_t row, int64_t rows, int64_t column, int64_t columns) {
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t first = (row + i) * dropout_groups(K) + column / kDropoutGroup;
      draw_mask(mask, module, static_cast<uint64_t>(first), dropout_groups(columns), bits[i]);
    }
  }
};

/** Adds the masked sum, the mask beginning at column `begin`. */
struct AddMaskedTo {
  AddTo to;
  const uint8_t (*bits)[kDepth / kDropoutGroup];
  int64_t begin;
  float keep_scale;
  PP_INLINE void operator()(int64_t i, int64_t j, int64_t n, Vec sum) const {
    to(i, j, n, keep(sum * keep_scale, mask_bits(bits[i], j - begin)));
  }
};

/** D(x) of at most a row group and kDepth columns. */
struct MaskedBlock {
  alignas(64) float values[kRowGroup][kDepth];

  Rows fill(const DropoutMask& mask, uint32_t module, int64_t K, int64_t row, int64_t rows, int64_t column, int64_t columns,
            const float* x, int64_t ldx) {
    MaskBlock block;
    block.draw(mask, module, K, row, rows, column, columns);
    for (int64_t i = 0; i < rows; ++i) {
      const float* from = x + (row + i) * ldx + column;
      for (int64_t k = 0; k < columns; k += kWidth) {
        store(&values[i][k], keep(load(from + k, columns - k) * mask.keep_scale, mask_bits(block.bits[i], k)));
      }
    }
    return {&values[0][0], kDepth};
  }
};

/** Packed operands of all branches, one after the other in the workspace. */
struct BranchPanels {
  Panels of[kMostModulesOfARow];
  float* floats[kMostModulesOfARow];
  int64_t items = 0;
};

/** Which branch an item of packing belongs to; `item` becomes its number among that branch's. */
static inline int32_t branch_of(const BranchPanels& panels, int64_t& item) {
  int32_t n = 0;
  for (int64_t own; item >= (own = pack_items(panels.of[n].depth, panels.of[n].columns)); ++n) item -= own;
  return n;
}

static inline BranchPanels carve_panels(void* workspace, const LoraModule* branches, int32_t count, int64_t K, bool down) {
  BranchPanels panels;
  float* next = WorkspacePieces(workspace).floats(0);
  for (int32_t n = 0; n < count; ++n) {
    const int64_t depth = down ? K : branches[n].rank, columns = down ? branches[n].rank : K;
    panels.of[n] = {next, depth, columns};
    panels.floats[n] = next;
    next += panel_floats(depth, columns);
    panels.items += pack_items(depth, columns);
  }
  return panels;
}

static inline void down_rows(const LoraDown& c, const BranchPanels& panels, int64_t row, int64_t rows) {
  MaskedBlock masked;
  for (int64_t first = 0; first < c.K; first += kDepth) {
    const int64_t depth = least(kDepth, c.K - first);
    const Rows x{c.x + row * c.ldx + first, c.ldx};
    for (int32_t n = 0; n < c.branch_count; ++n) {
      const LoraModule& branch = c.branches[n];
      float* s = static_cast<float*>(branch.s) + row * branch.lds;
      const Rows large =
          branch.mask.threshold == 0 ? x : masked.fill(branch.mask, branch.module, c.K, row, rows, first, depth, c.x, c.ldx);
      const bool starts = first == 0, ends = first + depth == c.K;
      times_panels(rows, large, first, depth, panels.of[n], 0, branch.rank,
                   AddTo{s, branch.lds, !starts, ends ? branch.scale : 1.0f});
    }
  }
}

static inline void grad_input_rows(const LoraGradInput& c, const BranchPanels& panels, int64_t row, int64_t rows) {
  MaskBlock block;
  for (int64_t begin = 0; begin < c.K; begin += kDepth) {
    const int64_t columns = least(kDepth, c.K - begin);
    for (int32_t n = 0; n < c.branch_count; ++n) {
      const LoraModule& branch = c.branches[n];
      const bool masks = branch.mask.threshold != 0;
      if (masks) block.draw(branch.mask, branch.module, c.K, row, rows, begin, columns);
      for (int64_t first = 0; first < branch.rank; first += kDepth) {
        const Rows ds{static_cast<const float*>(branch.s) + row * branch.lds + first, branch.lds};
        const int64_t depth = least(kDepth, branch.rank - first);
        const AddTo to{c.dx + row * c.lddx, c.lddx, c.accumulate || n > 0 || first > 0};
        if (masks) {
          times_panels(rows, ds, first, depth, panels.of[n], begin, begin + columns,
                       AddMaskedTo{to, block.bits, begin, branch.mask.keep_scale});
        } else {
          times_panels(rows, ds, first, depth, panels.of[n], begin, begin + columns, to);
        }
      }
    }
  }
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
