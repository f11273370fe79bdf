// Operands of every family at one shape, and the calls on them. Outputs are apart from inputs, so that they can be poisoned.
#pragma once

#include <functional>
#include <string>

#include "device.h"
#include "fused_path.h"
#include "linear/cuda/cost.h"
#include "prunepeft/adamw.h"
#include "prunepeft/importance.h"
#include "prunepeft/linear.h"
#include "prunepeft/linear.h"

namespace gpu_check {
using prunepeft::cuda::Cost;
using prunepeft::cuda::Costs;

/** A call, what it writes, and the fewest bytes and the operations that it takes. */
struct Call {
  std::string name;
  std::function<void(const pp_device&)> run;
  std::vector<Memory*> outputs;  // overwritten whole, or added to
  double bytes = 0;
  double flops = 0;
  Cost cost = {};
};

/**
 * One LoRA module and one adapter on a linear [M,K] to [M,N]; and eight modules that share out its rows, in one call and in a
 * call for each.
 */
class Operands {
 public:
  Operands(pp_dtype dtype, int64_t M, int64_t K, int64_t N, int64_t r, uint64_t seed)
      : dtype_(dtype),
        M_(M),
        K_(K),
        N_(N),
        r_(r),
        x_(random_elements(dtype, M * K, seed)),
        dy_(random_elements(dtype, M * N, seed + 1)),
        a_(random_elements(dtype, r * K, seed + 2)),
        b_(random_elements(dtype, N * r, seed + 3)),
        s_(random_elements(dtype, M * r, seed + 4)),
        y_(random_elements(dtype, M * N, seed + 5)),
        dx_(random_elements(dtype, M * K, seed + 6)),
        bias_(random_elements(dtype, K + r, seed + 7)),
        u_(random_elements(dtype, K * r, seed + 8)),
        w_(random_elements(dtype, N * K, seed + 9)),
        s_out_(static_cast<size_t>(M * r) * size()),
        copy_(static_cast<size_t>(M * K) * size()),
        ds_(static_cast<size_t>(M * r) * size()),
        out_(static_cast<size_t>(M * K) * size()),
        wide_out_(static_cast<size_t>(M * N) * size()),
        da_(static_cast<size_t>(r * K) * sizeof(float)),
        db_(static_cast<size_t>(N * r) * sizeof(float)),
        du_(static_cast<size_t>(K) * sizeof(float)),
        dd_(static_cast<size_t>(r) * sizeof(float)),
        du_matrix_(static_cast<size_t>(K * r) * sizeof(float)),
        magnitude_(sizeof(double)),
        dropout_{0.1f, 3, 5, 7, nullptr},
        down_branch_{a_->data(), K, r, 2.0f, 9, s_out_.data(), r, nullptr, 0},
        grad_branch_{a_->data(), K, r, 2.0f, 9, s_->data(), r, da_.data<float>(), K},
        linear_branch_{a_->data(), K, b_->data(), r, r, 0, N, 2.0f, 9, s_out_.data(), r},
        linear_grad_branch_{a_->data(), K, b_->data(), r, r, 0, N, 2.0f, 9, s_->data(), r},
        multi_da_(kAdapters * da_.bytes()),
        multi_db_(kAdapters * db_.bytes()),
        adapter_{a_->data(), K, bias_->data(), u_->data(), r, bias_->data<char>() + static_cast<size_t>(r) * size(), PP_GELU},
        gradients_{da_.data<float>(), K, dd_.data<float>(), du_matrix_.data<float>(), r, du_.data<float>()} {
    const pp_device device = {PP_CUDA, 0, nullptr};
    check(pp_linear_create(&device, dtype, N, K, w_->data(), K, nullptr, &linear_));
    share_out_rows();
    size_t bytes = pp_lora_down_workspace(&device, dtype, M, K, r);
    for (size_t other :
         {pp_lora_up_workspace(&device, dtype, M, N, r), pp_lora_grad_up_workspace(&device, dtype, M, N, r),
          pp_lora_grad_down_workspace(&device, dtype, M, K, r), pp_lora_grad_input_workspace(&device, dtype, M, K, r),
          pp_adapter_forward_workspace(&device, dtype, M, K, r), pp_adapter_backward_workspace(&device, dtype, M, K, r),
          pp_output_magnitude_workspace(&device, dtype, M, N, r), pp_linear_forward_workspace(linear_, M, &linear_branch_, 1),
          pp_linear_grad_input_workspace(linear_, M, &linear_grad_branch_, 1),
          pp_multi_lora_down_workspace(&device, dtype, K, &multi_), pp_multi_lora_grad_up_workspace(&device, dtype, N, &multi_),
          pp_multi_lora_grad_down_workspace(&device, dtype, K, &multi_)})
      if (other > bytes) bytes = other;
    workspace_ = std::make_unique<Memory>(bytes);
    workspace_->poison();
  }
  ~Operands() { pp_linear_destroy(linear_); }
  Operands(const Operands&) = delete;

