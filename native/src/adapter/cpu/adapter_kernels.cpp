// Serial adapter on the CPU, float32; compiled once for each instruction set.
//
//   forward   z = v Dᵀ + d, then out = h + σ(z) Uᵀ + u    a block of rows goes through both products while its z is near
//   backward  da = dout·U, dz = da∘σ'(z), dU = doutᵀ σ(z), dD = dzᵀ v, dv = dz·D, du and dd
//             a block of rows goes through all of them; dz and σ(z) never leave the caches
//
// Sums over rows have a slot for each chunk of rows, added in order at the end; dD is summed transposed, since v gives the
// broadcasts and dz the vectors, and is turned then.
//
// Limit: the multiply-adds, 4MKm forward and 8MKm backward, as long as D and U packed stay in the second-level cache.
#include "adapter/cpu/adapter_cpu.h"

#include "adapter/cpu/adapter_slots.h"
#include "core/activation.h"
#include "core/product.h"
#include "core/threads.h"
#include "core/workspace.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** AddTo, but the first part of a sum begins with a bias and, where there is one, a residual. */
struct AddBiased {
  AddTo to;
  const float* bias;
  const float* residual;
  int64_t ld;
  PP_INLINE void operator()(int64_t i, int64_t j, int64_t n, Vec sum) const {
    if (!to.adds) {
      sum += load(bias + j, n);
      if (residual != nullptr) sum += load(residual + i * ld + j, n);
    }
    to(i, j, n, sum);
  }
};

void forward_rows(const AdapterForward& c, const Panels& down, const Panels& up, int64_t row, int64_t rows) {
  const float* down_bias = static_cast<const float*>(c.adapter.down_bias.data);
  const float* up_bias = static_cast<const float*>(c.adapter.up_bias.data);
  const float* v = static_cast<const float*>(c.v) + row * c.ldv;
  float* z = c.z + row * c.ldz;
  for (int64_t first = 0; first < c.K; first += kDepth) {
    const int64_t depth = least(kDepth, c.K - first);
    times_panels(rows, Rows{v + first, c.ldv}, first, depth, down, 0, c.m,
                 AddBiased{{z, c.ldz, first > 0}, down_bias, nullptr, 0});
  }
  alignas(kCacheLine) float a[kBlockRows][kDepth];
  const float* h = static_cast<const float*>(c.h) + row * c.ldh;
  float* out = static_cast<float*>(c.out) + row * c.ldout;
  for (int64_t first = 0; first < c.m; first += kDepth) {
    const int64_t depth = least(kDepth, c.m - first);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < depth; j += kWidth) {
        store(&a[i][j], activate(c.adapter.activation, load(z + i * c.ldz + first + j, depth - j)));
      }
    }
    times_panels(rows, Rows{&a[0][0], kDepth}, first, depth, up, 0, c.K,
                 AddBiased{{out, c.ldout, first > 0}, up_bias, h, c.ldh});
  }
}

void forward(const AdapterForward& c) {
  WorkspacePieces pieces(c.workspace);
  float* down = pieces.floats(panel_floats(c.K, c.m));
  float* up = pieces.floats(panel_floats(c.m, c.K));
  const int64_t down_items = pack_items(c.K, c.m);
  const auto pack = [&](int64_t item) {
    if (item < down_items) {
      pack_transposed(item, static_cast<const float*>(c.adapter.down.data), c.adapter.down.ld, c.K, c.m, down);
    } else {
      pack_transposed(item - down_items, static_cast<const float*>(c.adapter.up.data), c.adapter.up.ld, c.m, c.K, up);
    }
  };
  const auto rows = [&](int64_t item) {
    const int64_t row = item * kBlockRows;
    forward_rows(c, {down, c.K, c.m}, {up, c.m, c.K}, row, least(kBlockRows, c.M - row));
  };
  run_phases(2 * operations(c.M, c.K, c.m), phase(down_items + pack_items(c.m, c.K), pack),
             phase((c.M + kBlockRows - 1) / kBlockRows, rows));
}

/** Both of a block of rows, in rows of `step` floats. */
struct BlockActivations {
  int64_t step;
  float* a;
  float* dz;
};

/** Makes both. */
void backward_rows(const AdapterBackward& c, const Panels& up, const BlockActivations& block, int64_t row, int64_t rows) {
  const int64_t step = block.step;
  const float* dout = static_cast<const float*>(c.dout) + row * c.lddout;
  const float* z = c.z + row * c.ldz;
  float* const dz = block.dz;
  for (int64_t first = 0; first < c.K; first += kDepth) {
    times_panels(rows, Rows{dout + first, c.lddout}, first, least(kDepth, c.K - first), up, 0, c.m,
                 Whole{{dz, step, first > 0}});
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < c.m; j += kWidth) {
      const Vec at = load(z + i * c.ldz + j, c.m - j);
      float* to = dz + i * step + j;
      store(to, load(to) * slope(c.adapter.activation, at));
      store(block.a + i * step + j, activate(c.adapter.activation, at));
    }
  }
}

