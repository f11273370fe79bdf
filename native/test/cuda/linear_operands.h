// A frozen linear with LoRA modules on CUDA buffers: operands, calls, and what these should give, in float64.
#pragma once

#include <algorithm>
#include <optional>

#include "../naive_philox.h"
#include "device_test.h"
#include "prunepeft/linear.h"

namespace device_test {
struct ModuleCase {
  int64_t rank, first_column, columns, first_row, rows;
  float p = 0;
  int draw = 0;        // modules of one draw and one p drop alike
  int same_as = -1;    // the module whose A, B and gradients are this one's too
  int narrow_as = -1;  // the module in whose matrices its S and dS lie too
};

/** x [M,K], y [M,N]. */
struct Case {
  int64_t M, K, N;
  std::vector<ModuleCase> modules;
  Placement placement = {};
  Placement narrow = {};  // of S and dS
  bool bias = true;
  int64_t out_offset = 0;                 // of y and dX, beyond the placement's
  std::optional<Placement> weights = {};  // of A and B, where they do not lie as x does
  bool whole_rows = false;                // rows of x, y, S, A, B and the like take a multiple of 8 elements, and then padding

  Placement out() const { return {placement.offset + out_offset, placement.padding}; }
  /** Of a matrix of so many columns that is to lie so. */
  Placement placed(Placement as, int64_t columns) const {
    constexpr int64_t kWhole = 8;
    return {as.offset, as.padding + (whole_rows ? (kWhole - columns % kWhole) % kWhole : 0)};
  }
  /** Whether all modules are on all rows. */
  bool is_whole() const {
    return std::all_of(modules.begin(), modules.end(), [&](const ModuleCase& m) { return m.rows == M; });
  }
  /** Whether modules share rows. */
  bool shares_rows() const {
    for (size_t i = 0; i < modules.size(); i++)
      for (size_t j = 0; j < i; j++)
        if (modules[i].rows > 0 && modules[j].rows > 0 && modules[i].first_row == modules[j].first_row) return true;
    return false;
  }
  size_t weights_of(size_t module) const {
    return modules[module].same_as < 0 ? module : static_cast<size_t>(modules[module].same_as);
  }
  size_t narrow_of(size_t module) const {
    return modules[module].narrow_as < 0 ? module : static_cast<size_t>(modules[module].narrow_as);
  }
};

enum class Call {
  kNone,
  kDown,
  kUp,
  kGradUp,
  kGradUpAlone,
  kGradDown,
  kGradInput,
  kForward,
  kLinearGradInput,
  kBackward,
  kBackwardWithDa
};

inline bool is_backward(Call call) {
  return call == Call::kBackward || call == Call::kBackwardWithDa;
}

inline bool is_fused(Call call) {
  return call == Call::kForward || call == Call::kLinearGradInput || is_backward(call);
}

inline std::string describe(Call call, pp_dtype dtype, const Case& c, bool accumulate = false) {
  const char* const names[] = {"",
                               "down",
                               "up",
                               "grad_up",
                               "grad_up, dB alone",
                               "grad_down",
                               "grad_input",
                               "forward",
                               "linear_grad_input",
                               "backward",
                               "backward with dA"};
  std::string text = std::string(names[static_cast<int>(call)]) + (accumulate ? ", accumulated, " : " ") + name(dtype);
  const auto add = [&](const char* what, auto value) { text += what + std::to_string(value); };
  add(" M=", c.M), add(" K=", c.K), add(" N=", c.N);
  for (const ModuleCase& m : c.modules) {
    add(" rank ", m.rank), add(" on ", m.first_column), add("+", m.columns);
    add(" rows ", m.first_row), add("+", m.rows), add(" p=", m.p);
  }
  add(" offset=", c.placement.offset), add(" padding=", c.placement.padding);
  return text;
}

/** A matrix as float64. */
inline Reference values_of(const Matrix& matrix) {
  Reference values(matrix.rows(), matrix.columns());
  for (int64_t i = 0; i < matrix.rows(); i++)
    for (int64_t j = 0; j < matrix.columns(); j++) values(i, j) = matrix(i, j);
  return values;
}

inline pp_matrix rows_of(const pp_matrix& matrix, int64_t first, int64_t rows) {
  char* const data = static_cast<char*>(matrix.data) + static_cast<size_t>(first * matrix.ld) * pp_dtype_size(matrix.dtype);
  return {data, rows, matrix.cols, matrix.ld, matrix.dtype};
}

/** The wide operands of a call. */
struct Wide {
  pp_matrix x, y, dy, dx;
  Wide rows(int64_t first, int64_t count) const {
    return {rows_of(x, first, count), rows_of(y, first, count), rows_of(dy, first, count), rows_of(dx, first, count)};
  }
};

inline pp_status make_call(Call call, const pp_context* context, const pp_linear* linear, const Wide& wide,
                           std::vector<pp_lora_module> modules, bool accumulate) {
  const auto count = static_cast<int32_t>(modules.size());
  const pp_lora_module* const all = modules.data();
  switch (call) {
    case Call::kNone:
      return PP_OK;
    case Call::kDown:
      return pp_lora_down(context, &wide.x, all, count);
    case Call::kUp:
      return pp_lora_up(context, all, count, &wide.y, accumulate);
    case Call::kGradUpAlone:
      for (pp_lora_module& module : modules) module.ds.data = nullptr;
      [[fallthrough]];
    case Call::kGradUp:
      return pp_lora_grad_up(context, &wide.dy, all, count);
    case Call::kGradDown:
      return pp_lora_grad_down(context, &wide.x, all, count);
    case Call::kGradInput:
      return pp_lora_grad_input(context, all, count, &wide.dx, accumulate);
    case Call::kForward:
      return pp_linear_forward(context, linear, &wide.x, all, count, &wide.y);
    case Call::kLinearGradInput:
      return pp_linear_grad_input(context, linear, &wide.dy, all, count, &wide.dx);
    case Call::kBackward:
      return pp_linear_backward(context, linear, &wide.dy, nullptr, all, count, &wide.dx);
    case Call::kBackwardWithDa:
      return pp_linear_backward(context, linear, &wide.dy, &wide.x, all, count, &wide.dx);
  }
  return PP_INVALID_ARGUMENT;
}

/**
 * What a call should leave: y and dX where it writes them, else their bytes, and each module's S, dS, dA and dB, where it has
 * its own.
 */
struct Expected {
  Reference y, dx;
  std::vector<unsigned char> y_bytes, dx_bytes;
  std::vector<Reference> s, ds, da, db;
};

/** All operands of a case. What `call` overwrites whole is unwritten at first, all else random. */
struct Operands {
  const Case c;
  const pp_dtype dtype;
  const Call call;
  const bool accumulate;  // of kUp and kGradInput
  Matrix x, dy, y, dx, w, bias;
  std::vector<std::unique_ptr<Matrix>> s, ds, a, b, da, db;  // null where another module's are taken
  std::vector<pp_dropout> dropouts, given;
  DeviceDropout in_memory;
  std::vector<pp_lora_module> modules;
  pp_linear* linear = nullptr;

