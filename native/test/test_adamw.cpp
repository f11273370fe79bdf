// AdamW's step on the CPU against float64, over several steps, and the copies of the weights.
#include "prunepeft/adamw.h"

#include <memory>

#include "buffers.h"

namespace {

struct Part {
  int64_t offset, rows, columns;
};

/** A flat buffer with parts that have copies, as matrices of their own; gaps in between. */
struct Problem {
  pp_dtype dtype;
  int64_t n = 0;
  std::vector<Part> parts;
  Matrix weights, gradients, mean, square;
  std::vector<Matrix> copies;

  explicit Problem(pp_dtype dtype, int64_t large = 0) : dtype(dtype) {
    for (int64_t i = check::pick(0, 5); i > 0; --i) {
      n += check::pick(0, 1) * check::pick(1, 40);
      const Part part{n, check::pick(1, 40), check::pick(1, 60) + large};
      parts.push_back(part);
      n += part.rows * part.columns;
      copies.push_back(Matrix::empty(part.rows, part.columns, dtype));
    }
    n += check::pick(0, 30);
    // Aligned as floats are; a row, since the buffer is flat.
    const auto flat = [&] { return Matrix(1, n, n, 4 * static_cast<size_t>(check::pick(0, 3))); };
    weights = flat();
    gradients = flat();
    mean = flat();
    square = flat();
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < n; ++i) {
      weights.set(0, i, normal(check::random()));
      mean.set(0, i, 0.1f * normal(check::random()));
      square.set(0, i, std::abs(normal(check::random())));
    }
  }

  std::vector<pp_weight_copy> list() {
    std::vector<pp_weight_copy> all;
    for (size_t i = 0; i < parts.size(); ++i) {
      all.push_back({parts[i].offset, parts[i].rows, parts[i].columns, copies[i].data(), copies[i].ld()});
    }
    return all;
  }

  /** Each copy is its part of the weights, rounded to nearest. */
  bool copies_are_the_weights() const {
    bool same = true;
    for (size_t p = 0; p < parts.size(); ++p) {
      Matrix expected = copies[p];
      for (int64_t i = 0; i < parts[p].rows; ++i) {
        for (int64_t j = 0; j < parts[p].columns; ++j)
          expected.set(i, j, weights(0, parts[p].offset + i * parts[p].columns + j));
      }
      same = same && expected == copies[p] && copies[p].padding_intact();
    }
    return same;
  }
};

using Plan = std::unique_ptr<pp_adamw, void (*)(pp_adamw*)>;

Plan create(Problem& problem) {
  const std::vector<pp_weight_copy> copies = problem.list();
  pp_adamw* plan = nullptr;
  CHECK_EQUAL(pp_adamw_create(&kCpu, problem.dtype, problem.n, copies.data(), static_cast<int64_t>(copies.size()), &plan),
              PP_OK);
  return Plan(plan, pp_adamw_destroy);
}

constexpr pp_adamw_settings kSettings = {0.01f, 0.9f, 0.999f, 1e-8f, 0.1f, 1};

}  // namespace

TEST(steps_follow_the_algorithm_in_float64) {
  for (int n = 0; n < 30; ++n) {
    Problem problem(n % 2 == 0 ? PP_FLOAT32 : PP_BFLOAT16, n < 2 ? 3000 : 0);
    const Plan plan = create(problem);
    const auto size = static_cast<size_t>(problem.n);
    std::vector<double> w(size), m(size), v(size);
    for (size_t i = 0; i < size; ++i) {
      w[i] = problem.weights(0, i);
      m[i] = problem.mean(0, i);
      v[i] = problem.square(0, i);
    }
    std::normal_distribution<float> normal;
    for (int64_t t = 1; t <= 4; ++t) {
      pp_adamw_settings settings = kSettings;
      settings.step = t;
      settings.learning_rate = 0.01f * static_cast<float>(t);
      for (int64_t i = 0; i < problem.n; ++i) problem.gradients.set(0, i, normal(check::random()));
      pp_set_num_threads(static_cast<int32_t>(check::pick(1, 4)));
      CHECK_EQUAL(pp_adamw_step(&kCpu, plan.get(), &settings, problem.weights.data(), problem.gradients.data(),
                                problem.mean.data(), problem.square.data()),
                  PP_OK);
      Reference expected(1, problem.n);
      for (size_t i = 0; i < size; ++i) {
        const double g = problem.gradients(0, i), beta1 = settings.beta1, beta2 = settings.beta2;
        w[i] -= double{settings.learning_rate} * settings.weight_decay * w[i];
        m[i] = beta1 * m[i] + (1 - beta1) * g;
        v[i] = beta2 * v[i] + (1 - beta2) * g * g;
        w[i] -= settings.learning_rate * (m[i] / (1 - std::pow(beta1, t))) /
                (std::sqrt(v[i] / (1 - std::pow(beta2, t))) + settings.epsilon);
        expected(0, i) += w[i];
      }
      CHECK_OUTPUT(problem.weights, expected);
      CHECK(problem.mean.padding_intact() && problem.square.padding_intact());
      CHECK(problem.copies_are_the_weights());
    }
  }
  pp_set_num_threads(2);
}

