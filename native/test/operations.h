// One call of each function that computes, on small operands of its own: for tests that ask the same of all of them.
#pragma once

#include <array>
#include <utility>

#include "buffers.h"
#include "prunepeft/adapter.h"
#include "prunepeft/encoder.h"
#include "prunepeft/importance.h"

/** A function with all its arguments but the context, of which it takes the workspace too. */
struct Operation {
  std::string name;
  std::function<pp_status(const pp_context& context)> call;
  /** All that it writes. */
  std::vector<Matrix*> outputs;
  /** Each gives an object among its arguments another pointer, and returns the one that was there. */
  std::vector<std::function<const void*(const void*)>> objects = {};

  /** The function's. */
  std::string function() const { return name.substr(0, name.find(' ')); }

  std::vector<Matrix> written() const {
    std::vector<Matrix> copies;
    for (const Matrix* output : outputs) copies.push_back(*output);
    return copies;
  }
};

/**
 * The operands, of float32 or, where the CPU takes it, bfloat16. Rows 0 to 2 have two modules, rows 3 and 4 none, row 5 one, so
 * that a call has several parts, of which the last takes the most workspace.
 */
class Operations {
 public:
  static constexpr int64_t M = 6, K = 10, N = 12, kRank = 4, kMostRank = 120, kWidth = 5;

  explicit Operations(const pp_device& device, pp_dtype dtype = PP_FLOAT32) : device_(device), dtype_(dtype) {
    const pp_context context{device_, nullptr};
    CHECK_EQUAL(pp_linear_create(&context, &w_view_, &bias_view_, &linear), PP_OK);
    CHECK_EQUAL(pp_importance_plan_create(&context, PP_FLOAT32, &segment_, 1, 1, 1, &plan), PP_OK);
    if (device_.type == PP_CPU) {
      const pp_matrix views[] = {w_qkv_.view(), w_context_.view(), w_view_, w_output_.view()};
      for (size_t i = 0; i < of_layer.size(); ++i)
        CHECK_EQUAL(pp_linear_create(&context, &views[i], nullptr, &of_layer[i]), PP_OK);
    }
    const pp_context on_cpu{kCpu, nullptr};
    CHECK_EQUAL(pp_quantize(&on_cpu, &w_view_, &codes_view_), PP_OK);
    CHECK_EQUAL(pp_linear_create_quantized(&context, &codes_view_, &bias_view_, dtype_, &quantized), PP_OK);
    CHECK_EQUAL(pp_linear_borrow(&context, &w_view_, &bias_view_, &borrowed), PP_OK);
    for (size_t i = 0; i < modules_.size(); ++i) {
      Module& of = modules_[i];
      pp_lora_module& to = table_[i];
      to.a = of.a.view();
      to.b = of.b.view();
      to.first_row = i == 2 ? 5 : 0;
      to.rows = i == 2 ? 1 : 3;
      to.scale = 0.5f;
      to.s = of.s.view();
      to.ds = of.ds.view();
      to.da = of.da.view();
      to.db = of.db.view();
    }
    on_all_rows_ = table_[0];
    on_all_rows_.rows = M;
    const pp_layer_norm norm{weights_up_bias_.view(), weights_up_bias_.view(), 1e-5f};
    const auto block = [&](const pp_linear* of) { return pp_layer_block{{of, nullptr, 0}, &layer_adapter_, 1, norm}; };
    layer_ = {attention_,        {of_layer[0], &on_all_rows_, 1}, block(of_layer[1]), {of_layer[2], nullptr, 0}, PP_GELU,
              block(of_layer[3])};
  }
  ~Operations() {
    CHECK_EQUAL(pp_linear_destroy(linear), PP_OK);
    CHECK_EQUAL(pp_linear_destroy(quantized), PP_OK);
    CHECK_EQUAL(pp_linear_destroy(borrowed), PP_OK);
    for (pp_linear* one : of_layer) CHECK_EQUAL(pp_linear_destroy(one), PP_OK);
    CHECK_EQUAL(pp_importance_plan_destroy(plan), PP_OK);
  }
  Operations(const Operations&) = delete;

