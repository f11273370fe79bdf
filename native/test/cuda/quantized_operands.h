// A frozen linear of codes at one shape, and the calls on it, as the counts take them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "../../gpu-check/operands.h"

namespace gpu_check {
/** A frozen linear of int8 or NF4 in bfloat16, in both directions. */
class QuantizedOperands {
 public:
  /** Of x [M,K] and W [N,K]. */
  struct Sizes {
    int64_t M, K, N;
  };

  QuantizedOperands(pp_quantization type, const Sizes& shape)
      : type_(type),
        name_(type == PP_INT8 ? "int8" : "NF4"),
        x_(PP_BFLOAT16, shape.M, shape.K, 1),
        dy_(PP_BFLOAT16, shape.M, shape.N, 2),
        scales_(PP_FLOAT32, 1, type == PP_INT8 ? shape.N : shape.N * shape.K / kBlock, 3),
        codes_(static_cast<size_t>(type == PP_INT8 ? shape.N * shape.K : shape.N * shape.K / 2)),
        y_(PP_BFLOAT16, shape.M, shape.N),
        dx_(PP_BFLOAT16, shape.M, shape.K) {
    codes_.poison(0x5a);
    const pp_quantized w = {type, shape.N, shape.K, codes_.data(), scales_.data<float>(), nullptr, kBlock};
    const pp_context context = workspace_.on(kDevice);
    check(pp_linear_create_quantized(&context, &w, nullptr, PP_BFLOAT16, &linear_));
    costs_ = {static_cast<double>(shape.M),   static_cast<double>(shape.K), static_cast<double>(shape.N), 0, 2, 0,
              device_traits().multiprocessors};
    costs_.modules = 0;
    costs_.cache_bytes = static_cast<double>(device_traits().l2_bytes);
    // W in bfloat16 is written and read where it is decoded before.
    decoded_ = 2.0 * static_cast<double>(pp_dtype_size(PP_BFLOAT16)) * static_cast<double>(shape.N * shape.K);
  }
  ~QuantizedOperands() { pp_linear_destroy(linear_); }
  QuantizedOperands(const QuantizedOperands&) = delete;

  std::vector<Call> calls(bool in_tiles) {
    const double bytes = static_cast<double>(x_.bytes() + y_.bytes() + codes_.bytes() + scales_.bytes());
    const auto code_bytes = static_cast<double>(codes_.bytes() + scales_.bytes());
    const auto call = [&](const std::string& name, const std::function<void(const pp_context*)>& run, Memory* out) {
      const LinearDirection direction = out == &y_ ? LinearDirection::kForward : LinearDirection::kGradInput;
      const LinearPath path =
          chosen_path(linear_shape(PP_BFLOAT16, x_.view().rows, x_.view().cols, y_.view().cols, 0, direction, false));
      Cost cost = in_tiles ? costs_.frozen_codes(code_bytes)
                           : prunepeft::cuda::decode_cost(type_, costs_.N * costs_.K, code_bytes, costs_.size);
      if (!in_tiles) cost += direction == LinearDirection::kForward ? costs_.fused_frozen(path) : costs_.fused_grad_input(path);
      return Call{name + name_ + (in_tiles ? ", in the tiles" : ", decoded before"),
                  [this, run](const pp_device& device) {
                    const pp_context context = workspace_.on(device);
                    run(&context);
                  },
                  {out},
                  bytes + (in_tiles ? 0 : decoded_),
                  0,
                  cost};
    };
    return {
        call(
            "quantized_forward, ", [this](auto c) { check(pp_linear_forward(c, linear_, x_, nullptr, 0, y_)); }, &y_),
        call(
            "quantized_grad_input, ", [this](auto c) { check(pp_linear_grad_input(c, linear_, dy_, nullptr, 0, dx_)); }, &dx_)};
  }

 private:
  static constexpr int64_t kBlock = 64;
  pp_quantization type_;
  std::string name_;
  Matrix x_, dy_, scales_;
  Memory codes_;
  Matrix y_, dx_;
  Costs costs_ = {};
  double decoded_ = 0;
  pp_linear* linear_ = nullptr;
  Workspace workspace_;
};
}  // namespace gpu_check