  Operands(pp_dtype dtype_, const Case& c_, Call call_, bool accumulate_ = false)
      : c(c_),
        dtype(dtype_),
        call(call_),
        accumulate(accumulate_),
        x(dtype, c.M, c.K, c.placed(c.placement, c.K), Content::kRandom),
        dy(dtype, c.M, c.N, c.placed(c.placement, c.N), Content::kRandom),
        y(dtype, c.M, c.N, c.placed(c.out(), c.N),
          overwritten(call == Call::kForward || (call == Call::kUp && covers_columns() && !accumulate))),
        dx(dtype, c.M, c.K, c.placed(c.out(), c.K),
           overwritten(call == Call::kLinearGradInput || is_backward(call) ||
                       (call == Call::kGradInput && c.is_whole() && !accumulate))),
        w(dtype, is_fused(call) ? c.N : 1, is_fused(call) ? c.K : 1, c.placed(c.placement, c.K), Content::kRandom, 0.3),
        bias(dtype, 1, c.N, {c.placement.offset, 0}, Content::kRandom) {
    for (size_t n = 0; n < c.modules.size(); n++) {
      const ModuleCase& m = c.modules[n];
      const auto make = [&](std::vector<std::unique_ptr<Matrix>>* to, bool wanted, pp_dtype type, int64_t rows, int64_t columns,
                            Placement placement, Content content) {
        to->push_back(wanted ? std::make_unique<Matrix>(type, rows, columns, placement, content) : nullptr);
      };
      const bool has_weights = m.same_as < 0, has_narrow = m.narrow_as < 0;
      const int64_t narrow_columns = columns_of_narrow(n);
      const bool own = c.is_whole() && narrow_columns == m.rank;
      const auto gradient = [&](Call of_b, Call also) {
        const bool of_backward = of_b == Call::kGradUp ? is_backward(call) : call == Call::kBackwardWithDa;
        return overwritten((call == of_b || call == also || of_backward) && has_rows(n));
      };
      const Placement narrow = c.placed(c.narrow, narrow_columns), weights = c.weights.value_or(c.placement);
      make(&s, has_narrow, dtype, c.M, narrow_columns, narrow,
           overwritten(own && (call == Call::kDown || call == Call::kForward)));
      make(&ds, has_narrow, dtype, c.M, narrow_columns, narrow,
           overwritten(own && (call == Call::kGradUp || is_backward(call))));
      make(&a, has_weights, dtype, m.rank, c.K, c.placed(weights, c.K), Content::kRandom);
      make(&b, has_weights, dtype, m.columns, m.rank, c.placed(weights, m.rank), Content::kRandom);
      make(&da, has_weights, PP_FLOAT32, m.rank, c.K, c.narrow, gradient(Call::kGradDown, Call::kGradDown));
      make(&db, has_weights, PP_FLOAT32, m.columns, m.rank, c.placement, gradient(Call::kGradUp, Call::kGradUpAlone));
      dropouts.push_back({m.p, static_cast<uint32_t>(40000 + m.draw), static_cast<uint32_t>(77 + 2 * m.draw),
                          0xfedcba9876543210u + static_cast<uint64_t>(m.draw), nullptr});
      given.push_back(in_memory(dropouts[n]));
    }
    for (size_t n = 0; n < c.modules.size(); n++) {
      const ModuleCase& m = c.modules[n];
      const size_t of = c.weights_of(n), narrow = c.narrow_of(n);
      modules.push_back({a[of]->view(), b[of]->view(), m.first_column, m.first_row, m.rows, scale(n), mask(n),
                         m.p == 0 ? nullptr : &given[n], s[narrow]->view(m.rank), ds[narrow]->view(m.rank), da[of]->view(),
                         db[of]->view(), nullptr});
    }
    if (!is_fused(call)) return;
    const pp_context context = {kDevice, nullptr};
    const pp_matrix weights = w.view(), added = bias.view();
    expect_ok(pp_linear_create(&context, &weights, c.bias ? &added : nullptr, &linear));
  }
  ~Operands() { pp_linear_destroy(linear); }
  Operands(const Operands&) = delete;