  std::vector<Operation> all() {
    const pp_lora_module* const modules = table_.data();
    std::vector<Matrix*> s, gradients_up, da;
    for (Module& module : modules_) {
      s.push_back(&module.s);
      gradients_up.push_back(&module.ds);
      gradients_up.push_back(&module.db);
      da.push_back(&module.da);
    }
    std::vector<Matrix*> s_and_y = s, gradients_and_dx = gradients_up;
    s_and_y.push_back(&y_);
    gradients_and_dx.insert(gradients_and_dx.end(), da.begin(), da.end());
    gradients_and_dx.push_back(&dx_);
    std::vector<Operation> all{
        {"pp_lora_grad_up", [=](const pp_context& in) { return pp_lora_grad_up(&in, &dy_view_, modules, 3); }, gradients_up},
        {"pp_lora_grad_down", [=](const pp_context& in) { return pp_lora_grad_down(&in, &x_view_, modules, 3); }, da},
        {"pp_adapter_forward",
         [=](const pp_context& in) { return pp_adapter_forward(&in, &x_view_, &h_view_, &adapter_, &z_view_, &out_view_); },
         {&z_, &out_}},
        {"pp_adapter_backward",
         [=](const pp_context& in) {
           return pp_adapter_backward(&in, &dout_view_, &x_view_, &z_view_, &adapter_, &adapter_gradients_, &dx_view_);
         },
         {&down_, &down_bias_, &up_, &up_bias_, &dx_}},
    };
    // Of the linear that `place` has when a call is made.
    const auto add_linear = [&](const std::string& kind, pp_linear** place) {
      all.push_back({"pp_linear_forward" + kind,
                     [=](const pp_context& in) { return pp_linear_forward(&in, *place, &x_view_, modules, 3, &y_view_); },
                     s_and_y,
                     {exchange(place)}});
      all.push_back({"pp_linear_grad_input" + kind,
                     [=](const pp_context& in) { return pp_linear_grad_input(&in, *place, &dy_view_, modules, 3, &dx_view_); },
                     {&dx_},
                     {exchange(place)}});
      all.push_back(
          {"pp_linear_backward" + kind,
           [=](const pp_context& in) { return pp_linear_backward(&in, *place, &dy_view_, &x_view_, modules, 3, &dx_view_); },
           gradients_and_dx,
           {exchange(place)}});
      if (device_.type != PP_CPU) return;
      all.push_back({"pp_linear_rows" + kind,
                     [=](const pp_context& in) { return pp_linear_rows(&in, *place, 3, &dx_view_); },
                     {&dx_},
                     {exchange(place)}});
    };
    add_linear("", &linear);
    add_linear(" quantised", &quantized);
    add_linear(" borrowed", &borrowed);
    if (device_.type == PP_CPU) {
      all.push_back({"pp_attention_forward",
                     [=](const pp_context& in) {
                       return pp_attention_forward(&in, &attention_, &qkv_view_, &values_view_, log_sums_.data());
                     },
                     {&values_, &log_sums_}});
      all.push_back({"pp_attention_backward",
                     [=](const pp_context& in) {
                       return pp_attention_backward(&in, &attention_, &values_view_, &qkv_view_, log_sums_.data(), &dqkv_view_);
                     },
                     {&dqkv_}});
      all.push_back({"pp_attention_cached",
                     [=](const pp_context& in) {
                       return pp_attention_cached(&in, &attention_, M / 2, &x_view_, &h_view_, &dout_view_, &values_view_);
                     },
                     {&values_}});
      all.push_back({"pp_encoder_layer_forward",
                     [=](const pp_context& in) { return pp_encoder_layer_forward(&in, &layer_, &x_view_, &out_view_); },
                     {&out_},
                     {exchange(&layer_.qkv.linear), exchange(&layer_.attention_block.linear.linear),
                      exchange(&layer_.intermediate.linear), exchange(&layer_.feed_forward_block.linear.linear)}});
    }
    if (dtype_ != PP_FLOAT32) return all;
    const auto doubles = [](Matrix& matrix) { return reinterpret_cast<double*>(matrix.data()); };
    all.push_back({"pp_lora_down", [=](const pp_context& in) { return pp_lora_down(&in, &x_view_, modules, 3); }, s});
    all.push_back({"pp_lora_up", [=](const pp_context& in) { return pp_lora_up(&in, modules, 3, &y_view_, 1); }, {&y_}});
    all.push_back({"pp_lora_grad_input",
                   [=](const pp_context& in) { return pp_lora_grad_input(&in, modules, 3, &dx_view_, 1); },
                   {&dx_}});
    all.push_back({"pp_importance",
                   [=](const pp_context& in) { return pp_importance(&in, plan, PP_FLOAT16, nullptr, doubles(table_of_sums_)); },
                   {&table_of_sums_},
                   {exchange(&plan)}});
    all.push_back({"pp_importance_quantile",
                   [=](const pp_context& in) { return pp_importance_quantile(&in, plan, 0.5, threshold_.data()); },
                   {&threshold_},
                   {exchange(&plan)}});
    all.push_back({"pp_output_magnitude",
                   [=](const pp_context& in) {
                     return pp_output_magnitude(&in, &x_view_, PP_RELU, &w_view_, &bias_view_, nullptr, doubles(sum_));
                   },
                   {&sum_}});
    return all;
  }

