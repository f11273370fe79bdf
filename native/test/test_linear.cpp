#include "linear_problem.h"

namespace {

/** S or dS as a call leaves it that began with poison: other rows than the module's stay so. */
void check_rows(const Module& module, const Matrix& seen, const Reference& expected) {
  Matrix part(module.rows, module.rank, module.rank, 0);
  Reference reference(module.rows, module.rank);
  for (int64_t i = 0; i < seen.rows(); ++i) {
    const bool own = i >= module.first_row && i < module.end_row();
    for (int64_t j = 0; j < module.rank; ++j) {
      if (own) {
        part.set(i - module.first_row, j, seen(i, j));
        reference(i - module.first_row, j) = expected(i, j);
      } else {
        CHECK(std::isnan(seen(i, j)));
      }
    }
  }
  CHECK_OUTPUT(part, reference);
  CHECK(seen.padding_intact());
}

/** Or those that are drawn. */
std::vector<Problem> problems(const std::vector<pp_dtype>& dtypes) {
  struct Fixed {
    int64_t M, N, K;
    std::vector<int64_t> ranks;
    double p;
  };
  const std::vector<Fixed> fixed{
      {220, 450, 800, {32}, 0.0},  {205, 130, 400, {8, 40}, 0.1}, {700, 40, 129, {17, 32}, 0.1},
      {13, 385, 1201, {300}, 0.0}, {67, 31, 1031, {33, 8}, 0.25}, {130, 1100, 20, {9}, 0.0},
      {1, 1, 1, {1}, 0.5},         {400, 63, 65, {}, 0.0},        {30, 20, 24, std::vector<int64_t>(16, 3), 0.1}};
  std::vector<Problem> list;
  for (const pp_dtype dtype : dtypes) {
    for (int i = 0; i < 25; ++i) {
      if (!check::drawn_case()) continue;
      list.push_back(Problem(dtype, pick_size(), pick_size(), pick_size()));
      add_random_modules(list.back());
    }
    for (const auto& [M, N, K, ranks, p] : fixed) {
      if (check::drawn_case()) list.push_back(Problem(dtype, M, N, K, ranks, p));
    }
  }
  return list;
}
const std::vector<pp_dtype> kBoth{PP_FLOAT32, PP_BFLOAT16}, kFloat32{PP_FLOAT32};

/** Made from the problem's W, which is gone (overwritten) before the plan is used. */
struct Plan {
  pp_linear* linear = nullptr;
  explicit Plan(const Problem& problem) {
    Matrix w = problem.w, bias = problem.bias;
    const pp_matrix w_view = w.view(), bias_view = bias.view();
    CHECK_EQUAL(pp_linear_create(Context(), &w_view, problem.has_bias ? &bias_view : nullptr, &linear), PP_OK);
    for (int64_t n = 0; n < problem.N; ++n) {
      bias.set(0, n, NAN);
      for (int64_t k = 0; k < problem.K; ++k) w.set(n, k, NAN);
    }
  }
  Plan(const Plan&) = delete;
  ~Plan() { pp_linear_destroy(linear); }
};

/** S = s·D(x) Aᵀ of a module's rows. */
Reference down_reference(const Problem& problem, const Module& module) {
  Reference s(problem.M, module.rank);
  for (int64_t i = module.first_row; i < module.end_row(); ++i) {
    std::vector<double> row(problem.K);
    for (int64_t k = 0; k < problem.K; ++k) row[k] = problem.x(i, k) * module.factor(problem.K, i, k);
    for (int64_t j = 0; j < module.rank; ++j) {
      for (int64_t k = 0; k < problem.K; ++k) s(i, j) += module.scale * row[k] * module.a(j, k);
    }
  }
  return s;
}

/** What the modules add to dX. */
void add_grad_input(const Problem& problem, Reference& dx) {
  for (const Module& module : problem.modules) {
    for (int64_t i = module.first_row; i < module.end_row(); ++i) {
      for (int64_t k = 0; k < problem.K; ++k) {
        const double factor = module.factor(problem.K, i, k);
        for (int64_t j = 0; j < module.rank; ++j) dx(i, k) += factor * module.ds(i, j) * module.a(j, k);
      }
    }
  }
}

Reference start_of(const Matrix& before, bool accumulate) {
  Reference reference(before.rows(), before.columns());
  for (int64_t i = 0; i < before.rows() && accumulate; ++i) {
    for (int64_t j = 0; j < before.columns(); ++j) reference(i, j) = static_cast<double>(before(i, j));
  }
  return reference;
}

}  // namespace

TEST(forward_is_the_linear_plus_its_modules) {
  for (const Problem& problem : problems(kBoth)) {
    Reference y(problem.M, problem.N);
    for (int64_t i = 0; i < problem.M; ++i) {
      for (int64_t n = 0; n < problem.N; ++n) {
        if (problem.has_bias) y(i, n) += static_cast<double>(problem.bias(0, n));
        for (int64_t k = 0; k < problem.K; ++k) y(i, n) += static_cast<double>(problem.x(i, k)) * problem.w(n, k);
      }
    }
    std::vector<Reference> s;
    for (const Module& module : problem.modules) {
      s.push_back(down_reference(problem, module));
      // S is float32, and an operand of the problem's type.
      const Reference operand = s.back().stored(problem.dtype);
      for (int64_t i = module.first_row; i < module.end_row(); ++i) {
        for (int64_t n = 0; n < module.columns; ++n) {
          for (int64_t j = 0; j < module.rank; ++j) y(i, module.first_column + n).add(module.b(n, j), operand(i, j));
        }
      }
    }
    y = y.stored(problem.dtype);
    const Plan plan(problem);
    on_all_settings("forward, " + problem.text(), [&] {
      Given given(problem);
      given.clear(&Module::s, &pp_lora_module::s);
      Matrix out = Matrix::empty(problem.M, problem.N, problem.dtype);
      const pp_matrix x = problem.x.view(), y_view = out.view();
      CHECK_EQUAL(pp_linear_forward(Context(), plan.linear, &x, given.table.data(), given.count(), &y_view), PP_OK);
      for (size_t n = 0; n < s.size(); ++n) check_rows(given.own[n], given.own[n].s, s[n]);
      CHECK_OUTPUT(out, y);
      std::vector<Matrix> outputs = given.all(&Module::s);
      outputs.push_back(out);
      return dense(outputs);
    });
  }
}