  /** Takes the values of operands of the same shapes, which may lie otherwise. */
  void take_values(const Operands& from) {
    const auto take = [](Matrix& to, const Matrix& values) {
      for (int64_t i = 0; i < to.rows(); i++)
        for (int64_t j = 0; j < to.columns(); j++) to.set(i, j, values(i, j));
      to.upload();
    };
    take(y, from.y);
    take(dx, from.dx);
    for (auto matrices : {&Operands::s, &Operands::ds, &Operands::a, &Operands::b})
      for (size_t n = 0; n < c.modules.size(); n++)
        if ((this->*matrices)[n] != nullptr) take(*(this->*matrices)[n], *(from.*matrices)[n]);
  }

  /** Whether each P and Q of lora_up's product, or of lora_grad_input's, and what it is added to have rows at whole vectors. */
  struct WholeVectors {
    bool p, q, out;
  };
  WholeVectors whole_vectors() const {
    const auto whole = [](const pp_matrix& matrix) {
      constexpr size_t kBytes = 16;
      return reinterpret_cast<uintptr_t>(matrix.data) % kBytes == 0 &&
             static_cast<size_t>(matrix.ld) * pp_dtype_size(matrix.dtype) % kBytes == 0;
    };
    const bool of_up = call == Call::kUp;
    const auto all = [&](auto matrix_of) { return std::all_of(modules.begin(), modules.end(), matrix_of); };
    return {all([&](const pp_lora_module& module) { return whole(of_up ? module.s : module.ds); }),
            all([&](const pp_lora_module& module) { return whole(of_up ? module.b : module.a); }),
            whole(of_up ? wide().y : wide().dx)};
  }

