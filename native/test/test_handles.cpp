// What no caller should give, and does by mistake: pointers that are no objects of this library, or no longer; and sizes that
// no memory has. All of it is refused with a message, and nothing is written.
#include <atomic>
#include <thread>

#include "operations.h"
#include "prunepeft/decoder.h"
#include "prunepeft/graph.h"
#include "prunepeft/importance.h"
#include "prunepeft/loss.h"
#include "public_functions.h"

namespace {

pp_linear* make_linear() {
  static float w = 1.0f;
  const pp_context context{kCpu, nullptr};
  const pp_matrix view{&w, 1, 1, 1, PP_FLOAT32};
  pp_linear* linear = nullptr;
  CHECK_EQUAL(pp_linear_create(&context, &view, nullptr, &linear), PP_OK);
  return linear;
}

pp_importance_plan* make_plan() {
  static float w = 1.0f;
  const pp_context context{kCpu, nullptr};
  const pp_segment segment{&w, nullptr, 1, 0, 0};
  pp_importance_plan* plan = nullptr;
  CHECK_EQUAL(pp_importance_plan_create(&context, PP_FLOAT32, &segment, 1, 1, 1, &plan), PP_OK);
  return plan;
}

pp_workspace* make_workspace() {
  pp_workspace* workspace = nullptr;
  CHECK_EQUAL(pp_workspace_create(&kCpu, &workspace), PP_OK);
  return workspace;
}

/** Pointers to none of the objects that T names: `own` is one of these, `others` are alive and of other kinds. */
template <class T>
std::vector<T*> fakes(T* own, T* freed, const std::vector<void*>& others) {
  static char zeros[4096];
  std::vector<T*> all{freed, reinterpret_cast<T*>(1), reinterpret_cast<T*>(zeros), reinterpret_cast<T*>(UINTPTR_MAX),
                      reinterpret_cast<T*>(reinterpret_cast<char*>(own) + 8)};
  for (void* other : others) all.push_back(static_cast<T*>(other));
  for (int n = 0; n < 20; ++n) all.push_back(reinterpret_cast<T*>(check::random()()));
  return all;
}

constexpr size_t kHugeSizes[] = {(size_t{1} << 52) + 1, SIZE_MAX / 4, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX - 1, SIZE_MAX};

/** The functions that have refused a size. */
TriedFunctions tried_sizes;

constexpr char kNobody[] = "gave and nobody has freed, got 0x";

}  // namespace

