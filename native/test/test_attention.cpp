#include "prunepeft/attention.h"

#include "refusals.h"

namespace {

struct Problem {
  pp_dtype dtype;
  int64_t B, T, heads, d, key_heads;
  Matrix qkv, dcontext;
  std::vector<uint8_t> mask;
  bool masks;
  /** A decoder's, at random; an encoder's sees all. */
  bool causal = false;
  int64_t window = 0;
  float cap = 0.0f;
  /** At an odd address. */
  std::vector<char> starts;

  Problem(pp_dtype dtype, int64_t B, int64_t T, int64_t heads, int64_t d, int64_t key_heads = 0)
      : dtype(dtype),
        B(B),
        T(T),
        heads(heads),
        d(d),
        key_heads(key_heads == 0 ? heads : key_heads),
        qkv(Matrix::random(B * T, (heads + 2 * this->key_heads) * d, dtype)),
        dcontext(Matrix::random(B * T, heads * d, dtype)),
        mask(B * T, 1),
        masks(check::pick(0, 2) > 0) {
    // Padding at the end, as in a batch, and now and then a hole; the first token is seen.
    for (int64_t b = 0; b < B; ++b) {
      const int64_t length = check::pick(1, T);
      for (int64_t t = 1; t < T; ++t) mask[b * T + t] = t < length && check::pick(0, 9) > 0;
    }
  }

  static Problem of_decoder(pp_dtype dtype, int64_t B, int64_t T, int64_t d) {
    const int64_t key_heads = check::pick(1, 3);
    Problem problem(dtype, B, T, key_heads * check::pick(1, 3), d, key_heads);
    problem.causal = check::pick(0, 3) > 0;
    problem.masks = check::pick(0, 3) == 0;
    if (check::pick(0, 1) == 0) problem.window = check::pick(1, T + 3);
    if (check::pick(0, 1) == 0) problem.cap = 0.5f * static_cast<float>(check::pick(1, 8));
    if (check::pick(0, 1) == 0) problem.pack();
    return problem;
  }

  /** Samples one after the other, the first of them after padding that sees none. */
  void pack() {
    starts.resize(1 + 4 * B * T);
    for (int64_t b = 0; b < B; ++b) {
      int32_t start = static_cast<int32_t>(check::pick(-1, 3));
      for (int64_t t = 0; t < T; ++t) {
        if (t > start && check::pick(0, T / 3 + 1) == 0) start = static_cast<int32_t>(t);
        std::memcpy(starts.data() + 1 + 4 * (b * T + t), &start, sizeof start);
      }
    }
  }

  pp_attention attention() const {
    return {B,
            T,
            heads,
            d,
            1.0f / std::sqrt(static_cast<float>(d)),
            masks ? mask.data() : nullptr,
            key_heads == heads ? 0 : key_heads,
            starts.empty() ? nullptr : reinterpret_cast<const int32_t*>(starts.data() + 1),
            window,
            cap,
            causal};
  }
  int64_t start(int64_t b, int64_t t) const {
    int32_t start = 0;
    if (!starts.empty()) std::memcpy(&start, starts.data() + 1 + 4 * (b * T + t), sizeof start);
    return start;
  }
  bool sees(int64_t b, int64_t i, int64_t j) const {
    return (!masks || mask[b * T + j] != 0) && j >= start(b, i) && (!causal || j <= i) && (window == 0 || j > i - window);
  }
  double q(int64_t b, int64_t t, int64_t h, int64_t k, int part) const { return qkv(b * T + t, column(h, part) + k); }
  /** Where a head's Q (part 0), K (1) or V (2) begins. */
  int64_t column(int64_t h, int part) const {
    return part == 0 ? h * d : (heads + (part - 1) * key_heads + h / (heads / key_heads)) * d;
  }
  std::string text() const {
    return "dtype " + std::to_string(dtype) + ", B " + std::to_string(B) + ", T " + std::to_string(T) + ", heads " +
           std::to_string(heads) + " of " + std::to_string(key_heads) + ", d " + std::to_string(d) + (masks ? ", masked" : "") +
           (causal ? ", causal" : "") + (starts.empty() ? "" : ", packed") + ", window " + std::to_string(window) + ", cap " +
           std::to_string(cap);
  }

