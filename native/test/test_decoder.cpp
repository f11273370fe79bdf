#include "decoder_reference.h"

#include "refusals.h"

namespace {

constexpr pp_dtype kTypes[] = {PP_FLOAT32, PP_BFLOAT16};

/** A matrix of one run of memory with another's elements and leading dimension, to be overwritten. */
Matrix copy(const Matrix& from) {
  Matrix to(from.rows(), from.columns(), from.ld(), 0, from.dtype());
  for (int64_t i = 0; i < from.rows(); ++i) {
    for (int64_t j = 0; j < from.columns(); ++j) to.set(i, j, from(i, j));
  }
  return to;
}

std::string of_type(const char* what, pp_dtype dtype, int64_t rows, int64_t columns) {
  return std::string(what) + ", dtype " + std::to_string(dtype) + ", " + std::to_string(rows) + " x " + std::to_string(columns);
}

}  // namespace

TEST(rms_norm_and_its_gradient) {
  for (const pp_dtype dtype : kTypes) {
    for (int n = 0; n < 12; ++n) {
      if (!check::drawn_case()) continue;
      const int64_t M = check::pick(1, 20), K = pick_size(), G = check::pick(1, 3);
      const Matrix w = Matrix::random(1, K, dtype), x = Matrix::random(M, G * K, dtype), dy = Matrix::random(M, G * K, dtype);
      const pp_rms_norm norm{w.view(), 1e-3f, static_cast<int32_t>(check::pick(0, 1))};
      // Sums in four vectors of 4 elements or more, which are joined: 2 and 8 additions, or 2 and 4 of 16 elements.
      const double additions = static_cast<double>(K) / 16 + 11;
      const NormReference expected = rms_norm_reference({dtype, M, G, K, norm.epsilon, norm.adds_one != 0, additions}, x, dy,
                                                        [&](int64_t j) { return w(0, j); });
      on_all_settings(of_type("RMS norm", dtype, M, G * K), [&] {
        Matrix out = Matrix::empty(M, G * K, dtype), own_scales = Matrix::empty(M, G),
               gradient = Matrix::empty(M, G * K, dtype);
        Matrix in_place = copy(x), gradient_in_place = copy(dy);
        const pp_matrix x_view = x.view(), y_view = out.view(), scales_view = own_scales.view(), dy_view = dy.view(),
                        dx_view = gradient.view(), in_place_view = in_place.view(), other_view = gradient_in_place.view();
        CHECK_EQUAL(pp_rms_norm_forward(Context(), &norm, &x_view, &y_view, &scales_view), PP_OK);
        CHECK_EQUAL(pp_rms_norm_forward(Context(), &norm, &in_place_view, &in_place_view, nullptr), PP_OK);
        CHECK_EQUAL(pp_rms_norm_backward(Context(), &norm, &dy_view, &x_view, &scales_view, &dx_view), PP_OK);
        CHECK_EQUAL(pp_rms_norm_backward(Context(), &norm, &other_view, &x_view, &scales_view, &other_view), PP_OK);
        CHECK_ELEMENTS(out, expected.y);
        CHECK_ELEMENTS(own_scales, expected.scales);
        CHECK_ELEMENTS(gradient, expected.dx);
        CHECK(out.padding_intact() && own_scales.padding_intact() && gradient.padding_intact());
        CHECK(dense({out, gradient}) == dense({in_place, gradient_in_place}));
        CHECK(in_place.padding_intact() && gradient_in_place.padding_intact());
        return dense({out, own_scales, gradient});
      });
    }
  }
}

