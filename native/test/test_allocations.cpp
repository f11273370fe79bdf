// Memory that runs out at each allocation of each function: the call says so, has written nothing, and works when it is made
// again. What is lost on the way, the address sanitizer finds (native/sanitize).
#include "failing_allocations.h"
#include "operations.h"
#include "public_functions.h"

namespace {

/** The functions whose allocations have failed. */
TriedFunctions tried;

/** Whether only the n-th allocation fails, or those after it too. */
constexpr bool kModes[] = {false, true};

std::string at(const std::string& name, int64_t n, bool and_later) {
  return name + ", allocation " + std::to_string(n) + (and_later ? " and later ones" : "");
}

/**
 * Makes `call()` with its first allocation failing, then with its second, until it makes no more. `failed()` looks at what it
 * left where it failed, `done()` at what it gave, which is asked for again where it failed.
 */
template <class Call, class Failed, class Done>
void with_each_failure(const std::string& name, Call call, Failed failed, Done done) {
  tried.add(name);
  for (const bool and_later : kModes) {
    int64_t ran_outs = 0, failures = 0;
    for (int64_t n = 1;; ++n) {
      check::context() = at(name, n, and_later);
      failing::at(n, and_later);
      const pp_status status = call();
      const bool ran_out = failing::stop();
      ran_outs += ran_out;
      if (status != PP_OK) {
        CHECK(ran_out);
        CHECK_FAILS(status, PP_OUT_OF_MEMORY, "memory");
        failed();
        CHECK_EQUAL(call(), PP_OK);
        ++failures;
      }
      done();
      if (!ran_out || check::failures() > 0) break;
    }
    CHECK(ran_outs > 0);
    CHECK(failures > 0 || !and_later);  // a workspace that cannot double takes what it needs
  }
}

}  // namespace

TEST(calls_without_memory_write_nothing_and_work_again) {
  const int32_t threads = pp_num_threads();
  pp_set_num_threads(1);  // a call does without helpers that there is no memory for (test_threads)
  for (int isa = PP_ISA_PORTABLE; isa <= pp_cpu_isa_supported(); ++isa) {
    pp_set_cpu_isa(static_cast<pp_isa>(isa));
    for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
      Operations operations(kCpu, dtype);
      for (const Operation& operation : operations.all()) {
        if (!check::drawn_case()) continue;
        const std::vector<Matrix> before = operation.written();
        const auto restore = [&] {
          for (size_t i = 0; i < before.size(); ++i) *operation.outputs[i] = before[i];
        };
        pp_context context{kCpu, nullptr};
        CHECK_EQUAL(pp_workspace_create(&kCpu, &context.workspace), PP_OK);
        CHECK_EQUAL(operation.call(context), PP_OK);
        const std::vector<Matrix> expected = operation.written();
        CHECK(expected != before);
        restore();
        const auto renew = [&] {  // an empty workspace, so that the call allocates
          pp_workspace_destroy(context.workspace);
          CHECK_EQUAL(pp_workspace_create(&kCpu, &context.workspace), PP_OK);
        };
        renew();
        with_each_failure(
            operation.name + " " + pp_isa_name(pp_cpu_isa()), [&] { return operation.call(context); },
            [&] { CHECK(operation.written() == before); },
            [&] {
              CHECK(operation.written() == expected);
              restore();
              renew();
            });
        pp_workspace_destroy(context.workspace);
      }
    }
  }
  pp_set_cpu_isa(pp_cpu_isa_supported());
  pp_set_num_threads(threads);
}

