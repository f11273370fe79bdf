#include "prunepeft/linear.h"

#include "buffers.h"
#include "given_dropout.h"
#include "naive_philox.h"

namespace {

/** A frozen linear with some modules, and all that forward and backward need. */
struct Problem {
  pp_dtype dtype;
  int64_t M, N, K;
  Matrix x, dy, w, bias;
  bool has_bias;
  NaiveDropout naive;
  pp_dropout dropout;
  struct Module {
    int64_t rank, first, columns;
    float scale;
    uint32_t id;
    Matrix a, b, ds;
  };
  std::vector<Module> modules;

  Problem(pp_dtype dtype, int64_t M, int64_t N, int64_t K, std::vector<int64_t> ranks, double p)
      : dtype(dtype),
        M(M),
        N(N),
        K(K),
        x(Matrix::random(M, K, dtype)),
        dy(Matrix::random(M, N, dtype)),
        w(Matrix::random(N, K, dtype)),
        bias(Matrix::random(1, N, dtype)) {
    has_bias = check::pick(0, 2) > 0;
    dropout = {static_cast<float>(p), static_cast<uint32_t>(check::pick(0, 65535)), static_cast<uint32_t>(check::random()()),
               check::random()(), nullptr};
    naive = {dropout.p, dropout.micro_batch, dropout.step, dropout.seed};
    for (const int64_t rank : ranks) {
      const int64_t first = check::pick(0, N - 1), columns = check::pick(1, N - first);
      modules.push_back({rank, first, columns, static_cast<float>(check::pick(1, 64)) / 32,
                         static_cast<uint32_t>(check::random()()), Matrix::random_weights(rank, K, dtype),
                         Matrix::random_weights(columns, rank, dtype), Matrix::random(M, rank)});
    }
  }

  std::string text() const {
    std::string text = std::string(dtype == PP_FLOAT32 ? "float32" : "bfloat16") + ", M " + std::to_string(M) + ", N " +
                       std::to_string(N) + ", K " + std::to_string(K);
    for (const Module& module : modules) {
      text +=
          ", r " + std::to_string(module.rank) + " on " + std::to_string(module.first) + "+" + std::to_string(module.columns);
    }
    return text + ", p " + std::to_string(dropout.p);
  }

  std::vector<pp_linear_branch> branches(std::vector<Matrix>& s) const {
    std::vector<pp_linear_branch> list;
    for (size_t n = 0; n < modules.size(); ++n) {
      const Module& m = modules[n];
      list.push_back(
          {m.a.data(), m.a.ld(), m.b.data(), m.b.ld(), m.rank, m.first, m.columns, m.scale, m.id, s[n].data(), s[n].ld()});
    }
    return list;
  }
};

/** Made from the problem's W, which is gone (overwritten) before the plan is used. */
struct Plan {
  pp_linear* linear = nullptr;
  explicit Plan(const Problem& problem) {
    Matrix w = problem.w, bias = problem.bias;
    CHECK_EQUAL(pp_linear_create(&kCpu, problem.dtype, problem.N, problem.K, w.data(), w.ld(),
                                 problem.has_bias ? bias.data() : nullptr, &linear),
                PP_OK);
    for (int64_t n = 0; n < problem.N; ++n) {
      bias.set(0, n, NAN);
      for (int64_t k = 0; k < problem.K; ++k) w.set(n, k, NAN);
    }
  }
  Plan(const Plan&) = delete;
  ~Plan() { pp_linear_destroy(linear); }
};

Problem random_problem(pp_dtype dtype) {
  std::vector<int64_t> ranks(check::pick(0, 3));
  for (int64_t& rank : ranks) rank = pick_rank();
  return Problem(dtype, pick_size(), pick_size(), pick_size(), ranks, check::pick(std::vector<double>{0.0, 0.05, 0.5}));
}

std::vector<Problem> problems() {
  std::vector<Problem> list;
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    for (int i = 0; i < 20; ++i) list.push_back(random_problem(dtype));
    list.push_back(Problem(dtype, 220, 450, 800, {32}, 0.0));
    list.push_back(Problem(dtype, 205, 130, 400, {8, 40}, 0.1));
    list.push_back(Problem(dtype, 13, 385, 1201, {300}, 0.0));
    list.push_back(Problem(dtype, 1, 1, 1, {1}, 0.5));
    list.push_back(Problem(dtype, 400, 63, 65, {}, 0.0));
    list.push_back(Problem(dtype, 30, 20, 24, std::vector<int64_t>(16, 3), 0.1));
  }
  return list;
}

}  // namespace

