#include "prunepeft/linear.h"

#include "buffers.h"
#include "given_dropout.h"
#include "naive_philox.h"

namespace {

/** Several LoRA modules on one input, with all that forward and backward need. */
struct Problem {
  pp_dtype dtype;
  int64_t M, K;
  Matrix x;
  NaiveDropout naive;
  pp_dropout dropout;
  struct Module {
    int64_t rank;
    float scale;
    uint32_t id;
    Matrix a, ds, da;
  };
  std::vector<Module> modules;
  int64_t ranks = 0;

  Problem(int64_t M, int64_t K, std::vector<int64_t> rank_list, double p, pp_dtype dtype = PP_FLOAT32)
      : dtype(dtype), M(M), K(K), x(Matrix::random(M, K, dtype)) {
    dropout = {static_cast<float>(p), static_cast<uint32_t>(check::pick(0, 65535)), static_cast<uint32_t>(check::random()()),
               check::random()(), nullptr};
    naive = {dropout.p, dropout.micro_batch, dropout.step, dropout.seed};
    for (const int64_t rank : rank_list) {
      modules.push_back({rank, static_cast<float>(check::pick(1, 64)) / 8, static_cast<uint32_t>(check::random()()),
                         Matrix::random(rank, K), Matrix::random(M, rank), Matrix::random(rank, K)});
      ranks += rank;
    }
  }

  double masked_x(const Module& module, int64_t i, int64_t k) const { return x(i, k) * naive.factor(module.id, K, i, k); }

  std::string text() const {
    std::string ranks_text;
    for (const Module& module : modules) ranks_text += (ranks_text.empty() ? "" : "+") + std::to_string(module.rank);
    return "dtype " + std::to_string(dtype) + ", M " + std::to_string(M) + ", K " + std::to_string(K) + ", r " + ranks_text +
           ", p " + std::to_string(dropout.p);
  }
};

Problem random_problem(pp_dtype dtype) {
  std::vector<int64_t> ranks(check::pick(1, 3));
  for (int64_t& rank : ranks) rank = pick_rank();
  return Problem(pick_size(), pick_size(), ranks, check::pick(std::vector<double>{0.0, 0.05, 0.5, 0.9}), dtype);
}

/** Problems with odd sizes, and some large enough for several threads and blocks. */
std::vector<Problem> problems(pp_dtype dtype = PP_FLOAT32) {
  std::vector<Problem> list;
  for (int i = 0; i < 25; ++i) list.push_back(random_problem(dtype));
  list.push_back(Problem(700, 129, {32}, 0.0, dtype));
  list.push_back(Problem(700, 129, {17, 32}, 0.1, dtype));
  list.push_back(Problem(130, 1100, {9}, 0.0, dtype));
  list.push_back(Problem(67, 1031, {33, 8}, 0.25, dtype));
  list.push_back(Problem(1, 1, {1}, 0.0, dtype));
  list.push_back(Problem(40, 20, std::vector<int64_t>(16, 3), 0.1, dtype));
  return list;
}

}  // namespace

