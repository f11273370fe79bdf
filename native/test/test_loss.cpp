#include "prunepeft/loss.h"

#include "refusals.h"

namespace {

constexpr pp_dtype kTypes[] = {PP_FLOAT32, PP_BFLOAT16};

/** Some rows of logits with their labels. */
struct Rows {
  Matrix z;
  std::vector<int64_t> labels;
  pp_cross_entropy target;

  Rows(pp_dtype dtype, int64_t M, int64_t V, float cap, float smoothing)
      : z(Matrix::random(M, V, dtype)), labels(M), target{labels.data(), cap, smoothing} {
    for (int64_t i = 0; i < M; ++i) {
      labels[i] = check::pick(0, V - 1);
      // Far from 0, and spread so that some exponentials are 0.
      const float centre = static_cast<float>(check::pick(-200, 200)), width = static_cast<float>(check::pick(1, 40));
      for (int64_t j = 0; j < V; ++j) z.set(i, j, cap > 0 ? z(i, j) * 2 : centre + width * z(i, j));
    }
  }
};

struct Expected {
  Reference losses, dz;
};

/** Additions that a term passes in float32: a run of 64 vectors in two sums, these, and a vector's 16 elements at most. */
constexpr double kAdditions = 64 / 2 + 1 + 16;

Expected expected_of(const Rows& rows) {
  using rounding::gamma;
  using rounding::kFloat32;
  const int64_t M = rows.z.rows(), V = rows.z.columns();
  const double cap = rows.target.cap, smoothing = rows.target.smoothing, spread = smoothing / static_cast<double>(V);
  Expected expected{Reference(M, 1), Reference(M, V)};
  for (int64_t i = 0; i < M; ++i) {
    std::vector<Capped> z;
    for (int64_t j = 0; j < V; ++j) z.push_back(capped(rows.z(i, j), cap));
    double most = z[0].value;
    for (const Capped& one : z) most = std::max<double>(most, one.value);
    // What is subtracted from all of them falls out, whatever it is.
    const auto below = [&](int64_t j) { return less(z[j].value, most); };
    Sum total, all_below;
    for (int64_t j = 0; j < V; ++j) {
      total.add(1.0, exponential(below(j)));
      all_below.add(1.0, below(j));
    }
    total = total.in_lanes(kAdditions);
    all_below = all_below.in_lanes(kAdditions);
    // The loss, log(Σ) less what is wanted, is float64 until it is stored.
    const Sum label = below(rows.labels[i]);
    const double of_total = total.error() / (total - total.error()), log_total = std::log(total);
    const double wanted = (1.0 - smoothing) * label + spread * all_below, loss = log_total - wanted;
    const double of_wanted = (1.0 - smoothing) * label.error() + spread * all_below.error();
    const double of_float64 = gamma(static_cast<double>(V) + 8, rounding::kFloat64) * (1.0 + log_total + std::fabs(wanted));
    expected.losses(i, 0) =
        Sum::off(loss, (of_total + of_wanted + of_float64) * (1.0 + kFloat32) + gamma(1, kFloat32) * std::fabs(loss));
    for (int64_t j = 0; j < V; ++j) {
      // exp·(1 / Σ) less what is wanted: the scale is a float32, and so is that, of up to three roundings of some 1.
      const bool is_label = j == rows.labels[i];
      const Sum scale = Sum::off(1.0 / total, (of_total + gamma(1, kFloat32)) / total);
      Sum gradient;
      gradient.add(1.0, Sum::product(exponential(below(j)), scale));
      gradient.add(1.0, Sum::off(-spread - (is_label ? 1.0 - smoothing : 0.0), gamma(4, kFloat32) * (is_label ? 1.0 : spread)));
      expected.dz(i, j) = (cap == 0.0 ? gradient : Sum::product(gradient, z[j].slope)).stored(rows.z.dtype());
    }
  }
  return expected;
}

}  // namespace

TEST(losses_and_their_gradients) {
  for (const pp_dtype dtype : kTypes) {
    for (int turn = 0; turn < 24; ++turn) {
      if (!check::drawn_case()) continue;
      const int64_t M = check::pick(1, 9), V = turn % 4 == 0 ? check::pick(1000, 5000) : pick_size();
      const Rows rows(dtype, M, V, turn % 3 == 1 ? 3.0f : 0.0f, turn % 2 == 0 ? 0.0f : 0.1f);
      const Expected expected = expected_of(rows);
      const std::string what = "cross-entropy, dtype " + std::to_string(dtype) + ", " + std::to_string(M) + " x " +
                               std::to_string(V) + ", cap " + std::to_string(rows.target.cap) + ", smoothing " +
                               std::to_string(rows.target.smoothing);
      on_all_settings(what, [&] {
        Matrix losses = Matrix::empty(M, 1), dz = Matrix::empty(M, V, dtype), in_place = rows.z, again = Matrix::empty(M, 1);
        const pp_matrix z = rows.z.view(), losses_view = losses.view(), dz_view = dz.view(), own = in_place.view(),
                        again_view = again.view();
        CHECK_EQUAL(pp_cross_entropy_loss(Context(), &rows.target, &z, &losses_view, nullptr), PP_OK);
        CHECK_EQUAL(pp_cross_entropy_loss(Context(), &rows.target, &z, &again_view, &dz_view), PP_OK);
        CHECK(dense({losses}) == dense({again}));
        CHECK_EQUAL(pp_cross_entropy_loss(Context(), &rows.target, &own, &again_view, &own), PP_OK);
        CHECK(dense({losses, dz}) == dense({again, in_place}));
        CHECK(in_place.padding_intact());
        CHECK_ELEMENTS(losses, expected.losses);
        CHECK_ELEMENTS(dz, expected.dz);
        CHECK(losses.padding_intact() && dz.padding_intact());
        return dense({losses, dz});
      });
    }
  }
}

