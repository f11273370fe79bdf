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
#include "prunepeft/importance.h"
#include "prunepeft/linear.h"
#include "prunepeft/linear.h"

namespace {

constexpr pp_device kCpu{PP_CPU, 0, nullptr};
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

void lora(int64_t M, int64_t K, int64_t N, int64_t r, int branch_count, float p) {
  std::vector<float> x = random_floats(M * K), y = random_floats(M * N), copy(M * K);
  std::vector<std::vector<float>> a, s, da;
  std::vector<pp_lora_branch> branches;
  for (int n = 0; n < branch_count; ++n) {
    a.push_back(random_floats(r * K));
    s.push_back(random_floats(M * r));
    da.push_back(random_floats(r * K));
  }
  for (int n = 0; n < branch_count; ++n) {
    branches.push_back({a[n].data(), K, r, 1.0f, static_cast<uint32_t>(n), s[n].data(), r, da[n].data(), K});
  }
  std::vector<float> b = random_floats(N * r), db(N * r), ds(M * r);
  const pp_dropout dropout{p, 1, 2, 3, nullptr};
  const double flops = 2.0 * M * r, gemm = 2.0 * M * N * K;
  const int64_t ranks = r * branch_count;
  std::vector<char> space(std::max(
      {pp_lora_down_workspace(&kCpu, PP_FLOAT32, M, K, ranks), pp_lora_up_workspace(&kCpu, PP_FLOAT32, M, N, r),
       pp_lora_grad_up_workspace(&kCpu, PP_FLOAT32, M, N, r), pp_lora_grad_down_workspace(&kCpu, PP_FLOAT32, M, K, ranks),
       pp_lora_grad_input_workspace(&kCpu, PP_FLOAT32, M, K, ranks)}));
  char shape[80];
  std::snprintf(shape, sizeof shape, " %lld,%lld,%lld,%lld", static_cast<long long>(M), static_cast<long long>(K),
                static_cast<long long>(N), static_cast<long long>(r));
  std::string of = shape;
  if (branch_count > 1) of += " x" + std::to_string(branch_count);
  if (p > 0) of += " dropout";
  time("lora_down" + of, flops * K * branch_count, 4.0 * M * K, gemm, [&] {
    check(pp_lora_down(&kCpu, PP_FLOAT32, M, K, x.data(), K, branches.data(), branch_count, &dropout, nullptr, 0, space.data(),
                       space.size()));
  });
  if (branch_count == 1 && p == 0) {
    time("lora_down+copy" + of, flops * K, 8.0 * M * K, gemm, [&] {
      check(pp_lora_down(&kCpu, PP_FLOAT32, M, K, x.data(), K, branches.data(), 1, nullptr, copy.data(), K, space.data(),
                         space.size()));
    });
    time("lora_up" + of, flops * N, 8.0 * M * N, gemm, [&] {
      check(pp_lora_up(&kCpu, PP_FLOAT32, M, N, r, s[0].data(), r, b.data(), r, y.data(), N, 1, space.data(), space.size()));
    });
    time("lora_grad_up" + of, 2 * flops * N, 4.0 * M * N, gemm, [&] {
      check(pp_lora_grad_up(&kCpu, PP_FLOAT32, M, N, r, y.data(), N, b.data(), r, s[0].data(), r, 1.0f, ds.data(), r, db.data(),
                            r, 0, space.data(), space.size()));
    });
  }
  time("lora_grad_down" + of, flops * K * branch_count, 4.0 * M * K, gemm, [&] {
    check(pp_lora_grad_down(&kCpu, PP_FLOAT32, M, K, x.data(), K, branches.data(), branch_count, &dropout, 0, space.data(),
                            space.size()));
  });
  time("lora_grad_input" + of, flops * K * branch_count, 8.0 * M * K, gemm, [&] {
    check(pp_lora_grad_input(&kCpu, PP_FLOAT32, M, K, branches.data(), branch_count, &dropout, x.data(), K, 1, space.data(),
                             space.size()));
  });
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
  std::vector<float> x = activations(M * K), w = activations(N * K), y = activations(M * N), a = random_floats(r * K),
                     b = random_floats(N * r), s = random_floats(M * r), ds(M * r), da(r * K), db(N * r);
  pp_linear* plan;
  check(pp_linear_create(&kCpu, dtype, N, K, w.data(), K, nullptr, &plan));
  const pp_linear_branch branch{a.data(), K, b.data(), r, r, 0, N, 1.0f, 0, s.data(), r};
  const pp_dropout dropout{p, 1, 2, 3, nullptr};
  std::vector<char> space(
      std::max(pp_linear_forward_workspace(plan, M, &branch, 1), pp_linear_grad_input_workspace(plan, M, &branch, 1)));
  const double gemm = 2.0 * M * N * K, rank = 2.0 * M * r;
  const std::string of = " " + std::to_string(M) + "," + std::to_string(K) + "," + std::to_string(N) + "," + std::to_string(r) +
                         (p > 0 ? " dropout" : "") + suffix(dtype);
  const double width = static_cast<double>(pp_dtype_size(dtype));
  for (int32_t count = 0; count <= 1; ++count) {
    const std::string what = (count == 0 ? "_frozen" : "") + of;
    time("linear_forward" + what, gemm + count * rank * (K + N), width * M * (K + N), gemm, [&] {
      check(pp_linear_forward(&kCpu, plan, M, x.data(), K, &branch, count, &dropout, y.data(), N, space.data(), space.size()));
    });
    time("linear_grad_input" + what, gemm + count * rank * K, width * M * (K + N), gemm, [&] {
      check(
          pp_linear_grad_input(&kCpu, plan, M, y.data(), N, &branch, count, &dropout, x.data(), K, space.data(), space.size()));
    });
  }
  pp_linear_destroy(plan);
  if (dtype == PP_FLOAT32) return;  // lora() times them
  const pp_lora_branch down{a.data(), K, r, 1.0f, 0, s.data(), r, da.data(), K};
  space.resize(std::max(pp_lora_grad_up_workspace(&kCpu, dtype, M, N, r), pp_lora_grad_down_workspace(&kCpu, dtype, M, K, r)));
  time("linear_grad_up " + of, 2 * rank * N, width * M * N, gemm, [&] {
    check(pp_lora_grad_up(&kCpu, dtype, M, N, r, y.data(), N, b.data(), r, s.data(), r, 1.0f, ds.data(), r, db.data(), r, 0,
                          space.data(), space.size()));
  });
  time("linear_grad_down " + of, rank * K, width * M * K, gemm,
       [&] { check(pp_lora_grad_down(&kCpu, dtype, M, K, x.data(), K, &down, 1, &dropout, 0, space.data(), space.size())); });
}

void adapter(pp_dtype dtype, int64_t M, int64_t K, int64_t m, pp_activation activation, const char* name) {
  std::vector<float> v = activations(M * K), h = activations(M * K), out(M * K), z(M * m), down = random_floats(m * K),
                     up = random_floats(K * m), bias = random_floats(K + m), gradients(2 * m * K + K + m);
  const pp_adapter weights{down.data(), K, bias.data(), up.data(), m, bias.data() + m, activation};
  const pp_adapter_gradients to{gradients.data(),         K, gradients.data() + 2 * m * K,
                                gradients.data() + m * K, m, gradients.data() + 2 * m * K + m};
  std::vector<char> space(
      std::max(pp_adapter_forward_workspace(&kCpu, dtype, M, K, m), pp_adapter_backward_workspace(&kCpu, dtype, M, K, m)));
  const std::string of =
      " " + std::to_string(M) + "," + std::to_string(K) + "," + std::to_string(m) + " " + name + suffix(dtype);
  time("adapter_forward" + of, 4.0 * M * K * m, 3.0 * pp_dtype_size(dtype) * M * K, 0, [&] {
    check(pp_adapter_forward(&kCpu, dtype, M, K, m, v.data(), K, h.data(), K, &weights, z.data(), m, out.data(), K,
                             space.data(), space.size()));
  });
  time("adapter_backward" + of, 8.0 * M * K * m, 3.0 * pp_dtype_size(dtype) * M * K, 0, [&] {
    check(pp_adapter_backward(&kCpu, dtype, M, K, m, h.data(), K, v.data(), K, z.data(), m, &weights, &to, 0, out.data(), K,
                              space.data(), space.size()));
  });
}

void attention(pp_dtype dtype, int64_t B, int64_t T, int64_t heads, int64_t d) {
  const pp_attention extents{B, T, heads, d, 1.0f / std::sqrt(static_cast<float>(d)), nullptr};
  const int64_t M = B * T, hidden = heads * d;
  std::vector<float> qkv = activations(3 * M * hidden), context = activations(M * hidden), dqkv(3 * M * hidden),
                     log_sums(M * heads);
  std::vector<char> space(std::max(pp_attention_forward_workspace(&kCpu, dtype, &extents),
                                   pp_attention_backward_workspace(&kCpu, dtype, &extents)));
  const std::string of =
      " " + std::to_string(B) + "x" + std::to_string(T) + "," + std::to_string(heads) + "x" + std::to_string(d) + suffix(dtype);
  const double flops = 4.0 * M * T * hidden, bytes = static_cast<double>(pp_dtype_size(dtype)) * M * hidden;
  time("attention_forward" + of, flops, 4 * bytes, 0, [&] {
    check(pp_attention_forward(&kCpu, dtype, &extents, qkv.data(), 3 * hidden, context.data(), hidden, log_sums.data(),
                               space.data(), space.size()));
  });
  time("attention_backward" + of, 2.5 * flops, 7 * bytes, 0, [&] {
    check(pp_attention_backward(&kCpu, dtype, &extents, context.data(), hidden, qkv.data(), 3 * hidden, log_sums.data(),
                                dqkv.data(), 3 * hidden, space.data(), space.size()));
  });
}

void importance(int64_t tensors, int64_t n) {
  std::vector<float> w = random_floats(tensors * n), g = random_floats(tensors * n);
  std::vector<pp_segment> segments;
  for (int64_t i = 0; i < tensors; ++i) {
    segments.push_back({w.data() + i * n, g.data() + i * n, n, static_cast<int32_t>(i / 2), 0});
  }
  const int32_t modules = static_cast<int32_t>((tensors + 1) / 2);
  pp_importance_plan* plan;
  check(pp_importance_plan_create(&kCpu, PP_FLOAT32, segments.data(), tensors, modules, 1, &plan));
  std::vector<char> space(pp_importance_workspace(plan));
  std::vector<double> table(modules * PP_STATISTICS);
  float threshold = 0.1f;
  const std::string of = " " + std::to_string(tensors) + "x" + std::to_string(n);
  time("importance" + of, 0, 8.0 * tensors * n, 0,
       [&] { check(pp_importance(&kCpu, plan, PP_FLOAT16, &threshold, table.data(), space.data(), space.size())); });
  time("importance_quantile" + of, 0, 8.0 * tensors * n, 0,
       [&] { check(pp_importance_quantile(&kCpu, plan, 0.3, &threshold, space.data(), space.size())); });
  pp_importance_plan_destroy(plan);
}

void magnitude(int64_t M, int64_t N, int64_t r, pp_activation activation, const char* name) {
  std::vector<float> p = random_floats(M * r), q = random_floats(N * r), bias = random_floats(N);
  std::vector<char> space(pp_output_magnitude_workspace(&kCpu, PP_FLOAT32, M, N, r));
  double sum;
  const std::string of = " " + std::to_string(M) + "," + std::to_string(N) + "," + std::to_string(r) + " " + name;
  time("output_magnitude" + of, 2.0 * M * N * r, 4.0 * (M + N) * r, 0, [&] {
    check(pp_output_magnitude(&kCpu, PP_FLOAT32, M, N, r, p.data(), r, activation, q.data(), r, bias.data(), nullptr, &sum,
                              space.data(), space.size()));
  });
}

}  // namespace

int main(int argc, char** argv) {
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
  return 0;
}