TEST(forward_is_the_linear_plus_its_modules) {
  for (const Problem& problem : problems()) {
    Reference y(problem.M, problem.N);
    std::vector<Reference> s;
    for (int64_t i = 0; i < problem.M; ++i) {
      for (int64_t n = 0; n < problem.N; ++n) {
        if (problem.has_bias) y(i, n) += static_cast<double>(problem.bias(0, n));
        for (int64_t k = 0; k < problem.K; ++k) y(i, n) += static_cast<double>(problem.x(i, k)) * problem.w(n, k);
      }
    }
    for (const auto& module : problem.modules) {
      Reference own(problem.M, module.rank);
      for (int64_t i = 0; i < problem.M; ++i) {
        std::vector<double> row(problem.K);
        for (int64_t k = 0; k < problem.K; ++k) row[k] = problem.x(i, k) * problem.naive.factor(module.id, problem.K, i, k);
        for (int64_t j = 0; j < module.rank; ++j) {
          for (int64_t k = 0; k < problem.K; ++k) own(i, j) += module.scale * row[k] * module.a(j, k);
          for (int64_t n = 0; n < module.columns; ++n) y(i, module.first + n).add(module.b(n, j), own(i, j));
        }
      }
      s.push_back(own);
    }
    const Plan plan(problem);
    on_all_settings("forward, " + problem.text(), [&] {
      const GivenDropout dropout(problem.dropout, pp_num_threads() == 2);
      std::vector<Matrix> outputs;
      for (const auto& module : problem.modules) outputs.push_back(Matrix::empty(problem.M, module.rank));
      const auto branches = problem.branches(outputs);
      const int32_t count = static_cast<int32_t>(branches.size());
      Matrix out = Matrix::empty(problem.M, problem.N, problem.dtype);
      Workspace workspace(pp_linear_forward_workspace(plan.linear, problem.M, branches.data(), count));
      CHECK_EQUAL(pp_linear_forward(&kCpu, plan.linear, problem.M, problem.x.data(), problem.x.ld(), branches.data(), count,
                                    dropout.get(), out.data(), out.ld(), workspace.data(), workspace.size()),
                  PP_OK);
      CHECK(workspace.guards_intact());
      for (size_t n = 0; n < outputs.size(); ++n) CHECK_OUTPUT_OF(problem.dtype, outputs[n], s[n]);
      CHECK_OUTPUT_OF(problem.dtype, out, y);
      outputs.push_back(out);
      return dense(outputs);
    });
  }
}

TEST(grad_input_is_the_transposed_linear_plus_its_masked_modules) {
  for (const Problem& problem : problems()) {
    Reference dx(problem.M, problem.K);
    for (int64_t i = 0; i < problem.M; ++i) {
      for (int64_t k = 0; k < problem.K; ++k) {
        for (int64_t n = 0; n < problem.N; ++n) dx(i, k) += static_cast<double>(problem.dy(i, n)) * problem.w(n, k);
        for (const auto& module : problem.modules) {
          const double factor = problem.naive.factor(module.id, problem.K, i, k);
          for (int64_t j = 0; j < module.rank; ++j) dx(i, k) += factor * module.ds(i, j) * module.a(j, k);
        }
      }
    }
    const Plan plan(problem);
    on_all_settings("grad_input, " + problem.text(), [&] {
      const GivenDropout dropout(problem.dropout, pp_num_threads() == 2);
      std::vector<Matrix> ds;
      for (const auto& module : problem.modules) ds.push_back(module.ds);
      const auto branches = problem.branches(ds);
      const int32_t count = static_cast<int32_t>(branches.size());
      Matrix out = Matrix::empty(problem.M, problem.K, problem.dtype);
      Workspace workspace(pp_linear_grad_input_workspace(plan.linear, problem.M, branches.data(), count));
      CHECK_EQUAL(pp_linear_grad_input(&kCpu, plan.linear, problem.M, problem.dy.data(), problem.dy.ld(), branches.data(),
                                       count, dropout.get(), out.data(), out.ld(), workspace.data(), workspace.size()),
                  PP_OK);
      CHECK(workspace.guards_intact());
      CHECK_OUTPUT_OF(problem.dtype, out, dx);
      return dense({out});
    });
  }
}

