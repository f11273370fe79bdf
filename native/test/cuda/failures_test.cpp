// On an emulated device: objects that are none are refused, and memory that runs out is said and leaves a device that works.
#include <thread>

#include "contexts.h"
#include "failing_allocations.h"
#include "operations.h"
#include "prunepeft/graph.h"
#include "prunepeft/memory.h"
#include "public_functions.h"
#include "simt.h"

namespace {

constexpr pp_device kDevice{PP_CUDA, 0, nullptr};

/** Operands lie in host memory, which the emulated device may use. */
const bool admitted = (simt::admit_host_memory(), true);

template <class T>
std::vector<T*> fakes(T* own, T* freed, const std::vector<void*>& others) {
  static char zeros[4096];
  std::vector<T*> all{freed, reinterpret_cast<T*>(1), reinterpret_cast<T*>(zeros),
                      reinterpret_cast<T*>(reinterpret_cast<char*>(own) + 8)};
  for (void* other : others) all.push_back(static_cast<T*>(other));
  for (int n = 0; n < 20; ++n) all.push_back(reinterpret_cast<T*>(check::random()()));
  return all;
}

pp_graph* record(const pp_device& device) {
  pp_graph* graph = nullptr;
  CHECK_EQUAL(pp_graph_begin(&device), PP_OK);
  CHECK_EQUAL(pp_graph_end(&device, &graph), PP_OK);
  return graph;
}

/** The functions of a header. */
std::vector<PublicFunction> declared_in(const char* header) {
  const PublicFunctions functions;
  std::vector<PublicFunction> found;
  for (const PublicFunction& function : functions.all())
    if (function.header == header) found.push_back(function);
  return found;
}

}  // namespace

TEST(fake_streams_graphs_and_memory_are_refused) {
  pp_device device = kDevice, freed = kDevice;
  CHECK_EQUAL(pp_stream_create(&kDevice, &device.stream), PP_OK);
  CHECK_EQUAL(pp_stream_create(&kDevice, &freed.stream), PP_OK);
  pp_graph *graph = record(device), *freed_graph = record(device);
  void *memory = nullptr, *freed_memory = nullptr, *host_memory = nullptr;
  CHECK_EQUAL(pp_allocate(&kDevice, 100, &memory), PP_OK);
  CHECK_EQUAL(pp_allocate(&kDevice, 100, &freed_memory), PP_OK);
  CHECK_EQUAL(pp_allocate(&kCpu, 100, &host_memory), PP_OK);
  CHECK_EQUAL(pp_stream_destroy(&freed), PP_OK);
  CHECK_EQUAL(pp_graph_destroy(freed_graph), PP_OK);
  CHECK_EQUAL(pp_free(&kDevice, freed_memory), PP_OK);

  TriedFunctions tried;
  for (void* fake : fakes<void>(device.stream, freed.stream, {graph, memory})) {
    const pp_device other{PP_CUDA, 0, fake};
    CHECK_REFUSES(tried, pp_stream_destroy(&other), "device->stream must be what pp_stream_create gave");
  }
  for (pp_graph* fake : fakes(graph, freed_graph, {device.stream, memory})) {
    CHECK_REFUSES(tried, pp_graph_launch(&device, fake), "graph must be what pp_graph_end gave");
    CHECK_REFUSES(tried, pp_graph_destroy(fake), "graph must be what pp_graph_end gave");
  }
  tried.check_all(declared_in("graph.h"), {{"take any stream, another library's too, of which this one knows nothing",
                                            {"pp_graph_begin", "pp_graph_end"}},
                                           {"does not look at the stream", {"pp_stream_create"}}});
  for (void* fake : fakes<void>(memory, freed_memory, {device.stream, graph, host_memory}))
    CHECK_FAILS(pp_free(&kDevice, fake), PP_INVALID_ARGUMENT, "memory must be what pp_allocate for a CUDA device gave");
  CHECK_FAILS(pp_free(&kCpu, memory), PP_INVALID_ARGUMENT, "memory must be what pp_allocate for the CPU gave");

  CHECK_EQUAL(pp_graph_launch(&device, graph), PP_OK);
  CHECK_EQUAL(pp_graph_destroy(graph), PP_OK);
  CHECK_EQUAL(pp_free(&kDevice, memory), PP_OK);
  CHECK_EQUAL(pp_free(&kCpu, host_memory), PP_OK);
  CHECK_EQUAL(pp_stream_destroy(&device), PP_OK);
}