  const Memory& x() const { return *x_; }
  const Memory& dy() const { return *dy_; }
  Memory& y() { return *y_; }
  Memory& dx() { return *dx_; }

  /** The calls' masks are those of a step from now on, by value. */
  void name_step(uint32_t step) {
    dropout_.step = step;
    dropout_.counter = nullptr;
  }
  /** They are those of the step that write_step wrote last when a call's kernels run. */
  void find_step_in_memory() {
    dropout_.step = ~0u;
    dropout_.counter = counter_.data<uint32_t>();
  }
  void write_step(uint32_t step) {
    const uint32_t counter[] = {step, dropout_.micro_batch};
    const auto* bytes = reinterpret_cast<const unsigned char*>(counter);
    counter_.write({bytes, bytes + sizeof counter});
  }

  /** Calls that only overwrite, so that a repeat gives the same bits. */
  std::vector<Call> pure_calls() {
    std::vector<Call> calls;
    const Costs costs = this->costs(false, M_), dropped = this->costs(true, M_);
    const Costs of_one = this->costs(false, M_ / kAdapters), of_one_dropped = this->costs(true, M_ / kAdapters);
    const double wide = static_cast<double>(size());
    calls.push_back({"lora_down",
                     [this](const pp_device& d) { down(d, nullptr, nullptr); },
                     {&s_out_},
                     wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     costs.down(false)});
    calls.push_back({"lora_down, dropout",
                     [this](const pp_device& d) { down(d, &dropout_, nullptr); },
                     {&s_out_},
                     wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     dropped.down(false)});
    calls.push_back({"lora_down, dropout, copy",
                     [this](const pp_device& d) { down(d, &dropout_, copy_.data()); },
                     {&s_out_, &copy_},
                     2 * wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     dropped.down(true)});
    calls.push_back({"lora_grad_up",
                     [this](const pp_device& d) {
                       check(pp_lora_grad_up(&d, dtype_, M_, N_, r_, dy_->data(), N_, b_->data(), r_, s_->data(), r_, 2.0f,
                                             ds_.data(), r_, db_.data<float>(), r_, 0, workspace_->data(),
                                             workspace_->bytes()));
                     },
                     {&ds_, &db_},
                     wide * M_ * N_,
                     4.0 * M_ * N_ * r_,
                     costs.grad_up()});
    calls.push_back({"lora_grad_down",
                     [this](const pp_device& d) { grad_down(d, nullptr); },
                     {&da_},
                     wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     costs.grad_down()});
    calls.push_back({"lora_grad_down, dropout",
                     [this](const pp_device& d) { grad_down(d, &dropout_); },
                     {&da_},
                     wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     dropped.grad_down()});
    calls.push_back({"adapter_forward",
                     [this](const pp_device& d) {
                       check(pp_adapter_forward(&d, dtype_, M_, K_, r_, x_->data(), K_, dx_->data(), K_, &adapter_,
                                                s_out_.data(), r_, out_.data(), K_, workspace_->data(), workspace_->bytes()));
                     },
                     {&s_out_, &out_},
                     3 * wide * M_ * K_,
                     4.0 * M_ * K_ * r_,
                     costs.adapter_forward()});
    calls.push_back({"adapter_backward",
                     [this](const pp_device& d) {
                       check(pp_adapter_backward(&d, dtype_, M_, K_, r_, dx_->data(), K_, x_->data(), K_, s_->data(), r_,
                                                 &adapter_, &gradients_, 0, out_.data(), K_, workspace_->data(),
                                                 workspace_->bytes()));
                     },
                     {&out_, &da_, &dd_, &du_matrix_, &du_},
                     3 * wide * M_ * K_,
                     8.0 * M_ * K_ * r_,
                     costs.adapter_backward()});
    calls.push_back({"output_magnitude",
                     [this](const pp_device& d) {
                       check(pp_output_magnitude(&d, dtype_, M_, N_, r_, s_->data(), r_, PP_IDENTITY, b_->data(), r_, nullptr,
                                                 nullptr, magnitude_.data<double>(), workspace_->data(), workspace_->bytes()));
                     },
                     {&magnitude_},
                     wide * (M_ + N_) * r_,
                     2.0 * M_ * N_ * r_,
                     costs.magnitude()});
    calls.push_back({"multi_lora_down, dropout",
                     [this](const pp_device& d) {
                       check(pp_multi_lora_down(&d, dtype_, M_, K_, x_->data(), K_, &multi_, s_out_.data(), r_,
                                                workspace_->data(), workspace_->bytes()));
                     },
                     {&s_out_},
                     wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     dropped.down(false)});
    calls.push_back({"lora_down, dropout, 8 calls",
                     [this](const pp_device& d) {
                       for (int i = 0; i < kAdapters; i++) {
                         const pp_lora_branch branch = {a_->data(),          K_, r_,      2.0f, adapters_[i].module,
                                                        rows(i, s_out_, r_), r_, nullptr, 0};
                         check(pp_lora_down(&d, dtype_, segments_[i].rows, K_, rows(i, *x_, K_), K_, &branch, 1, &dropout_,
                                            nullptr, K_, workspace_->data(), workspace_->bytes()));
                       }
                     },
                     {&s_out_},
                     wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     of_all(of_one_dropped.down(false))});
    calls.push_back({"multi_lora_grad_up",
                     [this](const pp_device& d) {
                       check(pp_multi_lora_grad_up(&d, dtype_, M_, N_, dy_->data(), N_, &multi_, s_->data(), r_, ds_.data(), r_,
                                                   0, workspace_->data(), workspace_->bytes()));
                     },
                     {&ds_, &multi_db_},
                     wide * M_ * N_,
                     4.0 * M_ * N_ * r_,
                     costs.grad_up()});
    calls.push_back({"lora_grad_up, 8 calls",
                     [this](const pp_device& d) {
                       for (int i = 0; i < kAdapters; i++)
                         check(pp_lora_grad_up(&d, dtype_, segments_[i].rows, N_, r_, rows(i, *dy_, N_), N_, b_->data(), r_,
                                               rows(i, *s_, r_), r_, 2.0f, rows(i, ds_, r_), r_, adapters_[i].db, r_, 0,
                                               workspace_->data(), workspace_->bytes()));
                     },
                     {&ds_, &multi_db_},
                     wide * M_ * N_,
                     4.0 * M_ * N_ * r_,
                     of_all(of_one.grad_up())});
    calls.push_back({"multi_lora_grad_down, dropout",
                     [this](const pp_device& d) {
                       check(pp_multi_lora_grad_down(&d, dtype_, M_, K_, x_->data(), K_, &multi_, s_->data(), r_, 0,
                                                     workspace_->data(), workspace_->bytes()));
                     },
                     {&multi_da_},
                     wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     dropped.grad_down()});
    calls.push_back({"lora_grad_down, dropout, 8 calls",
                     [this](const pp_device& d) {
                       for (int i = 0; i < kAdapters; i++) {
                         const pp_lora_branch branch = {nullptr,         0, r_, 2.0f, adapters_[i].module, rows(i, *s_, r_), r_,
                                                        adapters_[i].da, K_};
                         check(pp_lora_grad_down(&d, dtype_, segments_[i].rows, K_, rows(i, *x_, K_), K_, &branch, 1, &dropout_,
                                                 0, workspace_->data(), workspace_->bytes()));
                       }
                     },
                     {&multi_da_},
                     wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     of_all(of_one_dropped.grad_down())});
    calls.push_back({"lora_up, overwriting",
                     [this](const pp_device& d) {
                       check(pp_lora_up(&d, dtype_, M_, N_, r_, s_->data(), r_, b_->data(), r_, wide_out_.data(), N_, 0,
                                        workspace_->data(), workspace_->bytes()));
                     },
                     {&wide_out_},
                     wide * M_ * N_,
                     2.0 * M_ * N_ * r_,
                     costs.up(false)});
    calls.push_back({"lora_grad_input, dropout, overwriting",
                     [this](const pp_device& d) {
                       check(pp_lora_grad_input(&d, dtype_, M_, K_, &grad_branch_, 1, &dropout_, out_.data(), K_, 0,
                                                workspace_->data(), workspace_->bytes()));
                     },
                     {&out_},
                     wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     dropped.grad_input(false)});
    const double linear_flops = 2.0 * M_ * K_ * N_ + 2.0 * M_ * r_ * (K_ + N_);
    for (const pp_dropout* dropout : {static_cast<const pp_dropout*>(nullptr), static_cast<const pp_dropout*>(&dropout_)}) {
      const std::string suffix = dropout != nullptr ? ", dropout" : "";
      calls.push_back({"linear_forward" + suffix,
                       [this, dropout](const pp_device& d) {
                         check(pp_linear_forward(&d, linear_, M_, x_->data(), K_, &linear_branch_, 1, dropout, wide_out_.data(),
                                                 N_, workspace_->data(), workspace_->bytes()));
                       },
                       {&s_out_, &wide_out_},
                       0,
                       linear_flops,
                       (dropout != nullptr ? dropped : costs)
                           .fused_forward(chosen_path(linear_shape(dtype_, M_, K_, N_, r_, LinearDirection::kForward)))});
      calls.push_back({"linear_grad_input" + suffix,
                       [this, dropout](const pp_device& d) {
                         check(pp_linear_grad_input(&d, linear_, M_, dy_->data(), N_, &linear_grad_branch_, 1, dropout,
                                                    out_.data(), K_, workspace_->data(), workspace_->bytes()));
                       },
                       {&out_},
                       0,
                       2.0 * M_ * K_ * N_ + 2.0 * M_ * r_ * K_,
                       (dropout != nullptr ? dropped : costs)
                           .fused_grad_input(chosen_path(linear_shape(dtype_, M_, K_, N_, r_, LinearDirection::kGradInput)))});
    }
    return calls;
  }

