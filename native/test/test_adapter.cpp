#include "prunepeft/adapter.h"

#include "buffers.h"

namespace {

double activate(pp_activation activation, double z) {
  if (activation == PP_RELU) return z > 0 ? z : 0;
  if (activation == PP_GELU) return z * 0.5 * std::erfc(-z / std::sqrt(2.0));
  if (activation == PP_SILU) return z / (1 + std::exp(-z));
  return z;
}

double slope(pp_activation activation, double z) {
  if (activation == PP_RELU) return z > 0 ? 1 : 0;
  if (activation == PP_SILU) return 1 / (1 + std::exp(-z)) * (1 + z / (1 + std::exp(z)));
  if (activation == PP_GELU) {
    return 0.5 * std::erfc(-z / std::sqrt(2.0)) + z * std::exp(-z * z / 2) / std::sqrt(2 * std::acos(-1.0));
  }
  return 1;
}

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

  pp_adapter adapter() const {
    return {down.data(), down.ld(), down_bias.data(), up.data(), up.ld(), up_bias.data(), activation};
  }
  std::string text() const {
    return "dtype " + std::to_string(dtype) + ", M " + std::to_string(M) + ", K " + std::to_string(K) + ", m " +
           std::to_string(m) + ", activation " + std::to_string(activation);
  }
};

std::vector<Problem> problems() {
  const std::vector<pp_activation> activations{PP_IDENTITY, PP_RELU, PP_GELU, PP_SILU};
  std::vector<Problem> list;
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    for (int i = 0; i < 20; ++i) list.emplace_back(dtype, pick_size(), pick_size(), pick_rank(), check::pick(activations));
    list.emplace_back(dtype, 1, 1, 1, PP_RELU);
    list.emplace_back(dtype, 700, 65, 33, PP_GELU);
    list.emplace_back(dtype, 70, 600, 24, PP_RELU);
    list.emplace_back(dtype, 33, 49, 600, PP_GELU);
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
      std::vector<double> a(m);
      for (int64_t j = 0; j < m; ++j) {
        z(i, j) = problem.down_bias(0, j);
        for (int64_t k = 0; k < K; ++k) z(i, j) += static_cast<double>(problem.v(i, k)) * problem.down(j, k);
        a[j] = activate(problem.activation, z(i, j));
      }
      for (int64_t k = 0; k < K; ++k) {
        out(i, k) = h(i, k) + static_cast<double>(problem.up_bias(0, k));
        for (int64_t j = 0; j < m; ++j) out(i, k) += a[j] * problem.up(k, j);
      }
    }
    on_all_settings("adapter forward, " + problem.text(), [&] {
      Matrix seen_z = Matrix::empty(M, m), residual = problem.h;
      Matrix seen_out = in_place && !shares ? residual : Matrix::empty(M, K, problem.dtype);
      const pp_adapter adapter = problem.adapter();
      Workspace workspace(pp_adapter_forward_workspace(&kCpu, problem.dtype, M, K, m));
      const float* residual_data = shares ? problem.v.data() : in_place ? seen_out.data() : residual.data();
      CHECK_EQUAL(
          pp_adapter_forward(&kCpu, problem.dtype, M, K, m, problem.v.data(), problem.v.ld(), residual_data, h.ld(), &adapter,
                             seen_z.data(), seen_z.ld(), seen_out.data(), seen_out.ld(), workspace.data(), workspace.size()),
          PP_OK);
      CHECK(workspace.guards_intact());
      CHECK_OUTPUT_OF(problem.dtype, seen_z, z);
      CHECK_OUTPUT_OF(problem.dtype, seen_out, out);
      return dense({seen_z, seen_out});
    });
  }
}

