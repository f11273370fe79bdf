// Quantised weights: decoding, quantising, and linears of them, which give the bits of linears of the decoded W.
#include "prunepeft/quantized.h"

#include "linear_problem.h"

namespace {

/** The 16 values of NF4 are the library's; this table is none of them, and does not rise. */
const std::vector<float> kOtherTable{0.5f, -0.25f, 3.0f, 1e-3f,  -7.0f, 0.0f,  0.125f, -1.0f,
                                     2.0f, -2.0f,  1.0f, -1e-3f, 0.75f, -0.5f, 5.0f,   -3.0f};

const std::vector<float> kNf4{-1.0f,
                              -0.6961928009986877f,
                              -0.5250730514526367f,
                              -0.39491748809814453f,
                              -0.28444138169288635f,
                              -0.18477343022823334f,
                              -0.09105003625154495f,
                              0.0f,
                              0.07958029955625534f,
                              0.16093020141124725f,
                              0.24611230194568634f,
                              0.33791524171829224f,
                              0.44070982933044434f,
                              0.5626170039176941f,
                              0.7229568362236023f,
                              1.0f};

/** Codes and scales of a matrix, at any address, between guards. */
class Quantized {
 public:
  Quantized(pp_quantization type, int64_t rows, int64_t columns, int64_t block, const std::vector<float>* table = nullptr)
      : type_(type),
        rows_(rows),
        columns_(columns),
        block_(block),
        table_(table != nullptr ? *table : kNf4),
        gives_table_(table != nullptr),
        codes_(1, type == PP_INT8 ? rows * columns : (rows * columns + 1) / 2),
        scales_(Matrix::empty(1, type == PP_INT8 ? rows : (rows * columns + block - 1) / block)) {}

  /** Any codes, and scales of which some are negative or 0. */
  void fill() {
    for (int64_t i = 0; i < codes_.size(); ++i) codes_.bytes()[i] = static_cast<uint8_t>(check::random()());
    std::normal_distribution<float> normal;
    for (int64_t j = 0; j < scales_.columns(); ++j) {
      scales_.set(0, j, check::pick(0, 20) == 0 ? 0.0f : normal(check::random()) / (type_ == PP_INT8 ? 64 : 1));
    }
  }
  void spoil() {
    for (int64_t i = 0; i < codes_.size(); ++i) codes_.bytes()[i] = 0x5A;
    for (int64_t j = 0; j < scales_.columns(); ++j) scales_.set(0, j, NAN);
  }

  pp_quantized view() {
    return {type_, rows_, columns_, codes_.bytes(), scales_.data(), gives_table_ ? table_.data() : nullptr, block_};
  }

  int code(int64_t i, int64_t j) const {
    const int64_t element = i * columns_ + j;
    if (type_ == PP_INT8) return static_cast<int8_t>(codes_.bytes()[element]);
    return codes_.bytes()[element / 2] >> (element % 2 == 0 ? 4 : 0) & 15;
  }
  int64_t place(int64_t i, int64_t j) const { return type_ == PP_INT8 ? i : (i * columns_ + j) / block_; }
  float scale(int64_t i, int64_t j) const { return scales_(0, place(i, j)); }
  float operator()(int64_t i, int64_t j) const {
    return (type_ == PP_INT8 ? static_cast<float>(code(i, j)) : table_[code(i, j)]) * scale(i, j);
  }
  const std::vector<float>& table() const { return table_; }
  bool guards_intact() const { return codes_.intact() && scales_.padding_intact(); }
  bool operator==(const Quantized& other) const { return codes_ == other.codes_ && scales_ == other.scales_; }

  std::string text() const {
    return std::string(type_ == PP_INT8 ? "int8 " : "NF4 ") + std::to_string(rows_) + " x " + std::to_string(columns_) +
           (type_ == PP_INT8 ? "" : ", block " + std::to_string(block_)) + (gives_table_ ? ", own table" : "");
  }

