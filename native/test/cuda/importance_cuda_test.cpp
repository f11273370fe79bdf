// Importance, quantiles and the output magnitude on CUDA buffers against float64.
#include "prunepeft/importance.h"

#include <algorithm>

#include "device_test.h"

using namespace device_test;

namespace {
/** A segment's size, place and owner; `offset` elements from an aligned address. */
struct SegmentCase {
  int64_t n;
  int64_t offset;
  int32_t module;
  int32_t group;
  bool with_gradient;
};

/**
 * Module 3 has no segment, module 5 an empty one; module 1 has several items, in two segments apart in the table; module 7 has
 * more items than a warp has lanes.
 */
std::vector<SegmentCase> make_segments() {
  std::vector<SegmentCase> segments = {{1, 0, 0, 0, true},     {20000, 0, 1, 1, true}, {7, 1, 2, 0, true},
                                       {4100, 3, 2, 1, false}, {8193, 0, 1, 1, true},  {0, 0, 5, 2, true},
                                       {300, 5, 4, 0, true},   {8192, 0, 4, 1, true},  {264, 0, 6, 3, true}};
  for (int64_t i = 0; i < 70; i++) segments.push_back({1 + i % 3, 0, 7, 0, true});
  return segments;
}
const std::vector<SegmentCase> kSegments = make_segments();
constexpr int32_t kModules = 8, kGroups = 5;  // group 2 has no weights, group 4 no segment

/** Weights with zeros, subnormals of half and of bf16, equal values and both signs. */
void fill(Matrix* w, pp_dtype dtype) {
  for (int64_t j = 0; j < w->columns(); j++) {
    const uint64_t kind = random_bits() % 16;
    if (kind == 0) w->set(0, j, 0.0f);
    if (kind == 1) w->set(0, j, -0.0f);
    if (kind == 2) w->set(0, j, 0.5f);
    if (kind == 3) w->set(0, j, std::ldexp(random_bits() % 2 != 0 ? 1.0f : -1.5f, -25));
    if (kind == 4 && dtype == PP_FLOAT32) w->set(0, j, std::ldexp(random_bits() % 2 != 0 ? 1.0f : -1.5f, -134));
  }
}

struct Segments {
  std::vector<std::unique_ptr<Matrix>> w, g;
  std::vector<pp_segment> table;

