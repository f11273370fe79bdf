// What each family moves through memory at the shapes of models, counted by the emulator (count.h) with 132 multiprocessors and
// the cache of an H100. It takes 20 minutes of a processor and 13 GB of memory, so that it is a target of the build and no
// test: update_cuda_counted_shapes. cmake/families.py holds what cost.h predicts to its file, and makes the table of
// docs/kernels-cuda.md of both. The largest shape is left out, which would take twice that.
//
// Left out too are the fused linears, those of a W that is decoded before among them, whose blocks work at once on a device and
// one after the other here: counted_test.cpp counts them on two multiprocessors.
//
//   counted_shapes FILE                  writes the file, native/cuda-counted-shapes.txt
//   counted_shapes - [SHAPE [NAME]]      prints the calls whose name holds NAME, of the shape whose name holds SHAPE
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "../../gpu-check/decoder_operands.h"
#include "../../gpu-check/operands.h"
#include "../../gpu-check/shapes.h"
#include "../../gpu-check/stack_operands.h"
#include "count.h"
#include "quantized_operands.h"

namespace {
using namespace gpu_check;

/** Counts calls, and keeps a line of each. */
class Counts {
 public:
  Counts(std::string shape, std::string name) : shape_(std::move(shape)), name_(std::move(name)) {}

  bool wants(const Shape& shape) const {
    const std::string name = shape.name;
    return name != kSquare.name && name.find(shape_) != std::string::npos;
  }

  void count(const Shape& shape, const std::vector<Call>& calls, const std::string& suffix = "") {
    for (const Call& call : calls) {
      const std::string name = call.name + suffix;
      const bool is_linear = name.rfind("linear_", 0) == 0, is_sequence = name.find(" calls") != std::string::npos;
      if (is_linear || is_sequence || name.find(name_) == std::string::npos) continue;
      simt::start_counting();
      call.run(kDevice);
      check(pp_synchronize(&kDevice));
      const auto counted = static_cast<double>(simt::stop_counting().bytes());
      constexpr double kMega = 1e6;
      char line[200];
      snprintf(line, sizeof line, "%-14s %-50s %9.3f", shape.name, name.c_str(), counted / kMega);
      lines_.push_back(line);
      printf("%s\n", line);
    }
  }

  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::string shape_, name_;
  std::vector<std::string> lines_;
};

/** The calls of a LoRA module, of eight adapters and of an adapter. */
void count_modules(Counts* counts, const Shape& shape) {
  Operands operands(PP_BFLOAT16, shape.M, shape.K, shape.N, shape.r, 1);
  counts->count(shape, operands.pure_calls());
  counts->count(shape, operands.adding_calls());
}

/** Those of a module of 64 ranks. */
void count_many_ranks(Counts* counts, const Shape& shape) {
  Operands operands(PP_BFLOAT16, shape.M, shape.K, shape.N, 64, 1);
  std::vector<Call> calls;
  for (Call& call : operands.pure_calls())
    if (call.name.rfind("lora_", 0) == 0 && call.name.find("modules") == std::string::npos) calls.push_back(call);
  counts->count(shape, calls, ", r 64");
}

void count_stack(Counts* counts, const Shape& shape) {
  StackOperands stack(PP_BFLOAT16, shape.M, shape.K, shape.N, shape.r, 1);
  counts->count(shape, stack.calls());
}

void count_others(Counts* counts, const Shape& shape) {
  DecoderOperands decoder(PP_BFLOAT16, shape.M, shape.K, shape.N, 1);
  counts->count(shape, decoder.calls());
  for (const pp_quantization type : {PP_INT8, PP_NF4}) {
    QuantizedOperands few(type, {kFewRows, shape.K, shape.N});
    counts->count(shape, few.calls(true));
  }
  const ModelLinears model = model_linears(shape);
  if (model.layers == 0) return;
  Modules modules(PP_BFLOAT16, model.layers, model.linears, shape.r, 2);
  counts->count(shape, modules.calls());
}
}  // namespace

int main(int count, char** arguments) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string path = count > 1 ? arguments[1] : "";
  if (path.empty() || (path != "-" && count > 2)) {  // a part is no file
    printf("counted_shapes FILE | - [SHAPE [NAME]]\n");
    return 2;
  }
  constexpr int kMultiprocessors = 132;
  simt::set_compute_major(9);
  simt::set_multiprocessors(kMultiprocessors);
  Counts counts(count > 2 ? arguments[2] : "", count > 3 ? arguments[3] : "");
  for (const Shape& shape : kWholeShapes) {
    if (!counts.wants(shape)) continue;
    for (const auto part : {count_modules, count_many_ranks, count_stack, count_others}) part(&counts, shape);
  }
  const std::string report = simt::take_report();
  if (!report.empty()) {
    printf("%s\n", report.c_str());
    return 1;
  }
  if (path == "-") return 0;
  const std::string beside = path + ".new";
  std::ofstream file(beside);
  file << "MB of device memory that a call in bfloat16 moves, counted by the emulator: test/cuda/counted_shapes.cpp\n";
  for (const std::string& line : counts.lines()) file << line << '\n';
  file.close();
  if (file && std::rename(beside.c_str(), path.c_str()) == 0) return 0;
  printf("can't write %s\n", path.c_str());
  return 1;
}