 private:
  /** Bytes at an odd address between others. */
  class Bytes {
   public:
    Bytes(size_t offset, int64_t size) : offset_(kGuard + offset), size_(size), all_(2 * kGuard + offset + size, kPoison) {}
    uint8_t* bytes() { return all_.data() + offset_; }
    const uint8_t* bytes() const { return all_.data() + offset_; }
    int64_t size() const { return size_; }
    bool intact() const {
      for (size_t i = 0; i < all_.size(); ++i) {
        if ((i < offset_ || i >= offset_ + size_) && all_[i] != kPoison) return false;
      }
      return true;
    }
    bool operator==(const Bytes& other) const { return all_ == other.all_; }

   private:
    static constexpr size_t kGuard = 64;
    static constexpr uint8_t kPoison = 0xE7;
    size_t offset_;
    int64_t size_;
    std::vector<uint8_t> all_;
  };

  pp_quantization type_;
  int64_t rows_, columns_, block_;
  std::vector<float> table_;
  bool gives_table_;
  Bytes codes_;
  Matrix scales_;
};

Quantized random_quantized(int64_t rows, int64_t columns) {
  const pp_quantization type = check::pick(0, 2) == 0 ? PP_INT8 : PP_NF4;
  const int64_t block = check::pick(std::vector<int64_t>{32, 64, 64, 64, 128, 256, 4096});
  Quantized quantized(type, rows, columns, block, type == PP_NF4 && check::pick(0, 1) == 0 ? &kOtherTable : nullptr);
  quantized.fill();
  return quantized;
}

/** Sizes of which some are whole blocks, so that scales change for all columns at once. */
int64_t pick_columns() {
  return check::pick(0, 1) == 0 ? pick_size() : check::pick(std::vector<int64_t>{32, 64, 128, 192, 256, 320, 832});
}

/** A problem whose W is what the codes stand for, rounded to its type. */
Problem problem_of(const Quantized& quantized, pp_dtype dtype, int64_t M, int64_t N, int64_t K) {
  Problem problem(dtype, M, N, K);
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t k = 0; k < K; ++k) problem.w.set(n, k, quantized(n, k));
  }
  return problem;
}

struct Linears {
  pp_linear *of_codes = nullptr, *of_values = nullptr;
  ~Linears() {
    pp_linear_destroy(of_codes);
    pp_linear_destroy(of_values);
  }
};

const std::vector<pp_dtype> kBoth{PP_FLOAT32, PP_BFLOAT16};

/** Both directions of a linear of the codes, spoilt once it is made, against one of W. */
void check_same_bits(Quantized quantized, const Problem& problem) {
  Linears linears;
  const pp_quantized view = quantized.view();
  const pp_matrix w = problem.w.view(), bias = problem.bias.view();
  const pp_matrix* given_bias = problem.has_bias ? &bias : nullptr;
  CHECK_EQUAL(pp_linear_create_quantized(Context(), &view, given_bias, problem.dtype, &linears.of_codes), PP_OK);
  CHECK_EQUAL(pp_linear_create(Context(), &w, given_bias, &linears.of_values), PP_OK);
  CHECK(quantized.guards_intact());
  const std::string what = quantized.text() + ", " + problem.text();
  quantized.spoil();
  on_all_settings(what, [&] {
    const auto run = [&](const pp_linear* linear) {
      Given given(problem);
      given.clear(&Module::s, &pp_lora_module::s);
      Matrix y(problem.M, problem.N, problem.N, 1, problem.dtype), dx(problem.M, problem.K, problem.K, 1, problem.dtype);
      const pp_matrix x = problem.x.view(), dy = problem.dy.view(), y_view = y.view(), dx_view = dx.view();
      CHECK_EQUAL(pp_linear_forward(Context(), linear, &x, given.table.data(), given.count(), &y_view), PP_OK);
      std::vector<Matrix> outputs = dense(given.all(&Module::s));
      CHECK_EQUAL(pp_linear_grad_input(Context(), linear, &dy, given.table.data(), given.count(), &dx_view), PP_OK);
      outputs.insert(outputs.end(), {y, dx});
      return outputs;
    };
    const std::vector<Matrix> of_codes = run(linears.of_codes);
    CHECK(of_codes == run(linears.of_values));
    return of_codes;
  });
}

}  // namespace