TEST(fake_objects_are_refused) {
  // None is made behind what is freed, or it might lie there.
  Operations in_float32(kCpu), in_bfloat16(kCpu, PP_BFLOAT16);
  pp_workspace *workspace = make_workspace(), *freed_workspace = make_workspace();
  pp_linear *linear = make_linear(), *freed_linear = make_linear();
  pp_importance_plan *plan = make_plan(), *freed_plan = make_plan();
  CHECK_EQUAL(pp_workspace_destroy(freed_workspace), PP_OK);
  CHECK_EQUAL(pp_linear_destroy(freed_linear), PP_OK);
  CHECK_EQUAL(pp_importance_plan_destroy(freed_plan), PP_OK);

  TriedFunctions tried;
  for (Operations* const operations : {&in_float32, &in_bfloat16}) {
    for (const Operation& operation : operations->all()) {
      check::context() = operation.name;
      tried.add(operation.function());
      const std::vector<Matrix> before = operation.written();
      for (pp_workspace* fake : fakes(workspace, freed_workspace, {linear, plan})) {
        CHECK_FAILS(operation.call({kCpu, fake}), PP_INVALID_ARGUMENT, "context->workspace must be what pp_workspace_create");
      }
      // Each object that it takes, also where it takes several.
      for (const auto& exchange : operation.objects) {
        const bool takes_plan = operation.function().rfind("pp_importance", 0) == 0;
        std::vector<const void*> all;
        if (takes_plan) {
          for (pp_importance_plan* fake : fakes(plan, freed_plan, {workspace, linear})) all.push_back(fake);
        } else {
          for (pp_linear* fake : fakes(linear, freed_linear, {workspace, plan})) all.push_back(fake);
        }
        for (const void* fake : all) {
          const void* const own = exchange(fake);
          CHECK_FAILS(operation.call({kCpu, workspace}), PP_INVALID_ARGUMENT, kNobody);
          exchange(own);
        }
      }
      CHECK(operation.written() == before);
    }
  }
  for (pp_workspace* fake : fakes(workspace, freed_workspace, {linear, plan})) {
    const pp_context context{kCpu, fake};
    CHECK_REFUSES(tried, pp_workspace_reserve(&context, 100), kNobody);
    CHECK_REFUSES(tried, pp_workspace_destroy(fake), "workspace must be what pp_workspace_create");
    tried.add("pp_workspace_bytes");
    CHECK_EQUAL(pp_workspace_bytes(fake), size_t{0});
  }
  for (pp_linear* fake : fakes(linear, freed_linear, {workspace, plan}))
    CHECK_REFUSES(tried, pp_linear_destroy(fake), "linear must be what pp_linear_create");
  for (pp_importance_plan* fake : fakes(plan, freed_plan, {workspace, linear}))
    CHECK_REFUSES(tried, pp_importance_plan_destroy(fake), "plan must be what pp_importance_plan_create");
  for (pp_graph* fake : fakes<pp_graph>(reinterpret_cast<pp_graph*>(workspace), nullptr, {workspace, linear})) {
    if (fake != nullptr) CHECK_REFUSES(tried, pp_graph_destroy(fake), "graph must be what pp_graph_end");
  }
  CHECK_EQUAL(pp_workspace_destroy(workspace), PP_OK);
  CHECK_EQUAL(pp_linear_destroy(linear), PP_OK);
  CHECK_EQUAL(pp_importance_plan_destroy(plan), PP_OK);

  const PublicFunctions functions;
  CHECK(functions.opaque() == (std::set<std::string>{"pp_workspace", "pp_linear", "pp_importance_plan", "pp_graph"}));
  tried.check_all(functions.that_take_objects(),
                  {{"take no memory of the context's workspace, and do not look at it",
                    {"pp_cross_entropy_loss", "pp_dequantize", "pp_gate_backward", "pp_gate_forward",
                     "pp_importance_plan_create", "pp_layer_norm_forward", "pp_linear_borrow", "pp_linear_create",
                     "pp_linear_create_quantized", "pp_quantize", "pp_rms_norm_backward", "pp_rms_norm_forward", "pp_rotate"}},
                   {"is not supported on the CPU; failures_emulated tries it", {"pp_graph_launch"}}});
}

TEST(memory_of_others_is_not_freed) {
  void *memory = nullptr, *freed = nullptr;
  CHECK_EQUAL(pp_allocate(&kCpu, 100, &memory), PP_OK);
  CHECK_EQUAL(pp_allocate(&kCpu, 100, &freed), PP_OK);
  CHECK_EQUAL(pp_free(&kCpu, freed), PP_OK);
  pp_workspace* const workspace = make_workspace();
  for (void* fake : fakes<void>(memory, freed, {workspace})) {
    CHECK_FAILS(pp_free(&kCpu, fake), PP_INVALID_ARGUMENT, "memory must be what pp_allocate for the CPU gave");
  }
  CHECK_EQUAL(pp_workspace_destroy(workspace), PP_OK);
  CHECK_EQUAL(pp_free(&kCpu, memory), PP_OK);
}