namespace {

/** One call of each function with good arguments; a test spoils one of them. */
struct Calls {
  pp_device device = kCpu;
  Problem problem{PP_FLOAT32, 6, 12, 10, {4, 3}, 0.5};
  Plan plan{problem};
  pp_linear* linear = plan.linear;
  int64_t M = 6, ldx = 10, ldy = 12;
  Matrix x{6, 10, 10, 0}, y{6, 12, 12, 0};
  void *px = x.data(), *py = y.data();
  std::vector<Matrix> s{Matrix(6, 4, 4, 0), Matrix(6, 3, 3, 0)};
  std::vector<pp_linear_branch> branches = problem.branches(s);
  const pp_linear_branch* pbranches = branches.data();
  int32_t count = 2;
  std::vector<char> space = std::vector<char>(1 << 20);
  void* workspace = space.data();
  size_t bytes = space.size();

  pp_status forward() {
    return pp_linear_forward(&device, linear, M, px, ldx, pbranches, count, &problem.dropout, py, ldy, workspace, bytes);
  }
  pp_status grad_input() {
    return pp_linear_grad_input(&device, linear, M, py, ldy, pbranches, count, &problem.dropout, px, ldx, workspace, bytes);
  }
};

using Call = pp_status (Calls::*)();

void check_refused(const std::vector<Call>& calls, const std::function<void(Calls&)>& spoil, const char* part) {
  for (const Call call : calls) {
    Calls c;
    spoil(c);
    const Matrix x = c.x, y = c.y;
    check::context() = std::string("spoiled argument: ") + part;
    CHECK_FAILS((c.*call)(), PP_INVALID_ARGUMENT, part);
    CHECK(c.x == x && c.y == y);
  }
}

}  // namespace

TEST(bad_arguments_are_named_and_nothing_is_written) {
  const std::vector<Call> all{&Calls::forward, &Calls::grad_input};
  for (const Call call : all) {
    Calls good;
    CHECK_EQUAL((good.*call)(), PP_OK);
  }
  check_refused(
      all, [](Calls& c) { c.linear = nullptr; }, "linear must not be null");
  check_refused(
      all, [](Calls& c) { c.device.type = PP_CUDA; }, "device->type must be the plan's");
  check_refused(
      all, [](Calls& c) { c.M = -1; }, "M must be at least 0, got -1");
  check_refused(
      all, [](Calls& c) { c.px = nullptr; }, "x must not be null");
  check_refused(
      all, [](Calls& c) { c.py = nullptr; }, "y must not be null");
  check_refused(
      all, [](Calls& c) { c.ldx = 9; }, "x must be at least the row's 10 elements, got 9");
  check_refused(
      all, [](Calls& c) { c.ldy = 11; }, "y must be at least the row's 12 elements, got 11");
  check_refused(
      all, [](Calls& c) { c.count = -1; }, "branch_count must be at least 0, got -1");
  check_refused(
      all, [](Calls& c) { c.count = 17; }, "branch_count must be at most 16, got 17");
  check_refused(
      all, [](Calls& c) { c.pbranches = nullptr; }, "branches must not be null");
  check_refused(
      all, [](Calls& c) { c.branches[1].rank = 0; }, "branches[1].rank must be at least 1, got 0");
  check_refused(
      all, [](Calls& c) { c.branches[0].lds = 3; }, "branches[0].lds");
  check_refused(
      all, [](Calls& c) { c.branches[1].lda = 9; }, "branches[1].lda");
  check_refused(
      all, [](Calls& c) { c.branches[1].a = nullptr; }, "branches[1].a");
  check_refused(
      all, [](Calls& c) { c.branches[1].s = nullptr; }, "branches[1].s");
  check_refused(
      {&Calls::forward}, [](Calls& c) { c.branches[1].b = nullptr; }, "branches[1].b");
  check_refused(
      {&Calls::forward}, [](Calls& c) { c.branches[1].ldb = 2; }, "branches[1].ldb");
  check_refused(
      {&Calls::forward}, [](Calls& c) { c.branches[0].columns = 13; }, "branches[0].columns must be at most 12, got 13");
  check_refused(
      {&Calls::forward},
      [](Calls& c) {
        c.branches[0].columns = 5;
        c.branches[0].first_column = 8;
      },
      "branches[0].first_column must be at most 7, got 8");
  check_refused(
      all, [](Calls& c) { c.problem.dropout.p = 1.0f; }, "dropout->p");
  check_refused(
      all, [](Calls& c) { c.workspace = nullptr; }, "workspace must not be null");
  check_refused(
      all, [](Calls& c) { c.bytes = 3; }, "got 3");
  float w = 1.0f;
  pp_linear* linear = nullptr;
  CHECK_FAILS(pp_linear_create(&kCpu, PP_FLOAT32, 0, 1, &w, 1, nullptr, &linear), PP_INVALID_ARGUMENT, "N must be at least 1");
  CHECK_FAILS(pp_linear_create(&kCpu, PP_FLOAT32, 1, 2, &w, 1, nullptr, &linear), PP_INVALID_ARGUMENT, "ldw");
  CHECK_FAILS(pp_linear_create(&kCpu, PP_FLOAT32, 1, 1, nullptr, 1, nullptr, &linear), PP_INVALID_ARGUMENT,
              "w must not be null");
  CHECK_FAILS(pp_linear_create(&kCpu, PP_FLOAT16, 1, 1, &w, 1, nullptr, &linear), PP_UNSUPPORTED, "float16");
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
  CHECK_EQUAL(pp_linear_create(&kCpu, PP_BFLOAT16, 6, 2, w.data(), 2, nullptr, &linear), PP_OK);
  on_all_settings("rounding", [&] {
    Matrix y(1, 6, 6, 0, PP_BFLOAT16);
    Workspace workspace(pp_linear_forward_workspace(linear, 1, nullptr, 0));
    CHECK_EQUAL(
        pp_linear_forward(&kCpu, linear, 1, x.data(), 2, nullptr, 0, nullptr, y.data(), 6, workspace.data(), workspace.size()),
        PP_OK);
    CHECK(y == expected);
    return std::vector<Matrix>{y};
  });
  pp_linear_destroy(linear);
}