/** Adds columns [begin, end) of the sums over a block of rows to a slot. */
void add_rows(const AdapterBackward& c, const BlockActivations& block, const Slot& slot, int64_t row, int64_t rows,
              int64_t begin, int64_t end, bool starts_slot) {
  const int64_t step = block.step;
  const float* dout = static_cast<const float*>(c.dout) + row * c.lddout;
  const float* v = static_cast<const float*>(c.v) + row * c.ldv;
  for (int64_t first = begin; first < end; first += kDepth) {
    const int64_t columns = least(kDepth, c.K - first);
    times_rows(columns, Columns{dout + first, c.lddout}, rows, block.a, step, c.m,
               AddTo{slot.up + first * step, step, !starts_slot});
    times_rows(columns, Columns{v + first, c.ldv}, rows, block.dz, step, c.m,
               AddTo{slot.down + first * step, step, !starts_slot});
  }
  add_column_sums(rows, end - begin, dout + begin, c.lddout, slot.up_bias + begin, starts_slot);
  if (begin == 0) add_column_sums(rows, step, block.dz, step, slot.down_bias, starts_slot);
}

void grad_input_rows(const AdapterBackward& c, const Panels& down, const BlockActivations& block, int64_t row, int64_t rows) {
  if (c.dv == nullptr) return;
  float* dv = static_cast<float*>(c.dv) + row * c.lddv;
  for (int64_t first = 0; first < c.m; first += kDepth) {
    times_panels(rows, Rows{block.dz + first, block.step}, first, least(kDepth, c.m - first), down, 0, c.K,
                 AddTo{dv, c.lddv, first > 0});
  }
}

void backward(const AdapterBackward& c) {
  const RowChunks chunks(c.M);
  const int64_t step = padded(c.m);
  WorkspacePieces pieces(c.workspace);
  float* up = pieces.floats(panel_floats(c.K, c.m));
  float* down = pieces.floats(panel_floats(c.m, c.K));
  float* blocks = pieces.floats(activation_blocks(c.M) * 2, kBlockRows * step);
  Slots slots{c.K, step, padded(c.K), nullptr, nullptr};
  slots.weights = pieces.floats(chunks.count, slots.weight_floats());
  slots.up_biases = pieces.floats(chunks.count, slots.bias_step);
  const int64_t up_items = pack_items(c.K, c.m), down_items = c.dv == nullptr ? 0 : pack_items(c.m, c.K);
  const auto pack = [&](int64_t item) {
    if (item < up_items) {
      pack_straight(item, static_cast<const float*>(c.adapter.up.data), c.adapter.up.ld, c.K, c.m, up);
    } else {
      pack_straight(item - up_items, static_cast<const float*>(c.adapter.down.data), c.adapter.down.ld, c.m, c.K, down);
    }
  };
  const ChunkParts parts(chunks, c.K);
  const Panels up_panels{up, c.K, c.m}, down_panels{down, c.m, c.K};
  const auto block_of = [&](int64_t row) {
    float* a = blocks + 2 * block_number(chunks, parts, row) * kBlockRows * step;
    return BlockActivations{step, a, a + kBlockRows * step};
  };
  const auto block_rows = [&](int64_t item) {
    const int64_t row = item * kBlockRows, rows = least(kBlockRows, c.M - row);
    backward_rows(c, up_panels, block_of(row), row, rows);
    grad_input_rows(c, down_panels, block_of(row), row, rows);
  };
  const auto part = [&](int64_t item) {
    const int64_t chunk = parts.chunk(item);
    for (int64_t row = chunks.begin(chunk); row < chunks.end(chunk); row += kBlockRows) {
      const int64_t rows = least(kBlockRows, chunks.end(chunk) - row);
      if (!parts.cut()) backward_rows(c, up_panels, block_of(row), row, rows);
      add_rows(c, block_of(row), slots.of(chunk), row, rows, parts.first(item), parts.last(item), row == chunks.begin(chunk));
      if (!parts.cut()) grad_input_rows(c, down_panels, block_of(row), row, rows);
    }
  };
  const auto add = [&](int64_t item) { add_slots(c, slots, chunks.count, item); };
  run_phases(4 * operations(c.M, c.K, c.m), phase(up_items + down_items, pack),
             phase(parts.cut() ? (c.M + kBlockRows - 1) / kBlockRows : 0, block_rows), phase(parts.items(), part),
             phase(sum_items(c.K), add));
}

}  // namespace

extern const AdapterKernels adapter_kernels;
const AdapterKernels adapter_kernels = {forward, backward};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