  /** Calls that add to what is there. */
  std::vector<Call> adding_calls() {
    const double wide = static_cast<double>(size());
    const Costs costs = this->costs(false, M_), dropped = this->costs(true, M_);
    const Costs of_one = this->costs(false, M_ / kAdapters), of_one_dropped = this->costs(true, M_ / kAdapters);
    std::vector<Call> calls;
    calls.push_back({"lora_up",
                     [this](const pp_device& d) {
                       check(pp_lora_up(&d, dtype_, M_, N_, r_, s_->data(), r_, b_->data(), r_, y_->data(), N_, 1,
                                        workspace_->data(), workspace_->bytes()));
                     },
                     {y_.get()},
                     2 * wide * M_ * N_,
                     2.0 * M_ * N_ * r_,
                     costs.up()});
    calls.push_back({"lora_grad_input",
                     [this](const pp_device& d) { grad_input(d, nullptr); },
                     {dx_.get()},
                     2 * wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     costs.grad_input()});
    calls.push_back({"lora_grad_input, dropout",
                     [this](const pp_device& d) { grad_input(d, &dropout_); },
                     {dx_.get()},
                     2 * wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     dropped.grad_input()});
    calls.push_back({"multi_lora_up",
                     [this](const pp_device& d) {
                       check(pp_multi_lora_up(&d, dtype_, M_, N_, &multi_, s_->data(), r_, y_->data(), N_, workspace_->data(),
                                              workspace_->bytes()));
                     },
                     {y_.get()},
                     2 * wide * M_ * N_,
                     2.0 * M_ * N_ * r_,
                     costs.up()});
    calls.push_back({"lora_up, 8 calls",
                     [this](const pp_device& d) {
                       for (int i = 0; i < kAdapters; i++)
                         check(pp_lora_up(&d, dtype_, segments_[i].rows, N_, r_, rows(i, *s_, r_), r_, b_->data(), r_,
                                          rows(i, *y_, N_), N_, 1, workspace_->data(), workspace_->bytes()));
                     },
                     {y_.get()},
                     2 * wide * M_ * N_,
                     2.0 * M_ * N_ * r_,
                     of_all(of_one.up())});
    calls.push_back({"multi_lora_grad_input, dropout",
                     [this](const pp_device& d) {
                       check(pp_multi_lora_grad_input(&d, dtype_, M_, K_, &multi_, s_->data(), r_, dx_->data(), K_,
                                                      workspace_->data(), workspace_->bytes()));
                     },
                     {dx_.get()},
                     2 * wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     dropped.grad_input()});
    calls.push_back({"lora_grad_input, dropout, 8 calls",
                     [this](const pp_device& d) {
                       for (int i = 0; i < kAdapters; i++) {
                         const pp_lora_branch branch = {a_->data(),       K_, r_,      2.0f, adapters_[i].module,
                                                        rows(i, *s_, r_), r_, nullptr, 0};
                         check(pp_lora_grad_input(&d, dtype_, segments_[i].rows, K_, &branch, 1, &dropout_, rows(i, *dx_, K_),
                                                  K_, 1, workspace_->data(), workspace_->bytes()));
                       }
                     },
                     {dx_.get()},
                     2 * wide * M_ * K_,
                     2.0 * M_ * K_ * r_,
                     of_all(of_one_dropped.grad_input())});
    return calls;
  }