TEST(objects_are_known_whoever_makes_and_frees_them) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        pp_workspace *kept = nullptr, *freed = nullptr;
        wrong += pp_workspace_create(&kCpu, &kept) != PP_OK;
        wrong += pp_workspace_create(&kCpu, &freed) != PP_OK;
        wrong += pp_workspace_destroy(freed) != PP_OK;
        const pp_context context{kCpu, kept};
        wrong += pp_workspace_reserve(&context, 10) != PP_OK;
        wrong += pp_workspace_destroy(kept) != PP_OK;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQUAL(wrong.load(), 0);
}

namespace {

void refuse_bytes_beyond_memory() {
  for (const size_t bytes : kHugeSizes) {
    check::context() = std::to_string(bytes) + " bytes";
    void* memory = nullptr;
    tried_sizes.add("pp_allocate");
    CHECK_FAILS(pp_allocate(&kCpu, bytes, &memory), PP_OUT_OF_MEMORY, "bytes of memory could not be had");
    CHECK(memory == nullptr);
    char to = 1;
    const char from = 2;
    CHECK_REFUSES(tried_sizes, pp_copy_to_device(&kCpu, &to, &from, bytes), "bytes must be at most 4503599627370496");
    CHECK_REFUSES(tried_sizes, pp_copy_to_host(&kCpu, &to, &from, bytes), "bytes must be at most 4503599627370496");
    CHECK_EQUAL(static_cast<int>(to), 1);
    for (const int exact : {0, 1}) {
      pp_internal_exact_workspaces(exact);
      const pp_context context{kCpu, make_workspace()};
      tried_sizes.add("pp_workspace_reserve");
      CHECK_FAILS(pp_workspace_reserve(&context, bytes), PP_OUT_OF_MEMORY, "could not be had");
      CHECK_EQUAL(pp_workspace_bytes(context.workspace), size_t{0});
      CHECK_EQUAL(pp_workspace_reserve(&context, 100), PP_OK);
      CHECK_EQUAL(pp_workspace_destroy(context.workspace), PP_OK);
    }
    pp_internal_exact_workspaces(0);
  }
}

void refuse_shapes_beyond_memory() {
  const pp_device cuda{PP_CUDA, 0, nullptr};
  const int64_t small = 8, largest = int64_t{1} << 57;
  pp_linear_path forward = PP_FUSED, backward = PP_FUSED;
  int32_t keep = 0;
  for (const pp_device* device : {&kCpu, &cuda}) {
    for (const int64_t k : {largest, INT64_MAX}) {
      for (const int64_t rank : {small, largest, INT64_MAX}) {
        const pp_linear_shape wide{PP_BFLOAT16, 1, k, 16, &rank, 1, 0, 0}, narrow{PP_BFLOAT16, 1, 16, 16, &rank, 1, 0, 0};
        CHECK_REFUSES(tried_sizes, pp_linear_choose_paths(device, &wide, &forward, &backward, &keep),
                      "has more bytes than memory");
        if (rank == small) continue;
        CHECK_REFUSES(tried_sizes, pp_linear_choose_paths(device, &narrow, &forward, &backward, &keep),
                      "shape->ranks[0] must be at most");
      }
    }
  }
  for (const int64_t size : {int64_t{1} << 57, INT64_MAX}) {
    tried_sizes.add("pp_kept_mask_bytes");
    CHECK_EQUAL(pp_kept_mask_bytes(size, size), SIZE_MAX);
    CHECK_EQUAL(pp_kept_mask_bytes(size, 1 << 20), SIZE_MAX);
    CHECK_EQUAL(pp_kept_mask_bytes(1 << 20, size), SIZE_MAX);
  }
}

}  // namespace

