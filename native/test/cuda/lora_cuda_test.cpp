// The LoRA functions on CUDA buffers: modules on the same rows and on different ones, at odd sizes, ranks, placements and
// dropout rates.
#include "linear/cuda/shares.h"
#include "linear_operands.h"
#if defined(PRUNEPEFT_EMULATED)
#include "launches.h"
#endif

using namespace device_test;

namespace {
/** Modules on all rows that drop alike; the first on all columns. An aligned matrix has rows of a multiple of 8 elements. */
Case same_rows(int64_t M, int64_t width, const std::vector<int64_t>& ranks, Placement placement, float p) {
  Case c = {M, width, width, {}, placement};
  if (placement.padding != 0 || placement.offset != 0) c.narrow = {placement.offset, 3};
  for (const int64_t rank : ranks) {
    const int64_t first = std::min<int64_t>(5 * static_cast<int64_t>(c.modules.size()), width - 1);
    c.modules.push_back({rank, first, std::max<int64_t>(width - 3 * first, 1), 0, M, p});
  }
  return c;
}

/** With aligned rows whatever the ranks. */
Case whole_rows(Case c) {
  c.whole_rows = true;
  return c;
}

const Case kSameRows[] = {
    same_rows(1, 1, {1}, {0, 0}, 0),
    same_rows(3, 7, {2}, {1, 5}, 0.5f),
    same_rows(70, 136, {8}, {0, 0}, 0.1f),
    same_rows(65, 72, {16}, {0, 8}, 0),
    same_rows(33, 203, {5, 19}, {0, 5}, 0.25f),
    same_rows(67, 530, {4, 16}, {0, 6}, 0.1f),
    same_rows(130, 64, {32, 32}, {0, 0}, 0),
    same_rows(66, 136, {40}, {0, 0}, 0.1f),  // three tiles of ranks
    same_rows(66, 136, {48}, {0, 0}, 0.25f),
    whole_rows(same_rows(66, 136, {33}, {0, 0}, 0.1f)),
    same_rows(70, 136, {16, 40, 72}, {0, 0}, 0.3f),
    same_rows(66, 584, {40, 50}, {0, 8}, 0.3f),
    same_rows(9, 131, {70, 3, 17}, {1, 5}, 0.5f),
    same_rows(129, 40, {1, 1, 1, 1, 1, 1}, {3, 2}, 0.7f),
    same_rows(40, 129, {100}, {0, 7}, 0),
    // Each drops in its own way.
    {40, 72, 56, {{8, 0, 56, 0, 40, 0.1f, 0}, {3, 5, 20, 0, 40, 0.5f, 1}, {16, 0, 40, 0, 40, 0}, {5, 9, 47, 0, 40, 0.1f, 2}}},
};

struct Rows {
  int64_t first, count;
  size_t adapter;
  float p;
};

/** Adapters on all columns, each on rows of its own choice, whose S lie in one matrix. */
Case different_rows(int64_t M, int64_t width, const std::vector<int64_t>& ranks, const std::vector<Rows>& rows,
                    Placement placement) {
  Case c = {M, width, width, {}, placement, placement};
  std::vector<int> first(ranks.size(), -1);
  for (const Rows& r : rows) {
    const auto n = static_cast<int>(c.modules.size());
    c.modules.push_back({ranks[r.adapter], 0, width, r.first, r.count, r.p, n, first[r.adapter], n == 0 ? -1 : 0});
    if (first[r.adapter] < 0) first[r.adapter] = n;
  }
  return c;
}

/** More than a launch takes, of which the first and the last are one adapter. */
Case many_rows() {
  std::vector<Rows> rows;
  for (int64_t i = 0; i < 70; i++) rows.push_back({2 * i, 1 + i % 2, static_cast<size_t>(i % 69), 0.2f});
  return different_rows(140, 24, std::vector<int64_t>(69, 3), rows, {0, 0});
}

/** The query, key and value of several seeds, stacked: several modules on each run of rows, which need not be in order. */
Case stacked(bool share_s) {
  Case c = {90, 72, 96, {}, {0, 8}, {0, 0}};
  const std::pair<int64_t, int64_t> runs[] = {{50, 40}, {0, 33}};
  int draw = 0;
  for (const auto& [first, rows] : runs) {
    for (int part = 0; part < 3; part++) {
      const int narrow_as = share_s && draw > 0 ? part : -1;
      c.modules.push_back({4 + 4 * part, 32 * part, 32, first, rows, 0.25f, draw, -1, narrow_as});
    }
    draw++;
  }
  return c;
}

/** Adapters on other rows and other columns, each with an S of its own. */
Case apart() {
  return {100, 130, 90, {{5, 0, 90, 0, 30, 0.1f, 0}, {20, 7, 41, 30, 44, 0, 1}, {3, 80, 10, 80, 20, 0.4f, 2}}, {0, 6}, {1, 2}};
}

const Case kDifferentRows[] = {
    different_rows(1, 1, {1}, {{0, 1, 0, 0}}, {0, 0}),
    // One adapter, the whole batch.
    different_rows(70, 136, {8}, {{0, 70, 0, 0.1f}}, {0, 0}),
    // Neighbours in one tile of rows.
    different_rows(60, 72, {16, 3, 8}, {{0, 7, 0, 0}, {7, 33, 1, 0.25f}, {40, 20, 2, 0}}, {0, 0}),
    // Several tiles of ranks, all aligned: a row of S has 40 columns.
    different_rows(60, 72, {39, 16}, {{0, 25, 0, 0.2f}, {30, 30, 1, 0}}, {0, 0}),
    // Gaps and empty runs.
    different_rows(150, 200, {5, 128, 9, 33, 2},
                   {{0, 0, 4, 0.5f}, {3, 66, 3, 0.1f}, {69, 0, 1, 0}, {80, 1, 0, 0.9f}, {81, 65, 1, 0}, {150, 0, 2, 0}},
                   {1, 5}),
    // Two runs of one adapter.
    different_rows(90, 130, {20, 4}, {{0, 30, 0, 0.2f}, {30, 10, 1, 0.2f}, {45, 40, 0, 0.2f}}, {0, 6}),
    // Shares of columns beside a run of one share.
    different_rows(140, 520, {17, 100, 1}, {{0, 5, 2, 0.3f}, {8, 100, 0, 0.3f}, {108, 32, 1, 0}}, {0, 8}),
    // No rows at all.
    different_rows(20, 40, {4}, {{5, 0, 0, 0.1f}}, {0, 0}),
    many_rows(),
    stacked(true),
    stacked(false),
    apart(),
};

/** With S and dS as the wide matrices lie. */
Case placed_alike(Case c) {
  c.narrow = c.placement;
  return c;
}

/** Columns that are overwritten may have one module alone. */
Case first_alone(Case c) {
  c.modules.resize(1);
  return placed_alike(c);
}

void test_same_rows(pp_dtype dtype, const Case& c) {
  const auto test = [&](Call call, const Case& of, bool accumulate) {
    constexpr int kRuns = 3;
    if (drawn_case()) test_call(call, dtype, of, accumulate, kRuns);
  };
  test(Call::kDown, c, false);
  test(Call::kGradDown, c, false);
  for (const bool accumulate : {true, false}) test(Call::kGradInput, c, accumulate);
  test(Call::kUp, placed_alike(c), true);
  test(Call::kUp, first_alone(c), false);
  test(Call::kGradUp, placed_alike(c), false);
  test(Call::kGradUpAlone, placed_alike(c), false);
}

void test_different_rows(pp_dtype dtype, const Case& c, bool odd) {
  const auto test = [&](Call call, bool accumulate) {
    if (drawn_case()) test_call(call, dtype, c, accumulate);
  };
  test(Call::kDown, false);
  for (const Call call : {Call::kUp, Call::kGradInput}) {
    test(call, true);
    if (odd) test(call, false);
  }
  for (const Call call : {Call::kGradUp, Call::kGradUpAlone, Call::kGradDown}) test(call, false);
}

/** Odd shapes and ranks, stacks, modules that drop each in its own way; nearly all of x dropped. */
void test_kept() {
  std::vector<Case> cases(std::begin(kSameRows), std::end(kSameRows));
  cases.insert(cases.end(), std::begin(kDifferentRows), std::end(kDifferentRows));
  cases.push_back(same_rows(70, 150, {8}, {0, 2}, 0.99f));
  cases.push_back(same_rows(300, 264, {16}, {0, 0}, 0.5f));  // several tiles of rows, aligned
  for (const Case& c : cases) {
    const bool drops = std::any_of(c.modules.begin(), c.modules.end(), [](const ModuleCase& m) { return m.p > 0; });
    for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16})
      if (drops && drawn_case()) test_kept_masks(dtype, c, Call::kDown, {Call::kGradDown, Call::kGradInput});
  }
}