 private:
  static constexpr int kAdapters = 8;
  size_t size() const { return pp_dtype_size(dtype_); }
  Costs costs(bool dropout, int64_t M) const {
    return {static_cast<double>(M),  static_cast<double>(K_),     static_cast<double>(N_),
            static_cast<double>(r_), static_cast<double>(size()), dropout};
  }

  /** One call for each adapter. */
  static Cost of_all(const Cost& one) {
    Cost cost = {};
    for (int i = 0; i < kAdapters; i++) cost += one;
    return cost;
  }
  /** An adapter's rows of a matrix of the type. */
  void* rows(int adapter, const Memory& matrix, int64_t columns) const {
    return matrix.data<char>() + static_cast<size_t>(segments_[adapter].first_row * columns) * size();
  }

  /** The rows shared out among several adapters, which differ in their gradients alone. */
  void share_out_rows() {
    for (int i = 0; i < kAdapters; i++) {
      adapters_[i] = {r_,
                      a_->data(),
                      K_,
                      b_->data(),
                      r_,
                      2.0f,
                      static_cast<uint32_t>(i),
                      multi_da_.data<float>() + i * r_ * K_,
                      K_,
                      multi_db_.data<float>() + i * N_ * r_,
                      r_};
      const int64_t first = M_ * i / kAdapters;
      segments_[i] = {first, M_ * (i + 1) / kAdapters - first, i, &dropout_};
    }
  }