TEST(backward_gives_all_gradients) {
  for (const Problem& problem : problems()) {
    const int64_t M = problem.M, K = problem.K, m = problem.m;
    const bool accumulate = check::pick(0, 1) == 1, wants_dv = check::pick(0, 3) > 0;
    const Matrix dout = Matrix::random(M, K, problem.dtype), z = Matrix::random(M, m);
    const Matrix before[] = {Matrix::random(m, K), Matrix::random(1, m), Matrix::random(K, m), Matrix::random(1, K)};
    std::vector<Reference> expected;
    for (const Matrix& matrix : before) {
      Reference start(matrix.rows(), matrix.columns());
      for (int64_t i = 0; i < matrix.rows() && accumulate; ++i) {
        for (int64_t j = 0; j < matrix.columns(); ++j) start(i, j) = matrix(i, j);
      }
      expected.push_back(start);
    }
    Reference dv(M, K);
    for (int64_t i = 0; i < M; ++i) {
      for (int64_t j = 0; j < m; ++j) {
        Sum da, dz;
        for (int64_t k = 0; k < K; ++k) da += static_cast<double>(dout(i, k)) * problem.up(k, j);
        const double a = activate(problem.activation, z(i, j));
        dz.add(slope(problem.activation, z(i, j)), da);
        expected[1](0, j).add(1.0, dz);
        for (int64_t k = 0; k < K; ++k) {
          expected[0](j, k).add(problem.v(i, k), dz);
          expected[2](k, j) += dout(i, k) * a;
          dv(i, k).add(problem.down(j, k), dz);
        }
      }
      for (int64_t k = 0; k < K; ++k) expected[3](0, k) += dout(i, k);
    }
    on_all_settings("adapter backward, " + problem.text(), [&] {
      std::vector<Matrix> seen;
      for (const Matrix& matrix : before) seen.push_back(accumulate ? matrix : Matrix::empty(matrix.rows(), matrix.columns()));
      Matrix seen_dv = Matrix::empty(M, K, problem.dtype);
      const pp_adapter adapter = problem.adapter();
      const pp_adapter_gradients gradients{seen[0].data(), seen[0].ld(), seen[1].data(),
                                           seen[2].data(), seen[2].ld(), seen[3].data()};
      Workspace workspace(pp_adapter_backward_workspace(&kCpu, problem.dtype, M, K, m));
      CHECK_EQUAL(pp_adapter_backward(&kCpu, problem.dtype, M, K, m, dout.data(), dout.ld(), problem.v.data(), problem.v.ld(),
                                      z.data(), z.ld(), &adapter, &gradients, accumulate, wants_dv ? seen_dv.data() : nullptr,
                                      seen_dv.ld(), workspace.data(), workspace.size()),
                  PP_OK);
      CHECK(workspace.guards_intact());
      for (size_t n = 0; n < seen.size(); ++n) CHECK_OUTPUT_OF(problem.dtype, seen[n], expected[n]);
      if (wants_dv) CHECK_OUTPUT_OF(problem.dtype, seen_dv, dv);
      seen.push_back(seen_dv);
      return dense(seen);
    });
  }
}

TEST(gelu_and_silu_hold_in_their_tails) {
  // One bottleneck unit whose input is the bias: z runs over a grid, out is σ(z).
  const int64_t n = 4001;
  Matrix v(n, 1, 1, 0), h(n, 1, 1, 0), z(n, 1, 1, 0), out(n, 1, 1, 0);
  for (int64_t i = 0; i < n; ++i) {
    v.set(i, 0, static_cast<float>(i - 2000) / 100);
    h.set(i, 0, 0);
  }
  const float one = 1, zero = 0;
  for (int isa = PP_ISA_PORTABLE; isa <= 2 * pp_cpu_isa_supported() + 1; ++isa) {
    const pp_activation activation = isa % 2 == 0 ? PP_GELU : PP_SILU;
    const pp_adapter adapter{&one, 1, &zero, &one, 1, &zero, activation};
    pp_set_cpu_isa(static_cast<pp_isa>(isa / 2));
    check::context() = std::string(activation == PP_GELU ? "gelu, " : "silu, ") + pp_isa_name(pp_cpu_isa());
    Workspace workspace(pp_adapter_forward_workspace(&kCpu, PP_FLOAT32, n, 1, 1));
    CHECK_EQUAL(pp_adapter_forward(&kCpu, PP_FLOAT32, n, 1, 1, v.data(), 1, h.data(), 1, &adapter, z.data(), 1, out.data(), 1,
                                   workspace.data(), workspace.size()),
                PP_OK);
    double worst = 0;
    for (int64_t i = 0; i < n; ++i)
      worst = std::max(worst, std::fabs(out(i, 0) - activate(activation, v(i, 0))) / (1 + std::fabs(v(i, 0))));
    CHECK_AT_MOST(worst, 2e-7);
    for (const float odd : {INFINITY, -100.0f, 0.0f}) {
      v.set(0, 0, odd);
      pp_adapter_forward(&kCpu, PP_FLOAT32, 1, 1, 1, v.data(), 1, h.data(), 1, &adapter, z.data(), 1, out.data(), 1,
                         workspace.data(), workspace.size());
      CHECK_EQUAL(out(0, 0), odd > 0 ? odd : 0.0f);
    }
    v.set(0, 0, NAN);
    pp_adapter_forward(&kCpu, PP_FLOAT32, 1, 1, 1, v.data(), 1, h.data(), 1, &adapter, z.data(), 1, out.data(), 1,
                       workspace.data(), workspace.size());
    CHECK(std::isnan(out(0, 0)));
    v.set(0, 0, -20);
  }
  pp_set_cpu_isa(pp_cpu_isa_supported());
}

