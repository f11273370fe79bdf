// The fused linear on CUDA buffers against float64: odd shapes, ranks that overlap columns, placements, dropout, every path;
// and with modules that the fused kernels do not take.
#include <thread>

#include "linear/cuda/path.h"
#include "linear_operands.h"
#if defined(PRUNEPEFT_EMULATED)
#include "launches.h"
#endif

using namespace device_test;
using prunepeft::cuda::ForcedLinearPath;
using prunepeft::cuda::LinearPath;

namespace {
/** Whether each kernel is read from its PTX too: not those by warpgroups, and what these launch besides has one case each. */
#if defined(PRUNEPEFT_ONE_RUN)
constexpr bool kReadTwice = true;
#else
constexpr bool kReadTwice = false;
#endif

struct ModuleOnColumns {
  int64_t rank, first_column, columns;
};

/** Modules on all rows that drop alike. */
Case fused(int64_t M, int64_t K, int64_t N, const std::vector<ModuleOnColumns>& modules, Placement placement, float p,
           bool bias, int64_t out_offset = 0) {
  Case c = {M, K, N, {}, placement, placement, bias, out_offset};
  for (const ModuleOnColumns& module : modules)
    c.modules.push_back({module.rank, module.first_column, module.columns, 0, M, p});
  return c;
}

/** In the emulator, whose device has two multiprocessors, two tiles of the large size take the large path. */
const Case kCases[] = {
    fused(1, 1, 1, {{1, 0, 1}}, {0, 0}, 0, true),
    fused(5, 40, 17, {}, {0, 0}, 0, true),                              // the frozen linear alone
    fused(67, 72, 56, {{8, 0, 56}}, {0, 0}, 0.1f, true),                // small tile, 16-byte groups
    fused(64, 128, 64, {{16, 0, 64}}, {0, 8}, 0, false),                // whole tiles
    fused(65, 33, 70, {{3, 5, 20}, {19, 9, 61}}, {1, 5}, 0.25f, true),  // unaligned, overlapping columns
    fused(130, 96, 136, {{40, 0, 136}}, {0, 0}, 0.5f, true),            // large tile, ranks in two steps
    fused(200, 67, 131, {{33, 100, 31}, {5, 0, 64}, {2, 130, 1}}, {0, 3}, 0.1f, false),
    fused(257, 520, 40, {{24, 8, 24}}, {0, 8}, 0.3f, true),            // several shares of K for S
    fused(90, 1030, 20, {{60, 0, 20}, {37, 0, 20}}, {0, 2}, 0, true),  // two chunks of ranks for S, shares
};

/** Modules that the fused kernels do not take together: on rows of their own, or each dropping in its own way. */
const Case kOtherCases[] = {
    {60, 72, 56, {{8, 0, 56, 0, 60, 0.1f, 0}, {5, 3, 40, 0, 60, 0.5f, 1}, {16, 0, 16, 0, 60, 0}}, {0, 0}, {0, 0}},
    {75, 67, 80, {{8, 0, 80, 0, 30, 0.25f, 0}, {19, 0, 80, 35, 40, 0, 1, -1, 0}}, {0, 3}, {0, 1}},
    {90, 72, 96, {{8, 0, 32, 50, 40, 0.1f, 0}, {4, 32, 64, 50, 40, 0.1f, 0}, {16, 0, 96, 0, 50, 0.2f, 1}}, {0, 8}, {0, 0}},
    {40, 33, 24, {{3, 4, 20, 7, 21, 0.1f}}, {1, 5}, {1, 5}, false},  // rows without a module around its own
};

/**
 * For the path by warpgroups: rows of x, W and dY start at multiples of 16 bytes. Two blocks take the tiles in the emulator.
 */
const Case kBulkCases[] = {
    fused(1, 8, 8, {{8, 0, 8}}, {0, 0}, 0.2f, true),
    fused(5, 40, 16, {}, {0, 0}, 0, true),                                       // the frozen linear alone
    fused(64, 128, 64, {{16, 0, 64}}, {0, 8}, 0, false),                         // whole steps
    fused(130, 72, 56, {{8, 0, 56}}, {0, 0}, 0.1f, true),                        // two row tiles, parts of steps
    fused(270, 264, 520, {{16, 37, 301}, {40, 250, 270}}, {0, 8}, 0.25f, true),  // nine tiles; ranks that begin within a tile
    fused(40, 520, 304, {{72, 0, 304}, {8, 296, 8}}, {0, 0}, 0.5f, false),       // ranks in two steps; masks drawn ahead
    fused(150, 1032, 264, {{8, 8, 8}, {24, 0, 256}, {16, 255, 9}}, {0, 16}, 0, true),
    fused(67, 267, 163, {{11, 3, 100}, {19, 0, 163}}, {0, 5}, 0.3f, true),  // nothing divides by 8 but the leading dimensions
    fused(130, 24, 72, {{16, 0, 72}}, {0, 0}, 0.1f, true, 3),               // results at odd addresses
    fused(150, 72, 264, {{5, 0, 264}, {3, 8, 100}}, {0, 0}, 0.25f, true),   // ranks that eight does not divide
    fused(270, 136, 40, {{20, 0, 40}, {8, 0, 40}, {70, 3, 9}}, {0, 8}, 0, false),  // some of them; in two steps
    {130, 72, 64, {{8, 0, 64, 0, 130, 0.1f}}, {0, 0}, {3, 2}},                     // S and dS at odd addresses
};
/** For clusters besides: both blocks' edges, and more works than clusters. */
const Case kClusterCases[] = {
    fused(128, 64, 256, {{16, 0, 256}}, {0, 0}, 0.1f, true),               // a single row tile: the other block has no rows
    fused(256, 72, 264, {{128, 0, 264}}, {0, 0}, 0.25f, true),             // two whole row tiles; ranks in two steps; an edge
    fused(257, 24, 120, {{8, 0, 64}, {24, 40, 80}}, {0, 8}, 0.1f, false),  // three row tiles, of which the last has one row
    fused(385, 137, 129, {{1, 0, 129}}, {0, 7}, 0, true),  // four; a column in the second block's half of a tile
    fused(129, 200, 600, {{8, 0, 600}, {16, 130, 126}, {40, 256, 100}}, {0, 0}, 0.5f,
          true),  // of three modules a tile has not all
};

int compute_major() {
  int major = 0;
  check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
  return major;
}

/** For S made in the product: what the path takes besides, of one to four tiles of 16 ranks. */
const Case kWithSCases[] = {
    fused(300, 136, 600, {{16, 0, 600}}, {0, 0}, 0, true),                // two rows of tiles, three columns
    fused(513, 64, 264, {{20, 0, 264}}, {0, 0}, 0, false),                // a part of the second tile; whole steps
    fused(257, 200, 520, {{32, 130, 390}}, {0, 0}, 0, true),              // ranks that pass over the first columns
    fused(270, 40, 520, {{5, 0, 256}, {16, 100, 420}}, {0, 0}, 0, true),  // two modules, a tile each
    fused(130, 8, 8, {{1, 0, 8}}, {0, 0}, 0, true),
    fused(300, 136, 520, {{16, 0, 200}, {16, 200, 200}, {16, 400, 120}}, {0, 0}, 0, true),  // q, k and v
    fused(260, 200, 300, {{40, 0, 300}}, {0, 0}, 0, true),                                  // three tiles of one module
    fused(260, 72, 520, {{20, 0, 300}, {27, 200, 320}}, {0, 8}, 0, true),                   // four tiles of two
    fused(300, 72, 264, {{64, 0, 264}}, {0, 0}, 0, false),
    {270, 104, 300, {{11, 3, 280, 0, 270, 0}}, {0, 0}, {3, 2}},  // S at odd addresses
    // Under dropout, of one module: rows and columns of masks that are no whole words.
    fused(300, 136, 600, {{16, 0, 600}}, {0, 0}, 0.1f, true),
    fused(513, 67, 267, {{20, 0, 267}}, {0, 5}, 0.5f, false),
    fused(270, 200, 520, {{40, 130, 390}}, {0, 0}, 0.3f, true),
    fused(260, 72, 264, {{64, 0, 264}}, {0, 8}, 0.2f, true),
    {270, 24, 304, {{11, 3, 280, 0, 270, 0.4f}}, {0, 0}, {3, 2}},
};

void test_kept(pp_dtype dtype, const Case& c) {
  const bool drops = std::any_of(c.modules.begin(), c.modules.end(), [](const ModuleCase& m) { return m.p > 0; });
  if (drops) test_kept_masks(dtype, c, Call::kForward, {Call::kGradDown, Call::kLinearGradInput});
}

/** By warpgroups and, if so, in clusters: these must give the same bits. */
void test_warpgroups(pp_dtype dtype, const Case& c, bool clusters) {
  const auto run = [&](LinearPath path) {
    const ForcedLinearPath in_force(path);
    return std::make_pair(test_call(Call::kForward, dtype, c), test_call(Call::kLinearGradInput, dtype, c));
  };
  const auto alone = run(LinearPath::kWarpgroup);
  {
    const ForcedLinearPath in_force(clusters ? LinearPath::kWarpgroupClusters : LinearPath::kWarpgroup);
    if (dtype == PP_BFLOAT16) test_kept(dtype, c);
  }
  if (!clusters) return;
  const auto side_by_side = run(LinearPath::kWarpgroupClusters);
  current_case = "clusters, " + describe(Call::kForward, dtype, c);
  expect(alone.first == side_by_side.first, "y and S have other bits in clusters");
  expect(alone.second == side_by_side.second, "dX has other bits in clusters");
}

/** Whether the product can make S: of up to 64 ranks, under dropout of one module. */
bool can_make_s(const Case& c) {
  int64_t tiles = 0;
  for (const ModuleCase& module : c.modules) tiles += (module.rank + 15) / 16;
  return tiles >= 1 && tiles <= 4 && (c.modules[0].p == 0 || c.modules.size() == 1);
}

/** The call, in which each product with W is made by the kernel. Which are launched the emulator alone counts. */
auto test_call_by(const char* kernel, Call call, pp_dtype dtype, const Case& c) {
#if defined(PRUNEPEFT_EMULATED)
  const auto by_others = [] {
    uint64_t count = 0;
    for (const char* other :
         {"linear_forward_warpgroup", "linear_grad_input_warpgroup", "linear_forward_kernel", "linear_grad_input_kernel"})
      count += simt::launches(other);
    return count;
  };
  const uint64_t before = simt::launches(kernel), others_before = by_others();
  auto result = test_call(call, dtype, c);
  current_case = std::string(kernel) + ", " + describe(call, dtype, c);
  expect(simt::launches(kernel) > before, "the case is made by another kernel");
  expect(by_others() == others_before, "the case is made by other kernels too");
  return result;
#else
  static_cast<void>(kernel);
  return test_call(call, dtype, c);
#endif
}

/** In clusters that make S: by one, and by three, which share rows of tiles and make S of one row again. */
void test_with_s(pp_dtype dtype, const Case& c) {
  const ForcedLinearPath in_force(LinearPath::kClustersWithS);
  const auto bits = test_call_by("linear_forward_with_s", Call::kForward, dtype, c);
  if (dtype == PP_BFLOAT16) test_kept(dtype, c);
#if defined(PRUNEPEFT_EMULATED)
  simt::set_multiprocessors(6);
  if (dtype == PP_FLOAT16) test_kept(dtype, c);  // one of the clusters keeps a row's masks
  expect(test_call_by("linear_forward_with_s", Call::kForward, dtype, c) == bits,
         "y and S have other bits where more clusters make S");
  simt::set_multiprocessors(2);
#else
  static_cast<void>(bits);
#endif
}

/** What dX's product makes dS and dB of: one module without dropout, of up to 32 ranks. */
const Case kWithDsCases[] = {
    fused(300, 600, 136, {{16, 0, 136}}, {0, 0}, 0, true),    // two rows of tiles, three columns; three steps
    fused(513, 264, 128, {{20, 0, 128}}, {0, 0}, 0, true),    // a part of the second tile of ranks; whole steps
    fused(257, 520, 520, {{32, 130, 390}}, {0, 0}, 0, true),  // a module on some of the columns of dY
    fused(130, 8, 8, {{1, 0, 8}}, {0, 0}, 0, true),           // one step, to which one is added
    fused(270, 300, 204, {{11, 3, 150}}, {0, 4}, 0, true),    // S and B are copied; dS at odd addresses
    {390, 264, 72, {{5, 8, 60, 0, 390, 0}}, {0, 0}, {3, 2}},  // and S at odd addresses
};
/** What takes the two calls: dropout, more ranks, several modules, rows of their own. */
const Case kTwoCallCases[] = {
    fused(130, 72, 264, {{16, 0, 264}}, {0, 0}, 0.1f, true),
    fused(130, 72, 264, {{40, 0, 264}}, {0, 0}, 0, true),
    fused(130, 72, 264, {{16, 0, 88}, {16, 88, 88}, {16, 176, 88}}, {0, 0}, 0, true),
    {60, 72, 56, {{8, 0, 56, 0, 30, 0}, {5, 3, 40, 30, 30, 0}}, {0, 0}, {0, 0}},
};

/** dX with dS and dB, in one launch with one that adds dB's parts, by one cluster and by three: the same bits. */
void test_with_ds(pp_dtype dtype, const Case& c) {
  const ForcedLinearPath in_force(LinearPath::kClustersWithS);
  const auto bits = test_call_by("linear_grad_input_with_ds", Call::kBackward, dtype, c);
#if defined(PRUNEPEFT_EMULATED)
  simt::set_multiprocessors(6);
  expect(test_call_by("linear_grad_input_with_ds", Call::kBackward, dtype, c) == bits,
         "dX, dS and dB have other bits where more clusters make dS");
  simt::set_multiprocessors(2);
#else
  static_cast<void>(bits);
#endif
}

/** A path that makes no dS takes no room for dB's parts: the calls one after the other need as much. */
void test_room_without_ds(pp_dtype dtype, const Case& c) {
  const ForcedLinearPath in_force(LinearPath::kWarpgroupClusters);
  current_case = "room without dS, " + describe(Call::kBackward, dtype, c);
  const Operands o(dtype, c, Call::kBackward);
  const Context together(kDevice, false), apart(kDevice, false);
  expect_ok(make_call(Call::kBackward, together, o.linear, o.wide(), o.modules, false));
  for (const Call call : {Call::kGradUp, Call::kLinearGradInput})
    expect_ok(make_call(call, apart, o.linear, o.wide(), o.modules, false));
  expect_ok(pp_synchronize(&kDevice));
  expect(pp_workspace_bytes(together.workspace()) == pp_workspace_bytes(apart.workspace()),
         "a backward pass without dS takes other room than its calls");
}

/** What has dA on a branch beside dX: dropout or not, copies of narrow operands, several modules, edges. */
const Case kBranchCases[] = {
    fused(300, 600, 136, {{16, 0, 136}}, {0, 0}, 0, true),
    fused(257, 264, 72, {{5, 0, 72}}, {0, 0}, 0.3f, true),
    fused(513, 67, 131, {{20, 3, 100}}, {0, 5}, 0.5f, true),
    fused(130, 520, 264, {{8, 0, 88}, {24, 88, 88}, {16, 100, 164}}, {0, 0}, 0.25f, true),
    {390, 264, 72, {{40, 8, 60, 0, 390, 0.1f}}, {0, 0}, {3, 2}},
    fused(1, 8, 8, {{1, 0, 8}}, {0, 0}, 0, true),
};

void run_one_by_one(const Operands& o, const Context& context) {
  for (const Call call : {Call::kGradUp, Call::kLinearGradInput, Call::kGradDown})
    expect_ok(make_call(call, context, o.linear, o.wide(), o.modules, false));
}

/** dA and all else by calls one after the other, which wait for nothing, from the same operands. */
std::vector<unsigned char> one_by_one(pp_dtype dtype, const Case& c) {
  std::vector<unsigned char> bytes;
  run_case(
      describe(Call::kBackwardWithDa, dtype, c),  // which the operands follow from
      [&] {
        Operands o(dtype, c, Call::kBackwardWithDa);
        run_one_by_one(o, Context());
        return bytes = o.read();
      },
      1);
  return bytes;
}

/** Of one call, how often a stream was told to wait for another: twice for a branch. */
uint64_t waits_of(pp_dtype dtype, const Case& c, Call call) {
#if defined(PRUNEPEFT_EMULATED)
  current_case = "waits, " + describe(call, dtype, c);
  Operands o(dtype, c, call);
  const Context context;
  const uint64_t before = simt::waits_for_events();
  o.run(context);
  emulator_fault();
  return simt::waits_for_events() - before;
#else
  static_cast<void>(dtype), static_cast<void>(c), static_cast<void>(call);
  return 2;
#endif
}

/** In random orders of streams and by devices of which dX leaves a part: the bits of calls one after the other. */
void test_branch(pp_dtype dtype, const Case& c, bool clusters) {
  for (const LinearPath path : {LinearPath::kWarpgroup, LinearPath::kWarpgroupClusters}) {
    if (path == LinearPath::kWarpgroupClusters && !clusters) continue;
    const ForcedLinearPath in_force(path);
    const auto expected = one_by_one(dtype, c);
    const auto check = [&] {
      const auto bits = test_call(Call::kBackwardWithDa, dtype, c, false, 4);
      current_case = "branch, " + describe(Call::kBackwardWithDa, dtype, c);
      expect(bits == expected, "dA on a branch gives other bits than calls one after the other");
    };
    check();
    expect(waits_of(dtype, c, Call::kBackwardWithDa) == 2, "dA is not on a branch");
#if defined(PRUNEPEFT_EMULATED)
    simt::set_multiprocessors(10);
    check();
    simt::set_multiprocessors(2);
#endif
    const bool drops = c.modules[0].p > 0;
    if (drops && dtype == PP_BFLOAT16) test_kept_masks(dtype, c, Call::kForward, {Call::kBackwardWithDa});
  }
}

/** Two of the same contents: what a test does with the one, and what it should. */
struct Twins {
  const std::mt19937_64 state = random_bits;
  Operands one;
  const bool again = (random_bits = state, true);
  Operands other;
  Twins(pp_dtype dtype, const Case& c) : one(dtype, c, Call::kBackwardWithDa), other(dtype, c, Call::kBackwardWithDa) {}
};

/** Two threads make calls with branches at the same time, on a stream each: neither finds the other's. */
void test_two_threads() {
  const Case cases[] = {fused(300, 600, 136, {{16, 0, 136}}, {0, 0}, 0, true),
                        fused(257, 264, 72, {{5, 0, 72}}, {0, 0}, 0.3f, true)};
  const ForcedLinearPath in_force(LinearPath::kWarpgroup);
  constexpr int kCalls = 3;
  run_case(
      "two threads",
      [&] {
        Twins first(PP_BFLOAT16, cases[0]), second(PP_BFLOAT16, cases[1]);
        Twins* const twins[] = {&first, &second};
        const Stream streams[2];
        pp_status of_calls[2][kCalls];
        std::vector<std::thread> threads;
        for (int t = 0; t < 2; t++)
          threads.emplace_back([&, t] {
            const Context context(streams[t].device);
            const Operands& o = twins[t]->one;
            for (pp_status& status : of_calls[t]) status = make_call(o.call, context, o.linear, o.wide(), o.modules, false);
            pp_synchronize(&streams[t].device);
          });
        for (std::thread& thread : threads) thread.join();
        std::vector<unsigned char> bytes;
        const Context context;
        for (int t = 0; t < 2; t++) {
          for (const pp_status status : of_calls[t]) expect_ok(status);
          run_one_by_one(twins[t]->other, context);
          const auto of_thread = twins[t]->one.read();
          expect(of_thread == twins[t]->other.read(), "a thread's calls give other bits beside another's");
          bytes.insert(bytes.end(), of_thread.begin(), of_thread.end());
        }
        return bytes;
      },
      4);
}

/** A stream's very first call is recorded, and makes what it has for branches then. */
void test_recorded_first(LinearPath path) {
  const Case c = fused(257, 264, 72, {{5, 0, 72}}, {0, 0}, 0.3f, true);
  const ForcedLinearPath in_force(path);
  run_case(
      "recorded first",
      [&] {
        Twins twins(PP_BFLOAT16, c);
        const Stream stream;
        const Context context(stream.device, false);
        constexpr size_t kEnough = size_t{1} << 22;
        expect_ok(pp_workspace_reserve(context, kEnough));
#if defined(PRUNEPEFT_EMULATED)
        simt::unload_kernels();
        const uint64_t before = simt::waits_for_events();
#endif
        pp_graph* graph = nullptr;
        expect_ok(pp_graph_begin(&stream.device));
        twins.one.run(context);
        expect_ok(pp_graph_end(&stream.device, &graph));
#if defined(PRUNEPEFT_EMULATED)
        expect(simt::waits_for_events() == before + 2, "dA is not recorded on a branch");
#endif
        for (int launch = 0; launch < 2; launch++) expect_ok(pp_graph_launch(&stream.device, graph));
        expect_ok(pp_synchronize(&stream.device));
        run_one_by_one(twins.other, Context());
        const auto bytes = twins.one.read();
        expect(bytes == twins.other.read(), "a branch that is recorded first gives other bits");
        pp_graph_destroy(graph);
        return bytes;
      },
      4);
}

#if defined(PRUNEPEFT_EMULATED)
/** Memory that runs out for a stream's branches is said before anything is done, and the next call makes them. */
void test_no_memory_for_a_branch(bool recorded) {
  const Case c = fused(257, 264, 72, {{5, 0, 72}}, {0, 0}, 0, true);
  const ForcedLinearPath in_force(LinearPath::kWarpgroup);
  run_case(
      std::string("no memory for a branch") + (recorded ? ", recorded" : ""),
      [&] {
        std::vector<unsigned char> bytes;
        const int64_t at_first = simt::streams_and_events();
        for (int n = 1; n <= 4; n++) {  // a stream and two events
          random_bits.seed(check::seed());
          Twins twins(PP_BFLOAT16, c);
          {
            const Stream stream;
            const Context context(stream.device, false);
            constexpr size_t kEnough = size_t{1} << 22;
            expect_ok(pp_workspace_reserve(context, kEnough));
            pp_graph* graph = nullptr;
            if (recorded) expect_ok(pp_graph_begin(&stream.device));
            const uint64_t waits = simt::waits_for_events();
            const int64_t made = simt::streams_and_events();
            const auto call = [&] {
              return make_call(twins.one.call, context, twins.one.linear, twins.one.wide(), twins.one.modules, false);
            };
            const uint64_t launches = recorded ? 0 : simt::launches();
            simt::fail_allocation(n);
            const pp_status status = call();
            simt::fail_allocation(0);
            if (n <= 3) {
              expect(status == PP_OUT_OF_MEMORY, "memory runs out for a branch, and the call does not say so");
              expect(strstr(pp_last_error(), "pp_linear_backward: ") != nullptr, pp_last_error());
              expect(simt::waits_for_events() == waits, "a branch is taken that could not be made");
              expect(simt::streams_and_events() == made, "a part of a branch that could not be made is left");
              if (!recorded) expect(simt::launches() == launches, "a call without memory has done something");
              expect(cudaGetLastError() == cudaSuccess, "an error is left behind");
              expect_ok(call());
            } else {
              expect_ok(status);
            }
            expect(simt::waits_for_events() == waits + 2, "dA is not on a branch");
            if (recorded) {
              expect_ok(pp_graph_end(&stream.device, &graph));
              expect_ok(pp_graph_launch(&stream.device, graph));
            }
            expect_ok(pp_synchronize(&stream.device));
            pp_graph_destroy(graph);
            run_one_by_one(twins.other, Context());
            bytes = twins.one.read();
            expect(bytes == twins.other.read(), "a call after one without memory gives other bits");
          }
          expect(simt::streams_and_events() == at_first, "what a stream has for its branches is left when it is freed");
        }
        return bytes;
      },
      1);
}

/** A module without rows is none: what is made of the others, and how, is that of a call without it. */
void test_module_without_rows() {
  for (const bool first : {false, true}) {
    Case c = fused(512, 256, 264, {{16, 0, 264}}, {0, 0}, 0, true);
    c.modules.insert(first ? c.modules.begin() : c.modules.end(), {24, 3, 200, 0, 0, 0});
    for (const Call call : {Call::kBackward, Call::kBackwardWithDa})
      for (const int multiprocessors : {2, 5}) {
        simt::set_multiprocessors(multiprocessors);
        run_case(
            "a module without rows, " + std::to_string(multiprocessors) + " multiprocessors, " + describe(call, PP_BFLOAT16, c),
            [&] {
              struct Did {
                std::vector<unsigned char> bytes;
                uint64_t launches, waits;
              };
              const std::mt19937_64 state = random_bits;
              const auto run = [&](bool with_it) {
                random_bits = state;
                Operands o(PP_BFLOAT16, c, call);
                if (!with_it) o.modules.erase(first ? o.modules.begin() : o.modules.end() - 1);
                const Context context;
                const uint64_t launches = simt::launches(), waits = simt::waits_for_events();
                o.run(context);
                return Did{o.read(), simt::launches() - launches, simt::waits_for_events() - waits};
              };
              const Did with = run(true), without = run(false);
              expect(with.launches == without.launches, "a module without rows takes other launches");
              expect(with.waits == without.waits, "a module without rows decides of a branch");
              expect(with.bytes == without.bytes, "a module without rows changes bits");
              return with.bytes;
            },
            1);
      }
  }
  simt::set_multiprocessors(2);
}

/** What a call's stream does next finds dA: a sum that it overwrites is that of the first call, in any order of streams. */
void test_join() {
  const Case c = fused(257, 264, 72, {{5, 0, 72}}, {0, 0}, 0.3f, true);
  const ForcedLinearPath in_force(LinearPath::kWarpgroupClusters);
  for (int order = 0; order < 12; order++) {
    current_case = "join, " + describe(Call::kBackwardWithDa, PP_BFLOAT16, c);
    simt::set_seed(static_cast<uint64_t>(order) + 1);
    Operands o(PP_BFLOAT16, c, Call::kBackwardWithDa);
    const Context context;
    Matrix copy(PP_FLOAT32, 5, c.K, {}, Content::kUnwritten);
    o.run(context);
    const pp_matrix da = o.modules[0].da;
    for (int64_t i = 0; i < da.rows; i++) {
      const auto row = static_cast<size_t>(da.cols) * sizeof(float);
      check_cuda(cudaMemcpyAsync(static_cast<float*>(copy.data()) + i * copy.view().ld,
                                 static_cast<const float*>(da.data) + i * da.ld, row, cudaMemcpyDeviceToDevice, nullptr));
    }
    copy.download();
    o.read();
    bool same = true;
    for (int64_t i = 0; i < da.rows; i++)
      for (int64_t k = 0; k < da.cols; k++) same = same && copy(i, k) == (*o.da[0])(i, k);
    expect(same, "what comes next in the call's stream does not find dA");
    if (emulator_fault()) return;
  }
}

/** dX and dA are in no order, and nine tiles leave three of eight multiprocessors: two turns of five do as well. */
void test_what_lies_beside() {
  const Case c = fused(300, 600, 136, {{16, 0, 136}}, {0, 0}, 0, true);
  const ForcedLinearPath in_force(LinearPath::kWarpgroup);
  simt::set_multiprocessors(8);
  std::vector<unsigned> threads;
  unsigned blocks_of_dx = 0;
  constexpr unsigned kThreadsOfDx = 384;
  simt::read_launches([&](const simt::Launch& launch, const std::function<void()>& run) {
    threads.push_back(launch.block.x);
    if (launch.block.x == kThreadsOfDx) blocks_of_dx = launch.grid.x;
    run();
  });
  bool before = false, after = false;
  for (int order = 0; order < 12; order++) {
    current_case = "beside, " + describe(Call::kBackwardWithDa, PP_BFLOAT16, c);
    simt::set_seed(static_cast<uint64_t>(order) + 1);
    Operands o(PP_BFLOAT16, c, Call::kBackwardWithDa);
    const Context context;
    threads.clear();
    o.run(context);
    simt::finish_streams();
    const auto at = std::find(threads.begin(), threads.end(), kThreadsOfDx) - threads.begin();
    expect(threads.size() == 5 && at >= 2 && at < 5, "dX is the third to fifth of five launches");
    before = before || at == 2;
    after = after || at > 2;
    emulator_fault();
  }
  expect(before && after, "dX is always before dA, or always after its first launch");
  expect(blocks_of_dx == 5, "dX takes blocks that the branch could have");
  waits_of(PP_BFLOAT16, c, Call::kBackward);
  expect(blocks_of_dx == 8, "dX leaves blocks to nobody");
  simt::read_launches(nullptr);
  simt::set_multiprocessors(2);
}

/** Where no path is forced, a branch is for a device of which dX leaves a part. */
void test_choice_of_branch() {
  // Two tiles of 256 rows: of five multiprocessors two clusters leave one.
  const Case dropped = fused(512, 256, 264, {{16, 0, 264}}, {0, 0}, 0.1f, true);
  const auto branches = [](pp_dtype dtype, const Case& c, int multiprocessors) {
    simt::set_multiprocessors(multiprocessors);
    const uint64_t waits = waits_of(dtype, c, Call::kBackwardWithDa);
    simt::set_multiprocessors(2);
    current_case = "choice of a branch, " + describe(Call::kBackwardWithDa, dtype, c);
    return waits != 0;
  };
  expect(branches(PP_BFLOAT16, dropped, 5), "dX leaves one multiprocessor of five, and there is no branch");
  expect(!branches(PP_BFLOAT16, dropped, 4), "dX leaves nothing, and there is a branch");
  expect(!branches(PP_FLOAT32, dropped, 5), "float32 has a branch");
  expect(waits_of(PP_BFLOAT16, dropped, Call::kBackward) == 0, "there is a branch without dA");
  Case shared = fused(512, 256, 264, {{16, 0, 100}, {16, 100, 100}}, {0, 0}, 0.1f, true);
  expect(branches(PP_BFLOAT16, shared, 5), "two modules have no branch");
  shared.modules[1].same_as = 0;  // their dA is one sum
  expect(!branches(PP_BFLOAT16, shared, 5), "modules with one dA have a branch");
}
#endif

void test_no_rows(pp_dtype dtype) {
  current_case = std::string("M = 0 ") + name(dtype);
  for (const Call call : {Call::kForward, Call::kLinearGradInput, Call::kBackward, Call::kBackwardWithDa}) {
    const Operands o(dtype, fused(0, 8, 8, {{2, 0, 8}}, {0, 0}, 0, true), call);
    Wide nowhere = o.wide();
    for (pp_matrix* matrix : {&nowhere.x, &nowhere.y, &nowhere.dy, &nowhere.dx}) matrix->data = nullptr;
    const pp_context no_workspace = {kDevice, nullptr};
    expect_ok(make_call(call, &no_workspace, o.linear, nowhere, o.modules, false));
  }
  emulator_fault();
}

/** What the copy engine cannot bring is refused, where the path is not chosen but forced. */
void test_refused() {
  const std::pair<pp_dtype, Case> refused[] = {
      {PP_BFLOAT16, fused(40, 72, 60, {{8, 0, 60}}, {0, 4}, 0, true)},
      {PP_FLOAT32, fused(40, 72, 56, {{8, 0, 56}}, {0, 0}, 0, true)},
      {PP_FLOAT16, fused(40, 72, 56, std::vector<ModuleOnColumns>(9, {8, 0, 56}), {0, 0}, 0, true)}};
  for (const auto& [dtype, c] : refused) {
    current_case = "refused, " + describe(Call::kLinearGradInput, dtype, c);
    const Operands o(dtype, c, Call::kLinearGradInput);
    const Context context;
    expect(make_call(o.call, context, o.linear, o.wide(), o.modules, false) == PP_DEVICE_ERROR,
           "a path that the operands do not allow is an error");
  }
}

#if defined(PRUNEPEFT_EMULATED)
void test_launches(Call call, const Case& c, uint64_t expected) {
  current_case = "launches, " + describe(call, PP_BFLOAT16, c);
  Operands o(PP_BFLOAT16, c, call);
  const Context context;
  const uint64_t before = simt::launches();
  o.run(context);
  const uint64_t launches = simt::launches() - before;
  if (launches != expected)
    report("%llu launches, not %llu", static_cast<unsigned long long>(launches), static_cast<unsigned long long>(expected));
  emulator_fault();
}
#endif
void test_tiles() {
  for (const auto& [cases, count] : {std::make_pair(kCases, std::size(kCases)), {kOtherCases, std::size(kOtherCases)}})
    for (const Case* c = cases; c != cases + count; c++)
      for (const pp_dtype dtype : kDtypes)
        for (const Call call : {Call::kForward, Call::kLinearGradInput})
          if (drawn_case()) test_call(call, dtype, *c);
  for (const auto& [cases, count] : {std::make_pair(kCases, std::size(kCases)), {kOtherCases, std::size(kOtherCases)}})
    for (const Case* c = cases; c != cases + count; c++)
      for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16})
        if (drawn_case()) test_kept(dtype, *c);
  for (const Case& c : kTwoCallCases)
    for (const pp_dtype dtype : kDtypes)
      for (const Call call : {Call::kBackward, Call::kBackwardWithDa})
        if (drawn_case()) test_call(call, dtype, c);
}

