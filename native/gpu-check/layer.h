// One LoRA linear, forward and backward, by each path that this library offers, beside the frozen linear.
//
// split        the library's product, then our skinny products around it
// ranks first  the same in another order: the ranks' part of y or dX is written, and the library's product adds to it
// bordered     the library's product over a longer inner dimension: W, A and B in G = [[W,B],[A,0]], S beside x, dS beside dY
// fused        our own product, as it is chosen for device and shape, and by each of its paths
#pragma once

#include <functional>
#include <string>

#include "cublas.h"
#include "fused_path.h"
#include "linear/cuda/cost.h"
#include "prunepeft/linear.h"

namespace gpu_check {
using prunepeft::cuda::Ceilings;
using prunepeft::cuda::Costs;

class Layer {
 public:
  struct Path {
    std::string name;
    bool backward;
    std::function<void()> run;
    double predicted;
  };

  Layer(pp_dtype dtype, int64_t M, int64_t K, int64_t N, int64_t r, const Cublas& cublas, uint64_t seed)
      : dtype_(dtype),
        M_(M),
        K_(K),
        N_(N),
        r_(r),
        cublas_(cublas),
        x_(random_elements(dtype, M * K, seed)),
        dy_(random_elements(dtype, M * N, seed + 1)),
        w_(random_elements(dtype, N * K, seed + 2, kWeightSize)),
        g_(random_elements(dtype, (N + r) * (K + r), seed + 3, kWeightSize)),
        x_wide_(std::make_unique<Memory>(static_cast<size_t>(M * (K + r)) * size())),
        dy_wide_(std::make_unique<Memory>(static_cast<size_t>(M * (N + r)) * size())),
        y_(static_cast<size_t>(M * N) * size()),
        dx_(static_cast<size_t>(M * K) * size()),
        s_(random_elements(dtype, M * r, seed + 6)),
        ds_(static_cast<size_t>(M * r) * size()),
        da_(static_cast<size_t>(r * K) * sizeof(float)),
        db_(static_cast<size_t>(N * r) * sizeof(float)) {
    check(pp_linear_create(&kDevice, dtype, N, K, w_->data(), K, nullptr, &linear_));
    const pp_linear_branch branch = linear_branch(s_->data());
    size_t bytes = 0;
    for (size_t needed :
         {pp_lora_down_workspace(&kDevice, dtype, M, K, r), pp_lora_up_workspace(&kDevice, dtype, M, N, r),
          pp_lora_grad_up_workspace(&kDevice, dtype, M, N, r), pp_lora_grad_down_workspace(&kDevice, dtype, M, K, r),
          pp_lora_grad_input_workspace(&kDevice, dtype, M, K, r), pp_linear_forward_workspace(linear_, M, &branch, 1),
          pp_linear_grad_input_workspace(linear_, M, &branch, 1)})
      bytes = std::max(bytes, needed);
    bytes =
        std::max({bytes, pp_lora_down_workspace(&kDevice, dtype, N, K, 1), pp_lora_down_workspace(&kDevice, dtype, M, N, 1)});
    workspace_ = std::make_unique<Memory>(bytes);
    poison_outputs();
    copy(x_, M, K, x_wide_);
    copy(dy_, M, N, dy_wide_);
    copy(w_, N, K, g_);
  }
  ~Layer() { pp_linear_destroy(linear_); }
  Layer(const Layer&) = delete;

  /** What a path has left: y or dX; backward also dA and dB. */
  struct Outputs {
    std::vector<unsigned char> wide, da, db;
  };
  Outputs outputs(bool backward) const { return {backward ? dx_.read() : y_.read(), da_.read(), db_.read()}; }
  void poison_outputs() {
    for (Memory* memory : {&y_, &dx_, &ds_, &da_, &db_}) memory->poison();
  }

  static double bytes(pp_dtype dtype, int64_t M, int64_t K, int64_t N) {
    return static_cast<double>(pp_dtype_size(dtype)) * static_cast<double>(3 * M * K + 3 * M * N + 2 * N * K);
  }

  std::vector<Path> frozen(const Ceilings& ceilings) {
    const double predicted = predict(ceilings, costs().frozen());
    return {{"frozen linear forward (cuBLAS)", false, [this] { frozen_forward(); }, predicted},
            {"frozen linear dX (cuBLAS)", true, [this] { frozen_backward(); }, predicted}};
  }