  Wide wide() const { return {x.view(), y.view(), dy.view(), dx.view()}; }
  float scale(size_t module) const { return 0.25f + 0.5f * static_cast<float>(c.weights_of(module)); }
  uint32_t mask(size_t module) const { return static_cast<uint32_t>(3 + 5 * c.weights_of(module)); }
  double kept(size_t module, int64_t row_of_module, int64_t k) const {
    const pp_dropout& d = dropouts[module];
    return NaiveDropout{d.p, d.micro_batch, d.step, d.seed}.factor(mask(module), c.K, row_of_module, k);
  }

  void run(const pp_context* context) { expect_ok(make_call(call, context, linear, wide(), modules, accumulate)); }

  /** The same by calls for each run of rows alone; of a linear, by its frozen product and these. */
  void run_apart(const pp_context* context) {
    if (!is_fused(call)) return run_apart(context, call, accumulate);
    expect_ok(make_call(call, context, linear, wide(), {}, false));
    if (call == Call::kForward) run_apart(context, Call::kDown, false);
    if (is_backward(call)) run_apart(context, Call::kGradUp, false);
    run_apart(context, call == Call::kForward ? Call::kUp : Call::kGradInput, true);
    if (call == Call::kBackwardWithDa) run_apart(context, Call::kGradDown, false);
  }

  /** Everything that a call may write, read back. */
  std::vector<unsigned char> read() {
    std::vector<unsigned char> bytes;
    const auto read_one = [&](Matrix& matrix) {
      matrix.download();
      append(&bytes, matrix);
    };
    read_one(y);
    read_one(dx);
    for (auto* matrices : {&s, &ds, &da, &db})
      for (auto& matrix : *matrices)
        if (matrix != nullptr) read_one(*matrix);
    return bytes;
  }

  /** What the call should leave of the operands as they are. */
  Expected expected() const {
    const auto copy = [](const std::vector<std::unique_ptr<Matrix>>& from) {
      std::vector<Reference> to;
      for (const auto& matrix : from) to.push_back(matrix == nullptr ? Reference(0, 0) : values_of(*matrix));
      return to;
    };
    const Reference none(0, 0);
    Expected e = {writes_y() ? values_of(y) : none,
                  writes_dx() ? values_of(dx) : none,
                  writes_y() ? std::vector<unsigned char>() : y.bytes(),
                  writes_dx() ? std::vector<unsigned char>() : dx.bytes(),
                  copy(s),
                  copy(ds),
                  copy(da),
                  copy(db)};
    if (call == Call::kForward) {
      e.y = Reference(c.M, c.N);
      for (int64_t i = 0; i < c.M; i++)
        for (int64_t n = 0; n < c.N; n++) {
          e.y(i, n) += c.bias ? bias(0, n) : 0;
          for (int64_t k = 0; k < c.K; k++) e.y(i, n) += x(i, k) * w(n, k);
        }
    }
    if (is_fused(call) && call != Call::kForward) {
      e.dx = Reference(c.M, c.K);
      for (int64_t i = 0; i < c.M; i++)
        for (int64_t k = 0; k < c.K; k++)
          for (int64_t n = 0; n < c.N; n++) e.dx(i, k) += dy(i, n) * w(n, k);
    }
    // The product with W is stored before what the fused kernels do not take is added.
    if (is_fused(call) && !adds_at_once()) {
      Reference& wide = call == Call::kForward ? e.y : e.dx;
      wide = wide.stored(dtype);
    }
    for (size_t n = 0; n < c.modules.size(); n++) clear(n, &e);
    for (size_t n = 0; n < c.modules.size(); n++) add(n, &e);
    store_wide(&e);
    return e;
  }

  void expect_all_close(const Expected& e) const {
    expect_wide_close(e);
    for (size_t n = 0; n < c.modules.size(); n++) {
      const ModuleCase& m = c.modules[n];
      const size_t of = c.weights_of(n), narrow = c.narrow_of(n);
      const auto check = [&](const char* what, const Matrix& got, const Reference& reference) {
        expect_close(what, got, reference, m.first_row, m.rows, m.rank);
      };
      check("S", *s[narrow], e.s[narrow]);
      check("dS", *ds[narrow], e.ds[narrow]);
      expect_close("dA", *da[of], e.da[of]);
      expect_close("dB", *db[of], e.db[of]);
    }
  }

  /** y and dX: one that the call does not write is as it was. */
  void expect_wide_close(const Expected& e) const {
    expect_close("y", y, e.y);
    expect_close("dX", dx, e.dx);
    expect(writes_y() || y.bytes() == e.y_bytes, "y has changed");
    expect(writes_dx() || dx.bytes() == e.dx_bytes, "dX has changed");
  }

