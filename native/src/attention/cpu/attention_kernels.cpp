// Attention on the CPU; compiled once for each instruction set.
//
//   forward   P = softmax(scale·Q Kᵀ + mask), context = P V
//   backward  P again from the saved sums; dV = Pᵀ dC, dP = dC Vᵀ, dS = scale·P∘(dP − rows' Σ P∘dP), dQ = dS K, dK = dSᵀ Q
//
// A head of a sequence is an item. Its K and V are packed once; then a block of rows goes through all products while its scores
// are near. Sums are float32. In bfloat16, Q, K, V and dC are multiplied as they lie, P and dS are rounded for their products.
// Every extent is padded to whole vectors: the padding of an operand is 0, that of the mask −∞, so that P is 0 there.
//
// Limit: the multiply-adds, 4·T²·d forward and 10·T²·d backward; at d = 32, the exponentials take as long as a product.
#include "attention/cpu/attention_cpu.h"

#include <math.h>

#include "core/activation.h"
#include "core/pairs.h"
#include "core/threads.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** Zeros from column `first` of rows of `step` on. */
void clear_columns(int64_t first, int64_t rows, float* to, int64_t step) {
  for (int64_t k = 0; k < rows; ++k) memset(to + k * step + first, 0, static_cast<size_t>(step - first) * sizeof(float));
}

/** How operands of float32 are read and packed. */
struct Float32 {
  typedef float Element;
  static int64_t units(int64_t n) { return n; }

  template <class Product>
  static PP_INLINE void with_rows(const float* p, int64_t ld, int64_t, const Product& product) {
    product(Rows{p, ld});
  }
  /** to(k, i) = from(i, k), zeros up to `step`. */
  static void transpose(int64_t rows, int64_t columns, const float* from, int64_t ld, float* to, int64_t step) {
    transpose_words(rows, columns, from, ld * int64_t{sizeof(float)}, to, step);
    clear_columns(rows, columns, to, step);
  }
  static void pack(int64_t rows, int64_t columns, const float* from, int64_t ld, float* to, int64_t step) {
    copy_padded(rows, columns, from, ld, to, step);
  }
  /** A block of sums as the rows, and as the columns, of a product. */
  static Rows rows_of(int64_t, int64_t, const float* block, int64_t step, float*) { return {block, step}; }
  static Columns columns_of(int64_t, int64_t, const float* block, int64_t step, float*) { return {block, step}; }
};

/** How those of bfloat16 are, in pairs. */
struct BFloat16 {
  typedef Bfloat16 Element;
  static int64_t units(int64_t n) { return pairs(n); }

  template <class Product>
  static PP_INLINE void with_rows(const Bfloat16* p, int64_t ld, int64_t depth, const Product& product) {
    with_pair_rows(p, ld, depth, product);
  }
  static void transpose(int64_t rows, int64_t columns, const Bfloat16* from, int64_t ld, float* to, int64_t step) {
    transpose_words(rows, columns / 2, from, ld * int64_t{sizeof(Bfloat16)}, to, step);
    if (columns % 2 != 0) {
      for (int64_t i = 0; i < rows; ++i) {
        const uint32_t last = from[i * ld + columns - 1];
        memcpy(to + columns / 2 * step + i, &last, sizeof last);
      }
    }
    clear_columns(rows, pairs(columns), to, step);
  }
  static void pack(int64_t rows, int64_t columns, const Bfloat16* from, int64_t ld, float* to, int64_t step) {
    interleave(rows, columns, from, ld, to, step);
  }
  static PairRows rows_of(int64_t rows, int64_t columns, const float* block, int64_t step, float* rounded) {
    Bfloat16* to = reinterpret_cast<Bfloat16*>(rounded);
    round_rows(rows, columns, block, step, to, step);
    return {to, step};
  }
  static PairColumns columns_of(int64_t rows, int64_t columns, const float* block, int64_t step, float* interleaved) {
    interleave(rows, columns, block, step, 1.0f, interleaved, step);
    return {interleaved, step};
  }
};

/** Hands out a thread's scratch, in whole vectors. */
class Scratch {
 public:
  Scratch(void* workspace, int64_t floats_of_a_thread)
      : next_(WorkspacePieces(workspace).floats(0) + thread_number() * floats_of_a_thread) {}
  float* floats(int64_t rows, int64_t columns) {
    float* piece = next_;
    next_ += rows * columns;
    return piece;
  }

 private:
  float* next_;
};

/** Where a head's columns begin. */
struct Head {
  int64_t first_row, column;

  Head(const pp_attention& attention, int64_t item)
      : first_row(item / attention.heads * attention.tokens), column(item % attention.heads * attention.head_size) {}
};

