// Times of the kernels, for tuning: median and best of repeats, the best's GFLOP/s and GB/s, and the share of the base linear's
// GEMM (2MNK) at a rate that is given. Usage: bench_kernels [part of a name] [threads] [isa] [GFLOP/s of the base GEMM, default
// 200]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "prunepeft/adapter.h"
#include "prunepeft/attention.h"
#include "prunepeft/device.h"
#include "prunepeft/importance.h"
#include "prunepeft/linear.h"

namespace {

pp_context context{{PP_CPU, 0, nullptr}, nullptr};
const char* only = "";
double gemm_rate = 200;

void check(pp_status status) {
  if (status == PP_OK) return;
  std::fprintf(stderr, "%s\n", pp_last_error());
  std::exit(1);
}

std::vector<float> random_floats(int64_t n) {
  static std::mt19937 generator{1};
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(n);
  for (float& value : values) value = uniform(generator);
  return values;
}

struct Seconds {
  double median, best, cpu;
};

/** Processor seconds of all threads: on a busy machine, the figure at one thread that others' work disturbs least. */
double cpu_now() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/** Repeats a call for half a second, seven times at least. */
Seconds seconds_of(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  call();
  double total = 0, cpu = 1e9;
  while (total < 0.5 || seconds.size() < 7) {
    const auto start = Clock::now();
    const double cpu_start = cpu_now();
    call();
    cpu = std::min(cpu, cpu_now() - cpu_start);
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += seconds.back();
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), cpu};
}

/** `operations` and `bytes` are what the call cannot do without; `gemm` is the base linear's operations, 0 for none. */
void time(const std::string& name, double operations, double bytes, double gemm, const std::function<void()>& call) {
  if (std::strstr(name.c_str(), only) == nullptr) return;
  const Seconds seconds = seconds_of(call);
  std::printf("%-50s %8.3f ms (cpu %7.3f, best %7.3f: %5.1f GFLOP/s %4.1f GB/s)", name.c_str(), seconds.median * 1e3,
              seconds.cpu * 1e3, seconds.best * 1e3, operations / seconds.best * 1e-9, bytes / seconds.best * 1e-9);
  if (gemm > 0) {
    const double share = gemm_rate * 1e9 / gemm * 100;
    std::printf(" %6.2f (%5.2f) %% of the GEMM", seconds.median * share, seconds.best * share);
  }
  std::printf("\n");
  std::fflush(stdout);
}

/** A matrix of floats, or of other elements in their place. */
pp_matrix matrix(const std::vector<float>& values, int64_t rows, int64_t cols, pp_dtype dtype = PP_FLOAT32) {
  return {const_cast<float*>(values.data()), rows, cols, cols, dtype};
}

/** A module on all columns and rows, with what its matrices lie in. */
struct Module {
  std::vector<float> a, b, s, ds, da, db;
  Module(int64_t M, int64_t K, int64_t N, int64_t r)
      : a(random_floats(r * K)), b(random_floats(N * r)), s(random_floats(M * r)), ds(M * r), da(r * K), db(N * r) {}
  pp_lora_module get(int64_t M, int64_t K, int64_t N, uint32_t mask, const pp_dropout* dropout) const {
    const int64_t r = static_cast<int64_t>(a.size()) / K;
    return {matrix(a, r, K),  matrix(b, N, r), 0, 0, M, 1.0f, mask, dropout, matrix(s, M, r), matrix(ds, M, r),
            matrix(da, r, K), matrix(db, N, r)};
  }
};

void lora(int64_t M, int64_t K, int64_t N, int64_t r, int count, float p) {
  const std::vector<float> x_values = random_floats(M * K), y_values = random_floats(M * N);
  const pp_matrix x = matrix(x_values, M, K), y = matrix(y_values, M, N);
  const pp_dropout dropout{p, 1, 2, 3, nullptr};
  std::vector<Module> storage;
  std::vector<pp_lora_module> modules;
  for (int n = 0; n < count; ++n) storage.emplace_back(M, K, N, r);
  for (int n = 0; n < count; ++n) modules.push_back(storage[n].get(M, K, N, static_cast<uint32_t>(n), &dropout));
  const double flops = 2.0 * M * r, gemm = 2.0 * M * N * K;
  char shape[80];
  std::snprintf(shape, sizeof shape, " %lld,%lld,%lld,%lld", static_cast<long long>(M), static_cast<long long>(K),
                static_cast<long long>(N), static_cast<long long>(r));
  std::string of = shape;
  if (count > 1) of += " x" + std::to_string(count);
  if (p > 0) of += " dropout";
  time("lora_down" + of, flops * K * count, 4.0 * M * K, gemm,
       [&] { check(pp_lora_down(&context, &x, modules.data(), count)); });
  if (count == 1 && p == 0) {
    time("lora_up" + of, flops * N, 8.0 * M * N, gemm, [&] { check(pp_lora_up(&context, modules.data(), 1, &y, 1)); });
    time("lora_grad_up" + of, 2 * flops * N, 4.0 * M * N, gemm,
         [&] { check(pp_lora_grad_up(&context, &y, modules.data(), 1)); });
  }
  time("lora_grad_down" + of, flops * K * count, 4.0 * M * K, gemm,
       [&] { check(pp_lora_grad_down(&context, &x, modules.data(), count)); });
  time("lora_grad_input" + of, flops * K * count, 8.0 * M * K, gemm,
       [&] { check(pp_lora_grad_input(&context, modules.data(), count, &x, 1)); });
}