/**
 * Modules on the same rows, whose ranks are cut into chunks together, leave S, dA and kept masks with the bits of calls for
 * each of them alone.
 */
void test_stack(pp_dtype dtype, const Case& c, bool kept) {
  run_case(
      "a stack or its modules alone, " + describe(Call::kDown, dtype, c) + (kept ? ", masks kept" : ""),
      [&] {
        const auto state = random_bits;
        const Context context;
        const auto go = [&](bool alone) {
          random_bits = state;
          Operands o(dtype, c, Call::kDown);
          std::optional<KeptMasks> masks;
          if (kept) masks.emplace(&o);
          for (const Call call : {Call::kDown, Call::kGradDown}) {
            if (!alone) expect_ok(make_call(call, context, nullptr, o.wide(), o.modules, true));
            for (size_t n = 0; alone && n < o.modules.size(); n++)
              expect_ok(make_call(call, context, nullptr, o.wide(), {o.modules[n]}, true));
          }
          std::vector<unsigned char> bytes = o.read();
          if (kept)
            for (const auto& mask : masks->read()) bytes.insert(bytes.end(), mask.begin(), mask.end());
          return bytes;
        };
        const std::vector<unsigned char> bytes = go(false);
        expect(bytes == go(true), "a stack's bits are others");
        return bytes;
      },
      1);
}