TEST(what_cannot_be_freed_now_can_be_freed_later) {
  pp_device device = kDevice;
  CHECK_EQUAL(pp_stream_create(&kDevice, &device.stream), PP_OK);
  void* memory = nullptr;
  CHECK_EQUAL(pp_allocate(&kDevice, 100, &memory), PP_OK);
  CHECK_EQUAL(pp_graph_begin(&device), PP_OK);
  CHECK_FAILS(pp_free(&kDevice, memory), PP_DEVICE_ERROR, "freeing device memory");
  pp_graph* graph = nullptr;
  CHECK_FAILS(pp_graph_end(&device, &graph), PP_DEVICE_ERROR, "recording a graph");
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK_EQUAL(pp_free(&kDevice, memory), PP_OK);
  CHECK_EQUAL(pp_stream_destroy(&device), PP_OK);
}

TEST(sizes_beyond_memory_are_refused) {
  for (const size_t bytes : {(size_t{1} << 52) + 1, SIZE_MAX / 2 + 1, SIZE_MAX}) {
    void* memory = nullptr;
    CHECK_FAILS(pp_allocate(&kDevice, bytes, &memory), PP_OUT_OF_MEMORY, "bytes of memory could not be had");
    CHECK(memory == nullptr);
    char to = 1;
    const char from = 2;
    CHECK_FAILS(pp_copy_to_device(&kDevice, &to, &from, bytes), PP_INVALID_ARGUMENT, "bytes must be at most");
    CHECK_FAILS(pp_copy_to_host(&kDevice, &to, &from, bytes), PP_INVALID_ARGUMENT, "bytes must be at most");
  }
}

TEST(calls_without_device_memory_write_nothing_and_work_again) {
  pp_internal_exact_workspaces(0);
  for (const int major : {8, 9}) {
    simt::set_compute_major(major);
    Operations operations(kDevice);
    for (const Operation& operation : operations.all()) {
      if (!check::drawn_case()) continue;
      const std::vector<Matrix> before = operation.written();
      const auto restore = [&] {
        for (size_t i = 0; i < before.size(); ++i) *operation.outputs[i] = before[i];
      };
      const auto with_workspace = [&](const std::function<void(const pp_context&)>& run) {
        pp_context context{kDevice, nullptr};
        CHECK_EQUAL(pp_workspace_create(&kDevice, &context.workspace), PP_OK);
        run(context);
        CHECK_EQUAL(pp_workspace_destroy(context.workspace), PP_OK);
      };
      check::context() = operation.name;
      with_workspace([&](const pp_context& context) { CHECK_EQUAL(operation.call(context), PP_OK); });
      const std::vector<Matrix> expected = operation.written();
      restore();
      for (const bool and_later : {false, true}) {
        bool ran_out = true;
        for (int n = 1; ran_out && check::failures() == 0; ++n) {
          check::context() = operation.name + ", allocation " + std::to_string(n) + (and_later ? " and later ones" : "");
          with_workspace([&](const pp_context& context) {
            simt::fail_allocation(n, and_later);
            const pp_status status = operation.call(context);
            ran_out = simt::allocation_failed();
            simt::fail_allocation(0);
            CHECK(cudaGetLastError() == cudaSuccess);
            if (status != PP_OK) {
              CHECK(ran_out);
              CHECK_FAILS(status, PP_OUT_OF_MEMORY, "memory");
              CHECK(operation.written() == before);
              CHECK_EQUAL(operation.call(context), PP_OK);
            }
            CHECK(operation.written() == expected);
            restore();
          });
        }
      }
      const std::string report = simt::take_report();
      if (!report.empty()) check::report(__FILE__, __LINE__, report);
    }
  }
  simt::set_compute_major(8);
}

TEST(calls_for_another_device_leave_the_thread_what_it_had) {
  const pp_device second{PP_CUDA, 1, nullptr};
  simt::set_device_count(2);
  simt::set_compute_major(9);
  CUcontext of_first = nullptr;
  for (const bool has_context : {false, true}) {
    simt::forget_contexts();
    std::thread([&] {
      if (has_context) {
        CHECK_EQUAL(cuDevicePrimaryCtxRetain(&of_first, 0), CUDA_SUCCESS);
        CHECK_EQUAL(cuCtxPushCurrent(of_first), CUDA_SUCCESS);
      }
      const auto unchanged = [&] {
        int device = -1;
        CHECK_EQUAL(cudaGetDevice(&device), cudaSuccess);
        CHECK_EQUAL(device, 0);
        CUcontext context = nullptr;
        CHECK_EQUAL(cuCtxGetCurrent(&context), CUDA_SUCCESS);
        CHECK(context == (has_context ? of_first : nullptr));
        CHECK(simt::has_context(0) == has_context);
      };
      void* memory = nullptr;
      CHECK_EQUAL(pp_allocate(&second, 100, &memory), PP_OK);
      unchanged();
      CHECK_EQUAL(pp_free(&second, memory), PP_OK);
      CHECK(simt::has_context(1));
      pp_context context{second, nullptr};
      CHECK_EQUAL(pp_workspace_create(&second, &context.workspace), PP_OK);
      Operations operations(second);
      for (const Operation& operation : operations.all()) {
        check::context() = operation.name;
        CHECK_EQUAL(operation.call(context), PP_OK);
        unchanged();
      }
      CHECK_EQUAL(pp_workspace_destroy(context.workspace), PP_OK);
      pp_device stream = second;
      CHECK_EQUAL(pp_stream_create(&second, &stream.stream), PP_OK);
      CHECK_EQUAL(pp_graph_destroy(record(stream)), PP_OK);
      CHECK_EQUAL(pp_stream_destroy(&stream), PP_OK);
      unchanged();
      const pp_device third{PP_CUDA, 2, nullptr};
      CHECK_FAILS(pp_allocate(&third, 100, &memory), PP_INVALID_ARGUMENT, "below the number of CUDA devices, 2, got 2");
      unchanged();
    }).join();
    const std::string report = simt::take_report();
    if (!report.empty()) check::report(__FILE__, __LINE__, report);
  }
  simt::set_compute_major(8);
  simt::set_device_count(1);
}