int64_t heads(const pp_attention& attention) {
  return attention.sequences * attention.heads;
}

double operations(const pp_attention& attention) {
  return 4.0 * static_cast<double>(heads(attention)) * static_cast<double>(attention.tokens) *
         static_cast<double>(attention.tokens) * static_cast<double>(attention.head_size);
}

/** What is added to a row of scores: 0, or −∞ where no token is or none may be attended to. */
void fill_bias(const pp_attention& attention, int64_t first_row, const HeadExtents& extents, float* bias) {
  for (int64_t t = 0; t < extents.tokens; ++t) {
    const bool seen = t < extents.T && (attention.mask == nullptr || attention.mask[first_row + t] != 0);
    bias[t] = seen ? 0.0f : -__builtin_inff();
  }
}

/** Scores to exp(score − largest), in place; returns their sum and the largest. */
float soften(float* row, const float* bias, int64_t tokens, float& most) {
  Vec top = broadcast(-3.0e38f);  // so that a row that attends to nothing gives 0, not NaN
  for (int64_t j = 0; j < tokens; j += kWidth) {
    const Vec score = load(row + j) + load(bias + j);
    top = score > top ? score : top;
    store(row + j, score);
  }
  most = largest(top);
  Vec sums = {};
  for (int64_t j = 0; j < tokens; j += kWidth) {
    const Vec p = exponential(load(row + j) - most);
    store(row + j, p);
    sums += p;
  }
  return sum(sums);
}

template <class Type>
void store_rows(int64_t rows, int64_t columns, const float* from, int64_t step, const float* scales, typename Type::Element* to,
                int64_t ld) {
  for (int64_t i = 0; i < rows; ++i) {
    const float scale = scales == nullptr ? 1.0f : scales[i];
    for (int64_t j = 0; j < columns; j += kWidth) store(to + i * ld + j, load(from + i * step + j) * scale, columns - j);
  }
}

template <class Type>
void forward(const AttentionForward& c) {
  typedef typename Type::Element Element;
  const pp_attention& attention = c.attention;
  const HeadExtents e(attention);
  const int64_t hidden = attention.heads * e.d;
  const auto head = [&](int64_t item) {
    const Head at(attention, item);
    const Element* q = static_cast<const Element*>(c.qkv) + at.first_row * c.ldqkv + at.column;
    Scratch scratch(c.workspace, e.forward_floats());
    float* bias = scratch.floats(1, e.tokens);
    float* k = scratch.floats(e.columns, e.tokens);
    float* v = scratch.floats(e.tokens, e.columns);
    float* p = scratch.floats(kBlockRows, e.tokens);
    float* rounded = scratch.floats(kBlockRows, e.tokens);
    float* sums = scratch.floats(kBlockRows, e.columns);
    fill_bias(attention, at.first_row, e, bias);
    Type::transpose(e.T, e.d, q + hidden, c.ldqkv, k, e.tokens);
    Type::pack(e.T, e.d, q + 2 * hidden, c.ldqkv, v, e.columns);
    for (int64_t row = 0; row < e.T; row += kBlockRows) {
      const int64_t rows = least(kBlockRows, e.T - row);
      Type::with_rows(q + row * c.ldqkv, c.ldqkv, e.d, [&](const auto& large) {
        times_rows(rows, large, Type::units(e.d), k, e.tokens, e.T, AddTo{p, e.tokens, false, attention.scale});
      });
      float scales[kBlockRows];
      for (int64_t i = 0; i < rows; ++i) {
        float most;
        const float sum = soften(p + i * e.tokens, bias, padded(e.T), most);
        scales[i] = sum == 0.0f ? 0.0f : 1.0f / sum;
        store_one(c.log_sums + item * e.T + row + i, most + logf(sum));
      }
      times_rows(rows, Type::rows_of(rows, e.T, p, e.tokens, rounded), Type::units(e.T), v, e.columns, e.d,
                 AddTo{sums, e.columns, false});
      Element* to = static_cast<Element*>(c.context) + (at.first_row + row) * c.ldcontext + at.column;
      store_rows<Type>(rows, e.d, sums, e.columns, scales, to, c.ldcontext);
    }
  };
  run_phases(operations(attention), phase(heads(attention), head));
}

/** P from the scores, and dS from dP, in place of both. */
void score_gradients(int64_t rows, const HeadExtents& e, float scale, const float* bias, const float* log_sums, float* p,
                     float* ds) {
  const int64_t columns = padded(e.T);
  for (int64_t i = 0; i < rows; ++i) {
    const float log_sum = load_one(log_sums + i);
    float* own = p + i * e.tokens;
    float* gradient = ds + i * e.tokens;
    Vec dot = {};
    for (int64_t j = 0; j < columns; j += kWidth) {
      const Vec score = load(own + j) + load(bias + j) - log_sum;
      // Rounding may put a score above its row's sum.
      const Vec probability = exponential(score > 0.0f ? Vec{} : score);
      store(own + j, probability);
      dot = fma(probability, load(gradient + j), dot);
    }
    const float mean = sum(dot);
    for (int64_t j = 0; j < columns; j += kWidth) {
      store(gradient + j, load(own + j) * (load(gradient + j) - mean) * scale);
    }
  }
}

