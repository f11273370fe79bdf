// The functions of decoder.h on CUDA buffers against float64.
#include "prunepeft/decoder.h"

#include "device_test.h"

#include "../decoder_reference.h"

using namespace device_test;

namespace {
/**
 * Rows of `runs` times K elements: with four threads a run and up to all of a block, with several groups a thread, with runs
 * that do not fill the last block, and with odd ends.
 */
struct NormCase {
  int64_t M, runs, K;
  Placement placement;
};

const NormCase kNorms[] = {{1, 1, 1, {}},        {9, 3, 64, {}},       {5, 2, 33, {1, 3}},   {3, 1, 520, {0, 8}},
                           {2, 1, 1023, {3, 1}}, {3, 2, 1032, {0, 8}}, {2, 1, 4500, {}},     {19, 1, 40, {0, 4}},
                           {2, 2, 1025, {1, 0}}, {33, 1, 8, {0, 0}},   {3, 7, 128, {0, 16}}, {1, 3, 256, {}},
                           {5, 1, 1536, {0, 8}}, {1, 1, 4096, {}},     {9, 8, 64, {}}};

/** Where no row, or nearly none, begins at a multiple of 16 bytes. */
constexpr Placement kOdd = {1, 3};

int64_t draw(int64_t least, int64_t most) {
  return least + static_cast<int64_t>(random_bits() % static_cast<uint64_t>(most - least + 1));
}

Placement draw_placement() {
  return draw(0, 1) == 0 ? Placement{0, 8 * draw(0, 2)} : Placement{draw(0, 3), draw(0, 9)};
}

std::string describe(const char* what, pp_dtype dtype, int64_t rows, int64_t columns, const Placement& placement) {
  return std::string(what) + " " + name(dtype) + " " + std::to_string(rows) + " x " + std::to_string(columns) +
         " offset=" + std::to_string(placement.offset) + " padding=" + std::to_string(placement.padding);
}

std::vector<unsigned char> bytes_of(std::initializer_list<Matrix*> matrices) {
  std::vector<unsigned char> bytes;
  for (Matrix* matrix : matrices) {
    matrix->download();
    append(&bytes, *matrix);
  }
  return bytes;
}

/** A matrix of another's elements, to be overwritten. */
std::unique_ptr<Matrix> copy(pp_dtype dtype, const Matrix& from, const Placement& placement) {
  auto to = std::make_unique<Matrix>(dtype, from.rows(), from.columns(), placement, Content::kRandom);
  for (int64_t i = 0; i < from.rows(); i++)
    for (int64_t j = 0; j < from.columns(); j++) to->set(i, j, static_cast<float>(from(i, j)));
  to->upload();
  return to;
}

void expect_same(const char* what, const Matrix& a, const Matrix& b) {
  for (int64_t i = 0; i < a.rows(); i++)
    for (int64_t j = 0; j < a.columns(); j++)
      if (a(i, j) != b(i, j)) return report("%s differs at (%d, %d)", what, int(i), int(j));
}

void test_norm(pp_dtype dtype, const NormCase& c, bool adds_one) {
  run_case(describe(adds_one ? "norm by 1 + w" : "norm", dtype, c.M, c.runs * c.K, c.placement), [&] {
    const int64_t columns = c.runs * c.K;
    const Matrix w(dtype, 1, c.K, {c.placement.offset, 0}, Content::kRandom);
    const Matrix x(dtype, c.M, columns, c.placement, Content::kRandom), dy(dtype, c.M, columns, c.placement, Content::kRandom);
    Matrix y(dtype, c.M, columns, c.placement, Content::kUnwritten), dx(dtype, c.M, columns, c.placement, Content::kUnwritten);
    Matrix scales(PP_FLOAT32, c.M, c.runs, {c.placement.offset, c.placement.padding}, Content::kUnwritten);
    const std::unique_ptr<Matrix> y_in_place = copy(dtype, x, c.placement), dx_in_place = copy(dtype, dy, c.placement);
    const pp_rms_norm norm = {w.view(), 1e-3f, adds_one ? 1 : 0};
    const pp_matrix from = x.view(), to = y.view(), of_runs = scales.view(), gradient = dy.view(), input_gradient = dx.view(),
                    own = y_in_place->view(), own_gradient = dx_in_place->view();
    const pp_context context = {kDevice, nullptr};
    expect_ok(pp_rms_norm_forward(&context, &norm, &from, &to, &of_runs));
    expect_ok(pp_rms_norm_forward(&context, &norm, &own, &own, nullptr));
    expect_ok(pp_rms_norm_backward(&context, &norm, &gradient, &from, &of_runs, &input_gradient));
    expect_ok(pp_rms_norm_backward(&context, &norm, &own_gradient, &from, &of_runs, &own_gradient));
    std::vector<unsigned char> bytes = bytes_of({&y, &scales, &dx, y_in_place.get(), dx_in_place.get()});
    // The kernels for any addresses, for which one operand elsewhere is enough.
    const std::unique_ptr<Matrix> odd_x = copy(dtype, x, kOdd), odd_dy = copy(dtype, dy, kOdd), odd_w = copy(dtype, w, kOdd);
    const pp_rms_norm odd_norm = {odd_w->view(), norm.epsilon, norm.adds_one};
    const auto forward = [&](const pp_rms_norm& by, const Matrix& of, const Placement& placement) {
      Matrix result(dtype, c.M, columns, placement, Content::kUnwritten);
      const pp_matrix given = of.view(), into = result.view();
      expect_ok(pp_rms_norm_forward(&context, &by, &given, &into, nullptr));
      result.download();
      append(&bytes, result);
      expect_same("y at other addresses", y, result);
    };
    const auto backward = [&](const pp_rms_norm& by, const Matrix& of, const Matrix& at, const Placement& placement) {
      Matrix result(dtype, c.M, columns, placement, Content::kUnwritten);
      const pp_matrix given = of.view(), point = at.view(), into = result.view();
      expect_ok(pp_rms_norm_backward(&context, &by, &given, &point, &of_runs, &into));
      result.download();
      append(&bytes, result);
      expect_same("dx at other addresses", dx, result);
    };
    forward(norm, x, kOdd);
    forward(norm, *odd_x, c.placement);
    forward(odd_norm, x, c.placement);
    backward(norm, dy, x, kOdd);
    backward(norm, *odd_dy, x, c.placement);
    backward(norm, dy, *odd_x, c.placement);
    backward(odd_norm, dy, x, c.placement);
    // A thread adds two groups of a run, or of a long one every 256th, in eight sums, which are joined with those of a warp's
    // threads and of warps.
    const double additions = static_cast<double>(c.K) / 256 + 1 + 3 + 5 + 8;
    const NormReference expected = rms_norm_reference({dtype, c.M, c.runs, c.K, norm.epsilon, adds_one, additions}, x, dy,
                                                      [&](int64_t j) { return w(0, j); });
    expect_elements_close("y", y, expected.y);
    expect_elements_close("scales", scales, expected.scales);
    expect_elements_close("dx", dx, expected.dx);
    expect_same("y in place", y, *y_in_place);
    expect_same("dx in place", dx, *dx_in_place);
    return bytes;
  });
}

struct RotaryCase {
  int64_t sequences, tokens, heads, head_size, n, rest, positions, past;
  bool starts;
  Placement placement;
};

void test_rotation(pp_dtype dtype, const RotaryCase& c, bool backward) {
  const int64_t rows = c.sequences * c.tokens, columns = c.heads * c.head_size + c.rest;
  const std::string text = (backward ? "rotation back, " : "rotation, ") + std::to_string(c.heads) + " heads of " +
                           std::to_string(c.head_size) + ", n " + std::to_string(c.n);
  run_case(describe(text.c_str(), dtype, rows, columns, c.placement), [&] {
    const Matrix x(dtype, rows, columns, c.placement, Content::kRandom);
    Matrix y(dtype, rows, columns, c.placement, Content::kUnwritten);
    const std::unique_ptr<Matrix> in_place = copy(dtype, x, c.placement);
    const Placement of_table = {c.placement.offset, c.placement.padding};
    const Matrix cosines(PP_FLOAT32, c.positions, c.n, of_table, Content::kRandom),
        sines(PP_FLOAT32, c.positions, c.n, of_table, Content::kRandom);
    // Positions before the first and behind the last come in too.
    std::vector<int32_t> starts(static_cast<size_t>(rows));
    for (int32_t& start : starts) start = static_cast<int32_t>(draw(-3, 6));
    void* memory = nullptr;
    check_cuda(cudaMalloc(&memory, starts.size() * sizeof(int32_t)));
    give(memory, starts.data(), starts.size() * sizeof(int32_t));
    const pp_rotary rotary = {c.sequences,     c.tokens,     c.heads, c.head_size,
                              cosines.view(),  sines.view(), c.past,  c.starts ? static_cast<int32_t*>(memory) : nullptr,
                              backward ? 1 : 0};
    const pp_matrix from = x.view(), to = y.view(), own = in_place->view();
    const pp_context context = {kDevice, nullptr};
    expect_ok(pp_rotate(&context, &rotary, &from, &to));
    expect_ok(pp_rotate(&context, &rotary, &own, &own));
    std::vector<unsigned char> bytes = bytes_of({&y, in_place.get()});
    const std::unique_ptr<Matrix> odd_x = copy(dtype, x, kOdd), odd_cosines = copy(PP_FLOAT32, cosines, kOdd),
                                  odd_sines = copy(PP_FLOAT32, sines, kOdd);
    const auto rotate = [&](const Matrix& of, const Matrix& of_cosines, const Matrix& of_sines, const Placement& placement) {
      Matrix result(dtype, rows, columns, placement, Content::kUnwritten);
      pp_rotary by = rotary;
      by.cosines = of_cosines.view();
      by.sines = of_sines.view();
      const pp_matrix given = of.view(), into = result.view();
      expect_ok(pp_rotate(&context, &by, &given, &into));
      result.download();
      append(&bytes, result);
      expect_same("y at other addresses", y, result);
    };
    rotate(x, cosines, sines, kOdd);
    rotate(*odd_x, cosines, sines, c.placement);
    rotate(x, *odd_cosines, sines, c.placement);
    rotate(x, cosines, *odd_sines, c.placement);
    cudaFree(memory);
    Reference expected(rows, columns);
    for (int64_t i = 0; i < rows; i++) {
      const int64_t wanted = c.past + i % c.tokens - (c.starts ? starts[static_cast<size_t>(i)] : 0);
      const int64_t p = std::min(std::max<int64_t>(wanted, 0), c.positions - 1);
      for (int64_t j = 0; j < columns; j++) expected(i, j) = x(i, j);
      for (int64_t h = 0; h < c.heads; h++)
        for (int64_t j = 0; j < c.n; j++) {
          const int64_t at = h * c.head_size + j;
          const double cosine = cosines(p, j), sine = backward ? -sines(p, j) : sines(p, j);
          const double first = x(i, at), second = x(i, at + c.n);
          expected(i, at) = rotated(dtype, first, cosine, second, -sine);
          expected(i, at + c.n) = rotated(dtype, second, cosine, first, sine);
        }
    }
    expect_elements_close("y", y, expected);
    expect_same("y in place", y, *in_place);
    return bytes;
  });
}

void test_gate(pp_dtype dtype, pp_gate gate, int64_t M, int64_t I, const Placement& placement) {
  run_case(describe(gate == PP_SWIGLU  ? "SwiGLU"
                    : gate == PP_GEGLU ? "GEGLU"
                                       : "GEGLU by tanh",
                    dtype, M, I, placement),
           [&] {
             Matrix gate_up(dtype, M, 2 * I, placement, Content::kRandom, 3);
             const Matrix dout(dtype, M, I, placement, Content::kRandom);
             // At some an exponential or a cube could overflow; in the types of few digits as large as they can be.
             const float huge = dtype == PP_FLOAT16 ? 6e4f : 1e20f;
             if (I > 2) {
               gate_up.set(0, 0, huge);
               gate_up.set(0, I, 0);
               gate_up.set(M - 1, I - 1, -huge);
               gate_up.set(0, 1, -12.5f);
               gate_up.upload();
             }
             Matrix out(dtype, M, I, placement, Content::kUnwritten), dgate_up(dtype, M, 2 * I, placement, Content::kUnwritten);
             const std::unique_ptr<Matrix> in_place = copy(dtype, gate_up, placement);
             const pp_matrix from = gate_up.view(), to = out.view(), gradient = dout.view(), input_gradient = dgate_up.view(),
                             own = in_place->view();
             const pp_context context = {kDevice, nullptr};
             expect_ok(pp_gate_forward(&context, gate, &from, &to));
             expect_ok(pp_gate_backward(&context, gate, &gradient, &from, &input_gradient));
             expect_ok(pp_gate_backward(&context, gate, &gradient, &own, &own));
             std::vector<unsigned char> bytes = bytes_of({&out, &dgate_up, in_place.get()});
             expect_same("dgate_up in place", dgate_up, *in_place);
             const std::unique_ptr<Matrix> odd_gates = copy(dtype, gate_up, kOdd), odd_dout = copy(dtype, dout, kOdd);
             const auto forward = [&](const Matrix& of, const Placement& at) {
               Matrix result(dtype, M, I, at, Content::kUnwritten);
               const pp_matrix given = of.view(), into = result.view();
               expect_ok(pp_gate_forward(&context, gate, &given, &into));
               result.download();
               append(&bytes, result);
               expect_same("out at other addresses", out, result);
             };
             const auto backward = [&](const Matrix& by, const Matrix& of, const Placement& at) {
               Matrix result(dtype, M, 2 * I, at, Content::kUnwritten);
               const pp_matrix given = by.view(), point = of.view(), into = result.view();
               expect_ok(pp_gate_backward(&context, gate, &given, &point, &into));
               result.download();
               append(&bytes, result);
               expect_same("dgate_up at other addresses", dgate_up, result);
             };
             forward(gate_up, kOdd);
             forward(*odd_gates, placement);
             backward(dout, gate_up, kOdd);
             backward(*odd_dout, gate_up, placement);
             backward(dout, *odd_gates, placement);
             Reference expected(M, I), expected_gradient(M, 2 * I);
             for (int64_t i = 0; i < M; i++)
               for (int64_t j = 0; j < I; j++) {
                 const GateReference all = gate_reference(dtype, gate, gate_up(i, j), gate_up(i, I + j), dout(i, j));
                 expected(i, j) = all.out;
                 expected_gradient(i, j) = all.dgate;
                 expected_gradient(i, I + j) = all.dup;
                 if (dtype == PP_FLOAT16 && std::abs(all.dup) > 6.5e4) {  // a large gate's, beyond the type
                   expected_gradient(i, I + j) = 0;
                   dgate_up.set(i, I + j, 0);
                 }
               }
             expect_elements_close("out", out, expected);
             expect_elements_close("dgate_up", dgate_up, expected_gradient);
             return bytes;
           });
}

/** Without rows nothing is launched; numbers that kernels could not read are refused. */
void test_bounds() {
  current_case = "bounds";
  const Matrix x(PP_FLOAT32, 4, 8, {}, Content::kRandom), table(PP_FLOAT32, 2, 2, {}, Content::kRandom);
  pp_matrix none = x.view();
  none.rows = 0;
  const pp_matrix view = x.view();
  const pp_context context = {kDevice, nullptr};
  const pp_rms_norm norm = {{x.data(), 1, 8, 8, PP_FLOAT32}, 1e-3f, 0};
  expect_ok(pp_rms_norm_forward(&context, &norm, &none, &none, nullptr));
  pp_rotary rotary = {2, 2, 2, 4, table.view(), table.view(), 0, nullptr, 0};
  rotary.starts = reinterpret_cast<const int32_t*>(static_cast<const char*>(x.data()) + 2);
  expect(pp_rotate(&context, &rotary, &view, &view) == PP_INVALID_ARGUMENT, "starts must be aligned");
}
}  // namespace