  /** The scores of a head, [T,T], capped. */
  std::vector<Capped> scores(int64_t b, int64_t h) const {
    std::vector<Capped> all;
    const double scale = static_cast<double>(attention().scale);
    for (int64_t i = 0; i < T; ++i) {
      for (int64_t j = 0; j < T; ++j) {
        Sum score;
        for (int64_t k = 0; k < d; ++k) score += scale * q(b, i, h, k, 0) * q(b, j, h, k, 1);
        all.push_back(capped(score, static_cast<double>(cap)));
      }
    }
    return all;
  }

  /** log Σ exp(score) of what a token sees, −∞ where it sees nothing. */
  double log_sum(const std::vector<Capped>& scores, int64_t b, int64_t i) const {
    double sum = 0.0;
    for (int64_t j = 0; j < T; ++j) sum += sees(b, i, j) ? std::exp(scores[i * T + j].value) : 0.0;
    return std::log(sum);
  }

  /** And the logarithms of the sums. */
  Reference context(Reference& sums) const {
    using rounding::gamma;
    using rounding::kFloat32;
    Reference context(B * T, heads * d);
    for (int64_t b = 0; b < B; ++b) {
      for (int64_t h = 0; h < heads; ++h) {
        const std::vector<Capped> all = scores(b, h);
        for (int64_t i = 0; i < T; ++i) {
          double most = -INFINITY;
          for (int64_t j = 0; j < T; ++j) {
            if (sees(b, i, j)) most = std::max<double>(most, all[i * T + j].value);
          }
          // What is subtracted from all scores falls out. Exponentials are float32 in their sum, and an operand of the type.
          Sum total;
          std::vector<Sum> values(d);
          for (int64_t j = 0; j < T; ++j) {
            if (!sees(b, i, j)) continue;
            const Sum e = exponential(less(all[i * T + j].value, most)), operand = e.stored(dtype);
            total.add(1.0, e);
            for (int64_t k = 0; k < d; ++k) values[k].add(q(b, j, h, k, 2), operand);
          }
          const double of_total = total.error() / (total - total.error()), log_total = std::log(total);
          // logf is within 1 ulp, 2u.
          sums(b * heads + h, i) = Sum::off(most + log_total, of_total + gamma(2, kFloat32) * std::fabs(log_total) +
                                                                  gamma(1, kFloat32) * std::fabs(most + log_total));
          for (int64_t k = 0; k < d && total > 0.0; ++k) {
            const Sum share = Sum::off(1.0 / total, (of_total + gamma(1, kFloat32)) / total);
            context(b * T + i, h * d + k) = Sum::product(values[k], share).stored(dtype);
          }
        }
      }
    }
    return context;
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
    for (int i = 0; i < 16; ++i) {
      list.push_back(Problem::of_decoder(dtype, check::pick(1, 2), check::pick(1, 110), check::pick(1, 36)));
    }
    // So many heads of keys that each is one piece of work.
    Problem many(dtype, 4, 30, 6, 20, 3);
    many.causal = true;
    list.push_back(many);
    Problem plain(dtype, 1, 150, 3, 16, 1);
    plain.causal = true;
    plain.masks = false;
    list.push_back(plain);
  }
  return list;
}

/** −∞ in both becomes 0, so that they can be compared. */
void match_empty_rows(Matrix& seen, Reference& expected) {
  for (int64_t i = 0; i < seen.rows(); ++i) {
    for (int64_t j = 0; j < seen.columns(); ++j) {
      if (!std::isinf(static_cast<double>(expected(i, j)))) continue;
      CHECK(std::isinf(seen(i, j)) && seen(i, j) < 0.0f);
      seen.set(i, j, 0.0f);
    }
  }
  for (Sum& value : expected.values) {
    if (std::isinf(static_cast<double>(value))) value = Sum();
  }
}

}  // namespace

