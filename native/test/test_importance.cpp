#include "prunepeft/importance.h"

#include <algorithm>

#include "buffers.h"

namespace {

/** Segments of random sizes in modules and groups, some without gradients. */
struct Problem {
  std::vector<Matrix> w, g;
  std::vector<pp_segment> segments;
  int32_t modules, groups;
  pp_importance_plan* plan = nullptr;

  Problem(int32_t modules, int32_t groups, int64_t count, int64_t largest) : modules(modules), groups(groups) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t n = check::pick(0, 3) == 0 ? check::pick(0, largest) : pick_size();
      w.push_back(Matrix::random(1, n));
      g.push_back(Matrix::random(1, n));
      // Some weights of all sizes, zeros and subnormals among them.
      for (int64_t k = 0; k < n; k += 5) w.back().set(0, k, std::ldexp(w.back()(0, k), static_cast<int>(check::pick(-155, 3))));
    }
    for (int64_t i = 0; i < count; ++i) {
      segments.push_back({w[i].data(), check::pick(0, 5) == 0 ? nullptr : g[i].data(), w[i].columns(),
                          static_cast<int32_t>(check::pick(0, modules - 1)), static_cast<int32_t>(check::pick(0, groups - 1))});
    }
    make();
  }
  ~Problem() { pp_importance_plan_destroy(plan); }
  Problem(const Problem&) = delete;

  void make() {
    pp_importance_plan_destroy(plan);
    CHECK_EQUAL(pp_importance_plan_create(Context(), PP_FLOAT32, segments.data(), static_cast<int64_t>(segments.size()),
                                          modules, groups, &plan),
                PP_OK);
  }
};

/** Weights that are summed together. */
constexpr double kPiece = 8192;

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/** Is w zero once rounded to the nearest number of the dtype, ties to even? Its numbers near zero are multiples of `step`. */
bool rounds_to_zero(float w, pp_dtype dtype) {
  if (dtype == PP_FLOAT32) return (bits_of(w) & 0x7FFFFFFF) == 0;
  const double step = dtype == PP_FLOAT16 ? std::ldexp(1.0, -24) : std::ldexp(1.0, -133);
  return std::nearbyint(static_cast<double>(w) / step) == 0.0;
}

std::vector<double> statistics_of(const Problem& problem, pp_dtype zero_dtype, const float* thresholds) {
  std::vector<double> table(problem.modules * PP_STATISTICS, -7.0);
  CHECK_EQUAL(pp_importance(Context(), problem.plan, zero_dtype, thresholds, table.data()), PP_OK);
  return table;
}

/** Runs at all settings and checks that the bits are the same at each thread count; `run` returns doubles. */
void doubles_on_all_settings(const std::string& what, const std::function<std::vector<double>()>& run) {
  on_all_settings(what, [&] {
    const std::vector<double> values = run();
    Matrix bits(static_cast<int64_t>(values.size()), 2, 2, 0);
    for (size_t i = 0; i < values.size(); ++i) std::memcpy(bits.data() + 2 * i, &values[i], sizeof values[i]);
    return std::vector<Matrix>{bits};
  });
}

}  // namespace

