// The fused linear on CUDA buffers against float64: odd shapes, ranks that overlap columns, placements, dropout, every path.
#include "prunepeft/linear.h"

#include <memory>

#include "../naive_philox.h"
#include "device_test.h"
#include "linear/cuda/path.h"
#if defined(PRUNEPEFT_EMULATED)
#include "launches.h"
#endif

using namespace device_test;
using prunepeft::cuda::ForcedLinearPath;
using prunepeft::cuda::LinearPath;

namespace {
struct BranchCase {
  int64_t rank, first_column, columns;
};

/** In the emulator, whose device has two multiprocessors, two tiles of the large size take the large path. */
struct Case {
  int64_t M, K, N;
  std::vector<BranchCase> branches;
  Placement placement;
  float p;
  bool bias;
  int64_t out_offset = 0;  // of y and dX, beyond the placement's
  Placement out() const { return {placement.offset + out_offset, placement.padding}; }
};

const Case kCases[] = {
    {1, 1, 1, {{1, 0, 1}}, {0, 0}, 0, true},
    {5, 40, 17, {}, {0, 0}, 0, true},                              // the frozen linear alone
    {67, 72, 56, {{8, 0, 56}}, {0, 0}, 0.1f, true},                // small tile, 16-byte groups
    {64, 128, 64, {{16, 0, 64}}, {0, 8}, 0, false},                // whole tiles
    {65, 33, 70, {{3, 5, 20}, {19, 9, 61}}, {1, 5}, 0.25f, true},  // unaligned, overlapping columns
    {130, 96, 136, {{40, 0, 136}}, {0, 0}, 0.5f, true},            // large tile, ranks in two steps
    {200, 67, 131, {{33, 100, 31}, {5, 0, 64}, {2, 130, 1}}, {0, 3}, 0.1f, false},
    {257, 520, 40, {{24, 8, 24}}, {0, 8}, 0.3f, true},            // several shares of K for S
    {90, 1030, 20, {{60, 0, 20}, {37, 0, 20}}, {0, 2}, 0, true},  // two chunks of ranks for S, shares
};

/** For the path by warpgroups: rows of all operands start at multiples of 16 bytes. Two blocks take the tiles in the emulator.
 */
const Case kBulkCases[] = {
    {1, 8, 8, {{8, 0, 8}}, {0, 0}, 0.2f, true},
    {5, 40, 16, {}, {0, 0}, 0, true},                                       // the frozen linear alone
    {64, 128, 64, {{16, 0, 64}}, {0, 8}, 0, false},                         // whole steps
    {130, 72, 56, {{8, 0, 56}}, {0, 0}, 0.1f, true},                        // two row tiles, parts of steps
    {270, 264, 520, {{16, 37, 301}, {40, 250, 270}}, {0, 8}, 0.25f, true},  // nine tiles; ranks that begin within a tile
    {40, 520, 304, {{72, 0, 304}, {8, 296, 8}}, {0, 0}, 0.5f, false},       // ranks in two steps; masks drawn ahead
    {150, 1032, 264, {{8, 8, 8}, {24, 0, 256}, {16, 255, 9}}, {0, 16}, 0, true},
    {67, 267, 163, {{11, 3, 100}, {19, 0, 163}}, {0, 5}, 0.3f, true},  // nothing divides by 8 but the leading dimensions
    {130, 24, 72, {{16, 0, 72}}, {0, 0}, 0.1f, true, 3},               // results at odd addresses
};
/** For clusters besides: both blocks' edges, and more works than clusters. */
const Case kClusterCases[] = {
    {128, 64, 256, {{16, 0, 256}}, {0, 0}, 0.1f, true},               // a single row tile: the other block has no rows
    {256, 72, 264, {{128, 0, 264}}, {0, 0}, 0.25f, true},             // two whole row tiles; ranks in two steps; an edge
    {257, 24, 120, {{8, 0, 64}, {24, 40, 80}}, {0, 8}, 0.1f, false},  // three row tiles, of which the last has one row
    {385, 137, 129, {{1, 0, 129}}, {0, 7}, 0, true},                  // four; a column in the second block's half of a tile
    {129, 200, 600, {{8, 0, 600}, {16, 130, 126}, {40, 256, 100}}, {0, 0}, 0.5f, true},  // three branches, partly none in a
                                                                                         // tile
};

int compute_major() {
  int major = 0;
  check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
  return major;
}

std::string describe(const char* what, pp_dtype dtype, const Case& c) {
  std::string text = std::string(what) + " " + name(dtype) + " M=" + std::to_string(c.M) + " K=" + std::to_string(c.K) +
                     " N=" + std::to_string(c.N);
  for (const BranchCase& b : c.branches)
    text += " rank " + std::to_string(b.rank) + " on " + std::to_string(b.first_column) + "+" + std::to_string(b.columns);
  return text + " offset=" + std::to_string(c.placement.offset) + " padding=" + std::to_string(c.placement.padding) +
         " p=" + std::to_string(c.p);
}

constexpr int kRuns = 2;
constexpr uint64_t kSeed = 0xfedcba9876543210ull;
constexpr uint32_t kStep = 5, kMicroBatch = 40000;

struct Operands {
  Case c;
  Matrix w, bias;
  std::vector<std::unique_ptr<Matrix>> a, b, s;
  std::vector<pp_linear_branch> branches;
  pp_linear* linear = nullptr;