TEST(a_linear_of_codes_gives_the_bits_of_one_of_their_values) {
  for (const pp_dtype dtype : kBoth) {
    for (int turn = 0; turn < 30; ++turn) {
      if (!check::drawn_case()) continue;
      const int64_t M = pick_size(), N = pick_columns(), K = pick_columns();
      const Quantized quantized = random_quantized(N, K);
      Problem problem = problem_of(quantized, dtype, M, N, K);
      add_random_modules(problem);
      check_same_bits(quantized, problem);
    }
  }
}

TEST(long_sums_of_codes_are_cut_where_those_of_values_are) {
  for (const pp_dtype dtype : kBoth) {
    for (const auto& [N, K] : {std::pair<int64_t, int64_t>{70, 1601}, {1601, 70}, {64, 1664}}) {
      if (!check::drawn_case()) continue;
      const Quantized quantized = random_quantized(N, K);
      check_same_bits(quantized, problem_of(quantized, dtype, 23, N, K));
    }
  }
}

TEST(a_linear_of_codes_is_the_product_of_their_values) {
  for (const pp_dtype dtype : kBoth) {
    for (int turn = 0; turn < 6; ++turn) {
      if (!check::drawn_case()) continue;
      const int64_t M = pick_size(), N = pick_columns(), K = pick_columns();
      Quantized quantized = random_quantized(N, K);
      const Problem problem = problem_of(quantized, dtype, M, N, K);
      Reference y(M, N), dx(M, K);
      for (int64_t i = 0; i < M; ++i) {
        for (int64_t n = 0; n < N; ++n) {
          for (int64_t k = 0; k < K; ++k) {
            // Of bfloat16, the weight is rounded too.
            const double weight = dtype == PP_FLOAT32 ? quantized(n, k) : problem.w(n, k);
            y(i, n) += problem.x(i, k) * weight;
            dx(i, k) += problem.dy(i, n) * weight;
          }
        }
      }
      y = y.stored(dtype);
      dx = dx.stored(dtype);
      Linears linears;
      const pp_quantized view = quantized.view();
      CHECK_EQUAL(pp_linear_create_quantized(Context(), &view, nullptr, dtype, &linears.of_codes), PP_OK);
      on_all_settings(quantized.text() + ", " + problem.text(), [&] {
        Matrix out = Matrix::empty(M, N, dtype), back = Matrix::empty(M, K, dtype);
        const pp_matrix x = problem.x.view(), dy = problem.dy.view(), out_view = out.view(), back_view = back.view();
        CHECK_EQUAL(pp_linear_forward(Context(), linears.of_codes, &x, nullptr, 0, &out_view), PP_OK);
        CHECK_EQUAL(pp_linear_grad_input(Context(), linears.of_codes, &dy, nullptr, 0, &back_view), PP_OK);
        CHECK_OUTPUT(out, y);
        CHECK_OUTPUT(back, dx);
        return dense({out, back});
      });
    }
  }
}

TEST(codes_decode_to_their_values) {
  for (const pp_dtype dtype : kBoth) {
    for (int turn = 0; turn < 20; ++turn) {
      if (!check::drawn_case()) continue;
      const int64_t rows = pick_size(), columns = check::pick(0, 9) == 0 ? 700 : pick_columns();
      Quantized quantized = random_quantized(rows, columns);
      Matrix expected(rows, columns, columns, 0, dtype);
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) expected.set(i, j, quantized(i, j));
      }
      on_all_settings("decoding, " + quantized.text(), [&] {
        Matrix out = Matrix::empty(rows, columns, dtype);
        const pp_quantized view = quantized.view();
        const pp_matrix to = out.view();
        CHECK_EQUAL(pp_dequantize(Context(), &view, &to), PP_OK);
        CHECK(out.padding_intact() && quantized.guards_intact());
        CHECK(dense({out}) == std::vector<Matrix>{expected});
        return dense({out});
      });
    }
  }
}

