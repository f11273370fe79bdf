// LoRA of several adapters on CUDA buffers: against float64, and bit for bit against a call for each segment alone.
#include "prunepeft/linear.h"

#include "../naive_philox.h"
#include "device_test.h"

using namespace device_test;

namespace {
struct Rows {
  int64_t first, count;
  int32_t adapter;
  float p;
};

struct Case {
  const char* name;
  int64_t M, width;
  std::vector<int64_t> ranks;  // of the adapters
  std::vector<Rows> segments;
  Placement placement;
};

const Case kCases[] = {
    {"one element", 1, 1, {1}, {{0, 1, 0, 0}}, {0, 0}},
    {"one adapter, the whole batch", 70, 136, {8}, {{0, 70, 0, 0.1f}}, {0, 0}},
    {"neighbours in one tile of rows", 60, 72, {16, 3, 8}, {{0, 7, 0, 0}, {7, 33, 1, 0.25f}, {40, 20, 2, 0}}, {0, 0}},
    {"gaps, empty segments and adapters without rows",
     150,
     200,
     {5, 128, 9, 33, 2},
     {{0, 0, 4, 0.5f}, {3, 66, 3, 0.1f}, {69, 0, 1, 0}, {80, 1, 0, 0.9f}, {81, 65, 1, 0}, {150, 0, 2, 0}},
     {1, 5}},
    {"two segments of one adapter", 90, 130, {20, 4}, {{0, 30, 0, 0.2f}, {30, 10, 1, 0.2f}, {45, 40, 0, 0.2f}}, {0, 6}},
    {"shares of columns beside a segment of one share",
     140,
     520,
     {17, 100, 1},
     {{0, 5, 2, 0.3f}, {8, 100, 0, 0.3f}, {108, 32, 1, 0}},
     {0, 8}},
    {"no rows at all", 20, 40, {4}, {{5, 0, 0, 0.1f}}, {0, 0}},
};

constexpr uint64_t kSeed = 0x0fedcba987654321ull;
constexpr uint32_t kStep = 12;

enum class Call { kDown, kUp, kGradUp, kGradUpAlone, kGradDown, kGradInput };
const char* const kCallNames[] = {"down", "up", "grad_up", "grad_up, dB alone", "grad_down", "grad_input"};

/** The operands of a case. Which of them a call writes is its own affair: each has a content of its own to begin with. */
struct Operands {
  const Case& c;
  Matrix wide, narrow, out;  // x, y or dY; S or dS; what is written as rows
  std::vector<std::unique_ptr<Matrix>> a, b, da, db;
  std::vector<pp_dropout> dropouts;
  std::vector<std::unique_ptr<DeviceDropout>> given;
  std::vector<pp_lora_adapter> adapters;
  std::vector<pp_lora_segment> segments;
  pp_multi_lora multi;

  static int64_t largest(const Case& c) {
    int64_t most = 0;
    for (int64_t rank : c.ranks) most = std::max(most, rank);
    return most + 1;  // a column that nobody uses
  }

  Operands(pp_dtype dtype, const Case& c_)
      : c(c_),
        wide(dtype, c.M, c.width, c.placement, Content::kRandom),
        narrow(dtype, c.M, largest(c), c.placement, Content::kRandom),
        out(dtype, c.M, largest(c), c.placement, Content::kRandom) {
    for (size_t i = 0; i < c.ranks.size(); i++) {
      const int64_t rank = c.ranks[i];
      a.push_back(std::make_unique<Matrix>(dtype, rank, c.width, c.placement, Content::kRandom));
      b.push_back(std::make_unique<Matrix>(dtype, c.width, rank, c.placement, Content::kRandom));
      da.push_back(std::make_unique<Matrix>(PP_FLOAT32, rank, c.width, c.placement, Content::kRandom));
      db.push_back(std::make_unique<Matrix>(PP_FLOAT32, c.width, rank, c.placement, Content::kRandom));
      adapters.push_back({rank, a[i]->data(), a[i]->ld(), b[i]->data(), b[i]->ld(), 0.5f + static_cast<float>(i),
                          static_cast<uint32_t>(3 + 5 * i), da[i]->data<float>(), da[i]->ld(), db[i]->data<float>(),
                          db[i]->ld()});
    }
    for (const Rows& rows : c.segments) {
      dropouts.push_back({rows.p, static_cast<uint32_t>(dropouts.size()), kStep, kSeed + dropouts.size(), nullptr});
      given.push_back(std::make_unique<DeviceDropout>(dropouts.back()));
      segments.push_back({rows.first, rows.count, rows.adapter, rows.p == 0 ? nullptr : given.back()->get()});
    }
    multi = {adapters.data(), static_cast<int32_t>(adapters.size()), segments.data(), static_cast<int32_t>(segments.size())};
  }