namespace {

struct Calls {
  pp_device device = kCpu;
  pp_dtype dtype = PP_FLOAT32;
  int64_t M = 6, K = 10, m = 4, ldv = 10, ldh = 10, ldz = 4, ldout = 10, lddv = 10;
  Matrix v{6, 10, 10, 0}, h{6, 10, 10, 0}, z{6, 10, 10, 0}, out{6, 10, 10, 0}, weights{10, 10, 10, 0},
      gradients_space{30, 10, 10, 0};
  pp_adapter weights_table{weights.data(), 10, weights.data(), weights.data(), 4, weights.data(), PP_RELU};
  pp_adapter_gradients gradients_table{gradients_space.data(),       10, gradients_space.data() + 100,
                                       gradients_space.data() + 110, 4,  gradients_space.data() + 200};
  const pp_adapter* adapter = &weights_table;
  const pp_adapter_gradients* gradients = &gradients_table;
  const void *pv = v.data(), *ph = h.data();
  void *pz = z.data(), *pout = out.data(), *pdv = out.data();
  const void* pdout = h.data();
  std::vector<char> space = std::vector<char>(1 << 22);
  void* workspace = space.data();
  size_t bytes = space.size();

  pp_status forward() {
    return pp_adapter_forward(&device, dtype, M, K, m, pv, ldv, ph, ldh, adapter, pz, ldz, pout, ldout, workspace, bytes);
  }
  pp_status backward() {
    return pp_adapter_backward(&device, dtype, M, K, m, pdout, ldh, pv, ldv, pz, ldz, adapter, gradients, 0, pdv, lddv,
                               workspace, bytes);
  }
};

using Spoil = std::function<void(Calls&)>;
using Call = pp_status (Calls::*)();

void check_refused(const std::vector<Call>& calls, const Spoil& spoil, pp_status status, const char* part) {
  for (const Call call : calls) {
    Calls c;
    spoil(c);
    const Matrix out = c.out, z = c.z, gradients = c.gradients_space;
    check::context() = std::string("spoiled argument: ") + part;
    CHECK_FAILS((c.*call)(), status, part);
    CHECK(c.out == out && c.z == z && c.gradients_space == gradients);
  }
}

}  // namespace