  pp_linear *linear = nullptr, *quantized = nullptr, *borrowed = nullptr;
  std::array<pp_linear*, 4> of_layer{};
  pp_importance_plan* plan = nullptr;

 private:
  struct Module {
    Matrix a, b, s, ds, da, db;
  };

  template <class T>
  static std::function<const void*(const void*)> exchange(T** place) {
    return [place](const void* other) { return std::exchange(*place, static_cast<T*>(const_cast<void*>(other))); };
  }

  /** Aligned, without padding, so that copies compare; on CUDA weights are of the call's type. */
  static Matrix given(int64_t rows, int64_t columns, pp_dtype dtype) {
    const Matrix values = Matrix::random(rows, columns, dtype);
    Matrix matrix(rows, columns, columns, 0, dtype);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) matrix.set(i, j, values(i, j));
    return matrix;
  }
  Matrix wide(int64_t rows, int64_t columns) const { return given(rows, columns, dtype_); }
  static Matrix narrow(int64_t rows, int64_t columns) { return given(rows, columns, PP_FLOAT32); }

  pp_device device_;
  pp_dtype dtype_;
  Matrix x_ = wide(M, K), y_ = wide(M, N), dx_ = wide(M, K), dy_ = wide(M, N), w_ = wide(N, K), bias_ = wide(1, N);
  std::array<uint8_t, N * K / 2> codes_{};
  std::array<float, (N * K + 63) / 64> scales_{};
  pp_quantized codes_view_{PP_NF4, N, K, codes_.data(), scales_.data(), nullptr, 64};
  Matrix h_ = wide(M, K), out_ = wide(M, K), dout_ = wide(M, K), z_ = narrow(M, kWidth);
  Matrix weights_down_ = narrow(kWidth, K), weights_down_bias_ = narrow(1, kWidth), weights_up_ = narrow(K, kWidth),
         weights_up_bias_ = narrow(1, K);
  Matrix down_ = narrow(kWidth, K), down_bias_ = narrow(1, kWidth), up_ = narrow(K, kWidth), up_bias_ = narrow(1, K);
  Matrix qkv_ = wide(M, 3 * K), dqkv_ = wide(M, 3 * K), values_ = wide(M, K), log_sums_ = narrow(2, M);
  /** Two floats are a float64. */
  Matrix table_of_sums_ = narrow(1, 2 * PP_STATISTICS), sum_ = narrow(1, 2), threshold_ = narrow(1, 1);
  std::array<Module, 3> modules_{make_module(kRank), make_module(kRank), make_module(kMostRank)};
  std::array<pp_lora_module, 3> table_{};
  pp_matrix x_view_ = x_.view(), y_view_ = y_.view(), dx_view_ = dx_.view(), dy_view_ = dy_.view(), w_view_ = w_.view(),
            bias_view_ = bias_.view(), h_view_ = h_.view(), out_view_ = out_.view(), dout_view_ = dout_.view(),
            z_view_ = z_.view(), qkv_view_ = qkv_.view(), dqkv_view_ = dqkv_.view(), values_view_ = values_.view();
  pp_adapter adapter_{weights_down_.view(), weights_down_bias_.view(), weights_up_.view(), weights_up_bias_.view(), PP_GELU};
  pp_adapter_gradients adapter_gradients_{down_.view(), down_bias_.view(), up_.view(), up_bias_.view()};
  pp_attention attention_{2, M / 2, 2, K / 2, 0.5f, nullptr, 0, nullptr, 0, 0.0f, 0};
  Matrix w_qkv_ = wide(3 * K, K), w_context_ = wide(K, K), w_output_ = wide(K, N);
  pp_lora_module on_all_rows_{};
  pp_layer_adapter layer_adapter_{adapter_, PP_NORMED_SUM};
  pp_encoder_layer layer_{};
  Matrix weights_ = narrow(M, K);
  pp_segment segment_{weights_.data(), nullptr, M* K, 0, 0};

  static Module make_module(int64_t rank) {
    return {narrow(rank, K), narrow(N, rank), narrow(M, rank), narrow(M, rank), narrow(rank, K), narrow(N, rank)};
  }
};
