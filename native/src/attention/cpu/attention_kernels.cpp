// Attention on the CPU; compiled once for each instruction set.
//
//   forward   P = softmax(scale·Q Kᵀ + mask), context = P V
//   backward  P again from the saved sums; dV = Pᵀ dC, dP = dC Vᵀ, dS = scale·P∘(dP − rows' Σ P∘dP), dQ = dS K, dK = dSᵀ Q
//
// A head of a sequence is an item; in the backward pass a head of keys with all heads that it serves is, since they share dK
// and dV, unless these are few: then each head has its own part of them. Its K and V are packed once; then a block of rows goes
// through all products while its scores are near, over the keys that any of its rows sees. Sums are float32. In bfloat16, Q, K,
// V and dC are multiplied as they lie, P and dS are rounded for their products. Every extent is padded to whole vectors: the
// padding of an operand is 0, that of the mask −∞, so that P is 0 there. Where a sequence has one token, nothing is packed,
// since nothing would be used twice.
//
// Limit: the multiply-adds, 4·T²·d forward and 10·T²·d backward; at d = 32, the exponentials take as long as a product.
#include "attention/cpu/attention_cpu.h"

#include <math.h>

#include "core/activation.h"
#include "core/call.h"
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
struct Float32Operands : Float32 {
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
struct BFloat16Operands : BFloat16 {
  static int64_t units(int64_t n) { return pairs(n); }