TEST(bad_arguments_are_named_and_nothing_is_written) {
  const std::vector<Call> both{&Calls::forward, &Calls::backward}, forward{&Calls::forward}, backward{&Calls::backward};
  for (const Call call : both) {
    Calls good;
    CHECK_EQUAL((good.*call)(), PP_OK);
    Calls empty;
    empty.M = 0;
    const Matrix before = empty.gradients_space;
    CHECK_EQUAL((empty.*call)(), PP_OK);
    CHECK(empty.gradients_space == before);
  }
  const pp_status bad = PP_INVALID_ARGUMENT;
  check_refused(
      both, [](Calls& c) { c.M = -1; }, bad, "M must be at least 0, got -1");
  check_refused(
      both, [](Calls& c) { c.K = 0; }, bad, "K must be at least 1, got 0");
  check_refused(
      both, [](Calls& c) { c.m = 0; }, bad, "m must be at least 1, got 0");
  check_refused(
      both, [](Calls& c) { c.device.type = static_cast<pp_device_type>(2); }, bad, "device->type");
  check_refused(
      both, [](Calls& c) { c.dtype = static_cast<pp_dtype>(-1); }, bad, "dtype must be");
  check_refused(
      both, [](Calls& c) { c.dtype = PP_FLOAT16; }, PP_UNSUPPORTED, "float16");
  check_refused(
      both, [](Calls& c) { c.pv = nullptr; }, bad, "v must not be null");
  check_refused(
      both, [](Calls& c) { c.pz = nullptr; }, bad, "z must not be null");
  check_refused(
      both, [](Calls& c) { c.ldv = 9; }, bad, "ldv must be at least the row's 10 elements, got 9");
  check_refused(
      both, [](Calls& c) { c.ldz = 3; }, bad, "ldz");
  check_refused(
      forward, [](Calls& c) { c.ph = nullptr; }, bad, "h must not be null");
  check_refused(
      forward, [](Calls& c) { c.ldh = 1; }, bad, "ldh");
  check_refused(
      forward, [](Calls& c) { c.pout = nullptr; }, bad, "out must not be null");
  check_refused(
      forward, [](Calls& c) { c.ldout = 0; }, bad, "ldout");
  check_refused(
      forward, [](Calls& c) { c.pout = c.v.data(); }, bad, "out must not be the buffer of v");
  check_refused(
      forward,
      [](Calls& c) {
        c.pout = c.h.data();
        c.M = 2;
        c.ldout = 12;
      },
      bad, "ldout must be ldh = 10");
  check_refused(
      backward, [](Calls& c) { c.pdout = nullptr; }, bad, "dout must not be null");
  check_refused(
      backward, [](Calls& c) { c.ldh = 1; }, bad, "lddout");
  check_refused(
      backward, [](Calls& c) { c.lddv = 1; }, bad, "lddv");
  check_refused(
      backward, [](Calls& c) { c.pdv = c.h.data(); }, bad, "dv must not be the buffer of dout");
  check_refused(
      both, [](Calls& c) { c.adapter = nullptr; }, bad, "adapter must not be null");
  check_refused(
      both, [](Calls& c) { c.weights_table.ldd = 9; }, bad, "adapter->ldd");
  check_refused(
      both, [](Calls& c) { c.weights_table.ldu = 3; }, bad, "adapter->ldu");
  check_refused(
      both, [](Calls& c) { c.weights_table.down = nullptr; }, bad, "adapter->down must");
  check_refused(
      both, [](Calls& c) { c.weights_table.down_bias = nullptr; }, bad, "adapter->down_bias");
  check_refused(
      both, [](Calls& c) { c.weights_table.up = nullptr; }, bad, "adapter->up must");
  check_refused(
      both, [](Calls& c) { c.weights_table.up_bias = nullptr; }, bad, "adapter->up_bias");
  check_refused(
      both, [](Calls& c) { c.weights_table.activation = static_cast<pp_activation>(4); }, bad, "adapter->activation");
  check_refused(
      backward, [](Calls& c) { c.gradients = nullptr; }, bad, "gradients must not be null");
  check_refused(
      backward, [](Calls& c) { c.gradients_table.ldd = 9; }, bad, "gradients->ldd");
  check_refused(
      backward, [](Calls& c) { c.gradients_table.ldu = 3; }, bad, "gradients->ldu");
  check_refused(
      backward, [](Calls& c) { c.gradients_table.down = nullptr; }, bad, "gradients->down must");
  check_refused(
      backward, [](Calls& c) { c.gradients_table.down_bias = nullptr; }, bad, "gradients->down_bias");
  check_refused(
      backward, [](Calls& c) { c.gradients_table.up = nullptr; }, bad, "gradients->up must");
  check_refused(
      backward, [](Calls& c) { c.gradients_table.up_bias = nullptr; }, bad, "gradients->up_bias");
  check_refused(
      both, [](Calls& c) { c.workspace = nullptr; }, bad, "workspace must not be null");
  check_refused(
      both, [](Calls& c) { c.bytes = 3; }, bad, "got 3");
  int32_t gpus = 0;
  pp_device_count(PP_CUDA, &gpus);
  if (gpus == 0)
    check_refused(
        both, [](Calls& c) { c.device.type = PP_CUDA; }, PP_NO_DEVICE, "CUDA");
}