TEST(grad_input_is_the_transposed_linear_plus_its_masked_modules) {
  for (const Problem& problem : problems(kBoth)) {
    Reference dx(problem.M, problem.K);
    for (int64_t i = 0; i < problem.M; ++i) {
      for (int64_t k = 0; k < problem.K; ++k) {
        for (int64_t n = 0; n < problem.N; ++n) dx(i, k) += static_cast<double>(problem.dy(i, n)) * problem.w(n, k);
      }
    }
    add_grad_input(problem, dx);
    dx = dx.stored(problem.dtype);
    const Plan plan(problem);
    on_all_settings("grad_input, " + problem.text(), [&] {
      const Given given(problem);
      Matrix out = Matrix::empty(problem.M, problem.K, problem.dtype);
      const pp_matrix dy = problem.dy.view(), to = out.view();
      CHECK_EQUAL(pp_linear_grad_input(Context(), plan.linear, &dy, given.table.data(), given.count(), &to), PP_OK);
      CHECK_OUTPUT(out, dx);
      return dense({out});
    });
  }
}

TEST(a_borrowed_w_gives_the_bits_of_a_copied_one) {
  std::vector<Problem> list = problems(kBoth);
  for (const pp_dtype dtype : kBoth) {
    if (check::drawn_case()) list.push_back(Problem(dtype, 500, 777, 1001, {5}, 0.0));
  }
  for (const Problem& problem : list) {
    const Plan copied(problem);
    pp_linear* borrowed = nullptr;
    const pp_matrix w = problem.w.view(), bias = problem.bias.view();
    CHECK_EQUAL(pp_linear_borrow(Context(), &w, problem.has_bias ? &bias : nullptr, &borrowed), PP_OK);
    on_all_settings("borrowed, " + problem.text(), [&] {
      std::vector<std::vector<Matrix>> seen;
      for (const pp_linear* linear : {copied.linear, borrowed}) {
        Given given(problem);
        Matrix y = Matrix::empty(problem.M, problem.N, problem.dtype), dx = Matrix::empty(problem.M, problem.K, problem.dtype);
        const pp_matrix x = problem.x.view(), dy = problem.dy.view(), y_view = y.view(), dx_view = dx.view();
        CHECK_EQUAL(pp_linear_forward(Context(), linear, &x, given.table.data(), given.count(), &y_view), PP_OK);
        CHECK_EQUAL(pp_linear_grad_input(Context(), linear, &dy, given.table.data(), given.count(), &dx_view), PP_OK);
        CHECK(y.padding_intact() && dx.padding_intact());
        seen.push_back(dense({y, dx}));
      }
      CHECK(seen[0] == seen[1]);
      return seen[1];
    });
    CHECK_EQUAL(pp_linear_destroy(borrowed), PP_OK);
  }
}

TEST(rows_of_w_are_what_the_plan_was_given_bit_for_bit) {
  for (const pp_dtype dtype : kBoth) {
    const size_t size = pp_dtype_size(dtype);
    for (int turn = 0; turn < 20; ++turn) {
      if (!check::drawn_case()) continue;
      const int64_t N = pick_size(), K = turn == 0 ? 1000 : pick_size();
      Matrix w = Matrix::empty(N, K, dtype);
      const pp_matrix w_view = w.view();
      const auto at = [&](const pp_matrix& matrix, int64_t i, int64_t j) {
        return static_cast<char*>(matrix.data) + static_cast<size_t>(i * matrix.ld + j) * size;
      };
      // Any bits: NaN of any payload, infinities, subnormal numbers, and zeros of both signs.
      for (int64_t i = 0; i < N; ++i) {
        for (int64_t j = 0; j < K; ++j) {
          uint32_t bits = static_cast<uint32_t>(check::random()());
          if (check::pick(0, 3) == 0)
            bits = check::pick(std::vector<uint32_t>{0x80000000u, 0x7F812345u, 0xFF800000u, 0x00011111u});
          if (dtype == PP_BFLOAT16) bits >>= 16;
          std::memcpy(at(w_view, i, j), &bits, size);
        }
      }
      pp_linear *copied, *borrowed;
      CHECK_EQUAL(pp_linear_create(Context(), &w_view, nullptr, &copied), PP_OK);
      CHECK_EQUAL(pp_linear_borrow(Context(), &w_view, nullptr, &borrowed), PP_OK);
      const int64_t first = check::pick(0, N - 1), count = check::pick(0, N - first);
      for (const pp_linear* linear : {copied, borrowed}) {
        on_all_settings("rows of " + std::to_string(N) + " x " + std::to_string(K), [&] {
          Matrix out = Matrix::empty(count, K, dtype);
          const pp_matrix to = out.view();
          CHECK_EQUAL(pp_linear_rows(Context(), linear, first, &to), PP_OK);
          CHECK(out.padding_intact());
          for (int64_t i = 0; i < count; ++i) {
            CHECK(std::memcmp(at(to, i, 0), at(w_view, first + i, 0), static_cast<size_t>(K) * size) == 0);
          }
          return dense({out});
        });
      }
      CHECK_EQUAL(pp_linear_destroy(copied), PP_OK);
      CHECK_EQUAL(pp_linear_destroy(borrowed), PP_OK);
    }
  }
}

