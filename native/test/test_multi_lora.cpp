// LoRA of several adapters on the CPU: the bits of lora.h's calls for one segment after the other, nothing else written, and
// messages for what cannot be. lora.h's calls themselves are compared with float64 in test_lora.cpp.
#include "prunepeft/linear.h"

#include "buffers.h"

namespace {

/** Random adapters, and random segments of a batch of M rows, some of them empty, with gaps in between. */
struct Problem {
  pp_dtype dtype;
  int64_t M, width, largest = 0;
  Matrix wide, narrow, out;
  std::vector<Matrix> a, b, da, db;
  std::vector<pp_dropout> dropouts;
  std::vector<pp_lora_segment> segments;
  std::vector<int64_t> ranks;

  explicit Problem(pp_dtype dtype) : dtype(dtype), M(pick_size()), width(pick_size()) {
    const int64_t adapters = check::pick(1, 6), count = check::pick(0, 8);
    for (int64_t i = 0; i < adapters; ++i) {
      ranks.push_back(pick_rank());
      largest = std::max(largest, ranks.back());
      a.push_back(Matrix::random(ranks[i], width));
      b.push_back(Matrix::random(width, ranks[i]));
      da.push_back(Matrix::random(ranks[i], width));
      db.push_back(Matrix::random(width, ranks[i]));
    }
    wide = Matrix::random(M, width, dtype);
    narrow = Matrix::random(M, largest);
    out = Matrix::random(M, largest);
    std::vector<int64_t> cuts(2 * count);
    for (int64_t& cut : cuts) cut = check::pick(0, M);
    std::sort(cuts.begin(), cuts.end());
    dropouts.reserve(count);
    for (int64_t i = 0; i < count; ++i) {
      dropouts.push_back({check::pick(0, 1) == 0 ? 0.0f : 0.3f, static_cast<uint32_t>(i), 9, check::random()(), nullptr});
      segments.push_back({cuts[2 * i], cuts[2 * i + 1] - cuts[2 * i], static_cast<int32_t>(check::pick(0, adapters - 1)),
                          check::pick(0, 2) == 0 ? nullptr : &dropouts.back()});
    }
  }
  Problem(const Problem&) = delete;

  std::vector<pp_lora_adapter> adapters(std::vector<Matrix>& da_out, std::vector<Matrix>& db_out) const {
    std::vector<pp_lora_adapter> list;
    for (size_t i = 0; i < ranks.size(); ++i) {
      list.push_back({ranks[i], a[i].data(), a[i].ld(), b[i].data(), b[i].ld(), 0.25f * static_cast<float>(i + 1),
                      static_cast<uint32_t>(i), da_out[i].data(), da_out[i].ld(), db_out[i].data(), db_out[i].ld()});
    }
    return list;
  }