TEST(forward_is_softmax_attention) {
  for (const Problem& problem : problems()) {
    if (!check::drawn_case()) continue;
    const int64_t T = problem.T, d = problem.d, heads = problem.heads;
    Reference all_sums(problem.B * heads, T);
    const Reference context = problem.context(all_sums);
    on_all_settings("attention forward, " + problem.text(), [&] {
      const pp_attention attention = problem.attention();
      Matrix out = Matrix::empty(problem.B * T, heads * d, problem.dtype), log_sums(problem.B * heads, T, T, 4);
      const pp_matrix qkv = problem.qkv.view(), values = out.view();
      CHECK_EQUAL(pp_attention_forward(Context(), &attention, &qkv, &values, log_sums.data()), PP_OK);
      Reference sums = all_sums;
      match_empty_rows(log_sums, sums);
      CHECK_ELEMENTS(out, context);
      CHECK_ELEMENTS(log_sums, sums);
      CHECK(out.padding_intact() && log_sums.padding_intact());
      return dense({out, log_sums});
    });
  }
}

TEST(backward_is_its_gradient) {
  for (const Problem& problem : problems()) {
    if (!check::drawn_case()) continue;
    const int64_t T = problem.T, d = problem.d, heads = problem.heads;
    Reference expected(problem.B * T, problem.qkv.columns());
    Matrix log_sums(problem.B * heads, T, T, 4);
    const double scale = static_cast<double>(problem.attention().scale);
    for (int64_t b = 0; b < problem.B; ++b) {
      for (int64_t h = 0; h < heads; ++h) {
        const std::vector<Capped> scores = problem.scores(b, h);
        for (int64_t i = 0; i < T; ++i) {
          const double log_sum = problem.log_sum(scores, b, i);
          log_sums.set(b * heads + h, i, static_cast<float>(log_sum));
          const double of_log_sum = std::fabs(static_cast<double>(static_cast<float>(log_sum)) - log_sum);
          // P is exp of the score less that, dS is P (dP − Σ P dP) by the score's slope.
          std::vector<Sum> p(T), dp(T);
          Sum mean;
          for (int64_t j = 0; j < T; ++j) {
            if (!problem.sees(b, i, j)) continue;
            const Sum x = less(scores[i * T + j].value, log_sum);
            p[j] = exponential(Sum::off(x, x.error() + of_log_sum * (1.0 + rounding::kFloat32)));
            for (int64_t k = 0; k < d; ++k) dp[j] += problem.dcontext(b * T + i, h * d + k) * problem.q(b, j, h, k, 2);
            mean.add(1.0, Sum::product(p[j], dp[j]));
          }
          for (int64_t j = 0; j < T; ++j) {
            if (!problem.sees(b, i, j)) continue;
            Sum apart;
            apart.add(1.0, dp[j]);
            apart.add(-1.0, mean);
            Sum ds = Sum::product(Sum::product(p[j], apart), Sum(scale));
            if (problem.cap > 0.0f) ds = Sum::product(ds, scores[i * T + j].slope);
            // As operands of the type.
            ds = ds.stored(problem.dtype);
            p[j] = p[j].stored(problem.dtype);
            for (int64_t k = 0; k < d; ++k) {
              expected(b * T + i, problem.column(h, 0) + k).add(problem.q(b, j, h, k, 1), ds);
              expected(b * T + j, problem.column(h, 1) + k).add(problem.q(b, i, h, k, 0), ds);
              expected(b * T + j, problem.column(h, 2) + k).add(problem.dcontext(b * T + i, h * d + k), p[j]);
            }
          }
        }
      }
    }
    expected = expected.stored(problem.dtype);
    on_all_settings("attention backward, " + problem.text(), [&] {
      const pp_attention attention = problem.attention();
      Matrix dqkv = Matrix::empty(problem.B * T, problem.qkv.columns(), problem.dtype);
      const pp_matrix dvalues = problem.dcontext.view(), qkv = problem.qkv.view(), to = dqkv.view();
      CHECK_EQUAL(pp_attention_backward(Context(), &attention, &dvalues, &qkv, log_sums.data(), &to), PP_OK);
      CHECK_ELEMENTS(dqkv, expected);
      CHECK(dqkv.padding_intact());
      return dense({dqkv});
    });
  }
}