TEST(a_linear_of_codes_gives_rows_of_their_values) {
  for (const pp_dtype dtype : kBoth) {
    for (int turn = 0; turn < 20; ++turn) {
      if (!check::drawn_case()) continue;
      // Some larger than a run.
      const int64_t rows = turn % 5 == 0 ? 801 : pick_size(), columns = pick_columns();
      Quantized quantized = random_quantized(rows, columns);
      pp_linear* linear;
      const pp_quantized view = quantized.view();
      CHECK_EQUAL(pp_linear_create_quantized(Context(), &view, nullptr, dtype, &linear), PP_OK);
      const int64_t first = check::pick(0, rows - 1), count = check::pick(0, rows - first);
      Matrix expected(count, columns, columns, 0, dtype);
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t j = 0; j < columns; ++j) expected.set(i, j, quantized(first + i, j));
      }
      // The plan has copies.
      quantized.spoil();
      on_all_settings("rows, " + quantized.text(), [&] {
        Matrix out = Matrix::empty(count, columns, dtype);
        const pp_matrix to = out.view();
        CHECK_EQUAL(pp_linear_rows(Context(), linear, first, &to), PP_OK);
        CHECK(out.padding_intact());
        CHECK(dense({out}) == std::vector<Matrix>{expected});
        return dense({out});
      });
      CHECK_EQUAL(pp_linear_destroy(linear), PP_OK);
    }
  }
}

TEST(rows_of_codes_are_those_that_pp_dequantize_gives_whatever_the_scales) {
  for (const pp_dtype dtype : kBoth) {
    for (const float scale : {NAN, INFINITY, -INFINITY, 1e-44f, 3e-39f, -0.0f, 3e38f}) {
      Quantized quantized(dtype == PP_FLOAT32 ? PP_INT8 : PP_NF4, 5, 96, 32);
      quantized.fill();
      const pp_quantized view = quantized.view();
      for (int64_t j = 0; j < 5; ++j) std::memcpy(view.scales + j, &scale, sizeof scale);
      pp_linear* linear;
      CHECK_EQUAL(pp_linear_create_quantized(Context(), &view, nullptr, dtype, &linear), PP_OK);
      on_all_settings("rows by scale " + std::to_string(scale), [&] {
        Matrix of_codes(5, 96, 96, 0, dtype), of_linear(5, 96, 96, 0, dtype);
        const pp_matrix to = of_codes.view(), rows = of_linear.view();
        CHECK_EQUAL(pp_dequantize(Context(), &view, &to), PP_OK);
        CHECK_EQUAL(pp_linear_rows(Context(), linear, 0, &rows), PP_OK);
        CHECK(std::memcmp(to.data, rows.data, 5 * 96 * pp_dtype_size(dtype)) == 0);
        return std::vector<Matrix>{of_linear};
      });
      CHECK_EQUAL(pp_linear_destroy(linear), PP_OK);
    }
  }
}

TEST(nf4_takes_the_nearest_value_and_the_lower_of_two) {
  for (const pp_dtype dtype : kBoth) {
    for (int turn = 0; turn < 20; ++turn) {
      if (!check::drawn_case()) continue;
      const int64_t rows = pick_size(), columns = pick_columns();
      const int64_t block = check::pick(std::vector<int64_t>{32, 64, 256, 4096});
      Matrix w = Matrix::random(rows, columns, dtype);
      Quantized quantized(PP_NF4, rows, columns, block);
      // Halfway between two of the table's values, where the largest magnitude of a block is 1.
      for (int64_t e = 0; e < rows * columns && turn % 2 == 0; ++e) {
        const int64_t code = check::pick(0, 14);
        w.set(e / columns, e % columns, e % block == 0 ? 1.0f : 0.5f * (kNf4[code] + kNf4[code + 1]));
      }
      std::vector<float> largest((rows * columns + block - 1) / block);
      for (int64_t e = 0; e < rows * columns; ++e) {
        largest[e / block] = std::max(largest[e / block], std::abs(w(e / columns, e % columns)));
      }
      on_all_settings("quantising, " + quantized.text(), [&] {
        quantized.spoil();
        const pp_quantized view = quantized.view();
        const pp_matrix from = w.view();
        CHECK_EQUAL(pp_quantize(Context(), &from, &view), PP_OK);
        CHECK(quantized.guards_intact());
        for (int64_t i = 0; i < rows; ++i) {
          for (int64_t j = 0; j < columns; ++j) {
            const float scale = quantized.scale(i, j), scaled = w(i, j) * (1.0f / scale);
            CHECK(scale == largest[quantized.place(i, j)]);
            int code = 0;
            while (code < 15 && scaled > 0.5f * (kNf4[code] + kNf4[code + 1])) ++code;
            CHECK_EQUAL(quantized.code(i, j), code);
          }
        }
        return std::vector<Matrix>{};
      });
    }
  }
}