TEST(statistics_are_the_sums_of_each_module) {
  for (int n = 0; n < 8; ++n) {
    if (!check::drawn_case()) continue;
    const Problem problem(static_cast<int32_t>(check::pick(1, 9)), static_cast<int32_t>(check::pick(1, 3)), check::pick(1, 30),
                          n == 0 ? 300000 : 20000);
    const std::vector<float> thresholds{0.5f, 1e-40f, -1.0f};
    for (const pp_dtype zero_dtype : {PP_FLOAT32, PP_FLOAT16, PP_BFLOAT16}) {
      const bool below = check::pick(0, 3) > 0;
      std::vector<long double> expected(problem.modules * PP_STATISTICS), sizes(expected.size());
      std::vector<double> pieces(problem.modules);
      for (const pp_segment& segment : problem.segments) {
        const size_t index = &segment - problem.segments.data();
        pieces[segment.module] += std::ceil(static_cast<double>(segment.n) / kPiece);
        for (int64_t i = 0; i < segment.n; ++i) {
          const float weight = problem.w[index](0, i);
          const long double w = weight, g = segment.g == nullptr ? 0.0f : problem.g[index](0, i);
          const long double terms[PP_STATISTICS] = {1,
                                                    w * w,
                                                    std::fabs(w),
                                                    rounds_to_zero(weight, zero_dtype) ? 0.0L : 1.0L,
                                                    below && std::fabs(weight) < thresholds[segment.group] ? 1.0L : 0.0L,
                                                    g * g,
                                                    std::fabs(g),
                                                    w * g,
                                                    std::fabs(w * g),
                                                    w * g * w * g};
          for (int s = 0; s < PP_STATISTICS; ++s) {
            expected[segment.module * PP_STATISTICS + s] += terms[s];
            sizes[segment.module * PP_STATISTICS + s] += std::fabs(terms[s]);
          }
        }
      }
      doubles_on_all_settings("importance", [&] {
        const std::vector<double> seen = statistics_of(problem, zero_dtype, below ? thresholds.data() : nullptr);
        for (size_t i = 0; i < seen.size(); ++i) {
          const size_t column = i % PP_STATISTICS;
          if (column == PP_COUNT || column == PP_NONZERO || column == PP_BELOW) {
            CHECK_EQUAL(seen[i], static_cast<double>(expected[i]));
          } else {
            // A term: its square, additions in the two lanes or more that a piece is summed in, and of these and the pieces.
            const double roundings = 2 + kPiece / 2 + 8 + pieces[i / PP_STATISTICS];
            CHECK_AT_MOST(std::fabs(seen[i] - static_cast<double>(expected[i])),
                          rounding::gamma(roundings, rounding::kFloat64) * static_cast<double>(sizes[i]));
          }
        }
        return seen;
      });
    }
  }
}

TEST(rounding_to_zero_is_to_nearest_even) {
  const float smallest_half = std::ldexp(1.0f, -24), smallest_bfloat = std::ldexp(1.0f, -133),
              smallest = std::ldexp(1.0f, -149);
  struct Case {
    float w;
    double float32, half, bfloat;
  };
  const Case cases[] = {{0.0f, 0, 0, 0},
                        {-0.0f, 0, 0, 0},
                        {smallest, 1, 0, 0},
                        {-smallest_half / 2, 1, 0, 1},
                        {std::nextafter(smallest_half / 2, 1.0f), 1, 1, 1},
                        {smallest_bfloat / 2, 1, 0, 0},
                        {std::nextafter(smallest_bfloat / 2, 1.0f), 1, 0, 1},
                        {-smallest_bfloat, 1, 0, 1},
                        {INFINITY, 1, 1, 1},
                        {NAN, 1, 1, 1}};
  for (int isa = PP_ISA_PORTABLE; isa <= pp_cpu_isa_supported(); ++isa) {
    pp_set_cpu_isa(static_cast<pp_isa>(isa));
    for (const Case& c : cases) {
      check::context() = std::string(pp_isa_name(pp_cpu_isa())) + ", w " + std::to_string(c.w);
      // Many of them, so that whole vectors and the rest are seen.
      Problem problem(1, 1, 1, 1);
      problem.w[0] = Matrix(1, 37, 37, 0);
      for (int k = 0; k < 37; ++k) problem.w[0].set(0, k, c.w);
      problem.segments[0] = {problem.w[0].data(), nullptr, 37, 0, 0};
      problem.make();
      CHECK_EQUAL(statistics_of(problem, PP_FLOAT32, nullptr)[PP_NONZERO], 37 * c.float32);
      CHECK_EQUAL(statistics_of(problem, PP_FLOAT16, nullptr)[PP_NONZERO], 37 * c.half);
      CHECK_EQUAL(statistics_of(problem, PP_BFLOAT16, nullptr)[PP_NONZERO], 37 * c.bfloat);
    }
  }
  pp_set_cpu_isa(pp_cpu_isa_supported());
}