 private:
  bool writes_y() const { return call == Call::kUp || call == Call::kForward; }
  bool writes_dx() const { return call == Call::kGradInput || (is_fused(call) && call != Call::kForward); }

  /** Whether y or dX is stored once, with all modules' parts: they are on all rows and drop alike. Of up each is added alone.
   */
  bool adds_at_once() const {
    return call != Call::kUp && c.is_whole() && std::all_of(c.modules.begin(), c.modules.end(), [&](const ModuleCase& m) {
             return m.p == c.modules[0].p && (m.p == 0 || m.draw == c.modules[0].draw);
           });
  }

  /** Rounds y or dX as often as modules are added to an element, at most, whatever launches add them. */
  void store_wide(Expected* e) const {
    if (!writes_y() && !writes_dx()) return;
    Reference& wide = writes_y() ? e->y : e->dx;
    for (int64_t i = 0; i < wide.rows; i++)
      for (int64_t j = 0; j < wide.columns; j++) {
        int times = 0;
        for (const ModuleCase& m : c.modules)
          times += i >= m.first_row && i < m.first_row + m.rows &&
                   (writes_dx() || (j >= m.first_column && j < m.first_column + m.columns));
        if (adds_at_once()) times = 1;
        if (times > 0) wide(i, j) = wide(i, j).stored(dtype, times);
      }
  }

  static Content overwritten(bool whole) { return whole ? Content::kUnwritten : Content::kRandom; }
  /** The largest rank in a module's matrices, and a column that is nobody's where several share them. */
  int64_t columns_of_narrow(size_t module) const {
    int64_t most = c.modules[module].rank;
    bool shared = false;
    for (const ModuleCase& m : c.modules) {
      if (m.narrow_as != static_cast<int>(module)) continue;
      shared = true;
      most = std::max(most, m.rank);
    }
    return most + (shared ? 1 : 0);
  }
  bool covers_columns() const { return c.modules.size() == 1 && c.modules[0].columns == c.N && c.is_whole(); }
  /** Whether a module, or another with its gradients, has rows. */
  bool has_rows(size_t module) const {
    for (size_t n = 0; n < c.modules.size(); n++)
      if (c.weights_of(n) == module && c.modules[n].rows > 0) return true;
    return false;
  }

  bool is_on_several_runs(size_t weights) const {
    int runs = 0;
    for (size_t n = 0; n < c.modules.size(); n++) runs += c.weights_of(n) == weights && c.modules[n].rows > 0;
    return runs > 1;
  }

  void run_apart(const pp_context* context, Call what, bool adds) {
    std::vector<bool> done(c.modules.size());
    for (size_t n = 0; n < c.modules.size(); n++) {
      const ModuleCase& m = c.modules[n];
      if (done[n] || m.rows == 0) continue;
      std::vector<pp_lora_module> run;
      // A gradient is overwritten, so that its module's runs of rows are one call.
      const bool writes_gradient = what == Call::kGradUp || what == Call::kGradUpAlone || what == Call::kGradDown;
      if (writes_gradient && is_on_several_runs(c.weights_of(n))) {
        for (size_t i = n; i < c.modules.size(); i++) {
          if (c.weights_of(i) != c.weights_of(n)) continue;
          done[i] = true;
          run.push_back(modules[i]);
        }
        expect_ok(make_call(what, context, linear, wide(), run, adds));
        continue;
      }
      for (size_t i = n; i < c.modules.size(); i++) {
        if (c.modules[i].first_row != m.first_row || c.modules[i].rows == 0) continue;
        if (writes_gradient && is_on_several_runs(c.weights_of(i))) continue;
        done[i] = true;
        run.push_back(modules[i]);
        run.back().first_row = 0;
        run.back().s = rows_of(modules[i].s, m.first_row, m.rows);
        run.back().ds = rows_of(modules[i].ds, m.first_row, m.rows);
      }
      expect_ok(make_call(what, context, linear, wide().rows(m.first_row, m.rows), run, adds));
    }
  }

