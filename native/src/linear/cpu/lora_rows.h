// What the LoRA kernels do with a group of rows once the small operands are packed: S of the rows, and the rank's part of their
// dX. The fused linear does the same with its own rows. For the kernels' translation units alone.
#pragma once

#include "core/product.h"
#include "core/workspace.h"
#include "linear/cpu/lora_cpu.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {

/** Rows and columns of x, or of its gradient. */
struct Region {
  int64_t row, rows, column, columns;
};

/** A row group's mask of one module, kDepth columns of it. */
struct MaskBlock {
  static_assert(kDepth / kDropoutGroup % (kMaskInterleave * kMaskBatch) == 0, "a row of bits holds whole draws");
  uint8_t bits[kRowGroup][kDepth / kDropoutGroup];

  void draw(const LoraModule& module, int64_t K, const Region& at) {
    for (int64_t i = 0; i < at.rows; ++i) {
      const int64_t first = (at.row + i) * dropout_groups(K) + at.column / kDropoutGroup;
      draw_mask(module.mask, module.mask_name, static_cast<uint64_t>(first), dropout_groups(at.columns), bits[i]);
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

  Rows fill(const LoraModule& module, int64_t K, const Region& at, const float* x, int64_t ldx) {
    MaskBlock block;
    block.draw(module, K, at);
    for (int64_t i = 0; i < at.rows; ++i) {
      const float* from = x + (at.row + i) * ldx + at.column;
      for (int64_t k = 0; k < at.columns; k += kWidth) {
        store(&values[i][k], keep(load(from + k, at.columns - k) * module.mask.keep_scale, mask_bits(block.bits[i], k)));
      }
    }
    return {&values[0][0], kDepth};
  }
};

/** Packed operands of all modules, one after the other in the workspace. */
struct ModulePanels {
  Panels of[kMostModulesOfARow];
  float* floats[kMostModulesOfARow];
  int64_t items = 0;
};

/** Which module an item of packing belongs to; `item` becomes its number among that module's. */
static inline int32_t module_of(const ModulePanels& panels, int64_t& item) {
  int32_t n = 0;
  for (int64_t own; item >= (own = pack_items(panels.of[n].depth, panels.of[n].columns)); ++n) item -= own;
  return n;
}

static inline ModulePanels carve_panels(void* workspace, const LoraModule* modules, int32_t count, int64_t K, bool down) {
  ModulePanels panels;
  float* next = WorkspacePieces(workspace).floats(0);
  for (int32_t n = 0; n < count; ++n) {
    const int64_t depth = down ? K : modules[n].rank, columns = down ? modules[n].rank : K;
    panels.of[n] = {next, depth, columns};
    panels.floats[n] = next;
    next += panel_floats(depth, columns);
    panels.items += pack_items(depth, columns);
  }
  return panels;
}

static inline void down_rows(const LoraDown& c, const ModulePanels& panels, int64_t row, int64_t rows) {
  MaskedBlock masked;
  for (int64_t first = 0; first < c.K; first += kDepth) {
    const int64_t depth = least(kDepth, c.K - first);
    const Rows x{c.x + row * c.ldx + first, c.ldx};
    for (int32_t n = 0; n < c.module_count; ++n) {
      const LoraModule& module = c.modules[n];
      float* s = static_cast<float*>(module.s) + row * module.lds;
      const Rows large = module.mask.threshold == 0 ? x : masked.fill(module, c.K, {row, rows, first, depth}, c.x, c.ldx);
      const bool starts = first == 0, ends = first + depth == c.K;
      times_panels(rows, large, first, depth, panels.of[n], 0, module.rank,
                   AddTo{s, module.lds, !starts, ends ? module.scale : 1.0f});
    }
  }
}

static inline void grad_input_rows(const LoraGradInput& c, const ModulePanels& panels, int64_t row, int64_t rows) {
  MaskBlock block;
  for (int64_t begin = 0; begin < c.K; begin += kDepth) {
    const int64_t columns = least(kDepth, c.K - begin);
    for (int32_t n = 0; n < c.module_count; ++n) {
      const LoraModule& module = c.modules[n];
      const bool masks = module.mask.threshold != 0;
      if (masks) block.draw(module, c.K, {row, rows, begin, columns});
      for (int64_t first = 0; first < module.rank; first += kDepth) {
        const Rows ds{static_cast<const float*>(module.s) + row * module.lds + first, module.lds};
        const int64_t depth = least(kDepth, module.rank - first);
        const AddTo to{c.dx + row * c.lddx, c.lddx, c.accumulate || n > 0 || first > 0};
        if (masks) {
          times_panels(rows, ds, first, depth, panels.of[n], begin, begin + columns,
                       AddMaskedTo{to, block.bits, begin, module.mask.keep_scale});
        } else {
          times_panels(rows, ds, first, depth, panels.of[n], begin, begin + columns, to);
        }
      }
    }
  }
}

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
