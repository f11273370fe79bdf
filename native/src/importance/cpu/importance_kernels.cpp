// Statistics of weights and gradients on the CPU, float32; compiled once for each instruction set.
//
// Each work item of the plan is read once; products and sums are in float64, where the product of two float32 is exact, which
// costs no time as long as memory is the limit. Items have a slot each, and a module's slots are added in order. Counts compare
// magnitudes as integers: they order as the floats do, subnormals included, whatever the mode of the floating-point unit.
//
// A quantile is a radix selection over the 31 bits of |w|: count the upper 16 bits, find the bin of the rank, then count the
// lower 16 bits of the weights in that bin. Counts don't depend on who counts, so the histograms are shared out freely.
//
// Limit: reading w and g once, and w twice for a quantile.
#include "importance/cpu/importance_cpu.h"

#include "core/activation.h"
#include "core/product.h"
#include "core/threads.h"
#include "core/workspace.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

constexpr int64_t kHalf = kWidth / 2;
/** Weights between a read and the prefetch for a later one: 6 KiB; 1 KiB is a fifth slower, 4 to 8 KiB do alike. */
constexpr int64_t kAhead = 1536;

uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/** A float32 whose magnitude has at most these bits is 0 in `dtype` (nearest, ties to even): half its smallest number. */
int32_t largest_zero(pp_dtype dtype) {
  if (dtype == PP_FLOAT16) return 0x33000000;   // 2^-25
  if (dtype == PP_BFLOAT16) return 0x00008000;  // 2^-134
  return 0;
}

/** A float32 is smaller than the threshold if the bits of its magnitude are less than these. */
int32_t below_limit(const float* thresholds, int32_t group) {
  if (thresholds == nullptr) return 0;
  // Positive numbers and infinity, recognised by their bits; nothing is below zero, a negative number or NaN.
  const uint32_t bits = bits_of(load_one(thresholds + group));
  return bits - 1 < 0x7F800000u ? static_cast<int32_t>(bits) : 0;
}

/** Sums over one item, in the order of pp_statistic from PP_SUM_W2 on. */
struct ItemSums {
  DoubleVec w2 = {}, abs_w = {}, g2 = {}, abs_g = {}, wg = {}, abs_wg = {}, wg2 = {};
  IntVec nonzero = {}, below = {};

  PP_INLINE void count(Vec w, int32_t zero, int32_t limit) {
    const IntVec magnitude = (IntVec)w & 0x7FFFFFFF;
    nonzero -= magnitude > zero;
    below -= magnitude < limit;
  }

  PP_INLINE void add(HalfVec w_narrow, HalfVec g_narrow) {
    const DoubleVec w = widen(w_narrow), g = widen(g_narrow), product = w * g;
    w2 = fma(w, w, w2);
    abs_w += absolute(w);
    g2 = fma(g, g, g2);
    abs_g += absolute(g);
    wg += product;
    abs_wg += absolute(product);
    wg2 = fma(product, product, wg2);
  }

  void write(double* slot) const {
    int64_t nonzeros = 0, belows = 0;
    for (int i = 0; i < kWidth; ++i) {
      nonzeros += nonzero[i];
      belows += below[i];
    }
    const double sums[kItemSums] = {
        sum(w2),     sum(abs_w), static_cast<double>(nonzeros), static_cast<double>(belows), sum(g2), sum(abs_g), sum(wg),
        sum(abs_wg), sum(wg2)};
    memcpy(slot, sums, sizeof sums);
  }
};

template <bool kHasGradient>
PP_INLINE void sum_weights(const float* w, const float* g, int64_t n, int32_t zero, int32_t limit, ItemSums& sums) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    // Arithmetic and transfers take about as long, and the hardware's own prefetching overlaps them but in part.
    __builtin_prefetch(w + i + kAhead);
    sums.count(load(w + i), zero, limit);
    if constexpr (kHasGradient) {
      __builtin_prefetch(g + i + kAhead);
      sums.add(load_half(w + i), load_half(g + i));
      sums.add(load_half(w + i + kHalf), load_half(g + i + kHalf));
    } else {
      sums.add(load_half(w + i), HalfVec{});
      sums.add(load_half(w + i + kHalf), HalfVec{});
    }
  }
  if (i == n) return;
  float rest_w[kWidth] = {0}, rest_g[kWidth] = {0};
  memcpy(rest_w, w + i, static_cast<size_t>(n - i) * sizeof(float));
  if (kHasGradient) memcpy(rest_g, g + i, static_cast<size_t>(n - i) * sizeof(float));
  sums.count(load(rest_w), zero, limit);
  // The zeros that fill the vector are no weights, but may lie below the threshold.
  for (int64_t lane = n - i; lane < kWidth && limit > 0; ++lane) --sums.below[lane];
  for (int64_t half = 0; half < kWidth; half += kHalf) sums.add(load_half(rest_w + half), load_half(rest_g + half));
}