TEST(down_is_the_scaled_product_with_the_masked_input) {
  for (const Problem& problem : problems()) {
    std::vector<Reference> expected;
    for (const auto& module : problem.modules) {
      Reference s(problem.M, module.rank);
      for (int64_t i = 0; i < problem.M; ++i) {
        std::vector<double> row(problem.K);
        for (int64_t k = 0; k < problem.K; ++k) row[k] = problem.masked_x(module, i, k);
        for (int64_t j = 0; j < module.rank; ++j) {
          for (int64_t k = 0; k < problem.K; ++k) s(i, j) += module.scale * row[k] * module.a(j, k);
        }
      }
      expected.push_back(s);
    }
    const bool copies = check::pick(0, 1) == 1;
    const Matrix before = problem.x;
    on_all_settings("down, " + problem.text(), [&] {
      const GivenDropout dropout(problem.dropout, pp_num_threads() == 2);
      std::vector<Matrix> outputs;
      for (const auto& module : problem.modules) outputs.push_back(Matrix::empty(problem.M, module.rank));
      std::vector<pp_lora_branch> branches;
      for (size_t n = 0; n < outputs.size(); ++n) {
        const auto& module = problem.modules[n];
        branches.push_back({module.a.data(), module.a.ld(), module.rank, module.scale, module.id, outputs[n].data(),
                            outputs[n].ld(), nullptr, 0});
      }
      Matrix copy = Matrix::empty(problem.M, problem.K);
      Workspace workspace(pp_lora_down_workspace(&kCpu, PP_FLOAT32, problem.M, problem.K, problem.ranks));
      CHECK_EQUAL(
          pp_lora_down(&kCpu, PP_FLOAT32, problem.M, problem.K, problem.x.data(), problem.x.ld(), branches.data(),
                       static_cast<int32_t>(branches.size()), problem.dropout.p == 0.0f && copies ? nullptr : dropout.get(),
                       copies ? copy.data() : nullptr, copy.ld(), workspace.data(), workspace.size()),
          PP_OK);
      CHECK(workspace.guards_intact());
      for (size_t n = 0; n < outputs.size(); ++n) CHECK_OUTPUT(outputs[n], expected[n]);
      if (copies) {
        bool same = copy.padding_intact();
        for (int64_t i = 0; i < problem.M; ++i) {
          for (int64_t k = 0; k < problem.K; ++k) same = same && copy(i, k) == problem.x(i, k);
        }
        CHECK(same);
      }
      return dense(outputs);
    });
    CHECK(problem.x == before);
  }
}

TEST(down_fills_a_bordered_operand) {
  // x's copy and S side by side in one wide buffer.
  const Problem problem(37, 100, {12}, 0.0);
  Matrix wide = Matrix::empty(37, 112);
  const auto& module = problem.modules[0];
  const pp_lora_branch branch{module.a.data(), module.a.ld(), 12, module.scale, module.id, wide.data() + 100,
                              wide.ld(),       nullptr,       0};
  Workspace workspace(pp_lora_down_workspace(&kCpu, PP_FLOAT32, 37, 100, 12));
  CHECK_EQUAL(pp_lora_down(&kCpu, PP_FLOAT32, 37, 100, problem.x.data(), problem.x.ld(), &branch, 1, nullptr, wide.data(),
                           wide.ld(), workspace.data(), workspace.size()),
              PP_OK);
  Reference expected(37, 112);
  for (int64_t i = 0; i < 37; ++i) {
    for (int64_t k = 0; k < 100; ++k) {
      expected(i, k) = problem.x(i, k);
      for (int64_t j = 0; j < 12; ++j)
        expected(i, 100 + j) += module.scale * static_cast<double>(problem.x(i, k)) * module.a(j, k);
    }
  }
  CHECK_OUTPUT(wide, expected);
}

TEST(up_adds_the_product_or_overwrites) {
  for (int n = 0; n < 40; ++n) {
    const int64_t M = n == 0 ? 700 : pick_size(), N = n == 1 ? 1100 : pick_size(), r = n / 2 == 1 ? 300 : pick_rank();
    const bool accumulate = n % 2 == 0;
    const Matrix s = Matrix::random(M, r), b = Matrix::random(N, r), y = Matrix::random(M, N);
    Reference expected(M, N);
    for (int64_t i = 0; i < M; ++i) {
      for (int64_t k = 0; k < N; ++k) {
        expected(i, k) = accumulate ? static_cast<double>(y(i, k)) : 0.0;
        for (int64_t j = 0; j < r; ++j) expected(i, k) += static_cast<double>(s(i, j)) * b(k, j);
      }
    }
    on_all_settings("up, M " + std::to_string(M) + ", N " + std::to_string(N) + ", r " + std::to_string(r), [&] {
      Matrix out = accumulate ? y : Matrix::empty(M, N);
      Workspace workspace(pp_lora_up_workspace(&kCpu, PP_FLOAT32, M, N, r));
      CHECK_EQUAL(pp_lora_up(&kCpu, PP_FLOAT32, M, N, r, s.data(), s.ld(), b.data(), b.ld(), out.data(), out.ld(),
                             accumulate ? 1 : 0, workspace.data(), workspace.size()),
                  PP_OK);
      CHECK(workspace.guards_intact());
      CHECK_OUTPUT(out, expected);
      return dense({out});
    });
  }
}