/** Activations of a dtype, small positive numbers: 0x3C3C3C3C is 0.0115 as float32, and so is 0x3C3C as bfloat16. */
std::vector<float> activations(int64_t n) {
  std::vector<float> values(n);
  std::memset(values.data(), 0x3C, n * sizeof(float));
  return values;
}

const char* suffix(pp_dtype dtype) {
  return dtype == PP_FLOAT32 ? "" : " bf16";
}

/** The fused linear without modules and with one on all columns: the difference is what LoRA costs there. */
void linear(pp_dtype dtype, int64_t M, int64_t K, int64_t N, int64_t r, float p) {
  const std::vector<float> x_values = activations(M * K), w_values = activations(N * K), y_values = activations(M * N);
  const pp_matrix x = matrix(x_values, M, K, dtype), w = matrix(w_values, N, K, dtype), y = matrix(y_values, M, N, dtype);
  pp_linear* plan;
  check(pp_linear_create(&context, &w, nullptr, &plan));
  const pp_dropout dropout{p, 1, 2, 3, nullptr};
  const Module storage(M, K, N, r);
  const pp_lora_module module = storage.get(M, K, N, 0, &dropout);
  const double gemm = 2.0 * M * N * K, rank = 2.0 * M * r;
  const std::string of = " " + std::to_string(M) + "," + std::to_string(K) + "," + std::to_string(N) + "," + std::to_string(r) +
                         (p > 0 ? " dropout" : "") + suffix(dtype);
  const double width = static_cast<double>(pp_dtype_size(dtype));
  for (int32_t count = 0; count <= 1; ++count) {
    const std::string what = (count == 0 ? "_frozen" : "") + of;
    time("linear_forward" + what, gemm + count * rank * (K + N), width * M * (K + N), gemm,
         [&] { check(pp_linear_forward(&context, plan, &x, &module, count, &y)); });
    time("linear_grad_input" + what, gemm + count * rank * K, width * M * (K + N), gemm,
         [&] { check(pp_linear_grad_input(&context, plan, &y, &module, count, &x)); });
  }
  pp_linear_destroy(plan);
  if (dtype == PP_FLOAT32) return;  // lora() times them
  time("linear_grad_up " + of, 2 * rank * N, width * M * N, gemm, [&] { check(pp_lora_grad_up(&context, &y, &module, 1)); });
  time("linear_grad_down " + of, rank * K, width * M * K, gemm, [&] { check(pp_lora_grad_down(&context, &x, &module, 1)); });
}

void adapter(pp_dtype dtype, int64_t M, int64_t K, int64_t m, pp_activation activation, const char* name) {
  const std::vector<float> v_values = activations(M * K), h_values = activations(M * K), out_values(M * K), z_values(M * m),
                           down = random_floats(m * K), up = random_floats(K * m), down_bias = random_floats(m),
                           up_bias = random_floats(K), d_down(m * K), d_up(K * m), d_down_bias(m), d_up_bias(K);
  const pp_matrix v = matrix(v_values, M, K, dtype), h = matrix(h_values, M, K, dtype), out = matrix(out_values, M, K, dtype),
                  z = matrix(z_values, M, m);
  const pp_adapter weights{matrix(down, m, K), matrix(down_bias, 1, m), matrix(up, K, m), matrix(up_bias, 1, K), activation};
  const pp_adapter_gradients to{matrix(d_down, m, K), matrix(d_down_bias, 1, m), matrix(d_up, K, m), matrix(d_up_bias, 1, K)};
  const std::string of =
      " " + std::to_string(M) + "," + std::to_string(K) + "," + std::to_string(m) + " " + name + suffix(dtype);
  const double bytes = 3.0 * static_cast<double>(pp_dtype_size(dtype)) * M * K;
  time("adapter_forward" + of, 4.0 * M * K * m, bytes, 0,
       [&] { check(pp_adapter_forward(&context, &v, &h, &weights, &z, &out)); });
  time("adapter_backward" + of, 8.0 * M * K * m, bytes, 0,
       [&] { check(pp_adapter_backward(&context, &h, &v, &z, &weights, &to, &out)); });
}

