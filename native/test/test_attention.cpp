#include "prunepeft/attention.h"

#include "refusals.h"

namespace {

struct Problem {
  pp_dtype dtype;
  int64_t B, T, heads, d;
  Matrix qkv, dcontext;
  std::vector<uint8_t> mask;
  bool masks;

  Problem(pp_dtype dtype, int64_t B, int64_t T, int64_t heads, int64_t d)
      : dtype(dtype),
        B(B),
        T(T),
        heads(heads),
        d(d),
        qkv(Matrix::random(B * T, 3 * heads * d, dtype)),
        dcontext(Matrix::random(B * T, heads * d, dtype)),
        mask(B * T, 1),
        masks(check::pick(0, 2) > 0) {
    // Padding at the end, as in a batch, and now and then a hole; the first token is seen.
    for (int64_t b = 0; b < B; ++b) {
      const int64_t length = check::pick(1, T);
      for (int64_t t = 1; t < T; ++t) mask[b * T + t] = t < length && check::pick(0, 9) > 0;
    }
  }

  pp_attention attention() const {
    return {B, T, heads, d, 1.0f / std::sqrt(static_cast<float>(d)), masks ? mask.data() : nullptr};
  }
  bool seen(int64_t b, int64_t t) const { return !masks || mask[b * T + t] != 0; }
  double q(int64_t b, int64_t t, int64_t h, int64_t k, int part) const { return qkv(b * T + t, (part * heads + h) * d + k); }
  std::string text() const {
    return "dtype " + std::to_string(dtype) + ", B " + std::to_string(B) + ", T " + std::to_string(T) + ", heads " +
           std::to_string(heads) + ", d " + std::to_string(d) + (masks ? ", masked" : "");
  }

  /** P of a head, [T,T], and the logarithms of its sums. */
  std::vector<double> probabilities(int64_t b, int64_t h, std::vector<double>& log_sums) const {
    std::vector<double> p(T * T);
    log_sums.assign(T, 0.0);
    for (int64_t i = 0; i < T; ++i) {
      double sum = 0.0;
      for (int64_t j = 0; j < T; ++j) {
        double score = 0.0;
        for (int64_t k = 0; k < d; ++k) score += q(b, i, h, k, 0) * q(b, j, h, k, 1);
        p[i * T + j] = seen(b, j) ? std::exp(score * static_cast<double>(attention().scale)) : 0.0;
        sum += p[i * T + j];
      }
      for (int64_t j = 0; j < T; ++j) p[i * T + j] /= sum;
      log_sums[i] = std::log(sum);
    }
    return p;
  }
};

std::vector<Problem> problems() {
  std::vector<Problem> list;
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    for (int i = 0; i < 12; ++i) {
      list.emplace_back(dtype, check::pick(1, 3), check::pick(1, 70), check::pick(1, 3), check::pick(1, 40));
    }
    list.emplace_back(dtype, 2, 130, 2, 32);
    list.emplace_back(dtype, 1, 97, 2, 64);
    list.emplace_back(dtype, 1, 1, 1, 1);
    list.emplace_back(dtype, 3, 48, 4, 33);
  }
  return list;
}

}  // namespace

TEST(forward_is_softmax_attention) {
  for (const Problem& problem : problems()) {
    const int64_t T = problem.T, d = problem.d, heads = problem.heads;
    Reference context(problem.B * T, heads * d), sums(problem.B * heads, T);
    for (int64_t b = 0; b < problem.B; ++b) {
      for (int64_t h = 0; h < heads; ++h) {
        std::vector<double> log_sums;
        const std::vector<double> p = problem.probabilities(b, h, log_sums);
        for (int64_t i = 0; i < T; ++i) {
          sums(b * heads + h, i) = log_sums[i];
          for (int64_t j = 0; j < T; ++j) {
            for (int64_t k = 0; k < d; ++k) context(b * T + i, h * d + k) += p[i * T + j] * problem.q(b, j, h, k, 2);
          }
        }
      }
    }
    on_all_settings("attention forward, " + problem.text(), [&] {
      const pp_attention attention = problem.attention();
      Matrix out = Matrix::empty(problem.B * T, heads * d, problem.dtype), log_sums(problem.B * heads, T, T, 4);
      const pp_matrix qkv = problem.qkv.view(), values = out.view();
      CHECK_EQUAL(pp_attention_forward(Context(), &attention, &qkv, &values, log_sums.data()), PP_OK);
      CHECK_OUTPUT_OF(problem.dtype, out, context);
      CHECK_OUTPUT(log_sums, sums);
      return dense({out, log_sums});
    });
  }
}