TEST(int8_is_rounded_to_nearest_even_by_rows) {
  for (const pp_dtype dtype : kBoth) {
    for (int turn = 0; turn < 20; ++turn) {
      if (!check::drawn_case()) continue;
      const int64_t rows = pick_size(), columns = pick_columns();
      Matrix w = Matrix::random(rows, columns, dtype);
      for (int64_t i = 0; i < rows && turn % 2 == 0; ++i) {
        w.set(i, 0, check::pick(0, 1) == 0 ? 127.0f : -127.0f);
        for (int64_t j = 1; j < columns; ++j) w.set(i, j, 0.5f * check::pick(-127, 127));
      }
      Quantized quantized(PP_INT8, rows, columns, 0);
      on_all_settings("quantising, " + quantized.text(), [&] {
        quantized.spoil();
        const pp_quantized view = quantized.view();
        const pp_matrix from = w.view();
        CHECK_EQUAL(pp_quantize(Context(), &from, &view), PP_OK);
        CHECK(quantized.guards_intact());
        for (int64_t i = 0; i < rows; ++i) {
          float largest = 0.0f;
          for (int64_t j = 0; j < columns; ++j) largest = std::max(largest, std::abs(w(i, j)));
          CHECK(quantized.scale(i, 0) == largest / 127.0f);
          for (int64_t j = 0; j < columns; ++j) {
            CHECK_EQUAL(quantized.code(i, j), static_cast<int>(std::nearbyint(w(i, j) / (largest / 127.0f))));
          }
        }
        return std::vector<Matrix>{};
      });
    }
  }
}

TEST(zeros_stay_zeros_and_what_is_not_finite_is_seen) {
  for (const pp_quantization type : {PP_INT8, PP_NF4}) {
    Matrix w(4, 64, 64, 0), decoded(4, 64, 64, 0);
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t j = 0; j < 64; ++j) w.set(i, j, i == 0 ? 0.0f : 1.0f);
    }
    w.set(1, 9, NAN);
    w.set(2, 60, -INFINITY);
    w.set(3, 5, 1e-45f);
    Quantized quantized(type, 4, 64, 64);
    const pp_quantized view = quantized.view();
    const pp_matrix from = w.view(), to = decoded.view();
    for (int isa = PP_ISA_PORTABLE; isa <= pp_cpu_isa_supported(); ++isa) {
      pp_set_cpu_isa(static_cast<pp_isa>(isa));
      CHECK_EQUAL(pp_quantize(Context(), &from, &view), PP_OK);
      CHECK_EQUAL(pp_dequantize(Context(), &view, &to), PP_OK);
      for (int64_t j = 0; j < 64; ++j) {
        CHECK(decoded(0, j) == 0.0f);
        CHECK(!std::isfinite(decoded(1, j)));
        CHECK(!std::isfinite(decoded(2, j)));
        CHECK(j == 5 ? decoded(3, j) == 0.0f : std::abs(decoded(3, j) - 1.0f) < 1e-6f);
      }
    }
  }
}

namespace {

/** One call of each function with good arguments; a test spoils one of them. */
struct Calls : CallsInContext {
  Quantized quantized{PP_NF4, 3, 40, 64};
  pp_quantized codes = (quantized.fill(), quantized.view());
  Matrix w_matrix = Matrix::random(3, 40), bias_matrix = Matrix::random(1, 3);
  pp_matrix w = w_matrix.view(), bias = bias_matrix.view();
  pp_dtype dtype = PP_FLOAT32;
  bool names_codes = true, names_w = true, names_linear = true;
  pp_linear* linear = nullptr;
  ~Calls() { pp_linear_destroy(linear); }

  const pp_quantized* shown() const { return names_codes ? &codes : nullptr; }
  pp_status create() { return pp_linear_create_quantized(&context, shown(), &bias, dtype, names_linear ? &linear : nullptr); }
  pp_status quantize() { return pp_quantize(&context, names_w ? &w : nullptr, shown()); }
  pp_status dequantize() { return pp_dequantize(&context, shown(), names_w ? &w : nullptr); }