/** A load from there would end the context of the whole process. */
TEST(addresses_between_elements_are_refused_on_cuda) {
  alignas(8) char memory[64] = {};
  const pp_context cuda{{PP_CUDA, 0, nullptr}, nullptr};
  const pp_matrix good{memory, 1, 2, 2, PP_FLOAT32}, bad{memory + 2, 1, 2, 2, PP_FLOAT32};
  double* const between = reinterpret_cast<double*>(memory + 4);
  CHECK_FAILS(pp_output_magnitude(&cuda, &bad, PP_IDENTITY, &good, nullptr, nullptr, between), PP_INVALID_ARGUMENT,
              "p.data must be a multiple of 4 on CUDA, got 0x");
  CHECK_FAILS(pp_output_magnitude(&cuda, &good, PP_IDENTITY, &good, nullptr, nullptr, between), PP_INVALID_ARGUMENT,
              "sum must be a multiple of 8 on CUDA, got 0x");
  pp_importance_plan* plan = nullptr;
  const pp_segment segment{memory + 2, memory, 1, 0, 0};
  CHECK_FAILS(pp_importance_plan_create(&cuda, PP_FLOAT32, &segment, 1, 1, 1, &plan), PP_INVALID_ARGUMENT,
              "segments[0].w must be a multiple of 4 on CUDA, got 0x");
}