  double keep(size_t segment, int64_t row, int64_t column) const {
    const pp_dropout& d = dropouts[segment];
    return NaiveDropout{d.p, d.micro_batch, d.step, d.seed}.factor(
        adapters[static_cast<size_t>(segments[segment].adapter)].module, c.width, row, column);
  }
};

void run_multi(Call call, pp_dtype dtype, Operands& o, bool accumulate) {
  const pp_multi_lora* multi = &o.multi;
  const int64_t M = o.c.M, width = o.c.width;
  switch (call) {
    case Call::kDown: {
      const Workspace w(pp_multi_lora_down_workspace(&kDevice, dtype, width, multi));
      return expect_ok(pp_multi_lora_down(&kDevice, dtype, M, width, o.wide.data(), o.wide.ld(), multi, o.out.data(),
                                          o.out.ld(), w.data(), w.bytes()));
    }
    case Call::kUp: {
      const Workspace w(pp_multi_lora_up_workspace(&kDevice, dtype, width, multi));
      return expect_ok(pp_multi_lora_up(&kDevice, dtype, M, width, multi, o.narrow.data(), o.narrow.ld(), o.wide.data(),
                                        o.wide.ld(), w.data(), w.bytes()));
    }
    case Call::kGradUp:
    case Call::kGradUpAlone: {
      const Workspace w(pp_multi_lora_grad_up_workspace(&kDevice, dtype, width, multi));
      return expect_ok(pp_multi_lora_grad_up(&kDevice, dtype, M, width, o.wide.data(), o.wide.ld(), multi, o.narrow.data(),
                                             o.narrow.ld(), call == Call::kGradUp ? o.out.data() : nullptr, o.out.ld(),
                                             accumulate, w.data(), w.bytes()));
    }
    case Call::kGradDown: {
      const Workspace w(pp_multi_lora_grad_down_workspace(&kDevice, dtype, width, multi));
      return expect_ok(pp_multi_lora_grad_down(&kDevice, dtype, M, width, o.wide.data(), o.wide.ld(), multi, o.narrow.data(),
                                               o.narrow.ld(), accumulate, w.data(), w.bytes()));
    }
    case Call::kGradInput: {
      const Workspace w(pp_multi_lora_grad_input_workspace(&kDevice, dtype, width, multi));
      return expect_ok(pp_multi_lora_grad_input(&kDevice, dtype, M, width, multi, o.narrow.data(), o.narrow.ld(), o.wide.data(),
                                                o.wide.ld(), w.data(), w.bytes()));
    }
  }
}

void* row_of(const Matrix& matrix, pp_dtype dtype, int64_t row) {
  return matrix.data<char>() + static_cast<size_t>(row * matrix.ld()) * pp_dtype_size(dtype);
}

/** The same by a call of lora.h for each segment. */
void run_singly(Call call, pp_dtype dtype, Operands& o, bool accumulate) {
  std::vector<bool> seen(o.adapters.size());
  for (const pp_lora_segment& segment : o.segments) {
    const pp_lora_adapter& adapter = o.adapters[static_cast<size_t>(segment.adapter)];
    const int64_t M = segment.rows, width = o.c.width;
    void* wide = row_of(o.wide, dtype, segment.first_row);
    void* narrow = row_of(o.narrow, dtype, segment.first_row);
    void* out = row_of(o.out, dtype, segment.first_row);
    if (M == 0) continue;
    const int32_t add = accumulate || seen[static_cast<size_t>(segment.adapter)];
    seen[static_cast<size_t>(segment.adapter)] = true;
    pp_lora_branch branch = {adapter.a, adapter.lda,   adapter.rank, adapter.scale, adapter.module,
                             narrow,    o.narrow.ld(), adapter.da,   adapter.ldda};
    switch (call) {
      case Call::kDown: {
        branch.s = out;
        branch.lds = o.out.ld();
        const Workspace w(pp_lora_down_workspace(&kDevice, dtype, M, width, adapter.rank));
        expect_ok(pp_lora_down(&kDevice, dtype, M, width, wide, o.wide.ld(), &branch, 1, segment.dropout, nullptr, 0, w.data(),
                               w.bytes()));
        break;
      }
      case Call::kUp:
        expect_ok(pp_lora_up(&kDevice, dtype, M, width, adapter.rank, narrow, o.narrow.ld(), adapter.b, adapter.ldb, wide,
                             o.wide.ld(), 1, nullptr, 0));
        break;
      case Call::kGradUp:
      case Call::kGradUpAlone: {
        const Workspace w(pp_lora_grad_up_workspace(&kDevice, dtype, M, width, adapter.rank));
        expect_ok(pp_lora_grad_up(&kDevice, dtype, M, width, adapter.rank, wide, o.wide.ld(), adapter.b, adapter.ldb, narrow,
                                  o.narrow.ld(), adapter.scale, call == Call::kGradUp ? out : nullptr, o.out.ld(), adapter.db,
                                  adapter.lddb, add, w.data(), w.bytes()));
        break;
      }
      case Call::kGradDown: {
        const Workspace w(pp_lora_grad_down_workspace(&kDevice, dtype, M, width, adapter.rank));
        expect_ok(pp_lora_grad_down(&kDevice, dtype, M, width, wide, o.wide.ld(), &branch, 1, segment.dropout, add, w.data(),
                                    w.bytes()));
        break;
      }
      case Call::kGradInput:
        expect_ok(pp_lora_grad_input(&kDevice, dtype, M, width, &branch, 1, segment.dropout, wide, o.wide.ld(), 1, nullptr, 0));
        break;
    }
  }
}

/** Everything a call may write, read back. */
std::vector<unsigned char> read_all(Operands& o) {
  std::vector<unsigned char> bytes;
  const auto read = [&](Matrix& matrix) {
    matrix.download();
    append(&bytes, matrix);
  };
  read(o.wide);
  read(o.out);
  for (auto& matrix : o.da) read(*matrix);
  for (auto& matrix : o.db) read(*matrix);
  return bytes;
}

/** A part of a matrix against its part of a reference, both as matrices of their own. */
void expect_rows(const char* what, pp_dtype dtype, const Matrix& got, int64_t first, const Reference& expected) {
  Matrix part(dtype, expected.rows, expected.columns, {}, Content::kRandom);
  for (int64_t i = 0; i < expected.rows; i++)
    for (int64_t j = 0; j < expected.columns; j++) part.set(i, j, static_cast<float>(got(first + i, j)));
  expect_close(what, part, expected, tolerance(dtype));
}

/** Compares with float64; `o` holds the operands as they were, `after` as the call has left them. */
void compare(Call call, pp_dtype dtype, const Operands& o, const Operands& after, bool accumulate) {
  const int64_t width = o.c.width;
  std::vector<Reference> gradients;
  std::vector<bool> has_rows(o.adapters.size());
  const bool of_a = call == Call::kGradDown;
  const bool writes_gradient = of_a || call == Call::kGradUp || call == Call::kGradUpAlone;
  for (size_t i = 0; i < o.adapters.size(); i++) {
    const Matrix& before = of_a ? *o.da[i] : *o.db[i];
    gradients.emplace_back(before.rows(), before.columns());
    for (int64_t r = 0; accumulate && r < before.rows(); r++)
      for (int64_t k = 0; k < before.columns(); k++) gradients[i](r, k) = before(r, k);
  }
  for (size_t n = 0; n < o.segments.size(); n++) {
    const pp_lora_segment& segment = o.segments[n];
    if (segment.rows == 0) continue;
    const size_t i = static_cast<size_t>(segment.adapter);
    has_rows[i] = true;
    const int64_t rank = o.adapters[i].rank, first = segment.first_row;
    const Matrix &a = *o.a[i], &b = *o.b[i];
    const double scale = o.adapters[i].scale;
    Reference narrow(segment.rows, rank), wide(segment.rows, width);
    for (int64_t m = 0; m < segment.rows; m++)
      for (int64_t k = 0; k < width; k++) {
        const double x = o.wide(first + m, k), factor = o.keep(n, m, k);
        double product = 0;
        for (int64_t r = 0; r < rank; r++) {
          const double s = o.narrow(first + m, r);
          if (call == Call::kDown) narrow(m, r) += scale * factor * x * a(r, k);
          if (call == Call::kGradUp) narrow(m, r) += scale * x * b(k, r);
          if (of_a)
            gradients[i](r, k) += factor * x * s;
          else if (writes_gradient)
            gradients[i](k, r) += x * s;
          product += call == Call::kUp ? s * b(k, r) : factor * s * a(r, k);
        }
        wide(m, k) = x + product;
      }
    if (call == Call::kDown || call == Call::kGradUp) expect_rows("S or dS", dtype, after.out, first, narrow);
    if (call == Call::kUp || call == Call::kGradInput) expect_rows("y or dX", dtype, after.wide, first, wide);
  }
  for (size_t i = 0; writes_gradient && i < o.adapters.size(); i++)
    if (has_rows[i]) expect_close("dA or dB", of_a ? *after.da[i] : *after.db[i], gradients[i], tolerance(PP_FLOAT32));
}

void test(Call call, pp_dtype dtype, const Case& c, bool accumulate) {
  const std::string name_of_case = std::string(kCallNames[static_cast<int>(call)]) + " " + name(dtype) + ", " + c.name;
  run_case(
      name_of_case,
      [&] {
        const auto state = random_bits;
        const Operands before(dtype, c);
        random_bits = state;
        Operands together(dtype, c);
        random_bits = state;
        Operands singly(dtype, c);
        run_multi(call, dtype, together, accumulate);
        run_singly(call, dtype, singly, accumulate);
        const std::vector<unsigned char> bytes = read_all(together);
        expect(bytes == read_all(singly), "all together give the bits of one after the other, and write nothing else");
        compare(call, dtype, before, together, accumulate);
        return bytes;
      },
      2);
}
}  // namespace

int main() {
  bool odd = false;
  for (const Case& c : kCases) {
    for (pp_dtype dtype : kDtypes) {
      odd = !odd;
      for (Call call : {Call::kDown, Call::kUp, Call::kGradUp, Call::kGradDown, Call::kGradInput}) test(call, dtype, c, odd);
      test(Call::kGradUpAlone, dtype, c, !odd);
    }
  }
  return finish();
}