template <class Type>
void backward(const AttentionBackward& c) {
  typedef typename Type::Element Element;
  const pp_attention& attention = c.attention;
  const HeadExtents e(attention);
  const int64_t hidden = attention.heads * e.d;
  const auto head = [&](int64_t item) {
    const Head at(attention, item);
    const Element* q = static_cast<const Element*>(c.qkv) + at.first_row * c.ldqkv + at.column;
    const Element* dcontext = static_cast<const Element*>(c.dcontext) + at.first_row * c.lddcontext + at.column;
    Element* dq = static_cast<Element*>(c.dqkv) + at.first_row * c.lddqkv + at.column;
    Scratch scratch(c.workspace, e.backward_floats());
    float* bias = scratch.floats(1, e.tokens);
    float* k = scratch.floats(e.columns, e.tokens);
    float* v = scratch.floats(e.columns, e.tokens);
    float* k_rows = scratch.floats(e.tokens, e.columns);
    float* dk = scratch.floats(e.tokens, e.columns);
    float* dv = scratch.floats(e.tokens, e.columns);
    float* p = scratch.floats(kBlockRows, e.tokens);
    float* ds = scratch.floats(kBlockRows, e.tokens);
    float* rounded = scratch.floats(kBlockRows, e.tokens);
    float* interleaved = scratch.floats(kBlockRows, e.tokens);
    float* q_rows = scratch.floats(kBlockRows, e.columns);
    float* dcontext_rows = scratch.floats(kBlockRows, e.columns);
    float* sums = scratch.floats(kBlockRows, e.columns);
    fill_bias(attention, at.first_row, e, bias);
    Type::transpose(e.T, e.d, q + hidden, c.ldqkv, k, e.tokens);
    Type::transpose(e.T, e.d, q + 2 * hidden, c.ldqkv, v, e.tokens);
    Type::pack(e.T, e.d, q + hidden, c.ldqkv, k_rows, e.columns);
    for (int64_t row = 0; row < e.T; row += kBlockRows) {
      const int64_t rows = least(kBlockRows, e.T - row);
      const Element* own_q = q + row * c.ldqkv;
      const Element* own_dcontext = dcontext + row * c.lddcontext;
      Type::with_rows(own_q, c.ldqkv, e.d, [&](const auto& large) {
        times_rows(rows, large, Type::units(e.d), k, e.tokens, e.T, AddTo{p, e.tokens, false, attention.scale});
      });
      Type::with_rows(own_dcontext, c.lddcontext, e.d, [&](const auto& large) {
        times_rows(rows, large, Type::units(e.d), v, e.tokens, e.T, AddTo{ds, e.tokens, false});
      });
      score_gradients(rows, e, attention.scale, bias, c.log_sums + item * e.T + row, p, ds);
      Type::pack(rows, e.d, own_dcontext, c.lddcontext, dcontext_rows, e.columns);
      times_rows(e.T, Type::columns_of(rows, e.T, p, e.tokens, interleaved), Type::units(rows), dcontext_rows, e.columns, e.d,
                 AddTo{dv, e.columns, row > 0});
      Type::pack(rows, e.d, own_q, c.ldqkv, q_rows, e.columns);
      times_rows(e.T, Type::columns_of(rows, e.T, ds, e.tokens, interleaved), Type::units(rows), q_rows, e.columns, e.d,
                 AddTo{dk, e.columns, row > 0});
      times_rows(rows, Type::rows_of(rows, e.T, ds, e.tokens, rounded), Type::units(e.T), k_rows, e.columns, e.d,
                 AddTo{sums, e.columns, false});
      store_rows<Type>(rows, e.d, sums, e.columns, nullptr, dq + row * c.lddqkv, c.lddqkv);
    }
    store_rows<Type>(e.T, e.d, dk, e.columns, nullptr, dq + hidden, c.lddqkv);
    store_rows<Type>(e.T, e.d, dv, e.columns, nullptr, dq + 2 * hidden, c.lddqkv);
  };
  run_phases(2.5 * operations(attention), phase(heads(attention), head));
}

}  // namespace

extern const AttentionTables attention_kernels;
const AttentionTables attention_kernels = {{forward<Float32>, backward<Float32>}, {forward<BFloat16>, backward<BFloat16>}};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