void attention(pp_dtype dtype, int64_t B, int64_t T, int64_t heads, int64_t d) {
  const pp_attention extents{B, T, heads, d, 1.0f / std::sqrt(static_cast<float>(d)), nullptr};
  const int64_t M = B * T, hidden = heads * d;
  const std::vector<float> qkv_values = activations(3 * M * hidden), values_values = activations(M * hidden),
                           dqkv_values(3 * M * hidden);
  std::vector<float> log_sums(M * heads);
  const pp_matrix qkv = matrix(qkv_values, M, 3 * hidden, dtype), values = matrix(values_values, M, hidden, dtype),
                  dqkv = matrix(dqkv_values, M, 3 * hidden, dtype);
  const std::string of =
      " " + std::to_string(B) + "x" + std::to_string(T) + "," + std::to_string(heads) + "x" + std::to_string(d) + suffix(dtype);
  const double flops = 4.0 * M * T * hidden, bytes = static_cast<double>(pp_dtype_size(dtype)) * M * hidden;
  time("attention_forward" + of, flops, 4 * bytes, 0,
       [&] { check(pp_attention_forward(&context, &extents, &qkv, &values, log_sums.data())); });
  time("attention_backward" + of, 2.5 * flops, 7 * bytes, 0,
       [&] { check(pp_attention_backward(&context, &extents, &values, &qkv, log_sums.data(), &dqkv)); });
}

void importance(int64_t tensors, int64_t n) {
  std::vector<float> w = random_floats(tensors * n), g = random_floats(tensors * n);
  std::vector<pp_segment> segments;
  for (int64_t i = 0; i < tensors; ++i) {
    segments.push_back({w.data() + i * n, g.data() + i * n, n, static_cast<int32_t>(i / 2), 0});
  }
  const int32_t modules = static_cast<int32_t>((tensors + 1) / 2);
  pp_importance_plan* plan;
  check(pp_importance_plan_create(&context, PP_FLOAT32, segments.data(), tensors, modules, 1, &plan));
  std::vector<double> table(modules * PP_STATISTICS);
  float threshold = 0.1f;
  const std::string of = " " + std::to_string(tensors) + "x" + std::to_string(n);
  time("importance" + of, 0, 8.0 * tensors * n, 0,
       [&] { check(pp_importance(&context, plan, PP_FLOAT16, &threshold, table.data())); });
  time("importance_quantile" + of, 0, 8.0 * tensors * n, 0,
       [&] { check(pp_importance_quantile(&context, plan, 0.3, &threshold)); });
  pp_importance_plan_destroy(plan);
}

void magnitude(int64_t M, int64_t N, int64_t r, pp_activation activation, const char* name) {
  const std::vector<float> p_values = random_floats(M * r), q_values = random_floats(N * r), bias_values = random_floats(N);
  const pp_matrix p = matrix(p_values, M, r), q = matrix(q_values, N, r), bias = matrix(bias_values, 1, N);
  double sum;
  const std::string of = " " + std::to_string(M) + "," + std::to_string(N) + "," + std::to_string(r) + " " + name;
  time("output_magnitude" + of, 2.0 * M * N * r, 4.0 * (M + N) * r, 0,
       [&] { check(pp_output_magnitude(&context, &p, activation, &q, &bias, nullptr, &sum)); });
}

}  // namespace

int main(int argc, char** argv) {
  check(pp_workspace_create(&context.device, &context.workspace));
  if (argc > 1) only = argv[1];
  if (argc > 2) check(pp_set_num_threads(std::atoi(argv[2])));
  if (argc > 3) check(pp_set_cpu_isa(static_cast<pp_isa>(std::atoi(argv[3]))));
  if (argc > 4) gemm_rate = std::atof(argv[4]);
  std::printf("%d threads, %s\n", pp_num_threads(), pp_isa_name(pp_cpu_isa()));
  lora(4096, 1024, 1024, 32, 1, 0);
  lora(4096, 1024, 1024, 32, 1, 0.1f);
  lora(4096, 1024, 1024, 32, 2, 0);
  lora(4096, 1024, 1024, 8, 1, 0);
  lora(2048, 384, 384, 32, 1, 0);
  lora(2048, 384, 384, 32, 2, 0.1f);
  lora(640, 384, 384, 32, 1, 0);
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    linear(dtype, 4096, 1024, 1024, 32, 0);
    linear(dtype, 4096, 1024, 1024, 32, 0.1f);
    linear(dtype, 2048, 384, 384, 32, 0);
    linear(dtype, 2048, 384, 384, 32, 0.1f);
    linear(dtype, 4096, 384, 1536, 32, 0);
    linear(dtype, 4096, 1536, 384, 32, 0);
    adapter(dtype, 4096, 384, 128, PP_GELU, "gelu");
    adapter(dtype, 4096, 384, 128, PP_RELU, "relu");
    adapter(dtype, 640, 384, 64, PP_RELU, "relu");
    attention(dtype, 32, 128, 12, 32);
    attention(dtype, 32, 20, 12, 32);
    attention(dtype, 8, 512, 12, 64);
  }
  importance(448, 89286);
  importance(96, 32768);
  importance(48, 12288);
  magnitude(2048, 384, 32, PP_IDENTITY, "identity");
  magnitude(2048, 384, 128, PP_GELU, "gelu");
  pp_workspace_destroy(context.workspace);
  return 0;
}