TEST(the_last_tokens_of_a_cache_are_those_of_the_whole) {
  for (const Problem& problem : problems()) {
    if (!check::drawn_case()) continue;
    const int64_t B = problem.B, T = problem.T, d = problem.d, heads = problem.heads;
    // A single one goes another way.
    const int64_t last = check::pick(0, 1) == 0 ? 1 : check::pick(1, T), before = T - last, capacity = T + check::pick(0, 5);
    Reference sums(B * heads, T);
    const Reference whole = problem.context(sums);
    Reference expected(B * last, heads * d);
    // What lies behind the cache's tokens stays poison.
    const int64_t key_columns = problem.key_heads * d;
    Matrix q = Matrix::empty(B * last, heads * d, problem.dtype);
    Matrix k = Matrix::empty(B * capacity, key_columns, problem.dtype), v = k;
    std::vector<uint8_t> mask(B * capacity, 1);
    std::vector<int32_t> starts(B * last);
    for (int64_t b = 0; b < B; ++b) {
      for (int64_t t = 0; t < T; ++t) {
        mask[b * capacity + t] = problem.mask[b * T + t];
        for (int64_t j = 0; j < key_columns; ++j) {
          k.set(b * capacity + t, j, problem.qkv(b * T + t, heads * d + j));
          v.set(b * capacity + t, j, problem.qkv(b * T + t, heads * d + key_columns + j));
        }
        if (t < before) continue;
        const int64_t row = b * last + t - before;
        starts[row] = static_cast<int32_t>(problem.start(b, t));
        for (int64_t j = 0; j < heads * d; ++j) {
          q.set(row, j, problem.qkv(b * T + t, j));
          expected(row, j) = whole(b * T + t, j);
        }
      }
    }
    on_all_settings("attention with a cache, " + problem.text(), [&] {
      pp_attention attention = problem.attention();
      attention.tokens = last;
      if (problem.masks) attention.mask = mask.data();
      if (attention.starts != nullptr) attention.starts = starts.data();
      Matrix out = Matrix::empty(B * last, heads * d, problem.dtype);
      const pp_matrix queries = q.view(), keys = k.view(), key_values = v.view(), values = out.view();
      CHECK_EQUAL(pp_attention_cached(Context(), &attention, T, &queries, &keys, &key_values, &values), PP_OK);
      CHECK_ELEMENTS(out, expected);
      CHECK(out.padding_intact());
      return dense({out});
    });
  }
}

