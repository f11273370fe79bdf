// A frozen linear with LoRA modules on it, of random sizes: operands of what tests of it call.
#pragma once

#include "given_dropout.h"
#include "naive_philox.h"
#include "prunepeft/linear.h"
#include "refusals.h"

/** A LoRA module on some columns and rows, with all that forward and backward need. */
struct Module {
  int64_t rank, first_column, columns, first_row, rows;
  float scale;
  uint32_t mask;
  pp_dropout dropout;
  Matrix a, b, s, ds, da, db;

  double factor(int64_t K, int64_t i, int64_t k) const {
    const NaiveDropout naive{dropout.p, dropout.micro_batch, dropout.step, dropout.seed};
    return naive.factor(mask, K, i - first_row, k);
  }
  int64_t end_row() const { return first_row + rows; }
};

/** A frozen linear with modules on it. */
struct Problem {
  pp_dtype dtype;
  int64_t M, N, K;
  Matrix x, dy, w, bias;
  bool has_bias;
  std::vector<Module> modules;

  Problem(pp_dtype dtype, int64_t M, int64_t N, int64_t K)
      : dtype(dtype),
        M(M),
        N(N),
        K(K),
        x(Matrix::random(M, K, dtype)),
        dy(Matrix::random(M, N, dtype)),
        w(Matrix::random(N, K, dtype)),
        bias(Matrix::random(1, N, dtype)),
        has_bias(check::pick(0, 2) > 0) {}

  /** With modules on all rows that drop alike. */
  Problem(pp_dtype dtype, int64_t M, int64_t N, int64_t K, const std::vector<int64_t>& ranks, double p)
      : Problem(dtype, M, N, K) {
    const pp_dropout dropout = random_dropout(p);
    for (const int64_t rank : ranks) add(rank, 0, M, dropout);
  }

  static pp_dropout random_dropout(double p) {
    return {static_cast<float>(p), static_cast<uint32_t>(check::pick(0, 65535)), static_cast<uint32_t>(check::random()()),
            check::random()(), nullptr};
  }

  void add(int64_t rank, int64_t first_row, int64_t rows, const pp_dropout& dropout) {
    const int64_t first = check::pick(0, N - 1), columns = check::pick(1, N - first);
    modules.push_back({rank, first, columns, first_row, rows, static_cast<float>(check::pick(1, 64)) / 32,
                       static_cast<uint32_t>(check::random()()), dropout, Matrix::random_weights(rank, K, dtype),
                       Matrix::random_weights(columns, rank, dtype), Matrix::random_weights(M, rank, dtype),
                       Matrix::random_weights(M, rank, dtype), Matrix::random(rank, K), Matrix::random(columns, rank)});
  }

  std::string text() const {
    std::string text = std::string(dtype == PP_FLOAT32 ? "float32" : "bfloat16") + ", M " + std::to_string(M) + ", N " +
                       std::to_string(N) + ", K " + std::to_string(K);
    for (const Module& module : modules) {
      text += ", r " + std::to_string(module.rank) + " on columns " + std::to_string(module.first_column) + "+" +
              std::to_string(module.columns) + ", rows " + std::to_string(module.first_row) + "+" +
              std::to_string(module.rows) + ", p " + std::to_string(module.dropout.p);
    }
    return text;
  }
};

/** The modules of a problem as calls take them, with outputs of their own. */
struct Given {
  std::vector<Module> own;
  std::vector<std::unique_ptr<GivenDropout>> dropouts;
  std::vector<pp_lora_module> table;

  explicit Given(const Problem& problem) : own(problem.modules) {
    for (const Module& module : own) {
      dropouts.push_back(std::make_unique<GivenDropout>(module.dropout, pp_num_threads() == 2));
      const bool none = module.dropout.p == 0 && check::pick(0, 1) == 0;
      table.push_back({module.a.view(), module.b.view(), module.first_column, module.first_row, module.rows, module.scale,
                       module.mask, none ? nullptr : dropouts.back()->get(), module.s.view(), module.ds.view(),
                       module.da.view(), module.db.view(), nullptr});
    }
  }
  int32_t count() const { return static_cast<int32_t>(table.size()); }

  /** Puts an output in the place of a matrix: poisoned but for what is to stay. */
  void clear(Matrix Module::*matrix, pp_matrix pp_lora_module::*member) {
    for (size_t n = 0; n < own.size(); ++n) {
      Matrix& to = own[n].*matrix;
      to = Matrix::empty(to.rows(), to.columns());
      table[n].*member = to.view();
    }
  }
  std::vector<Matrix> all(Matrix Module::*matrix) const {
    std::vector<Matrix> list;
    for (const Module& module : own) list.push_back(module.*matrix);
    return list;
  }
};

/** Modules on the same rows that drop differently, or on several runs of rows with gaps between. */
inline void add_random_modules(Problem& problem) {
  const auto ranks = [] {
    std::vector<int64_t> list(check::pick(0, 3));
    for (int64_t& rank : list) rank = pick_rank();
    return list;
  };
  const auto p = [] { return check::pick(std::vector<double>{0.0, 0.05, 0.5, 0.9}); };
  if (check::pick(0, 1) == 0) {
    const pp_dropout shared = Problem::random_dropout(p());
    const bool alike = check::pick(0, 1) == 0;
    for (const int64_t rank : ranks()) problem.add(rank, 0, problem.M, alike ? shared : Problem::random_dropout(p()));
    return;
  }
  int64_t row = 0;
  while (row < problem.M && problem.modules.size() < 6) {
    row += check::pick(0, 2) * check::pick(0, problem.M - row) / 4;
    const int64_t rows = check::pick(0, problem.M - row);
    for (const int64_t rank : ranks()) problem.add(rank, row, rows, Problem::random_dropout(p()));
    row += std::max<int64_t>(rows, 1);
  }
}
