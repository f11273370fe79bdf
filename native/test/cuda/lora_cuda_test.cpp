// The LoRA functions on CUDA buffers against float64, at odd sizes, ranks, placements and dropout rates.
#include "prunepeft/linear.h"

#include <memory>

#include "../naive_philox.h"
#include "device_test.h"

using namespace device_test;

namespace {
/** An aligned matrix has rows of a multiple of eight elements; sizes below choose which paths are taken. */
struct Case {
  int64_t M, K;
  std::vector<int64_t> ranks;
  Placement placement;
  float p;
};

std::string describe(const char* what, pp_dtype dtype, const Case& c) {
  std::string text =
      std::string(what) + " " + name(dtype) + " M=" + std::to_string(c.M) + " K=" + std::to_string(c.K) + " ranks";
  for (int64_t rank : c.ranks) text += " " + std::to_string(rank);
  return text + " offset=" + std::to_string(c.placement.offset) + " padding=" + std::to_string(c.placement.padding) +
         " p=" + std::to_string(c.p);
}

const Case kCases[] = {
    {1, 1, {1}, {0, 0}, 0},
    {3, 7, {2}, {1, 5}, 0.5f},
    {70, 136, {8}, {0, 0}, 0.1f},
    {65, 72, {16}, {0, 8}, 0},
    {33, 203, {5, 19}, {0, 5}, 0.25f},
    {67, 530, {4, 16}, {0, 6}, 0.1f},
    {130, 64, {32, 32}, {0, 0}, 0},
    {66, 584, {40, 50}, {0, 8}, 0.3f},
    {9, 131, {70, 3, 17}, {1, 5}, 0.5f},
    {129, 40, {1, 1, 1, 1, 1, 1}, {3, 2}, 0.7f},
    {40, 129, {100}, {0, 7}, 0},
};

constexpr uint64_t kSeed = 0x123456789abcdef0ull;
constexpr uint32_t kStep = 77, kMicroBatch = 513;
pp_dropout dropout_of(float p) {
  return {p, kMicroBatch, kStep, kSeed, nullptr};
}

double keep_factor(float p, uint32_t module, int64_t row, int64_t column, int64_t columns) {
  return NaiveDropout{p, kMicroBatch, kStep, kSeed}.factor(module, columns, row, column);
}

/** A wide matrix and branches around it, each with its own A, S and dA. */
struct Operands {
  Matrix x;
  std::vector<std::unique_ptr<Matrix>> a, s, da;
  std::vector<pp_lora_branch> branches;
  int64_t ranks = 0;

