// Operands of every family at one shape, and the calls on them. Outputs are apart from inputs, so that they can be poisoned.
#pragma once

#include <functional>
#include <string>

#include "device.h"
#include "fused_path.h"
#include "linear/cuda/path_choice.h"
#include "prunepeft/importance.h"
#include "prunepeft/linear.h"

namespace gpu_check {
using prunepeft::cuda::Ceilings;
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
  /** What is expected of it in microseconds, where that is more than its cost says: its parts follow each other, or do not. */
  std::function<double(const Ceilings&)> predicted = nullptr;
  /** The bytes of memory that it reads or writes, each counted once; 0: `bytes`. */
  double touched = 0;

  size_t touched_bytes() const { return static_cast<size_t>(touched > 0 ? touched : bytes); }
};

inline double predict(const Ceilings& ceilings, const Call& call) {
  return call.predicted ? call.predicted(ceilings) : predict(ceilings, call.cost);
}

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
        x_(dtype, M, K, seed),
        dy_(dtype, M, N, seed + 1),
        a_(dtype, r, K, seed + 2),
        b_(dtype, N, r, seed + 3),
        s_(dtype, M, r, seed + 4),
        y_(dtype, M, N, seed + 5),
        dx_(dtype, M, K, seed + 6),
        down_bias_(dtype, 1, r, seed + 7),
        up_bias_(dtype, 1, K, seed + 7),
        u_(dtype, K, r, seed + 8),
        w_(dtype, N, K, seed + 9),
        s_out_(dtype, M, r),
        ds_(dtype, M, r),
        out_(dtype, M, K),
        wide_out_(dtype, M, N),
        da_(PP_FLOAT32, r, K),
        db_(PP_FLOAT32, N, r),
        du_(PP_FLOAT32, K, r),
        dd_bias_(PP_FLOAT32, 1, r),
        du_bias_(PP_FLOAT32, 1, K),
        all_da_(PP_FLOAT32, kModules * r, K),
        all_db_(PP_FLOAT32, kModules * N, r) {
    const pp_context context = workspace_.on(kDevice);
    check(pp_linear_create(&context, w_, nullptr, &linear_));
    mask_.poison(0x5a);
  }
  ~Operands() { pp_linear_destroy(linear_); }
  Operands(const Operands&) = delete;

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
    const double x_bytes = static_cast<double>(x_.bytes()), y_bytes = static_cast<double>(y_.bytes());
    const double x_flops = flops(M_, K_, r_), y_flops = flops(M_, N_, r_), w_flops = flops(M_, K_, N_);
    const auto down = [this](auto c, auto m, auto n) { return pp_lora_down(c, x_, m, n); };
    add(&calls, {"lora_down", true, true, &s_out_, nullptr, {&s_out_}, {&s_out_}, x_bytes, x_flops, down, &Costs::down});
    const auto grad_up = [this](auto c, auto m, auto n) { return pp_lora_grad_up(c, dy_, m, n); };
    add(&calls, {"lora_grad_up",
                 false,
                 true,
                 &s_,
                 &ds_,
                 {&ds_, &db_},
                 {&ds_, &all_db_},
                 y_bytes,
                 2 * y_flops,
                 grad_up,
                 &Costs::grad_up});
    const auto grad_down = [this](auto c, auto m, auto n) { return pp_lora_grad_down(c, x_, m, n); };
    add(&calls,
        {"lora_grad_down", true, true, nullptr, &s_, {&da_}, {&all_da_}, x_bytes, x_flops, grad_down, &Costs::grad_down});
    const auto up = [this](auto c, auto m, auto n) { return pp_lora_up(c, m, n, wide_out_, 0); };
    const auto up_cost = [](const Costs& c) { return c.up(false); };
    add(&calls, {"lora_up, overwriting", false, false, &s_, nullptr, {&wide_out_}, {}, y_bytes, y_flops, up, up_cost});
    const auto grad_input = [this](auto c, auto m, auto n) { return pp_lora_grad_input(c, m, n, out_, 0); };
    const auto input_cost = [](const Costs& c) { return c.grad_input(false); };
    add(&calls,
        {"lora_grad_input, overwriting", true, false, nullptr, &s_, {&out_}, {}, x_bytes, x_flops, grad_input, input_cost});
    const auto forward = [this](auto c, auto m, auto n) { return pp_linear_forward(c, linear_, x_, m, n, wide_out_); };
    const auto y_cost = [this](const Costs& c) { return c.fused_forward(path(LinearDirection::kForward, c.masks > 0)); };
    add(&calls, {"linear_forward",
                 true,
                 false,
                 &s_out_,
                 nullptr,
                 {&s_out_, &wide_out_},
                 {},
                 0,
                 w_flops + x_flops + y_flops,
                 forward,
                 y_cost});
    const auto dx = [this](auto c, auto m, auto n) { return pp_linear_grad_input(c, linear_, dy_, m, n, out_); };
    const auto dx_cost = [this](const Costs& c) { return c.fused_grad_input(path(LinearDirection::kGradInput, c.masks > 0)); };
    add(&calls, {"linear_grad_input", true, false, nullptr, &s_, {&out_}, {}, 0, w_flops + x_flops, dx, dx_cost});
    const auto backward = [this](auto c, auto m, auto n) { return pp_linear_backward(c, linear_, dy_, nullptr, m, n, out_); };
    const auto backward_cost = [this](const Costs& c) {
      const LinearPath taken = path_of(r_, LinearDirection::kGradInput, false);
      if (taken == LinearPath::kClustersWithS) return c.grad_input_with_ds();
      Cost cost = c.fused_grad_input(taken);
      cost += c.grad_up();
      return cost;
    };
    const auto backward_time = [this](const Ceilings& ceilings, const Costs& c) {
      const LinearPath taken = path_of(r_, LinearDirection::kGradInput, false);
      if (taken == LinearPath::kClustersWithS) return predict(ceilings, c.grad_input_with_ds());
      return prunepeft::cuda::predict_sequence(ceilings, c.fused_grad_input(taken), c.grad_up());
    };
    add(&calls, {"linear_backward",
                 false,
                 false,
                 &s_,
                 &ds_,
                 {&ds_, &db_, &out_},
                 {},
                 0,
                 w_flops + x_flops + 2 * y_flops,
                 backward,
                 backward_cost,
                 backward_time});
    const auto with_da = [this](auto c, auto m, auto n) { return pp_linear_backward(c, linear_, dy_, x_, m, n, out_); };
    const auto with_da_cost = [backward_cost](const Costs& c) {
      Cost cost = backward_cost(c);
      cost += c.grad_down();
      return cost;
    };
    // dA beside dX or after it, as linear_cuda.cu has it, but by the ceilings of this run in place of the device's rates.
    const auto with_da_time = [this](const Ceilings& ceilings, const Costs& c) {
      const LinearPath taken = path_of(r_, LinearDirection::kGradInput, false);
      const bool makes_ds = taken == LinearPath::kClustersWithS;
      const bool beside =
          pp_internal_forced_linear_path() >= 0 ? is_by_warpgroups(taken) && !makes_ds : branch_pays(ceilings, c, taken);
      return beside ? predict_branched(ceilings, c, taken) : predict_backward(ceilings, c, PP_FUSED, taken);
    };
    add(&calls, {"linear_backward with dA",
                 false,
                 false,
                 &s_,
                 &ds_,
                 {&ds_, &db_, &out_, &da_},
                 {},
                 0,
                 w_flops + 2 * x_flops + 2 * y_flops,
                 with_da,
                 with_da_cost,
                 with_da_time});
    const Costs costs = this->costs(false, M_);
    const pp_adapter adapter = {a_.view(), down_bias_.view(), u_.view(), up_bias_.view(), PP_GELU};
    calls.push_back({"adapter_forward",
                     [this, adapter](const pp_device& device) {
                       const pp_context context = workspace_.on(device);
                       check(pp_adapter_forward(&context, x_, dx_, &adapter, s_out_, out_));
                     },
                     {&s_out_, &out_},
                     3 * x_bytes,
                     2 * x_flops,
                     costs.adapter_forward()});
    const pp_adapter_gradients gradients = {da_.view(), dd_bias_.view(), du_.view(), du_bias_.view()};
    calls.push_back({"adapter_backward",
                     [this, adapter, gradients](const pp_device& device) {
                       const pp_context context = workspace_.on(device);
                       check(pp_adapter_backward(&context, dx_, x_, s_, &adapter, &gradients, out_));
                     },
                     {&out_, &da_, &dd_bias_, &du_, &du_bias_},
                     3 * x_bytes,
                     4 * x_flops,
                     costs.adapter_backward()});
    calls.push_back({"output_magnitude",
                     [this](const pp_device& device) {
                       const pp_context context = workspace_.on(device);
                       check(pp_output_magnitude(&context, s_, PP_IDENTITY, b_, nullptr, nullptr, magnitude_.data<double>()));
                     },
                     {&magnitude_},
                     static_cast<double>(s_.bytes() + b_.bytes()),
                     y_flops,
                     costs.magnitude()});
    return calls;
  }

  /** Calls that add to what is there. */
  std::vector<Call> adding_calls() {
    std::vector<Call> calls;
    const auto up = [this](auto c, auto m, auto n) { return pp_lora_up(c, m, n, y_, 1); };
    const auto up_cost = [](const Costs& c) { return c.up(); };
    add(&calls, {"lora_up",
                 false,
                 true,
                 &s_,
                 nullptr,
                 {&y_},
                 {&y_},
                 2.0 * static_cast<double>(y_.bytes()),
                 flops(M_, N_, r_),
                 up,
                 up_cost});
    const auto grad_input = [this](auto c, auto m, auto n) { return pp_lora_grad_input(c, m, n, dx_, 1); };
    const auto input_cost = [](const Costs& c) { return c.grad_input(); };
    add(&calls, {"lora_grad_input",
                 true,
                 true,
                 nullptr,
                 &s_,
                 {&dx_},
                 {&dx_},
                 2.0 * static_cast<double>(x_.bytes()),
                 flops(M_, K_, r_),
                 grad_input,
                 input_cost});
    return calls;
  }

 private:
  static constexpr int kModules = 8;

  /** A function of the linear family. */
  struct Function {
    std::string name;
    bool drops;
    bool several;     // also with several modules, in one call and in a call for each
    const Matrix* s;  // of its modules
    const Matrix* ds;
    std::vector<Memory*> outputs, outputs_of_several;
    double bytes, flops;
    std::function<pp_status(const pp_context*, const pp_lora_module*, int32_t)> run;
    std::function<Cost(const Costs&)> cost;
    std::function<double(const Ceilings&, const Costs&)> time = nullptr;  // where a call has more than its cost
  };

  /** What a function touches at least: what it adds to is read and written; a linear reads x or dy and writes another. */
  double touched(const Function& f) const {
    if (f.bytes == 0) return static_cast<double>(x_.bytes() + y_.bytes());
    return f.name == "lora_up" || f.name == "lora_grad_input" ? f.bytes / 2 : f.bytes;
  }

  static double flops(int64_t m, int64_t k, int64_t n) {
    return 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
  }
  Costs costs(bool dropout, int64_t M) const {
    return {static_cast<double>(M),
            static_cast<double>(K_),
            static_cast<double>(N_),
            static_cast<double>(r_),
            static_cast<double>(pp_dtype_size(dtype_)),
            dropout,
            device_traits().multiprocessors,
            false,
            1,
            0,
            1,
            static_cast<double>(device_traits().l2_bytes),
            true,
            device_traits().shared_bytes_per_block};
  }
  LinearPath path(LinearDirection direction, bool dropout) const {
    return path_of(direction == LinearDirection::kForward ? r_ : 0, direction, dropout);
  }
  /** The path of a product that may make S or dS of so many ranks: what is chosen, or in force. */
  LinearPath path_of(int64_t ranks, LinearDirection direction, bool dropout) const {
    const int forced = pp_internal_forced_linear_path();
    if (forced >= 0) return static_cast<LinearPath>(forced);
    return chosen_path(linear_shape(dtype_, M_, K_, N_, ranks, direction, dropout));
  }

  /** The function with one module, without and with dropout if it drops, and with several, with dropout if it drops. */
  void add(std::vector<Call>* calls, const Function& f) {
    for (const bool drops : {false, true}) {
      if (drops && !f.drops) continue;
      const Costs of_one = costs(drops, M_);
      add_call(calls, f, f.name + (drops ? ", dropout" : ""), {module_of(f, drops)}, false, f.cost(of_one));
      if (f.time) calls->back().predicted = [f, of_one](const Ceilings& ceilings) { return f.time(ceilings, of_one); };
    }
    if (f.drops) add_with_mask(calls, f);
    if (!f.several) return;
    std::vector<pp_lora_module> modules;
    for (int i = 0; i < kModules; i++) modules.push_back(part_of(f, i));
    Cost of_all = {};
    for (int i = 0; i < kModules; i++) of_all += f.cost(costs(f.drops, M_ / kModules));
    const std::string name = f.name + (f.drops ? ", dropout, " : ", ") + std::to_string(kModules);
    Costs of_runs = costs(f.drops, M_);
    of_runs.runs = kModules;
    add_call(calls, f, name + " modules", modules, false, f.cost(of_runs));
    add_call(calls, f, name + " calls", modules, true, of_all);
  }
  /** The function with a module that keeps its mask: forward it writes the mask, else it reads what is there. */
  void add_with_mask(std::vector<Call>* calls, Function f) {
    const bool writes = f.s == &s_out_;
    if (writes) f.outputs.push_back(&mask_);
    pp_lora_module module = module_of(f, true);
    module.kept_mask = mask_.data<void>();
    Costs costs = this->costs(true, M_);
    costs.kept = true;
    add_call(calls, f, f.name + (writes ? ", dropout, mask written" : ", mask read"), {module}, false, f.cost(costs));
  }
  void add_call(std::vector<Call>* calls, const Function& f, const std::string& name,
                const std::vector<pp_lora_module>& modules, bool one_by_one, const Cost& cost) {
    const auto run = [this, f, modules, one_by_one](const pp_device& device) {
      const pp_context context = workspace_.on(device);
      const auto count = static_cast<int32_t>(modules.size());
      if (!one_by_one) return check(f.run(&context, modules.data(), count));
      for (const pp_lora_module& module : modules) check(f.run(&context, &module, 1));
    };
    calls->push_back({name, run, modules.size() > 1 ? f.outputs_of_several : f.outputs, f.bytes, f.flops, cost});
    calls->back().touched = touched(f);
  }

  pp_lora_module module_of(const Function& f, bool drops) const {
    const pp_matrix none = {};
    return {a_.view(),
            b_.view(),
            0,
            0,
            M_,
            2.0f,
            9,
            drops ? &dropout_ : nullptr,
            f.s == nullptr ? none : f.s->view(),
            f.ds == nullptr ? none : f.ds->view(),
            da_.view(),
            db_.view(),
            nullptr};
  }
  /** One of several, which share out the rows and differ in masks and gradients alone. */
  pp_lora_module part_of(const Function& f, int i) const {
    pp_lora_module module = module_of(f, true);
    module.first_row = M_ * i / kModules;
    module.rows = M_ * (i + 1) / kModules - module.first_row;
    module.mask = static_cast<uint32_t>(i);
    module.da.data = all_da_.data<float>() + i * r_ * K_;
    module.db.data = all_db_.data<float>() + i * N_ * r_;
    return module;
  }

  pp_dtype dtype_;
  int64_t M_, K_, N_, r_;
  Matrix x_, dy_, a_, b_, s_, y_, dx_, down_bias_, up_bias_, u_, w_;
  Matrix s_out_, ds_, out_, wide_out_, da_, db_, du_, dd_bias_, du_bias_, all_da_, all_db_;
  Memory magnitude_{sizeof(double)}, counter_{2 * sizeof(uint32_t)}, mask_{pp_kept_mask_bytes(M_, K_)};
  pp_dropout dropout_{0.1f, 3, 5, 7, nullptr};
  pp_linear* linear_ = nullptr;
  Workspace workspace_;
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
    w_ = std::make_unique<Matrix>(dtype, 1, weights_, seed);
    g_ = std::make_unique<Matrix>(dtype, 1, weights_, seed + 1);
    for (size_t i = 0; i < segments.size(); i++) {
      segments[i].w = w_->data<char>() + static_cast<size_t>(offsets[i]) * pp_dtype_size(dtype);
      segments[i].g = g_->data<char>() + static_cast<size_t>(offsets[i]) * pp_dtype_size(dtype);
    }
    const pp_context context = workspace_.on(kDevice);
    check(pp_importance_plan_create(&context, dtype, segments.data(), static_cast<int64_t>(segments.size()), modules_, 1,
                                    &plan_));
    table_ = std::make_unique<Memory>(static_cast<size_t>(modules_) * PP_STATISTICS * sizeof(double));
    threshold_ = std::make_unique<Memory>(sizeof(float));
    bytes_ = static_cast<double>(weights_) * static_cast<double>(pp_dtype_size(dtype));
    rounds_ = prunepeft::cuda::quantile_rounds(static_cast<int64_t>(pp_dtype_size(dtype)));
  }
  ~Modules() { pp_importance_plan_destroy(plan_); }

  std::vector<Call> calls() {
    return {{"importance",
             [this](const pp_device& device) {
               const pp_context context = workspace_.on(device);
               check(pp_importance(&context, plan_, PP_FLOAT16, nullptr, table_->data<double>()));
             },
             {table_.get()},
             2 * bytes_,
             0,
             prunepeft::cuda::importance_cost(static_cast<double>(weights_), bytes_ / static_cast<double>(weights_))},
            {"importance_quantile",
             [this](const pp_device& device) {
               const pp_context context = workspace_.on(device);
               check(pp_importance_quantile(&context, plan_, 0.5, threshold_->data<float>()));
             },
             {threshold_.get()},
             rounds_ * bytes_,
             0,
             prunepeft::cuda::quantile_cost(static_cast<double>(weights_),
                                            static_cast<int64_t>(bytes_ / static_cast<double>(weights_))),
             nullptr,
             bytes_}};
  }
  size_t bytes() const { return w_->bytes() + g_->bytes(); }

 private:
  int64_t weights_ = 0;
  int32_t modules_ = 0;
  double bytes_ = 0;
  int rounds_ = 0;
  Workspace workspace_;
  std::unique_ptr<Matrix> w_, g_;
  std::unique_ptr<Memory> table_, threshold_;
  pp_importance_plan* plan_ = nullptr;
};
}  // namespace gpu_check
