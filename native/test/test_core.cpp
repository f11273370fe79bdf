#include <thread>

#include "buffers.h"
#include "core/philox.h"
#include "naive_philox.h"
#include "prunepeft/device.h"
#include "prunepeft/graph.h"

TEST(an_error_that_is_no_number_is_the_nearest_to_its_limit) {
  check::Nearest nearest;
  nearest.add(0.5, 1, [] { return std::string("half"); });
  CHECK(nearest.text() == "0.5\thalf");
  nearest.add(std::nan(""), 1, [] { return std::string("none"); });
  nearest.add(3, 1, [] { return std::string("later"); });
  CHECK(nearest.text() == "1e+99\tnone");
}

TEST(philox_gives_the_published_known_answers) {
  struct Answer {
    std::array<uint32_t, 4> counter;
    std::array<uint32_t, 2> key;
    std::array<uint32_t, 4> words;
  };
  // kat_vectors of Random123 for philox4x32-10.
  const Answer answers[] = {{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}},
                            {{0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu},
                             {0xffffffffu, 0xffffffffu},
                             {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}},
                            {{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
                             {0xa4093822u, 0x299f31d0u},
                             {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}}};
  for (const Answer& answer : answers) {
    const auto ours = prunepeft::philox4x32({{answer.counter[0], answer.counter[1], answer.counter[2], answer.counter[3]}},
                                            {{answer.key[0], answer.key[1]}});
    const auto with_keys =
        prunepeft::philox4x32_with({{answer.counter[0], answer.counter[1], answer.counter[2], answer.counter[3]}},
                                   prunepeft::philox_keys({{answer.key[0], answer.key[1]}}));
    const auto naive = naive_philox(answer.counter, answer.key);
    for (int i = 0; i < 4; ++i) {
      CHECK_EQUAL(ours.w[i], answer.words[i]);
      CHECK_EQUAL(with_keys.w[i], answer.words[i]);
      CHECK_EQUAL(naive[i], answer.words[i]);
    }
  }
}

TEST(keep_bits_follow_the_documented_counter) {
  for (int n = 0; n < 1000; ++n) {
    const uint64_t seed = check::random()();
    const uint32_t module = static_cast<uint32_t>(check::random()());
    const NaiveDropout naive{check::pick(1, 65535) / 65536.0, static_cast<uint32_t>(check::pick(0, 65535)),
                             static_cast<uint32_t>(check::random()()), seed};
    const prunepeft::DropoutMask mask{static_cast<uint32_t>(naive.p * 65536), 1.0f, naive.micro_batch, naive.step, seed};
    const int64_t K = check::pick(1, 5000), i = check::pick(0, int64_t{1} << 36), k = check::pick(0, K - 1);
    const uint32_t bits = prunepeft::dropout_keep_bits(mask, module, i * prunepeft::dropout_groups(K) + k / 8);
    CHECK_EQUAL((bits >> (k % 8)) & 1, naive.factor(module, K, i, k) != 0.0 ? 1u : 0u);
  }
}

TEST(a_workspace_of_the_cpu_frees_what_it_has_outgrown) {
  pp_context context{kCpu, nullptr};
  CHECK_EQUAL(pp_workspace_create(&kCpu, &context.workspace), PP_OK);
  size_t bytes = 5000;
  for (int i = 0; i < 10; ++i, bytes = bytes * 3 / 2) {
    CHECK_EQUAL(pp_workspace_reserve(&context, bytes), PP_OK);
    const size_t has = pp_workspace_bytes(context.workspace);
    CHECK(has >= bytes && has <= 2 * bytes);
    CHECK_EQUAL(pp_workspace_reserve(&context, bytes / 2), PP_OK);
    CHECK_EQUAL(pp_workspace_bytes(context.workspace), has);
  }
  CHECK_EQUAL(pp_workspace_destroy(context.workspace), PP_OK);
}

TEST(counts_devices) {
  int32_t count = -1;
  CHECK_EQUAL(pp_device_count(PP_CPU, &count), PP_OK);
  CHECK_EQUAL(count, 1);
  CHECK_FAILS(pp_device_count(static_cast<pp_device_type>(9), &count), PP_INVALID_ARGUMENT, "9");
  CHECK_FAILS(pp_device_count(PP_CPU, nullptr), PP_INVALID_ARGUMENT, "count");
  count = -1;
  CHECK_EQUAL(pp_device_count(PP_CUDA, &count), PP_OK);
  CHECK(count >= 0);
  if (count == 0) CHECK(std::strlen(pp_last_error()) > 0);
}