TEST(rows_that_w_does_not_have_are_refused) {
  const Problem problem(PP_FLOAT32, 1, 12, 10, {}, 0.0);
  const Plan plan(problem);
  Matrix out = Matrix::empty(4, 10);
  const std::vector<Matrix> before = {out};
  pp_matrix to = out.view();
  CHECK_FAILS(pp_linear_rows(Context(), plan.linear, -1, &to), PP_INVALID_ARGUMENT, "first must be at least 0, got -1");
  CHECK_FAILS(pp_linear_rows(Context(), plan.linear, 9, &to), PP_INVALID_ARGUMENT, "first must be at most 8, got 9");
  CHECK_FAILS(pp_linear_rows(Context(), plan.linear, INT64_MAX, &to), PP_INVALID_ARGUMENT, "first must be at most 8");
  CHECK_FAILS(pp_linear_rows(Context(), plan.linear, 0, nullptr), PP_INVALID_ARGUMENT, "to must not be null");
  CHECK_FAILS(pp_linear_rows(Context(), nullptr, 0, &to), PP_INVALID_ARGUMENT, "linear must not be null");
  to.cols = 9;
  CHECK_FAILS(pp_linear_rows(Context(), plan.linear, 0, &to), PP_INVALID_ARGUMENT, "to must be float32 [4, 10]");
  CHECK(before == std::vector<Matrix>{out});
}

TEST(down_is_the_scaled_product_with_the_masked_input) {
  for (const Problem& problem : problems(kFloat32)) {
    std::vector<Reference> s;
    for (const Module& module : problem.modules) s.push_back(down_reference(problem, module));
    on_all_settings("down, " + problem.text(), [&] {
      Given given(problem);
      given.clear(&Module::s, &pp_lora_module::s);
      const pp_matrix x = problem.x.view();
      CHECK_EQUAL(pp_lora_down(Context(), &x, given.table.data(), given.count()), PP_OK);
      for (size_t n = 0; n < s.size(); ++n) check_rows(given.own[n], given.own[n].s, s[n]);
      return dense(given.all(&Module::s));
    });
  }
}

TEST(up_adds_to_what_is_there_or_overwrites) {
  for (Problem& problem : problems(kFloat32)) {
    const bool accumulate = check::pick(0, 1) == 1;
    if (!accumulate && problem.modules.size() > 1) problem.modules.resize(1);  // they may not overlap
    const Matrix before = Matrix::random(problem.M, problem.N);
    Reference y = start_of(before, true);
    for (const Module& module : problem.modules) {
      for (int64_t i = module.first_row; i < module.end_row(); ++i) {
        for (int64_t n = 0; n < module.columns; ++n) {
          Sum& to = y(i, module.first_column + n);
          if (!accumulate) to = Sum();
          for (int64_t j = 0; j < module.rank; ++j) to += static_cast<double>(module.s(i, j)) * module.b(n, j);
        }
      }
    }
    on_all_settings((accumulate ? "up, " : "up that overwrites, ") + problem.text(), [&] {
      const Given given(problem);
      Matrix out = before;
      const pp_matrix to = out.view();
      CHECK_EQUAL(pp_lora_up(Context(), given.table.data(), given.count(), &to, accumulate), PP_OK);
      CHECK_OUTPUT(out, y);
      return dense({out});
    });
  }
}

TEST(grad_up_gives_both_products_of_one_reading) {
  for (const Problem& problem : problems(kBoth)) {
    const bool wants_ds = check::pick(0, 3) > 0;
    std::vector<Reference> ds, db;
    for (const Module& module : problem.modules) {
      ds.emplace_back(problem.M, module.rank);
      // Without rows nothing is written.
      db.push_back(start_of(module.db, module.rows == 0));
      for (int64_t i = module.first_row; i < module.end_row(); ++i) {
        for (int64_t n = 0; n < module.columns; ++n) {
          const double dy = problem.dy(i, module.first_column + n);
          for (int64_t j = 0; j < module.rank; ++j) {
            ds.back()(i, j) += module.scale * dy * module.b(n, j);
            db.back()(n, j) += dy * module.s(i, j);
          }
        }
      }
    }
    on_all_settings("grad_up, " + problem.text(), [&] {
      Given given(problem);
      given.clear(&Module::ds, &pp_lora_module::ds);
      for (pp_lora_module& module : given.table) {
        if (!wants_ds) module.ds = {};
      }
      const pp_matrix dy = problem.dy.view();
      CHECK_EQUAL(pp_lora_grad_up(Context(), &dy, given.table.data(), given.count()), PP_OK);
      for (size_t n = 0; n < ds.size(); ++n) {
        if (wants_ds) check_rows(given.own[n], given.own[n].ds, ds[n]);
        CHECK_OUTPUT(given.own[n].db, db[n]);
      }
      std::vector<Matrix> outputs = given.all(&Module::ds), gradients = given.all(&Module::db);
      outputs.insert(outputs.end(), gradients.begin(), gradients.end());
      return dense(outputs);
    });
  }
}

TEST(gradients_are_the_same_with_more_threads_than_chunks_of_rows) {
  const int32_t threads = pp_num_threads();
  for (const pp_dtype dtype : kBoth) {
    for (const int64_t M : {5, 97, 400}) {
      if (!check::drawn_case()) continue;
      const Problem problem(dtype, M, check::pick(600, 1100), check::pick(600, 1100), {5, 17}, 0.25);
      const pp_matrix x = problem.x.view(), dy = problem.dy.view();
      std::vector<Matrix> one_thread;
      for (const int count : {1, 2, 40, 100}) {
        check::context() = problem.text() + ", " + std::to_string(count) + " threads";
        pp_set_num_threads(count);
        Given given(problem);
        CHECK_EQUAL(pp_lora_grad_up(Context(), &dy, given.table.data(), given.count()), PP_OK);
        CHECK_EQUAL(pp_lora_grad_down(Context(), &x, given.table.data(), given.count()), PP_OK);
        std::vector<Matrix> seen;
        for (Matrix Module::*matrix : {&Module::ds, &Module::da, &Module::db}) {
          for (const Matrix& one : dense(given.all(matrix))) seen.push_back(one);
        }
        if (count == 1) one_thread = seen;
        CHECK(seen == one_thread);
      }
    }
  }
  pp_set_num_threads(threads);
}