TEST(nan_makes_the_sums_that_it_enters_nan) {
  for (int isa = PP_ISA_PORTABLE; isa <= pp_cpu_isa_supported(); ++isa) {
    pp_set_cpu_isa(static_cast<pp_isa>(isa));
    Problem problem(2, 1, 2, 1);
    for (int i = 0; i < 2; ++i) {
      problem.w[i] = Matrix::random(1, 1000);
      problem.g[i] = Matrix::random(1, 1000);
      problem.segments[i] = {problem.w[i].data(), problem.g[i].data(), 1000, i, 0};
    }
    problem.w[0].set(0, 501, NAN);
    problem.g[1].set(0, 999, NAN);
    problem.make();
    const float threshold = 100.0f;
    const std::vector<double> seen = statistics_of(problem, PP_FLOAT32, &threshold);
    for (int s = PP_SUM_W2; s < PP_STATISTICS; ++s) {
      const bool of_w = s == PP_SUM_W2 || s == PP_SUM_ABS_W, of_g = s == PP_SUM_G2 || s == PP_SUM_ABS_G;
      const bool count = s == PP_NONZERO || s == PP_BELOW;
      CHECK_EQUAL(std::isnan(seen[s]), !count && !of_g);
      CHECK_EQUAL(std::isnan(seen[PP_STATISTICS + s]), !count && !of_w);
    }
    CHECK_EQUAL(seen[PP_BELOW], 999.0);
    // A drawn weight is 0 now and then.
    double nonzero = 0.0;
    for (int64_t k = 0; k < 1000; ++k) nonzero += problem.w[0](0, k) != 0.0f;
    CHECK_EQUAL(seen[PP_NONZERO], nonzero);
  }
  pp_set_cpu_isa(pp_cpu_isa_supported());
}

TEST(quantile_is_the_exact_order_statistic) {
  for (int n = 0; n < 12; ++n) {
    if (!check::drawn_case()) continue;
    const int32_t groups = static_cast<int32_t>(check::pick(1, 4));
    Problem problem(3, groups, check::pick(1, 20), n == 0 ? 300000 : 3000);
    if (n % 3 == 1) {  // many ties
      for (Matrix& w : problem.w) {
        for (int64_t k = 0; k < w.columns(); ++k) w.set(0, k, std::round(w(0, k)));
      }
    }
    if (n % 3 == 2) {
      for (Matrix& w : problem.w) {
        for (int64_t k = 0; k < w.columns(); k += 3) w.set(0, k, k % 2 == 0 ? NAN : -INFINITY);
      }
    }
    std::vector<std::vector<float>> sorted(groups);
    for (size_t i = 0; i < problem.segments.size(); ++i) {
      for (int64_t k = 0; k < problem.segments[i].n; ++k)
        sorted[problem.segments[i].group].push_back(std::fabs(problem.w[i](0, k)));
    }
    for (std::vector<float>& values : sorted) {
      std::sort(values.begin(), values.end(), [](float a, float b) { return a < b || (std::isnan(b) && !std::isnan(a)); });
    }
    for (const double q : {0.0, 1.0, 0.5, check::pick(0, 1000) / 1000.0, check::pick(0, 1000) / 1000.0}) {
      doubles_on_all_settings("quantile", [&] {
        std::vector<float> thresholds(groups, -5.0f);
        CHECK_EQUAL(pp_importance_quantile(Context(), problem.plan, q, thresholds.data()), PP_OK);
        for (int32_t group = 0; group < groups; ++group) {
          const std::vector<float>& values = sorted[group];
          if (values.empty()) {
            CHECK_EQUAL(thresholds[group], 0.0f);
            continue;
          }
          const float expected = values[static_cast<size_t>(std::floor(q * static_cast<double>(values.size() - 1)))];
          if (std::isnan(expected)) {
            CHECK(std::isnan(thresholds[group]));
          } else {
            CHECK_EQUAL(thresholds[group], expected);
          }
        }
        return std::vector<double>(thresholds.begin(), thresholds.end());
      });
    }
  }
}