  Operands(pp_dtype dtype, const Case& c_, Content s_content)
      : c(c_),
        w(dtype, c.N, c.K, c.placement, Content::kRandom, 0.3),
        bias(dtype, 1, c.N, {c.placement.offset, 0}, Content::kRandom) {
    for (size_t i = 0; i < c.branches.size(); i++) {
      const BranchCase& branch = c.branches[i];
      a.push_back(std::make_unique<Matrix>(dtype, branch.rank, c.K, c.placement, Content::kRandom));
      b.push_back(std::make_unique<Matrix>(dtype, branch.columns, branch.rank, c.placement, Content::kRandom));
      s.push_back(std::make_unique<Matrix>(dtype, c.M, branch.rank, c.placement, s_content));
      branches.push_back({a[i]->data(), a[i]->ld(), b[i]->data(), b[i]->ld(), branch.rank, branch.first_column, branch.columns,
                          0.25f + 0.5f * static_cast<float>(i), static_cast<uint32_t>(3 + 5 * i), s[i]->data(), s[i]->ld()});
    }
    expect_ok(pp_linear_create(&kDevice, dtype, c.N, c.K, w.data(), w.ld(), c.bias ? bias.data() : nullptr, &linear));
  }
  ~Operands() { pp_linear_destroy(linear); }
  Operands(const Operands&) = delete;