namespace {
int releases = 0;
int32_t released = 0;
/** Whether allocations that fail do so no more after it. */
bool frees = false;

int32_t release(int32_t device_index) {
  CHECK_EQUAL(device_index, 0);
  CHECK(cudaGetLastError() == cudaSuccess);
  ++releases;
  if (frees) simt::fail_allocation(0);
  return released;
}

/** As a library that works on another device. */
int32_t release_and_choose_second(int32_t device_index) {
  CHECK_EQUAL(device_index, 0);
  simt::forget_contexts();
  CHECK_EQUAL(cudaSetDevice(1), cudaSuccess);
  ++releases;
  return 1;
}
}  // namespace

TEST(memory_that_another_library_gives_back_is_taken) {
  const Matrix weights(1, 63, 63, 0);
  const pp_segment segment{weights.data(), nullptr, 63, 0, 0};
  pp_workspace* workspace = nullptr;
  CHECK_EQUAL(pp_workspace_create(&kDevice, &workspace), PP_OK);
  const pp_context context{kDevice, workspace};
  CHECK_EQUAL(pp_set_release_memory(release), PP_OK);
  for (released = 0; released < 2; ++released) {
    const pp_status expected = released != 0 ? PP_OK : PP_OUT_OF_MEMORY;
    void* memory = nullptr;
    simt::fail_allocation(1);
    CHECK_EQUAL(pp_allocate(&kDevice, 100, &memory), expected);
    CHECK_EQUAL(memory != nullptr, released != 0);
    CHECK_EQUAL(pp_free(&kDevice, memory), PP_OK);
    pp_importance_plan* plan = nullptr;
    simt::fail_allocation(1);
    CHECK_EQUAL(pp_importance_plan_create(&context, PP_FLOAT32, &segment, 1, 1, 1, &plan), expected);
    if (plan != nullptr) CHECK_EQUAL(pp_importance_plan_destroy(plan), PP_OK);
    // No more than the least is asked for, so that a second try with less does not come.
    simt::fail_allocation(1);
    CHECK_EQUAL(pp_workspace_reserve(&context, 4096), expected);
    CHECK_EQUAL(releases, 3 * (released + 1));
  }
  // Twice the size only if it is there; what is needed with what the other library has.
  released = 0;
  simt::fail_allocation(1);
  CHECK_EQUAL(pp_workspace_reserve(&context, 4097), PP_OK);
  CHECK_EQUAL(pp_workspace_bytes(workspace), size_t{4096 + 4097});
  CHECK_EQUAL(releases, 6);
  simt::fail_allocation(1, true);
  CHECK_FAILS(pp_workspace_reserve(&context, 5000), PP_OUT_OF_MEMORY, "allocating device memory");
  CHECK_EQUAL(pp_workspace_bytes(workspace), size_t{4096 + 4097});
  CHECK_EQUAL(releases, 7);
  released = frees = 1;
  CHECK_EQUAL(pp_workspace_reserve(&context, 5000), PP_OK);
  CHECK_EQUAL(pp_workspace_bytes(workspace), size_t{4096 + 4097 + 5000});
  CHECK_EQUAL(releases, 8);
  frees = false;
  // Not while the call's stream is recorded. Another thread may allocate meanwhile, so that it is no error of the recording's.
  pp_device device = kDevice;
  pp_graph* graph = nullptr;
  void* memory = nullptr;
  pp_workspace* of_stream = nullptr;
  CHECK_EQUAL(pp_stream_create(&kDevice, &device.stream), PP_OK);
  CHECK_EQUAL(pp_workspace_create(&device, &of_stream), PP_OK);
  CHECK_EQUAL(pp_graph_begin(&device), PP_OK);
  std::thread([&] {
    simt::fail_allocation(1);
    CHECK_FAILS(pp_allocate(&device, 100, &memory), PP_OUT_OF_MEMORY, "allocating device memory");
    CHECK_EQUAL(releases, 8);
    // A call on another stream, though by a workspace that was made for this one.
    const pp_context beside{kDevice, of_stream};
    simt::fail_allocation(1);
    CHECK_EQUAL(pp_workspace_reserve(&beside, 4096), PP_OK);
    CHECK_EQUAL(releases, 9);
  }).join();
  CHECK_EQUAL(pp_graph_end(&device, &graph), PP_OK);
  CHECK_EQUAL(pp_graph_destroy(graph), PP_OK);
  CHECK_EQUAL(pp_workspace_destroy(of_stream), PP_OK);
  CHECK_EQUAL(pp_set_release_memory(nullptr), PP_OK);
  CHECK_EQUAL(pp_stream_destroy(&device), PP_OK);
  simt::fail_allocation(1);
  CHECK_FAILS(pp_allocate(&kDevice, 100, &memory), PP_OUT_OF_MEMORY, "allocating device memory");
  CHECK_EQUAL(releases, 9);
  CHECK_EQUAL(pp_workspace_destroy(workspace), PP_OK);
}

