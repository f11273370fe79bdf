// Operands of decoder.h at one shape, and the calls on them: rows of M tokens, K wide where they are normalised and rotated, N
// wide behind a gate.
#pragma once

#include <algorithm>

#include "decoder/cuda/decoder_cost.h"
#include "operands.h"
#include "prunepeft/decoder.h"
#include "shapes.h"

namespace gpu_check {
class DecoderOperands {
 public:
  DecoderOperands(pp_dtype dtype, int64_t M, int64_t K, int64_t N, uint64_t seed)
      : head_size_(std::min(kHeadSize, K)),
        x_(dtype, M, K, seed),
        dy_(dtype, M, K, seed + 1),
        weight_(dtype, 1, K, seed + 2),
        gate_up_(dtype, M, 2 * N, seed + 3),
        dout_(dtype, M, N, seed + 4),
        cosines_(PP_FLOAT32, M, head_size_ / 2, seed + 5),
        sines_(PP_FLOAT32, M, head_size_ / 2, seed + 6),
        y_(dtype, M, K),
        scales_(PP_FLOAT32, M, 1),
        given_scales_(PP_FLOAT32, M, 1, seed + 7),
        out_(dtype, M, N),
        dgate_up_(dtype, M, 2 * N) {}
  DecoderOperands(const DecoderOperands&) = delete;

  std::vector<Call> calls() {
    const pp_rms_norm norm = {weight_.view(), 1e-5f, 0};
    const int64_t M = x_.view().rows, K = x_.view().cols, heads = K / head_size_;
    const pp_rotary rotary = {1, M, heads, head_size_, cosines_.view(), sines_.view(), 0, nullptr, 0};
    const auto rows = static_cast<double>(M), size = static_cast<double>(pp_dtype_size(x_.view().dtype));
    const auto norm_cost = [&](bool backward) { return prunepeft::cuda::rms_norm_cost(rows, K, size, backward); };
    const auto gate_cost = [&](bool backward) {
      return prunepeft::cuda::gate_cost(rows * static_cast<double>(dout_.view().cols), size, backward);
    };
    const prunepeft::cuda::Cost of_rotation = prunepeft::cuda::rotate_cost(rows, heads, head_size_, size);
    return {call("rms_norm_forward", {&y_, &scales_}, norm_cost(false),
                 [this, norm](auto c) { return pp_rms_norm_forward(c, &norm, x_, y_, scales_); }),
            call("rms_norm_backward", {&y_}, norm_cost(true),
                 [this, norm](auto c) { return pp_rms_norm_backward(c, &norm, dy_, x_, given_scales_, y_); }),
            call("rotate", {&y_}, of_rotation, [this, rotary](auto c) { return pp_rotate(c, &rotary, x_, y_); }),
            call("gate_forward", {&out_}, gate_cost(false),
                 [this](auto c) { return pp_gate_forward(c, PP_SWIGLU, gate_up_, out_); }),
            call("gate_backward", {&dgate_up_}, gate_cost(true),
                 [this](auto c) { return pp_gate_backward(c, PP_SWIGLU, dout_, gate_up_, dgate_up_); })};
  }

 private:
  template <class Function>
  static Call call(const char* name, std::vector<Memory*> outputs, const prunepeft::cuda::Cost& cost, Function function) {
    const auto run = [function](const pp_device& device) {
      const pp_context context = {device, nullptr};
      check(function(&context));
    };
    return {name, run, std::move(outputs), cost.bytes, 0, cost};
  }

  int64_t head_size_;
  Matrix x_, dy_, weight_, gate_up_, dout_, cosines_, sines_;
  Matrix y_, scales_, given_scales_, out_, dgate_up_;
};
}  // namespace gpu_check
