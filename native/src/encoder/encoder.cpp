// Entry points of prunepeft/encoder.h: arguments are checked here, and a layer's steps are handed to the kernels of each
// family, with all that is between them in the workspace.
#include "prunepeft/encoder.h"

#include "adapter/adapter.h"
#include "adapter/cpu/adapter_cpu.h"
#include "attention/cpu/attention_cpu.h"
#include "attention/extents.h"
#include "core/call.h"
#include "core/context.h"
#include "core/status.h"
#include "encoder/cpu/encoder_cpu.h"
#include "linear/cpu/linear_cpu.h"
#include "linear/modules.h"
#include "linear/plan.h"

namespace prunepeft {
namespace {

constexpr auto kAny = Arguments::kAny;

pp_status check_device(const pp_device& device, pp_dtype dtype) {
  if (device.type == PP_CUDA) return fail(PP_UNSUPPORTED, "an encoder's layer is not supported on CUDA; compute its parts");
  return check_trainable(&device, dtype);
}

void check_norm(Arguments& arguments, const pp_layer_norm& norm, int64_t K) {
  arguments.matrix("norm->weight", &norm.weight, PP_FLOAT32, 1, K);
  arguments.matrix("norm->bias", &norm.bias, PP_FLOAT32, 1, K);
  arguments.require(norm.epsilon > 0, "norm->epsilon must be above 0, got %g", static_cast<double>(norm.epsilon));
}

/** y may lie where x lies, with the same rows. */
void check_in_place(Arguments& arguments, const pp_matrix& y, const char* name, const pp_matrix& x) {
  arguments.require(x.rows == 0 || y.data != x.data || y.ld == x.ld, "y.ld must be %s.ld = %lld in its buffer, got %lld", name,
                    static_cast<long long>(x.ld), static_cast<long long>(y.ld));
}

int64_t ranks(const pp_layer_linear& linear) {
  int64_t all = 0;
  for (int32_t i = 0; i < linear.module_count; ++i) all += linear.modules[i].a.rows;
  return all;
}

/** A linear's modules on M rows, their S side by side in `s`; checked without memory. */
class Modules {
 public:
  Modules(const pp_layer_linear& linear, int64_t M, float* s) : count(linear.module_count) {
    static float nowhere;
    const int64_t width = ranks(linear);
    for (int32_t i = 0; i < count; ++i) {
      given[i] = linear.modules[i];
      given[i].s = {s == nullptr ? &nowhere : s, M, given[i].a.rows, width, PP_FLOAT32};
      given[i].ds = {};
      of[i] = lora_module(given[i], given[i].s, 0, true);
      if (s != nullptr) s += given[i].a.rows;
    }
  }

  int32_t count;
  std::array<pp_lora_module, kMostModulesOfARow> given;
  std::array<LoraModule, kMostModulesOfARow> of;
};

/** A layer whose arguments are checked step by step. */
class Checks {
 public:
  Checks(Arguments& arguments, const pp_context& context, const pp_matrix& x)
      : arguments_(arguments), context_(context), x_(x) {}

  /** Extents where not kAny. */
  void linear(const char* name, const pp_layer_linear& linear, int64_t N, int64_t K) {
    if (!arguments_.failed()) arguments_.handle(name, Handle::kLinear, linear.linear);
    if (arguments_.failed()) return;
    const pp_linear& plan = *linear.linear;
    arguments_.require(
        plan.device_type == PP_CPU && plan.dtype == x_.dtype && (N == kAny || plan.N == N) && (K == kAny || plan.K == K),
        "%s must be %s [%lld, %lld] (-1: any) on the CPU, got %s [%lld, %lld]", name, dtype_name(x_.dtype),
        static_cast<long long>(N), static_cast<long long>(K), dtype_name(plan.dtype), static_cast<long long>(plan.N),
        static_cast<long long>(plan.K));
    arguments_.at_least("module_count", linear.module_count, 0);
    arguments_.at_most("module_count", linear.module_count, kMostModulesOfARow);
    if (linear.module_count > 0) arguments_.not_null("modules", linear.modules);
    if (arguments_.failed()) return;
    for (int32_t i = 0; i < linear.module_count; ++i) {
      const pp_lora_module& module = linear.modules[i];
      // Before they are added up.
      arguments_.at_least("modules->a.rows", module.a.rows, 1);
      arguments_.at_most("modules->a.rows", module.a.rows, kMostBytes);
      arguments_.require(module.first_row == 0 && module.rows == x_.rows && module.dropout == nullptr,
                         "modules[%d] must be on all %lld rows without dropout, got rows %lld+%lld", static_cast<int>(i),
                         static_cast<long long>(x_.rows), static_cast<long long>(module.first_row),
                         static_cast<long long>(module.rows));
      if (arguments_.failed()) return;
    }
    const Modules modules(linear, x_.rows, nullptr);
    check_modules(arguments_, {context_.device, x_.dtype, x_.rows, plan.K, plan.N, kReadsA | kReadsB | kTakesS},
                  modules.given.data(), modules.count);
  }