  template <class Product>
  static PP_INLINE void with_rows(const Bfloat16* p, int64_t ld, int64_t depth, const Product& product) {
    with_pair_rows(p, ld, depth, product);
  }
  static void transpose(int64_t rows, int64_t columns, const Bfloat16* from, int64_t ld, float* to, int64_t step) {
    transpose_pairs(rows, columns, from, ld, to, step);
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

double operations(const pp_attention& attention, int64_t key_count) {
  return 4.0 * static_cast<double>(attention.sequences * attention.heads) * static_cast<double>(attention.tokens) *
         static_cast<double>(key_count) * static_cast<double>(attention.head_size);
}

/** What is added to a row of scores: 0, or −∞ where no key is or none may be attended to. */
void fill_bias(const uint8_t* mask, const HeadExtents& extents, float* bias) {
  for (int64_t j = 0; j < extents.keys; ++j) {
    const bool seen = j < extents.K && (mask == nullptr || mask[j] != 0);
    bias[j] = seen ? 0.0f : -__builtin_inff();
  }
}

/** Keys [first, last). */
struct KeySpan {
  int64_t first, last;
  int64_t count() const { return last - first; }
};

/** The queries of a sequence, and which keys each of them sees. */
class Sight {
 public:
  Sight(const pp_attention& attention, int64_t sequence, int64_t key_count)
      : attention_(attention),
        starts_(attention.starts == nullptr ? nullptr : attention.starts + sequence * attention.tokens),
        key_count_(key_count) {}

  KeySpan of(int64_t row) const {
    const int64_t own = key_count_ - attention_.tokens + row, last = attention_.causal != 0 ? own + 1 : key_count_;
    int64_t first = starts_ == nullptr ? 0 : load_one(starts_ + row);
    if (attention_.window > 0 && own - attention_.window >= first) first = own - attention_.window + 1;
    return {first < 0 ? 0 : least(first, last), last};
  }

  /** The keys that any of the rows sees, from a whole vector's beginning on. */
  KeySpan of(int64_t row, int64_t rows) const {
    KeySpan all{key_count_, 0};
    for (int64_t i = row; i < row + rows; ++i) {
      const KeySpan own = of(i);
      if (own.count() == 0) continue;
      all.first = least(all.first, own.first);
      all.last = own.last > all.last ? own.last : all.last;
    }
    if (all.last == 0) return {0, 0};
    return {all.first / kWidestVector * kWidestVector, all.last};
  }

  /** Does every query see all keys? */
  bool whole() const { return starts_ == nullptr && attention_.window == 0 && attention_.causal == 0; }

  /** −∞ as the scores of what a row does not see, in a block of scores of `keys` and what pads them to whole vectors. */
  void hide(int64_t row, int64_t rows, const KeySpan& keys, float* scores, int64_t step) const {
    if (whole()) return;
    const int64_t columns = padded(keys.count());
    for (int64_t i = 0; i < rows; ++i) {
      const KeySpan own = of(row + i);
      float* of_row = scores + i * step;
      for (int64_t j = 0; j < least(own.first - keys.first, columns); ++j) of_row[j] = -__builtin_inff();
      for (int64_t j = own.last > keys.first ? own.last - keys.first : 0; j < columns; ++j) of_row[j] = -__builtin_inff();
    }
  }

 private:
  const pp_attention& attention_;
  const int32_t* starts_;
  int64_t key_count_;
};

/** Scores to c·tanh(score / c), and to slopes (null: not wanted) what a gradient by that is to be multiplied by. */
void cap_scores(int64_t rows, int64_t columns, float cap, float* scores, float* slopes, int64_t step) {
  if (cap == 0.0f) return;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = i * step; j < i * step + columns; j += kWidth) {
      const Vec tangent = hyperbolic_tangent(load(scores + j) / cap);
      store(scores + j, tangent * cap);
      if (slopes != nullptr) store(slopes + j, 1.0f - tangent * tangent);
    }
  }
}

/** Scores, with a bias or null, to exp(score − largest), in place; returns their sum and the largest. */
float soften(float* row, const float* bias, int64_t tokens, float& most) {
  Vec top = broadcast(-3.0e38f);  // so that a row that attends to nothing gives 0, not NaN
  for (int64_t j = 0; j < tokens; j += kWidth) {
    const Vec score = bias == nullptr ? load(row + j) : load(row + j) + load(bias + j);
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
  const HeadExtents e(attention, c.key_count);
  const int64_t group = attention.heads / key_heads(attention);
  // Packing K and V takes longer than what few queries do with them, so the heads that they serve share it then.
  const int64_t shared = e.T < kBlockRows ? group : 1;
  const auto heads = [&](int64_t item) {
    const int64_t first_head = item * shared % attention.heads, sequence = item * shared / attention.heads;
    const int64_t first_row = sequence * e.T;
    const int64_t first_key = sequence * c.key_rows, key_column = first_head / group * e.d;
    const Sight sight(attention, sequence, e.K);
    Scratch scratch(c.workspace, e.forward_floats());
    float* bias = scratch.floats(1, e.keys);
    float* k = scratch.floats(e.columns, e.keys);
    float* v = scratch.floats(e.keys, e.columns);
    float* p = scratch.floats(kBlockRows, e.keys);
    float* rounded = scratch.floats(kBlockRows, e.keys);
    float* sums = scratch.floats(kBlockRows, e.columns);
    fill_bias(attention.mask == nullptr ? nullptr : attention.mask + first_key, e, bias);
    const KeySpan all = sight.of(0, e.T);
    const int64_t row_of_keys = first_key + all.first;
    Type::transpose(all.count(), e.d, static_cast<const Element*>(c.k.data) + row_of_keys * c.k.ld + key_column, c.k.ld, k,
                    e.keys);
    Type::pack(all.count(), e.d, static_cast<const Element*>(c.v.data) + row_of_keys * c.v.ld + key_column, c.v.ld, v,
               e.columns);
    for (int64_t h = first_head; h < first_head + shared; ++h) {
      const int64_t column = h * e.d;
      const Element* q = static_cast<const Element*>(c.q.data) + first_row * c.q.ld + column;
      for (int64_t row = 0; row < e.T; row += kBlockRows) {
        const int64_t rows = least(kBlockRows, e.T - row);
        const KeySpan keys = sight.of(row, rows);
        Type::with_rows(q + row * c.q.ld, c.q.ld, e.d, [&](const auto& large) {
          times_rows(rows, large, Type::units(e.d), k + keys.first - all.first, e.keys, keys.count(),
                     AddTo{p, e.keys, false, attention.scale});
        });
        cap_scores(rows, keys.count(), attention.cap, p, nullptr, e.keys);
        sight.hide(row, rows, keys, p, e.keys);
        float scales[kBlockRows];
        for (int64_t i = 0; i < rows; ++i) {
          float most;
          const float sum = soften(p + i * e.keys, bias + keys.first, padded(keys.count()), most);
          scales[i] = sum == 0.0f ? 0.0f : 1.0f / sum;
          if (c.log_sums != nullptr) store_one(c.log_sums + (sequence * attention.heads + h) * e.T + row + i, most + logf(sum));
        }
        times_rows(rows, Type::rows_of(rows, keys.count(), p, e.keys, rounded), Type::units(keys.count()),
                   v + Type::units(keys.first - all.first) * e.columns, e.columns, e.d, AddTo{sums, e.columns, false});
        Element* to = static_cast<Element*>(c.context) + (first_row + row) * c.ldcontext + column;
        store_rows<Type>(rows, e.d, sums, e.columns, scales, to, c.ldcontext);
      }
    }
  };
  run_phases(operations(attention, e.K), phase(attention.sequences * attention.heads / shared, heads));
}

/** A number of heads that the compiler knows. */
template <int n>
struct Heads {
  static constexpr int count = n;
};

/** work(first, Heads<n>()) for all heads, as many at a time as have their sums in registers. */
template <class Work>
PP_INLINE void by_heads(int64_t heads, const Work& work) {
  int64_t h = 0;
  for (; heads - h >= 4; h += 4) work(h, Heads<4>());
  for (; heads - h >= 2; h += 2) work(h, Heads<2>());
  if (heads > h) work(h, Heads<1>());
}

/** scores[h * step + j] = scale·q_h·k_j, K where it lies; rows of q are padded with zeros to whole vectors. */
template <int kHeads, class Element>
PP_INLINE void score_keys(int64_t keys, int64_t d, Rows q, const Element* k, int64_t ldk, float scale, float* scores,
                          int64_t step) {
  for (int64_t j = 0; j < keys; ++j) {
    Vec sums[kHeads] = {};
    for (int64_t i = 0; i < d; i += kWidth) {
      const Vec key = load(k + j * ldk + i, d - i);
#pragma GCC unroll 4
      for (int h = 0; h < kHeads; ++h) sums[h] = fma(key, load(q.p + h * q.ld + i), sums[h]);
    }
#pragma GCC unroll 4
    for (int h = 0; h < kHeads; ++h) scores[h * step + j] = sum(sums[h]) * scale;
  }
}

/** values[h * ldvalues + i] = scales[h]·Σ_j shares(h, j)·v_j, of kVectors vectors of columns, V where it lies. */
template <int kHeads, int kVectors, class Element, class Result>
PP_INLINE void mix_values(int64_t keys, int64_t columns, Rows shares, const float* scales, const Element* v, int64_t ldv,
                          Result* values, int64_t ldvalues) {
  Vec sums[kHeads][kVectors] = {};
  for (int64_t j = 0; j < keys; ++j) {
    Vec value[kVectors];
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) value[n] = load(v + j * ldv + n * kWidth, columns - n * kWidth);
#pragma GCC unroll 4
    for (int h = 0; h < kHeads; ++h) {
      const Vec share = broadcast(shares.p[h * shares.ld + j]);
#pragma GCC unroll 4
      for (int n = 0; n < kVectors; ++n) sums[h][n] = fma(share, value[n], sums[h][n]);
    }
  }
#pragma GCC unroll 4
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) {
      store(values + h * ldvalues + n * kWidth, sums[h][n] * scales[h], columns - n * kWidth);
    }
  }
}

