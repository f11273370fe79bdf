// Recorded work on CUDA streams: launches give the bits of direct calls, a spoilt recording leaves a stream that works.
#include "prunepeft/graph.h"

#include <algorithm>

#include "device_test.h"
#include "prunepeft/linear.h"

using namespace device_test;

namespace {
constexpr int64_t kM = 70, kK = 72, kN = 40, kRank = 8;

/** Its own stream, freed with it. */
struct Stream {
  pp_device device = kDevice;
  Stream() { expect_ok(pp_stream_create(&kDevice, &device.stream)); }
  ~Stream() { expect_ok(pp_stream_destroy(&device)); }
  Stream(const Stream&) = delete;
};

/** S = x Aᵀ, then y += S Bᵀ. */
struct Lora {
  Matrix x{PP_FLOAT32, kM, kK, {}, Content::kRandom}, a{PP_FLOAT32, kRank, kK, {}, Content::kRandom},
      b{PP_FLOAT32, kN, kRank, {}, Content::kRandom}, s{PP_FLOAT32, kM, kRank, {}, Content::kUnwritten},
      y{PP_FLOAT32, kM, kN, {}, Content::kRandom};
  Workspace workspace{std::max(pp_lora_down_workspace(&kDevice, PP_FLOAT32, kM, kK, kRank),
                               pp_lora_up_workspace(&kDevice, PP_FLOAT32, kM, kN, kRank))};

  void run(const pp_device& device, const pp_dropout* dropout = nullptr) {
    const pp_lora_branch branch = {a.data(), a.ld(), kRank, 1, 0, s.data(), s.ld(), nullptr, 0};
    expect_ok(pp_lora_down(&device, PP_FLOAT32, kM, kK, x.data(), x.ld(), &branch, 1, dropout, nullptr, 0, workspace.data(),
                           workspace.bytes()));
    expect_ok(pp_lora_up(&device, PP_FLOAT32, kM, kN, kRank, s.data(), s.ld(), b.data(), b.ld(), y.data(), y.ld(), 1,
                         workspace.data(), workspace.bytes()));
  }
  std::vector<unsigned char> result(const pp_device& device) {
    expect_ok(pp_synchronize(&device));
    y.download();
    std::vector<unsigned char> bytes;
    append(&bytes, y);
    return bytes;
  }
};

pp_graph* record(const pp_device& device, Lora* lora) {
  pp_graph* graph = nullptr;
  expect_ok(pp_graph_begin(&device));
  lora->run(device);
  expect_ok(pp_graph_end(&device, &graph));
  return graph;
}

void test_launches_do_what_direct_calls_do() {
  current_case = "launches";
  Stream stream;
  Lora lora;
  const auto before = lora.result(stream.device);
  pp_graph* const graph = record(stream.device, &lora);
  expect(lora.result(stream.device) == before, "recording has carried the calls out");
  expect_ok(pp_graph_launch(&stream.device, graph));
  expect_ok(pp_graph_launch(&kDevice, graph));  // the default stream can launch, though not record
  const auto launched = lora.result(stream.device);
  expect(launched != before, "a launch has done nothing");
  // Another x in the same place, from the y of before.
  Lora direct;
  for (int64_t i = 0; i < kM; i++) {
    for (int64_t k = 0; k < kK; k++) {
      lora.x.set(i, k, static_cast<float>(-0.5 * direct.x(i, k)));
      direct.x.set(i, k, static_cast<float>(lora.x(i, k)));
    }
    for (int64_t n = 0; n < kN; n++) lora.y.set(i, n, static_cast<float>(direct.y(i, n)));
  }
  for (int64_t n = 0; n < kN; n++)
    for (int64_t r = 0; r < kRank; r++) lora.b.set(n, r, static_cast<float>(direct.b(n, r)));
  for (int64_t r = 0; r < kRank; r++)
    for (int64_t k = 0; k < kK; k++) lora.a.set(r, k, static_cast<float>(direct.a(r, k)));
  for (Matrix* matrix : {&lora.x, &lora.y, &lora.a, &lora.b, &direct.x}) matrix->upload();
  expect_ok(pp_graph_launch(&stream.device, graph));
  direct.run(kDevice);
  expect(lora.result(stream.device) == direct.result(kDevice), "a launch gives other bits than a direct call");
  pp_graph_destroy(graph);
  emulator_fault();
}

/** Forward and backward pass under dropout: S, y, dS, dB, dA, dX. */
struct Step {
  Lora lora;
  Matrix dy{PP_FLOAT32, kM, kN, {}, Content::kRandom}, ds{PP_FLOAT32, kM, kRank, {}, Content::kUnwritten},
      db{PP_FLOAT32, kN, kRank, {}, Content::kUnwritten}, da{PP_FLOAT32, kRank, kK, {}, Content::kUnwritten},
      dx{PP_FLOAT32, kM, kK, {}, Content::kRandom};
  Workspace workspace{std::max(pp_lora_grad_up_workspace(&kDevice, PP_FLOAT32, kM, kN, kRank),
                               pp_lora_grad_down_workspace(&kDevice, PP_FLOAT32, kM, kK, kRank))};

