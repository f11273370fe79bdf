// Calls while others change how many threads they use and which instruction set: another thread all the time, and their own
// where they take memory, between what they measure and what they compute.
#include <array>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "buffers.h"
#include "prunepeft/encoder.h"

namespace {

/** What changes settings; on a thread where it is set, each allocation calls it. */
using Change = void (*)();
thread_local Change at_allocation = nullptr;

}  // namespace

extern "C" __attribute__((visibility("default"))) void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  if (at_allocation != nullptr) at_allocation();
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, bytes) == 0 ? memory : nullptr;
}

namespace {

/** A caller's operands, of extents for which a call has several threads, and its calls. */
class Caller {
 public:
  static constexpr int64_t B = 4, T = 32, kHeads = 4, d = 16, M = B * T, K = kHeads * d, N = 3 * K, r = 8, kBlock = 64;
  static constexpr int kCalls = 10;

  explicit Caller(pp_dtype dtype)
      : w_(Matrix::random(N, K, dtype)),
        square_(Matrix::random(K, K, dtype)),
        x_(Matrix::random(M, K, dtype)),
        dy_(Matrix::random(M, N, dtype)),
        dvalues_(Matrix::random(M, K, dtype)),
        qkv_(Matrix::random(M, N, dtype)),
        single_(Matrix::random(M, K)),
        a_(Matrix::random(r, K)),
        b_(Matrix::random(N, r)),
        norm_(Matrix::random(1, K)),
        y_(Matrix::empty(M, N, dtype)),
        dx_(Matrix::empty(M, K, dtype)),
        values_(Matrix::empty(M, K, dtype)),
        layer_out_(Matrix::empty(M, K, dtype)),
        dqkv_(Matrix::empty(M, N, dtype)),
        s_(Matrix::empty(M, r)),
        ds_(Matrix::random(M, r)),
        log_sums_(B * kHeads, T, T, 0) {
    const pp_matrix w = w_.view(), square = square_.view();
    const pp_quantized codes{PP_NF4, N, K, codes_.data(), scales_.data(), nullptr, kBlock};
    const Context context;
    CHECK_EQUAL(pp_linear_create(context, &w, nullptr, &packed_), PP_OK);
    CHECK_EQUAL(pp_linear_borrow(context, &w, nullptr, &borrowed_), PP_OK);
    CHECK_EQUAL(pp_linear_borrow(context, &square, nullptr, &borrowed_square_), PP_OK);
    CHECK_EQUAL(pp_quantize(context, &w, &codes), PP_OK);
    CHECK_EQUAL(pp_linear_create_quantized(context, &codes, nullptr, dtype, &quantized_), PP_OK);
  }
  ~Caller() {
    for (pp_linear* linear : {packed_, borrowed_, borrowed_square_, quantized_}) CHECK_EQUAL(pp_linear_destroy(linear), PP_OK);
  }
  Caller(const Caller&) = delete;

  /** One of the calls, with a workspace of its own; false where it fails or writes beside its workspace. */
  bool call(int number) {
    pp_context context{kCpu, nullptr};
    if (pp_workspace_create(&kCpu, &context.workspace) != PP_OK) return false;
    const bool intact = run(number, context) == PP_OK && pp_internal_workspace_intact(context.workspace) == 1;
    return pp_workspace_destroy(context.workspace) == PP_OK && intact;
  }

  /** What the call writes. */
  std::vector<Matrix> written(int number) const {
    if (number < 3) return {y_, s_};
    if (number < 6) return {dx_};
    if (number == 6) return {values_, log_sums_};
    if (number == 7) return {dqkv_};
    if (number == 9) return {s_};
    return {layer_out_};
  }