TEST(grad_down_is_the_product_with_the_same_mask) {
  for (const Problem& problem : problems(kBoth)) {
    std::vector<Reference> da;
    for (const Module& module : problem.modules) {
      da.push_back(start_of(module.da, module.rows == 0));
      std::vector<Sum> ds(module.rank);
      for (int64_t i = module.first_row; i < module.end_row(); ++i) {
        double factor = 0.0;  // of what is kept, the same for all
        for (int64_t k = 0; k < problem.K; ++k) {
          const double own = module.factor(problem.K, i, k);
          if (own != factor && own != 0.0) {
            factor = own;
            // In bfloat16 dS takes the factor, and is rounded again.
            for (int64_t j = 0; j < module.rank; ++j) {
              ds[j] =
                  factor == 1.0 ? Sum(module.ds(i, j)) : Sum::product(Sum(factor), Sum(module.ds(i, j))).stored(problem.dtype);
            }
          }
          for (int64_t j = 0; j < module.rank && own != 0.0; ++j) da.back()(j, k).add(problem.x(i, k), ds[j]);
        }
      }
    }
    on_all_settings("grad_down, " + problem.text(), [&] {
      Given given(problem);
      const pp_matrix x = problem.x.view();
      CHECK_EQUAL(pp_lora_grad_down(Context(), &x, given.table.data(), given.count()), PP_OK);
      for (size_t n = 0; n < da.size(); ++n) CHECK_OUTPUT(given.own[n].da, da[n]);
      return dense(given.all(&Module::da));
    });
  }
}

TEST(lora_grad_input_adds_the_masked_products_or_overwrites) {
  for (const Problem& problem : problems(kFloat32)) {
    const bool accumulate = check::pick(0, 1) == 1;
    const Matrix before = Matrix::random(problem.M, problem.K);
    Reference dx = start_of(before, true);
    for (const Module& module : problem.modules) {
      for (int64_t i = module.first_row; i < module.end_row() && !accumulate; ++i) {
        for (int64_t k = 0; k < problem.K; ++k) dx(i, k) = Sum();
      }
    }
    add_grad_input(problem, dx);
    on_all_settings((accumulate ? "lora_grad_input, " : "lora_grad_input that overwrites, ") + problem.text(), [&] {
      const Given given(problem);
      Matrix out = before;
      const pp_matrix to = out.view();
      CHECK_EQUAL(pp_lora_grad_input(Context(), given.table.data(), given.count(), &to, accumulate), PP_OK);
      CHECK_OUTPUT(out, dx);
      return dense({out});
    });
  }
}

namespace {

/** The functions on a problem; what they write, by name. */
std::vector<Matrix> run_all(const Problem& problem, const Plan& plan, std::vector<pp_lora_module>& table, Given& outputs) {
  const int32_t count = static_cast<int32_t>(table.size());
  Matrix y = Matrix(problem.M, problem.N, problem.N, 0, problem.dtype), dx(problem.M, problem.K, problem.K, 0, problem.dtype);
  const pp_matrix x = problem.x.view(), dy = problem.dy.view(), y_view = y.view(), dx_view = dx.view();
  CHECK_EQUAL(pp_linear_forward(Context(), plan.linear, &x, table.data(), count, &y_view), PP_OK);
  CHECK_EQUAL(pp_lora_grad_up(Context(), &dy, table.data(), count), PP_OK);
  CHECK_EQUAL(pp_lora_grad_down(Context(), &x, table.data(), count), PP_OK);
  CHECK_EQUAL(pp_linear_grad_input(Context(), plan.linear, &dy, table.data(), count, &dx_view), PP_OK);
  std::vector<Matrix> seen{y, dx};
  if (problem.dtype == PP_FLOAT32) {
    Matrix up = Matrix(problem.M, problem.N, problem.N, 0), input(problem.M, problem.K, problem.K, 0);
    for (Matrix* matrix : {&up, &input}) {
      for (int64_t i = 0; i < problem.M; ++i) {
        for (int64_t j = 0; j < matrix->columns(); ++j) matrix->set(i, j, static_cast<float>(i + j) / 7);
      }
    }
    const pp_matrix up_view = up.view(), input_view = input.view();
    CHECK_EQUAL(pp_lora_down(Context(), &x, table.data(), count), PP_OK);
    CHECK_EQUAL(pp_lora_up(Context(), table.data(), count, &up_view, 1), PP_OK);
    CHECK_EQUAL(pp_lora_grad_input(Context(), table.data(), count, &input_view, 1), PP_OK);
    seen.insert(seen.end(), {up, input});
  }
  for (Matrix Module::*matrix : {&Module::s, &Module::ds, &Module::da, &Module::db}) {
    const std::vector<Matrix> all = outputs.all(matrix);
    seen.insert(seen.end(), all.begin(), all.end());
  }
  return seen;
}

/** The rows [first, first + count) of a matrix, in its memory. */
pp_matrix rows_of(pp_matrix matrix, int64_t first, int64_t count) {
  matrix.data = static_cast<char*>(matrix.data) + first * matrix.ld * pp_dtype_size(matrix.dtype);
  matrix.rows = count;
  return matrix;
}

/** Adds a matrix to another, in float32. */
void add(const Matrix& from, Matrix& to) {
  for (int64_t i = 0; i < to.rows(); ++i) {
    for (int64_t j = 0; j < to.columns(); ++j) to.set(i, j, from(i, j) + to(i, j));
  }
}

}  // namespace

