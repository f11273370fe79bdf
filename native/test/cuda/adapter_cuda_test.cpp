// The adapter functions on CUDA buffers against float64.
#include "prunepeft/adapter.h"

#include "device_test.h"

using namespace device_test;

namespace {
struct Case {
  int64_t M, K, m;
  Placement placement;
  pp_activation activation;
};

const Case kCases[] = {{1, 1, 1, {0, 0}, PP_RELU},     {70, 136, 16, {0, 0}, PP_GELU},     {65, 203, 5, {1, 3}, PP_GELU},
                       {130, 64, 64, {0, 8}, PP_RELU}, {33, 530, 24, {0, 6}, PP_IDENTITY}, {9, 72, 90, {0, 0}, PP_GELU},
                       {67, 96, 40, {0, 0}, PP_SILU},  {35, 77, 9, {1, 3}, PP_SILU}};

std::string describe(const char* what, pp_dtype dtype, const Case& c) {
  return std::string(what) + " " + name(dtype) + " M=" + std::to_string(c.M) + " K=" + std::to_string(c.K) +
         " m=" + std::to_string(c.m) + " offset=" + std::to_string(c.placement.offset) +
         " padding=" + std::to_string(c.placement.padding) + " activation=" + std::to_string(c.activation);
}

struct Weights {
  Matrix down, down_bias, up, up_bias;
  pp_adapter adapter;