/** The same for all columns. */
template <int kHeads, class Element, class Result>
PP_INLINE void mix_all_values(int64_t keys, int64_t d, Rows shares, const float* scales, const Element* v, int64_t ldv,
                              Result* values, int64_t ldvalues) {
  constexpr int kVectors = kRegisters == 32 ? 4 : 2;
  int64_t j = 0;
  for (; d - j >= kVectors * kWidth; j += kVectors * kWidth) {
    mix_values<kHeads, kVectors>(keys, d - j, shares, scales, v + j, ldv, values + j, ldvalues);
  }
  for (; j < d; j += kWidth) mix_values<kHeads, 1>(keys, d - j, shares, scales, v + j, ldv, values + j, ldvalues);
}

/**
 * values = Σ exp(most_n − most)·values_n / Σ exp(most_n − most)·sum_n over the runs of a head, `step` floats apart: first their
 * values, then, from column `columns` on, the largest score and the sum.
 */
template <class Element>
void join_runs(int64_t runs, float* of_runs, int64_t step, int64_t columns, int64_t d, Element* values) {
  float most = -3.0e38f, sum = 0.0f;
  for (int64_t n = 0; n < runs; ++n) most = of_runs[n * step + columns] > most ? of_runs[n * step + columns] : most;
  for (int64_t n = 0; n < runs; ++n) {
    float* own = of_runs + n * step + columns;
    own[0] = exponential(broadcast(own[0] - most))[0];
    sum += own[0] * own[1];
  }
  const float scale = sum == 0.0f ? 0.0f : 1.0f / sum;
  for (int64_t j = 0; j < d; j += kWidth) {
    Vec joined = {};
    for (int64_t n = 0; n < runs; ++n) {
      joined = fma(broadcast(of_runs[n * step + columns]), load(of_runs + n * step + j), joined);
    }
    store(values + j, joined * scale, d - j);
  }
}