TEST(refreshing_writes_the_copies_alone) {
  for (int n = 0; n < 20; ++n) {
    Problem problem(n % 2 == 0 ? PP_FLOAT32 : PP_BFLOAT16);
    const Plan plan = create(problem);
    const Matrix before = problem.weights;
    CHECK_EQUAL(pp_adamw_refresh(&kCpu, plan.get(), problem.weights.data()), PP_OK);
    CHECK(problem.weights == before);
    CHECK(problem.copies_are_the_weights());
  }
}

TEST(wrong_arguments_are_named) {
  std::vector<float> memory(100);
  float* const p = memory.data();
  pp_adamw* plan = nullptr;
  const auto create_fails = [&](std::vector<pp_weight_copy> copies, const char* message) {
    CHECK_FAILS(pp_adamw_create(&kCpu, PP_FLOAT32, 20, copies.data(), static_cast<int64_t>(copies.size()), &plan),
                PP_INVALID_ARGUMENT, message);
  };
  create_fails({{0, 2, 5, p, 5}, {9, 1, 1, p, 1}}, "copies[1].offset must be at least 10, the end of the copy before, got 9");
  create_fails({{-1, 2, 5, p, 5}}, "copies[0].offset must be at least 0");
  create_fails({{0, 3, 7, p, 7}}, "copies[0] must end within the 20 weights, got offset 0, 3 rows and 7 columns");
  create_fails({{0, INT64_MAX, 7, p, 7}}, "copies[0] must end within the 20 weights");
  create_fails({{0, 0, 7, p, 7}}, "copies[0] must have at least 1 row and 1 column, got 0 and 7");
  create_fails({{0, 2, 7, p, 6}}, "copies[0].ld must be at least the row's 7 elements, got 6");
  create_fails({{0, 2, 7, nullptr, 7}}, "copies[0].to must not be null");
  CHECK_FAILS(pp_adamw_create(&kCpu, PP_FLOAT16, 20, nullptr, 0, &plan), PP_UNSUPPORTED, "float16");
  CHECK_EQUAL(pp_adamw_create(&kCpu, PP_FLOAT32, 20, nullptr, 0, &plan), PP_OK);
  const Plan owner(plan, pp_adamw_destroy);
  const auto step_fails = [&](auto spoil, const char* message) {
    pp_adamw_settings settings = kSettings;
    spoil(settings);
    CHECK_FAILS(pp_adamw_step(&kCpu, plan, &settings, p, p + 20, p + 40, p + 60), PP_INVALID_ARGUMENT, message);
  };
  step_fails([](pp_adamw_settings& s) { s.learning_rate = NAN; }, "settings->learning_rate must be at least 0, got nan");
  step_fails([](pp_adamw_settings& s) { s.beta1 = 1; }, "settings->beta1 must be in [0, 1), got 1");
  step_fails([](pp_adamw_settings& s) { s.beta2 = -0.5f; }, "settings->beta2 must be in [0, 1), got -0.5");
  step_fails([](pp_adamw_settings& s) { s.epsilon = 0; }, "settings->epsilon must be above 0, got 0");
  step_fails([](pp_adamw_settings& s) { s.weight_decay = -1; }, "settings->weight_decay must be at least 0, got -1");
  step_fails([](pp_adamw_settings& s) { s.step = 0; }, "settings->step must be at least 1, got 0");
  CHECK_FAILS(pp_adamw_step(&kCpu, plan, &kSettings, p, nullptr, p, p), PP_INVALID_ARGUMENT, "gradients must not be null");
  const pp_device other = {PP_CUDA, 0, nullptr};
  CHECK_FAILS(pp_adamw_refresh(&other, plan, p), PP_INVALID_ARGUMENT, "device must be the plan's");
}
