// The emulated tile registers themselves, and that the linear runs in them. test_linear.cpp over the same library compares its
// results.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "buffers.h"
#include "prunepeft/linear.h"
#include "tiles/emulator.h"

namespace emulated = prunepeft::emulated;

namespace {

/** LDTILECFG's 64 bytes. */
struct Shapes {
  unsigned char bytes[64] = {1};

  Shapes& tile(int number, int rows, int row_bytes) {
    const uint16_t wide = static_cast<uint16_t>(row_bytes);
    std::memcpy(bytes + 16 + 2 * number, &wide, sizeof wide);
    bytes[48 + number] = static_cast<unsigned char>(rows);
    return *this;
  }
  Shapes& byte(int at, int value) {
    bytes[at] = static_cast<unsigned char>(value);
    return *this;
  }
};

Shapes product_shapes(int rows, int pairs, int columns) {
  return Shapes().tile(0, rows, 4 * columns).tile(1, rows, 4 * pairs).tile(2, pairs, 4 * columns);
}

/** Does it end the program, as the processor's fault would? */
bool faults(const std::function<void()>& use) {
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(2);
    use();
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

}  // namespace

TEST(multiplies_pairs_of_any_shape) {
  for (int round = 0; round < 200; ++round) {
    const int64_t rows = check::pick(1, 16), pairs = check::pick(1, 16), columns = check::pick(1, 16);
    check::context() = std::to_string(rows) + " x " + std::to_string(pairs) + " pairs x " + std::to_string(columns);
    const Matrix a = Matrix::random(rows, 2 * pairs, PP_BFLOAT16), b = Matrix::random(pairs, 2 * columns, PP_BFLOAT16);
    Matrix c = Matrix::random(rows, columns);
    Reference expected(rows, columns);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        expected(i, j) += c(i, j);
        for (int64_t k = 0; k < 2 * pairs; ++k) {
          expected(i, j) += static_cast<double>(a(i, k)) * b(k / 2, 2 * j + k % 2);
        }
      }
    }
    emulated::configure(product_shapes(static_cast<int>(rows), static_cast<int>(pairs), static_cast<int>(columns)).bytes);
    emulated::load(0, c.data(), 4 * c.ld());
    emulated::load(1, a.data(), 2 * a.ld());
    emulated::load(2, b.data(), 2 * b.ld());
    emulated::multiply_pairs(0, 1, 2);
    emulated::store(0, c.data(), 4 * c.ld());
    emulated::release();
    CHECK_OUTPUT(c, expected);
  }
}

TEST(what_the_processor_refuses_is_a_fault) {
  const auto configured = [](const Shapes& shapes) { return faults([&] { emulated::configure(shapes.bytes); }); };
  CHECK(!configured(product_shapes(16, 16, 16)));
  CHECK(configured(Shapes().byte(0, 2)));
  CHECK(configured(Shapes().byte(1, 1)));
  CHECK(configured(Shapes().byte(9, 1)));
  CHECK(configured(Shapes().tile(3, 17, 64)));
  CHECK(configured(Shapes().tile(3, 16, 65)));
  CHECK(configured(Shapes().tile(3, 0, 64)));
  CHECK(configured(Shapes().tile(3, 16, 0)));
  CHECK(configured(Shapes().tile(8, 16, 64)));
  const auto multiplied = [](const Shapes& shapes, int sums, int rows, int columns) {
    return faults([&] {
      emulated::configure(shapes.bytes);
      emulated::multiply_pairs(sums, rows, columns);
    });
  };
  CHECK(!multiplied(product_shapes(3, 5, 7), 0, 1, 2));
  CHECK(multiplied(product_shapes(3, 5, 7), 0, 2, 1));
  CHECK(multiplied(product_shapes(3, 5, 7), 0, 1, 3));
  CHECK(multiplied(product_shapes(3, 5, 7).tile(0, 4, 28), 0, 1, 2));
  CHECK(multiplied(product_shapes(3, 5, 7).tile(0, 3, 24), 0, 1, 2));
  CHECK(multiplied(product_shapes(3, 5, 7).tile(2, 4, 28), 0, 1, 2));
  CHECK(multiplied(product_shapes(3, 5, 7).tile(1, 3, 22), 0, 1, 2));
  CHECK(multiplied(product_shapes(16, 16, 16), 0, 1, 1));
  CHECK(multiplied(product_shapes(16, 16, 16), 1, 1, 2));
  CHECK(multiplied(product_shapes(16, 16, 16), 0, 1, 8));
  char row[64] = {};
  CHECK(faults([&] { emulated::zero(0); }));
  CHECK(faults([&] { emulated::load(0, row, 0); }));
  CHECK(faults([&] {
    emulated::configure(product_shapes(16, 16, 16).bytes);
    emulated::release();
    emulated::store(0, row, 0);
  }));
}

TEST(the_linear_runs_in_tiles_and_releases_them) {
  if (pp_cpu_isa_supported() < PP_ISA_AMX) {
    std::printf("       not run: the emulated registers go with AVX-512 BF16, which this processor lacks\n");
    return;
  }
  CHECK_EQUAL(pp_cpu_isa(), PP_ISA_AMX);
  const int64_t M = 128, N = 192, K = 128, r = 8;
  Matrix x = Matrix::random(M, K, PP_BFLOAT16), y = Matrix::empty(M, N, PP_BFLOAT16), w = Matrix::random(N, K, PP_BFLOAT16);
  const Matrix a = Matrix::random(r, K), b = Matrix::random(N, r);
  Matrix s = Matrix::empty(M, r);
  const pp_matrix x_view = x.view(), y_view = y.view(), w_view = w.view();
  pp_lora_module module = {};
  module.a = a.view();
  module.b = b.view();
  module.rows = M;
  module.scale = 1;
  module.s = module.ds = s.view();
  pp_linear* linear = nullptr;
  CHECK_EQUAL(pp_linear_create(Context(), &w_view, nullptr, &linear), PP_OK);
  const int32_t threads_before = pp_num_threads();
  for (const int32_t threads : {1, 3}) {
    pp_set_num_threads(threads);
    // Blocks of 16 rows, columns and pairs. Of r, one of each.
    int64_t before = emulated::multiplications();
    CHECK_EQUAL(pp_linear_forward(Context(), linear, &x_view, &module, 1, &y_view), PP_OK);
    CHECK_EQUAL(emulated::multiplications() - before, M / 16 * (N / 16 * (K / 32 + 1) + K / 32));
    before = emulated::multiplications();
    CHECK_EQUAL(pp_linear_grad_input(Context(), linear, &y_view, &module, 1, &x_view), PP_OK);
    CHECK_EQUAL(emulated::multiplications() - before, M / 16 * (K / 16 * (N / 32 + 1)));
    CHECK_EQUAL(emulated::configured(), 0);
  }
  pp_set_num_threads(threads_before);
  pp_linear_destroy(linear);
}