int main() {
  random_bits.seed(check::seed());
  std::vector<NormCase> norms(std::begin(kNorms), std::end(kNorms));
  for (int i = 0; i < 4; i++) norms.push_back({draw(1, 20), draw(1, 3), draw(1, 1500), draw_placement()});
  // Whole groups, odd ends, parts of heads, and rows that are not rotated to their end.
  std::vector<RotaryCase> rotations = {{1, 1, 1, 2, 1, 0, 1, 0, false, {}},        {2, 5, 3, 32, 16, 32, 9, 2, true, {0, 8}},
                                       {1, 7, 2, 24, 8, 8, 5, 0, false, {}},       {2, 1, 40, 128, 64, 3, 8, 1, true, {0, 5}},
                                       {3, 3, 2, 128, 64, 0, 9, 1, false, {0, 8}}, {1, 3, 4, 20, 8, 0, 5, 0, false, {}},
                                       {1, 3, 2, 16, 4, 0, 5, 0, false, {}},       {1, 4, 0, 8, 4, 17, 4, 0, false, {1, 2}}};
  struct Gated {
    int64_t M, I;
    Placement placement;
  };
  std::vector<Gated> gates = {{1, 1, {}}, {5, 64, {0, 8}}, {3, 33, {1, 2}}, {70, 40, {}}, {2, 1000, {0, 4}}, {3, 12, {}}};
  for (int i = 0; i < 4; i++) {
    const int64_t size = draw(2, 70);
    rotations.push_back({draw(1, 3), draw(1, 6), draw(0, 4), size, draw(1, size / 2), draw(1, 20), draw(1, 12), draw(0, 4),
                         draw(0, 1) == 0, draw_placement()});
    gates.push_back({draw(1, 20), draw(1, 300), draw_placement()});
  }
  for (const pp_dtype dtype : kDtypes) {
    for (const NormCase& c : norms)
      for (const bool adds_one : {false, true})
        if (drawn_case()) test_norm(dtype, c, adds_one);
    for (const RotaryCase& c : rotations)
      for (const bool backward : {false, true})
        if (drawn_case()) test_rotation(dtype, c, backward);
    for (const Gated& c : gates)
      for (const pp_gate gate : {PP_SWIGLU, PP_GEGLU, PP_GEGLU_TANH})
        if (drawn_case()) test_gate(dtype, gate, c.M, c.I, c.placement);
  }
  if (drawn_case()) test_bounds();
  return finish();
}