#if defined(PRUNEPEFT_EMULATED)
/** Its S would have shares of K: a launch more. */
const Case kSharing = fused(70, 1032, 40, {{8, 0, 40}}, {0, 0}, 0, true);

void test_counted_launches() {
  test_launches(Call::kForward, kSharing, 1);
  simt::set_compute_major(9);
  // A rank that eight does not divide is no reason to leave warpgroups: copies have a launch. S is made in the product, up to
  // 64 ranks; else it has a launch too.
  for (const int64_t rank : {5, 8, 64, 67, 72}) {
    const Case c = fused(130, 72, 264, {{rank, 0, 264}}, {0, 0}, 0, true);
    const uint64_t copies = rank % 8 == 0 ? 0 : 1, of_s = rank > 64 ? 1 : 0;
    test_launches(Call::kForward, c, 1 + copies + of_s);
    test_launches(Call::kLinearGradInput, c, 1 + copies);
  }
  test_launches(Call::kForward, fused(130, 72, 264, {{8, 0, 64}, {8, 0, 64}}, {0, 0}, 0, true), 1);
  // dS and dB of one module are made in dX's product, up to 32 ranks and without dropout; dB's parts are added by a launch.
  for (const int64_t rank : {5, 8, 32, 40}) {
    const uint64_t copies = rank % 8 == 0 ? 0 : 1, launches = rank > 32 ? 3 : 2;
    const Case c = fused(130, 264, 136, {{rank, 0, 136}}, {0, 0}, 0, true);
    test_launches(Call::kBackward, c, launches + copies);
    test_launches(Call::kBackwardWithDa, c, launches + copies + 2);
  }
  test_launches(Call::kBackward, fused(130, 264, 136, {{8, 0, 136}}, {0, 0}, 0.1f, true), 3);
  // Under dropout S of one module is made in the product, of two before.
  test_launches(Call::kForward, fused(130, 72, 264, {{16, 0, 264}}, {0, 0}, 0.1f, true), 1);
  test_launches(Call::kForward, fused(130, 72, 264, {{8, 0, 264}, {8, 0, 264}}, {0, 0}, 0.1f, true), 2);
}
#endif