void sum_item(const ImportanceItem& item, int32_t zero, int32_t limit, double* slot) {
  const float* w = static_cast<const float*>(item.w);
  ItemSums sums;
  if (item.g != nullptr) {
    sum_weights<true>(w, static_cast<const float*>(item.g), item.n, zero, limit, sums);
  } else {
    sum_weights<false>(w, nullptr, item.n, zero, limit, sums);
  }
  sums.write(slot);
}

void statistics(const Importance& c) {
  const pp_importance_plan& plan = c.plan;
  const ImportanceItem* items = plan.items.data();
  const int64_t* module_begin = plan.module_begin.data();
  const int64_t item_count = static_cast<int64_t>(plan.items.size());
  double* slots = static_cast<double*>(WorkspacePieces(c.workspace).bytes(item_count, kItemSums, sizeof(double)));
  const int32_t zero = largest_zero(c.zero_dtype);
  const auto sum_items = [&](int64_t i) {
    sum_item(items[i], zero, below_limit(c.thresholds, items[i].group), slots + i * kItemSums);
  };
  const auto add = [&](int64_t module) {
    double row[PP_STATISTICS] = {0};
    for (int64_t i = module_begin[module]; i < module_begin[module + 1]; ++i) {
      row[PP_COUNT] += static_cast<double>(items[i].n);
      for (int s = 0; s < kItemSums; ++s) row[s + 1] += slots[i * kItemSums + s];
    }
    memcpy(c.statistics + module * PP_STATISTICS, row, sizeof row);
  };
  // Some twenty operations for each weight.
  run_phases(20.0 * static_cast<double>(item_count * kImportanceItem), phase(item_count, sum_items), phase(plan.modules, add));
}

/** Radix selection in one group. */
struct Selection {
  const pp_importance_plan& plan;
  const int64_t* order;  // the group's items
  int64_t items;
  int64_t histograms;
  uint32_t* counts;  // [histograms, kHistogramBins]
  int64_t rank;
  uint32_t prefix;

  /** Histogram h counts an even share of the items. */
  template <class Count>
  PP_INLINE void count_share(int64_t h, const Count& count) const {
    uint32_t* mine = counts + h * kHistogramBins;
    memset(mine, 0, kHistogramBins * sizeof(uint32_t));
    for (int64_t i = items * h / histograms; i < items * (h + 1) / histograms; ++i) {
      const ImportanceItem& item = plan.items.data()[order[i]];
      count(mine, static_cast<const float*>(item.w), item.n);
    }
  }

  void count_upper(int64_t h) const {
    count_share(h, [](uint32_t* mine, const float* w, int64_t n) {
      for (int64_t i = 0; i < n; ++i) ++mine[(bits_of(load_one(w + i)) & 0x7FFFFFFFu) >> 16];
    });
  }

  void count_lower(int64_t h) const {
    count_share(h, [this](uint32_t* mine, const float* w, int64_t n) {
      for (int64_t i = 0; i < n; i += kWidth) {
        // Few weights share the upper bits; most vectors have none.
        const int64_t lanes = least(kWidth, n - i);
        const IntVec upper = ((IntVec)load(w + i, lanes) & 0x7FFFFFFF) >> 16;
        if (!any(upper == static_cast<int32_t>(prefix))) continue;
        for (int64_t lane = 0; lane < lanes; ++lane) {
          const uint32_t bits = bits_of(load_one(w + i + lane)) & 0x7FFFFFFFu;
          if (bits >> 16 == prefix) ++mine[bits & 0xFFFFu];
        }
      }
    });
  }

  /** Adds the histograms' counts and finds the rank's bin; the rank becomes the one in the bin. */
  void find() {
    constexpr int64_t kBlock = 256;
    for (int64_t first = 0; first < kHistogramBins; first += kBlock) {
      uint32_t total[kBlock] = {0};
      int64_t block = 0;
      for (int64_t h = 0; h < histograms; ++h) {
        for (int64_t bin = 0; bin < kBlock; ++bin) total[bin] += counts[h * kHistogramBins + first + bin];
      }
      for (int64_t bin = 0; bin < kBlock; ++bin) block += total[bin];
      if (rank >= block) {
        rank -= block;
        continue;
      }
      uint32_t bin = 0;
      while (rank >= total[bin]) rank -= total[bin++];
      prefix = prefix << 16 | static_cast<uint32_t>(first + bin);
      return;
    }
  }
};