/**
 * One token of each sequence, as when a text is generated: K and V are read where they lie, for all heads that they serve. Many
 * keys are cut into runs, each an item, whose sums are joined in their order.
 */
template <class Type>
void one_token(const AttentionForward& c) {
  typedef typename Type::Element Element;
  const pp_attention& attention = c.attention;
  const HeadExtents e(attention, c.key_count);
  const int64_t groups = key_heads(attention), runs = key_runs(attention, e.K), step = e.score_step();
  WorkspacePieces pieces(c.workspace);
  pieces.floats(e.one_token_floats(), scratch_threads(attention.sequences * groups * runs));
  float* const all_runs = pieces.floats(0);
  /** Of a head of queries. */
  const int64_t of_a_head = runs * e.run_floats();
  const auto values_of = [&](int64_t key_head) {
    return static_cast<Element*>(c.context) + key_head / groups * c.ldcontext + key_head % groups * e.group * e.d;
  };
  const auto run = [&](int64_t item) {
    const int64_t key_head = item / runs, sequence = key_head / groups, number = key_head % groups;
    const KeySpan seen = Sight(attention, sequence, e.K).of(0);
    const int64_t first = least(seen.first + item % runs * kKeyRun, seen.last), count = least(kKeyRun, seen.last - first);
    const int64_t first_key = sequence * c.key_rows + first;
    const Element* all_q = static_cast<const Element*>(c.q.data) + sequence * c.q.ld + number * e.group * e.d;
    const Element* k = static_cast<const Element*>(c.k.data) + first_key * c.k.ld + number * e.d;
    const Element* v = static_cast<const Element*>(c.v.data) + first_key * c.v.ld + number * e.d;
    const uint8_t* mask = attention.mask == nullptr ? nullptr : attention.mask + first_key;
    Scratch scratch(c.workspace, e.one_token_floats());
    float* all_p = scratch.floats(e.group, step);
    float* q_rows = scratch.floats(e.group, e.columns);
    by_heads(e.group, [&](int64_t h, auto heads) {
      constexpr int kHeads = decltype(heads)::count;
      float* p = all_p + h * step;
      float* q = q_rows + h * e.columns;
      for (int i = 0; i < kHeads; ++i) {
        for (int64_t j = 0; j < e.d; j += kWidth) store(q + i * e.columns + j, load(all_q + (h + i) * e.d + j, e.d - j));
      }
      score_keys<kHeads>(count, e.d, Rows{q, e.columns}, k, c.k.ld, attention.scale, p, step);
      float* of_run = all_runs + (key_head * e.group + h) * of_a_head + item % runs * e.run_floats();
      float scales[kHeads];
      for (int i = 0; i < kHeads; ++i) {
        float* own = p + i * step;
        cap_scores(1, padded(count), attention.cap, own, nullptr, step);
        for (int64_t j = 0; j < padded(count); ++j) {
          if (j >= count || (mask != nullptr && mask[j] == 0)) own[j] = -__builtin_inff();
        }
        float most;
        const float sum = soften(own, nullptr, padded(count), most);
        scales[i] = sum == 0.0f ? 0.0f : 1.0f / sum;
        if (runs == 1) continue;
        scales[i] = 1.0f;
        of_run[i * of_a_head + e.columns] = most;
        of_run[i * of_a_head + e.columns + 1] = sum;
      }
      if (runs == 1) {
        mix_all_values<kHeads>(count, e.d, Rows{p, step}, scales, v, c.v.ld, values_of(key_head) + h * e.d, e.d);
      } else {
        mix_all_values<kHeads>(count, e.d, Rows{p, step}, scales, v, c.v.ld, of_run, of_a_head);
      }
    });
  };
  const auto join = [&](int64_t key_head) {
    for (int64_t h = 0; h < e.group; ++h) {
      join_runs(runs, all_runs + (key_head * e.group + h) * of_a_head, e.run_floats(), e.columns, e.d,
                values_of(key_head) + h * e.d);
    }
  };
  const int64_t all_key_heads = attention.sequences * groups;
  run_phases(operations(attention, e.K), phase(all_key_heads * runs, run), phase(runs == 1 ? 0 : all_key_heads, join));
}