/** What calls with branches do beside each other, recorded, and without memory. */
void test_streams(bool clusters) {
  if (drawn_case()) test_two_threads();
  for (const LinearPath path : {LinearPath::kWarpgroup, LinearPath::kWarpgroupClusters})
    if ((path == LinearPath::kWarpgroup || clusters) && drawn_case()) test_recorded_first(path);
#if defined(PRUNEPEFT_EMULATED)
  for (const bool recorded : {false, true})
    if (drawn_case()) test_no_memory_for_a_branch(recorded);
  if (drawn_case()) test_module_without_rows();
  if (drawn_case()) test_join();
  if (drawn_case()) test_what_lies_beside();
  if (drawn_case()) test_choice_of_branch();
#endif
}
}  // namespace

/**
 * All of it, or the parts that are named: tiles, launches, warpgroups, s, ds, branch, streams. native/emulator/mutate.py asks
 * first those that a change may break.
 */
int main(int count, char** arguments) {
  const auto wanted = [&](const char* part) {
    return count < 2 ||
           std::any_of(arguments + 1, arguments + count, [&](const char* name) { return strcmp(name, part) == 0; });
  };
  if (wanted("tiles")) test_tiles();
#if defined(PRUNEPEFT_EMULATED)
  simt::set_compute_major(8);
  if (wanted("launches") && drawn_case()) test_counted_launches();
  simt::set_compute_major(9);
#endif
  if (compute_major() == 9 && !kReadTwice) {
    std::vector<Case> cases(std::begin(kBulkCases), std::end(kBulkCases));
    const bool clusters = getenv("PRUNEPEFT_WITHOUT_CLUSTERS") == nullptr;
    if (clusters) cases.insert(cases.end(), std::begin(kClusterCases), std::end(kClusterCases));
    if (wanted("warpgroups"))
      for (const Case& c : cases)
        for (const pp_dtype dtype : {PP_FLOAT16, PP_BFLOAT16})
          if (drawn_case()) test_warpgroups(dtype, c, clusters);
    if (clusters && getenv("PRUNEPEFT_WITHOUT_S") == nullptr) {
      cases.insert(cases.end(), std::begin(kWithSCases), std::end(kWithSCases));
      for (const Case& c : cases)
        for (const pp_dtype dtype : {PP_FLOAT16, PP_BFLOAT16})
          if (wanted("s") && can_make_s(c) && drawn_case()) test_with_s(dtype, c);
      if (wanted("ds"))
        for (const Case& c : kWithDsCases)
          for (const pp_dtype dtype : {PP_FLOAT16, PP_BFLOAT16}) {
            if (drawn_case()) test_with_ds(dtype, c);
            if (drawn_case()) test_room_without_ds(dtype, c);
          }
    }
    if (wanted("branch"))
      for (const Case& c : kBranchCases)
        for (const pp_dtype dtype : {PP_FLOAT16, PP_BFLOAT16})
          if (drawn_case()) test_branch(dtype, c, clusters);
    if (wanted("streams")) test_streams(clusters);
    if (wanted("launches"))
      for (const LinearPath path : {LinearPath::kWarpgroup, LinearPath::kWarpgroupClusters}) {
        const ForcedLinearPath in_force(path);
        if ((path == LinearPath::kWarpgroup || clusters) && drawn_case()) test_refused();
#if defined(PRUNEPEFT_EMULATED)
        if (drawn_case()) test_launches(Call::kForward, kSharing, 2);
#endif
      }
  }
  for (const pp_dtype dtype : kDtypes)
    if (drawn_case()) test_no_rows(dtype);
  return finish();
}