TEST(grad_up_gives_both_gradients) {
  for (int n = 0; n < 60; ++n) {
    const pp_dtype dtype = n % 2 == 0 ? PP_FLOAT32 : PP_BFLOAT16;
    const int64_t M = n < 2 ? 700 : pick_size(), N = n / 2 == 1 ? 1101 : pick_size(), r = n / 2 == 2 ? 300 : pick_rank();
    const Matrix dy = Matrix::random(M, N, dtype), b = Matrix::random_weights(N, r, dtype), s = Matrix::random(M, r),
                 before = Matrix::random(N, r);
    const float scale = static_cast<float>(check::pick(1, 99)) / 16;
    const bool accumulate = check::pick(0, 1) == 1, wants_ds = check::pick(0, 3) > 0;
    Reference ds(M, r), db(N, r);
    for (int64_t k = 0; k < N; ++k) {
      for (int64_t j = 0; j < r; ++j) db(k, j) = accumulate ? static_cast<double>(before(k, j)) : 0.0;
    }
    for (int64_t i = 0; i < M; ++i) {
      for (int64_t k = 0; k < N; ++k) {
        for (int64_t j = 0; j < r; ++j) {
          ds(i, j) += static_cast<double>(scale) * dy(i, k) * b(k, j);
          db(k, j) += static_cast<double>(dy(i, k)) * s(i, j);
        }
      }
    }
    on_all_settings("grad_up, dtype " + std::to_string(dtype) + ", M " + std::to_string(M) + ", N " + std::to_string(N) +
                        ", r " + std::to_string(r),
                    [&] {
                      Matrix out_s = Matrix::empty(M, r), out_b = accumulate ? before : Matrix::empty(N, r);
                      Workspace workspace(pp_lora_grad_up_workspace(&kCpu, dtype, M, N, r));
                      CHECK_EQUAL(pp_lora_grad_up(&kCpu, dtype, M, N, r, dy.data(), dy.ld(), b.data(), b.ld(), s.data(), s.ld(),
                                                  scale, wants_ds ? out_s.data() : nullptr, out_s.ld(), out_b.data(),
                                                  out_b.ld(), accumulate, workspace.data(), workspace.size()),
                                  PP_OK);
                      CHECK(workspace.guards_intact());
                      if (wants_ds) CHECK_OUTPUT_OF(dtype, out_s, ds);
                      CHECK_OUTPUT_OF(dtype, out_b, db);
                      return dense({out_s, out_b});
                    });
  }
}