  void down(const pp_device& device, const pp_dropout* dropout, void* copy) {
    check(pp_lora_down(&device, dtype_, M_, K_, x_->data(), K_, &down_branch_, 1, dropout, copy, K_, workspace_->data(),
                       workspace_->bytes()));
  }
  void grad_down(const pp_device& device, const pp_dropout* dropout) {
    check(pp_lora_grad_down(&device, dtype_, M_, K_, x_->data(), K_, &grad_branch_, 1, dropout, 0, workspace_->data(),
                            workspace_->bytes()));
  }
  void grad_input(const pp_device& device, const pp_dropout* dropout) {
    check(pp_lora_grad_input(&device, dtype_, M_, K_, &grad_branch_, 1, dropout, dx_->data(), K_, 1, workspace_->data(),
                             workspace_->bytes()));
  }

  pp_dtype dtype_;
  int64_t M_, K_, N_, r_;
  std::unique_ptr<Memory> x_, dy_, a_, b_, s_, y_, dx_, bias_, u_, w_;
  Memory s_out_, copy_, ds_, out_, wide_out_, da_, db_, du_, dd_, du_matrix_, magnitude_;
  pp_dropout dropout_;
  Memory counter_{2 * sizeof(uint32_t)};
  pp_lora_branch down_branch_, grad_branch_;
  pp_linear_branch linear_branch_, linear_grad_branch_;
  pp_linear* linear_ = nullptr;
  Memory multi_da_, multi_db_;
  pp_lora_adapter adapters_[kAdapters];
  pp_lora_segment segments_[kAdapters];
  pp_multi_lora multi_ = {adapters_, kAdapters, segments_, kAdapters};
  pp_adapter adapter_;
  pp_adapter_gradients gradients_;
  std::unique_ptr<Memory> workspace_;
};

/** K and N of each of a layer's linears. */
using LinearSizes = std::vector<std::pair<int64_t, int64_t>>;

/** Modules with an A and a B each, as in a model, whose layers are alike. */
class Modules {
 public:
  Modules(pp_dtype dtype, int layers, const LinearSizes& linears, int64_t r, uint64_t seed) {
    std::vector<pp_segment> segments;
    std::vector<int64_t> offsets;
    for (int layer = 0; layer < layers; layer++)
      for (const auto& [K, N] : linears)
        for (int64_t n : {K * r, N * r}) {
          segments.push_back({nullptr, nullptr, n, static_cast<int32_t>(segments.size() / 2), 0});
          offsets.push_back(weights_);
          weights_ += (n + 7) / 8 * 8;
        }
    modules_ = static_cast<int32_t>(segments.size() / 2);
    w_ = random_elements(dtype, weights_, seed);
    g_ = random_elements(dtype, weights_, seed + 1);
    for (size_t i = 0; i < segments.size(); i++) {
      segments[i].w = w_->data<char>() + static_cast<size_t>(offsets[i]) * pp_dtype_size(dtype);
      segments[i].g = g_->data<char>() + static_cast<size_t>(offsets[i]) * pp_dtype_size(dtype);
    }
    const pp_device device = {PP_CUDA, 0, nullptr};
    check(
        pp_importance_plan_create(&device, dtype, segments.data(), static_cast<int64_t>(segments.size()), modules_, 1, &plan_));
    workspace_ = std::make_unique<Memory>(pp_importance_workspace(plan_));
    table_ = std::make_unique<Memory>(static_cast<size_t>(modules_) * PP_STATISTICS * sizeof(double));
    threshold_ = std::make_unique<Memory>(sizeof(float));
    bytes_ = static_cast<double>(weights_) * static_cast<double>(pp_dtype_size(dtype));
    rounds_ = dtype == PP_FLOAT32 ? 3 : 2;
  }
  ~Modules() { pp_importance_plan_destroy(plan_); }