TEST(rotation_is_by_the_position_s_angle) {
  for (const pp_dtype dtype : kTypes) {
    for (int n = 0; n < 12; ++n) {
      if (!check::drawn_case()) continue;
      const int64_t B = check::pick(1, 3), T = check::pick(1, 9), heads = check::pick(0, 4), d = check::pick(2, 70);
      const int64_t half = check::pick(1, d / 2), positions = check::pick(1, 12), N = heads * d + check::pick(1, 20);
      const Matrix x = Matrix::random(B * T, N, dtype);
      Matrix cosines = Matrix::empty(positions, half), sines = Matrix::empty(positions, half);
      for (int64_t p = 0; p < positions; ++p) {
        for (int64_t j = 0; j < half; ++j) {
          const double angle = 0.01 * static_cast<double>(check::pick(0, 628));
          cosines.set(p, j, static_cast<float>(1.2 * std::cos(angle)));
          sines.set(p, j, static_cast<float>(1.2 * std::sin(angle)));
        }
      }
      // Positions before the first and behind the last come in too.
      std::vector<int32_t> starts(B * T);
      for (int32_t& start : starts) start = static_cast<int32_t>(check::pick(-3, 6));
      pp_rotary rotary{B, T, heads, d, cosines.view(), sines.view(), check::pick(0, 4), nullptr, 0};
      if (check::pick(0, 2) > 0) rotary.starts = starts.data();
      for (rotary.backward = 0; rotary.backward < 2; ++rotary.backward) {
        Reference y(B * T, N);
        for (int64_t i = 0; i < B * T; ++i) {
          const int64_t wanted = rotary.past + i % T - (rotary.starts == nullptr ? 0 : starts[i]);
          const int64_t p = std::min(std::max<int64_t>(wanted, 0), positions - 1);
          for (int64_t j = 0; j < N; ++j) y(i, j) = x(i, j);
          for (int64_t h = 0; h < heads; ++h) {
            for (int64_t j = 0; j < half; ++j) {
              const double c = cosines(p, j), s = rotary.backward != 0 ? -sines(p, j) : sines(p, j);
              const double first = x(i, h * d + j), second = x(i, h * d + half + j);
              y(i, h * d + j) = rotated(dtype, first, c, second, -s);
              y(i, h * d + half + j) = rotated(dtype, second, c, first, s);
            }
          }
        }
        on_all_settings(of_type("rotation", dtype, B * T, N), [&] {
          Matrix out = Matrix::empty(B * T, N, dtype), in_place = copy(x);
          const pp_matrix from = x.view(), to = out.view(), own = in_place.view();
          CHECK_EQUAL(pp_rotate(Context(), &rotary, &from, &to), PP_OK);
          CHECK_EQUAL(pp_rotate(Context(), &rotary, &own, &own), PP_OK);
          CHECK_ELEMENTS(out, y);
          CHECK(dense({out}) == dense({in_place}));
          CHECK(out.padding_intact() && in_place.padding_intact());
          return dense({out});
        });
      }
    }
  }
}

TEST(gates_and_their_gradients) {
  for (const pp_dtype dtype : kTypes) {
    for (const pp_gate gate : {PP_SWIGLU, PP_GEGLU, PP_GEGLU_TANH}) {
      for (int n = 0; n < 6; ++n) {
        if (!check::drawn_case()) continue;
        const int64_t M = check::pick(1, 20), I = pick_size();
        Matrix gate_up = Matrix::random(M, 2 * I, dtype), dout = Matrix::random(M, I, dtype);
        // Some large ones, at which an exponential or a cube could overflow.
        gate_up.set(0, 0, 1e20f);
        gate_up.set(M - 1, I - 1, -1e20f);
        if (I > 1) gate_up.set(0, 1, -12.5f);
        Reference out(M, I), dgate_up(M, 2 * I);
        for (int64_t i = 0; i < M; ++i) {
          for (int64_t j = 0; j < I; ++j) {
            const GateReference expected = gate_reference(dtype, gate, gate_up(i, j), gate_up(i, I + j), dout(i, j));
            out(i, j) = expected.out;
            dgate_up(i, j) = expected.dgate;
            dgate_up(i, I + j) = expected.dup;
          }
        }
        on_all_settings(of_type("gate", dtype, M, I), [&] {
          Matrix seen = Matrix::empty(M, I, dtype), gradient = Matrix::empty(M, 2 * I, dtype), in_place = copy(gate_up);
          const pp_matrix from = gate_up.view(), to = seen.view(), dout_view = dout.view(), dgate_up_view = gradient.view(),
                          own = in_place.view();
          CHECK_EQUAL(pp_gate_forward(Context(), gate, &from, &to), PP_OK);
          CHECK_EQUAL(pp_gate_backward(Context(), gate, &dout_view, &from, &dgate_up_view), PP_OK);
          CHECK_EQUAL(pp_gate_backward(Context(), gate, &dout_view, &own, &own), PP_OK);
          CHECK(dense({gradient}) == dense({in_place}));
          CHECK_ELEMENTS(seen, out);
          CHECK_ELEMENTS(gradient, dgate_up);
          CHECK(seen.padding_intact() && gradient.padding_intact());
          return dense({seen, gradient});
        });
      }
    }
  }
}

