// AdamW's step on CUDA buffers against float64, and the copies it refreshes: aligned and not, across rows and parts.
#include "prunepeft/adamw.h"

#include "device_test.h"

using namespace device_test;

namespace {
struct Part {
  int64_t offset, rows, columns;
  Placement placement;  // of its copy
};

struct Case {
  const char* name;
  int64_t n;
  std::vector<Part> parts;
  int64_t shift;  // of the flat buffers, in elements
};

const Case kCases[] = {
    {"one weight", 1, {{0, 1, 1, {0, 0}}}, 0},
    {"no copies", 77, {}, 0},
    {"aligned rows in a border", 5000, {{0, 16, 136, {0, 8}}, {2176, 72, 16, {8, 16}}, {3328, 8, 200, {0, 0}}}, 0},
    {"rows and parts across groups of eight",
     2100,
     {{3, 5, 13, {1, 3}}, {68, 3, 3, {0, 5}}, {77, 1, 2, {0, 0}}, {100, 60, 33, {5, 7}}},
     0},
    {"flat buffers off alignment", 300, {{8, 4, 64, {0, 8}}}, 1},
};

constexpr int64_t kSteps = 3;

void test(pp_dtype dtype, const Case& c) {
  run_case(std::string("adamw ") + name(dtype) + ", " + c.name, [&] {
    const Placement flat = {c.shift, 0};
    Matrix weights(PP_FLOAT32, 1, c.n, flat, Content::kRandom), gradients(PP_FLOAT32, 1, c.n, flat, Content::kRandom),
        mean(PP_FLOAT32, 1, c.n, flat, Content::kRandom, 0.1), square(PP_FLOAT32, 1, c.n, flat, Content::kRandom);
    std::vector<std::unique_ptr<Matrix>> matrices;
    std::vector<pp_weight_copy> copies;
    for (const Part& part : c.parts) {
      matrices.push_back(std::make_unique<Matrix>(dtype, part.rows, part.columns, part.placement, Content::kUnwritten));
      copies.push_back({part.offset, part.rows, part.columns, matrices.back()->data(), matrices.back()->ld()});
    }
    std::vector<double> w, m, v;
    for (int64_t i = 0; i < c.n; i++) {
      square.set(0, i, static_cast<float>(std::abs(square(0, i))));
      w.push_back(weights(0, i));
      m.push_back(mean(0, i));
      v.push_back(square(0, i));
    }
    square.upload();
    pp_adamw* plan = nullptr;
    expect_ok(pp_adamw_create(&kDevice, dtype, c.n, copies.data(), static_cast<int64_t>(copies.size()), &plan));
    std::vector<unsigned char> bytes;
    const auto expect_copies = [&] {
      weights.download();
      append(&bytes, weights);
      for (size_t p = 0; p < c.parts.size(); p++) {
        Matrix& copy = *matrices[p];
        copy.download();
        Matrix rounded(dtype, 1, 1, {}, Content::kRandom);
        for (int64_t i = 0; i < copy.rows(); i++)
          for (int64_t j = 0; j < copy.columns(); j++) {
            rounded.set(0, 0, static_cast<float>(weights(0, c.parts[p].offset + i * copy.columns() + j)));
            if (copy(i, j) != rounded(0, 0))
              return report("the copy of part %d differs at %d, %d", static_cast<int>(p), static_cast<int>(i),
                            static_cast<int>(j));
          }
        append(&bytes, copy);
      }
    };
    expect_ok(pp_adamw_refresh(&kDevice, plan, weights.data<float>()));
    expect_copies();
    for (int64_t t = 1; t <= kSteps; t++) {
      const pp_adamw_settings settings = {0.02f, 0.9f, 0.99f, 1e-8f, 0.1f, t};
      expect_ok(pp_adamw_step(&kDevice, plan, &settings, weights.data<float>(), gradients.data<float>(), mean.data<float>(),
                              square.data<float>()));
      for (size_t i = 0; i < w.size(); i++) {
        const double g = gradients(0, static_cast<int64_t>(i)), beta1 = settings.beta1, beta2 = settings.beta2;
        w[i] -= double{settings.learning_rate} * settings.weight_decay * w[i];
        m[i] = beta1 * m[i] + (1 - beta1) * g;
        v[i] = beta2 * v[i] + (1 - beta2) * g * g;
        const double step = static_cast<double>(t);
        w[i] -= settings.learning_rate * (m[i] / (1 - std::pow(beta1, step))) /
                (std::sqrt(v[i] / (1 - std::pow(beta2, step))) + settings.epsilon);
      }
    }
    expect_copies();
    Reference expected(1, c.n), expected_mean(1, c.n), expected_square(1, c.n);
    for (int64_t i = 0; i < c.n; i++) {
      expected(0, i) = w[static_cast<size_t>(i)];
      expected_mean(0, i) = m[static_cast<size_t>(i)];
      expected_square(0, i) = v[static_cast<size_t>(i)];
    }
    mean.download();
    square.download();
    gradients.download();
    expect_close("w", weights, expected, tolerance(PP_FLOAT32));
    expect_close("m", mean, expected_mean, tolerance(PP_FLOAT32));
    expect_close("v", square, expected_square, tolerance(PP_FLOAT32));
    append(&bytes, mean);
    append(&bytes, square);
    pp_adamw_destroy(plan);
    return bytes;
  });
}
}  // namespace

int main() {
  for (const Case& c : kCases)
    for (pp_dtype dtype : kDtypes) test(dtype, c);
  return finish();
}