  int32_t count() const { return static_cast<int32_t>(branches.size()); }
  double factor(size_t branch, int64_t row, int64_t k) const {
    return NaiveDropout{c.p, kMicroBatch, kStep, kSeed}.factor(branches[branch].module, c.K, row, k);
  }
};

/** The bits of a case, run in several orders. */
std::vector<unsigned char> test_forward(pp_dtype dtype, const Case& c) {
  return run_case(
      describe("forward", dtype, c),
      [&] {
        Operands o(dtype, c, Content::kUnwritten);
        Matrix x(dtype, c.M, c.K, c.placement, Content::kRandom), y(dtype, c.M, c.N, c.out(), Content::kUnwritten);
        const DeviceDropout dropout({c.p, kMicroBatch, kStep, kSeed, nullptr});
        const Workspace workspace(pp_linear_forward_workspace(o.linear, c.M, o.branches.data(), o.count()));
        expect_ok(pp_linear_forward(&kDevice, o.linear, c.M, x.data(), x.ld(), o.branches.data(), o.count(),
                                    c.p == 0 ? nullptr : dropout.get(), y.data(), y.ld(), workspace.data(), workspace.bytes()));
        std::vector<unsigned char> bytes;
        Reference expected(c.M, c.N);
        for (int64_t i = 0; i < c.M; i++)
          for (int64_t n = 0; n < c.N; n++) {
            expected(i, n) = c.bias ? o.bias(0, n) : 0;
            for (int64_t k = 0; k < c.K; k++) expected(i, n) += x(i, k) * o.w(n, k);
          }
        for (size_t b = 0; b < o.branches.size(); b++) {
          const pp_linear_branch& branch = o.branches[b];
          Reference s(c.M, branch.rank);
          for (int64_t i = 0; i < c.M; i++)
            for (int64_t k = 0; k < c.K; k++) {
              const double kept = x(i, k) * o.factor(b, i, k) * static_cast<double>(branch.scale);
              for (int64_t r = 0; r < branch.rank; r++) s(i, r) += kept * (*o.a[b])(r, k);
            }
          for (int64_t i = 0; i < c.M; i++)
            for (int64_t n = 0; n < branch.columns; n++)
              for (int64_t r = 0; r < branch.rank; r++) expected(i, branch.first_column + n) += s(i, r) * (*o.b[b])(n, r);
          o.s[b]->download();
          expect_close("S", *o.s[b], s, tolerance(dtype));
          append(&bytes, *o.s[b]);
        }
        y.download();
        expect_close("y", y, expected, tolerance(dtype));
        append(&bytes, y);
        return bytes;
      },
      kRuns);
}

std::vector<unsigned char> test_grad_input(pp_dtype dtype, const Case& c) {
  return run_case(
      describe("grad_input", dtype, c),
      [&] {
        Operands o(dtype, c, Content::kRandom);
        Matrix dy(dtype, c.M, c.N, c.placement, Content::kRandom), dx(dtype, c.M, c.K, c.out(), Content::kUnwritten);
        const DeviceDropout dropout({c.p, kMicroBatch, kStep, kSeed, nullptr});
        const Workspace workspace(pp_linear_grad_input_workspace(o.linear, c.M, o.branches.data(), o.count()));
        expect_ok(pp_linear_grad_input(&kDevice, o.linear, c.M, dy.data(), dy.ld(), o.branches.data(), o.count(),
                                       c.p == 0 ? nullptr : dropout.get(), dx.data(), dx.ld(), workspace.data(),
                                       workspace.bytes()));
        Reference expected(c.M, c.K);
        for (int64_t i = 0; i < c.M; i++)
          for (int64_t k = 0; k < c.K; k++) {
            for (int64_t n = 0; n < c.N; n++) expected(i, k) += dy(i, n) * o.w(n, k);
            for (size_t b = 0; b < o.branches.size(); b++) {
              double sum = 0;
              for (int64_t r = 0; r < o.branches[b].rank; r++) sum += (*o.s[b])(i, r) * (*o.a[b])(r, k);
              expected(i, k) += sum * o.factor(b, i, k);
            }
          }
        std::vector<unsigned char> bytes;
        dx.download();
        expect_close("dX", dx, expected, tolerance(dtype));
        append(&bytes, dx);
        return bytes;
      },
      kRuns);
}

/** By warpgroups and, if so, in clusters: these must give the same bits. */
void test_warpgroups(pp_dtype dtype, const Case& c, bool clusters) {
  const auto run = [&](LinearPath path) {
    const ForcedLinearPath in_force(path);
    return std::make_pair(test_forward(dtype, c), test_grad_input(dtype, c));
  };
  const auto alone = run(LinearPath::kWarpgroup);
  if (!clusters) return;
  const auto side_by_side = run(LinearPath::kWarpgroupClusters);
  current_case = describe("clusters", dtype, c);
  expect(alone.first == side_by_side.first, "y and S have other bits in clusters");
  expect(alone.second == side_by_side.second, "dX has other bits in clusters");
}

void test_no_rows(pp_dtype dtype) {
  current_case = std::string("M = 0 ") + name(dtype);
  Operands o(dtype, {0, 8, 8, {{2, 0, 8}}, {0, 0}, 0, true}, Content::kUnwritten);
  expect_ok(pp_linear_forward(&kDevice, o.linear, 0, nullptr, 8, o.branches.data(), 1, nullptr, nullptr, 8, nullptr, 0));
  expect_ok(pp_linear_grad_input(&kDevice, o.linear, 0, nullptr, 8, o.branches.data(), 1, nullptr, nullptr, 8, nullptr, 0));
  emulator_fault();
}
/** What the copy engine cannot bring is refused, where the path is not chosen but forced. */
void test_refused() {
  const Case unaligned = {40, 72, 60, {{8, 0, 60}}, {0, 4}, 0, true}, float32 = {40, 72, 56, {{8, 0, 56}}, {0, 0}, 0, true};
  Case branches = float32;
  branches.branches.assign(9, {8, 0, 56});
  const std::pair<pp_dtype, Case> refused[] = {{PP_BFLOAT16, unaligned}, {PP_FLOAT32, float32}, {PP_FLOAT16, branches}};
  for (const auto& [dtype, c] : refused) {
    current_case = describe("refused", dtype, c);
    Operands o(dtype, c, Content::kRandom);
    Matrix dy(dtype, c.M, c.N, c.placement, Content::kRandom), dx(dtype, c.M, c.K, c.out(), Content::kUnwritten);
    const pp_status status = pp_linear_grad_input(&kDevice, o.linear, c.M, dy.data(), dy.ld(), o.branches.data(), o.count(),
                                                  nullptr, dx.data(), dx.ld(), nullptr, 0);
    expect(status == PP_DEVICE_ERROR, "a path that the operands do not allow is an error");
  }
}

#if defined(PRUNEPEFT_EMULATED)
/** The forward product's, at a shape whose S would have shares of K, which are summed by a launch more. */
void test_launches(uint64_t expected) {
  const Case c = {70, 1032, 40, {{8, 0, 40}}, {0, 0}, 0, true};
  current_case = describe("launches", PP_BFLOAT16, c);
  Operands o(PP_BFLOAT16, c, Content::kUnwritten);
  Matrix x(PP_BFLOAT16, c.M, c.K, c.placement, Content::kRandom), y(PP_BFLOAT16, c.M, c.N, c.out(), Content::kUnwritten);
  const Workspace workspace(pp_linear_forward_workspace(o.linear, c.M, o.branches.data(), o.count()));
  const uint64_t before = simt::launches();
  expect_ok(pp_linear_forward(&kDevice, o.linear, c.M, x.data(), x.ld(), o.branches.data(), o.count(), nullptr, y.data(),
                              y.ld(), workspace.data(), workspace.bytes()));
  const uint64_t launches = simt::launches() - before;
  if (launches != expected)
    report("%llu launches, not %llu", static_cast<unsigned long long>(launches), static_cast<unsigned long long>(expected));
  emulator_fault();
}
#endif
}  // namespace

int main() {
  for (const Case& c : kCases)
    for (pp_dtype dtype : kDtypes) {
      test_forward(dtype, c);
      test_grad_input(dtype, c);
    }
#if defined(PRUNEPEFT_EMULATED)
  test_launches(1);
  simt::set_compute_major(9);
#endif
  if (compute_major() == 9) {
    std::vector<Case> cases(std::begin(kBulkCases), std::end(kBulkCases));
    const bool clusters = getenv("PRUNEPEFT_WITHOUT_CLUSTERS") == nullptr;
    if (clusters) cases.insert(cases.end(), std::begin(kClusterCases), std::end(kClusterCases));
    for (const Case& c : cases)
      for (pp_dtype dtype : {PP_FLOAT16, PP_BFLOAT16}) test_warpgroups(dtype, c, clusters);
    for (LinearPath path : {LinearPath::kWarpgroup, LinearPath::kWarpgroupClusters}) {
      const ForcedLinearPath in_force(path);
      if (path == LinearPath::kWarpgroup || clusters) test_refused();
#if defined(PRUNEPEFT_EMULATED)
      test_launches(2);
#endif
    }
  }
  for (pp_dtype dtype : kDtypes) test_no_rows(dtype);
  return finish();
}
