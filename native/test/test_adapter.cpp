#include "prunepeft/adapter.h"

#include "refusals.h"

namespace {

struct Problem {
  pp_dtype dtype;
  int64_t M, K, m;
  pp_activation activation;
  Matrix v, h, down, down_bias, up, up_bias;

  Problem(pp_dtype dtype, int64_t M, int64_t K, int64_t m, pp_activation activation)
      : dtype(dtype),
        M(M),
        K(K),
        m(m),
        activation(activation),
        v(Matrix::random(M, K, dtype)),
        h(Matrix::random(M, K, dtype)),
        down(Matrix::random_weights(m, K, dtype)),
        down_bias(Matrix::random(1, m)),
        up(Matrix::random_weights(K, m, dtype)),
        up_bias(Matrix::random(1, K)) {
    // So that σ meets both its tails and its middle, as in a network. A power of 2 rounds nothing.
    const float factor = 2 / std::exp2(std::round(std::log2(static_cast<float>(K)) / 2));
    for (int64_t j = 0; j < m; ++j) {
      for (int64_t k = 0; k < K; ++k) down.set(j, k, down(j, k) * factor);
    }
  }

  pp_adapter adapter() const { return {down.view(), down_bias.view(), up.view(), up_bias.view(), activation}; }
  std::string text() const {
    return "dtype " + std::to_string(dtype) + ", M " + std::to_string(M) + ", K " + std::to_string(K) + ", m " +
           std::to_string(m) + ", activation " + std::to_string(activation);
  }
};

/** Or those that are drawn. */
std::vector<Problem> problems() {
  const std::vector<pp_activation> activations{PP_IDENTITY, PP_RELU, PP_GELU, PP_SILU};
  std::vector<Problem> list;
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    for (int i = 0; i < 20; ++i) {
      if (check::drawn_case()) list.emplace_back(dtype, pick_size(), pick_size(), pick_rank(), check::pick(activations));
    }
    if (check::drawn_case()) list.emplace_back(dtype, 1, 1, 1, PP_RELU);
    if (check::drawn_case()) list.emplace_back(dtype, 700, 65, 33, PP_GELU);
    if (check::drawn_case()) list.emplace_back(dtype, 70, 600, 24, PP_RELU);
    if (check::drawn_case()) list.emplace_back(dtype, 33, 49, 600, PP_GELU);
  }
  return list;
}

}  // namespace

TEST(forward_adds_the_bottleneck_to_the_residual) {
  for (const Problem& problem : problems()) {
    const int64_t M = problem.M, K = problem.K, m = problem.m;
    const bool shares = check::pick(0, 1) == 1;    // v and h one buffer
    const bool in_place = check::pick(0, 1) == 1;  // out over h
    const Matrix& h = shares ? problem.v : problem.h;
    Reference z(M, m), out(M, K);
    for (int64_t i = 0; i < M; ++i) {
      std::vector<Sum> a(m);  // an operand of the problem's type; z is float32
      for (int64_t j = 0; j < m; ++j) {
        z(i, j) += problem.down_bias(0, j);
        for (int64_t k = 0; k < K; ++k) z(i, j) += static_cast<double>(problem.v(i, k)) * problem.down(j, k);
        a[j] = activated(problem.activation, z(i, j)).stored(problem.dtype);
      }
      for (int64_t k = 0; k < K; ++k) {
        Sum sum;
        sum += h(i, k);
        sum += problem.up_bias(0, k);
        for (int64_t j = 0; j < m; ++j) sum.add(problem.up(k, j), a[j]);
        out(i, k) = sum.stored(problem.dtype);
      }
    }
    on_all_settings("adapter forward, " + problem.text(), [&] {
      Matrix seen_z = Matrix::empty(M, m), residual = problem.h;
      Matrix seen_out = in_place && !shares ? residual : Matrix::empty(M, K, problem.dtype);
      const pp_adapter adapter = problem.adapter();
      const pp_matrix v = problem.v.view(), z_view = seen_z.view(), out_view = seen_out.view();
      const pp_matrix residual_view = shares ? v : in_place ? out_view : residual.view();
      CHECK_EQUAL(pp_adapter_forward(Context(), &v, &residual_view, &adapter, &z_view, &out_view), PP_OK);
      CHECK_OUTPUT(seen_z, z);
      CHECK_OUTPUT(seen_out, out);
      return dense({seen_z, seen_out});
    });
  }
}