  /** Without cuBLAS, the fused paths alone; of these the chosen one, or every one. */
  std::vector<Path> paths(float p, const Ceilings& ceilings, bool every_fused_path) {
    const pp_dropout* dropout = p > 0 ? &dropout_ : nullptr;
    dropout_.p = p;
    const std::string suffix = p > 0 ? ", dropout" : "";
    Costs cost = costs();
    cost.dropout = p > 0;
    std::vector<Path> paths;
    if (cublas_.present()) {
      paths.push_back({"forward, split" + suffix, false,
                       [this, dropout] {
                         frozen_forward();
                         down(x_->data(), K_, s_->data(), r_, nullptr, dropout);
                         up();
                       },
                       predict_forward(ceilings, cost, PP_LORA_SPLIT)});
      paths.push_back({"forward, ranks first" + suffix, false,
                       [this, dropout] {
                         down(x_->data(), K_, s_->data(), r_, nullptr, dropout);
                         up(false);
                         frozen_forward(true);
                       },
                       predict_forward_ranks_first(ceilings, cost)});
      paths.push_back({"forward, bordered" + suffix, false,
                       [this, dropout] {
                         down(x_wide_->data(), K_ + r_, after(x_wide_, K_), K_ + r_, nullptr, dropout);
                         bordered_forward();
                       },
                       predict_forward(ceilings, cost, PP_LORA_BORDERED)});
      paths.push_back({"forward, bordered, x copied" + suffix, false,
                       [this, dropout] {
                         down(x_->data(), K_, after(x_wide_, K_), K_ + r_, x_wide_->data(), dropout);
                         bordered_forward();
                       },
                       predict_sequence(ceilings, cost.down(true), cost.bordered_forward())});
    }
    for (const FusedVariant& variant :
         fused_variants(linear_shape(dtype_, M_, K_, N_, r_, LinearDirection::kForward), every_fused_path))
      paths.push_back({"forward, fused" + variant.name + suffix, false,
                       [this, dropout, forced = variant.forced] {
                         const prunepeft::cuda::ForcedLinearPath in_force(forced);
                         const pp_linear_branch branch = linear_branch(s_->data());
                         check(pp_linear_forward(&kDevice, linear_, M_, x_->data(), K_, &branch, 1, dropout, y_.data(), N_,
                                                 workspace_->data(), workspace_->bytes()));
                       },
                       predict_forward(ceilings, cost, PP_LORA_FUSED, variant.path)});
    if (cublas_.present()) {
      paths.push_back({"backward, split" + suffix, true,
                       [this, dropout] {
                         frozen_backward();
                         grad_up(dy_->data(), N_, ds_.data(), r_);
                         grad_input(dropout);
                         grad_down(x_->data(), K_, ds_.data(), r_, dropout);
                       },
                       predict_backward(ceilings, cost, PP_LORA_SPLIT)});
      paths.push_back({"backward, ranks first" + suffix, true,
                       [this, dropout] {
                         grad_up(dy_->data(), N_, ds_.data(), r_);
                         grad_input(dropout, false);
                         frozen_backward(true);
                         grad_down(x_->data(), K_, ds_.data(), r_, dropout);
                       },
                       predict_backward_ranks_first(ceilings, cost)});
      // Under dropout the mask is on the ranks' product alone, so it cannot ride in the library's.
      if (p == 0)
        paths.push_back(
            {"backward, bordered", true,
             [this] {
               grad_up(dy_wide_->data(), N_ + r_, after(dy_wide_, N_), N_ + r_);
               cublas_.backward(dtype_, M_, K_, N_ + r_, {dy_wide_->data(), N_ + r_}, {g_->data(), K_ + r_}, {dx_.data(), K_});
               grad_down(x_wide_->data(), K_ + r_, after(dy_wide_, N_), N_ + r_, nullptr);
             },
             predict_backward(ceilings, cost, PP_LORA_BORDERED)});
    }
    for (const FusedVariant& variant :
         fused_variants(linear_shape(dtype_, M_, K_, N_, r_, LinearDirection::kGradInput), every_fused_path))
      paths.push_back({"backward, fused" + variant.name + suffix, true,
                       [this, dropout, forced = variant.forced] {
                         grad_up(dy_->data(), N_, ds_.data(), r_);
                         const prunepeft::cuda::ForcedLinearPath in_force(forced);
                         const pp_linear_branch branch = linear_branch(ds_.data());
                         check(pp_linear_grad_input(&kDevice, linear_, M_, dy_->data(), N_, &branch, 1, dropout, dx_.data(), K_,
                                                    workspace_->data(), workspace_->bytes()));
                         grad_down(x_->data(), K_, ds_.data(), r_, dropout);
                       },
                       predict_backward(ceilings, cost, PP_LORA_FUSED, variant.path)});
    return paths;
  }