/** Chunks that end with modules, of all five tiles and of fewer, and chunks that cannot. */
void test_stacks() {
  const Case cases[] = {whole_rows(same_rows(70, 264, {32, 32, 32}, {0, 0}, 0.3f)),
                        whole_rows(same_rows(70, 136, {64, 64, 64}, {0, 0}, 0.3f)),
                        whole_rows(same_rows(130, 72, {48, 33, 40}, {0, 0}, 0.3f)), same_rows(66, 584, {40, 50}, {0, 8}, 0),
                        same_rows(65, 131, {90, 3, 70, 40}, {1, 5}, 0.5f)};
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16})
    for (const Case& c : cases)
      for (const bool kept : {false, true})
        if ((!kept || c.modules[0].p > 0) && drawn_case()) test_stack(dtype, c, kept);
}

/** Where a mask may not lie, is named, unless nothing is dropped. */
void test_misplaced_mask() {
  current_case = "a misplaced mask";
  const Case c = same_rows(20, 40, {4}, {0, 0}, 0.5f);
  const Context context;
  Operands o(PP_FLOAT32, c, Call::kDown);
  const KeptMasks masks(&o);
  o.modules[0].kept_mask = static_cast<char*>(o.modules[0].kept_mask) + 8;
  for (const Call call : {Call::kDown, Call::kGradDown, Call::kGradInput}) {
    expect(make_call(call, context, nullptr, o.wide(), o.modules, true) == PP_INVALID_ARGUMENT, "a misplaced mask is taken");
    expect(strstr(pp_last_error(), "modules[0].kept_mask must be at a multiple of 16 bytes, got 0x") != nullptr,
           pp_last_error());
  }
  o.modules[0].dropout = nullptr;
  expect_ok(make_call(Call::kDown, context, nullptr, o.wide(), o.modules, true));
  emulator_fault();
}