TEST(backward_gives_all_gradients) {
  for (const Problem& problem : problems()) {
    const int64_t M = problem.M, K = problem.K, m = problem.m;
    const bool wants_dv = check::pick(0, 3) > 0;
    const Matrix dout = Matrix::random(M, K, problem.dtype), z = Matrix::random(M, m);
    std::vector<Reference> expected{{m, K}, {1, m}, {K, m}, {1, K}};
    Reference dv(M, K);
    for (int64_t i = 0; i < M; ++i) {
      for (int64_t j = 0; j < m; ++j) {
        Sum da;
        for (int64_t k = 0; k < K; ++k) da += static_cast<double>(dout(i, k)) * problem.up(k, j);
        // Both are float32, and operands of the problem's type.
        const Sum dz = Sum::product(da, slope_at(problem.activation, z(i, j))), of_dz = dz.stored(problem.dtype);
        const Sum of_a = activated(problem.activation, z(i, j)).stored(problem.dtype);
        expected[1](0, j).add(1.0, dz);
        for (int64_t k = 0; k < K; ++k) {
          expected[0](j, k).add(problem.v(i, k), of_dz);
          expected[2](k, j).add(dout(i, k), of_a);
          dv(i, k).add(problem.down(j, k), of_dz);
        }
      }
      for (int64_t k = 0; k < K; ++k) expected[3](0, k) += dout(i, k);
    }
    dv = dv.stored(problem.dtype);
    on_all_settings("adapter backward, " + problem.text(), [&] {
      std::vector<Matrix> seen{Matrix::empty(m, K), Matrix::empty(1, m), Matrix::empty(K, m), Matrix::empty(1, K)};
      Matrix seen_dv = Matrix::empty(M, K, problem.dtype);
      const pp_adapter adapter = problem.adapter();
      const pp_adapter_gradients gradients{seen[0].view(), seen[1].view(), seen[2].view(), seen[3].view()};
      const pp_matrix dout_view = dout.view(), v = problem.v.view(), z_view = z.view(), dv_view = seen_dv.view();
      CHECK_EQUAL(pp_adapter_backward(Context(), &dout_view, &v, &z_view, &adapter, &gradients, wants_dv ? &dv_view : nullptr),
                  PP_OK);
      for (size_t n = 0; n < seen.size(); ++n) CHECK_OUTPUT(seen[n], expected[n]);
      if (wants_dv) CHECK_OUTPUT(seen_dv, dv);
      seen.push_back(seen_dv);
      return dense(seen);
    });
  }
}

TEST(gradients_are_the_same_with_more_threads_than_chunks_of_rows) {
  const int32_t threads = pp_num_threads();
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    for (const int64_t M : {5, 97, 400}) {
      if (!check::drawn_case()) continue;
      const Problem problem(dtype, M, check::pick(600, 1100), 17, PP_GELU);
      const Matrix dout = Matrix::random(M, problem.K, dtype), z = Matrix::random(M, problem.m);
      const pp_adapter adapter = problem.adapter();
      std::vector<Matrix> one_thread;
      for (const int count : {1, 2, 40, 100}) {
        check::context() = problem.text() + ", " + std::to_string(count) + " threads";
        pp_set_num_threads(count);
        std::vector<Matrix> seen{Matrix::empty(problem.m, problem.K), Matrix::empty(1, problem.m),
                                 Matrix::empty(problem.K, problem.m), Matrix::empty(1, problem.K),
                                 Matrix::empty(M, problem.K, dtype)};
        const pp_adapter_gradients gradients{seen[0].view(), seen[1].view(), seen[2].view(), seen[3].view()};
        const pp_matrix dout_view = dout.view(), v = problem.v.view(), z_view = z.view(), dv = seen[4].view();
        CHECK_EQUAL(pp_adapter_backward(Context(), &dout_view, &v, &z_view, &adapter, &gradients, &dv), PP_OK);
        for (const Matrix& one : seen) CHECK(one.padding_intact());
        seen = dense(seen);
        if (count == 1) one_thread = seen;
        CHECK(seen == one_thread);
      }
    }
  }
  pp_set_num_threads(threads);
}