/** P, dS and what they are made with, in blocks whose rows lie `step` apart. */
struct ScoreBlocks {
  float* p;
  float* ds;
  const float* slopes;  // cap_scores', null without a cap
  int64_t step;
};

/** P from the scores, and dS from dP, in place of both. */
void score_gradients(int64_t rows, int64_t columns, float scale, const float* bias, const float* log_sums, ScoreBlocks blocks) {
  for (int64_t i = 0; i < rows; ++i) {
    const float saved = load_one(log_sums + i);
    // A row that sees nothing has −∞, and P of it is 0.
    const float log_sum = saved < -3.0e38f ? 3.0e38f : saved;
    float* own = blocks.p + i * blocks.step;
    float* gradient = blocks.ds + i * blocks.step;
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
      const Vec of_score = load(own + j) * (load(gradient + j) - mean) * scale;
      store(gradient + j, blocks.slopes == nullptr ? of_score : of_score * load(blocks.slopes + i * blocks.step + j));
    }
  }
}

template <class Type>
void backward(const AttentionBackward& c) {
  typedef typename Type::Element Element;
  const pp_attention& attention = c.attention;
  const HeadExtents e(attention, attention.tokens);
  const int64_t groups = key_heads(attention), group = attention.heads / groups;
  const int64_t hidden = attention.heads * e.d, key_hidden = groups * e.d;
  const int64_t parts = gradient_parts(attention), heads_of_part = group / parts;
  WorkspacePieces pieces(c.workspace);
  pieces.floats(e.backward_floats(parts), scratch_threads(attention.sequences * groups * parts));
  float* const all_parts = pieces.floats(0);
  const auto store_keys = [&](int64_t key_head, const float* dk, const float* dv) {
    const int64_t sequence = key_head / groups, number = key_head % groups;
    Element* to = static_cast<Element*>(c.dqkv) + sequence * e.T * c.lddqkv + hidden + number * e.d;
    store_rows<Type>(e.K, e.d, dk, e.columns, nullptr, to, c.lddqkv);
    store_rows<Type>(e.K, e.d, dv, e.columns, nullptr, to + key_hidden, c.lddqkv);
  };
  const auto part = [&](int64_t item) {
    const int64_t key_head = item / parts, first_head = key_head % groups * group + item % parts * heads_of_part;
    const int64_t sequence = key_head / groups, number = key_head % groups, first_row = sequence * e.T;
    const Element* qkv = static_cast<const Element*>(c.qkv) + first_row * c.ldqkv;
    const Element* dcontext = static_cast<const Element*>(c.dcontext) + first_row * c.lddcontext;
    Element* dqkv = static_cast<Element*>(c.dqkv) + first_row * c.lddqkv;
    const int64_t k_column = hidden + number * e.d, v_column = k_column + key_hidden;
    const Sight sight(attention, sequence, e.K);
    Scratch scratch(c.workspace, e.backward_floats(parts));
    float* bias = scratch.floats(1, e.keys);
    float* k = scratch.floats(e.columns, e.keys);
    float* v = scratch.floats(e.columns, e.keys);
    float* k_rows = scratch.floats(e.keys, e.columns);
    float* dk = parts == 1 ? scratch.floats(2 * e.keys, e.columns) : all_parts + item * e.part_floats();
    float* dv = dk + e.keys * e.columns;
    float* p = scratch.floats(kBlockRows, e.keys);
    float* ds = scratch.floats(kBlockRows, e.keys);
    float* rounded = scratch.floats(kBlockRows, e.keys);
    float* interleaved = scratch.floats(kBlockRows, e.keys);
    float* q_rows = scratch.floats(kBlockRows, e.columns);
    float* dcontext_rows = scratch.floats(kBlockRows, e.columns);
    float* sums = scratch.floats(kBlockRows, e.columns);
    float* slopes = attention.cap == 0.0f ? nullptr : interleaved;  // which is free until then
    fill_bias(attention.mask == nullptr ? nullptr : attention.mask + first_row, e, bias);
    Type::transpose(e.K, e.d, qkv + k_column, c.ldqkv, k, e.keys);
    Type::transpose(e.K, e.d, qkv + v_column, c.ldqkv, v, e.keys);
    Type::pack(e.K, e.d, qkv + k_column, c.ldqkv, k_rows, e.columns);
    bool adds = false;
    if (!sight.whole()) {
      clear_columns(0, e.K, dk, e.columns);
      clear_columns(0, e.K, dv, e.columns);
      adds = true;
    }
    for (int64_t h = first_head; h < first_head + heads_of_part; ++h) {
      const float* log_sums = c.log_sums + (sequence * attention.heads + h) * e.T;
      for (int64_t row = 0; row < e.T; row += kBlockRows, adds = true) {
        const int64_t rows = least(kBlockRows, e.T - row);
        const KeySpan keys = sight.of(row, rows);
        const int64_t count = keys.count();
        const Element* own_q = qkv + row * c.ldqkv + h * e.d;
        const Element* own_dcontext = dcontext + row * c.lddcontext + h * e.d;
        Type::with_rows(own_q, c.ldqkv, e.d, [&](const auto& large) {
          times_rows(rows, large, Type::units(e.d), k + keys.first, e.keys, count, AddTo{p, e.keys, false, attention.scale});
        });
        Type::with_rows(own_dcontext, c.lddcontext, e.d, [&](const auto& large) {
          times_rows(rows, large, Type::units(e.d), v + keys.first, e.keys, count, AddTo{ds, e.keys, false});
        });
        cap_scores(rows, count, attention.cap, p, slopes, e.keys);
        sight.hide(row, rows, keys, p, e.keys);
        score_gradients(rows, padded(count), attention.scale, bias + keys.first, log_sums + row,
                        ScoreBlocks{p, ds, slopes, e.keys});
        Type::pack(rows, e.d, own_dcontext, c.lddcontext, dcontext_rows, e.columns);
        times_rows(count, Type::columns_of(rows, count, p, e.keys, interleaved), Type::units(rows), dcontext_rows, e.columns,
                   e.d, AddTo{dv + keys.first * e.columns, e.columns, adds});
        Type::pack(rows, e.d, own_q, c.ldqkv, q_rows, e.columns);
        times_rows(count, Type::columns_of(rows, count, ds, e.keys, interleaved), Type::units(rows), q_rows, e.columns, e.d,
                   AddTo{dk + keys.first * e.columns, e.columns, adds});
        times_rows(rows, Type::rows_of(rows, count, ds, e.keys, rounded), Type::units(count),
                   k_rows + Type::units(keys.first) * e.columns, e.columns, e.d, AddTo{sums, e.columns, false});
        store_rows<Type>(rows, e.d, sums, e.columns, nullptr, dqkv + row * c.lddqkv + h * e.d, c.lddqkv);
      }
    }
    if (parts == 1) store_keys(key_head, dk, dv);
  };
  const auto add_parts = [&](int64_t key_head) {
    float* sums = all_parts + key_head * parts * e.part_floats();
    for (int64_t n = 1; n < parts; ++n) {
      const float* own = sums + n * e.part_floats();
      for (int64_t j = 0; j < e.part_floats(); j += kWidth) store(sums + j, load(sums + j) + load(own + j));
    }
    store_keys(key_head, sums, sums + e.keys * e.columns);
  };
  const int64_t all_key_heads = attention.sequences * groups;
  run_phases(2.5 * operations(attention, e.K), phase(all_key_heads * parts, part),
             phase(parts == 1 ? 0 : all_key_heads, add_parts));
}

}  // namespace

extern const AttentionTables attention_kernels;
const AttentionTables attention_kernels = {
    {forward<Float32Operands>, one_token<Float32Operands>, backward<Float32Operands>},
    {forward<BFloat16Operands>, one_token<BFloat16Operands>, backward<BFloat16Operands>}};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