TEST(memory_is_taken_of_the_device_that_was_asked_for) {
  simt::set_device_count(2);
  std::thread([] {
    releases = 0;
    CHECK_EQUAL(pp_set_release_memory(release_and_choose_second), PP_OK);
    void* memory = nullptr;
    simt::fail_allocation(1);
    CHECK_EQUAL(pp_allocate(&kDevice, 100, &memory), PP_OK);
    CHECK_EQUAL(releases, 1);
    CHECK(simt::has_context(0));  // of the second try, as the callback has left none
    CHECK_EQUAL(pp_set_release_memory(nullptr), PP_OK);
    CHECK_EQUAL(pp_free(&kDevice, memory), PP_OK);
  }).join();
  simt::set_device_count(1);
}

TEST(streams_without_memory_are_not_made) {
  // Of the device's, and of the host's: the stream itself, and the table of what callers hold.
  for (const bool of_device : {true, false}) {
    bool ran_out = true;
    int failed = 0;
    for (int n = 1; ran_out && check::failures() == 0; ++n) {
      check::context() = "allocation " + std::to_string(n) + (of_device ? " of the device" : " of the host");
      pp_device device = kDevice;
      if (of_device)
        simt::fail_allocation(n);
      else
        failing::at(n);
      const pp_status status = pp_stream_create(&kDevice, &device.stream);
      ran_out = of_device ? simt::allocation_failed() : failing::stop();
      simt::fail_allocation(0);
      if (status != PP_OK) {
        CHECK(ran_out);
        CHECK_FAILS(status, PP_OUT_OF_MEMORY, "stream");
        CHECK(device.stream == nullptr);
        CHECK(cudaGetLastError() == cudaSuccess);
        CHECK_EQUAL(pp_stream_create(&kDevice, &device.stream), PP_OK);
        ++failed;
      }
      CHECK_EQUAL(pp_stream_destroy(&device), PP_OK);
    }
    CHECK(failed >= (of_device ? 1 : 2));
  }
  TriedFunctions tried;
  tried.add("pp_stream_create");
  tried.check_all(declared_in("graph.h"),
                  {{"enqueue, or free", {"pp_graph_begin", "pp_graph_destroy", "pp_graph_launch", "pp_stream_destroy"}},
                   {"the emulator allocates for what it records", {"pp_graph_end"}}});
}

TEST(objects_without_device_memory_are_not_made) {
  const pp_context context{kDevice, nullptr};
  const Matrix weights(1, 63, 63, 0);
  const pp_segment segment{weights.data(), nullptr, 63, 0, 0};
  pp_importance_plan* plan = nullptr;
  simt::fail_allocation(1);
  CHECK_FAILS(pp_importance_plan_create(&context, PP_FLOAT32, &segment, 1, 1, 1, &plan), PP_OUT_OF_MEMORY, "importance plan");
  CHECK(plan == nullptr);
  CHECK_EQUAL(pp_importance_plan_create(&context, PP_FLOAT32, &segment, 1, 1, 1, &plan), PP_OK);
  CHECK_EQUAL(pp_importance_plan_destroy(plan), PP_OK);
  void* memory = nullptr;
  simt::fail_allocation(1);
  CHECK_FAILS(pp_allocate(&kDevice, 100, &memory), PP_OUT_OF_MEMORY, "allocating device memory");
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(memory == nullptr);
  CHECK_EQUAL(pp_allocate(&kDevice, 100, &memory), PP_OK);
  CHECK_EQUAL(pp_free(&kDevice, memory), PP_OK);
}