TEST(float32_weights_of_modules_are_rounded_to_nearest_even) {
  // The same bits whether the weights come rounded or are rounded in the call.
  Problem rounded(PP_BFLOAT16, 20, 40, 50, {9}, 0.1);
  Problem exact = rounded;
  auto& module = exact.modules[0];
  for (Matrix* weights : {&module.a, &module.b}) {
    Matrix& of = weights == &module.a ? rounded.modules[0].a : rounded.modules[0].b;
    for (int64_t i = 0; i < weights->rows(); ++i) {
      for (int64_t j = 0; j < weights->columns(); ++j) {
        Matrix one(1, 1, 1, 0, PP_BFLOAT16);
        weights->set(i, j, weights->operator()(i, j) * (1 + static_cast<float>(check::pick(0, 255)) / 16384));
        one.set(0, 0, weights->operator()(i, j));
        of.set(i, j, one(0, 0));
      }
    }
  }
  const Plan plan(rounded);
  on_all_settings("rounded weights", [&] {
    std::vector<Matrix> results;
    for (const Problem* problem : {&rounded, &exact}) {
      std::vector<Matrix> s{Matrix(20, 9, 9, 0)};
      const auto branches = problem->branches(s);
      Matrix y(20, 40, 40, 0, PP_BFLOAT16);
      Workspace workspace(pp_linear_forward_workspace(plan.linear, 20, branches.data(), 1));
      CHECK_EQUAL(pp_linear_forward(&kCpu, plan.linear, 20, problem->x.data(), problem->x.ld(), branches.data(), 1,
                                    &problem->dropout, y.data(), 40, workspace.data(), workspace.size()),
                  PP_OK);
      results.push_back(y);
    }
    CHECK(results[0] == results[1]);
    return results;
  });
}

TEST(no_rows_is_a_no_op) {
  Calls c;
  CHECK_EQUAL(pp_linear_forward_workspace(c.linear, 0, c.pbranches, 2), size_t{0});
  CHECK_EQUAL(pp_linear_forward(&kCpu, c.linear, 0, nullptr, 10, c.pbranches, 2, nullptr, nullptr, 12, nullptr, 0), PP_OK);
  CHECK_EQUAL(pp_linear_grad_input(&kCpu, c.linear, 0, nullptr, 12, c.pbranches, 2, nullptr, nullptr, 10, nullptr, 0), PP_OK);
}
