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
#include "adapter/adapter_cpu.h"

#include "core/activation.h"
#include "core/product.h"
#include "core/slots.h"
#include "core/threads.h"
#include "core/workspace.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** Columns of K that an item of the last stage adds up. */
constexpr int64_t kSumRows = 16;

void forward_rows(const AdapterForward& c, const Panels& down, const Panels& up, int64_t row, int64_t rows) {
  const float* down_bias = static_cast<const float*>(c.adapter.down_bias);
  const float* up_bias = static_cast<const float*>(c.adapter.up_bias);
  float* z = c.z + row * c.ldz;
  for (int64_t first = 0; first < c.K; first += kDepth) {
    const int64_t depth = least(kDepth, c.K - first);
    const bool starts = first == 0;
    times_panels(
        rows, Rows{c.v + row * c.ldv + first, c.ldv}, first, depth, down, 0,
        c.m, [&](int64_t i, int64_t j, int64_t n, Vec sum) __attribute__((always_inline)) {
          float* to = z + i * c.ldz + j;
          store(to, sum + (starts ? load(down_bias + j, n) : load(to, n)), n);
        });
  }
  alignas(kCacheLine) float a[kBlockRows][kDepth];
  const float* h = c.h + row * c.ldh;
  float* out = c.out + row * c.ldout;
  for (int64_t first = 0; first < c.m; first += kDepth) {
    const int64_t depth = least(kDepth, c.m - first);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < depth; j += kWidth) {
        store(&a[i][j], activate(c.adapter.activation, load(z + i * c.ldz + first + j, depth - j)));
      }
    }
    const bool starts = first == 0;
    times_panels(
        rows, Rows{&a[0][0], kDepth}, first, depth, up, 0,
        c.K, [&](int64_t i, int64_t k, int64_t n, Vec sum) __attribute__((always_inline)) {
          float* to = out + i * c.ldout + k;
          sum += starts ? load(h + i * c.ldh + k, n) + load(up_bias + k, n) : load(to, n);
          store(to, sum, n);
        });
  }
}

double operations(int64_t M, int64_t K, int64_t m) {
  return 2.0 * static_cast<double>(M) * static_cast<double>(K) * static_cast<double>(m);
}

void forward(const AdapterForward& c) {
  WorkspacePieces pieces(c.workspace);
  float* down = pieces.floats(panel_floats(c.K, c.m));
  float* up = pieces.floats(panel_floats(c.m, c.K));
  const int64_t down_items = pack_items(c.K, c.m);
  const auto pack = [&](int64_t item) {
    if (item < down_items) {
      pack_transposed(item, static_cast<const float*>(c.adapter.down), c.adapter.ldd, c.K, c.m, down);
    } else {
      pack_transposed(item - down_items, static_cast<const float*>(c.adapter.up), c.adapter.ldu, c.m, c.K, up);
    }
  };
  const auto rows = [&](int64_t item) {
    const int64_t row = item * kBlockRows;
    forward_rows(c, {down, c.K, c.m}, {up, c.m, c.K}, row, least(kBlockRows, c.M - row));
  };
  run_phases(2 * operations(c.M, c.K, c.m), phase(down_items + pack_items(c.m, c.K), pack),
             phase((c.M + kBlockRows - 1) / kBlockRows, rows));
}

/** A chunk's partial sums, in rows of `step` floats. */
struct Slot {
  float* up;         // dU [K, step]
  float* down;       // dDᵀ [K, step]
  float* down_bias;  // dd [step]
  float* up_bias;    // du [K padded]
};

/** Where the slots lie: `weights` floats for the first three, then all slots' up_bias. */
struct Slots {
  int64_t K, step, bias_step;
  float* weights;
  float* up_biases;
  int64_t weight_floats() const { return (2 * K + 1) * step; }
  Slot of(int64_t chunk) const {
    float* at = weights + chunk * weight_floats();
    return {at, at + K * step, at + 2 * K * step, up_biases + chunk * bias_step};
  }
};

/** Adds each column's sum over `rows` rows to `to`, or starts it. */
void add_column_sums(int64_t rows, int64_t columns, const float* from, int64_t ld, float* to, bool starts) {
  for (int64_t j = 0; j < columns; j += kWidth) {
    Vec sum = load(from + j, columns - j);
    for (int64_t i = 1; i < rows; ++i) sum += load(from + i * ld + j, columns - j);
    store(to + j, starts ? sum : load(to + j) + sum);
  }
}

/** Both of a block of rows, in rows of `step` floats. */
struct BlockActivations {
  float* a;
  float* dz;
};