  void run(const pp_device& device, const pp_dropout& dropout) {
    lora.run(device, &dropout);
    const Matrix &s = lora.s, &b = lora.b, &x = lora.x;
    expect_ok(pp_lora_grad_up(&device, PP_FLOAT32, kM, kN, kRank, dy.data(), dy.ld(), b.data(), b.ld(), s.data(), s.ld(), 1,
                              ds.data(), ds.ld(), db.data<float>(), db.ld(), 0, workspace.data(), workspace.bytes()));
    const pp_lora_branch branch = {lora.a.data(), lora.a.ld(), kRank, 1, 0, ds.data(), ds.ld(), da.data<float>(), da.ld()};
    expect_ok(pp_lora_grad_down(&device, PP_FLOAT32, kM, kK, x.data(), x.ld(), &branch, 1, &dropout, 0, workspace.data(),
                                workspace.bytes()));
    expect_ok(pp_lora_grad_input(&device, PP_FLOAT32, kM, kK, &branch, 1, &dropout, dx.data(), dx.ld(), 1, nullptr, 0));
  }
  std::vector<unsigned char> result(const pp_device& device) {
    std::vector<unsigned char> bytes = lora.result(device);
    for (Matrix* matrix : {&lora.s, &ds, &db, &da, &dx}) {
      matrix->download();
      append(&bytes, *matrix);
    }
    return bytes;
  }
};

void test_a_launch_draws_the_mask_of_the_step_in_memory() {
  current_case = "dropout's step in memory";
  Stream stream;
  const auto random_state = random_bits;
  Step launched;
  random_bits = random_state;
  Step direct;
  const pp_dropout dropout = {0.3f, 0, 0, 99, nullptr};
  void* counter = nullptr;
  check_cuda(cudaMalloc(&counter, 2 * sizeof(uint32_t)));
  pp_graph* graph = nullptr;
  expect_ok(pp_graph_begin(&stream.device));
  launched.run(stream.device, GivenDropout::counted(dropout, static_cast<uint32_t*>(counter)));
  expect_ok(pp_graph_end(&stream.device, &graph));
  std::vector<unsigned char> s_before;
  for (const uint32_t turn : {0u, 1u, 2u, 3u}) {
    const uint32_t at[] = {turn / 2, turn % 2};  // each of the two moves on once without the other
    check_cuda(cudaMemcpy(counter, at, sizeof at, cudaMemcpyHostToDevice));
    expect_ok(pp_graph_launch(&stream.device, graph));
    pp_dropout named = dropout;
    named.step = at[0];
    named.micro_batch = at[1];
    direct.run(kDevice, named);
    expect(launched.result(stream.device) == direct.result(kDevice), "a launch gives other bits than the step by value");
    expect(direct.lora.s.bytes() != s_before, "another step or micro-batch draws the same mask");
    s_before = direct.lora.s.bytes();
  }
  pp_graph_destroy(graph);
  cudaFree(counter);
  emulator_fault();
}

void test_a_spoilt_recording_leaves_a_stream_that_works() {
  current_case = "a spoilt recording";
  Stream stream;
  Lora lora;
  expect_ok(pp_graph_begin(&stream.device));
  void* memory = nullptr;
  expect(pp_allocate(&stream.device, 64, &memory) == PP_DEVICE_ERROR, "memory was allocated while a graph was recorded");
  pp_graph* graph = nullptr;
  expect(pp_graph_end(&stream.device, &graph) == PP_DEVICE_ERROR && graph == nullptr, "a spoilt recording was taken");
  expect(strstr(pp_last_error(), "recording a graph: ") != nullptr, pp_last_error());
  expect(pp_graph_end(&stream.device, &graph) == PP_DEVICE_ERROR, "a recording ended that was not begun");
  graph = record(stream.device, &lora);
  expect_ok(pp_graph_launch(&stream.device, graph));
  expect_ok(pp_synchronize(&stream.device));
  pp_graph_destroy(graph);
  emulator_fault();
}

void test_what_cannot_record_is_named() {
  current_case = "refusals";
  const pp_device cpu = {PP_CPU, 0, nullptr};
  const auto refuses = [](pp_status status, pp_status expected, const char* text) {
    expect(status == expected, "another status");
    expect(strstr(pp_last_error(), text) != nullptr, pp_last_error());
  };
  refuses(pp_graph_begin(&kDevice), PP_INVALID_ARGUMENT, "device->stream must not be the default stream");
  refuses(pp_graph_begin(&cpu), PP_UNSUPPORTED, "device->type is PP_CPU");
  refuses(pp_graph_launch(&kDevice, nullptr), PP_INVALID_ARGUMENT, "graph must not be null");
  Stream stream;
  Lora lora;
  pp_graph* const graph = record(stream.device, &lora);
  const pp_device other = {PP_CUDA, 3, nullptr};
  refuses(pp_graph_launch(&other, graph), PP_INVALID_ARGUMENT, "device->index must be the graph's, 0, got 3");
  pp_graph_destroy(graph);
  pp_graph_destroy(nullptr);
}
}  // namespace

int main() {
  test_launches_do_what_direct_calls_do();
  test_a_launch_draws_the_mask_of_the_step_in_memory();
  test_a_spoilt_recording_leaves_a_stream_that_works();
  test_what_cannot_record_is_named();
  return finish();
}