TEST(nan_comes_through_in_its_row) {
  for (const pp_dtype dtype : kTypes) {
    Rows rows(dtype, 3, 70, 0.0f, 0.0f);
    rows.z.set(1, 65, NAN);
    on_all_settings("NaN", [&] {
      Matrix losses = Matrix::empty(3, 1), dz = Matrix::empty(3, 70, dtype);
      const pp_matrix z = rows.z.view(), losses_view = losses.view(), dz_view = dz.view();
      CHECK_EQUAL(pp_cross_entropy_loss(Context(), &rows.target, &z, &losses_view, &dz_view), PP_OK);
      for (int64_t i = 0; i < 3; ++i) {
        CHECK_EQUAL(std::isnan(losses(i, 0)), i == 1);
        for (int64_t j = 0; j < 70; ++j) CHECK_EQUAL(std::isnan(dz(i, j)), i == 1);
      }
      return std::vector<Matrix>();
    });
  }
}

namespace {

struct Calls : CallsInContext {
  Matrix z_matrix = Matrix(3, 8, 8, 0), dz_matrix = Matrix(3, 8, 8, 0), losses_matrix = Matrix(3, 1, 1, 0);
  pp_matrix z = z_matrix.view(), dz = dz_matrix.view(), losses = losses_matrix.view();
  int64_t labels[3] = {0, 7, 3};
  pp_cross_entropy of{labels, 0.0f, 0.0f};
  const pp_cross_entropy* target = &of;

  pp_status loss() { return pp_cross_entropy_loss(&context, target, &z, &losses, &dz); }
  std::vector<Matrix> outputs() const { return {z_matrix, dz_matrix, losses_matrix}; }
};

}  // namespace

TEST(bad_arguments_are_named_and_nothing_is_written) {
  Calls good;
  good.context.workspace = nullptr;
  CHECK_EQUAL(good.loss(), PP_OK);
  Calls empty;
  empty.z.rows = empty.dz.rows = empty.losses.rows = 0;
  empty.of.labels = nullptr;
  const std::vector<Matrix> before = empty.outputs();
  CHECK_EQUAL(empty.loss(), PP_OK);
  CHECK(empty.outputs() == before);
  const std::vector<pp_status (Calls::*)()> loss{&Calls::loss};
  check_refused<Calls>({
      {loss, [](Calls& c) { c.target = nullptr; }, "target must not be null"},
      {loss, [](Calls& c) { c.z.data = nullptr; }, "z.data must not be null"},
      {loss, [](Calls& c) { c.z.cols = c.dz.cols = 0; }, "z must be float32 [3, 1], got float32 [3, 0]"},
      {loss, [](Calls& c) { c.of.cap = -1.0f; }, "target->cap must be at least 0, got -1"},
      {loss, [](Calls& c) { c.of.cap = NAN; }, "target->cap must be at least 0, got nan"},
      {loss, [](Calls& c) { c.of.cap = INFINITY; }, "target->cap must be finite, got inf"},
      {loss, [](Calls& c) { c.of.smoothing = 1.0f; }, "target->smoothing must be in [0, 1), got 1"},
      {loss, [](Calls& c) { c.of.labels = nullptr; }, "target->labels must not be null"},
      {loss, [](Calls& c) { c.labels[1] = 8; }, "target->labels[1] must be in [0, 8), got 8"},
      {loss, [](Calls& c) { c.labels[2] = -100; }, "target->labels[2] must be in [0, 8), got -100"},
      {loss, [](Calls& c) { c.losses.cols = 0; }, "losses must be float32 [3, 1], got float32 [3, 0]"},
      {loss, [](Calls& c) { c.dz.cols = 7; }, "dz must be float32 [3, 8], got float32 [3, 7]"},
      {loss, [](Calls& c) { c.dz.data = c.z.data, c.dz.ld = 9; }, "dz.ld must be z.ld = 8"},
      {loss, [](Calls& c) { c.z.dtype = c.dz.dtype = PP_FLOAT16; }, "float16", PP_UNSUPPORTED},
      {loss, [](Calls& c) { c.context.device.type = PP_CUDA; }, "cross-entropy is not supported on CUDA", PP_UNSUPPORTED},
  });
}