  /** Zeros where the call overwrites what the module has. */
  void clear(size_t n, Expected* e) const {
    const ModuleCase& m = c.modules[n];
    if (m.rows == 0) return;
    const auto zero = [&](Reference* reference, int64_t first_column, int64_t columns) {
      for (int64_t i = m.first_row; i < m.first_row + m.rows; i++)
        for (int64_t j = first_column; j < first_column + columns; j++) (*reference)(i, j) = 0;
    };
    const auto zero_all = [](Reference* reference) { *reference = Reference(reference->rows, reference->columns); };
    if (call == Call::kDown || call == Call::kForward) zero(&e->s[c.narrow_of(n)], 0, m.rank);
    if (call == Call::kGradUp || is_backward(call)) zero(&e->ds[c.narrow_of(n)], 0, m.rank);
    if (call == Call::kUp && !accumulate) zero(&e->y, m.first_column, m.columns);
    if (call == Call::kGradInput && !accumulate) zero(&e->dx, 0, c.K);
    if (call == Call::kGradUp || call == Call::kGradUpAlone || is_backward(call)) zero_all(&e->db[c.weights_of(n)]);
    if (call == Call::kGradDown || call == Call::kBackwardWithDa) zero_all(&e->da[c.weights_of(n)]);
  }

  /** Adds the module's part. */
  void add(size_t n, Expected* e) const {
    const ModuleCase& m = c.modules[n];
    const Matrix &to_narrow = *a[c.weights_of(n)], &to_wide = *b[c.weights_of(n)];
    const Matrix &s_now = *s[c.narrow_of(n)], &ds_now = *ds[c.narrow_of(n)];
    Reference &s_then = e->s[c.narrow_of(n)], &ds_then = e->ds[c.narrow_of(n)];
    Reference &da_then = e->da[c.weights_of(n)], &db_then = e->db[c.weights_of(n)];
    const double factor = scale(n);
    const bool of_a = call != Call::kUp && call != Call::kGradUp && call != Call::kGradUpAlone;
    const bool backward = is_backward(call);
    const auto store_row = [&](Reference* narrow, int64_t i) {
      for (int64_t r = 0; r < m.rank; r++) (*narrow)(i, r) = (*narrow)(i, r).stored(dtype);
    };
    for (int64_t i = m.first_row; backward && i < m.first_row + m.rows; i++) {
      for (int64_t j = 0; j < m.columns; j++)
        for (int64_t r = 0; r < m.rank; r++) {
          ds_then(i, r) += factor * dy(i, m.first_column + j) * to_wide(j, r);
          db_then(j, r) += dy(i, m.first_column + j) * s_now(i, r);
        }
      store_row(&ds_then, i);
    }
    for (int64_t i = m.first_row; i < m.first_row + m.rows; i++) {
      for (int64_t k = 0; of_a && k < c.K; k++) {
        const double keep = kept(n, i - m.first_row, k);
        for (int64_t r = 0; r < m.rank && keep != 0; r++) {
          if (call == Call::kDown || call == Call::kForward) s_then(i, r) += factor * keep * x(i, k) * to_narrow(r, k);
          if (call == Call::kGradDown) da_then(r, k) += ds_now(i, r) * keep * x(i, k);
          if (call == Call::kBackwardWithDa) da_then(r, k).add(keep * x(i, k), ds_then(i, r));
          if (backward) e->dx(i, k).add(keep * to_narrow(r, k), ds_then(i, r));
          if (call == Call::kGradInput || call == Call::kLinearGradInput) e->dx(i, k) += keep * ds_now(i, r) * to_narrow(r, k);
        }
      }
      if (call == Call::kDown || call == Call::kForward) store_row(&s_then, i);
      for (int64_t j = 0; (!of_a || call == Call::kForward) && j < m.columns; j++)
        for (int64_t r = 0; r < m.rank; r++) {
          const int64_t column = m.first_column + j;
          if (call == Call::kUp) e->y(i, column) += s_now(i, r) * to_wide(j, r);
          if (call == Call::kForward) e->y(i, column).add(to_wide(j, r), s_then(i, r));
          if (call == Call::kGradUp) ds_then(i, r) += factor * dy(i, column) * to_wide(j, r);
          if (call == Call::kGradUp || call == Call::kGradUpAlone) db_then(j, r) += dy(i, column) * s_now(i, r);
        }
      if (call == Call::kGradUp) store_row(&ds_then, i);
    }
  }
};

/** Memory for the masks of a case's modules, as near to 16 bytes as it may lie, in which each byte has to be written. */
class KeptMasks {
 public:
  explicit KeptMasks(Operands* operands) {
    for (size_t n = 0; n < operands->modules.size(); n++) {
      pp_lora_module& module = operands->modules[n];
      const auto halves = static_cast<int64_t>(pp_kept_mask_bytes(module.rows, operands->c.K) / sizeof(uint16_t));
      if (module.dropout == nullptr || halves == 0) continue;
      masks_.push_back(std::make_unique<Matrix>(PP_FLOAT16, 1, halves, Placement{8, 0}, Content::kUnwritten));
      module.kept_mask = masks_.back()->data();
    }
  }

