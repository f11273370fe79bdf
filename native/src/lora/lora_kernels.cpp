// LoRA on the CPU, float32; compiled once for each instruction set.
//
//   down        S  = s·D(x) Aᵀ     a group of rows at a time against A packed, x streaming from memory once
//   up          y += S Bᵀ          the same with B packed; y streams in and out once
//   grad_up     dS = s·dY B, dB = dYᵀ S    a block of rows and columns of dY is read for dS and is still near for dB
//   grad_down   dA = dSᵀ D(x)      as dB, transposed (x gives the broadcasts, dS the vectors), turned as the slots are added
//   grad_input  dX += Dᵀ(dS A)     as up, with each branch's mask on its own sum
//
// dB and dA are sums over rows: chunks of rows that depend on M alone have a slot each, and the slots are added in order.
// With dropout, x is masked into a block on the stack and read from there; bits are drawn for a group of rows at a time.
//
// Limit: the multiply-adds at small K and N, reading x or dY (and reading and writing y or dX) once at large ones.
#include "lora/lora_cpu.h"

#include "core/product.h"
#include "core/slots.h"
#include "core/threads.h"
#include "core/workspace.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** Rows of an item of work where rows are independent. */
constexpr int64_t kItemRows = 2 * kRowGroup;
/** Rows of dA or dB that an item of the last stage adds up. */
constexpr int64_t kSumRows = 16;

int64_t items_of(int64_t n, int64_t size) {
  return (n + size - 1) / size;
}

/** A row group's mask of one branch, kDepth columns of it. */
struct MaskBlock {
  uint8_t bits[kRowGroup][kDepth / kDropoutGroup];

  void draw(const DropoutMask& mask, uint32_t module, int64_t K, int64_t row, int64_t rows, int64_t column, int64_t columns) {
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t first = (row + i) * dropout_groups(K) + column / kDropoutGroup;
      draw_mask(mask, module, static_cast<uint64_t>(first), dropout_groups(columns), bits[i]);
    }
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
  Panels of[kMostBranches];
  float* floats[kMostBranches];
  int64_t items = 0;
};

/** Which branch an item of packing belongs to; `item` becomes its number among that branch's. */
int32_t branch_of(const BranchPanels& panels, int64_t& item) {
  int32_t n = 0;
  for (int64_t own; item >= (own = pack_items(panels.of[n].depth, panels.of[n].columns)); ++n) item -= own;
  return n;
}

void copy_block(int64_t rows, int64_t columns, const float* from, int64_t ld, float* to, int64_t ldto) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < columns; k += kWidth) store(to + i * ldto + k, load(from + i * ld + k, columns - k), columns - k);
  }
}