TEST(one_token_of_many_keys_is_that_of_all_their_runs) {
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    for (const int64_t keys : {1023, 1024, 1025, 2048, 3100}) {
      if (!check::drawn_case()) continue;
      const int64_t B = check::pick(1, 2), key_heads = check::pick(1, 2), heads = key_heads * check::pick(1, 5);
      const int64_t d = check::pick(std::vector<int64_t>{3, 16, 40}), capacity = keys + check::pick(0, 3);
      Matrix q = Matrix::random(B, heads * d, dtype), k = Matrix::random(B * capacity, key_heads * d, dtype),
             v = Matrix::random(B * capacity, key_heads * d, dtype);
      pp_attention attention{B, 1, heads, d, 1.0f / std::sqrt(static_cast<float>(d)), nullptr, key_heads, nullptr, 0, 0.0f, 1};
      if (check::pick(0, 1) == 0) attention.window = check::pick(1, keys + 3);
      if (check::pick(0, 1) == 0) attention.cap = 2.0f;
      std::vector<uint8_t> mask(B * capacity, 1);
      std::vector<int32_t> starts(B);
      for (int64_t b = 0; b < B; ++b) {
        starts[b] = static_cast<int32_t>(check::pick(0, keys - 1));
        // A whole run that none sees, and holes.
        for (int64_t j = 0; j < keys; ++j) mask[b * capacity + j] = (j < 1024 || j >= 2048) && check::pick(0, 9) > 0;
      }
      const bool masks = check::pick(0, 1) == 0, packs = check::pick(0, 1) == 0;
      if (masks) attention.mask = mask.data();
      if (packs) attention.starts = starts.data();
      Reference expected(B, heads * d);
      for (int64_t b = 0; b < B; ++b) {
        for (int64_t h = 0; h < heads; ++h) {
          const int64_t column = h / (heads / key_heads) * d;
          std::vector<Sum> scores(keys);
          const auto sees = [&](int64_t j) {
            return !(masks && mask[b * capacity + j] == 0) && !(packs && j < starts[b]) &&
                   !(attention.window > 0 && j < keys - attention.window);
          };
          double most = -INFINITY;
          for (int64_t j = 0; j < keys; ++j) {
            if (!sees(j)) continue;
            Sum score;
            for (int64_t i = 0; i < d; ++i) {
              score += static_cast<double>(attention.scale) * q(b, h * d + i) * k(b * capacity + j, column + i);
            }
            scores[j] = capped(score, static_cast<double>(attention.cap)).value;
            most = std::max<double>(most, scores[j]);
          }
          // A run of keys has a largest score of its own: its exponentials are multiplied by that of what it is less than the
          // largest of all, no more than their own scores are. P is float32 in both types.
          Sum total;
          std::vector<Sum> values(d);
          for (int64_t j = 0; j < keys; ++j) {
            if (!sees(j)) continue;
            const Sum x = less(scores[j], most);
            const Sum of_run = Sum::off(1.0, rounding::exponential(-x) - rounding::gamma(1, rounding::kFloat32) * x);
            const Sum e = Sum::product(exponential(x), of_run);
            total.add(1.0, e);
            for (int64_t i = 0; i < d; ++i) values[i].add(v(b * capacity + j, column + i), e);
          }
          // Of a run of 1024 keys: in vectors of 4 elements or more for their sum, one after the other for the values.
          const double runs = std::ceil(static_cast<double>(keys) / 1024);
          total = total.in_lanes(1024 / 4 + 16 + runs);
          const double of_share = total.error() / (total - total.error()) + rounding::gamma(1, rounding::kFloat32);
          const Sum share = Sum::off(1.0 / total, of_share / total);
          for (int64_t i = 0; i < d && total > 0.0; ++i) {
            expected(b, h * d + i) = Sum::product(values[i].in_lanes(1024 + runs), share).stored(dtype);
          }
        }
      }
      on_all_settings("one token of " + std::to_string(keys) + " keys", [&] {
        Matrix out = Matrix::empty(B, heads * d, dtype);
        const pp_matrix queries = q.view(), all_keys = k.view(), all_values = v.view(), values = out.view();
        CHECK_EQUAL(pp_attention_cached(Context(), &attention, keys, &queries, &all_keys, &all_values, &values), PP_OK);
        CHECK_ELEMENTS(out, expected);
        CHECK(out.padding_intact());
        return dense({out});
      });
      // A sequence's values do not depend on the others.
      Matrix together(B, heads * d, heads * d, 0, dtype), alone(1, heads * d, heads * d, 0, dtype);
      const pp_matrix queries = q.view(), all_keys = k.view(), all_values = v.view(), values = together.view();
      CHECK_EQUAL(pp_attention_cached(Context(), &attention, keys, &queries, &all_keys, &all_values, &values), PP_OK);
      pp_matrix first_query = queries, first_keys = all_keys, first_values = all_values, own = alone.view();
      first_query.rows = attention.sequences = 1;
      first_keys.rows = first_values.rows = capacity;
      CHECK_EQUAL(pp_attention_cached(Context(), &attention, keys, &first_query, &first_keys, &first_values, &own), PP_OK);
      CHECK(std::memcmp(values.data, own.data, static_cast<size_t>(heads * d) * pp_dtype_size(dtype)) == 0);
    }
  }
}

TEST(large_scores_in_one_of_many_runs_come_through) {
  constexpr int64_t kKeys = 2500, d = 8;
  Matrix q = Matrix::random(1, d), k = Matrix::random(kKeys, d), v = Matrix::random(kKeys, d);
  for (int64_t i = 0; i < d; ++i) {
    q.set(0, i, 40);
    for (int64_t j = 0; j < kKeys; ++j) k.set(j, i, j == 1500 ? 40.0f : -40.0f);
  }
  const pp_attention attention{1, 1, 1, d, 1.0f, nullptr, 0, nullptr, 0, 0.0f, 1};
  Matrix out(1, d, d, 0);
  const pp_matrix queries = q.view(), keys = k.view(), key_values = v.view(), values = out.view();
  const auto run = [&] {
    CHECK_EQUAL(pp_attention_cached(Context(), &attention, kKeys, &queries, &keys, &key_values, &values), PP_OK);
  };
  run();
  for (int64_t i = 0; i < d; ++i) CHECK_EQUAL(out(0, i), v(1500, i));
  k.set(2400, 3, NAN);
  run();
  for (int64_t i = 0; i < d; ++i) CHECK(std::isnan(out(0, i)));
}