  /** One whose linear has this name, and K columns in. */
  void block(const char* name, const pp_layer_block& block, int64_t K) {
    linear(name, block.linear, x_.cols, K);
    if (!arguments_.failed()) check_norm(arguments_, block.norm, x_.cols);
    arguments_.at_least("adapter_count", block.adapter_count, 0);
    if (block.adapter_count > 0) arguments_.not_null("adapters", block.adapters);
    for (int32_t i = 0; i < block.adapter_count && !arguments_.failed(); ++i) {
      const pp_layer_adapter& adapter = block.adapters[i];
      arguments_.require(adapter.input == PP_NORMED_SUM || adapter.input == PP_OUTPUT || adapter.input == PP_RESIDUAL,
                         "adapters[%d].input must be 0, 1 or 2, got %d", static_cast<int>(i), static_cast<int>(adapter.input));
      check_adapter(arguments_, &adapter.adapter, PP_FLOAT32, x_.cols, adapter.adapter.down.rows);
    }
  }

 private:
  Arguments& arguments_;
  const pp_context& context_;
  const pp_matrix& x_;
};

/** What a call computes: pieces of the workspace, and the steps over them. */
class LayerCall {
 public:
  LayerCall(const pp_encoder_layer& layer, const pp_matrix& x)
      : layer_(layer), x_(x), M_(x.rows), K_(x.cols), element_(pp_dtype_size(x.dtype)) {
    for (const pp_layer_linear* linear :
         {&layer.qkv, &layer.attention_block.linear, &layer.intermediate, &layer.feed_forward_block.linear}) {
      const Modules modules(*linear, M_, nullptr);
      ranks_ = most(ranks_, ranks(*linear));
      scratch_ = most(scratch_, linear_forward_cpu_workspace(*linear->linear, M_, modules.of.data(), modules.count));
    }
    for (const pp_layer_block* block : {&layer.attention_block, &layer.feed_forward_block}) {
      for (int32_t i = 0; i < block->adapter_count; ++i) {
        const int64_t m = block->adapters[i].adapter.down.rows;
        ranks_ = most(ranks_, m);
        scratch_ = most(scratch_, adapter_forward_cpu_workspace(x.dtype, M_, K_, m));
      }
    }
    WorkspaceSize of_attention;
    of_attention.floats(HeadExtents(layer.attention, layer.attention.tokens).forward_floats(), call_threads());
    scratch_ = most(scratch_, of_attention.total());
  }

  size_t bytes() const {
    WorkspaceSize size;
    size.bytes(M_, wide(), element_);
    size.bytes(M_, context_columns(), element_);
    for (int i = 0; i < 4; ++i) size.bytes(M_, K_, element_);
    size.floats(M_, ranks_);
    size.bytes(1, 1, scratch_);
    return size.total();
  }

  void run(void* memory, const pp_matrix& y) {
    WorkspacePieces pieces(memory);
    const auto piece = [&](int64_t columns) -> pp_matrix {
      return {pieces.bytes(M_, columns, element_), M_, columns, columns, x_.dtype};
    };
    const pp_matrix wide_piece = piece(wide()), context = piece(context_columns());
    h_ = piece(K_);
    spare_ = piece(K_);
    v_ = piece(K_);
    const pp_matrix n = piece(K_);
    narrow_ = pieces.floats(M_, ranks_);
    workspace_ = pieces.bytes(1, 1, scratch_);
    const pp_matrix qkv = first_columns(wide_piece, layer_.qkv.linear->N);
    const pp_matrix inner = first_columns(wide_piece, layer_.intermediate.linear->N);
    linear(layer_.qkv, x_, qkv);
    attend(qkv, context);
    end_block(layer_.attention_block, context, x_, n);
    linear(layer_.intermediate, n, inner);
    encoder_cpu(x_.dtype).activate(layer_.activation, inner);
    end_block(layer_.feed_forward_block, inner, n, y);
  }

 private:
  template <class Number>
  static Number most(Number one, Number other) {
    return one < other ? other : one;
  }
  int64_t wide() const { return most(layer_.qkv.linear->N, layer_.intermediate.linear->N); }
  int64_t context_columns() const { return layer_.attention_block.linear.linear->K; }
  static pp_matrix first_columns(const pp_matrix& matrix, int64_t columns) {
    return {matrix.data, matrix.rows, columns, columns, matrix.dtype};
  }

  void linear(const pp_layer_linear& given, const pp_matrix& from, const pp_matrix& to) {
    const Modules modules(given, M_, narrow_);
    linear_cpu(x_.dtype).forward(
        {given.linear, M_, from.data, from.ld, modules.of.data(), modules.count, to.data, to.ld, workspace_});
  }