TEST(grad_down_is_the_product_with_the_same_mask) {
  std::vector<Problem> all = problems();
  for (const Problem& problem : problems(PP_BFLOAT16)) all.push_back(problem);
  for (const Problem& problem : all) {
    const bool accumulate = check::pick(0, 1) == 1;
    std::vector<Reference> expected;
    for (const auto& module : problem.modules) {
      Reference da(module.rank, problem.K);
      for (int64_t j = 0; j < module.rank && accumulate; ++j) {
        for (int64_t k = 0; k < problem.K; ++k) da(j, k) = module.da(j, k);
      }
      for (int64_t i = 0; i < problem.M; ++i) {
        for (int64_t k = 0; k < problem.K; ++k) {
          const double x = problem.masked_x(module, i, k);
          for (int64_t j = 0; j < module.rank; ++j) da(j, k) += module.ds(i, j) * x;
        }
      }
      expected.push_back(da);
    }
    on_all_settings("grad_down, " + problem.text(), [&] {
      const GivenDropout dropout(problem.dropout, pp_num_threads() == 2);
      std::vector<Matrix> outputs;
      for (const auto& module : problem.modules) {
        outputs.push_back(accumulate ? module.da : Matrix::empty(module.rank, problem.K));
      }
      std::vector<pp_lora_branch> branches;
      for (size_t n = 0; n < outputs.size(); ++n) {
        const auto& module = problem.modules[n];
        branches.push_back({nullptr, 0, module.rank, module.scale, module.id, const_cast<float*>(module.ds.data()),
                            module.ds.ld(), outputs[n].data(), outputs[n].ld()});
      }
      Workspace workspace(pp_lora_grad_down_workspace(&kCpu, problem.dtype, problem.M, problem.K, problem.ranks));
      CHECK_EQUAL(pp_lora_grad_down(&kCpu, problem.dtype, problem.M, problem.K, problem.x.data(), problem.x.ld(),
                                    branches.data(), static_cast<int32_t>(branches.size()), dropout.get(), accumulate,
                                    workspace.data(), workspace.size()),
                  PP_OK);
      CHECK(workspace.guards_intact());
      for (size_t n = 0; n < outputs.size(); ++n) CHECK_OUTPUT_OF(problem.dtype, outputs[n], expected[n]);
      return dense(outputs);
    });
  }
}

TEST(grad_input_adds_the_masked_products_or_overwrites) {
  for (const Problem& problem : problems()) {
    const bool accumulate = check::pick(0, 1) == 1;
    const Matrix before = Matrix::random(problem.M, problem.K);
    Reference expected(problem.M, problem.K);
    for (int64_t i = 0; i < problem.M; ++i) {
      for (int64_t k = 0; k < problem.K; ++k) {
        expected(i, k) = accumulate ? static_cast<double>(before(i, k)) : 0.0;
        for (const auto& module : problem.modules) {
          double sum = 0.0;
          for (int64_t j = 0; j < module.rank; ++j) sum += static_cast<double>(module.ds(i, j)) * module.a(j, k);
          expected(i, k) += sum * problem.naive.factor(module.id, problem.K, i, k);
        }
      }
    }
    on_all_settings((accumulate ? "grad_input, " : "grad_input that overwrites, ") + problem.text(), [&] {
      const GivenDropout dropout(problem.dropout, pp_num_threads() == 2);
      Matrix dx = accumulate ? before : Matrix::empty(problem.M, problem.K);
      std::vector<pp_lora_branch> branches;
      for (const auto& module : problem.modules) {
        branches.push_back({module.a.data(), module.a.ld(), module.rank, module.scale, module.id,
                            const_cast<float*>(module.ds.data()), module.ds.ld(), nullptr, 0});
      }
      Workspace workspace(pp_lora_grad_input_workspace(&kCpu, PP_FLOAT32, problem.M, problem.K, problem.ranks));
      CHECK_EQUAL(
          pp_lora_grad_input(&kCpu, PP_FLOAT32, problem.M, problem.K, branches.data(), static_cast<int32_t>(branches.size()),
                             dropout.get(), dx.data(), dx.ld(), accumulate ? 1 : 0, workspace.data(), workspace.size()),
          PP_OK);
      CHECK(workspace.guards_intact());
      CHECK_OUTPUT(dx, expected);
      return dense({dx});
    });
  }
}