TEST(backward_is_its_gradient) {
  for (const Problem& problem : problems()) {
    const int64_t T = problem.T, d = problem.d, heads = problem.heads;
    const double scale = static_cast<double>(problem.attention().scale);
    Reference expected(problem.B * T, 3 * heads * d);
    Matrix log_sums(problem.B * heads, T, T, 4);
    for (int64_t b = 0; b < problem.B; ++b) {
      for (int64_t h = 0; h < heads; ++h) {
        std::vector<double> sums;
        const std::vector<double> p = problem.probabilities(b, h, sums);
        for (int64_t i = 0; i < T; ++i) {
          log_sums.set(b * heads + h, i, static_cast<float>(sums[i]));
          std::vector<double> dp(T);
          double mean = 0.0;
          for (int64_t j = 0; j < T; ++j) {
            for (int64_t k = 0; k < d; ++k) dp[j] += problem.dcontext(b * T + i, h * d + k) * problem.q(b, j, h, k, 2);
            mean += p[i * T + j] * dp[j];
          }
          for (int64_t j = 0; j < T; ++j) {
            const double ds = scale * p[i * T + j] * (dp[j] - mean);
            for (int64_t k = 0; k < d; ++k) {
              expected(b * T + i, h * d + k) += ds * problem.q(b, j, h, k, 1);
              expected(b * T + j, (heads + h) * d + k) += ds * problem.q(b, i, h, k, 0);
              expected(b * T + j, (2 * heads + h) * d + k) += p[i * T + j] * problem.dcontext(b * T + i, h * d + k);
            }
          }
        }
      }
    }
    on_all_settings("attention backward, " + problem.text(), [&] {
      const pp_attention attention = problem.attention();
      Matrix dqkv = Matrix::empty(problem.B * T, 3 * heads * d, problem.dtype);
      const pp_matrix dvalues = problem.dcontext.view(), qkv = problem.qkv.view(), to = dqkv.view();
      CHECK_EQUAL(pp_attention_backward(Context(), &attention, &dvalues, &qkv, log_sums.data(), &to), PP_OK);
      CHECK_OUTPUT_OF(problem.dtype, dqkv, expected);
      return dense({dqkv});
    });
  }
}

TEST(large_scores_and_nan_come_through) {
  Problem problem(PP_FLOAT32, 1, 20, 1, 8);
  problem.masks = false;
  for (int64_t t = 0; t < 20; ++t) {
    for (int64_t k = 0; k < 8; ++k) {
      problem.qkv.set(t, k, 40);
      problem.qkv.set(t, 8 + k, t == 7 ? 40 : -40);
    }
  }
  on_all_settings("large scores", [&] {
    pp_attention attention = problem.attention();
    Matrix out(20, 8, 8, 0), log_sums(1, 20, 20, 0);
    const pp_matrix qkv = problem.qkv.view(), values = out.view();
    const auto run = [&] { CHECK_EQUAL(pp_attention_forward(Context(), &attention, &qkv, &values, log_sums.data()), PP_OK); };
    run();
    for (int64_t t = 0; t < 20; ++t) {
      for (int64_t k = 0; k < 8; ++k) CHECK_EQUAL(out(t, k), problem.qkv(7, 16 + k));
    }
    const float before = problem.qkv(3, 0);
    problem.qkv.set(3, 0, NAN);
    run();
    CHECK(std::isnan(out(3, 5)));
    problem.qkv.set(3, 0, before);
    return std::vector<Matrix>{log_sums};
  });
}

