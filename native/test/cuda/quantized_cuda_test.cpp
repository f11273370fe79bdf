// Quantised weights on CUDA buffers: decoded, against the values of their codes; and linears of them, which must give the bits
// of linears of the decoded W.
#include "linear/cuda/path.h"
#include "linear_operands.h"

using namespace device_test;
using prunepeft::cuda::ForcedLinearPath;
using prunepeft::cuda::LinearPath;

namespace {
constexpr float kTable[16] = {-1.0f,  -0.7f, -0.5f, -0.375f, -0.25f, -0.2f, -0.1f, 0.0f,
                              0.125f, 0.15f, 0.25f, 0.3f,    0.45f,  0.6f,  0.7f,  1.0f};

/** Codes and scales in device memory, at an offset in bytes and in floats. */
struct Codes {
  const pp_quantization type;
  const int64_t rows, columns, block;
  std::vector<uint8_t> codes;
  std::vector<float> scales;

  Codes(pp_quantization type, int64_t rows, int64_t columns, int64_t block, size_t offset)
      : type(type),
        rows(rows),
        columns(columns),
        block(block),
        codes(type == PP_INT8 ? rows * columns : (rows * columns + 1) / 2),
        scales(type == PP_INT8 ? rows : (rows * columns + block - 1) / block) {
    for (uint8_t& code : codes) code = static_cast<uint8_t>(random_bits());
    std::normal_distribution<float> normal;
    for (float& scale : scales) scale = normal(random_bits) * (type == PP_INT8 ? 0.005f : 0.5f);
    codes_ = upload(codes.data(), codes.size(), offset);
    scales_ = upload(scales.data(), scales.size() * sizeof(float), offset * sizeof(float));
  }
  ~Codes() {
    for (void* memory : memory_) cudaFree(memory);
  }
  Codes(const Codes&) = delete;

  pp_quantized view() const { return {type, rows, columns, codes_, static_cast<float*>(scales_), kTable, block}; }
  float operator()(int64_t i, int64_t j) const {
    const int64_t element = i * columns + j;
    if (type == PP_INT8) return static_cast<float>(static_cast<int8_t>(codes[element])) * scales[i];
    return kTable[codes[element / 2] >> (element % 2 == 0 ? 4 : 0) & 15] * scales[element / block];
  }