TEST(output_magnitude_sums_what_is_never_stored) {
  for (int n = 0; n < 25; ++n) {
    if (!check::drawn_case()) continue;
    const int64_t M = n == 0 ? 700 : pick_size(), N = n == 1 ? 1100 : pick_size(), r = n == 2 ? 300 : pick_rank();
    const Matrix p = Matrix::random(M, r), q = Matrix::random(N, r), bias = Matrix::random(1, N);
    const pp_activation activation = static_cast<pp_activation>(check::pick(0, 3));
    const bool has_bias = check::pick(0, 1) == 1;
    std::vector<uint8_t> mask(M);
    for (uint8_t& byte : mask) byte = static_cast<uint8_t>(check::pick(0, 2) * 100);
    const bool masked = check::pick(0, 1) == 1;
    double expected = 0, biased = 0, variance = 0;
    for (int64_t i = 0; i < M; ++i) {
      if (masked && mask[i] == 0) continue;
      std::vector<Sum> a(r);
      for (int64_t j = 0; j < r; ++j) a[j] = activated(activation, p(i, j));
      for (int64_t k = 0; k < N; ++k) {
        Sum sum;
        if (has_bias) sum += bias(0, k);
        for (int64_t j = 0; j < r; ++j) sum.add(q(k, j), a[j]);
        expected += std::fabs(sum);
        biased += sum.biased();
        variance += sum.variance();
      }
    }
    // Roundings of M·N sums are off by 8 roots of their squares with a probability of 2 exp(-8² / 2), 3·10⁻¹⁴ (Hoeffding).
    const double limit =
        biased + 8 * std::sqrt(variance) + rounding::gamma(static_cast<double>(M * N), rounding::kFloat64) * expected;
    doubles_on_all_settings("output_magnitude", [&] {
      double sum = -1;
      const pp_matrix p_view = p.view(), q_view = q.view(), bias_view = bias.view();
      CHECK_EQUAL(pp_output_magnitude(Context(), &p_view, activation, &q_view, has_bias ? &bias_view : nullptr,
                                      masked ? mask.data() : nullptr, &sum),
                  PP_OK);
      CHECK_AT_MOST(std::fabs(sum - expected), limit);
      return std::vector<double>{sum};
    });
  }
  double sum = -1;
  float value = 1;
  const pp_matrix none{nullptr, 0, 2, 2, PP_FLOAT32}, q{&value, 1, 2, 2, PP_FLOAT32};
  CHECK_EQUAL(pp_output_magnitude(Context(), &none, PP_GELU, &q, nullptr, nullptr, &sum), PP_OK);
  CHECK_EQUAL(sum, 0.0);
}