TEST(attention_takes_scratch_for_the_threads_that_have_work) {
  const int32_t threads = pp_num_threads();
  pp_set_num_threads(64);
  // One head of keys for two of queries, which are two items, whose dK and dV are apart.
  const Problem problem(PP_FLOAT32, 1, 100, 2, 32, 1);
  const pp_attention attention = problem.attention();
  pp_context context{kCpu, nullptr};
  CHECK_EQUAL(pp_workspace_create(&kCpu, &context.workspace), PP_OK);
  Matrix log_sums(2, 100, 100, 0), dqkv = Matrix::empty(100, problem.qkv.columns());
  for (int64_t t = 0; t < 100; ++t) {
    log_sums.set(0, t, 10.0f);
    log_sums.set(1, t, 10.0f);
  }
  const pp_matrix dvalues = problem.dcontext.view(), qkv = problem.qkv.view(), to = dqkv.view();
  CHECK_EQUAL(pp_attention_backward(&context, &attention, &dvalues, &qkv, log_sums.data(), &to), PP_OK);
  constexpr int64_t kPadded = 112;
  const int64_t floats = 2 * (kPadded + 3 * kPadded * 32 + 48 * (4 * kPadded + 3 * 32)) + 2 * 2 * kPadded * 32;
  CHECK(static_cast<int64_t>(pp_workspace_bytes(context.workspace)) <= 4 * floats + 1024);  // guards, and pieces at cache lines
  CHECK_EQUAL(pp_workspace_destroy(context.workspace), PP_OK);
  pp_set_num_threads(threads);
}