 private:
  void* upload(const void* from, size_t bytes, size_t offset) {
    void* memory = nullptr;
    check_cuda(cudaMalloc(&memory, bytes + offset));
    memory_.push_back(memory);
    void* const to = static_cast<char*>(memory) + offset;
    check_cuda(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
    return to;
  }
  std::vector<void*> memory_;
  void *codes_ = nullptr, *scales_ = nullptr;
};

struct Extents {
  pp_quantization type;
  int64_t rows, columns, block;
  size_t offset;
  Placement placement;
};

const Extents kExtents[] = {
    {PP_NF4, 1, 1, 64, 0, {}},       {PP_NF4, 3, 64, 64, 0, {}},      {PP_NF4, 40, 72, 32, 0, {0, 8}},
    {PP_NF4, 33, 67, 64, 1, {1, 2}}, {PP_NF4, 9, 520, 128, 3, {}},    {PP_NF4, 70, 129, 4096, 0, {3, 7}},
    {PP_INT8, 1, 1, 0, 0, {}},       {PP_INT8, 40, 72, 0, 5, {0, 8}}, {PP_INT8, 33, 67, 0, 0, {1, 2}},
};

void test_decoding(pp_dtype dtype, const Extents& e) {
  const std::string text = std::string("decoding, ") + name(dtype) + ", " + std::to_string(e.rows) + " x " +
                           std::to_string(e.columns) + ", block " + std::to_string(e.block);
  run_case(text, [&] {
    const Codes codes(e.type, e.rows, e.columns, e.block, e.offset);
    Matrix to(dtype, e.rows, e.columns, e.placement, Content::kUnwritten),
        expected(dtype, e.rows, e.columns, {}, Content::kRandom);
    const pp_quantized from = codes.view();
    const pp_matrix view = to.view();
    const Context context;
    expect_ok(pp_dequantize(context, &from, &view));
    to.download();
    for (int64_t i = 0; i < e.rows; i++)
      for (int64_t j = 0; j < e.columns; j++) {
        expected.set(i, j, codes(i, j));
        if (to(i, j) != expected(i, j)) return report("(%d, %d) is %g", int(i), int(j), to(i, j)), to.bytes();
      }
    return to.bytes();
  });
}

/** The same call with a W of codes and with its values, in rows at multiples of 16 bytes. */
void test_call(Call call, pp_dtype dtype, pp_quantization type, int64_t block, size_t offset, const Case& c) {
  const std::string of = type == PP_INT8 ? "int8" : "NF4, block " + std::to_string(block);
  run_case(of + " at " + std::to_string(offset) + ", " + describe(call, dtype, c), [&] {
    Operands o(dtype, c, call);
    const Codes codes(type, c.N, c.K, block, offset);
    const pp_quantized view = codes.view();
    const pp_matrix w = o.w.view(), bias = o.bias.view();
    const Context context;
    expect_ok(pp_dequantize(context, &view, &w));
    o.w.download();
    const Expected expected = o.expected();
    o.run(context);
    const std::vector<unsigned char> of_values = o.read();
    pp_linear_destroy(o.linear);
    o.linear = nullptr;
    expect_ok(pp_linear_create_quantized(context, &view, c.bias ? &bias : nullptr, dtype, &o.linear));
    o.run(context);
    const std::vector<unsigned char> of_codes = o.read();
    o.expect_all_close(expected);
    expect(of_codes == of_values, "a W of codes gives other bits than its values");
    const ForcedLinearPath decoded_before(prunepeft::cuda::kChosenWithoutCodes);
    o.run(context);
    expect(o.read() == of_values, "decoded before its product W gives other bits");
    return of_codes;
  });
}

/** Columns beyond a multiple of 8 are padded, so that both W lie alike. */
Case aligned(int64_t M, int64_t K, int64_t N, const std::vector<ModuleCase>& modules, bool bias) {
  return {M, K, N, modules, {0, (8 - K % 8) % 8}, {}, bias};
}

/** Tiles that decode W take no memory for it, other calls do. */
void test_memory() {
  current_case = "memory";
  const auto forward = [](pp_dtype dtype, int64_t M, int64_t K, size_t offset, pp_quantization type) {
    const Codes codes(type, 40, K, 64, offset);
    const pp_quantized view = codes.view();
    const pp_context context = {kDevice, nullptr};
    pp_linear* linear = nullptr;
    expect_ok(pp_linear_create_quantized(&context, &view, nullptr, dtype, &linear));
    const Matrix x(dtype, M, K, {}, Content::kRandom);
    Matrix y(dtype, M, 40, {}, Content::kUnwritten);
    const pp_matrix from = x.view(), to = y.view();
    const pp_status status = pp_linear_forward(&context, linear, &from, nullptr, 0, &to);
    pp_linear_destroy(linear);
    return status;
  };
  for (const pp_dtype dtype : {PP_FLOAT16, PP_BFLOAT16}) {
    expect_ok(forward(dtype, 192, 64, 0, PP_NF4));
    expect_ok(forward(dtype, 1, 32, 16, PP_NF4));
    expect_ok(forward(dtype, 1, 48, 0, PP_INT8));
    expect(forward(dtype, 193, 64, 0, PP_NF4) == PP_INVALID_ARGUMENT, "more rows are decoded before");
    expect(forward(dtype, 1, 48, 0, PP_NF4) == PP_INVALID_ARGUMENT, "rows of other lengths are decoded before");
    expect(forward(dtype, 1, 64, 8, PP_INT8) == PP_INVALID_ARGUMENT, "codes elsewhere are decoded before");
  }
  expect(forward(PP_FLOAT32, 1, 64, 0, PP_NF4) == PP_INVALID_ARGUMENT, "float32 is decoded before");
}

void test_refused() {
  current_case = "refused";
  const Codes codes(PP_NF4, 8, 64, 64, 0);
  const Context context;
  pp_quantized view = codes.view();
  Matrix w(PP_FLOAT32, 8, 64, {}, Content::kRandom);
  const pp_matrix given = w.view();
  expect(pp_quantize(context, &given, &view) == PP_UNSUPPORTED, "quantising is for the CPU");
  view.scales = reinterpret_cast<float*>(reinterpret_cast<char*>(view.scales) + 2);
  pp_linear* linear = nullptr;
  expect(pp_linear_create_quantized(context, &view, nullptr, PP_BFLOAT16, &linear) == PP_INVALID_ARGUMENT,
         "scales must be aligned");
  expect(pp_dequantize(context, &view, &given) == PP_INVALID_ARGUMENT, "scales must be aligned");
}
}  // namespace

int main() {
  for (const Extents& e : kExtents)
    for (const pp_dtype dtype : kDtypes)
      if (drawn_case()) test_decoding(dtype, e);
  const Case kCases[] = {
      aligned(1, 1, 1, {}, true),
      aligned(67, 72, 56, {{8, 0, 56, 0, 67, 0.1f}}, true),
      aligned(65, 33, 70, {{3, 5, 20, 0, 65, 0.25f}, {19, 9, 61, 0, 65, 0.25f}}, false),
      aligned(130, 128, 136, {{16, 0, 136, 0, 130, 0}}, true),
      aligned(60, 72, 56, {{8, 0, 56, 0, 60, 0.1f, 0}, {5, 3, 40, 0, 60, 0.5f, 1}}, true),  // that drop differently
      aligned(75, 64, 80, {{8, 0, 80, 0, 30, 0}, {19, 0, 80, 35, 40, 0}}, true),            // on rows of their own
  };
  // In the tiles: with more steps than a ring has, with parts of steps, and where x and S are not aligned.
  const Case kInTiles[] = {
      aligned(5, 288, 300, {{8, 0, 300, 0, 5, 0.1f}, {40, 7, 90, 0, 5, 0.1f}}, true),
      {66, 96, 70, {{3, 5, 20, 0, 66, 0}}, {1, 3}, {1, 2}, true},
      aligned(9, 48, 33, {}, false),
  };
  const auto test_all = [&](const std::vector<pp_dtype>& dtypes) {
    const auto test_calls = [&](pp_dtype dtype, int64_t block, size_t offset, const Case& c) {
      for (const Call call : {Call::kForward, Call::kLinearGradInput}) {
        if (drawn_case()) test_call(call, dtype, PP_NF4, block, offset, c);
        if (drawn_case()) test_call(call, dtype, PP_INT8, 0, offset, c);
      }
    };
    for (const pp_dtype dtype : dtypes) {
      for (const Case& c : kCases) test_calls(dtype, 64, 0, c);
      if (dtype == PP_FLOAT32) continue;
      for (const Case& c : kInTiles) test_calls(dtype, 32, 0, c);
      test_calls(dtype, 4096, 32, kInTiles[0]);
      test_calls(dtype, 64, 1, kInTiles[1]);
    }
  };
  test_all({PP_FLOAT32, PP_FLOAT16, PP_BFLOAT16});
  if (drawn_case()) test_memory();
  if (drawn_case()) test_refused();
#if defined(PRUNEPEFT_EMULATED)
  simt::set_compute_major(9);
  test_all({PP_BFLOAT16});
#endif
  return finish();
}