  explicit Segments(pp_dtype dtype) {
    for (const SegmentCase& s : kSegments) {
      w.push_back(std::make_unique<Matrix>(dtype, 1, s.n, Placement{s.offset, 0}, Content::kRandom));
      fill(w.back().get(), dtype);
      w.back()->upload();
      g.push_back(std::make_unique<Matrix>(dtype, 1, s.n, Placement{s.offset, 0}, Content::kRandom, 0.01));
      table.push_back(
          {s.n == 0 ? nullptr : w.back()->data(), s.with_gradient ? g.back()->data() : nullptr, s.n, s.module, s.group});
    }
  }
  size_t count() const { return table.size(); }
};

/** A plan that is freed at the end. */
struct Plan {
  pp_importance_plan* plan = nullptr;
  Plan(pp_dtype dtype, const Segments& segments) {
    const pp_context context = {kDevice, nullptr};
    expect_ok(pp_importance_plan_create(&context, dtype, segments.table.data(), static_cast<int64_t>(segments.count()),
                                        kModules, kGroups, &plan));
  }
  ~Plan() { pp_importance_plan_destroy(plan); }
};

/** Doubles in device memory. */
template <class T>
struct DeviceArray {
  T* data = nullptr;
  size_t n;
  explicit DeviceArray(size_t count) : n(count) { check_cuda(cudaMalloc(reinterpret_cast<void**>(&data), n * sizeof(T))); }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) { give(data, values.data(), n * sizeof(T)); }
  ~DeviceArray() { cudaFree(data); }
  std::vector<T> read() const {
    std::vector<T> values(n);
    check_cuda(cudaMemcpy(values.data(), data, n * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }
};

template <class T>
std::vector<unsigned char> bytes_of(const std::vector<T>& values) {
  const auto* p = reinterpret_cast<const unsigned char*>(values.data());
  return {p, p + values.size() * sizeof(T)};
}

double rounds_to_zero_at(pp_dtype zero_dtype) {
  return zero_dtype == PP_FLOAT16 ? std::ldexp(1.0, -25) : zero_dtype == PP_BFLOAT16 ? std::ldexp(1.0, -134) : 0.0;
}

/** Weights that are summed together. */
constexpr int64_t kPiece = 8192;

struct Statistics {
  std::vector<long double> values = std::vector<long double>(kModules * PP_STATISTICS), sizes = values;
  std::vector<double> pieces = std::vector<double>(kModules);
};

Statistics reference_statistics(const Segments& segments, pp_dtype zero_dtype, const std::vector<float>* thresholds) {
  Statistics all;
  for (size_t s = 0; s < segments.count(); s++) {
    const auto module = static_cast<size_t>(kSegments[s].module);
    all.pieces[module] += static_cast<double>((kSegments[s].n + kPiece - 1) / kPiece);
    for (int64_t i = 0; i < kSegments[s].n; i++) {
      const long double w = (*segments.w[s])(0, i), g = kSegments[s].with_gradient ? (*segments.g[s])(0, i) : 0;
      const bool is_below = thresholds != nullptr && std::fabs(w) < (*thresholds)[static_cast<size_t>(kSegments[s].group)];
      const long double terms[PP_STATISTICS] = {1,
                                                w * w,
                                                std::fabs(w),
                                                std::fabs(w) > rounds_to_zero_at(zero_dtype) ? 1.0L : 0.0L,
                                                is_below ? 1.0L : 0.0L,
                                                g * g,
                                                std::fabs(g),
                                                w * g,
                                                std::fabs(w * g),
                                                w * g * w * g};
      for (size_t t = 0; t < PP_STATISTICS; t++) {
        all.values[module * PP_STATISTICS + t] += terms[t];
        all.sizes[module * PP_STATISTICS + t] += std::fabs(terms[t]);
      }
    }
  }
  return all;
}

void test_statistics(pp_dtype dtype, pp_dtype zero_dtype, bool with_thresholds) {
  run_case(std::string("importance ") + name(dtype) + " zeros of " + name(zero_dtype), [&] {
    const Segments segments(dtype);
    const Plan plan(dtype, segments);
    const std::vector<float> thresholds = {0.5f, 1.0f, 0.1f, 0.25f, 9.0f};
    const DeviceArray<float> device_thresholds(thresholds);
    const DeviceArray<double> table(kModules * PP_STATISTICS);
    const Context context;
    expect_ok(pp_importance(context, plan.plan, zero_dtype, with_thresholds ? device_thresholds.data : nullptr, table.data));
    const std::vector<double> got = table.read();
    const DeviceArray<double> again(kModules * PP_STATISTICS);
    expect_ok(pp_importance(context, plan.plan, zero_dtype, with_thresholds ? device_thresholds.data : nullptr, again.data));
    expect(bytes_of(again.read()) == bytes_of(got), "a second call with the plan has the same bits");
    const Statistics expected = reference_statistics(segments, zero_dtype, with_thresholds ? &thresholds : nullptr);
    for (size_t m = 0; m < kModules; m++)
      for (size_t s = 0; s < PP_STATISTICS; s++) {
        const size_t at = m * PP_STATISTICS + s;
        // Squares are rounded; a thread adds every 256th weight of a piece, a warp and warps these, and one 32nd of the pieces.
        const double roundings = 2 + kPiece / 256 + 5 + 8 + expected.pieces[m] / 32 + 1 + 5;
        const bool counts = s == PP_COUNT || s == PP_NONZERO || s == PP_BELOW;
        const double limit =
            counts ? 0 : rounding::gamma(roundings, rounding::kFloat64) * static_cast<double>(expected.sizes[at]);
        const double error = static_cast<double>(std::fabs(got[at] - expected.values[at]));
        if (error == 0) continue;
        expect_share("statistic", std::to_string(s).c_str(), error / limit);
      }
    return bytes_of(got);
  });
}

void test_quantile(pp_dtype dtype, double q) {
  run_case(std::string("quantile ") + std::to_string(q) + " " + name(dtype), [&] {
    const Segments segments(dtype);
    const Plan plan(dtype, segments);
    const DeviceArray<float> thresholds(kGroups);
    const Context context;
    expect_ok(pp_importance_quantile(context, plan.plan, q, thresholds.data));
    const std::vector<float> got = thresholds.read();
    for (int32_t group = 0; group < kGroups; group++) {
      std::vector<double> weights;
      for (size_t s = 0; s < segments.count(); s++)
        for (int64_t i = 0; kSegments[s].group == group && i < kSegments[s].n; i++)
          weights.push_back(std::fabs((*segments.w[s])(0, i)));
      std::sort(weights.begin(), weights.end());
      const double expected =
          weights.empty() ? 0 : weights[static_cast<size_t>(std::floor(q * static_cast<double>(weights.size() - 1)))];
      if (got[static_cast<size_t>(group)] != expected)
        report("the quantile of group %d is %.9g, not %.9g", group, static_cast<double>(got[static_cast<size_t>(group)]),
               expected);
    }
    return bytes_of(got);
  });
}

/** NaN weights rank last, and make their module's sums NaN. */
void test_nan() {
  run_case("NaN weights", [&] {
    Matrix w(PP_FLOAT32, 1, 5, {}, Content::kRandom);
    const float values[] = {3, -1, NAN, 2, INFINITY};
    for (int64_t i = 0; i < 5; i++) w.set(0, i, values[i]);
    w.upload();
    const pp_segment segment = {w.data(), nullptr, 5, 0, 0};
    pp_importance_plan* plan = nullptr;
    const Context context;
    expect_ok(pp_importance_plan_create(context, PP_FLOAT32, &segment, 1, 1, 1, &plan));
    const DeviceArray<float> threshold(1);
    const DeviceArray<double> table(PP_STATISTICS);
    expect_ok(pp_importance_quantile(context, plan, 0.75, threshold.data));
    expect(threshold.read()[0] == INFINITY, "infinity ranks below NaN");
    expect_ok(pp_importance_quantile(context, plan, 1, threshold.data));
    expect(std::isnan(threshold.read()[0]), "NaN ranks last");
    expect_ok(pp_importance(context, plan, PP_FLOAT16, nullptr, table.data));
    const std::vector<double> sums = table.read();
    expect(std::isnan(sums[PP_SUM_W2]) && sums[PP_NONZERO] == 5, "NaN enters sums and is not zero");
    pp_importance_plan_destroy(plan);
    return std::vector<unsigned char>();
  });
}

struct MagnitudeCase {
  int64_t M, N, r;
  Placement placement;
  pp_activation activation;
  bool with_bias, with_mask;
};

const MagnitudeCase kMagnitudes[] = {
    {1, 1, 1, {0, 0}, PP_IDENTITY, false, false},       {0, 8, 8, {0, 0}, PP_IDENTITY, false, false},
    {130, 72, 16, {0, 0}, PP_GELU, true, true},         {70, 40, 9, {1, 3}, PP_SILU, true, true},
    {70, 700, 5, {1, 3}, PP_IDENTITY, false, true},     {67, 131, 70, {0, 2}, PP_RELU, true, false},
    {1030, 1030, 2, {0, 0}, PP_IDENTITY, false, false},  // more blocks than the last stage has threads
};

void test_magnitude(pp_dtype dtype, const MagnitudeCase& c) {
  run_case(std::string("magnitude ") + name(dtype) + " M=" + std::to_string(c.M) + " N=" + std::to_string(c.N), [&] {
    Matrix p(dtype, c.M, c.r, c.placement, Content::kRandom), q(dtype, c.N, c.r, c.placement, Content::kRandom);
    Matrix bias(dtype, 1, c.N, {1, 0}, Content::kRandom);
    std::vector<uint8_t> mask(static_cast<size_t>(c.M));
    for (uint8_t& m : mask) m = static_cast<uint8_t>(random_bits() % 3);
    const DeviceArray<uint8_t> device_mask(mask);
    // Of σ(p) a rounding takes part in a row of sums, and moves each by |q| at most.
    std::vector<double> of_columns(static_cast<size_t>(c.r));
    for (int64_t n = 0; n < c.N; n++)
      for (int64_t k = 0; k < c.r; k++) of_columns[static_cast<size_t>(k)] += std::fabs(q(n, k));
    double expected = 0, biased = 0, variance = 0;
    for (int64_t i = 0; i < c.M; i++) {
      if (c.with_mask && mask[static_cast<size_t>(i)] == 0) continue;
      std::vector<Sum> a;
      for (int64_t k = 0; k < c.r; k++) {
        const Sum unrounded = activated(c.activation, p(i, k));
        const Sum rounded = is_exact(c.activation) ? unrounded : unrounded.stored(dtype);
        variance += rounded.variance() * of_columns[static_cast<size_t>(k)] * of_columns[static_cast<size_t>(k)];
        a.push_back(Sum::off(rounded, unrounded.error()));
      }
      for (int64_t n = 0; n < c.N; n++) {
        Sum sum;
        if (c.with_bias) sum += bias(0, n);
        for (int64_t k = 0; k < c.r; k++) sum.add(q(n, k), a[static_cast<size_t>(k)]);
        expected += std::fabs(sum);
        biased += sum.biased();
        variance += sum.variance();
      }
    }
    // Roundings are off by 8 roots of their squares with a probability of 2 exp(-8² / 2), 3·10⁻¹⁴ (Hoeffding).
    const double limit =
        biased + 8 * std::sqrt(variance) + rounding::gamma(static_cast<double>(c.M * c.N), rounding::kFloat64) * expected;
    const DeviceArray<double> sum(1);
    const Context context;
    const pp_matrix left = p.view(), right = q.view(), added = bias.view();
    expect_ok(pp_output_magnitude(context, &left, c.activation, &right, c.with_bias ? &added : nullptr,
                                  c.with_mask ? device_mask.data : nullptr, sum.data));
    const std::vector<double> got = sum.read();
    expect_share("magnitude", "the sum", got[0] == expected ? 0 : std::fabs(got[0] - expected) / limit);
    return bytes_of(got);
  });
}
}  // namespace

int main() {
  for (pp_dtype dtype : kDtypes) {
    for (pp_dtype zero_dtype : kDtypes)
      if (drawn_case()) test_statistics(dtype, zero_dtype, zero_dtype != PP_FLOAT16);
    for (double q : {0.0, 0.3, 0.5, 0.999, 1.0})
      if (drawn_case()) test_quantile(dtype, q);
    for (const MagnitudeCase& c : kMagnitudes)
      if (drawn_case()) test_magnitude(dtype, c);
  }
  if (drawn_case()) test_nan();
  return finish();
}