namespace {

/** The call says that there is no such matrix, or no memory for it. */
#define REFUSED(call)                                                      \
  do {                                                                     \
    tried_sizes.add(#call);                                                \
    const pp_status refused = (call);                                      \
    CHECK(refused == PP_INVALID_ARGUMENT || refused == PP_OUT_OF_MEMORY || \
          (refused == PP_UNSUPPORTED && dtype == PP_BFLOAT16));            \
  } while (false)

void refuse_matrices_beyond_memory() {
  const pp_context context{kCpu, make_workspace()};
  float value = 1.0f;
  const std::vector<int64_t> extents{1,        3, int64_t{1} << 31, int64_t{1} << 49, (int64_t{1} << 49) + 1, INT64_MAX / 8,
                                     INT64_MAX};
  pp_linear* linear = nullptr;
  const Operations operations(kCpu), in_bfloat16(kCpu, PP_BFLOAT16);
  for (const int64_t rows : extents) {
    for (const int64_t cols : extents) {
      if (static_cast<double>(rows) * static_cast<double>(cols) < 1e14) continue;
      for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
        check::context() = std::to_string(rows) + " x " + std::to_string(cols) + (dtype == PP_FLOAT32 ? "" : ", bfloat16");
        const pp_matrix huge{&value, rows, cols, cols, dtype}, bias{&value, 1, rows, rows, dtype};
        REFUSED(pp_linear_create(&context, &huge, &bias, &linear));
        // What is borrowed, or worked on where it lies, is refused above 4 PiB, where nobody could have it.
        const bool beyond = static_cast<double>(rows) * static_cast<double>(cols) > 0x1p53;
        if (beyond) REFUSED(pp_linear_borrow(&context, &huge, &bias, &linear));
        uint8_t codes = 0;
        for (const pp_quantization type : {PP_INT8, PP_NF4}) {
          if (!beyond) continue;
          const pp_quantized quantized{type, rows, cols, &codes, &value, nullptr, 64};
          REFUSED(pp_quantize(&context, &huge, &quantized));
          REFUSED(pp_dequantize(&context, &quantized, &huge));
          REFUSED(pp_linear_create_quantized(&context, &quantized, nullptr, dtype, &linear));
        }
        CHECK(linear == nullptr);
        pp_lora_module module{};
        module.a = module.b = module.s = module.ds = module.da = module.db = huge;
        module.rows = rows;
        REFUSED(pp_lora_down(&context, &huge, &module, 1));
        REFUSED(pp_lora_up(&context, &module, 1, &huge, 1));
        REFUSED(pp_lora_grad_up(&context, &huge, &module, 1));
        REFUSED(pp_lora_grad_down(&context, &huge, &module, 1));
        REFUSED(pp_lora_grad_input(&context, &module, 1, &huge, 1));
        const pp_linear* const small = dtype == PP_FLOAT32 ? operations.linear : in_bfloat16.linear;
        REFUSED(pp_linear_forward(&context, small, &huge, &module, 1, &huge));
        REFUSED(pp_linear_grad_input(&context, small, &huge, &module, 1, &huge));
        REFUSED(pp_linear_backward(&context, small, &huge, &huge, &module, 1, &huge));
        REFUSED(pp_linear_rows(&context, small, rows, &huge));
        const pp_adapter adapter{huge, huge, huge, huge, PP_RELU};
        const pp_adapter_gradients gradients{huge, huge, huge, huge};
        const pp_matrix other{&value + 1, rows, cols, cols, dtype};
        REFUSED(pp_adapter_forward(&context, &huge, &huge, &adapter, &other, &other));
        REFUSED(pp_adapter_backward(&context, &huge, &huge, &huge, &adapter, &gradients, &other));
        pp_attention attention{}, other_way{};
        attention.sequences = other_way.tokens = rows;
        attention.heads = other_way.head_size = cols;
        attention.tokens = attention.head_size = other_way.sequences = other_way.heads = 1;
        for (const pp_attention* of : {&attention, &other_way}) {
          REFUSED(pp_attention_forward(&context, of, &huge, &other, &value));
          REFUSED(pp_attention_backward(&context, of, &huge, &other, &value, &other));
          REFUSED(pp_attention_cached(&context, of, INT64_MAX, &huge, &huge, &huge, &other));
          pp_encoder_layer layer{};
          layer.attention = *of;
          layer.qkv.linear = layer.intermediate.linear = small;
          layer.attention_block.linear.linear = layer.feed_forward_block.linear.linear = small;
          REFUSED(pp_encoder_layer_forward(&context, &layer, &huge, &other));
        }
        const pp_rms_norm norm{huge, 1.0f, 0};
        if (rows > 1) {  // one row may have so many columns, and no workspace runs out
          REFUSED(pp_rms_norm_forward(&context, &norm, &huge, &other, nullptr));
          REFUSED(pp_rms_norm_backward(&context, &norm, &huge, &huge, &other, &other));
        }
        if (beyond) {
          const pp_layer_norm layer_norm{huge, huge, 1.0f};
          REFUSED(pp_layer_norm_forward(&context, &layer_norm, &huge, nullptr, &other));
          const int64_t label = 0;
          const pp_cross_entropy target{&label, 0.0f, 0.0f};
          REFUSED(pp_cross_entropy_loss(&context, &target, &huge, &huge, &other));
        }
        const pp_rotary rotary{rows, 1, 1, cols, huge, huge, 0, nullptr, 0};
        REFUSED(pp_rotate(&context, &rotary, &huge, &other));
        REFUSED(pp_gate_forward(&context, PP_SWIGLU, &huge, &other));
        REFUSED(pp_gate_backward(&context, PP_SWIGLU, &other, &huge, &other));
        double sum = 0;
        REFUSED(pp_output_magnitude(&context, &huge, PP_RELU, &huge, nullptr, nullptr, &sum));
        CHECK_EQUAL(value, 1.0f);
      }
    }
  }
  Matrix rows_of_w(3, Operations::K, Operations::K, 0);
  const pp_matrix to = rows_of_w.view();
  for (const int64_t first : {int64_t{Operations::N}, INT64_MAX})
    CHECK_FAILS(pp_linear_rows(&context, operations.linear, first, &to), PP_INVALID_ARGUMENT, "first must be at most 9, got ");
  const pp_matrix no_rows{nullptr, 0, INT64_MAX, INT64_MAX, PP_FLOAT32};
  CHECK_FAILS(pp_lora_down(&context, &no_rows, nullptr, 0), PP_INVALID_ARGUMENT, "more bytes than memory");
  pp_importance_plan* plan = nullptr;
  const pp_segment segment{&value, nullptr, 1, 0, 0};
  CHECK_REFUSES(tried_sizes, pp_importance_plan_create(&context, PP_FLOAT32, &segment, INT64_MAX, 1, 1, &plan),
                "segment_count must be at most");
  const pp_segment many{&value, nullptr, INT64_MAX, 0, 0};
  CHECK_FAILS(pp_importance_plan_create(&context, PP_FLOAT32, &many, 1, 1, 1, &plan), PP_INVALID_ARGUMENT,
              "segments[0].n must be at most");
  CHECK(plan == nullptr);
  CHECK_EQUAL(pp_workspace_destroy(context.workspace), PP_OK);
}

}  // namespace