TEST(gates_hold_in_their_tails) {
  // z runs over a grid; out is σ(z), and the gradients are σ'(z) and σ(z).
  const int64_t n = 4001;
  Matrix gate_up(1, 2 * n, 2 * n, 0), dout(1, n, n, 0);
  for (int64_t j = 0; j < n; ++j) {
    gate_up.set(0, j, static_cast<float>(j - 2000) / 100);
    gate_up.set(0, n + j, 1.0f);
    dout.set(0, j, 1.0f);
  }
  for (const pp_gate gate : {PP_SWIGLU, PP_GEGLU, PP_GEGLU_TANH}) {
    Reference out(1, n), dgate_up(1, 2 * n);
    for (int64_t j = 0; j < n; ++j) {
      const GateReference expected = gate_reference(PP_FLOAT32, gate, gate_up(0, j), 1.0, 1.0);
      out(0, j) = expected.out;
      dgate_up(0, j) = expected.dgate;
      dgate_up(0, n + j) = expected.dup;
    }
    on_all_settings("gates' tails, gate " + std::to_string(gate), [&] {
      Matrix seen(1, n, n, 0), gradient(1, 2 * n, 2 * n, 0);
      const pp_matrix from = gate_up.view(), to = seen.view(), dout_view = dout.view(), dgate_up_view = gradient.view();
      CHECK_EQUAL(pp_gate_forward(Context(), gate, &from, &to), PP_OK);
      CHECK_EQUAL(pp_gate_backward(Context(), gate, &dout_view, &from, &dgate_up_view), PP_OK);
      CHECK_ELEMENTS(seen, out);
      CHECK_ELEMENTS(gradient, dgate_up);
      return std::vector<Matrix>{seen, gradient};
    });
  }
}

TEST(nan_comes_through) {
  on_all_settings("NaN", [&] {
    Matrix x(1, 8, 8, 0), y(1, 8, 8, 0), w = copy(Matrix::random(1, 4));
    for (int64_t j = 0; j < 8; ++j) x.set(0, j, j == 2 ? NAN : 1.0f);
    const pp_rms_norm norm{w.view(), 1e-5f, 0};
    const pp_matrix x_view = x.view(), y_view = y.view();
    CHECK_EQUAL(pp_rms_norm_forward(Context(), &norm, &x_view, &y_view, nullptr), PP_OK);
    for (int64_t j = 0; j < 8; ++j) CHECK_EQUAL(std::isnan(y(0, j)), j < 4);
    Matrix out(1, 4, 4, 0), gradient(1, 8, 8, 0), dout = copy(Matrix::random(1, 4));
    const pp_matrix out_view = out.view(), dout_view = dout.view(), gradient_view = gradient.view();
    for (const pp_gate gate : {PP_SWIGLU, PP_GEGLU, PP_GEGLU_TANH}) {
      CHECK_EQUAL(pp_gate_forward(Context(), gate, &x_view, &out_view), PP_OK);
      CHECK_EQUAL(pp_gate_backward(Context(), gate, &dout_view, &x_view, &gradient_view), PP_OK);
      for (int64_t j = 0; j < 4; ++j) {
        CHECK_EQUAL(std::isnan(out(0, j)), j == 2);
        CHECK_EQUAL(std::isnan(gradient(0, j)), j == 2);
      }
    }
    return std::vector<Matrix>();
  });
}

namespace {

struct Calls : CallsInContext {
  Matrix x_matrix{6, 8, 8, 0}, y_matrix{6, 8, 8, 0}, weight_matrix{1, 4, 4, 0}, scales_matrix{6, 2, 2, 0};
  Matrix narrow_matrix{6, 4, 4, 0}, table_matrix{5, 2, 2, 0};
  pp_matrix x = x_matrix.view(), y = y_matrix.view(), scales = scales_matrix.view(), narrow = narrow_matrix.view();
  pp_rms_norm weights{weight_matrix.view(), 1e-5f, 0};
  pp_rotary angles{2, 3, 2, 4, table_matrix.view(), table_matrix.view(), 0, nullptr, 0};
  const pp_rms_norm* norm = &weights;
  const pp_rotary* rotary = &angles;
  pp_gate gate = PP_SWIGLU;

  pp_status norm_forward() { return pp_rms_norm_forward(&context, norm, &x, &y, &scales); }
  pp_status norm_backward() { return pp_rms_norm_backward(&context, norm, &x, &x, &scales, &y); }
  pp_status rotate() { return pp_rotate(&context, rotary, &x, &y); }
  pp_status gate_forward() { return pp_gate_forward(&context, gate, &x, &narrow); }
  pp_status gate_backward() { return pp_gate_backward(&context, gate, &narrow, &x, &y); }
  std::vector<Matrix> outputs() const { return {y_matrix, scales_matrix, narrow_matrix}; }
};

using Call = pp_status (Calls::*)();

}  // namespace