void quantile(const ImportanceQuantile& c) {
  // Clearing a histogram costs as much as counting so many weights.
  constexpr int64_t kWeightsWorthHistogram = 4 * kHistogramBins;
  const pp_importance_plan& plan = c.plan;
  uint32_t* counts =
      static_cast<uint32_t*>(WorkspacePieces(c.workspace).bytes(kMostHistograms, kHistogramBins, sizeof(uint32_t)));
  for (int32_t group = 0; group < plan.groups; ++group) {
    const int64_t weights = plan.group_weights.data()[group];
    float threshold = 0.0f;
    if (weights > 0) {
      const int64_t begin = plan.group_begin.data()[group], end = plan.group_begin.data()[group + 1];
      const int64_t histograms = least(kMostHistograms, 1 + weights / kWeightsWorthHistogram);
      // Ranks are below 2^32, where the conversion is floor.
      Selection selection{plan,
                          plan.by_group.data() + begin,
                          end - begin,
                          histograms,
                          counts,
                          static_cast<int64_t>(c.q * static_cast<double>(weights - 1)),
                          0};
      const auto upper = [&](int64_t h) { selection.count_upper(h); };
      const auto lower = [&](int64_t h) { selection.count_lower(h); };
      const auto find = [&](int64_t) { selection.find(); };
      run_phases(8.0 * static_cast<double>(weights), phase(histograms, upper), phase(1, find), phase(histograms, lower),
                 phase(1, find));
      memcpy(&threshold, &selection.prefix, sizeof threshold);
    }
    store_one(c.thresholds + group, threshold);
  }
}

/** Σ |σ(p) Qᵀ + bias| over at most a row group, `row` telling which rows. */
DoubleVec magnitude_of(const OutputMagnitude& c, const Panels& panels, const int64_t* row, int64_t rows) {
  alignas(kCacheLine) float a[kRowGroup][kDepth];
  alignas(kCacheLine) float sums[kRowGroup][kDepth];
  DoubleVec total = {};
  for (int64_t begin = 0; begin < c.N; begin += kDepth) {
    const int64_t columns = least(kDepth, c.N - begin);
    for (int64_t first = 0; first < c.r; first += kDepth) {
      const int64_t depth = least(kDepth, c.r - first);
      if (begin == 0 || c.r > kDepth) {
        for (int64_t i = 0; i < rows; ++i) {
          const float* p = c.p + row[i] * c.ldp + first;
          for (int64_t j = 0; j < depth; j += kWidth) store(&a[i][j], activate(c.activation, load(p + j, depth - j)));
        }
      }
      times_panels(rows, Rows{&a[0][0], kDepth}, first, depth, panels, begin, begin + columns,
                   Whole{{&sums[0][0] - begin, kDepth, first > 0}});
    }
    // The panels' padding gives zeros, which add nothing.
    for (int64_t j = 0; j < columns; j += kWidth) {
      const Vec bias = c.bias == nullptr ? Vec{} : load(c.bias + begin + j, columns - j);
      for (int64_t i = 0; i < rows; ++i) {
        const Vec size = absolute(load(&sums[i][j]) + bias);
        total += widen(low_half(size)) + widen(high_half(size));
      }
    }
  }
  return total;
}

void output_magnitude(const OutputMagnitude& c) {
  const int64_t blocks = (c.M + kBlockRows - 1) / kBlockRows;
  WorkspacePieces pieces(c.workspace);
  float* packed = pieces.floats(panel_floats(c.r, c.N));
  double* slots = static_cast<double*>(pieces.bytes(blocks, 1, sizeof(double)));
  const auto pack = [&](int64_t item) { pack_transposed(item, c.q, c.ldq, c.r, c.N, packed); };
  const auto block = [&](int64_t item) {
    int64_t row[kBlockRows], rows = 0;
    for (int64_t i = item * kBlockRows; i < least((item + 1) * kBlockRows, c.M); ++i) {
      if (c.row_mask == nullptr || c.row_mask[i] != 0) row[rows++] = i;
    }
    DoubleVec total = {};
    for (int64_t i = 0; i < rows; i += kRowGroup)
      total += magnitude_of(c, {packed, c.r, c.N}, row + i, least(kRowGroup, rows - i));
    slots[item] = sum(total);
  };
  const auto add = [&](int64_t) {
    double total = 0.0;
    for (int64_t i = 0; i < blocks; ++i) total += slots[i];
    memcpy(c.sum, &total, sizeof total);
  };
  run_phases(2.0 * static_cast<double>(c.M) * static_cast<double>(c.N) * static_cast<double>(c.r),
             phase(pack_items(c.r, c.N), pack), phase(blocks, block), phase(1, add));
}

}  // namespace

extern const ImportanceKernels importance_kernels;
const ImportanceKernels importance_kernels = {statistics, quantile, output_magnitude};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