 private:
  pp_status run(int number, const pp_context& context) {
    const pp_linear* const linear = std::array<const pp_linear*, 3>{packed_, borrowed_, quantized_}[number % 3];
    const pp_attention attention{B, T, kHeads, d, 0.25f, nullptr, 0, nullptr, 0, 0.0f, 1};
    const pp_matrix x = x_.view(), dy = dy_.view(), dvalues = dvalues_.view(), qkv = qkv_.view(), y = y_.view(),
                    dx = dx_.view(), values = values_.view(), dqkv = dqkv_.view(), layer_out = layer_out_.view();
    pp_lora_module module{};
    module.a = a_.view();
    module.b = b_.view();
    module.s = s_.view();
    module.ds = ds_.view();
    module.rows = M;
    module.scale = 0.5f;
    if (number < 3) return pp_linear_forward(&context, linear, &x, &module, 1, &y);
    if (number < 6) return pp_linear_grad_input(&context, linear, &dy, &module, 1, &dx);
    if (number == 6) return pp_attention_forward(&context, &attention, &qkv, &values, log_sums_.data());
    if (number == 7) return pp_attention_backward(&context, &attention, &dvalues, &qkv, log_sums_.data(), &dqkv);
    if (number == 9) {
      // Two runs of rows, which are computed one after the other; in float32 alone.
      pp_lora_module halves[] = {module, module};
      for (int half = 0; half < 2; ++half) {
        halves[half].first_row = half * M / 2;
        halves[half].rows = M / 2;
      }
      const pp_matrix single = single_.view();
      return pp_lora_down(&context, &single, halves, 2);
    }
    const pp_layer_block block{{borrowed_square_, nullptr, 0}, nullptr, 0, {norm_.view(), norm_.view(), 1e-5f}};
    const pp_encoder_layer layer{attention, {quantized_, &module, 1}, block, {borrowed_square_, nullptr, 0}, PP_GELU, block};
    return pp_encoder_layer_forward(&context, &layer, &x, &layer_out);
  }

  std::vector<uint8_t> codes_ = std::vector<uint8_t>(N * K / 2);
  std::vector<float> scales_ = std::vector<float>(N * K / kBlock);
  Matrix w_, square_, x_, dy_, dvalues_, qkv_, single_, a_, b_, norm_, y_, dx_, values_, layer_out_, dqkv_, s_, ds_, log_sums_;
  pp_linear *packed_ = nullptr, *borrowed_ = nullptr, *borrowed_square_ = nullptr, *quantized_ = nullptr;
};

std::atomic<int> turn{0};

void calls_while_settings_change(pp_dtype dtype, Change change) {
  constexpr int kCallers = 3;
  const int rounds = check::draws_cases() ? 4 : 40;
  const int32_t threads_before = pp_num_threads();
  std::vector<std::unique_ptr<Caller>> callers;
  // By caller and call: what each instruction set makes of it, on one thread.
  std::vector<std::vector<std::vector<Matrix>>> expected(kCallers * Caller::kCalls);
  pp_set_num_threads(1);
  for (int i = 0; i < kCallers; ++i) {
    callers.push_back(std::make_unique<Caller>(dtype));
    for (int number = 0; number < Caller::kCalls; ++number) {
      // The backward pass of attention is that of sums which another instruction set made: the last to run is the widest.
      for (int isa = PP_ISA_PORTABLE; isa <= pp_cpu_isa_supported(); ++isa) {
        pp_set_cpu_isa(static_cast<pp_isa>(isa));
        CHECK(callers[i]->call(number));
        expected[i * Caller::kCalls + number].push_back(callers[i]->written(number));
      }
    }
  }
  std::atomic<int64_t> failed{0}, differ{0};
  std::atomic<int> running{kCallers};
  std::vector<std::thread> threads;
  for (int i = 0; i < kCallers; ++i) {
    threads.emplace_back([&, i] {
      at_allocation = change;
      for (int round = 0; round < rounds; ++round) {
        for (int number = 0; number < Caller::kCalls; ++number) {
          if (number == 6) continue;  // its sums are another call's operand
          if (!callers[i]->call(number)) ++failed;
          const auto& any = expected[i * Caller::kCalls + number];
          if (std::find(any.begin(), any.end(), callers[i]->written(number)) == any.end()) ++differ;
        }
      }
      for (int round = 0; round < rounds; ++round) {
        if (!callers[i]->call(6)) ++failed;
        const auto& any = expected[i * Caller::kCalls + 6];
        if (std::find(any.begin(), any.end(), callers[i]->written(6)) == any.end()) ++differ;
      }
      --running;
    });
  }
  while (running > 0) change();
  for (std::thread& thread : threads) thread.join();
  CHECK_EQUAL(failed.load(), 0);
  CHECK_EQUAL(differ.load(), 0);
  pp_set_num_threads(threads_before);
  pp_set_cpu_isa(pp_cpu_isa_supported());
}

}  // namespace

TEST(calls_keep_their_number_of_threads) {
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    calls_while_settings_change(dtype, [] { pp_set_num_threads(static_cast<int32_t>(++turn % 8U + 1)); });
  }
}

TEST(calls_keep_their_instruction_set) {
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    calls_while_settings_change(dtype, [] { pp_set_cpu_isa(static_cast<pp_isa>(++turn % (pp_cpu_isa_supported() + 1U))); });
  }
}