  Operands(pp_dtype dtype, const Case& c, Content a_content, Content s_content, Content da_content)
      : x(dtype, c.M, c.K, c.placement, Content::kRandom) {
    const Placement flat = c.placement.padding == 0 && c.placement.offset == 0 ? Placement{} : Placement{c.placement.offset, 3};
    for (size_t i = 0; i < c.ranks.size(); i++) {
      const int64_t rank = c.ranks[i];
      ranks += rank;
      a.push_back(std::make_unique<Matrix>(dtype, rank, c.K, c.placement, a_content));
      s.push_back(std::make_unique<Matrix>(dtype, c.M, rank, flat, s_content));
      da.push_back(std::make_unique<Matrix>(PP_FLOAT32, rank, c.K, flat, da_content));
      branches.push_back({a[i]->data(), a[i]->ld(), rank, 0.5f + static_cast<float>(i), static_cast<uint32_t>(11 + 7 * i),
                          s[i]->data(), s[i]->ld(), da[i]->data<float>(), da[i]->ld()});
    }
  }
  int32_t count() const { return static_cast<int32_t>(branches.size()); }
};

/** s·D(x) Aᵀ of one branch. */
Reference expected_s(const Operands& o, const Case& c, size_t b) {
  Reference s(c.M, c.ranks[b]);
  for (int64_t i = 0; i < c.M; i++)
    for (int64_t k = 0; k < c.K; k++) {
      const double kept = o.x(i, k) * keep_factor(c.p, o.branches[b].module, i, k, c.K) * o.branches[b].scale;
      for (int64_t r = 0; r < c.ranks[b]; r++) s(i, r) += kept * (*o.a[b])(r, k);
    }
  return s;
}

void test_down(pp_dtype dtype, const Case& c, bool copy) {
  run_case(describe(copy ? "down and copy" : "down", dtype, c), [&] {
    Operands o(dtype, c, Content::kRandom, Content::kUnwritten, Content::kRandom);
    Matrix x_copy(dtype, c.M, c.K, {c.placement.offset, c.placement.padding + (c.placement.padding % 2) * 8},
                  Content::kUnwritten);
    const DeviceDropout dropout(dropout_of(c.p));
    const Workspace workspace(pp_lora_down_workspace(&kDevice, dtype, c.M, c.K, o.ranks));
    expect_ok(pp_lora_down(&kDevice, dtype, c.M, c.K, o.x.data(), o.x.ld(), o.branches.data(), o.count(),
                           c.p == 0 ? nullptr : dropout.get(), copy ? x_copy.data() : nullptr, x_copy.ld(), workspace.data(),
                           workspace.bytes()));
    std::vector<unsigned char> bytes;
    for (size_t b = 0; b < c.ranks.size(); b++) {
      o.s[b]->download();
      expect_close("S", *o.s[b], expected_s(o, c, b), tolerance(dtype));
      append(&bytes, *o.s[b]);
    }
    if (copy) {
      x_copy.download();
      for (int64_t i = 0; i < c.M; i++)
        for (int64_t k = 0; k < c.K; k++)
          if (x_copy(i, k) != o.x(i, k)) {
            report("the copy of x differs at %lld, %lld", static_cast<long long>(i), static_cast<long long>(k));
            return bytes;
          }
    }
    return bytes;
  });
}

/** The bordered operand: one buffer [S0|x|S1|S2 ...], written whole by one call. */
void test_bordered(pp_dtype dtype, const Case& c) {
  run_case(describe("bordered", dtype, c), [&] {
    Operands o(dtype, c, Content::kRandom, Content::kRandom, Content::kRandom);
    Matrix wide(dtype, c.M, c.K + o.ranks, c.placement, Content::kUnwritten);
    std::vector<int64_t> first_column;
    for (size_t b = 0; b < c.ranks.size(); b++) {
      const int64_t column = b == 0 ? 0 : b == 1 ? c.ranks[0] + c.K : first_column[b - 1] + c.ranks[b - 1];
      first_column.push_back(column);
      o.branches[b].s = wide.data<char>() + static_cast<size_t>(column) * pp_dtype_size(dtype);
      o.branches[b].lds = wide.ld();
    }
    const DeviceDropout dropout(dropout_of(c.p));
    const Workspace workspace(pp_lora_down_workspace(&kDevice, dtype, c.M, c.K, o.ranks));
    expect_ok(pp_lora_down(&kDevice, dtype, c.M, c.K, o.x.data(), o.x.ld(), o.branches.data(), o.count(),
                           c.p == 0 ? nullptr : dropout.get(),
                           wide.data<char>() + static_cast<size_t>(c.ranks[0]) * pp_dtype_size(dtype), wide.ld(),
                           workspace.data(), workspace.bytes()));
    wide.download();
    for (size_t b = 0; b < c.ranks.size(); b++) {
      Matrix s(dtype, c.M, c.ranks[b], {}, Content::kRandom);
      for (int64_t i = 0; i < c.M; i++)
        for (int64_t r = 0; r < c.ranks[b]; r++) s.set(i, r, static_cast<float>(wide(i, first_column[b] + r)));
      expect_close("S", s, expected_s(o, c, b), tolerance(dtype));
    }
    bool same = true;
    for (int64_t i = 0; i < c.M; i++)
      for (int64_t k = 0; k < c.K; k++) same = same && wide(i, c.ranks[0] + k) == o.x(i, k);
    expect(same, "the copy of x is x");
    std::vector<unsigned char> bytes;
    append(&bytes, wide);
    return bytes;
  });
}

void test_grad_down(pp_dtype dtype, const Case& c, bool accumulate) {
  run_case(describe(accumulate ? "grad_down, accumulated" : "grad_down", dtype, c), [&] {
    Operands o(dtype, c, Content::kRandom, Content::kRandom, accumulate ? Content::kRandom : Content::kUnwritten);
    std::vector<Reference> references;
    for (size_t b = 0; b < c.ranks.size(); b++) {
      Reference da(c.ranks[b], c.K);
      for (int64_t r = 0; accumulate && r < c.ranks[b]; r++)
        for (int64_t k = 0; k < c.K; k++) da(r, k) = (*o.da[b])(r, k);
      for (int64_t i = 0; i < c.M; i++)
        for (int64_t k = 0; k < c.K; k++) {
          const double kept = o.x(i, k) * keep_factor(c.p, o.branches[b].module, i, k, c.K);
          for (int64_t r = 0; r < c.ranks[b]; r++) da(r, k) += kept * (*o.s[b])(i, r);
        }
      references.push_back(da);
    }
    const DeviceDropout dropout(dropout_of(c.p));
    const Workspace workspace(pp_lora_grad_down_workspace(&kDevice, dtype, c.M, c.K, o.ranks));
    expect_ok(pp_lora_grad_down(&kDevice, dtype, c.M, c.K, o.x.data(), o.x.ld(), o.branches.data(), o.count(),
                                c.p == 0 ? nullptr : dropout.get(), accumulate, workspace.data(), workspace.bytes()));
    std::vector<unsigned char> bytes;
    for (size_t b = 0; b < c.ranks.size(); b++) {
      o.da[b]->download();
      expect_close("dA", *o.da[b], references[b], tolerance(PP_FLOAT32));
      append(&bytes, *o.da[b]);
    }
    return bytes;
  });
}

void test_grad_input(pp_dtype dtype, const Case& c, bool accumulate) {
  run_case(describe(accumulate ? "grad_input" : "grad_input that overwrites", dtype, c), [&] {
    Operands o(dtype, c, Content::kRandom, Content::kRandom, Content::kRandom);
    Matrix dx(dtype, c.M, c.K, c.placement, accumulate ? Content::kRandom : Content::kUnwritten);
    Reference expected(c.M, c.K);
    for (int64_t i = 0; i < c.M; i++)
      for (int64_t k = 0; k < c.K; k++) {
        expected(i, k) = accumulate ? dx(i, k) : 0;
        for (size_t b = 0; b < c.ranks.size(); b++) {
          double sum = 0;
          for (int64_t r = 0; r < c.ranks[b]; r++) sum += (*o.s[b])(i, r) * (*o.a[b])(r, k);
          expected(i, k) += sum * keep_factor(c.p, o.branches[b].module, i, k, c.K);
        }
      }
    const DeviceDropout dropout(dropout_of(c.p));
    const Workspace workspace(pp_lora_grad_input_workspace(&kDevice, dtype, c.M, c.K, o.ranks));
    expect_ok(pp_lora_grad_input(&kDevice, dtype, c.M, c.K, o.branches.data(), o.count(), c.p == 0 ? nullptr : dropout.get(),
                                 dx.data(), dx.ld(), accumulate ? 1 : 0, workspace.data(), workspace.bytes()));
    std::vector<unsigned char> bytes;
    dx.download();
    expect_close("dX", dx, expected, tolerance(dtype));
    append(&bytes, dx);
    return bytes;
  });
}

/** The up-projection has one branch; the case's ranks are added up, and its K is N. */
void test_up(pp_dtype dtype, const Case& c, bool accumulate) {
  run_case(describe(accumulate ? "up" : "up that overwrites", dtype, c), [&] {
    const int64_t r = c.ranks[0];
    Matrix s(dtype, c.M, r, c.placement, Content::kRandom), b(dtype, c.K, r, c.placement, Content::kRandom);
    Matrix y(dtype, c.M, c.K, c.placement, accumulate ? Content::kRandom : Content::kUnwritten);
    Reference expected(c.M, c.K);
    for (int64_t i = 0; i < c.M; i++)
      for (int64_t n = 0; n < c.K; n++) {
        expected(i, n) = accumulate ? y(i, n) : 0;
        for (int64_t k = 0; k < r; k++) expected(i, n) += s(i, k) * b(n, k);
      }
    const Workspace workspace(pp_lora_up_workspace(&kDevice, dtype, c.M, c.K, r));
    expect_ok(pp_lora_up(&kDevice, dtype, c.M, c.K, r, s.data(), s.ld(), b.data(), b.ld(), y.data(), y.ld(), accumulate ? 1 : 0,
                         workspace.data(), workspace.bytes()));
    std::vector<unsigned char> bytes;
    y.download();
    expect_close("y", y, expected, tolerance(dtype));
    append(&bytes, y);
    return bytes;
  });
}

void test_grad_up(pp_dtype dtype, const Case& c, bool with_ds, bool accumulate) {
  run_case(describe(with_ds ? "grad_up" : "grad_up, dB alone", dtype, c), [&] {
    const int64_t r = c.ranks[0];
    const float scale = 1.75f;
    Matrix dy(dtype, c.M, c.K, c.placement, Content::kRandom), b(dtype, c.K, r, c.placement, Content::kRandom);
    Matrix s(dtype, c.M, r, c.placement, Content::kRandom), ds(dtype, c.M, r, c.placement, Content::kUnwritten);
    Matrix db(PP_FLOAT32, c.K, r, c.placement, accumulate ? Content::kRandom : Content::kUnwritten);
    Reference expected_ds(c.M, r), expected_db(c.K, r);
    for (int64_t n = 0; accumulate && n < c.K; n++)
      for (int64_t k = 0; k < r; k++) expected_db(n, k) = db(n, k);
    for (int64_t i = 0; i < c.M; i++)
      for (int64_t n = 0; n < c.K; n++)
        for (int64_t k = 0; k < r; k++) {
          expected_ds(i, k) += scale * dy(i, n) * b(n, k);
          expected_db(n, k) += dy(i, n) * s(i, k);
        }
    const Workspace workspace(pp_lora_grad_up_workspace(&kDevice, dtype, c.M, c.K, r));
    expect_ok(pp_lora_grad_up(&kDevice, dtype, c.M, c.K, r, dy.data(), dy.ld(), b.data(), b.ld(), s.data(), s.ld(), scale,
                              with_ds ? ds.data() : nullptr, ds.ld(), db.data<float>(), db.ld(), accumulate, workspace.data(),
                              workspace.bytes()));
    std::vector<unsigned char> bytes;
    db.download();
    expect_close("dB", db, expected_db, tolerance(PP_FLOAT32));
    append(&bytes, db);
    if (with_ds) {
      ds.download();
      expect_close("dS", ds, expected_ds, tolerance(dtype));
      append(&bytes, ds);
    }
    return bytes;
  });
}

/** Nothing is read or written, so that data pointers may be null and gradients keep what they hold. */
void test_no_rows(pp_dtype dtype) {
  current_case = std::string("M = 0 ") + name(dtype);
  constexpr int64_t kColumns = 8, kRank = 2;
  const Case c = {0, kColumns, {kRank}, {1, 3}, 0.5f};
  const pp_dropout dropout = dropout_of(c.p);
  Operands o(dtype, c, Content::kRandom, Content::kUnwritten, Content::kRandom);
  Matrix& da = *o.da[0];
  Matrix db(PP_FLOAT32, kColumns, kRank, c.placement, Content::kRandom);
  const std::vector<unsigned char> da_before = da.bytes(), db_before = db.bytes();
  expect(pp_lora_down_workspace(&kDevice, dtype, 0, kColumns, kRank) == 0, "no workspace is needed");
  expect_ok(pp_lora_down(&kDevice, dtype, 0, kColumns, nullptr, kColumns, o.branches.data(), 1, &dropout, nullptr, kColumns,
                         nullptr, 0));
  expect_ok(pp_lora_up(&kDevice, dtype, 0, kColumns, kRank, nullptr, kRank, nullptr, kRank, nullptr, kColumns, 1, nullptr, 0));
  expect_ok(pp_lora_grad_up(&kDevice, dtype, 0, kColumns, kRank, nullptr, kColumns, nullptr, kRank, nullptr, kRank, 1, nullptr,
                            kRank, db.data<float>(), db.ld(), 0, nullptr, 0));
  expect_ok(pp_lora_grad_down(&kDevice, dtype, 0, kColumns, nullptr, kColumns, o.branches.data(), 1, &dropout, 0, nullptr, 0));
  expect_ok(pp_lora_grad_input(&kDevice, dtype, 0, kColumns, o.branches.data(), 1, &dropout, nullptr, kColumns, 1, nullptr, 0));
  da.download();
  db.download();
  expect(da.bytes() == da_before && db.bytes() == db_before, "gradients are left as they are");
  emulator_fault();
}
}  // namespace

int main() {
  bool odd = false;
  for (const Case& c : kCases) {
    for (pp_dtype dtype : kDtypes) {
      test_down(dtype, c, odd);
      test_down(dtype, c, !odd);
      test_bordered(dtype, c);
      test_grad_down(dtype, c, odd);
      for (bool accumulate : {true, false}) {
        test_grad_input(dtype, c, accumulate);
        test_up(dtype, c, accumulate);
      }
      test_grad_up(dtype, c, true, !odd);
      test_grad_up(dtype, c, false, odd);
    }
    odd = !odd;
  }
  // So wide that the gradients' blocks walk through several tiles of rows.
  const Case wide = {200, 8200, {3}, {0, 0}, 0.1f};
  for (pp_dtype dtype : {PP_FLOAT32, PP_BFLOAT16}) {
    test_grad_down(dtype, wide, false);
    test_grad_up(dtype, wide, true, false);
  }
  for (pp_dtype dtype : kDtypes) test_no_rows(dtype);
  return finish();
}