TEST(gelu_and_silu_hold_in_their_tails) {
  // One bottleneck unit whose input is the bias: z runs over a grid, out is σ(z).
  const int64_t n = 4001;
  Matrix v(n, 1, 1, 0), h(n, 1, 1, 0), z(n, 1, 1, 0), out(n, 1, 1, 0);
  for (int64_t i = 0; i < n; ++i) {
    v.set(i, 0, static_cast<float>(i - 2000) / 100);
    h.set(i, 0, 0);
  }
  Matrix one(1, 1, 1, 0), zero(1, 1, 1, 0);
  one.set(0, 0, 1);
  zero.set(0, 0, 0);
  pp_matrix v_view = v.view(), h_view = h.view(), z_view = z.view(), out_view = out.view();
  pp_adapter adapter{one.view(), zero.view(), one.view(), zero.view(), PP_GELU};
  const auto forward = [&](int64_t rows) {
    for (pp_matrix* matrix : {&v_view, &h_view, &z_view, &out_view}) matrix->rows = rows;
    CHECK_EQUAL(pp_adapter_forward(Context(), &v_view, &h_view, &adapter, &z_view, &out_view), PP_OK);
  };
  for (int isa = PP_ISA_PORTABLE; isa <= 2 * pp_cpu_isa_supported() + 1; ++isa) {
    const pp_activation activation = isa % 2 == 0 ? PP_GELU : PP_SILU;
    adapter.activation = activation;
    pp_set_cpu_isa(static_cast<pp_isa>(isa / 2));
    check::context() = std::string(activation == PP_GELU ? "gelu, " : "silu, ") + pp_isa_name(pp_cpu_isa());
    forward(n);
    double worst = 0;
    for (int64_t i = 0; i < n; ++i)
      worst = std::max(worst, std::fabs(out(i, 0) - activate(activation, v(i, 0))) / (1 + std::fabs(v(i, 0))));
    CHECK_AT_MOST(worst, 2e-7);
    for (const float odd : {INFINITY, -100.0f, 0.0f}) {
      v.set(0, 0, odd);
      forward(1);
      CHECK_EQUAL(out(0, 0), odd > 0 ? odd : 0.0f);
    }
    v.set(0, 0, NAN);
    forward(1);
    CHECK(std::isnan(out(0, 0)));
    v.set(0, 0, -20);
  }
  pp_set_cpu_isa(pp_cpu_isa_supported());
}

namespace {

struct Calls : CallsInContext {
  Matrix v_matrix{6, 10, 10, 0}, h_matrix{6, 12, 12, 0}, z_matrix{6, 4, 4, 0}, out_matrix{6, 12, 12, 0}, weights{10, 10, 10, 0},
      sums{40, 10, 10, 0};
  pp_matrix v = v_matrix.view(), h = first(h_matrix, 6, 10), z = z_matrix.view(), out = first(out_matrix, 6, 10), dv = out;
  pp_adapter weights_table{first(weights, 4, 10), first(weights, 1, 4), first(weights, 10, 4), first(weights, 1, 10), PP_RELU};
  pp_adapter_gradients gradients_table{first(sums, 4, 10), first(sums, 1, 4, 10), first(sums, 10, 4, 11),
                                       first(sums, 1, 10, 30)};
  const pp_adapter* adapter = &weights_table;
  const pp_adapter_gradients* gradients = &gradients_table;

  static pp_matrix first(Matrix& matrix, int64_t rows, int64_t cols, int64_t row = 0) {
    return {matrix.data() + row * matrix.ld(), rows, cols, matrix.ld(), PP_FLOAT32};
  }

  pp_status forward() { return pp_adapter_forward(&context, &v, &h, adapter, &z, &out); }
  pp_status backward() { return pp_adapter_backward(&context, &h, &v, &z, adapter, gradients, &dv); }
  std::vector<Matrix> outputs() const { return {out_matrix, z_matrix, sums}; }
};

using Call = pp_status (Calls::*)();

}  // namespace