TEST(bad_arguments_are_named_and_nothing_is_written) {
  const pp_status bad = PP_INVALID_ARGUMENT;
  Matrix w = Matrix::random(1, 10);
  const pp_segment good{w.data(), w.data(), 10, 0, 0};
  pp_importance_plan* plan = nullptr;
  const auto create = [&](pp_segment segment, pp_dtype dtype = PP_FLOAT32, int64_t count = 1, int32_t modules = 1,
                          int32_t groups = 1) {
    return pp_importance_plan_create(Context(), dtype, &segment, count, modules, groups, &plan);
  };
  CHECK_FAILS(create(good, static_cast<pp_dtype>(4)), bad, "dtype must be");
  CHECK_FAILS(create(good, PP_FLOAT16), PP_UNSUPPORTED, "float16");
  CHECK_FAILS(create(good, PP_FLOAT32, 0), bad, "segment_count must be at least 1, got 0");
  CHECK_FAILS(create(good, PP_FLOAT32, 1, 0), bad, "modules must be at least 1, got 0");
  CHECK_FAILS(create(good, PP_FLOAT32, 1, 1, -2), bad, "groups must be at least 1, got -2");
  CHECK_FAILS(create({nullptr, nullptr, 10, 0, 0}), bad, "segments[0].w must not be null");
  CHECK_FAILS(create({w.data(), nullptr, -1, 0, 0}), bad, "segments[0].n must be at least 0, got -1");
  CHECK_FAILS(create({w.data(), nullptr, 10, 1, 0}), bad, "segments[0].module must be at most 0, got 1");
  CHECK_FAILS(create({w.data(), nullptr, 10, 0, -1}), bad, "segments[0].group must be at least 0, got -1");
  CHECK_FAILS(create({w.data(), nullptr, int64_t{1} << 32, 0, 0}), bad, "segments[0].n must be at most");
  CHECK_FAILS(pp_importance_plan_create(nullptr, PP_FLOAT32, &good, 1, 1, 1, &plan), bad, "context must not be null");
  CHECK_FAILS(pp_importance_plan_create(Context(), PP_FLOAT32, nullptr, 1, 1, 1, &plan), bad, "segments must not be null");
  CHECK_FAILS(pp_importance_plan_create(Context(), PP_FLOAT32, &good, 1, 1, 1, nullptr), bad, "plan must not be null");
  CHECK(plan == nullptr);
  pp_importance_plan_destroy(nullptr);

  CHECK_EQUAL(create(good), PP_OK);
  std::vector<double> table(PP_STATISTICS, -7.0);
  float threshold = -7.0f;
  double sum = -7.0;
  const pp_context odd{{static_cast<pp_device_type>(8), 0, nullptr}, nullptr}, without{kCpu, nullptr};
  CHECK_FAILS(pp_importance(Context(), nullptr, PP_FLOAT32, nullptr, table.data()), bad, "plan");
  CHECK_FAILS(pp_importance(nullptr, plan, PP_FLOAT32, nullptr, table.data()), bad, "context must not be null");
  CHECK_FAILS(pp_importance(&odd, plan, PP_FLOAT32, nullptr, table.data()), bad, "got 8");
  CHECK_FAILS(pp_importance(Context(), plan, static_cast<pp_dtype>(3), nullptr, table.data()), bad, "zero_dtype");
  CHECK_FAILS(pp_importance(Context(), plan, PP_FLOAT32, nullptr, nullptr), bad, "statistics");
  CHECK_FAILS(pp_importance(&without, plan, PP_FLOAT32, nullptr, table.data()), bad, "context->workspace must not be null");
  CHECK_FAILS(pp_importance_quantile(Context(), plan, 1.5, &threshold), bad, "q must be in [0, 1], got 1.5");
  CHECK_FAILS(pp_importance_quantile(Context(), plan, NAN, &threshold), bad, "nan");
  CHECK_FAILS(pp_importance_quantile(Context(), plan, 0.5, nullptr), bad, "thresholds");
  CHECK_FAILS(pp_importance_quantile(&without, plan, 0.5, &threshold), bad, "context->workspace must not be null");
  const pp_matrix two{w.data(), 2, 2, 2, PP_FLOAT32};
  const auto magnitude = [&](const std::function<void(pp_matrix&, pp_matrix&)>& spoil, int activation, double* to) {
    pp_matrix p = two, q = two;
    spoil(p, q);
    return pp_output_magnitude(&without, &p, static_cast<pp_activation>(activation), &q, nullptr, nullptr, to);
  };
  const auto fails = [&](const char* part, const std::function<void(pp_matrix&, pp_matrix&)>& spoil) {
    CHECK_FAILS(magnitude(spoil, 0, &sum), bad, part);
  };
  const auto good_matrices = [](pp_matrix&, pp_matrix&) {};
  fails("p must be float32 [0, 2], got float32 [-1, 2]", [](pp_matrix& p, pp_matrix&) { p.rows = -1; });
  fails("q.rows must be at least 1, got 0", [](pp_matrix&, pp_matrix& q) { q.rows = 0; });
  fails("p must be float32 [2, 1], got float32 [2, 0]", [](pp_matrix& p, pp_matrix&) { p.cols = 0; });
  fails("p.data must not be null", [](pp_matrix& p, pp_matrix&) { p.data = nullptr; });
  fails("p.ld", [](pp_matrix& p, pp_matrix&) { p.ld = 1; });
  fails("q.data must not be null", [](pp_matrix&, pp_matrix& q) { q.data = nullptr; });
  fails("q.ld", [](pp_matrix&, pp_matrix& q) { q.ld = 1; });
  fails("context->workspace must not be null", good_matrices);
  CHECK_FAILS(magnitude(good_matrices, 4, &sum), bad, "activation");
  CHECK_FAILS(magnitude(good_matrices, 0, nullptr), bad, "sum must not be null");
  CHECK(table == std::vector<double>(PP_STATISTICS, -7.0));
  CHECK_EQUAL(threshold, -7.0f);
  CHECK_EQUAL(sum, -7.0);
  pp_importance_plan_destroy(plan);
}
