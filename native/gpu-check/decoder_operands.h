// Operands of decoder.h at one shape, and the calls on them: rows of M tokens, K wide where they are normalised and rotated, N
// wide behind a gate.
#pragma once

#include "operands.h"
#include "prunepeft/decoder.h"

namespace gpu_check {
class DecoderOperands {
 public:
  DecoderOperands(pp_dtype dtype, int64_t M, int64_t K, int64_t N, uint64_t seed)
      : x_(dtype, M, K, seed),
        dy_(dtype, M, K, seed + 1),
        weight_(dtype, 1, K, seed + 2),
        gate_up_(dtype, M, 2 * N, seed + 3),
        dout_(dtype, M, N, seed + 4),
        cosines_(PP_FLOAT32, M, kHeadSize / 2, seed + 5),
        sines_(PP_FLOAT32, M, kHeadSize / 2, seed + 6),
        y_(dtype, M, K),
        scales_(PP_FLOAT32, M, 1),
        given_scales_(PP_FLOAT32, M, 1, seed + 7),
        out_(dtype, M, N),
        dgate_up_(dtype, M, 2 * N) {}
  DecoderOperands(const DecoderOperands&) = delete;

  std::vector<Call> calls() {
    const double wide = static_cast<double>(x_.bytes()), gated = static_cast<double>(dout_.bytes());
    const double table = static_cast<double>(cosines_.bytes() + sines_.bytes());
    const pp_rms_norm norm = {weight_.view(), 1e-5f, 0};
    const int64_t M = x_.view().rows;
    const pp_rotary rotary = {1, M, x_.view().cols / kHeadSize, kHeadSize, cosines_.view(), sines_.view(), 0, nullptr, 0};
    return {call("rms_norm_forward", {&y_, &scales_}, 2 * wide,
                 [this, norm](auto c) { return pp_rms_norm_forward(c, &norm, x_, y_, scales_); }),
            call("rms_norm_backward", {&y_}, 3 * wide,
                 [this, norm](auto c) { return pp_rms_norm_backward(c, &norm, dy_, x_, given_scales_, y_); }),
            call("rotate", {&y_}, 2 * wide + table, [this, rotary](auto c) { return pp_rotate(c, &rotary, x_, y_); }),
            call("gate_forward", {&out_}, 3 * gated, [this](auto c) { return pp_gate_forward(c, PP_SWIGLU, gate_up_, out_); }),
            call("gate_backward", {&dgate_up_}, 5 * gated,
                 [this](auto c) { return pp_gate_backward(c, PP_SWIGLU, dout_, gate_up_, dgate_up_); })};
  }

 private:
  static constexpr int64_t kHeadSize = 64;

  template <class Function>
  static Call call(const char* name, std::vector<Memory*> outputs, double bytes, Function function) {
    const auto run = [function](const pp_device& device) {
      const pp_context context = {device, nullptr};
      check(function(&context));
    };
    return {name, run, std::move(outputs), bytes, 0, {bytes, 0, 0, 1}};
  }

  Matrix x_, dy_, weight_, gate_up_, dout_, cosines_, sines_;
  Matrix y_, scales_, given_scales_, out_, dgate_up_;
};
}  // namespace gpu_check