BranchPanels carve_panels(void* workspace, const pp_lora_branch* branches, int32_t count, int64_t K, bool down) {
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

int64_t sum_of_ranks(const pp_lora_branch* branches, int32_t count) {
  int64_t ranks = 0;
  for (int32_t n = 0; n < count; ++n) ranks += branches[n].rank;
  return ranks;
}

double operations(int64_t M, int64_t N, int64_t r) {
  return 2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(r);
}

void down_rows(const LoraDown& c, const BranchPanels& panels, int64_t row, int64_t rows) {
  MaskedBlock masked;
  for (int64_t first = 0; first < c.K; first += kDepth) {
    const int64_t depth = least(kDepth, c.K - first);
    const Rows x{c.x + row * c.ldx + first, c.ldx};
    for (int32_t n = 0; n < c.branch_count; ++n) {
      const pp_lora_branch& branch = c.branches[n];
      float* s = static_cast<float*>(branch.s) + row * branch.lds;
      const Rows large =
          c.mask.threshold == 0 ? x : masked.fill(c.mask, branch.module, c.K, row, rows, first, depth, c.x, c.ldx);
      const bool starts = first == 0, ends = first + depth == c.K;
      times_panels(
          rows, large, first, depth, panels.of[n], 0,
          branch.rank, [&](int64_t i, int64_t j, int64_t n, Vec sum) __attribute__((always_inline)) {
            float* to = s + i * branch.lds + j;
            if (!starts) sum += load(to, n);
            store(to, ends ? sum * branch.scale : sum, n);
          });
    }
    if (c.x_copy != nullptr) copy_block(rows, depth, x.p, c.ldx, c.x_copy + row * c.ldx_copy + first, c.ldx_copy);
  }
}

void down(const LoraDown& c) {
  const BranchPanels panels = carve_panels(c.workspace, c.branches, c.branch_count, c.K, true);
  const auto pack = [&](int64_t item) {
    const int32_t n = branch_of(panels, item);
    pack_transposed(item, static_cast<const float*>(c.branches[n].a), c.branches[n].lda, c.K, c.branches[n].rank,
                    panels.floats[n]);
  };
  const auto rows = [&](int64_t item) {
    for (int64_t row = item * kItemRows; row < least((item + 1) * kItemRows, c.M); row += kRowGroup) {
      down_rows(c, panels, row, least(kRowGroup, c.M - row));
    }
  };
  run_phases(operations(c.M, c.K, sum_of_ranks(c.branches, c.branch_count)), phase(panels.items, pack),
             phase(items_of(c.M, kItemRows), rows));
}

void up(const LoraUp& c) {
  float* packed = WorkspacePieces(c.workspace).floats(panel_floats(c.r, c.N));
  const Panels panels{packed, c.r, c.N};
  const auto pack = [&](int64_t item) { pack_transposed(item, c.b, c.ldb, c.r, c.N, packed); };
  const auto rows = [&](int64_t item) {
    for (int64_t row = item * kItemRows; row < least((item + 1) * kItemRows, c.M); row += kRowGroup) {
      float* y = c.y + row * c.ldy;
      for (int64_t first = 0; first < c.r; first += kDepth) {
        times_panels(
            least(kRowGroup, c.M - row), Rows{c.s + row * c.lds + first, c.lds}, first, least(kDepth, c.r - first), panels, 0,
            c.N, [&](int64_t i, int64_t j, int64_t n, Vec sum) __attribute__((always_inline)) {
              float* to = y + i * c.ldy + j;
              store(to, load(to, n) + sum, n);
            });
      }
    }
  };
  run_phases(operations(c.M, c.N, c.r), phase(pack_items(c.r, c.N), pack), phase(items_of(c.M, kItemRows), rows));
}

void grad_up(const LoraGradUp& c) {
  const RowChunks chunks(c.M);
  const int64_t step = padded(c.r), slot_floats = c.N * step;
  WorkspacePieces pieces(c.workspace);
  float* packed = pieces.floats(panel_floats(c.N, c.r));
  float* s_blocks = pieces.floats(chunks.count, kBlockRows * step);
  float* slots = pieces.floats(chunks.count, slot_floats);
  const Panels panels{packed, c.N, c.r};
  const auto pack = [&](int64_t item) { pack_straight(item, c.b, c.ldb, c.N, c.r, packed); };
  const auto chunk = [&](int64_t item) {
    float* s = s_blocks + item * kBlockRows * step;
    float* db = slots + item * slot_floats;
    for (int64_t row = chunks.begin(item); row < chunks.end(item); row += kBlockRows) {
      const int64_t rows = least(kBlockRows, chunks.end(item) - row);
      const bool starts_slot = row == chunks.begin(item);
      copy_padded(rows, c.r, c.s + row * c.lds, c.lds, s, step);
      for (int64_t first = 0; first < c.N; first += kDepth) {
        const int64_t columns = least(kDepth, c.N - first);
        const float* dy = c.dy + row * c.lddy + first;
        if (c.ds != nullptr) {
          const bool starts = first == 0, ends = first + columns == c.N;
          float* ds = c.ds + row * c.ldds;
          times_panels(
              rows, Rows{dy, c.lddy}, first, columns, panels, 0,
              c.r, [&](int64_t i, int64_t j, int64_t n, Vec sum) __attribute__((always_inline)) {
                float* to = ds + i * c.ldds + j;
                if (!starts) sum += load(to, n);
                store(to, ends ? sum * c.scale : sum, n);
              });
        }
        float* to = db + first * step;
        times_rows(
            columns, Columns{dy, c.lddy}, rows, s, step,
            c.r, [&](int64_t i, int64_t j, Vec sum) __attribute__((always_inline)) {
              float* at = to + i * step + j;
              store(at, starts_slot ? sum : load(at) + sum);
            });
      }
    }
  };
  const SlotSum sum{slot_floats, chunks.count, c.accumulate};
  const auto add = [&](int64_t item) {
    const int64_t n = item * kSumRows;
    sum.add_rows(slots + n * step, step, least(kSumRows, c.N - n), c.r, c.db + n * c.lddb, c.lddb);
  };
  run_phases(2 * operations(c.M, c.N, c.r), phase(pack_items(c.N, c.r), pack), phase(chunks.count, chunk),
             phase(items_of(c.N, kSumRows), add));
}

void grad_down(const LoraGradDown& c) {
  const RowChunks chunks(c.M);
  int64_t begin[kMostBranches + 1] = {0};  // each branch's columns in a slot
  for (int32_t n = 0; n < c.branch_count; ++n) begin[n + 1] = begin[n] + padded(c.branches[n].rank);
  const int64_t step = begin[c.branch_count], slot_floats = c.K * step;
  WorkspacePieces pieces(c.workspace);
  float* ds_blocks = pieces.floats(chunks.count, kBlockRows * step);
  float* slots = pieces.floats(chunks.count, slot_floats);
  const auto chunk = [&](int64_t item) {
    float* ds = ds_blocks + item * kBlockRows * step;
    float* da = slots + item * slot_floats;
    const bool masks = c.mask.threshold != 0;
    MaskedBlock masked[kBlockRows / kRowGroup];
    for (int64_t row = chunks.begin(item); row < chunks.end(item); row += kBlockRows) {
      const int64_t rows = least(kBlockRows, chunks.end(item) - row);
      const bool starts_slot = row == chunks.begin(item);
      for (int32_t n = 0; n < c.branch_count; ++n) {
        const pp_lora_branch& branch = c.branches[n];
        copy_padded(rows, branch.rank, static_cast<const float*>(branch.s) + row * branch.lds, branch.lds, ds + begin[n], step);
      }
      for (int64_t first = 0; first < c.K; first += kDepth) {
        const int64_t columns = least(kDepth, c.K - first);
        for (int32_t n = 0; n < c.branch_count; ++n) {
          for (int64_t i = 0; i < rows && masks; i += kRowGroup) {
            masked[i / kRowGroup].fill(c.mask, c.branches[n].module, c.K, row + i, least(kRowGroup, rows - i), first, columns,
                                       c.x, c.ldx);
          }
          const Columns x = masks ? Columns{&masked[0].values[0][0], kDepth} : Columns{c.x + row * c.ldx + first, c.ldx};
          float* to = da + first * step + begin[n];
          times_rows(
              columns, x, rows, ds + begin[n], step,
              c.branches[n].rank, [&](int64_t i, int64_t j, Vec sum) __attribute__((always_inline)) {
                float* at = to + i * step + j;
                store(at, starts_slot ? sum : load(at) + sum);
              });
        }
      }
    }
  };
  const SlotSum sum{slot_floats, chunks.count, c.accumulate};
  const auto add = [&](int64_t item) {
    const int64_t k = item * kSumRows, rows = least(kSumRows, c.K - k);
    for (int32_t n = 0; n < c.branch_count; ++n) {
      const pp_lora_branch& branch = c.branches[n];
      sum.add_transposed(slots + k * step + begin[n], step, rows, branch.rank, branch.da + k, branch.ldda);
    }
  };
  run_phases(operations(c.M, c.K, sum_of_ranks(c.branches, c.branch_count)), phase(chunks.count, chunk),
             phase(items_of(c.K, kSumRows), add));
}

void grad_input_rows(const LoraGradInput& c, const BranchPanels& panels, int64_t row, int64_t rows) {
  MaskBlock block;
  float* dx = c.dx + row * c.lddx;
  for (int64_t begin = 0; begin < c.K; begin += kDepth) {
    const int64_t columns = least(kDepth, c.K - begin);
    for (int32_t n = 0; n < c.branch_count; ++n) {
      const pp_lora_branch& branch = c.branches[n];
      const bool masks = c.mask.threshold != 0;
      if (masks) block.draw(c.mask, branch.module, c.K, row, rows, begin, columns);
      for (int64_t first = 0; first < branch.rank; first += kDepth) {
        const Rows ds{static_cast<const float*>(branch.s) + row * branch.lds + first, branch.lds};
        times_panels(
            rows, ds, first, least(kDepth, branch.rank - first), panels.of[n], begin,
            begin + columns, [&](int64_t i, int64_t j, int64_t n, Vec sum) __attribute__((always_inline)) {
              float* to = dx + i * c.lddx + j;
              if (masks) sum = keep(sum * c.mask.keep_scale, mask_bits(block.bits[i], j - begin));
              store(to, load(to, n) + sum, n);
            });
      }
    }
  }
}

void grad_input(const LoraGradInput& c) {
  const BranchPanels panels = carve_panels(c.workspace, c.branches, c.branch_count, c.K, false);
  const auto pack = [&](int64_t item) {
    const int32_t n = branch_of(panels, item);
    pack_straight(item, static_cast<const float*>(c.branches[n].a), c.branches[n].lda, c.branches[n].rank, c.K,
                  panels.floats[n]);
  };
  const auto rows = [&](int64_t item) {
    for (int64_t row = item * kItemRows; row < least((item + 1) * kItemRows, c.M); row += kRowGroup) {
      grad_input_rows(c, panels, row, least(kRowGroup, c.M - row));
    }
  };
  run_phases(operations(c.M, c.K, sum_of_ranks(c.branches, c.branch_count)), phase(panels.items, pack),
             phase(items_of(c.M, kItemRows), rows));
}

}  // namespace

extern const LoraKernels lora_kernels;
const LoraKernels lora_kernels = {down, up, grad_up, grad_down, grad_input};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