namespace {

void fail_to_make_objects() {
  const pp_context context{kCpu, nullptr};
  pp_workspace* workspace = nullptr;
  with_each_failure(
      "pp_workspace_create", [&] { return pp_workspace_create(&kCpu, &workspace); }, [&] { CHECK(workspace == nullptr); },
      [&] {
        CHECK_EQUAL(pp_workspace_destroy(workspace), PP_OK);
        workspace = nullptr;
      });

  void* memory = nullptr;
  with_each_failure(
      "pp_allocate", [&] { return pp_allocate(&kCpu, 1000, &memory); }, [&] { CHECK(memory == nullptr); },
      [&] {
        CHECK_EQUAL(pp_free(&kCpu, memory), PP_OK);
        memory = nullptr;
      });

  const Matrix w = Matrix::random(7, 9), bias = Matrix::random(1, 7);
  const pp_matrix w_view = w.view(), bias_view = bias.view();
  pp_linear* linear = nullptr;
  const auto no_linear = [&] { CHECK(linear == nullptr); };
  const auto free_linear = [&] {
    CHECK_EQUAL(pp_linear_destroy(linear), PP_OK);
    linear = nullptr;
  };
  with_each_failure(
      "pp_linear_create", [&] { return pp_linear_create(&context, &w_view, &bias_view, &linear); }, no_linear, free_linear);
  with_each_failure(
      "pp_linear_borrow", [&] { return pp_linear_borrow(&context, &w_view, &bias_view, &linear); }, no_linear, free_linear);

  uint8_t codes[32] = {};
  float scales[7] = {};
  for (const pp_quantization type : {PP_NF4, PP_INT8}) {
    const pp_quantized quantized{type, 7, 4, codes, scales, nullptr, 64};
    with_each_failure(
        "pp_linear_create_quantized",
        [&] { return pp_linear_create_quantized(&context, &quantized, &bias_view, PP_FLOAT32, &linear); }, no_linear,
        free_linear);
  }

  const Matrix weights(1, 63, 63, 0);
  const pp_segment segments[] = {{weights.data(), nullptr, 40, 2, 0}, {weights.data() + 40, nullptr, 23, 0, 1}};
  pp_importance_plan* plan = nullptr;
  with_each_failure(
      "pp_importance_plan_create", [&] { return pp_importance_plan_create(&context, PP_FLOAT32, segments, 2, 3, 2, &plan); },
      [&] { CHECK(plan == nullptr); },
      [&] {
        CHECK_EQUAL(pp_importance_plan_destroy(plan), PP_OK);
        plan = nullptr;
      });
}

/** It keeps what it has. */
void fail_to_grow_a_workspace() {
  pp_context context{kCpu, nullptr};
  CHECK_EQUAL(pp_workspace_create(&kCpu, &context.workspace), PP_OK);
  CHECK_EQUAL(pp_workspace_reserve(&context, 5000), PP_OK);
  size_t had = pp_workspace_bytes(context.workspace), wanted = had + 1;
  with_each_failure(
      "pp_workspace_reserve", [&] { return pp_workspace_reserve(&context, wanted); },
      [&] { CHECK_EQUAL(pp_workspace_bytes(context.workspace), had); },
      [&] {
        had = pp_workspace_bytes(context.workspace);
        wanted = 4 * had;
      });
  CHECK_EQUAL(pp_workspace_destroy(context.workspace), PP_OK);
}

}  // namespace

TEST(objects_without_memory_are_not_made) {
  fail_to_make_objects();
  fail_to_grow_a_workspace();
  Operations operations(kCpu);
  for (const Operation& operation : operations.all()) tried.add(operation.function());  // the test above tries them all
  tried.check_all(
      PublicFunctions().all(),
      {{"compute without memory of their own",
        {"pp_cross_entropy_loss", "pp_dequantize", "pp_gate_backward", "pp_gate_forward", "pp_layer_norm_forward",
         "pp_quantize", "pp_rms_norm_backward", "pp_rms_norm_forward", "pp_rotate"}},
       {"copy, wait or free",
        {"pp_copy_to_device", "pp_copy_to_host", "pp_free", "pp_importance_plan_destroy", "pp_linear_destroy", "pp_synchronize",
         "pp_workspace_destroy"}},
       {"tell or set a number, a name or a pointer",
        {"pp_cpu_isa", "pp_cpu_isa_supported", "pp_device_check", "pp_device_count", "pp_dtype_size", "pp_isa_name",
         "pp_kept_mask_bytes", "pp_last_error", "pp_linear_choose_paths", "pp_num_threads", "pp_set_cpu_isa",
         "pp_set_num_threads", "pp_set_release_memory", "pp_version", "pp_workspace_bytes"}},
       {"are not supported on the CPU; failures_emulated tries them",
        {"pp_graph_begin", "pp_graph_destroy", "pp_graph_end", "pp_graph_launch", "pp_stream_create", "pp_stream_destroy"}}});
}

TEST(many_objects_that_cannot_be_noted_are_not_given) {
  // The table of what callers hold grows now and then: a failure there, too, leaves nothing behind.
  std::vector<void*> given;
  given.reserve(2000);
  for (int n = 0; n < 2000; ++n) {
    void* memory = nullptr;
    failing::at(check::pick(1, 6));  // a note takes one, and sometimes another to make room
    const pp_status status = pp_allocate(&kCpu, 8, &memory);
    const bool ran_out = failing::stop();
    CHECK_EQUAL(status, ran_out ? PP_OUT_OF_MEMORY : PP_OK);
    CHECK((memory != nullptr) == (status == PP_OK));
    if (memory != nullptr) given.push_back(memory);
  }
  CHECK_AT_MOST(static_cast<double>(given.size()), 1900.0);
  CHECK(given.size() > 100);
  for (void* memory : given) CHECK_EQUAL(pp_free(&kCpu, memory), PP_OK);
}