TEST(no_rows_is_a_no_op) {
  Matrix a = Matrix::random(3, 5), untouched = Matrix::empty(5, 5);
  const Matrix before = untouched;
  const pp_lora_branch branch{a.data(), a.ld(), 3, 1.0f, 0, nullptr, 3, untouched.data(), untouched.ld()};
  CHECK_EQUAL(pp_lora_down_workspace(&kCpu, PP_FLOAT32, 0, 5, 3), size_t{0});
  CHECK_EQUAL(pp_lora_down(&kCpu, PP_FLOAT32, 0, 5, nullptr, 5, &branch, 1, nullptr, nullptr, 0, nullptr, 0), PP_OK);
  CHECK_EQUAL(pp_lora_up(&kCpu, PP_FLOAT32, 0, 5, 3, nullptr, 3, nullptr, 3, nullptr, 5, 0, nullptr, 0), PP_OK);
  CHECK_EQUAL(pp_lora_grad_up(&kCpu, PP_FLOAT32, 0, 5, 3, nullptr, 5, nullptr, 3, nullptr, 3, 1.0f, nullptr, 3,
                              untouched.data(), untouched.ld(), 0, nullptr, 0),
              PP_OK);
  CHECK_EQUAL(pp_lora_grad_down(&kCpu, PP_FLOAT32, 0, 5, nullptr, 5, &branch, 1, nullptr, 0, nullptr, 0), PP_OK);
  CHECK_EQUAL(pp_lora_grad_input(&kCpu, PP_FLOAT32, 0, 5, &branch, 1, nullptr, nullptr, 5, 0, nullptr, 0), PP_OK);
  CHECK(untouched == before);
}

namespace {

/** One call of each function with good arguments; a test spoils one of them. */
struct Calls {
  pp_device device = kCpu;
  pp_dtype dtype = PP_FLOAT32;
  int64_t M = 6, K = 10, N = 10, r = 4;
  int64_t ldx = 10, lds = 4, ldb = 4, ldds = 4, lddb = 4, ldcopy = 10;
  Matrix x{6, 10, 10, 0}, s{6, 4, 4, 0}, ds{6, 4, 4, 0}, b{10, 4, 4, 0}, a{4, 10, 10, 0}, out{16, 16, 16, 0},
      out2{16, 16, 16, 0};
  const void* px = x.data();
  const void* ps = s.data();
  const void* pb = b.data();
  void* pout = out.data();
  void* pout2 = out2.data();
  pp_lora_branch branches[2] = {{a.data(), 10, 4, 1.0f, 0, s.data(), 4, out.data(), 10},
                                {a.data(), 10, 4, 1.0f, 1, out2.data(), 4, out2.data() + 128, 10}};
  const pp_lora_branch* pbranches = branches;
  int32_t branch_count = 2;
  pp_dropout dropout{0.5f, 1, 2, 3, nullptr};
  std::vector<char> space = std::vector<char>(1 << 22);
  void* workspace = space.data();
  size_t bytes = space.size();

  pp_status down() {
    return pp_lora_down(&device, dtype, M, K, px, ldx, pbranches, branch_count, &dropout, pout, ldcopy, workspace, bytes);
  }
  pp_status up() { return pp_lora_up(&device, dtype, M, N, r, ps, lds, pb, ldb, pout, ldx, 1, workspace, bytes); }
  pp_status grad_up() {
    return pp_lora_grad_up(&device, dtype, M, N, r, px, ldx, pb, ldb, ps, lds, 1.0f, pout2, ldds, static_cast<float*>(pout),
                           lddb, 0, workspace, bytes);
  }
  pp_status grad_down() {
    return pp_lora_grad_down(&device, dtype, M, K, px, ldx, pbranches, branch_count, &dropout, 0, workspace, bytes);
  }
  pp_status grad_input() {
    return pp_lora_grad_input(&device, dtype, M, K, pbranches, branch_count, &dropout, pout, ldx, 1, workspace, bytes);
  }
};

using Spoil = std::function<void(Calls&)>;
using Call = pp_status (Calls::*)();

void check_refused(const std::vector<Call>& calls, const Spoil& spoil, pp_status status, const char* part) {
  for (const Call call : calls) {
    Calls c;
    spoil(c);
    const Matrix out = c.out, out2 = c.out2, s = c.s;
    check::context() = std::string("spoiled argument: ") + part;
    CHECK_FAILS((c.*call)(), status, part);
    CHECK(c.out == out && c.out2 == out2 && c.s == s);
  }
}

}  // namespace