  std::string text() const {
    return "dtype " + std::to_string(dtype) + ", M " + std::to_string(M) + ", width " + std::to_string(width) + ", " +
           std::to_string(ranks.size()) + " adapters, " + std::to_string(segments.size()) + " segments";
  }
};

struct Results {
  Matrix wide, out;
  std::vector<Matrix> da, db;
  explicit Results(const Problem& problem) : wide(problem.wide), out(problem.out), da(problem.da), db(problem.db) {}
  bool operator==(const Results& other) const {
    return wide == other.wide && out == other.out && da == other.da && db == other.db;
  }
};

void* at(const Matrix& matrix, int64_t row) {
  const size_t size = pp_dtype_size(matrix.dtype());
  return const_cast<char*>(static_cast<const char*>(static_cast<const void*>(matrix.data())) + row * matrix.ld() * size);
}

enum class Call { kDown, kUp, kGradUp, kGradDown, kGradInput };

void run_multi(Call call, const Problem& p, Results& r, bool accumulate, bool wants_ds) {
  const std::vector<pp_lora_adapter> adapters = p.adapters(r.da, r.db);
  const pp_multi_lora multi{adapters.data(), static_cast<int32_t>(adapters.size()), p.segments.data(),
                            static_cast<int32_t>(p.segments.size())};
  const auto size = [&](auto query) { return query(&kCpu, p.dtype, p.width, &multi); };
  pp_status status = PP_OK;
  if (call == Call::kDown) {
    Workspace w(size(pp_multi_lora_down_workspace));
    status = pp_multi_lora_down(&kCpu, p.dtype, p.M, p.width, p.wide.data(), p.wide.ld(), &multi, r.out.data(), r.out.ld(),
                                w.data(), w.size());
    CHECK(w.guards_intact());
  } else if (call == Call::kUp) {
    Workspace w(size(pp_multi_lora_up_workspace));
    status = pp_multi_lora_up(&kCpu, p.dtype, p.M, p.width, &multi, p.narrow.data(), p.narrow.ld(), r.wide.data(), r.wide.ld(),
                              w.data(), w.size());
    CHECK(w.guards_intact());
  } else if (call == Call::kGradUp) {
    Workspace w(size(pp_multi_lora_grad_up_workspace));
    status =
        pp_multi_lora_grad_up(&kCpu, p.dtype, p.M, p.width, p.wide.data(), p.wide.ld(), &multi, p.narrow.data(), p.narrow.ld(),
                              wants_ds ? r.out.data() : nullptr, r.out.ld(), accumulate, w.data(), w.size());
    CHECK(w.guards_intact());
  } else if (call == Call::kGradDown) {
    Workspace w(size(pp_multi_lora_grad_down_workspace));
    status = pp_multi_lora_grad_down(&kCpu, p.dtype, p.M, p.width, p.wide.data(), p.wide.ld(), &multi, p.narrow.data(),
                                     p.narrow.ld(), accumulate, w.data(), w.size());
    CHECK(w.guards_intact());
  } else {
    Workspace w(size(pp_multi_lora_grad_input_workspace));
    status = pp_multi_lora_grad_input(&kCpu, p.dtype, p.M, p.width, &multi, p.narrow.data(), p.narrow.ld(), r.wide.data(),
                                      r.wide.ld(), w.data(), w.size());
    CHECK(w.guards_intact());
  }
  CHECK_EQUAL(status, PP_OK);
}

void run_singly(Call call, const Problem& p, Results& r, bool accumulate, bool wants_ds) {
  const std::vector<pp_lora_adapter> adapters = p.adapters(r.da, r.db);
  std::vector<bool> seen(adapters.size());
  for (const pp_lora_segment& segment : p.segments) {
    if (segment.rows == 0) continue;
    const pp_lora_adapter& adapter = adapters[segment.adapter];
    const int64_t M = segment.rows, first = segment.first_row;
    const bool add = accumulate || seen[segment.adapter];
    seen[segment.adapter] = true;
    pp_lora_branch branch{adapter.a,           adapter.lda,   adapter.rank, adapter.scale, adapter.module,
                          at(p.narrow, first), p.narrow.ld(), adapter.da,   adapter.ldda};
    pp_status status = PP_OK;
    if (call == Call::kDown) {
      branch.s = at(r.out, first);
      branch.lds = r.out.ld();
      Workspace w(pp_lora_down_workspace(&kCpu, p.dtype, M, p.width, adapter.rank));
      status = pp_lora_down(&kCpu, p.dtype, M, p.width, at(p.wide, first), p.wide.ld(), &branch, 1, segment.dropout, nullptr, 0,
                            w.data(), w.size());
    } else if (call == Call::kUp) {
      Workspace w(pp_lora_up_workspace(&kCpu, p.dtype, M, p.width, adapter.rank));
      status = pp_lora_up(&kCpu, p.dtype, M, p.width, adapter.rank, at(p.narrow, first), p.narrow.ld(), adapter.b, adapter.ldb,
                          at(r.wide, first), r.wide.ld(), 1, w.data(), w.size());
    } else if (call == Call::kGradUp) {
      Workspace w(pp_lora_grad_up_workspace(&kCpu, p.dtype, M, p.width, adapter.rank));
      status = pp_lora_grad_up(&kCpu, p.dtype, M, p.width, adapter.rank, at(p.wide, first), p.wide.ld(), adapter.b, adapter.ldb,
                               at(p.narrow, first), p.narrow.ld(), adapter.scale, wants_ds ? at(r.out, first) : nullptr,
                               r.out.ld(), adapter.db, adapter.lddb, add, w.data(), w.size());
    } else if (call == Call::kGradDown) {
      Workspace w(pp_lora_grad_down_workspace(&kCpu, p.dtype, M, p.width, adapter.rank));
      status = pp_lora_grad_down(&kCpu, p.dtype, M, p.width, at(p.wide, first), p.wide.ld(), &branch, 1, segment.dropout, add,
                                 w.data(), w.size());
    } else {
      Workspace w(pp_lora_grad_input_workspace(&kCpu, p.dtype, M, p.width, adapter.rank));
      status = pp_lora_grad_input(&kCpu, p.dtype, M, p.width, &branch, 1, segment.dropout, at(r.wide, first), r.wide.ld(), 1,
                                  w.data(), w.size());
    }
    CHECK_EQUAL(status, PP_OK);
  }
}

void check_calls(pp_dtype dtype, const std::vector<Call>& calls) {
  for (int n = 0; n < 60; ++n) {
    const Problem problem(dtype);
    for (const Call call : calls) {
      const bool accumulate = check::pick(0, 1) == 1, wants_ds = check::pick(0, 3) > 0;
      check::context() = "call " + std::to_string(static_cast<int>(call)) + ", " + problem.text();
      Results together(problem), singly(problem);
      run_multi(call, problem, together, accumulate, wants_ds);
      run_singly(call, problem, singly, accumulate, wants_ds);
      CHECK(together == singly);
    }
  }
}

/** A valid call of pp_multi_lora_down on which one thing is then spoilt. */
struct Valid {
  std::vector<float> x = std::vector<float>(12, 1.0f), a = std::vector<float>(8, 1.0f), s = std::vector<float>(6);
  std::vector<unsigned char> memory = std::vector<unsigned char>(1 << 16);
  pp_lora_adapter adapters[2] = {};
  pp_dropout dropout = {0.1f, 0, 0, 0, nullptr};
  pp_lora_segment segments[2] = {{0, 2, 0, nullptr}, {2, 1, 1, &dropout}};
  pp_multi_lora multi = {adapters, 2, segments, 2};
  int64_t lds = 2;