TEST(rows_of_many_give_the_bits_of_calls_for_each_run_of_rows) {
  for (int turn = 0; turn < 60; ++turn) {
    if (!check::drawn_case()) continue;
    const pp_dtype dtype = turn % 2 == 0 ? PP_FLOAT32 : PP_BFLOAT16;
    Problem problem(dtype, pick_size(), pick_size(), pick_size());
    add_random_modules(problem);
    const Plan plan(problem);
    Given together(problem), singly(problem);
    singly.dropouts.clear();
    for (size_t n = 0; n < together.table.size(); ++n) singly.table[n].dropout = together.table[n].dropout;
    check::context() = problem.text();
    std::vector<Matrix> expected = run_all(problem, plan, together.table, together);
    // The same, a run of rows at a time: its matrices begin at its first row.
    std::vector<std::pair<int64_t, int64_t>> runs;
    for (int64_t row = 0; row < problem.M;) {
      int64_t next = problem.M;
      for (const Module& module : problem.modules) {
        if (module.rows == 0) continue;
        if (module.first_row > row) next = std::min(next, module.first_row);
        if (module.first_row == row) next = std::min(next, module.end_row());
      }
      runs.push_back({row, next - row});
      row = next;
    }
    Matrix y(problem.M, problem.N, problem.N, 0, dtype), dx(problem.M, problem.K, problem.K, 0, dtype);
    for (const auto& [first, rows] : runs) {
      std::vector<pp_lora_module> own;
      for (pp_lora_module module : singly.table) {
        if (module.first_row != first || module.rows == 0) continue;
        module.first_row = 0;
        module.s = rows_of(module.s, first, rows);
        module.ds = rows_of(module.ds, first, rows);
        own.push_back(module);
      }
      const int32_t count = static_cast<int32_t>(own.size());
      const pp_matrix x = rows_of(problem.x.view(), first, rows), dy = rows_of(problem.dy.view(), first, rows),
                      y_view = rows_of(y.view(), first, rows), dx_view = rows_of(dx.view(), first, rows);
      CHECK_EQUAL(pp_linear_forward(Context(), plan.linear, &x, own.data(), count, &y_view), PP_OK);
      CHECK_EQUAL(pp_linear_backward(Context(), plan.linear, &dy, &x, own.data(), count, &dx_view), PP_OK);
    }
    CHECK(expected[0] == y && expected[1] == dx);
    CHECK(together.all(&Module::ds) == singly.all(&Module::ds));
    CHECK(together.all(&Module::da) == singly.all(&Module::da));
    CHECK(together.all(&Module::db) == singly.all(&Module::db));
  }
}

TEST(a_module_on_several_runs_of_rows_adds_its_gradients_up_in_their_order) {
  for (int turn = 0; turn < 40; ++turn) {
    if (!check::drawn_case()) continue;
    const pp_dtype dtype = turn % 2 == 0 ? PP_FLOAT32 : PP_BFLOAT16;
    Problem problem(dtype, check::pick(3, 200), pick_size(), pick_size());
    const int64_t cut = check::pick(1, problem.M - 1);
    const pp_dropout dropout = Problem::random_dropout(0.3);
    problem.add(pick_rank(), 0, cut, dropout);
    Problem singly = problem;
    check::context() = problem.text();
    const auto two = [&](Problem& of) {
      Given given(of);
      std::vector<pp_lora_module> table(2, given.table[0]);
      table[0].dropout = table[1].dropout = nullptr;
      table[1].first_row = cut;
      table[1].rows = problem.M - cut;
      return std::pair(std::move(given), table);
    };
    auto [together, both] = two(problem);
    auto [apart, one_by_one] = two(singly);
    const pp_matrix x = problem.x.view(), dy = problem.dy.view();
    CHECK_EQUAL(pp_lora_grad_up(Context(), &dy, both.data(), 2), PP_OK);
    CHECK_EQUAL(pp_lora_grad_down(Context(), &x, both.data(), 2), PP_OK);
    std::vector<Matrix> first;
    for (int n = 0; n < 2; ++n) {
      CHECK_EQUAL(pp_lora_grad_up(Context(), &dy, &one_by_one[n], 1), PP_OK);
      CHECK_EQUAL(pp_lora_grad_down(Context(), &x, &one_by_one[n], 1), PP_OK);
      if (n == 0) first = {apart.own[0].da, apart.own[0].db};
    }
    add(first[0], apart.own[0].da);
    add(first[1], apart.own[0].db);
    CHECK(together.own[0].da == apart.own[0].da && together.own[0].db == apart.own[0].db);
    CHECK(together.own[0].ds == apart.own[0].ds);
  }
}

namespace {

/** One call of each function with good arguments; a test spoils one of them. */
struct Calls : CallsInContext {
  Problem problem{PP_FLOAT32, 6, 12, 10, {4, 3}, 0.5};
  Plan plan{problem};
  pp_linear* linear = plan.linear;
  Given given{problem};
  Matrix x_matrix{6, 10, 10, 0}, y_matrix{6, 12, 12, 0}, x_read{6, 10, 10, 0};
  pp_matrix x = x_matrix.view(), y = y_matrix.view(), x_given = x_read.view();
  pp_dropout dropout = problem.modules[0].dropout;
  std::vector<pp_lora_module>& modules = given.table;
  int32_t count = 2;
  bool shows_table = true;

  Calls() {
    for (pp_lora_module& module : modules) module.dropout = &dropout;
  }
  const pp_lora_module* shown() const { return shows_table ? modules.data() : nullptr; }