  bool empty() const { return masks_.empty(); }
  /** What is there, all of it written and nothing beside it. */
  std::vector<std::vector<unsigned char>> read() {
    std::vector<std::vector<unsigned char>> all;
    for (auto& mask : masks_) {
      mask->download();
      all.emplace_back(static_cast<size_t>(mask->columns()) * sizeof(uint16_t));
      check_cuda(cudaMemcpy(all.back().data(), mask->data(), all.back().size(), cudaMemcpyDeviceToHost));
    }
    return all;
  }
  /** Has the bits of each byte in the other order. */
  void reverse_bytes() {
    auto all = read();
    for (size_t n = 0; n < masks_.size(); n++) {
      for (unsigned char& byte : all[n]) {
        unsigned char reversed = 0;
        for (int bit = 0; bit < 8; bit++) reversed = static_cast<unsigned char>(reversed | (byte >> bit & 1) << (7 - bit));
        byte = reversed;
      }
      give(masks_[n]->data(), all[n].data(), all[n].size());
    }
  }

 private:
  std::vector<std::unique_ptr<Matrix>> masks_;
};

/**
 * A forward call and then `calls`, with masks kept and drawn again: the same bits, whatever the masks' memory held. With the
 * bits of a kept mask in another order, results that depend on masks differ.
 */
inline void test_kept_masks(pp_dtype dtype, const Case& c, Call forward, const std::vector<Call>& calls) {
  run_case(
      describe(forward, dtype, c) + ", masks kept",
      [&] {
        const auto state = random_bits;
        const Context context;
        const auto go = [&](Operands& operands, bool reversed, KeptMasks* masks) {
          operands.run(context);
          if (reversed) masks->reverse_bytes();
          for (const Call call : calls)
            expect_ok(make_call(call, context, operands.linear, operands.wide(), operands.modules, true));
          return operands.read();
        };
        Operands drawn(dtype, c, forward);
        const auto bytes = go(drawn, false, nullptr);
        for (const bool reversed : {false, true}) {
          random_bits = state;
          Operands kept(dtype, c, forward);
          KeptMasks masks(&kept);
          const bool same = go(kept, reversed, &masks) == bytes;
          if (masks.empty()) break;
          masks.read();
          const bool too_small = c.M * c.K < 100;  // then a byte may be the same backwards
          expect(reversed ? !same || too_small : same, reversed ? "masks with their bits in another order make no difference"
                                                                : "masks that were kept give other bits");
        }
        return bytes;
      },
      1);
}

/**
 * The call against float64 and, where modules are on rows of their own, bit for bit against calls for these rows alone, which
 * also shows that nothing else is written. Its bits, of several orders of threads.
 */
inline std::vector<unsigned char> test_call(Call call, pp_dtype dtype, const Case& c, bool accumulate = false, int runs = 2) {
  bool compared = false;  // repeats give the same bits
  return run_case(
      describe(call, dtype, c, accumulate),
      [&] {
        const auto state = random_bits;
        Operands together(dtype, c, call, accumulate);
        std::optional<Expected> expected;
        if (!compared) expected = together.expected();
        const Context context;
        together.run(context);
        const std::vector<unsigned char> bytes = together.read();
        if (expected) together.expect_all_close(*expected);
        compared = true;
        // Modules on the same rows are summed before dX is rounded, or after, as their neighbours have it.
        const bool of_dx = call == Call::kGradInput || call == Call::kLinearGradInput;
        if (!c.is_whole() && !(of_dx && c.shares_rows())) {
          random_bits = state;
          Operands apart(dtype, c, call, accumulate);
          apart.run_apart(context);
          expect(bytes == apart.read(), "all together give the bits of one after the other, and write nothing else");
        }
        return bytes;
      },
      runs);
}
}  // namespace device_test