TEST(what_a_block_does_not_see_is_not_computed) {
  // NaN in keys and values that no token of the other blocks sees, although the last ones do.
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    Problem problem(dtype, 1, 200, 2, 16, 1);
    problem.causal = true;
    problem.masks = false;
    problem.window = 20;
    for (int64_t j = problem.heads * problem.d; j < problem.qkv.columns(); ++j) problem.qkv.set(199, j, NAN);
    on_all_settings("attention's blocks", [&] {
      const pp_attention attention = problem.attention();
      Matrix out = Matrix::empty(200, 32, dtype), log_sums(2, 200, 200, 0);
      const pp_matrix qkv = problem.qkv.view(), values = out.view();
      CHECK_EQUAL(pp_attention_forward(Context(), &attention, &qkv, &values, log_sums.data()), PP_OK);
      for (int64_t t = 0; t < 144; ++t) CHECK(!std::isnan(out(t, 3)));
      CHECK(std::isnan(out(199, 3)));
      return std::vector<Matrix>();
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
  Matrix k_matrix{8, 8, 8, 0}, v_matrix{8, 8, 8, 0}, q_matrix{6, 8, 8, 0};
  pp_matrix qkv = qkv_matrix.view(), dqkv = dqkv_matrix.view(), values = values_matrix.view();
  pp_matrix q = q_matrix.view(), k = k_matrix.view(), v = v_matrix.view();
  pp_attention extents{2, 3, 2, 4, 0.5f, nullptr, 0, nullptr, 0, 0.0f, 0};
  const pp_attention* attention = &extents;
  float* plog_sums = log_sums.data();
  int64_t key_count = 4;

  pp_status forward() { return pp_attention_forward(&context, attention, &qkv, &values, plog_sums); }
  pp_status backward() { return pp_attention_backward(&context, attention, &values, &qkv, plog_sums, &dqkv); }
  pp_status cached() { return pp_attention_cached(&context, attention, key_count, &q, &k, &v, &values); }
  std::vector<Matrix> outputs() const { return {values_matrix, dqkv_matrix}; }
};

using Call = pp_status (Calls::*)();

}  // namespace

TEST(bad_arguments_are_named_and_nothing_is_written) {
  const std::vector<Call> both{&Calls::forward, &Calls::backward}, backward{&Calls::backward}, cached{&Calls::cached};
  const std::vector<Call> all{&Calls::forward, &Calls::backward, &Calls::cached};
  for (const Call call : all) {
    Calls good;
    CHECK_EQUAL((good.*call)(), PP_OK);
    Calls empty;
    empty.extents.sequences = empty.qkv.rows = empty.dqkv.rows = empty.values.rows = 0;
    empty.q.rows = empty.k.rows = empty.v.rows = 0;
    const Matrix before = empty.values_matrix;
    CHECK_EQUAL((empty.*call)(), PP_OK);
    CHECK(empty.values_matrix == before);
  }
  check_refused<Calls>({
      {all, [](Calls& c) { c.attention = nullptr; }, "attention must not be null"},
      {all, [](Calls& c) { c.extents.sequences = -1; }, "attention->sequences must be at least 0, got -1"},
      {all, [](Calls& c) { c.extents.tokens = 0; }, "attention->tokens must be at least 1, got 0"},
      {all, [](Calls& c) { c.extents.heads = 0; }, "attention->heads must be at least 1, got 0"},
      {all, [](Calls& c) { c.extents.head_size = 0; }, "attention->head_size must be at least 1, got 0"},
      {both, [](Calls& c) { c.qkv.ld = 23; }, "qkv.ld must be at least the row's 24 elements, got 23"},
      {all, [](Calls& c) { c.values.ld = 7; }, "values.ld must be at least the row's 8 elements, got 7"},
      {both, [](Calls& c) { c.qkv.cols = 23; }, "qkv must be float32 [6, 24], got float32 [6, 23]"},
      {both, [](Calls& c) { c.qkv.data = nullptr; }, "qkv.data must not be null"},
      {all, [](Calls& c) { c.values.data = nullptr; }, "values.data must not be null"},
      {both, [](Calls& c) { c.plog_sums = nullptr; }, "log_sums must not be null"},
      {all, [](Calls& c) { c.extents.key_heads = -1; }, "attention->key_heads must be at least 0, got -1"},
      {all, [](Calls& c) { c.extents.key_heads = 3; }, "attention->key_heads must divide the 2 heads, got 3"},
      {all, [](Calls& c) { c.extents.window = -1; }, "attention->window must be at least 0, got -1"},
      {all, [](Calls& c) { c.extents.cap = -1.0f; }, "attention->cap must be at least 0 and finite, got -1"},
      {all, [](Calls& c) { c.extents.cap = NAN; }, "attention->cap must be at least 0 and finite, got nan"},
      {all, [](Calls& c) { c.extents.cap = INFINITY; }, "attention->cap must be at least 0 and finite, got inf"},
      {all, [](Calls& c) { c.extents.scale = NAN; }, "attention->scale must be finite, got nan"},
      {all, [](Calls& c) { c.extents.causal = 2; }, "attention->causal must be 0 or 1, got 2"},
      {both, [](Calls& c) { c.extents.key_heads = 1; }, "qkv must be float32 [6, 16], got float32 [6, 24]"},
      {cached, [](Calls& c) { c.extents.key_heads = 1; }, "k must be float32 [8, 4], got float32 [8, 8]"},
      {cached, [](Calls& c) { c.key_count = 2; }, "key_count must be at least 3, got 2"},
      {cached, [](Calls& c) { c.key_count = 5; }, "key_count must be at most 4, got 5"},
      {cached, [](Calls& c) { c.k.rows = c.v.rows = 7; }, "k must have as many rows for each of the 2 sequences, got 7"},
      {cached, [](Calls& c) { c.v.rows = 6; }, "v must be float32 [8, 8], got float32 [6, 8]"},
      {cached, [](Calls& c) { c.q.cols = 7; }, "q must be float32 [6, 8], got float32 [6, 7]"},
      {cached, [](Calls& c) { c.k.data = nullptr; }, "k.data must not be null"},
      {backward, [](Calls& c) { c.dqkv.data = nullptr; }, "dqkv.data must not be null"},
      {backward, [](Calls& c) { c.dqkv.data = c.qkv.data; }, "dqkv must not be the buffer of qkv"},
      {backward, [](Calls& c) { c.dqkv.ld = 5; }, "dqkv.ld"},
      {all, [](Calls& c) { c.context.workspace = nullptr; }, "context->workspace must not be null"},
      {all, [](Calls& c) { c.qkv.dtype = c.dqkv.dtype = c.values.dtype = c.q.dtype = c.k.dtype = c.v.dtype = PP_FLOAT16; },
       "float16", PP_UNSUPPORTED},
      {all, [](Calls& c) { c.context.device.type = PP_CUDA; }, "CUDA", PP_UNSUPPORTED},
  });
}
