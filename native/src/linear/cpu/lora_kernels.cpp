// LoRA on the CPU, float32; compiled once for each instruction set.
//
//   down        S  = s·D(x) Aᵀ     a group of rows at a time against A packed, x streaming from memory once
//   up          y += S Bᵀ          the same with B packed; y streams in (unless it is overwritten) and out once
//   grad_up     dS = s·dY B, dB = dYᵀ S    a block of rows and columns of dY is read for dS and is still near for dB
//   grad_down   dA = dSᵀ D(x)      as dB, transposed (x gives the broadcasts, dS the vectors), turned as the slots are added
//   grad_input  dX += Dᵀ(dS A)     as up, with each module's mask on its own sum
//
// dB and dA are sums over rows: chunks of rows that depend on M alone have a slot each, and the slots are added in order.
// With dropout, x is masked into a block on the stack and read from there; bits are drawn for a group of rows at a time.
//
// Limit: the multiply-adds at small K and N, reading x or dY (and reading and writing y or dX) once at large ones.
#include "linear/cpu/lora_cpu.h"

#include "core/product.h"
#include "core/threads.h"
#include "core/workspace.h"
#include "linear/cpu/lora_rows.h"
#include "linear/cpu/lora_sums.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** Rows of an item of work where rows are independent. */
constexpr int64_t kItemRows = 2 * kRowGroup;
int64_t sum_of_ranks(const LoraModule* modules, int32_t count) {
  int64_t ranks = 0;
  for (int32_t n = 0; n < count; ++n) ranks += modules[n].rank;
  return ranks;
}

void down(const LoraDown& c) {
  const ModulePanels panels = carve_panels(c.workspace, c.modules, c.module_count, c.K, true);
  const auto pack = [&](int64_t item) {
    const int32_t n = module_of(panels, item);
    pack_transposed(item, static_cast<const float*>(c.modules[n].a), c.modules[n].lda, c.K, c.modules[n].rank,
                    panels.floats[n]);
  };
  const auto rows = [&](int64_t item) {
    for (int64_t row = item * kItemRows; row < least((item + 1) * kItemRows, c.M); row += kRowGroup) {
      down_rows(c, panels, row, least(kRowGroup, c.M - row));
    }
  };
  run_phases(operations(c.M, c.K, sum_of_ranks(c.modules, c.module_count)), phase(panels.items, pack),
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
        times_panels(least(kRowGroup, c.M - row), Rows{c.s + row * c.lds + first, c.lds}, first, least(kDepth, c.r - first),
                     panels, 0, c.N, AddTo{y, c.ldy, c.accumulate || first > 0});
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
  float* s_blocks = pieces.floats(call_threads(), kBlockRows * step);
  float* slots = pieces.floats(chunks.count, slot_floats);
  const Panels panels{packed, c.N, c.r};
  const auto pack = [&](int64_t item) { pack_straight(item, c.b, c.ldb, c.N, c.r, packed); };
  const float* const all_dy = static_cast<const float*>(c.dy);
  const auto add_ds = [&](int64_t row, int64_t rows, int64_t first) {
    const int64_t columns = least(kDepth, c.N - first);
    const bool starts = first == 0, ends = first + columns == c.N;
    times_panels(rows, Rows{all_dy + row * c.lddy + first, c.lddy}, first, columns, panels, 0, c.r,
                 AddTo{c.ds + row * c.ldds, c.ldds, !starts, ends ? c.scale : 1.0f});
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
    for (int64_t row = chunks.begin(chunk); row < chunks.end(chunk); row += kBlockRows) {
      const int64_t rows = least(kBlockRows, chunks.end(chunk) - row);
      const bool starts_slot = row == chunks.begin(chunk);
      copy_padded(rows, c.r, c.s + row * c.lds, c.lds, s, step);
      for (int64_t first = parts.first(item); first < parts.last(item); first += kDepth) {
        if (c.ds != nullptr && !parts.cut()) add_ds(row, rows, first);
        const int64_t columns = least(kDepth, c.N - first);
        const float* dy = all_dy + row * c.lddy + first;
        times_rows(columns, Columns{dy, c.lddy}, rows, s, step, c.r, AddTo{db + first * step, step, !starts_slot});
      }
    }
  };
  const SlotSum sum{slot_floats, chunks.count, c.accumulate};
  const auto add = [&](int64_t item) { add_db(c, sum, slots, item); };
  run_phases(2 * operations(c.M, c.N, c.r), phase(pack_items(c.N, c.r), pack),
             phase(c.ds != nullptr && parts.cut() ? items_of(c.M, kRowGroup) : 0, ds_rows), phase(parts.items(), part),
             phase(items_of(c.N, kSumRows), add));
}

void grad_down(const LoraGradDown& c) {
  const RowChunks chunks(c.M);
  const float* all_x = static_cast<const float*>(c.x);
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
    MaskedBlock masked[kBlockRows / kRowGroup];
    for (int64_t row = chunks.begin(chunk); row < chunks.end(chunk); row += kBlockRows) {
      const int64_t rows = least(kBlockRows, chunks.end(chunk) - row);
      const bool starts_slot = row == chunks.begin(chunk);
      for (int32_t n = 0; n < c.module_count; ++n) {
        const LoraModule& module = c.modules[n];
        copy_padded(rows, module.rank, static_cast<const float*>(module.s) + row * module.lds, module.lds, ds + place.begin[n],
                    step);
      }
      for (int64_t first = parts.first(item); first < parts.last(item); first += kDepth) {
        const int64_t columns = least(kDepth, c.K - first);
        for (int32_t n = 0; n < c.module_count; ++n) {
          const bool masks = c.modules[n].mask.threshold != 0;
          for (int64_t i = 0; i < rows && masks; i += kRowGroup) {
            masked[i / kRowGroup].fill(c.modules[n], c.K, {row + i, least(kRowGroup, rows - i), first, columns}, all_x, c.ldx);
          }
          const Columns x = masks ? Columns{&masked[0].values[0][0], kDepth} : Columns{all_x + row * c.ldx + first, c.ldx};
          times_rows(columns, x, rows, ds + place.begin[n], step, c.modules[n].rank,
                     AddTo{da + first * step + place.begin[n], step, !starts_slot});
        }
      }
    }
  };
  const SlotSum sum{slot_floats, chunks.count, c.accumulate};
  const auto add = [&](int64_t item) { add_da(c, sum, slots, place, item); };
  run_phases(operations(c.M, c.K, sum_of_ranks(c.modules, c.module_count)), phase(parts.items(), part),
             phase(items_of(c.K, kSumRows), add));
}

void grad_input(const LoraGradInput& c) {
  const ModulePanels panels = carve_panels(c.workspace, c.modules, c.module_count, c.K, false);
  const auto pack = [&](int64_t item) {
    const int32_t n = module_of(panels, item);
    pack_straight(item, static_cast<const float*>(c.modules[n].a), c.modules[n].lda, c.modules[n].rank, c.K, panels.floats[n]);
  };
  const auto rows = [&](int64_t item) {
    for (int64_t row = item * kItemRows; row < least((item + 1) * kItemRows, c.M); row += kRowGroup) {
      grad_input_rows(c, panels, row, least(kRowGroup, c.M - row));
    }
  };
  run_phases(operations(c.M, c.K, sum_of_ranks(c.modules, c.module_count)), phase(panels.items, pack),
             phase(items_of(c.M, kItemRows), rows));
}

}  // namespace

extern const LoraKernels lora_kernels;
const LoraKernels lora_kernels = {down, up, {grad_up, grad_down}, grad_input};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