  std::vector<Call> calls() {
    return {
        {"importance",
         [this](const pp_device& d) {
           check(
               pp_importance(&d, plan_, PP_FLOAT16, nullptr, table_->data<double>(), workspace_->data(), workspace_->bytes()));
         },
         {table_.get()},
         2 * bytes_,
         0,
         {2 * bytes_, 0, 0, 1}},
        {"importance_quantile",
         [this](const pp_device& d) {
           check(pp_importance_quantile(&d, plan_, 0.5, threshold_->data<float>(), workspace_->data(), workspace_->bytes()));
         },
         {threshold_.get()},
         rounds_ * bytes_,
         0,
         {rounds_ * bytes_, 0, 0, 2 * rounds_}}};
  }
  size_t bytes() const { return w_->bytes() + g_->bytes(); }

 private:
  int64_t weights_ = 0;
  int32_t modules_ = 0;
  double bytes_ = 0;
  int rounds_ = 0;
  std::unique_ptr<Memory> w_, g_, workspace_, table_, threshold_;
  pp_importance_plan* plan_ = nullptr;
};

/**
 * AdamW's state of such modules, and copies of their weights in the type. These lie in rows as long as those of the bordered
 * operands [[W,B],[A,0]], but one buffer has the A and B of all layers of a linear.
 */
class Training {
 public:
  Training(pp_dtype dtype, int layers, const LinearSizes& linears, int64_t r, uint64_t seed) {
    const size_t size = pp_dtype_size(dtype);
    for (const auto& [K, N] : linears) {
      borders_.push_back(std::make_unique<Memory>(static_cast<size_t>((N + layers * r) * (K + layers * r)) * size));
      borders_.back()->poison(0);
    }
    std::vector<pp_weight_copy> copies;
    Cost step = {};
    for (int layer = 0; layer < layers; layer++)
      for (size_t i = 0; i < linears.size(); i++) {
        const auto [K, N] = linears[i];
        const int64_t ld = K + layers * r;
        const auto in_border = [&, i = i](int64_t row, int64_t column) {
          return borders_[i]->data<char>() + static_cast<size_t>(row * ld + column) * size;
        };
        copies.push_back({weights_, r, K, in_border(N + layer * r, 0), ld});
        weights_ += r * K;
        copies.push_back({weights_, N, r, in_border(0, layer * r), ld});
        weights_ += N * r;
        step +=
            Costs{0, static_cast<double>(K), static_cast<double>(N), static_cast<double>(r), static_cast<double>(size)}.adamw();
      }
    step.launches = 1;
    step_cost_ = step;
    copied_bytes_ = static_cast<double>(weights_) * static_cast<double>(size);
    w_ = random_elements(PP_FLOAT32, weights_, seed);
    g_ = random_elements(PP_FLOAT32, weights_, seed + 1);
    for (auto* state : {&mean_, &square_}) {
      *state = std::make_unique<Memory>(w_->bytes());
      (*state)->poison(0);
    }
    const pp_device device = {PP_CUDA, 0, nullptr};
    check(pp_adamw_create(&device, dtype, weights_, copies.data(), static_cast<int64_t>(copies.size()), &plan_));
  }
  ~Training() { pp_adamw_destroy(plan_); }
  Training(const Training&) = delete;