  pp_status forward() { return pp_linear_forward(&context, linear, &x, shown(), count, &y); }
  pp_status grad_input() { return pp_linear_grad_input(&context, linear, &y, shown(), count, &x); }
  pp_status backward_without_da() { return pp_linear_backward(&context, linear, &y, nullptr, shown(), count, &x); }
  pp_status backward() { return pp_linear_backward(&context, linear, &y, &x_given, shown(), count, &x); }
  pp_status down() { return pp_lora_down(&context, &x, shown(), count); }
  pp_status up() { return pp_lora_up(&context, shown(), count, &y, 1); }
  pp_status grad_up() { return pp_lora_grad_up(&context, &y, shown(), count); }
  pp_status grad_down() { return pp_lora_grad_down(&context, &x, shown(), count); }
  pp_status lora_grad_input() { return pp_lora_grad_input(&context, shown(), count, &x, 1); }

  std::vector<Matrix> outputs() const {
    std::vector<Matrix> all{x_matrix, y_matrix};
    for (Matrix Module::*matrix : {&Module::s, &Module::ds, &Module::da, &Module::db}) {
      for (const Matrix& one : given.all(matrix)) all.push_back(one);
    }
    return all;
  }
};

using Call = pp_status (Calls::*)();
const std::vector<Call> kAll{&Calls::forward, &Calls::grad_input, &Calls::backward,  &Calls::down,
                             &Calls::up,      &Calls::grad_up,    &Calls::grad_down, &Calls::lora_grad_input};
const std::vector<Call> kWhole{&Calls::forward, &Calls::grad_input, &Calls::backward};

}  // namespace