/** Nothing is read or written, so that data pointers may be null and gradients keep what they hold. */
void test_no_rows(pp_dtype dtype) {
  current_case = std::string("M = 0 ") + name(dtype);
  const Case c = {0, 8, 8, {{2, 0, 8, 0, 0, 0.5f}}, {1, 3}};
  for (const Call call : {Call::kDown, Call::kUp, Call::kGradUp, Call::kGradDown, Call::kGradInput}) {
    Operands o(dtype, c, Call::kNone);
    const std::vector<unsigned char> before = o.read();
    Wide nowhere = o.wide();
    for (pp_matrix* matrix : {&nowhere.x, &nowhere.y, &nowhere.dy, &nowhere.dx}) matrix->data = nullptr;
    std::vector<pp_lora_module> modules = o.modules;
    for (pp_matrix* matrix : {&modules[0].a, &modules[0].b, &modules[0].s, &modules[0].ds}) matrix->data = nullptr;
    const pp_context no_workspace = {kDevice, nullptr};
    expect_ok(make_call(call, &no_workspace, nullptr, nowhere, modules, false));
    expect(o.read() == before, "gradients are left as they are");
  }
  emulator_fault();
}

/** A workspace that NaN went through gives the bits of a fresh one. */
void test_what_a_workspace_held(pp_dtype dtype) {
  const Case c = {70, 1032, 520, {{40, 0, 520, 0, 30, 0.1f, 0}, {8, 0, 520, 30, 40, 0, 1, -1, 0}}};
  for (const Call call : {Call::kDown, Call::kGradUp, Call::kGradDown}) {
    if (!drawn_case()) continue;
    run_case(describe(call, dtype, c) + ", a workspace that held NaN", [&] {
      const auto state = random_bits;
      Operands fresh(dtype, c, call);
      random_bits = state;
      Operands again(dtype, c, call), full_of_nan(dtype, c, call);
      for (Matrix* matrix : {&full_of_nan.x, &full_of_nan.dy}) {
        for (int64_t i = 0; i < matrix->rows(); i++)
          for (int64_t j = 0; j < matrix->columns(); j++) matrix->set(i, j, NAN);
        matrix->upload();
      }
      const Context context(kDevice, false);
      fresh.run(context);
      full_of_nan.run(context);
      again.run(context);
      const std::vector<unsigned char> bytes = fresh.read();
      expect(bytes == again.read(), "what the workspace held matters");
      return bytes;
    });
  }
}

#if defined(PRUNEPEFT_EMULATED)
/** The call by up's kernel for aligned rows, or by the one for any: what it leaves of y and dX, which must be right. */
std::vector<double> up_by(bool aligned, Operands* o, bool kept) {
  const char* const kernel = o->c.is_whole() ? "up" : "multi_up";
  const auto counts = [&] { return std::pair(simt::launches(kernel, "Lb1ELb"), simt::launches(kernel, "Lb0ELb")); };
  const Expected expected = o->expected();
  const Context context;
  std::optional<KeptMasks> masks;
  if (kept) {
    masks.emplace(o);
    expect_ok(make_call(Call::kDown, context, nullptr, o->wide(), o->modules, false));
  }
  const auto before = counts();
  o->run(context);
  o->read();
  const auto after = counts();
  expect((after.first > before.first) == aligned && (after.second > before.second) == !aligned,
         "the call is made by another kernel");
  o->expect_wide_close(expected);
  std::vector<double> left;
  for (const Matrix* matrix : {&o->y, &o->dx})
    for (int64_t i = 0; i < matrix->rows(); i++)
      for (int64_t j = 0; j < matrix->columns(); j++) left.push_back((*matrix)(i, j));
  return left;
}

/** Ends within a tile, but not within a vector, are aligned; the other kernel leaves the same bits. */
void test_bits_of_up(pp_dtype dtype, Call call, Case c, bool kept) {
  c.whole_rows = true;
  run_case(
      "aligned and not, " + describe(call, dtype, c) + (kept ? ", masks kept" : ""),
      [&] {
        Case anywhere = c;
        anywhere.whole_rows = false;
        anywhere.placement = {1, 5};
        Operands aligned(dtype, c, call, true), others(dtype, anywhere, call, true);
        others.take_values(aligned);
        expect(up_by(true, &aligned, kept) == up_by(false, &others, kept), "the kernels' bits differ");
        return std::vector<unsigned char>();
      },
      1);
}