TEST(sizes_beyond_memory_are_refused) {
  refuse_bytes_beyond_memory();
  refuse_shapes_beyond_memory();
  refuse_matrices_beyond_memory();
  tried_sizes.check_all(PublicFunctions().that_take_sizes(), {});
}

TEST(workspaces_beyond_memory_are_refused) {
  // Each matrix is just small enough, and what is packed of it is not.
  constexpr int64_t kLong = int64_t{1} << 49;
  float value = 1.0f, other = 1.0f;
  const pp_context context{kCpu, make_workspace()};
  const pp_matrix one{&value, 1, 1, 1, PP_FLOAT32}, row{&value, 1, kLong, kLong, PP_FLOAT32},
      other_row{&other, 1, kLong, kLong, PP_FLOAT32}, column{&value, kLong, 1, 1, PP_FLOAT32};
  const auto refused = [](pp_status status) { CHECK_FAILS(status, PP_OUT_OF_MEMORY, "could not be had"); };
  pp_lora_module module{};
  module.rows = 1;
  module.a = module.da = row;
  module.b = module.db = column;
  module.s = module.ds = one;
  refused(pp_lora_down(&context, &row, &module, 1));
  refused(pp_lora_up(&context, &module, 1, &row, 1));
  refused(pp_lora_grad_up(&context, &row, &module, 1));
  refused(pp_lora_grad_down(&context, &row, &module, 1));
  refused(pp_lora_grad_input(&context, &module, 1, &row, 1));
  const pp_adapter adapter{row, one, column, row, PP_RELU};
  const pp_adapter_gradients gradients{row, one, column, row};
  refused(pp_adapter_forward(&context, &row, &row, &adapter, &one, &other_row));
  refused(pp_adapter_backward(&context, &row, &row, &one, &adapter, &gradients, &other_row));
  double sum = 0.0;
  refused(pp_output_magnitude(&context, &one, PP_RELU, &column, nullptr, nullptr, &sum));
  const pp_attention attention{1, 1, 1, kLong / 4, 1.0f, nullptr, 0, nullptr, 0, 0.0f, 0};
  const pp_matrix qkv{&value, 1, 3 * (kLong / 4), 3 * (kLong / 4), PP_FLOAT32},
      row_part{&value, 1, kLong / 4, kLong / 4, PP_FLOAT32}, values{&other, 1, kLong / 4, kLong / 4, PP_FLOAT32};
  refused(pp_attention_forward(&context, &attention, &qkv, &values, &other));
  const pp_matrix dqkv{&other, 1, 3 * (kLong / 4), 3 * (kLong / 4), PP_FLOAT32};
  refused(pp_attention_backward(&context, &attention, &values, &qkv, &other, &dqkv));
  refused(pp_attention_cached(&context, &attention, 1, &row_part, &row_part, &row_part, &values));
  pp_linear* linear = nullptr;
  CHECK_FAILS(pp_linear_create(&context, &row, nullptr, &linear), PP_OUT_OF_MEMORY, "out of memory for a linear of 1 x ");
  CHECK_FAILS(pp_linear_create(&context, &column, nullptr, &linear), PP_OUT_OF_MEMORY, "out of memory for a linear of ");
  CHECK(linear == nullptr);
  CHECK_EQUAL(value, 1.0f);
  CHECK_EQUAL(other, 1.0f);
  CHECK_EQUAL(pp_workspace_destroy(context.workspace), PP_OK);
}