TEST(bad_arguments_are_named_and_nothing_is_written) {
  for (const Call call : kAll) {
    Calls good;
    CHECK_EQUAL((good.*call)(), PP_OK);
  }
  Calls without_da;
  for (pp_lora_module& module : without_da.modules) module.da.data = nullptr;
  CHECK_EQUAL(without_da.backward_without_da(), PP_OK);
  const std::vector<Call> with_x{&Calls::down, &Calls::grad_down}, with_y{&Calls::up, &Calls::grad_up},
      reads_a{&Calls::forward, &Calls::grad_input, &Calls::backward, &Calls::down, &Calls::lora_grad_input},
      reads_b{&Calls::forward, &Calls::backward, &Calls::up, &Calls::grad_up},
      takes_s{&Calls::forward, &Calls::backward, &Calls::down, &Calls::up, &Calls::grad_up},
      takes_ds{&Calls::grad_input, &Calls::grad_down, &Calls::lora_grad_input},
      drops{&Calls::forward, &Calls::grad_input, &Calls::backward, &Calls::down, &Calls::grad_down, &Calls::lora_grad_input};
  check_refused<Calls>({
      {kWhole, [](Calls& c) { c.linear = nullptr; }, "linear must not be null"},
      {kWhole, [](Calls& c) { c.context.device.type = PP_CUDA; }, "context->device must be the plan's"},
      {kAll, [](Calls& c) { c.context.device.type = static_cast<pp_device_type>(5); }, "device->type"},
      {kAll, [](Calls& c) { c.x.dtype = c.y.dtype = static_cast<pp_dtype>(11); }, "dtype must be 0 (float32)"},
      {{&Calls::down, &Calls::up, &Calls::lora_grad_input},
       [](Calls& c) { c.x.dtype = c.y.dtype = PP_BFLOAT16; },
       "bfloat16",
       PP_UNSUPPORTED},
      {{&Calls::grad_up, &Calls::grad_down}, [](Calls& c) { c.x.dtype = c.y.dtype = PP_FLOAT16; }, "float16", PP_UNSUPPORTED},
      {kWhole, [](Calls& c) { c.x.dtype = PP_BFLOAT16; }, "must be float32 [6, 10], got bfloat16 [6, 10]"},
      {{&Calls::forward, &Calls::down, &Calls::grad_down}, [](Calls& c) { c.x.data = nullptr; }, "x.data must not be null"},
      {kWhole, [](Calls& c) { c.y.data = nullptr; }, "y.data must not be null"},
      {{&Calls::grad_input, &Calls::lora_grad_input}, [](Calls& c) { c.x.data = nullptr; }, "dx.data must not be null"},
      {with_x, [](Calls& c) { c.x.ld = 9; }, "x.ld must be at least the row's 10 elements, got 9"},
      {with_y, [](Calls& c) { c.y.ld = 11; }, "y.ld must be at least the row's 12 elements, got 11"},
      {with_x, [](Calls& c) { c.x.rows = -3; }, "x must be float32 [0, 10], got float32 [-3, 10]"},
      {with_y, [](Calls& c) { c.y.cols = 0; }, "y must be float32 [6, 1], got float32 [6, 0]"},
      {{&Calls::forward}, [](Calls& c) { c.x.cols = 9; }, "x must be float32 [6, 10], got float32 [6, 9]"},
      {{&Calls::backward}, [](Calls& c) { c.x_given.cols = 9; }, "x must be float32 [6, 10], got float32 [6, 9]"},
      {{&Calls::backward}, [](Calls& c) { c.x_given.rows = 5; }, "x must be float32 [6, 10], got float32 [5, 10]"},
      {{&Calls::backward}, [](Calls& c) { c.x_given.data = c.x.data; }, "dx must not be the buffer of x"},
      {{&Calls::backward}, [](Calls& c) { c.x_given.data = nullptr; }, "x.data must not be null"},
      {with_x, [](Calls& c) { c.x.rows = INT64_MAX / 4; }, "more bytes than memory"},
      {kAll, [](Calls& c) { c.count = -1; }, "count must be at least 0, got -1"},
      {kAll, [](Calls& c) { c.count = 513; }, "count must be at most 512, got 513"},
      {kAll, [](Calls& c) { c.shows_table = false; }, "modules must not be null"},
      {kAll,
       [](Calls& c) {
         c.modules.resize(17, c.modules[0]);
         c.count = 17;
       },
       "at most 16 modules may be on the same rows, got 17"},
      {takes_s, [](Calls& c) { c.modules[1].s.cols = 0; }, "modules[1].s.cols must be at least 1, got 0"},
      {takes_s, [](Calls& c) { c.modules[0].s.ld = 3; }, "modules[0].s.ld"},
      {takes_s, [](Calls& c) { c.modules[1].s.data = nullptr; }, "modules[1].s.data must not be null"},
      {takes_s, [](Calls& c) { c.modules[0].s.rows = 5; }, "modules[0].s must be float32 [6, 4], got float32 [5, 4]"},
      {takes_s, [](Calls& c) { c.modules[0].s.dtype = PP_BFLOAT16; }, "modules[0].s must be float32"},
      {takes_ds, [](Calls& c) { c.modules[0].ds.data = nullptr; }, "modules[0].ds.data must not be null"},
      {takes_ds, [](Calls& c) { c.modules[1].ds.cols = 0; }, "modules[1].ds.cols must be at least 1, got 0"},
      {{&Calls::backward},
       [](Calls& c) { c.modules[1].ds.data = nullptr; },
       "modules[1].ds.data must not be null: dX needs dS"},
      {{&Calls::backward, &Calls::grad_up}, [](Calls& c) { c.modules[1].ds.ld = 2; }, "modules[1].ds.ld"},
      {reads_a, [](Calls& c) { c.modules[1].a.data = nullptr; }, "modules[1].a.data must not be null"},
      {reads_a, [](Calls& c) { c.modules[1].a.cols = 9; }, "modules[1].a must be float32 [3, 10], got float32 [3, 9]"},
      {reads_a, [](Calls& c) { c.modules[1].a.ld = 9; }, "modules[1].a.ld"},
      {reads_b, [](Calls& c) { c.modules[1].b.data = nullptr; }, "modules[1].b.data must not be null"},
      {reads_b, [](Calls& c) { c.modules[1].b.ld = 2; }, "modules[1].b.ld"},
      {reads_b, [](Calls& c) { c.modules[0].b.rows = c.modules[0].db.rows = 13; },
       "modules[0].b.rows must be at most 12, got 13"},
      {reads_b,
       [](Calls& c) {
         c.modules[0].b.rows = c.modules[0].db.rows = 5;
         c.modules[0].first_column = 8;
       },
       "modules[0].first_column must be at most 7, got 8"},
      {{&Calls::backward, &Calls::grad_up}, [](Calls& c) { c.modules[1].db.data = nullptr; }, "modules[1].db.data"},
      {{&Calls::grad_down, &Calls::backward}, [](Calls& c) { c.modules[1].da.ld = 9; }, "modules[1].da.ld"},
      {{&Calls::grad_down, &Calls::backward},
       [](Calls& c) { c.modules[1].da.dtype = PP_BFLOAT16; },
       "modules[1].da must be float32"},
      {kAll, [](Calls& c) { c.modules[1].rows = 7; }, "modules[1].rows must be at most 6, got 7"},
      {kAll, [](Calls& c) { c.modules[1].rows = -1; }, "modules[1].rows must be at least 0, got -1"},
      {kAll, [](Calls& c) { c.modules[0].first_row = 1; }, "modules[0].first_row must be at most 0, got 1"},
      {kAll, [](Calls& c) { c.modules[0].rows = 4; },
       "modules[0] and modules[1] must have the same rows or none in common, got 0+4 and 0+6"},
      {drops, [](Calls& c) { c.dropout.p = 1.0f; }, "dropout->p must be in [0, 1), got 1"},
      {drops, [](Calls& c) { c.dropout.p = -0.5f; }, "got -0.5"},
      {drops, [](Calls& c) { c.dropout.p = NAN; }, "nan"},
      {drops, [](Calls& c) { c.dropout.p = 0.99999994f; }, "1/65536"},
      {drops, [](Calls& c) { c.dropout.micro_batch = 65536; }, "micro_batch must be at most 65535, got 65536"},
      {drops, [](Calls& c) { c.dropout.counter = reinterpret_cast<const uint32_t*>(c.x_matrix.data()) + 1; },
       "counter must be at a multiple of 8 bytes"},
      {kAll, [](Calls& c) { c.context.workspace = nullptr; }, "context->workspace must not be null"},
  });
  if (!has_gpu())
    check_refused<Calls>({
        {{&Calls::down, &Calls::grad_up},
         [](Calls& c) {
           c.go_to(PP_CUDA);
           for (pp_lora_module& m : c.modules)
             for (pp_matrix* matrix : {&m.a, &m.b, &m.s, &m.ds, &m.da, &m.db}) align(*matrix);
         },
         "CUDA",
         PP_NO_DEVICE},
    });
  Calls c;
  CHECK_FAILS(pp_lora_down(nullptr, &c.x, c.shown(), 2), PP_INVALID_ARGUMENT, "context must not be null");
  CHECK_FAILS(pp_lora_down(&c.context, nullptr, c.shown(), 2), PP_INVALID_ARGUMENT, "x must not be null");
  CHECK_FAILS(pp_linear_forward(&c.context, c.linear, &c.x, nullptr, 0, nullptr), PP_INVALID_ARGUMENT, "y must not be null");
}

TEST(a_plan_that_cannot_be_made_is_refused) {
  float value = 1.0f;
  pp_matrix w{&value, 1, 1, 1, PP_FLOAT32};
  pp_linear* linear = nullptr;
  const auto fails = [&](pp_matrix of, const pp_matrix* bias, pp_status status, const char* part) {
    CHECK_FAILS(pp_linear_create(Context(), &of, bias, &linear), status, part);
  };
  fails({&value, 0, 1, 1, PP_FLOAT32}, nullptr, PP_INVALID_ARGUMENT, "w.rows must be at least 1");
  fails({&value, 1, 2, 1, PP_FLOAT32}, nullptr, PP_INVALID_ARGUMENT, "w.ld");
  fails({nullptr, 1, 1, 1, PP_FLOAT32}, nullptr, PP_INVALID_ARGUMENT, "w.data must not be null");
  fails({&value, 1, 1, 1, PP_FLOAT16}, nullptr, PP_UNSUPPORTED, "float16");
  const pp_matrix bias{&value, 1, 2, 2, PP_FLOAT32};
  fails(w, &bias, PP_INVALID_ARGUMENT, "bias must be float32 [1, 1], got float32 [1, 2]");
  CHECK_FAILS(pp_linear_create(Context(), nullptr, nullptr, &linear), PP_INVALID_ARGUMENT, "w must not be null");
  CHECK_FAILS(pp_linear_create(Context(), &w, nullptr, nullptr), PP_INVALID_ARGUMENT, "linear must not be null");
  CHECK(linear == nullptr);
  pp_linear_destroy(nullptr);
}