  Weights(pp_dtype dtype, const Case& c)
      : down(dtype, c.m, c.K, c.placement, Content::kRandom, 0.3),
        down_bias(dtype, 1, c.m, {1, 0}, Content::kRandom),
        up(dtype, c.K, c.m, c.placement, Content::kRandom),
        up_bias(dtype, 1, c.K, {c.placement.offset, 0}, Content::kRandom),
        adapter{down.view(), down_bias.view(), up.view(), up_bias.view(), c.activation} {}
};

/** σ of a row of z, which is of the type, and so is σ where it is no approximation. */
std::vector<Sum> activated_row(pp_dtype dtype, const Case& c, const Matrix& z, int64_t i) {
  std::vector<Sum> a;
  for (int64_t j = 0; j < c.m; j++) {
    const Sum one = activated(c.activation, z(i, j));
    a.push_back(is_exact(c.activation) ? one : one.stored(dtype));
  }
  return a;
}

/** `in_place`: out is the buffer of h. `shared`: v and h are one buffer. */
void test_forward(pp_dtype dtype, const Case& c, bool in_place, bool shared) {
  run_case(describe(in_place ? "forward in place"
                    : shared ? "forward, v is h"
                             : "forward",
                    dtype, c),
           [&] {
             const Weights w(dtype, c);
             Matrix v(dtype, c.M, c.K, c.placement, Content::kRandom), other(dtype, c.M, c.K, c.placement, Content::kRandom);
             Matrix z(dtype, c.M, c.m, c.placement, Content::kUnwritten),
                 fresh(dtype, c.M, c.K, c.placement, Content::kUnwritten);
             const Matrix& h = shared ? v : other;
             Matrix& out = in_place ? other : fresh;
             Reference expected_z(c.M, c.m), expected_out(c.M, c.K);
             for (int64_t i = 0; i < c.M; i++)
               for (int64_t j = 0; j < c.m; j++) {
                 Sum sum;
                 sum += w.down_bias(0, j);
                 for (int64_t k = 0; k < c.K; k++) sum += v(i, k) * w.down(j, k);
                 expected_z(i, j) = sum.stored(dtype);
               }
             std::vector<double> residual;
             for (int64_t i = 0; i < c.M; i++)
               for (int64_t k = 0; k < c.K; k++) residual.push_back(h(i, k));
             const Context context;
             const pp_matrix from = v.view(), residual_of = h.view(), kept = z.view(), to = out.view();
             expect_ok(pp_adapter_forward(context, &from, &residual_of, &w.adapter, &kept, &to));
             z.download();
             out.download();
             expect_close("z", z, expected_z);
             for (int64_t i = 0; i < c.M; i++) {
               const std::vector<Sum> a = activated_row(dtype, c, z, i);
               for (int64_t k = 0; k < c.K; k++) {
                 Sum sum;
                 sum += residual[static_cast<size_t>(i * c.K + k)];
                 sum += w.up_bias(0, k);
                 for (int64_t j = 0; j < c.m; j++) sum.add(w.up(k, j), a[static_cast<size_t>(j)]);
                 expected_out(i, k) = sum.stored(dtype);
               }
             }
             expect_close("out", out, expected_out);
             std::vector<unsigned char> bytes;
             append(&bytes, z);
             append(&bytes, out);
             return bytes;
           });
}

void test_backward(pp_dtype dtype, const Case& c, bool with_dv) {
  run_case(describe("backward", dtype, c), [&] {
    const Weights w(dtype, c);
    const Matrix dout(dtype, c.M, c.K, c.placement, Content::kRandom), v(dtype, c.M, c.K, c.placement, Content::kRandom);
    const Matrix z(dtype, c.M, c.m, c.placement, Content::kRandom);
    Matrix dv(dtype, c.M, c.K, c.placement, Content::kUnwritten);
    Matrix down(PP_FLOAT32, c.m, c.K, c.placement, Content::kUnwritten), down_bias(PP_FLOAT32, 1, c.m, {}, Content::kUnwritten);
    Matrix up(PP_FLOAT32, c.K, c.m, c.placement, Content::kUnwritten), up_bias(PP_FLOAT32, 1, c.K, {}, Content::kUnwritten);
    Reference expected_down(c.m, c.K), expected_down_bias(1, c.m), expected_up(c.K, c.m), expected_up_bias(1, c.K);
    Reference expected_dv(c.M, c.K);
    for (int64_t i = 0; i < c.M; i++) {
      const std::vector<Sum> a = activated_row(dtype, c, z, i);
      for (int64_t j = 0; j < c.m; j++) {
        Sum da;
        for (int64_t k = 0; k < c.K; k++) {
          da += dout(i, k) * w.up(k, j);
          expected_up(k, j).add(dout(i, k), a[static_cast<size_t>(j)]);
        }
        const Sum dz = Sum::product(da, slope_at(c.activation, z(i, j))).stored(dtype);
        expected_down_bias(0, j).add(1, dz);
        for (int64_t k = 0; k < c.K; k++) {
          expected_down(j, k).add(v(i, k), dz);
          expected_dv(i, k).add(w.down(j, k), dz);
        }
      }
      for (int64_t k = 0; k < c.K; k++) expected_up_bias(0, k) += dout(i, k);
    }
    expected_dv = expected_dv.stored(dtype);
    const pp_adapter_gradients gradients = {down.view(), down_bias.view(), up.view(), up_bias.view()};
    const Context context;
    const pp_matrix from = dout.view(), input = v.view(), kept = z.view(), to = dv.view();
    expect_ok(pp_adapter_backward(context, &from, &input, &kept, &w.adapter, &gradients, with_dv ? &to : nullptr));
    std::vector<unsigned char> bytes;
    const auto check = [&](const char* what, Matrix& got, const Reference& expected) {
      got.download();
      expect_close(what, got, expected);
      append(&bytes, got);
    };
    check("dU", up, expected_up);
    check("du", up_bias, expected_up_bias);
    check("dD", down, expected_down);
    check("dd", down_bias, expected_down_bias);
    if (with_dv) check("dv", dv, expected_dv);
    return bytes;
  });
}
/** Nothing is read or written, so that data pointers may be null and gradients keep what they hold. */
void test_no_rows(pp_dtype dtype) {
  current_case = std::string("M = 0 ") + name(dtype);
  const Case c = {0, 8, 2, {1, 3}, PP_GELU};
  const Weights w(dtype, c);
  Matrix down(PP_FLOAT32, c.m, c.K, c.placement, Content::kRandom), down_bias(PP_FLOAT32, 1, c.m, {}, Content::kRandom);
  Matrix up(PP_FLOAT32, c.K, c.m, c.placement, Content::kRandom), up_bias(PP_FLOAT32, 1, c.K, {}, Content::kRandom);
  const pp_adapter_gradients gradients = {down.view(), down_bias.view(), up.view(), up_bias.view()};
  const pp_context no_workspace = {kDevice, nullptr};
  const pp_matrix wide = {nullptr, 0, c.K, c.K, dtype}, z = {nullptr, 0, c.m, c.m, dtype};
  expect_ok(pp_adapter_forward(&no_workspace, &wide, &wide, &w.adapter, &z, &wide));
  expect_ok(pp_adapter_backward(&no_workspace, &wide, &wide, &z, &w.adapter, &gradients, &wide));
  for (Matrix* gradient : {&down, &down_bias, &up, &up_bias}) {
    const std::vector<unsigned char> before = gradient->bytes();
    gradient->download();
    expect(gradient->bytes() == before, "gradients are left as they are");
  }
  emulator_fault();
}
}  // namespace

int main() {
  bool odd = false;
  for (const Case& c : kCases) {
    for (pp_dtype dtype : kDtypes) {
      if (drawn_case()) test_forward(dtype, c, odd, false);
      if (drawn_case()) test_forward(dtype, c, false, true);
      if (drawn_case()) test_backward(dtype, c, true);
      if (!odd && drawn_case()) test_backward(dtype, c, false);
    }
    odd = !odd;
  }
  const Case tall = {8200, 4, 4, {0, 0}, PP_RELU};  // more than one row tile in each of the most shares
  if (drawn_case()) test_backward(PP_FLOAT32, tall, false);
  for (pp_dtype dtype : kDtypes)
    if (drawn_case()) test_no_rows(dtype);
  return finish();
}