 private:
  static constexpr pp_device kDevice = {PP_CUDA, 0, nullptr};
  size_t size() const { return pp_dtype_size(dtype_); }
  Costs costs() const {
    return {static_cast<double>(M_), static_cast<double>(K_),     static_cast<double>(N_),
            static_cast<double>(r_), static_cast<double>(size()), false};
  }
  /** Copies a matrix [rows,columns] into one with `r` columns more, on the device: as lora_down does beside S. */
  void copy(const std::unique_ptr<Memory>& from, int64_t rows, int64_t columns, const std::unique_ptr<Memory>& to) {
    const Memory s(static_cast<size_t>(rows) * size());
    const pp_lora_branch branch = {from->data(), columns, 1, 1, 0, s.data(), 1, nullptr, 0};
    check(pp_lora_down(&kDevice, dtype_, rows, columns, from->data(), columns, &branch, 1, nullptr, to->data(), columns + r_,
                       workspace_->data(), workspace_->bytes()));
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  /** Behind `elements` elements of a buffer. */
  void* after(const std::unique_ptr<Memory>& memory, int64_t elements) const {
    return memory->data<char>() + static_cast<size_t>(elements) * size();
  }
  // A and B as they lie in G.
  const void* a() const { return after(g_, N_ * (K_ + r_)); }
  const void* b() const { return after(g_, K_); }

  pp_linear_branch linear_branch(void* s) const { return {a(), K_ + r_, b(), K_ + r_, r_, 0, N_, kScale, kModule, s, r_}; }

  void frozen_forward(bool adds = false) {
    cublas_.forward(dtype_, M_, K_, N_, {x_->data(), K_}, {w_->data(), K_}, {y_.data(), N_}, adds);
  }
  void frozen_backward(bool adds = false) {
    cublas_.backward(dtype_, M_, K_, N_, {dy_->data(), N_}, {w_->data(), K_}, {dx_.data(), K_}, adds);
  }
  void bordered_forward() {
    cublas_.forward(dtype_, M_, K_ + r_, N_, {x_wide_->data(), K_ + r_}, {g_->data(), K_ + r_}, {y_.data(), N_});
  }
  void down(const void* x, int64_t ldx, void* s, int64_t lds, void* copy, const pp_dropout* dropout) {
    const pp_lora_branch branch = {a(), K_ + r_, r_, kScale, kModule, s, lds, nullptr, 0};
    check(pp_lora_down(&kDevice, dtype_, M_, K_, x, ldx, &branch, 1, dropout, copy, K_ + r_, workspace_->data(),
                       workspace_->bytes()));
  }
  void up(bool adds = true) {
    check(pp_lora_up(&kDevice, dtype_, M_, N_, r_, s_->data(), r_, b(), K_ + r_, y_.data(), N_, adds, workspace_->data(),
                     workspace_->bytes()));
  }
  void grad_up(const void* dy, int64_t lddy, void* ds, int64_t ldds) {
    check(pp_lora_grad_up(&kDevice, dtype_, M_, N_, r_, dy, lddy, b(), K_ + r_, s_->data(), r_, kScale, ds, ldds,
                          db_.data<float>(), r_, 0, workspace_->data(), workspace_->bytes()));
  }
  void grad_input(const pp_dropout* dropout, bool adds = true) {
    const pp_lora_branch branch = {a(), K_ + r_, r_, kScale, kModule, ds_.data(), r_, nullptr, 0};
    check(pp_lora_grad_input(&kDevice, dtype_, M_, K_, &branch, 1, dropout, dx_.data(), K_, adds, workspace_->data(),
                             workspace_->bytes()));
  }
  void grad_down(const void* x, int64_t ldx, void* ds, int64_t ldds, const pp_dropout* dropout) {
    const pp_lora_branch branch = {nullptr, 0, r_, kScale, kModule, ds, ldds, da_.data<float>(), K_};
    check(pp_lora_grad_down(&kDevice, dtype_, M_, K_, x, ldx, &branch, 1, dropout, 0, workspace_->data(), workspace_->bytes()));
  }

  static constexpr float kScale = 2, kWeightSize = 0.1f;
  static constexpr uint32_t kModule = 9;
  pp_dtype dtype_;
  int64_t M_, K_, N_, r_;
  const Cublas& cublas_;
  std::unique_ptr<Memory> x_, dy_, w_, g_, x_wide_, dy_wide_;
  Memory y_, dx_;
  std::unique_ptr<Memory> s_;
  Memory ds_, da_, db_;
  pp_dropout dropout_{0.1f, 3, 5, 7, nullptr};
  pp_linear* linear_ = nullptr;
  std::unique_ptr<Memory> workspace_;
};
}  // namespace gpu_check