TEST(bad_arguments_are_named_and_nothing_is_written) {
  const std::vector<Call> both{&Calls::forward, &Calls::backward}, forward{&Calls::forward}, backward{&Calls::backward};
  for (const Call call : both) {
    Calls good;
    CHECK_EQUAL((good.*call)(), PP_OK);
    Calls empty;
    for (pp_matrix* matrix : {&empty.v, &empty.h, &empty.z, &empty.out, &empty.dv}) matrix->rows = 0;
    const Matrix before = empty.sums;
    CHECK_EQUAL((empty.*call)(), PP_OK);
    CHECK(empty.sums == before);
  }
  check_refused<Calls>({
      {forward, [](Calls& c) { c.v.rows = -1; }, "v must be float32 [0, 10], got float32 [-1, 10]"},
      {forward, [](Calls& c) { c.v.cols = 0; }, "v must be float32 [6, 1], got float32 [6, 0]"},
      {both, [](Calls& c) { c.z.cols = 0; }, "z must be float32 [6, 1], got float32 [6, 0]"},
      {both, [](Calls& c) { c.context.device.type = static_cast<pp_device_type>(2); }, "device->type"},
      {both, [](Calls& c) { c.v.dtype = c.h.dtype = static_cast<pp_dtype>(-1); }, "dtype must be"},
      {both, [](Calls& c) { c.v.dtype = c.h.dtype = PP_FLOAT16; }, "float16", PP_UNSUPPORTED},
      {both, [](Calls& c) { c.v.data = nullptr; }, "v.data must not be null"},
      {both, [](Calls& c) { c.z.data = nullptr; }, "z.data must not be null"},
      {both, [](Calls& c) { c.v.ld = 9; }, "v.ld must be at least the row's 10 elements, got 9"},
      {both, [](Calls& c) { c.z.ld = 3; }, "z.ld"},
      {both, [](Calls& c) { c.z.dtype = PP_BFLOAT16; }, "z must be float32 [6, 4], got bfloat16 [6, 4]"},
      {forward, [](Calls& c) { c.h.data = nullptr; }, "h.data must not be null"},
      {forward, [](Calls& c) { c.h.rows = 5; }, "h must be float32 [6, 10], got float32 [5, 10]"},
      {forward, [](Calls& c) { c.h.ld = 1; }, "h.ld"},
      {forward, [](Calls& c) { c.out.data = nullptr; }, "out.data must not be null"},
      {forward, [](Calls& c) { c.out.ld = 0; }, "out.ld"},
      {forward,
       [](Calls& c) {
         c.out.data = c.v.data;
         c.out.ld = 10;
       },
       "out must not be the buffer of v"},
      {forward,
       [](Calls& c) {
         c.out.data = c.h.data;
         c.out.ld = 11;
       },
       "out.ld must be h.ld = 12"},
      {backward, [](Calls& c) { c.h.data = nullptr; }, "dout.data must not be null"},
      {backward, [](Calls& c) { c.h.ld = 1; }, "dout.ld"},
      {backward, [](Calls& c) { c.dv.ld = 1; }, "dv.ld"},
      {backward, [](Calls& c) { c.dv.data = c.h.data; }, "dv must not be the buffer of dout"},
      {both, [](Calls& c) { c.adapter = nullptr; }, "adapter must not be null"},
      {both, [](Calls& c) { c.weights_table.down.ld = 9; }, "adapter->down.ld"},
      {both, [](Calls& c) { c.weights_table.up.ld = 3; }, "adapter->up.ld"},
      {both, [](Calls& c) { c.weights_table.down.data = nullptr; }, "adapter->down.data"},
      {both, [](Calls& c) { c.weights_table.down_bias.data = nullptr; }, "adapter->down_bias.data"},
      {both, [](Calls& c) { c.weights_table.up.data = nullptr; }, "adapter->up.data"},
      {both, [](Calls& c) { c.weights_table.up_bias.data = nullptr; }, "adapter->up_bias.data"},
      {both, [](Calls& c) { c.weights_table.up_bias.cols = 9; }, "adapter->up_bias must be float32 [1, 10]"},
      {both, [](Calls& c) { c.weights_table.activation = static_cast<pp_activation>(4); }, "adapter->activation"},
      {backward, [](Calls& c) { c.gradients = nullptr; }, "gradients must not be null"},
      {backward, [](Calls& c) { c.gradients_table.down.ld = 9; }, "gradients->down.ld"},
      {backward, [](Calls& c) { c.gradients_table.up.ld = 3; }, "gradients->up.ld"},
      {backward, [](Calls& c) { c.gradients_table.down.data = nullptr; }, "gradients->down.data"},
      {backward, [](Calls& c) { c.gradients_table.down_bias.data = nullptr; }, "gradients->down_bias.data"},
      {backward, [](Calls& c) { c.gradients_table.up.data = nullptr; }, "gradients->up.data"},
      {backward, [](Calls& c) { c.gradients_table.up_bias.dtype = PP_BFLOAT16; }, "gradients->up_bias must be float32"},
      {both, [](Calls& c) { c.context.workspace = nullptr; }, "context->workspace must not be null"},
  });
  if (!has_gpu())
    check_refused<Calls>({
        {both, [](Calls& c) { c.go_to(PP_CUDA); }, "CUDA", PP_NO_DEVICE},
    });
}