void backward_rows(const AdapterBackward& c, const Panels& up, const Panels& down, const BlockActivations& block, int64_t step,
                   const Slot& slot, int64_t row, int64_t rows, bool starts_slot) {
  const float* dout = c.dout + row * c.lddout;
  const float* v = c.v + row * c.ldv;
  const float* z = c.z + row * c.ldz;
  float* const dz = block.dz;
  for (int64_t first = 0; first < c.K; first += kDepth) {
    const bool starts = first == 0;
    times_panels(
        rows, Rows{dout + first, c.lddout}, first, least(kDepth, c.K - first), up, 0,
        c.m, [&](int64_t i, int64_t j, int64_t, Vec sum) __attribute__((always_inline)) {
          float* to = dz + i * step + j;
          store(to, starts ? sum : load(to) + sum);
        });
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < c.m; j += kWidth) {
      const Vec at = load(z + i * c.ldz + j, c.m - j);
      float* to = dz + i * step + j;
      store(to, load(to) * slope(c.adapter.activation, at));
      store(block.a + i * step + j, activate(c.adapter.activation, at));
    }
  }
  for (int64_t first = 0; first < c.K; first += kDepth) {
    const int64_t columns = least(kDepth, c.K - first);
    const auto add_to = [&](float* to) {
      return [=](int64_t k, int64_t j, Vec sum) __attribute__((always_inline)) {
        float* at = to + (first + k) * step + j;
        store(at, starts_slot ? sum : load(at) + sum);
      };
    };
    times_rows(columns, Columns{dout + first, c.lddout}, rows, block.a, step, c.m, add_to(slot.up));
    times_rows(columns, Columns{v + first, c.ldv}, rows, dz, step, c.m, add_to(slot.down));
  }
  add_column_sums(rows, c.K, dout, c.lddout, slot.up_bias, starts_slot);
  add_column_sums(rows, step, dz, step, slot.down_bias, starts_slot);
  if (c.dv == nullptr) return;
  float* dv = c.dv + row * c.lddv;
  for (int64_t first = 0; first < c.m; first += kDepth) {
    const bool starts = first == 0;
    times_panels(
        rows, Rows{dz + first, step}, first, least(kDepth, c.m - first), down, 0,
        c.K, [&](int64_t i, int64_t k, int64_t n, Vec sum) __attribute__((always_inline)) {
          float* to = dv + i * c.lddv + k;
          store(to, starts ? sum : load(to, n) + sum, n);
        });
  }
}

void backward(const AdapterBackward& c) {
  const RowChunks chunks(c.M);
  const int64_t step = padded(c.m);
  WorkspacePieces pieces(c.workspace);
  float* up = pieces.floats(panel_floats(c.K, c.m));
  float* down = pieces.floats(panel_floats(c.m, c.K));
  float* blocks = pieces.floats(chunks.count * 2, kBlockRows * step);
  Slots slots{c.K, step, padded(c.K), nullptr, nullptr};
  slots.weights = pieces.floats(chunks.count, slots.weight_floats());
  slots.up_biases = pieces.floats(chunks.count, slots.bias_step);
  const int64_t up_items = pack_items(c.K, c.m), down_items = c.dv == nullptr ? 0 : pack_items(c.m, c.K);
  const auto pack = [&](int64_t item) {
    if (item < up_items) {
      pack_straight(item, static_cast<const float*>(c.adapter.up), c.adapter.ldu, c.K, c.m, up);
    } else {
      pack_straight(item - up_items, static_cast<const float*>(c.adapter.down), c.adapter.ldd, c.m, c.K, down);
    }
  };
  const auto chunk = [&](int64_t item) {
    float* a = blocks + 2 * item * kBlockRows * step;
    for (int64_t row = chunks.begin(item); row < chunks.end(item); row += kBlockRows) {
      backward_rows(c, {up, c.K, c.m}, {down, c.m, c.K}, {a, a + kBlockRows * step}, step, slots.of(item), row,
                    least(kBlockRows, chunks.end(item) - row), row == chunks.begin(item));
    }
  };
  const pp_adapter_gradients& g = c.gradients;
  const Slot first = slots.of(0);
  const SlotSum weights{slots.weight_floats(), chunks.count, c.accumulate};
  const SlotSum biases{slots.bias_step, chunks.count, c.accumulate};
  const auto add = [&](int64_t item) {
    const int64_t k = item * kSumRows, rows = least(kSumRows, c.K - k);
    weights.add_rows(first.up + k * step, step, rows, c.m, g.up + k * g.ldu, g.ldu);
    weights.add_transposed(first.down + k * step, step, rows, c.m, g.down + k, g.ldd);
    biases.add_rows(first.up_bias + k, 0, 1, rows, g.up_bias + k, 0);
    if (item == 0) weights.add_rows(first.down_bias, 0, 1, c.m, g.down_bias, 0);
  };
  run_phases(4 * operations(c.M, c.K, c.m), phase(up_items + down_items, pack), phase(chunks.count, chunk),
             phase((c.K + kSumRows - 1) / kSumRows, add));
}

}  // namespace

extern const AdapterKernels adapter_kernels;
const AdapterKernels adapter_kernels = {forward, backward};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