TEST(bad_arguments_are_named_and_nothing_is_written) {
  const std::vector<Call> all{&Calls::norm_forward, &Calls::norm_backward, &Calls::rotate, &Calls::gate_forward,
                              &Calls::gate_backward};
  const std::vector<Call> norms{&Calls::norm_forward, &Calls::norm_backward}, rotate{&Calls::rotate},
      gates{&Calls::gate_forward, &Calls::gate_backward}, gate_forward{&Calls::gate_forward},
      gate_backward{&Calls::gate_backward}, norm_backward{&Calls::norm_backward}, norm_forward{&Calls::norm_forward};
  for (const Call call : all) {
    Calls good;
    good.context.workspace = nullptr;
    CHECK_EQUAL((good.*call)(), PP_OK);
    Calls empty;
    empty.x.rows = empty.y.rows = empty.scales.rows = empty.narrow.rows = empty.angles.sequences = 0;
    const std::vector<Matrix> before = empty.outputs();
    CHECK_EQUAL((empty.*call)(), PP_OK);
    CHECK(empty.outputs() == before);
  }
  check_refused<Calls>({
      {all, [](Calls& c) { c.x.data = nullptr; }, "data must not be null"},
      {all, [](Calls& c) { c.x.ld = 7; }, "ld must be at least the row's 8 elements, got 7"},
      {all, [](Calls& c) { c.context.device.type = static_cast<pp_device_type>(5); }, "device->type must be 0"},
      {norms, [](Calls& c) { c.norm = nullptr; }, "norm must not be null"},
      {norms, [](Calls& c) { c.weights.epsilon = 0.0f; }, "norm->epsilon must be above 0, got 0"},
      {norms, [](Calls& c) { c.weights.epsilon = NAN; }, "norm->epsilon must be above 0, got nan"},
      {norms, [](Calls& c) { c.weights.adds_one = 2; }, "norm->adds_one must be 0 or 1, got 2"},
      {norms, [](Calls& c) { c.weights.weight.cols = 3; }, "x.cols must be a multiple of the weight's 3 columns, got 8"},
      {norms, [](Calls& c) { c.weights.weight.dtype = PP_BFLOAT16; }, "norm->weight must be float32 [1, 4], got bfloat16"},
      {norms, [](Calls& c) { c.scales.cols = 1; }, "scales must be float32 [6, 2], got float32 [6, 1]"},
      {norms, [](Calls& c) { c.y.cols = 7; }, "must be float32 [6, 8], got float32 [6, 7]"},
      {norm_backward, [](Calls& c) { c.y.data = c.x.data; }, "dx must not be the buffer of x"},
      {norm_forward, [](Calls& c) { c.y.data = c.x.data, c.y.ld = 9; }, "y.ld must be x.ld = 8"},
      {rotate, [](Calls& c) { c.rotary = nullptr; }, "rotary must not be null"},
      {rotate, [](Calls& c) { c.angles.sequences = -1; }, "rotary->sequences must be at least 0, got -1"},
      {rotate, [](Calls& c) { c.angles.tokens = 0; }, "rotary->tokens must be at least 1, got 0"},
      {rotate, [](Calls& c) { c.angles.tokens = INT64_MAX; }, "x must have rows for 2 sequences"},
      {rotate, [](Calls& c) { c.angles.heads = -1; }, "rotary->heads must be at least 0, got -1"},
      {rotate, [](Calls& c) { c.angles.heads = 3; }, "x must have columns for 3 heads of 4, got 8"},
      {rotate, [](Calls& c) { c.angles.head_size = 3; }, "rotary->cosines.cols must be at most 1, got 2"},
      {rotate, [](Calls& c) { c.angles.head_size = INT64_MAX; }, "x must have columns for 2 heads"},
      {rotate, [](Calls& c) { c.angles.past = -1; }, "rotary->past must be at least 0, got -1"},
      {rotate, [](Calls& c) { c.angles.past = INT64_MAX; }, "rotary->past must be at most"},
      {rotate, [](Calls& c) { c.angles.backward = 2; }, "rotary->backward must be 0 or 1, got 2"},
      {rotate, [](Calls& c) { c.angles.cosines.rows = 0; }, "must be"},
      {rotate, [](Calls& c) { c.angles.sines.cols = 1; }, "rotary->sines must be float32 [5, 2], got float32 [5, 1]"},
      {rotate, [](Calls& c) { c.x.rows = c.y.rows = 5; }, "x must have rows for 2 sequences of 3 tokens, got 5"},
      {rotate, [](Calls& c) { c.y.data = c.x.data, c.y.ld = 9; }, "y.ld must be x.ld = 8"},
      {gates, [](Calls& c) { c.gate = static_cast<pp_gate>(3); }, "gate must be 0 (SwiGLU), 1 (GEGLU) or 2"},
      {gates, [](Calls& c) { c.x.cols = 7; }, "gate_up must be float32 [6, 8], got float32 [6, 7]"},
      {gate_forward, [](Calls& c) { c.narrow.data = c.x.data; }, "out must not be the buffer of gate_up"},
      {gate_backward, [](Calls& c) { c.y.data = c.narrow.data; }, "dgate_up must not be the buffer of dout"},
      {gate_backward, [](Calls& c) { c.y.data = c.x.data, c.y.ld = 9; }, "dgate_up.ld must be gate_up.ld = 8"},
  });
  if (!has_gpu())
    check_refused<Calls>({
        {all, [](Calls& c) { c.context.device.type = PP_CUDA; }, "CUDA", PP_NO_DEVICE},
    });
}