namespace {

struct Calls : CallsInContext {
  Matrix qkv_matrix{6, 24, 24, 0}, dqkv_matrix{6, 24, 24, 0}, values_matrix{6, 8, 8, 0}, log_sums{4, 3, 3, 0};
  pp_matrix qkv = qkv_matrix.view(), dqkv = dqkv_matrix.view(), values = values_matrix.view();
  pp_attention extents{2, 3, 2, 4, 0.5f, nullptr};
  const pp_attention* attention = &extents;
  float* plog_sums = log_sums.data();

  pp_status forward() { return pp_attention_forward(&context, attention, &qkv, &values, plog_sums); }
  pp_status backward() { return pp_attention_backward(&context, attention, &values, &qkv, plog_sums, &dqkv); }
  std::vector<Matrix> outputs() const { return {values_matrix, dqkv_matrix}; }
};

using Call = pp_status (Calls::*)();

}  // namespace

TEST(bad_arguments_are_named_and_nothing_is_written) {
  const std::vector<Call> both{&Calls::forward, &Calls::backward}, backward{&Calls::backward};
  for (const Call call : both) {
    Calls good;
    CHECK_EQUAL((good.*call)(), PP_OK);
    Calls empty;
    empty.extents.sequences = empty.qkv.rows = empty.dqkv.rows = empty.values.rows = 0;
    const Matrix before = empty.values_matrix;
    CHECK_EQUAL((empty.*call)(), PP_OK);
    CHECK(empty.values_matrix == before);
  }
  check_refused<Calls>({
      {both, [](Calls& c) { c.attention = nullptr; }, "attention must not be null"},
      {both, [](Calls& c) { c.extents.sequences = -1; }, "attention->sequences must be at least 0, got -1"},
      {both, [](Calls& c) { c.extents.tokens = 0; }, "attention->tokens must be at least 1, got 0"},
      {both, [](Calls& c) { c.extents.heads = 0; }, "attention->heads must be at least 1, got 0"},
      {both, [](Calls& c) { c.extents.head_size = 0; }, "attention->head_size must be at least 1, got 0"},
      {both, [](Calls& c) { c.qkv.ld = 23; }, "qkv.ld must be at least the row's 24 elements, got 23"},
      {both, [](Calls& c) { c.values.ld = 7; }, "values.ld must be at least the row's 8 elements, got 7"},
      {both, [](Calls& c) { c.qkv.cols = 23; }, "qkv must be float32 [6, 24], got float32 [6, 23]"},
      {both, [](Calls& c) { c.qkv.data = nullptr; }, "qkv.data must not be null"},
      {both, [](Calls& c) { c.values.data = nullptr; }, "values.data must not be null"},
      {both, [](Calls& c) { c.plog_sums = nullptr; }, "log_sums must not be null"},
      {backward, [](Calls& c) { c.dqkv.data = nullptr; }, "dqkv.data must not be null"},
      {backward, [](Calls& c) { c.dqkv.data = c.qkv.data; }, "dqkv must not be the buffer of qkv"},
      {backward, [](Calls& c) { c.dqkv.ld = 5; }, "dqkv.ld"},
      {both, [](Calls& c) { c.context.workspace = nullptr; }, "context->workspace must not be null"},
      {both, [](Calls& c) { c.qkv.dtype = c.dqkv.dtype = c.values.dtype = PP_FLOAT16; }, "float16", PP_UNSUPPORTED},
      {both, [](Calls& c) { c.context.device.type = PP_CUDA; }, "CUDA", PP_UNSUPPORTED},
  });
}