TEST(bfloat16_results_are_rounded_to_nearest_even) {
  // x Wᵀ with x = 1: y is W rounded, here halfway between two bfloat16, and the sum of two that are.
  const float values[] = {1.0f, 1.00390625f, 1.01171875f, -1.00390625f, 3.0e38f, 1e-3f};
  Matrix x(1, 2, 2, 0, PP_BFLOAT16), w(6, 2, 2, 0, PP_BFLOAT16), expected(1, 6, 6, 0, PP_BFLOAT16);
  for (int64_t k = 0; k < 2; ++k) x.set(0, k, 1);
  for (int64_t n = 0; n < 6; ++n) {
    const float high = values[n] < 0 ? std::ceil(values[n] * 128) / 128 : std::floor(values[n] * 128) / 128;
    w.set(n, 0, n == 4 ? values[n] : high);
    w.set(n, 1, n == 4 ? 0 : values[n] - high);
    expected.set(0, n, w(n, 0) + w(n, 1));
  }
  pp_linear* linear = nullptr;
  const pp_matrix w_view = w.view(), x_view = x.view();
  CHECK_EQUAL(pp_linear_create(Context(), &w_view, nullptr, &linear), PP_OK);
  on_all_settings("rounding", [&] {
    Matrix y(1, 6, 6, 0, PP_BFLOAT16);
    const pp_matrix y_view = y.view();
    CHECK_EQUAL(pp_linear_forward(Context(), linear, &x_view, nullptr, 0, &y_view), PP_OK);
    CHECK(y == expected);
    return std::vector<Matrix>{y};
  });
  pp_linear_destroy(linear);
}

TEST(float32_weights_of_modules_are_rounded_to_nearest_even) {
  // The same bits whether the weights come rounded or are rounded in the call.
  Problem rounded(PP_BFLOAT16, 20, 40, 50, {9}, 0.1);
  Problem exact = rounded;
  for (Matrix Module::*member : {&Module::a, &Module::b}) {
    Matrix &weights = exact.modules[0].*member, &of = rounded.modules[0].*member;
    for (int64_t i = 0; i < weights.rows(); ++i) {
      for (int64_t j = 0; j < weights.columns(); ++j) {
        Matrix one(1, 1, 1, 0, PP_BFLOAT16);
        weights.set(i, j, weights(i, j) * (1 + static_cast<float>(check::pick(0, 255)) / 16384));
        one.set(0, 0, weights(i, j));
        of.set(i, j, one(0, 0));
      }
    }
  }
  const Plan plan(rounded);
  on_all_settings("rounded weights", [&] {
    std::vector<Matrix> results;
    for (const Problem* problem : {&rounded, &exact}) {
      const Given given(*problem);
      Matrix y(20, 40, 40, 0, PP_BFLOAT16);
      const pp_matrix x = problem->x.view(), y_view = y.view();
      CHECK_EQUAL(pp_linear_forward(Context(), plan.linear, &x, given.table.data(), 1, &y_view), PP_OK);
      results.push_back(y);
    }
    CHECK(results[0] == results[1]);
    return results;
  });
}

TEST(a_kept_mask_takes_a_bit_an_element_in_strips_of_16_columns_and_16_rows) {
  CHECK_EQUAL(pp_kept_mask_bytes(0, 8), 0);
  CHECK_EQUAL(pp_kept_mask_bytes(8, 0), 0);
  CHECK_EQUAL(pp_kept_mask_bytes(-1, 8), 0);
  CHECK_EQUAL(pp_kept_mask_bytes(1, 1), 32);
  CHECK_EQUAL(pp_kept_mask_bytes(16, 16), 32);
  CHECK_EQUAL(pp_kept_mask_bytes(17, 16), 64);
  CHECK_EQUAL(pp_kept_mask_bytes(16, 17), 64);
  CHECK_EQUAL(pp_kept_mask_bytes(8192, 4096), 8192 * 4096 / 8);
  CHECK_EQUAL(pp_kept_mask_bytes(INT64_MAX, INT64_MAX), SIZE_MAX);
}

TEST(the_cpu_does_not_look_at_kept_masks) {
  for (const Call call : {&Calls::forward, &Calls::down, &Calls::grad_down, &Calls::lora_grad_input}) {
    Calls c;
    for (pp_lora_module& module : c.modules) module.kept_mask = reinterpret_cast<void*>(uintptr_t{1});
    CHECK_EQUAL((c.*call)(), PP_OK);
  }
}

TEST(no_rows_is_a_no_op) {
  for (const Call call : kAll) {
    Calls c;
    c.x.rows = c.y.rows = c.x_given.rows = 0;
    c.x.data = c.y.data = c.x_given.data = nullptr;
    for (pp_lora_module& module : c.modules) {
      module.rows = module.s.rows = module.ds.rows = 0;
      module.s.data = module.ds.data = nullptr;
    }
    c.context.workspace = nullptr;
    const auto da = c.given.all(&Module::da), db = c.given.all(&Module::db);
    CHECK_EQUAL((c.*call)(), PP_OK);
    CHECK(c.given.all(&Module::da) == da && c.given.all(&Module::db) == db);
  }
}