/** A call that one thing alone keeps from the kernel for aligned rows: a rank or a width, or an operand's place. */
void test_one_reason(const std::string& reason, pp_dtype dtype, Call call, Case c, Operands::WholeVectors whole) {
  c.whole_rows = true;
  run_case(
      reason + ", " + describe(call, dtype, c),
      [&] {
        Operands o(dtype, c, call, true);
        const Operands::WholeVectors are = o.whole_vectors();
        expect(are.p == whole.p && are.q == whole.q && are.out == whole.out, "operands lie otherwise than the case says");
        up_by(false, &o, false);
        return std::vector<unsigned char>();
      },
      1);
}

/** On all rows, or two adapters on rows of their own, of which the second has this rank. */
Case up_case(bool on_all_rows, int64_t width, int64_t rank) {
  return on_all_rows ? same_rows(70, width, {rank}, {0, 0}, 0)
                     : different_rows(70, width, {16, rank}, {{0, 33, 0, 0}, {33, 37, 1, 0}}, {0, 0});
}

void test_reasons_of_up(pp_dtype dtype, Call call, bool on_all_rows) {
  const auto test = [&](const std::string& reason, const Case& c, Operands::WholeVectors whole) {
    if (drawn_case()) test_one_reason(reason, dtype, call, c, whole);
  };
  constexpr Operands::WholeVectors kAll = {true, true, true};
  // They end within a vector of either type; 132 columns in 16 bits alone, and in float32 within a group of eight.
  test("a rank", up_case(on_all_rows, 136, 6), kAll);
  for (const int64_t width : {134, 132}) test("a width", up_case(on_all_rows, width, 8), kAll);
  const int64_t half = dtype == PP_FLOAT32 ? 2 : 4;  // of a vector
  for (const Placement placement : {Placement{half, 0}, {0, half}}) {
    const std::string what = placement.offset != 0 ? "the address of " : "the rows of ";
    Case c = up_case(on_all_rows, 72, 24);
    c.narrow = placement;
    test(what + "P", c, {false, true, true});
    c.narrow = {};
    c.weights = placement;
    test(what + "Q", c, {true, false, true});
    c.weights = Placement{};
    c.placement = placement;
    test(what + "the result", c, {true, true, false});
  }
}

void test_instances_of_up() {
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    for (const Call call : {Call::kUp, Call::kGradInput}) {
      const Case several[] = {same_rows(70, 136, {24}, {0, 0}, 0.3f), same_rows(130, 72, {88}, {0, 0}, 0),
                              different_rows(140, 72, {40, 8}, {{0, 67, 0, 0.2f}, {70, 70, 1, 0}}, {0, 0})};
      for (const Case& c : several)
        if (drawn_case()) test_bits_of_up(dtype, call, c, false);
      for (const bool on_all_rows : {true, false}) test_reasons_of_up(dtype, call, on_all_rows);
    }
    // Of several modules the last takes its ranks in two turns; without dropout all are one sum.
    if (drawn_case()) test_bits_of_up(dtype, Call::kGradInput, same_rows(70, 136, {16, 40, 72}, {0, 0}, 0), false);
    for (const bool kept : {false, true})
      if (drawn_case()) test_bits_of_up(dtype, Call::kGradInput, same_rows(70, 136, {16, 40, 72}, {0, 0}, 0.3f), kept);
    if (drawn_case())
      test_one_reason("the second rank", dtype, Call::kGradInput, same_rows(70, 136, {16, 6}, {0, 0}, 0.3f),
                      {true, true, true});
  }
}

/**
 * One module's three tiles of ranks go by the gradients' kernel for four, but with row products for that of any number where a
 * block may have so little shared memory that the ring would be less deep.
 */