  Valid() {
    for (pp_lora_adapter& adapter : adapters) {
      adapter.rank = 2;
      adapter.a = a.data();
      adapter.lda = 4;
    }
  }
  pp_status call() {
    return pp_multi_lora_down(&kCpu, PP_FLOAT32, 3, 4, x.data(), 4, &multi, s.data(), lds, memory.data(), memory.size());
  }
};

}  // namespace

TEST(all_calls_give_the_bits_of_one_segment_after_the_other) {
  check_calls(PP_FLOAT32, {Call::kDown, Call::kUp, Call::kGradUp, Call::kGradDown, Call::kGradInput});
}

TEST(gradients_of_the_weights_in_bfloat16) {
  check_calls(PP_BFLOAT16, {Call::kGradUp, Call::kGradDown});
}

TEST(wrong_arguments_are_named) {
  CHECK_EQUAL(Valid().call(), PP_OK);
  const auto fails = [](auto spoil, const char* message) {
    Valid valid;
    spoil(valid);
    CHECK_FAILS(valid.call(), PP_INVALID_ARGUMENT, message);
  };
  fails([](Valid& v) { v.multi.adapter_count = 33; }, "multi->adapter_count must be at most 32, got 33");
  fails([](Valid& v) { v.multi.segment_count = -1; }, "multi->segment_count must be at least 0, got -1");
  fails([](Valid& v) { v.multi.segments = nullptr; }, "multi->segments must not be null");
  fails([](Valid& v) { v.segments[1].first_row = 1; },
        "multi->segments[1].first_row must be at least 2, the end of the segment before, got 1");
  fails([](Valid& v) { v.segments[0].first_row = -1; }, "multi->segments[0].first_row must be at least 0");
  fails([](Valid& v) { v.segments[1].rows = 2; }, "multi->segments[1].rows must be at most 1, got 2");
  fails([](Valid& v) { v.segments[1].rows = -1; }, "multi->segments[1].rows must be at least 0, got -1");
  fails([](Valid& v) { v.segments[0].adapter = 2; }, "multi->segments[0].adapter must be at most 1, got 2");
  fails([](Valid& v) { v.segments[0].adapter = -1; }, "multi->segments[0].adapter must be at least 0, got -1");
  fails([](Valid& v) { v.dropout.p = 1.0f; }, "dropout->p must be in [0, 1), got 1");
  fails([](Valid& v) { v.adapters[1].rank = 0; }, "multi->adapters[1].rank must be at least 1, got 0");
  fails([](Valid& v) { v.adapters[1].lda = 3; }, "multi->adapters[1].lda must be at least the row's 4 elements, got 3");
  fails([](Valid& v) { v.adapters[1].a = nullptr; }, "multi->adapters[1].a must not be null");
  fails([](Valid& v) { v.lds = 1; }, "lds must be at least the row's 2 elements, got 1");
  Valid no_rows;
  no_rows.segments[1].rows = 0;
  no_rows.adapters[1].a = nullptr;
  CHECK_EQUAL(no_rows.call(), PP_OK);
  CHECK_FAILS(pp_multi_lora_down(&kCpu, PP_FLOAT32, 3, 4, nullptr, 4, nullptr, nullptr, 2, nullptr, 0), PP_INVALID_ARGUMENT,
              "multi must not be null");
}