  std::vector<Matrix> outputs() {
    Matrix written(3, 41, 41, 0);
    for (int64_t i = 0; i < 3; ++i) {
      written.set(i, 40, linear == nullptr ? 0.0f : 1.0f);
      for (int64_t j = 0; j < 40; ++j) written.set(i, j, static_cast<float>(quantized.code(i, j)));
    }
    return {w_matrix, written};
  }
};

using Call = pp_status (Calls::*)();
const std::vector<Call> kAll{&Calls::create, &Calls::quantize, &Calls::dequantize},
    kCodes{&Calls::quantize, &Calls::dequantize};

float descending[16];

}  // namespace

TEST(bad_arguments_are_named_and_nothing_is_written) {
  for (const Call call : kAll) {
    Calls good;
    CHECK_EQUAL((good.*call)(), PP_OK);
  }
  for (int code = 0; code < 16; ++code) descending[code] = static_cast<float>(-code);
  check_refused<Calls>({
      {kAll, [](Calls& c) { c.context.device.type = static_cast<pp_device_type>(5); }, "device->type"},
      {{&Calls::create, &Calls::dequantize}, [](Calls& c) { c.names_codes = false; }, "w must not be null"},
      {{&Calls::quantize}, [](Calls& c) { c.names_codes = false; }, "to must not be null"},
      {{&Calls::quantize}, [](Calls& c) { c.names_w = false; }, "w must not be null"},
      {{&Calls::dequantize}, [](Calls& c) { c.names_w = false; }, "to must not be null"},
      {{&Calls::create}, [](Calls& c) { c.names_linear = false; }, "linear must not be null"},
      {kAll, [](Calls& c) { c.codes.type = static_cast<pp_quantization>(2); }, "->type must be 0 (int8) or 1 (NF4), got 2"},
      {kAll, [](Calls& c) { c.codes.rows = 0; }, "->rows must be at least 1, got 0"},
      {kAll, [](Calls& c) { c.codes.cols = -4; }, "->cols must be at least 1, got -4"},
      {kAll, [](Calls& c) { c.codes.rows = INT64_MAX / 2; }, "has more bytes than memory"},
      {kAll, [](Calls& c) { c.codes.codes = nullptr; }, "->codes must not be null"},
      {kAll, [](Calls& c) { c.codes.scales = nullptr; }, "->scales must not be null"},
      {kAll, [](Calls& c) { c.codes.block = 16; }, "->block must be a power of two in [32, 4096], got 16"},
      {kAll, [](Calls& c) { c.codes.block = 96; }, "->block must be a power of two in [32, 4096], got 96"},
      {kAll, [](Calls& c) { c.codes.block = 8192; }, "->block must be a power of two in [32, 4096], got 8192"},
      {{&Calls::quantize}, [](Calls& c) { c.codes.table = descending; }, "to->table must rise, got 0 at 0 and -1 at 1"},
      {{&Calls::create}, [](Calls& c) { c.dtype = static_cast<pp_dtype>(7); }, "dtype must be 0 (float32)"},
      {{&Calls::create}, [](Calls& c) { c.dtype = c.bias.dtype = PP_FLOAT16; }, "float16", PP_UNSUPPORTED},
      {{&Calls::create}, [](Calls& c) { c.dtype = PP_BFLOAT16; }, "bias must be bfloat16 [1, 3], got float32 [1, 3]"},
      {{&Calls::create}, [](Calls& c) { c.bias.cols = 2; }, "bias must be float32 [1, 3], got float32 [1, 2]"},
      {kCodes, [](Calls& c) { c.w.cols = 39; }, " must be float32 [3, 40], got float32 [3, 39]"},
      {kCodes, [](Calls& c) { c.w.data = nullptr; }, ".data must not be null"},
      {kCodes, [](Calls& c) { c.w.dtype = PP_FLOAT16; }, "float16", PP_UNSUPPORTED},
  });
  if (!has_gpu())
    check_refused<Calls>({
        {{&Calls::dequantize},
         [](Calls& c) {
           c.go_to(PP_CUDA);
           align(c.w);
           pp_matrix scales{c.codes.scales, 1, 1, 1, PP_FLOAT32};
           align(scales);
           c.codes.scales = static_cast<float*>(scales.data);
         },
         "CUDA",
         PP_NO_DEVICE},
    });
}
