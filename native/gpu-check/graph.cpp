// Graph capture and replay, poisoned outputs, bitwise repeats.
#include "decoder_operands.h"
#include "operands.h"
#include "prunepeft/graph.h"

namespace gpu_check {
namespace {
constexpr int kReplays = 3;
#if defined(PRUNEPEFT_EMULATED)
// Some tiles each way, for an emulator that makes some millions of accesses a second.
constexpr int64_t kM = 75, kK = 136, kN = 72;
void choose_order(int seed) {
  simt::set_seed(static_cast<uint64_t>(seed));
}
#else
constexpr int64_t kM = 333, kK = 520, kN = 264;
void choose_order(int) {}
#endif
constexpr int64_t kRank = 24;

std::vector<std::vector<unsigned char>> read_all(const Call& call) {
  std::vector<std::vector<unsigned char>> all;
  for (const Memory* output : call.outputs) all.push_back(output->read());
  return all;
}

pp_graph* record(const Call& call, const pp_device& device) {
  pp_graph* graph = nullptr;
  check(pp_graph_begin(&device));
  call.run(device);
  check(pp_graph_end(&device, &graph));
  return graph;
}

/**
 * One graph, launched at several steps, against direct calls at these: the graph finds its step, of which dropout masks are
 * made, in memory, and a call names it. Outputs are the same before each run if the call adds to them; else they are poisoned,
 * each time with another pattern. `operands` may be null: no call has dropout.
 */
bool replays_agree(const Call& call, pp_dtype dtype, bool adds, const pp_device& device, Operands* operands) {
  const bool drops = call.name.find("dropout") != std::string::npos;
  const auto initial = adds ? read_all(call) : std::vector<std::vector<unsigned char>>{};
  const auto prepare = [&](int run) {
    for (size_t i = 0; i < call.outputs.size(); i++) {
      if (adds)
        call.outputs[i]->write(initial[i]);
      else
        call.outputs[i]->poison(static_cast<unsigned char>(0xff - run));
    }
    choose_order(run);
  };
  const auto run_at = [&](int step) {
    if (operands != nullptr) operands->name_step(static_cast<uint32_t>(step));
    prepare(0);
    call.run(device);
    check(pp_synchronize(&device));
    return read_all(call);
  };
  auto direct = run_at(0);
  if (operands != nullptr) operands->find_step_in_memory();
  pp_graph* const graph = record(call, device);
  bool agree = true;
  for (int replay = 1; replay <= kReplays; replay++) {
    if (operands != nullptr) operands->write_step(static_cast<uint32_t>(replay));
    prepare(replay);
    check(pp_graph_launch(&device, graph));
    check(pp_synchronize(&device));
    const auto launched = read_all(call);
    if (drops) {
      const auto before = std::move(direct);
      direct = run_at(replay);
      agree = agree && direct != before;  // another mask
    }
    agree = agree && launched == direct;
  }
  pp_graph_destroy(graph);
  if (adds && direct == initial) agree = false;
  printf("%-9s %-28s %s\n", dtype_name(dtype), call.name.c_str(), agree ? "same bits" : "OTHER BITS");
  return agree;
}
}  // namespace

int check_graphs() {
  pp_device device = kDevice;
  check(pp_stream_create(&device, &device.stream));
  bool agree = true;
  for (pp_dtype dtype : {PP_FLOAT32, PP_FLOAT16, PP_BFLOAT16}) {
    Operands operands(dtype, kM, kK, kN, kRank, 1);
    Modules modules(dtype, 2, {{kK, kN}}, kRank, 2);
    for (const Call& call : operands.pure_calls()) agree = replays_agree(call, dtype, false, device, &operands) && agree;
    for (const Call& call : operands.adding_calls()) agree = replays_agree(call, dtype, true, device, &operands) && agree;
    DecoderOperands decoder(dtype, kM, kK, kN, 4);
    for (const Call& call : decoder.calls()) agree = replays_agree(call, dtype, false, device, nullptr) && agree;
    for (const Call& call : modules.calls()) agree = replays_agree(call, dtype, false, device, nullptr) && agree;
    // By themselves calls of this size take a smaller tile.
    const auto shape = linear_shape(dtype, kM, kK, kN, kRank, LinearDirection::kForward, false);
    for (const FusedVariant& variant : fused_variants(shape, true)) {
      if (!is_by_warpgroups(variant.path)) continue;
      const prunepeft::cuda::ForcedLinearPath in_force(variant.forced);
      for (Call& call : operands.pure_calls()) {
        if (call.name.rfind("linear_", 0) != 0) continue;
        call.name += variant.name;
        agree = replays_agree(call, dtype, false, device, &operands) && agree;
      }
    }
  }
  check(pp_stream_destroy(&device));
  return agree ? 0 : 1;
}
}  // namespace gpu_check