TEST(bad_arguments_are_named_and_nothing_is_written) {
  const std::vector<Call> all{&Calls::down, &Calls::up, &Calls::grad_up, &Calls::grad_down, &Calls::grad_input};
  const std::vector<Call> branched{&Calls::down, &Calls::grad_down, &Calls::grad_input};
  const std::vector<Call> plain{&Calls::up, &Calls::grad_up};
  for (const Call call : all) {
    Calls good;
    CHECK_EQUAL((good.*call)(), PP_OK);
  }
  const pp_status bad = PP_INVALID_ARGUMENT;
  check_refused(
      all, [](Calls& c) { c.M = -3; }, bad, "M must be at least 0, got -3");
  check_refused(
      branched, [](Calls& c) { c.K = 0; }, bad, "K must be at least 1, got 0");
  check_refused(
      plain, [](Calls& c) { c.N = -1; }, bad, "N must be at least 1, got -1");
  check_refused(
      plain, [](Calls& c) { c.r = 0; }, bad, "r must be at least 1, got 0");
  check_refused(
      all, [](Calls& c) { c.device.type = static_cast<pp_device_type>(5); }, bad, "device->type");
  check_refused(
      all, [](Calls& c) { c.dtype = static_cast<pp_dtype>(11); }, bad, "dtype must be");
  check_refused(
      {&Calls::down, &Calls::up, &Calls::grad_input}, [](Calls& c) { c.dtype = PP_BFLOAT16; }, PP_UNSUPPORTED, "bfloat16");
  check_refused(
      all, [](Calls& c) { c.dtype = PP_FLOAT16; }, PP_UNSUPPORTED, "float16");
  check_refused(
      {&Calls::down, &Calls::grad_down}, [](Calls& c) { c.px = nullptr; }, bad, "x must not be null");
  check_refused(
      {&Calls::down, &Calls::grad_down}, [](Calls& c) { c.ldx = 9; }, bad, "ldx must be at least the row's 10 elements, got 9");
  check_refused(
      {&Calls::down}, [](Calls& c) { c.ldcopy = 9; }, bad, "ldx_copy");
  check_refused(
      {&Calls::up}, [](Calls& c) { c.ldx = 9; }, bad, "ldy");
  check_refused(
      {&Calls::grad_up}, [](Calls& c) { c.ldx = 9; }, bad, "lddy");
  check_refused(
      {&Calls::grad_input}, [](Calls& c) { c.ldx = 9; }, bad, "lddx");
  check_refused(
      plain, [](Calls& c) { c.lds = 3; }, bad, "lds");
  check_refused(
      plain, [](Calls& c) { c.ldb = 3; }, bad, "ldb");
  check_refused(
      {&Calls::grad_up}, [](Calls& c) { c.ldds = 3; }, bad, "ldds");
  check_refused(
      {&Calls::grad_up}, [](Calls& c) { c.lddb = 3; }, bad, "lddb");
  check_refused(
      plain, [](Calls& c) { c.ps = nullptr; }, bad, "s must not be null");
  check_refused(
      plain, [](Calls& c) { c.pb = nullptr; }, bad, "b must not be null");
  check_refused(
      {&Calls::up}, [](Calls& c) { c.pout = nullptr; }, bad, "y must not be null");
  check_refused(
      {&Calls::grad_up}, [](Calls& c) { c.px = nullptr; }, bad, "dy must not be null");
  check_refused(
      {&Calls::grad_up}, [](Calls& c) { c.pout = nullptr; }, bad, "db must not be null");
  check_refused(
      {&Calls::grad_input}, [](Calls& c) { c.pout = nullptr; }, bad, "dx must not be null");
  check_refused(
      branched, [](Calls& c) { c.pbranches = nullptr; }, bad, "branches must not be null");
  check_refused(
      branched, [](Calls& c) { c.branch_count = 0; }, bad, "branch_count must be at least 1, got 0");
  check_refused(
      branched, [](Calls& c) { c.branch_count = 17; }, bad, "branch_count must be at most 16, got 17");
  check_refused(
      branched, [](Calls& c) { c.branches[1].rank = 0; }, bad, "branches[1].rank must be at least 1, got 0");
  check_refused(
      branched, [](Calls& c) { c.branches[0].lds = 3; }, bad, "branches[0].lds");
  check_refused(
      branched, [](Calls& c) { c.branches[1].s = nullptr; }, bad, "branches[1].s must not be null");
  check_refused(
      {&Calls::down, &Calls::grad_input}, [](Calls& c) { c.branches[1].a = nullptr; }, bad, "branches[1].a");
  check_refused(
      {&Calls::down, &Calls::grad_input}, [](Calls& c) { c.branches[1].lda = 9; }, bad, "branches[1].lda");
  check_refused(
      {&Calls::grad_down}, [](Calls& c) { c.branches[1].da = nullptr; }, bad, "branches[1].da");
  check_refused(
      {&Calls::grad_down}, [](Calls& c) { c.branches[1].ldda = 9; }, bad, "branches[1].ldda");
  check_refused(
      branched, [](Calls& c) { c.dropout.p = 1.0f; }, bad, "dropout->p must be in [0, 1), got 1");
  check_refused(
      branched, [](Calls& c) { c.dropout.p = -0.5f; }, bad, "got -0.5");
  check_refused(
      branched, [](Calls& c) { c.dropout.p = NAN; }, bad, "nan");
  check_refused(
      branched, [](Calls& c) { c.dropout.p = 0.99999994f; }, bad, "1/65536");
  check_refused(
      branched, [](Calls& c) { c.dropout.micro_batch = 65536; }, bad, "micro_batch must be at most 65535, got 65536");
  check_refused(
      branched, [](Calls& c) { c.dropout.counter = reinterpret_cast<const uint32_t*>(c.space.data()) + 1; }, bad,
      "counter must be at a multiple of 8 bytes");
  check_refused(
      branched, [](Calls& c) { c.M = (int64_t{1} << 47) + 1; }, bad, "M must be at most 2^48");
  check_refused(
      all, [](Calls& c) { c.workspace = nullptr; }, bad, "workspace must not be null");
  check_refused(
      all, [](Calls& c) { c.bytes = 3; }, bad, "got 3");
  const pp_device* none = nullptr;
  Calls c;
  CHECK_FAILS(pp_lora_up(none, PP_FLOAT32, 6, 10, 4, c.ps, 4, c.pb, 4, c.pout, 10, 1, c.workspace, c.bytes), bad, "device");
  int32_t gpus = 0;
  pp_device_count(PP_CUDA, &gpus);
  if (gpus == 0)
    check_refused(
        all, [](Calls& c) { c.device.type = PP_CUDA; }, PP_NO_DEVICE, "CUDA");
}

TEST(workspace_of_just_too_few_bytes_is_refused) {
  Calls c;
  const size_t needed[] = {
      pp_lora_down_workspace(&kCpu, PP_FLOAT32, 6, 10, 8), pp_lora_up_workspace(&kCpu, PP_FLOAT32, 6, 10, 4),
      pp_lora_grad_up_workspace(&kCpu, PP_FLOAT32, 6, 10, 4), pp_lora_grad_down_workspace(&kCpu, PP_FLOAT32, 6, 10, 8),
      pp_lora_grad_input_workspace(&kCpu, PP_FLOAT32, 6, 10, 8)};
  const Call calls[] = {&Calls::down, &Calls::up, &Calls::grad_up, &Calls::grad_down, &Calls::grad_input};
  for (int i = 0; i < 5; ++i) {
    CHECK(needed[i] > 0);
    c.bytes = needed[i] - 1;
    CHECK_FAILS((c.*calls[i])(), PP_INVALID_ARGUMENT, "workspace_bytes must be at least");
    c.bytes = needed[i];
    CHECK_EQUAL((c.*calls[i])(), PP_OK);
  }
}