  void attend(const pp_matrix& qkv, const pp_matrix& context) const {
    const char* q = static_cast<const char*>(qkv.data);
    const pp_attention& attention = layer_.attention;
    const char* k = q + context.cols * static_cast<int64_t>(element_);
    const char* v = k + key_heads(attention) * attention.head_size * static_cast<int64_t>(element_);
    attention_cpu(x_.dtype).forward({attention,
                                     attention.tokens,
                                     attention.tokens,
                                     {q, qkv.ld},
                                     {k, qkv.ld},
                                     {v, qkv.ld},
                                     context.data,
                                     context.ld,
                                     nullptr,
                                     workspace_});
  }

  /** to = norm(h + residual), h being what the block's linear and adapters make of `from`. */
  void end_block(const pp_layer_block& block, const pp_matrix& from, const pp_matrix& residual, const pp_matrix& to) {
    const EncoderKernels& kernels = encoder_cpu(x_.dtype);
    linear(block.linear, from, h_);
    for (int32_t i = 0; i < block.adapter_count; ++i) {
      const pp_layer_adapter& given = block.adapters[i];
      if (given.input == PP_NORMED_SUM) kernels.layer_norm(block.norm, h_, &residual, v_);
      const pp_matrix& v = given.input == PP_NORMED_SUM ? v_ : given.input == PP_OUTPUT ? h_ : residual;
      const int64_t m = given.adapter.down.rows;
      adapter_cpu(x_.dtype).forward(
          {M_, K_, m, v.data, v.ld, h_.data, h_.ld, given.adapter, narrow_, m, spare_.data, spare_.ld, workspace_});
      const pp_matrix adapted = spare_;
      spare_ = h_;
      h_ = adapted;
    }
    kernels.layer_norm(block.norm, h_, &residual, to);
  }

  const pp_encoder_layer& layer_;
  const pp_matrix& x_;
  const int64_t M_, K_;
  const size_t element_;
  /** Columns of S, or of z. */
  int64_t ranks_ = 0;
  size_t scratch_ = 0;
  pp_matrix h_{}, spare_{}, v_{};
  float* narrow_ = nullptr;
  void* workspace_ = nullptr;
};

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_layer_norm_forward(const pp_context* context, const pp_layer_norm* norm, const pp_matrix* x,
                                const pp_matrix* residual, const pp_matrix* y) {
  Arguments arguments;
  if (!arguments.first(context, "x", x)) return arguments.status();
  arguments.not_null("norm", norm);
  arguments.at_least("x.cols", x->cols, 1);
  if (arguments.failed()) return arguments.status();
  check_norm(arguments, *norm, x->cols);
  if (residual != nullptr) arguments.matrix("residual", residual, x->dtype, x->rows, x->cols);
  if (!arguments.matrix("y", y, x->dtype, x->rows, x->cols)) return arguments.status();
  check_in_place(arguments, *y, "x", *x);
  if (residual != nullptr) check_in_place(arguments, *y, "residual", *residual);
  if (arguments.failed()) return arguments.status();
  const pp_status status = check_device(context->device, x->dtype);
  if (status != PP_OK || x->rows == 0) return status;
  encoder_cpu(x->dtype).layer_norm(*norm, *x, residual, *y);
  return PP_OK;
}

pp_status pp_encoder_layer_forward(const pp_context* context, const pp_encoder_layer* layer, const pp_matrix* x,
                                   const pp_matrix* y) {
  Arguments arguments;
  if (!arguments.first(context, "x", x)) return arguments.status();
  arguments.not_null("layer", layer);
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_device(context->device, x->dtype);
  if (supported != PP_OK) return supported;
  const pp_attention& attention = layer->attention;
  const AttentionExtents extents = check_attention(arguments, attention);
  if (arguments.failed()) return arguments.status();
  arguments.matrix("x", x, x->dtype, extents.rows, kAny);
  arguments.matrix("y", y, x->dtype, extents.rows, x->cols);
  arguments.activation("layer->activation", layer->activation);
  if (arguments.failed()) return arguments.status();
  check_in_place(arguments, *y, "x", *x);
  Checks checks(arguments, *context, *x);
  checks.linear("layer->qkv.linear", layer->qkv, extents.all, x->cols);
  checks.block("layer->attention_block.linear", layer->attention_block, extents.queries);
  checks.linear("layer->intermediate.linear", layer->intermediate, kAny, x->cols);
  if (arguments.failed()) return arguments.status();
  checks.block("layer->feed_forward_block.linear", layer->feed_forward_block, layer->intermediate.linear->N);
  if (arguments.failed() || extents.rows == 0) return arguments.status();
  LayerCall call(*layer, *x);
  void* memory;
  const pp_status status = take_workspace(*context, call.bytes(), &memory);
  if (status == PP_OK) call.run(memory, *y);
  return status;
}
