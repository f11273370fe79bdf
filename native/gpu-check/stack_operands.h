// Three modules on the same rows that share out the columns of y, as query, key and value do, and the skinny calls on them.
#pragma once

#include "operands.h"

namespace gpu_check {
class StackOperands {
 public:
  /** y is [M,3N]. */
  StackOperands(pp_dtype dtype, int64_t M, int64_t K, int64_t N, int64_t r, uint64_t seed)
      : M_(M),
        K_(K),
        N_(N),
        r_(r),
        x_(dtype, M, K, seed),
        dy_(dtype, M, kCount * N, seed + 1),
        a_(dtype, kCount * r, K, seed + 2),
        b_(dtype, kCount * N, r, seed + 3),
        s_(dtype, M, kCount * r, seed + 4),
        given_ds_(dtype, M, kCount * r, seed + 5),
        y_(dtype, M, kCount * N, seed + 6),
        dx_(dtype, M, K, seed + 7),
        s_out_(dtype, M, kCount * r),
        ds_(dtype, M, kCount * r),
        da_(PP_FLOAT32, kCount * r, K),
        db_(PP_FLOAT32, kCount * N, r) {
    for (Memory& mask : masks_) mask.poison(0x5a);
  }
  StackOperands(const StackOperands&) = delete;

  std::vector<Call> calls() {
    const auto x = static_cast<double>(x_.bytes()), y = static_cast<double>(y_.bytes()), s = static_cast<double>(s_.bytes());
    const auto a = static_cast<double>(a_.bytes()), b = static_cast<double>(b_.bytes());
    const auto da = static_cast<double>(da_.bytes()), db = static_cast<double>(db_.bytes());
    const auto masks = static_cast<double>(kCount * masks_[0].bytes());
    const auto down = [this](auto c, auto m) { return pp_lora_down(c, x_, m, kCount); };
    const auto grad_down = [this](auto c, auto m) { return pp_lora_grad_down(c, x_, m, kCount); };
    const auto input = [this](auto c, auto m) { return pp_lora_grad_input(c, m, kCount, dx_, 1); };
    const auto over = [this](auto c, auto m) { return pp_lora_grad_input(c, m, kCount, dx_, 0); };
    const auto up = [this](auto c, auto m) { return pp_lora_up(c, m, kCount, y_, 1); };
    const auto up_over = [this](auto c, auto m) { return pp_lora_up(c, m, kCount, y_, 0); };
    const auto grad_up = [this](auto c, auto m) { return pp_lora_grad_up(c, dy_, m, kCount); };
    std::vector<Call> calls;
    for (const Mask mask : {Mask::kNone, Mask::kDrawn, Mask::kKept}) {
      const Costs costs = this->costs(mask);
      const double kept = mask == Mask::kKept ? masks : 0;
      calls.push_back(call("lora_down", mask, true, x + a + s + kept, costs.down(), down));
      calls.push_back(call("lora_grad_down", mask, false, x + s + da + kept, costs.grad_down(), grad_down));
      calls.push_back(call("lora_grad_input", mask, false, 2 * x + s + a + kept, costs.grad_input(), input));
      calls.push_back(call("lora_grad_input, overwriting", mask, false, x + s + a + kept, costs.grad_input(false), over));
    }
    const Costs costs = this->costs(Mask::kNone);
    calls.push_back(call("lora_up", Mask::kNone, false, 2 * y + s + b, costs.up(), up));
    calls.push_back(call("lora_up, overwriting", Mask::kNone, false, y + s + b, costs.up(false), up_over));
    calls.push_back(call("lora_grad_up", Mask::kNone, false, y + b + 2 * s + db, costs.grad_up(), grad_up));
    return calls;
  }

 private:
  static constexpr int kCount = 3;
  enum class Mask { kNone, kDrawn, kKept };

  Costs costs(Mask mask) const {
    return {static_cast<double>(M_),
            static_cast<double>(K_),
            static_cast<double>(kCount * N_),
            static_cast<double>(kCount * r_),
            static_cast<double>(pp_dtype_size(x_.view().dtype)),
            mask == Mask::kNone ? 0 : kCount,
            device_traits().multiprocessors,
            mask == Mask::kKept,
            kCount,
            static_cast<double>(kCount * prunepeft::cuda::tiles_of(r_, prunepeft::cuda::kRankTileRanks)),
            1,
            static_cast<double>(device_traits().l2_bytes),
            true,
            device_traits().shared_bytes_per_block};
  }

  template <class Function>
  Call call(const std::string& name, Mask mask, bool writes_s, double bytes, const Cost& cost, Function function) {
    const char* const of_mask = mask == Mask::kNone    ? ""
                                : mask == Mask::kDrawn ? ", dropout"
                                : writes_s             ? ", dropout, masks written"
                                                       : ", masks read";
    const auto run = [this, mask, writes_s, function](const pp_device& device) {
      const pp_context context = workspace_.on(device);
      const std::vector<pp_lora_module> modules = make_modules(mask, writes_s);
      check(function(&context, modules.data()));
    };
    return {name + ", stack of 3" + of_mask, run, {}, bytes, 0, cost};
  }

  static pp_matrix part(const Matrix& of, int64_t first_row, int64_t rows, int64_t first_column, int64_t columns) {
    pp_matrix view = of.view();
    view.data =
        static_cast<char*>(view.data) + static_cast<size_t>(first_row * view.ld + first_column) * pp_dtype_size(view.dtype);
    view.rows = rows;
    view.cols = columns;
    return view;
  }
  std::vector<pp_lora_module> make_modules(Mask mask, bool writes_s) {
    std::vector<pp_lora_module> modules;
    for (int64_t i = 0; i < kCount; i++)
      modules.push_back({part(a_, i * r_, r_, 0, K_), part(b_, i * N_, N_, 0, r_), i * N_, 0, M_, 2.0f,
                         static_cast<uint32_t>(i), mask == Mask::kNone ? nullptr : &dropout_,
                         part(writes_s ? s_out_ : s_, 0, M_, i * r_, r_), part(given_ds_, 0, M_, i * r_, r_),
                         part(da_, i * r_, r_, 0, K_), part(db_, i * N_, N_, 0, r_),
                         mask == Mask::kKept ? masks_[i].data<void>() : nullptr});
    return modules;
  }

  int64_t M_, K_, N_, r_;
  Matrix x_, dy_, a_, b_, s_, given_ds_, y_, dx_, s_out_, ds_, da_, db_;
  Memory masks_[kCount] = {Memory(pp_kept_mask_bytes(M_, K_)), Memory(pp_kept_mask_bytes(M_, K_)),
                           Memory(pp_kept_mask_bytes(M_, K_))};
  pp_dropout dropout_{0.1f, 3, 5, 7, nullptr};
  Workspace workspace_;
};
}  // namespace gpu_check