void test_three_tiles(pp_dtype dtype) {
  const auto test = [&](Call call, const Case& c, bool by_four) {
    if (!drawn_case()) return;
    const auto counts = [] { return std::pair(simt::launches("grad", "Li4ELb"), simt::launches("grad", "Li5ELb")); };
    const auto before = counts();
    test_call(call, dtype, c, false, 1);
    const auto after = counts();
    expect((after.first > before.first) == by_four && (after.second > before.second) == !by_four,
           "three tiles of ranks are multiplied by another kernel");
  };
  for (const int major : {8, 9}) {
    simt::set_compute_major(major);
    for (const Call call : {Call::kGradDown, Call::kGradUp, Call::kGradUpAlone})
      for (const int64_t rank : {33, 48})
        test(call, whole_rows(same_rows(66, 136, {rank}, {0, 0}, 0.25f)), major == 9 || call != Call::kGradUp);
  }
  // Row products in passes, as `all_aligned` below has them.
  if (dtype == PP_BFLOAT16) test(Call::kGradUp, {2350, 8, 6528, {{40, 0, 6528, 0, 2350, 0}}, {0, 0}, {0, 0}}, true);
  simt::set_compute_major(8);
}
#endif

/** Row products of wide matrices with few rows have blocks for most multiprocessors, and slots that are not much more. */
void test_shares() {
  using prunepeft::cuda::GradSplit;
  current_case = "shares of row products";
  const auto slots = [](const GradSplit& split, int64_t M, int64_t N) {
    return split.rows.shares * N + split.column_blocks * M;
  };
  for (const int64_t M : {300, 512, 777, 1024, 1500, 2048, 4096, 8192})
    for (const int64_t N : {8192, 9216, 11008, 14336, 16384, 28672, 32000, 32768, 65536, 128256}) {
      const GradSplit split = prunepeft::cuda::split_grad(2, M, N, true);
      const int64_t least_blocks = N == 9216 ? 72 : 75;  // of the 104 that are wanted
      if (split.blocks() < least_blocks)
        report("%lld x %lld has %lld blocks", static_cast<long long>(M), static_cast<long long>(N),
               static_cast<long long>(split.blocks()));
      // Of squares, each side has at least the root of what all blocks have on average.
      const double least = 2 * std::sqrt(static_cast<double>(split.blocks() * M * N));
      constexpr double kMostSlots = 1.3;
      if (split.passes > 1 && static_cast<double>(slots(split, M, N)) > kMostSlots * least)
        report("%lld x %lld leaves %.2f times the least slots", static_cast<long long>(M), static_cast<long long>(N),
               static_cast<double>(slots(split, M, N)) / least);
    }
}
}  // namespace

int main() {
  test_shares();
  bool odd = false;
  for (const Case& c : kSameRows) {
    for (const pp_dtype dtype : kDtypes) test_same_rows(dtype, c);
  }
  // So wide that the gradients' blocks walk through several tiles of rows.
  const Case wide = same_rows(200, 8200, {3}, {0, 0}, 0.1f);
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    for (const Call call : {Call::kGradDown, Call::kGradUp})
      if (drawn_case()) test_call(call, dtype, wide);
  }
  // So large that the blocks of row products go over their rows in passes: three, the last share over fewer rows than the ring
  // holds, all aligned; two of what is not aligned; and on different rows, of which one run takes two.
  const Case all_aligned = {2350, 8, 6528, {{16, 0, 6528, 0, 2350, 0}}, {0, 0}, {0, 0}};
  const Case not_aligned = {1610, 8, 4300, {{20, 0, 4300, 0, 1610, 0}}, {1, 5}, {1, 3}};
  for (const Case& c : {all_aligned, not_aligned})
    if (drawn_case()) test_call(Call::kGradUp, PP_BFLOAT16, c, false, 1);
  Case passes = different_rows(1620, 4296, {3, 23}, {{0, 1610, 0, 0}, {1612, 8, 1, 0}}, {0, 0});
  passes.K = 8;
  if (drawn_case()) test_call(Call::kGradUp, PP_FLOAT16, passes);
  for (const Case& c : kDifferentRows)
    for (const pp_dtype dtype : kDtypes) {
      odd = !odd;
      test_different_rows(dtype, c, odd);
    }
  test_kept();
  test_stacks();
#if defined(PRUNEPEFT_EMULATED)
  test_instances_of_up();
  for (const pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) test_three_tiles(dtype);
#endif
  if (drawn_case()) test_misplaced_mask();
  for (const pp_dtype dtype : kDtypes)
    if (drawn_case()) test_no_rows(dtype);
  for (const pp_dtype dtype : kDtypes) test_what_a_workspace_held(dtype);
  return finish();
}
