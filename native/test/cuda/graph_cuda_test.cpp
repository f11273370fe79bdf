// Recorded work on CUDA streams: launches give the bits of direct calls, also once the workspace has grown; a spoilt recording
// leaves a stream that works.
#include <optional>

#include "linear_operands.h"

using namespace device_test;

namespace {
const Case kCase = {70, 72, 40, {{8, 0, 40, 0, 70, 0.3f}}};

/** Forward and backward pass of a LoRA module: S, y, dS, dB, dA, dX. */
struct Step {
  Operands operands{PP_FLOAT32, kCase, Call::kNone};

  pp_status run(const pp_context* context) {
    for (const Call call : {Call::kDown, Call::kUp, Call::kGradUp, Call::kGradDown, Call::kGradInput}) {
      const bool adds = call == Call::kUp || call == Call::kGradInput;
      const pp_status status = make_call(call, context, nullptr, operands.wide(), operands.modules, adds);
      if (status != PP_OK) return status;
    }
    return PP_OK;
  }
  /** At a step by value, as `operands` have it; or at that of the counter in device memory. */
  void set_dropout(uint32_t step, uint32_t micro_batch, const void* counter = nullptr) {
    pp_dropout& dropout = operands.given[0];
    dropout = operands.dropouts[0];
    dropout.step = step;
    dropout.micro_batch = micro_batch;
    if (counter != nullptr) dropout = GivenDropout::counted(dropout, static_cast<const uint32_t*>(counter));
  }
  std::vector<unsigned char> result(const pp_device& device) {
    expect_ok(pp_synchronize(&device));
    return operands.read();
  }
};

/** Two steps that begin with the same contents. */
struct Twins {
  const std::mt19937_64 state = random_bits;
  Step launched;
  const bool again = (random_bits = state, true);
  Step direct;
};

/** The workspace that a step needs is made beforehand. */
void make_room(const Context& context) {
  constexpr size_t kEnough = size_t{1} << 20;
  expect_ok(pp_workspace_reserve(context, kEnough));
}

/** In the emulator, each kernel's first use. */
pp_graph* record(const pp_device& device, const Context& context, Step* step) {
#if defined(PRUNEPEFT_EMULATED)
  simt::unload_kernels();
#endif
  pp_graph* graph = nullptr;
  expect_ok(pp_graph_begin(&device));
  expect_ok(step->run(context));
  expect_ok(pp_graph_end(&device, &graph));
  return graph;
}

void test_launches_do_what_direct_calls_do() {
  current_case = "launches";
  Stream stream;
  const Context context(stream.device, false), of_direct(kDevice, false);
  make_room(context);
  Twins steps;
  const auto before = steps.launched.result(stream.device);
  pp_graph* const graph = record(stream.device, context, &steps.launched);
  expect(steps.launched.result(stream.device) == before, "recording has carried the calls out");
  expect_ok(pp_graph_launch(&stream.device, graph));
  expect_ok(pp_graph_launch(&kDevice, graph));  // the default stream can launch, though not record
  expect_ok(steps.direct.run(of_direct));
  expect_ok(steps.direct.run(of_direct));
  const auto launched = steps.launched.result(stream.device);
  expect(launched != before, "a launch has done nothing");
  expect(launched == steps.direct.result(kDevice), "launches give other bits than direct calls");
  // Another x in the same place.
  for (Step* step : {&steps.launched, &steps.direct}) {
    Matrix& x = step->operands.x;
    for (int64_t i = 0; i < kCase.M; i++)
      for (int64_t k = 0; k < kCase.K; k++) x.set(i, k, static_cast<float>(-0.5 * x(i, k)));
    x.upload();
  }
  expect_ok(pp_graph_launch(&stream.device, graph));
  expect_ok(steps.direct.run(of_direct));
  expect(steps.launched.result(stream.device) == steps.direct.result(kDevice), "a launch gives other bits than a direct call");
  pp_graph_destroy(graph);
  emulator_fault();
}

/** The mask is drawn in each of a launch's kernels, or kept from its first for the others; direct calls draw it. */
void test_a_launch_has_the_mask_of_the_step_in_memory(bool kept) {
  current_case = std::string("dropout's step in memory") + (kept ? ", mask kept" : "");
  Stream stream;
  const Context context(stream.device, false), of_direct(kDevice, false);
  make_room(context);
  Twins steps;
  void* counter = nullptr;
  check_cuda(cudaMalloc(&counter, 2 * sizeof(uint32_t)));
  steps.launched.set_dropout(0, 0, counter);
  std::optional<KeptMasks> mask;
  if (kept) mask.emplace(&steps.launched.operands);
  pp_graph* const graph = record(stream.device, context, &steps.launched);
  std::vector<unsigned char> s_before;
  for (const uint32_t turn : {0u, 1u, 2u, 3u}) {
    const uint32_t at[] = {turn / 2, turn % 2};  // each of the two moves on once without the other
    give(counter, at, sizeof at);
    expect_ok(pp_graph_launch(&stream.device, graph));
    steps.direct.set_dropout(at[0], at[1]);
    expect_ok(steps.direct.run(of_direct));
    expect(steps.launched.result(stream.device) == steps.direct.result(kDevice),
           "a launch gives other bits than the step by value");
    const std::vector<unsigned char>& s = steps.direct.operands.s[0]->bytes();
    expect(s != s_before, "another step or micro-batch draws the same mask");
    s_before = s;
  }
  pp_graph_destroy(graph);
  cudaFree(counter);
  emulator_fault();
}

void test_a_workspace_grows_under_a_graph() {
  current_case = "a workspace that grows";
  Stream stream;
  const Context context(stream.device, false), of_direct(kDevice, false);
  Twins steps;
  expect(pp_workspace_bytes(context.workspace()) == 0, "a workspace is empty at first");
  pp_graph* graph = nullptr;
  expect_ok(pp_graph_begin(&stream.device));
  const auto refused = [](pp_status status) {
    expect(status == PP_INVALID_ARGUMENT, "a workspace grew while a graph was recorded");
    expect(strstr(pp_last_error(), "the workspace has 0 bytes and would have to grow to ") != nullptr, pp_last_error());
    expect(strstr(pp_last_error(), "make the call, or pp_workspace_reserve, once before") != nullptr, pp_last_error());
  };
  refused(steps.launched.run(context));
  refused(pp_workspace_reserve(context, 1));
  expect_ok(pp_graph_end(&stream.device, &graph));  // the refusal does not spoil the recording
  pp_graph_destroy(graph);
  expect_ok(steps.launched.run(context));
  expect_ok(steps.direct.run(of_direct));
  const size_t bytes = pp_workspace_bytes(context.workspace());
  expect(bytes > 0, "a call takes what it needs");
  graph = record(stream.device, context, &steps.launched);
  expect(pp_workspace_bytes(context.workspace()) == bytes, "a call again needs no more");
  expect_ok(pp_workspace_reserve(context, bytes + 1));
  expect(pp_workspace_bytes(context.workspace()) > 2 * bytes, "what was there is kept");
  expect_ok(pp_graph_launch(&stream.device, graph));
  expect_ok(steps.direct.run(of_direct));
  expect(steps.launched.result(stream.device) == steps.direct.result(kDevice), "a graph of before gives other bits");
  expect_ok(steps.launched.run(context));
  expect_ok(steps.direct.run(of_direct));
  expect(steps.launched.result(stream.device) == steps.direct.result(kDevice), "the new memory gives other bits");
  pp_graph_destroy(graph);
  emulator_fault();
}

void test_a_spoilt_recording_leaves_a_stream_that_works() {
  current_case = "a spoilt recording";
  Stream stream;
  const Context context(stream.device, false);
  make_room(context);
  Step step;
  expect_ok(pp_graph_begin(&stream.device));
  void* memory = nullptr;
  expect(pp_allocate(&stream.device, 64, &memory) == PP_DEVICE_ERROR, "memory was allocated while a graph was recorded");
  pp_graph* graph = nullptr;
  expect(pp_graph_end(&stream.device, &graph) == PP_DEVICE_ERROR && graph == nullptr, "a spoilt recording was taken");
  expect(strstr(pp_last_error(), "recording a graph: ") != nullptr, pp_last_error());
  expect(pp_graph_end(&stream.device, &graph) == PP_DEVICE_ERROR, "a recording ended that was not begun");
  graph = record(stream.device, context, &step);
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
  const Context context(stream.device, false);
  make_room(context);
  Step step;
  pp_graph* const graph = record(stream.device, context, &step);
  const pp_device other = {PP_CUDA, 3, nullptr};
  refuses(pp_graph_launch(&other, graph), PP_INVALID_ARGUMENT, "device->index must be the graph's, 0, got 3");
  pp_graph_destroy(graph);
  pp_graph_destroy(nullptr);
}
}  // namespace

int main() {
  if (drawn_case()) test_launches_do_what_direct_calls_do();
  for (const bool kept : {false, true})
    if (drawn_case()) test_a_launch_has_the_mask_of_the_step_in_memory(kept);
  if (drawn_case()) test_a_workspace_grows_under_a_graph();
  if (drawn_case()) test_a_spoilt_recording_leaves_a_stream_that_works();
  if (drawn_case()) test_what_cannot_record_is_named();
  return finish();
}