  /** Calls that change what is there. */
  std::vector<Call> calls() {
    std::vector<Memory*> copies, written = {w_.get(), mean_.get(), square_.get()};
    for (const auto& border : borders_) copies.push_back(border.get());
    written.insert(written.end(), copies.begin(), copies.end());
    const double refreshed = static_cast<double>(w_->bytes()) + copied_bytes_;
    // The copies are not the weights' before the first call.
    return {{"adamw_refresh",
             [this](const pp_device& d) { check(pp_adamw_refresh(&d, plan_, w_->data<float>())); },
             copies,
             refreshed,
             0,
             {refreshed, 0, 0, 1}},
            {"adamw",
             [this](const pp_device& d) {
               const pp_adamw_settings settings = {1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f, 3};
               check(pp_adamw_step(&d, plan_, &settings, w_->data<float>(), g_->data<float>(), mean_->data<float>(),
                                   square_->data<float>()));
             },
             written, step_cost_.bytes, 0, step_cost_}};
  }
  size_t bytes() const {
    size_t bytes = 4 * w_->bytes();
    for (const auto& border : borders_) bytes += border->bytes();
    return bytes;
  }

 private:
  int64_t weights_ = 0;
  double copied_bytes_ = 0;
  Cost step_cost_ = {};
  std::vector<std::unique_ptr<Memory>> borders_;
  std::unique_ptr<Memory> w_, g_, mean_, square_;
  pp_adamw* plan_ = nullptr;
};
}  // namespace gpu_check