TEST(memory_is_given_copied_and_freed) {
  const pp_device cpu{PP_CPU, 0, nullptr};
  void* memory = nullptr;
  CHECK_EQUAL(pp_allocate(&cpu, 1000, &memory), PP_OK);
  CHECK(memory != nullptr);
  CHECK_EQUAL(reinterpret_cast<uintptr_t>(memory) % 256, 0u);
  std::vector<unsigned char> values(1000), back(1000);
  for (unsigned char& value : values) value = static_cast<unsigned char>(check::pick(0, 255));
  CHECK_EQUAL(pp_copy_to_device(&cpu, memory, values.data(), values.size()), PP_OK);
  CHECK_EQUAL(pp_synchronize(&cpu), PP_OK);
  CHECK_EQUAL(pp_copy_to_host(&cpu, back.data(), memory, back.size()), PP_OK);
  CHECK(values == back);
  CHECK_EQUAL(pp_free(&cpu, memory), PP_OK);
  CHECK_EQUAL(pp_free(&cpu, nullptr), PP_OK);

  CHECK_EQUAL(pp_allocate(&cpu, 0, &memory), PP_OK);
  CHECK(memory == nullptr);
  CHECK_FAILS(pp_allocate(&cpu, 1, nullptr), PP_INVALID_ARGUMENT, "memory");
  CHECK_FAILS(pp_allocate(&cpu, SIZE_MAX, &memory), PP_OUT_OF_MEMORY, "bytes");
  CHECK_FAILS(pp_copy_to_device(&cpu, nullptr, values.data(), 1), PP_INVALID_ARGUMENT, "to");
  CHECK_FAILS(pp_copy_to_host(&cpu, back.data(), nullptr, 1), PP_INVALID_ARGUMENT, "from");
  CHECK_FAILS(pp_synchronize(nullptr), PP_INVALID_ARGUMENT, "device");
}

TEST(graphs_are_of_cuda_devices) {
  const pp_device cpu = {PP_CPU, 0, nullptr};
  void* stream = &stream;
  pp_graph* graph = nullptr;
  CHECK_FAILS(pp_stream_create(&cpu, &stream), PP_UNSUPPORTED, "device->type is PP_CPU");
  CHECK_FAILS(pp_graph_begin(&cpu), PP_UNSUPPORTED, "device->type is PP_CPU");
  CHECK_FAILS(pp_graph_end(&cpu, &graph), PP_UNSUPPORTED, "device->type is PP_CPU");
  CHECK_FAILS(pp_graph_begin(nullptr), PP_INVALID_ARGUMENT, "device must not be null");
  pp_graph_destroy(nullptr);
}

TEST(sets_threads) {
  const int32_t before = pp_num_threads();
  CHECK(before >= 1);
  CHECK_EQUAL(pp_set_num_threads(5), PP_OK);
  CHECK_EQUAL(pp_num_threads(), 5);
  CHECK_FAILS(pp_set_num_threads(0), PP_INVALID_ARGUMENT, "threads must be in [1, 1024], got 0");
  CHECK_FAILS(pp_set_num_threads(1025), PP_INVALID_ARGUMENT, "threads must be in [1, 1024], got 1025");
  CHECK_EQUAL(pp_num_threads(), 5);
  pp_set_num_threads(before);
}

TEST(chooses_instruction_sets) {
  const pp_isa widest = pp_cpu_isa_supported();
  std::printf("       widest instruction set: %s\n", pp_isa_name(widest));
  CHECK_EQUAL(pp_cpu_isa(), widest);
  for (int isa = PP_ISA_PORTABLE; isa <= PP_ISA_AMX; ++isa) {
    if (isa <= widest) {
      CHECK_EQUAL(pp_set_cpu_isa(static_cast<pp_isa>(isa)), PP_OK);
      CHECK_EQUAL(static_cast<int>(pp_cpu_isa()), isa);
    } else {
      CHECK_FAILS(pp_set_cpu_isa(static_cast<pp_isa>(isa)), PP_UNSUPPORTED, pp_isa_name(static_cast<pp_isa>(isa)));
    }
  }
  CHECK_FAILS(pp_set_cpu_isa(static_cast<pp_isa>(7)), PP_INVALID_ARGUMENT, "got 7");
  pp_set_cpu_isa(widest);
  CHECK(std::strcmp(pp_isa_name(static_cast<pp_isa>(7)), "unknown") == 0);
}

TEST(knows_element_sizes) {
  CHECK_EQUAL(pp_dtype_size(PP_FLOAT32), size_t{4});
  CHECK_EQUAL(pp_dtype_size(PP_FLOAT16), size_t{2});
  CHECK_EQUAL(pp_dtype_size(PP_BFLOAT16), size_t{2});
  CHECK_EQUAL(pp_dtype_size(static_cast<pp_dtype>(3)), size_t{0});
}

TEST(messages_belong_to_their_thread) {
  pp_set_num_threads(-4);
  std::string other = "unset";
  std::thread([&] { other = pp_last_error(); }).join();
  CHECK(other.empty());
  CHECK(std::strstr(pp_last_error(), "-4") != nullptr);
}

TEST(version_has_three_parts) {
  int major, minor, patch;
  CHECK_EQUAL(std::sscanf(pp_version(), "%d.%d.%d", &major, &minor, &patch), 3);
}
