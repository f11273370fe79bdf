// What cost.h and decoder_cost.h expect of calls: bytes, instructions, launches and times, on devices that are made up.
#include <cmath>
#include <iterator>
#include <string>
#include <utility>

#include "check.h"
#include "decoder/cuda/decoder_cost.h"
#include "linear/cuda/path_choice.h"
#include "made_up_device.h"

namespace {

using namespace prunepeft::cuda;

TEST(by_warpgroups_the_forward_product_is_two_launches_up_to_4096_rows) {
  const auto launches = [](double M, double K) {
    const Costs cost = {M, K, 1024, 16, 2};
    return cost.fused_forward(LinearPath::kWarpgroup).launches;
  };
  CHECK_EQUAL(launches(4096, 1024), 2);
  CHECK_EQUAL(launches(4097, 1024), 3);
  CHECK_EQUAL(launches(4097, 384), 2);
}

TEST(clusters_are_predicted_to_be_the_faster_form_of_the_same_products) {
  const Ceilings ceilings = assumed_ceilings(device_of(9, 0, 14), 2);
  const Costs cost = {8192, 4096, 4096, 16, 2};
  const auto forward = [&](LinearPath path) { return predict_forward(ceilings, cost, PP_FUSED, path); };
  const auto backward = [&](LinearPath path) { return predict_backward(ceilings, cost, PP_FUSED, path); };
  CHECK(forward(LinearPath::kWarpgroupClusters) < forward(LinearPath::kWarpgroup));
  CHECK(backward(LinearPath::kWarpgroupClusters) < backward(LinearPath::kWarpgroup));
  CHECK_EQUAL(cost.fused_forward(LinearPath::kWarpgroupClusters).launches, 3);
  CHECK_EQUAL(cost.fused_grad_input(LinearPath::kWarpgroupClusters).launches, 1);
}

TEST(s_made_in_the_product_costs_a_part_of_its_own_launches) {
  const Ceilings ceilings = assumed_ceilings(device_of(9, 0, 14), 2);
  for (const double rank : {16, 64})
    for (const int masks : {0, 1}) {
      const Costs cost = {8192, 4096, 4096, rank, 2, masks, 132};
      const Cost with_s = cost.fused_forward(LinearPath::kClustersWithS);
      CHECK_EQUAL(with_s.launches, 1);
      const double before = predict(ceilings, cost.fused_forward(LinearPath::kWarpgroupClusters));
      const double saved = before - predict(ceilings, with_s);
      CHECK(saved > 0 && saved < predict(ceilings, cost.down()));
    }
}

TEST(ds_and_db_made_in_the_product_cost_a_part_of_their_own_launches) {
  const Ceilings ceilings = assumed_ceilings(device_of(9, 0, 14), 2);
  const Costs cost = {8192, 4096, 4096, 16, 2, 0, 132};
  CHECK_EQUAL(cost.grad_input_with_ds().launches, 2);
  const double saved = predict_backward(ceilings, cost, PP_FUSED, LinearPath::kWarpgroupClusters) -
                       predict_backward(ceilings, cost, PP_FUSED, LinearPath::kClustersWithS);
  CHECK(saved > 0 && saved < predict(ceilings, cost.grad_up()));
}

TEST(with_the_ranks_first_a_read_of_the_result_is_saved) {
  const Ceilings ceilings = assumed_ceilings(device_of(9, 0, 14), 2);
  const Costs large = {8192, 4096, 4096, 16, 2};
  const auto close = [](double a, double b) { return std::abs(a - b) <= 1e-9 * b; };
  const double read_forward = predict(ceilings, large.up()) - predict(ceilings, large.up(false));
  const double read_back = predict(ceilings, large.grad_input()) - predict(ceilings, large.grad_input(false));
  CHECK(read_forward > 0 && read_back > 0);
  CHECK(close(predict_forward_ranks_first(ceilings, large) + read_forward, predict_forward(ceilings, large, PP_SPLIT)));
  CHECK(close(predict_backward_ranks_first(ceilings, large) + read_back, predict_backward(ceilings, large, PP_SPLIT)));
  // Where the product is bound by what it moves, the read counts there.
  const Costs narrow = {8192, 64, 64, 16, 2};
  const double products = predict(ceilings, narrow.frozen()) - ceilings.launch;
  const double moved = 2.0 * (3 * 8192 * 64 + 64 * 64) / ceilings.copy_bytes;
  CHECK(moved > products);
  CHECK(close(predict(ceilings, narrow.frozen_adding(64)), moved + ceilings.launch));
}

TEST(slots_are_read_again_as_far_as_they_have_left_the_cache) {
  Cost cost;
  cost.bytes = 60;
  cost.slot_bytes = 20;
  CHECK_EQUAL(memory_bytes(cost, 80), 80);
  CHECK_EQUAL(memory_bytes(cost, 40), 90);
  CHECK_EQUAL(memory_bytes(cost, 0), 100);
}

TEST(skinny_products_move_little_more_than_their_operands) {
  constexpr double kMost = 1.15, kCacheBytes = 50 << 20;
  const Costs llama = {8192, 4096, 4096, 16, 2, true};
  for (const Cost& cost : {llama.down(), llama.up(), llama.up(false), llama.grad_up(), llama.grad_down(), llama.grad_input(),
                           llama.adapter_forward(), llama.adapter_backward()})
    CHECK(memory_bytes(cost, kCacheBytes) <= kMost * cost.bytes);
}

TEST(an_adapter_costs_what_its_products_do_on_the_same_device) {
  for (const int multiprocessors : {2, 132}) {
    Costs costs = {4096, 1664, 1664, 16, 2, 0, multiprocessors};
    costs.cache_bytes = 1 << 20;
    CHECK_EQUAL(costs.adapter_backward().instructions,
                costs.grad_up().instructions + costs.grad_down().instructions + costs.grad_input(false).instructions);
    Costs of_h = costs;
    of_h.K = 16;
    CHECK_EQUAL(costs.adapter_forward().instructions, costs.down().instructions + of_h.up().instructions);
  }
}

TEST(memory_binds_the_skinny_products_under_masks_too) {
  const Ceilings ceilings = assumed_ceilings({9, 0, 132, 1829, 3.35e6, 227 * 1024, 50 << 20}, 2);
  const auto issue = [&](const Cost& cost) { return cost.instructions / ceilings.instructions; };
  const auto memory = [&](const Cost& cost) { return memory_bytes(cost, ceilings.cache_bytes) / ceilings.copy_bytes; };
  for (const double rank : {16, 64}) {
    const Costs plain = {8192, 4096, 4096, rank, 2}, dropped = {8192, 4096, 4096, rank, 2, true};
    for (const Cost& cost : {plain.down(), dropped.down(), plain.grad_down(), dropped.grad_down()})
      CHECK(issue(cost) < memory(cost));
    CHECK(dropped.down().instructions > plain.down().instructions);
    CHECK(dropped.grad_down().instructions > plain.grad_down().instructions);
  }
}

TEST(modules_on_different_rows_have_kernels_of_one_tile_and_of_any_number) {
  const auto instructions = [](int64_t rank, int runs, const auto& call) {
    Costs costs = costs_of(device_of(9, 0, 14), {8192, 4096, 4096, {rank}, 2, 0}, false);
    costs.runs = runs;
    return call(costs).instructions;
  };
  const auto down = [](const Costs& costs) { return costs.down(); };
  const auto grad_down = [](const Costs& costs) { return costs.grad_down(); };
  constexpr double kSteps = 8192.0 / 16 * 4096 / 64;
  CHECK_EQUAL(instructions(16, 8, down), instructions(16, 1, down));
  CHECK_EQUAL(instructions(16, 8, grad_down), instructions(16, 1, grad_down));
  for (const int64_t rank : {32, 64}) {  // which one module on all rows has kernels of its own for
    CHECK_EQUAL(instructions(rank, 8, down), instructions(rank, 1, down) - kSteps * kDownAnyLess);
    CHECK_EQUAL(instructions(rank, 8, grad_down), instructions(rank, 1, grad_down) + kSteps * kGradAny);
  }
  CHECK_EQUAL(instructions(48, 8, down), instructions(48, 1, down));
}

TEST(chunks_that_end_amid_a_module_draw_its_mask_again) {
  const auto masks = [](const LoraRanks& ranks) {
    const Cost cost = costs_of(device_of(9, 0, 14), {8192, 4096, 4096, ranks, 2, ranks.modules}, false).down();
    return cost.draws / (8192.0 * 4096 / 8);
  };
  CHECK_EQUAL(masks({80}), 1);
  CHECK_EQUAL(masks({81}), 2);
  CHECK_EQUAL(masks({16, 16, 16, 16, 16, 16}), 6);
  CHECK_EQUAL(masks({48, 48, 48}), 4);
  // Chunks of three tiles, or of four, are as many as of five.
  CHECK_EQUAL(masks({40, 40}), 2);
  CHECK_EQUAL(masks({32, 32, 32}), 3);
  CHECK_EQUAL(masks({64, 64, 64}), 3);
  CHECK_EQUAL(masks({80, 16}), 2);
  CHECK_EQUAL(masks({int64_t{1} << 40}), static_cast<double>((int64_t{1} << 40) / 80 + 1));
}

TEST(chunks_read_a_wide_matrix_again_unless_it_stays_in_the_cache) {
  const auto costs = [](double rank, double cache_bytes) {
    Costs of = {8192, 4096, 4096, rank, 2};
    of.cache_bytes = cache_bytes;
    return of;
  };
  constexpr double kWide = 2.0 * 8192 * 4096;
  for (const auto& [rank, chunks] : {std::pair(80.0, 1), std::pair(81.0, 2), std::pair(241.0, 4)}) {
    const Costs held = costs(rank, kWide), lost = costs(rank, kWide - 1);
    CHECK_EQUAL(lost.down().bytes - held.down().bytes, (chunks - 1) * kWide);
    CHECK_EQUAL(lost.grad_up().bytes - held.grad_up().bytes, (chunks - 1) * kWide);
    CHECK_EQUAL(lost.grad_down().bytes - held.grad_down().bytes, (chunks - 1) * kWide);
  }
}

TEST(three_tiles_of_ranks_take_the_gradients_kernel_for_four_where_a_block_has_room) {
  constexpr int64_t kH100 = 227 * 1024, kA100 = 163 * 1024, kSm86 = 99 * 1024;
  const auto takes = [](bool rows, bool dropout, int64_t bytes) { return three_tiles_take_four(2, rows, dropout, bytes); };
  for (const bool dropout : {false, true}) CHECK(takes(false, dropout, kH100) && takes(false, dropout, kSm86));
  CHECK(takes(true, false, kH100) && takes(true, false, kA100));
  // Of three tiles under dropout an A100's multiprocessor has two blocks, of four one.
  CHECK(takes(false, false, kA100) && !takes(false, true, kA100));
  // Row products leave sm_86 three tiles in the ring, or two.
  CHECK(!takes(true, false, kSm86));
  constexpr double kSteps = 8192.0 / 64 * 4096 / 16;
  const auto step = [&](int64_t bytes, int masks) {
    DeviceRates device = device_of(8, 0, 14);
    device.shared_bytes_per_block = bytes;
    return costs_of(device, {8192, 4096, 4096, {48}, 2, masks}, false).grad_down().instructions / kSteps;
  };
  CHECK_EQUAL(step(kA100, 0), step(kH100, 0));
  CHECK_EQUAL(step(kH100, 1), kGradStep + 3 * kGradMoreRanks + kGradMasks);
  CHECK_EQUAL(step(kA100, 1), kGradStep + 2 * kGradMoreRanks + kGradMasks + kGradAny + kGradAnyMasks);
}

TEST(ranks_that_end_within_a_vector_are_predicted_by_the_kernel_of_up_for_any_operands) {
  const auto costs = [](const LoraRanks& ranks, int masks, bool kept) {
    return costs_of(device_of(9, 0, 14), {8192, 4096, 4096, ranks, 2, masks}, kept);
  };
  const auto step = [](const Cost& cost) { return cost.instructions / (8192.0 / 16 * 4096 / 64); };
  CHECK_EQUAL(step(costs({24}, 0, false).up()), kUpStep + kUpReads + kUpMoreRanks);
  CHECK_EQUAL(step(costs({20}, 0, false).up()), kUpAnyStep + kUpAnyReads + kUpAnyMoreRanks);
  CHECK_EQUAL(step(costs({20}, 0, false).up(false)), kUpAnyStep + kUpAnyMoreRanks);
  CHECK_EQUAL(step(costs({4}, 1, false).grad_input()), kUpAnyStep + kUpAnyReads + kUpAnyMasked + kUpAnyMasks);
  CHECK_EQUAL(step(costs({4}, 1, true).grad_input(false)), kUpAnyStep + kUpAnyMasked + kUpAnyKept);
  // One such module decides, whatever all have together.
  const double any = kUpAnyStep + kUpAnyReads + kUpAnyModule;
  CHECK_EQUAL(step(costs({16, 12}, 0, false).grad_input()), any);
  CHECK_EQUAL(step(costs({4, 12}, 0, false).grad_input()), any);
  CHECK_EQUAL(step(costs({8, 16}, 0, false).grad_input()), kUpStep + kUpReads + kUpModule);
  CHECK_EQUAL(step(costs({4, 12, 16}, 2, false).dropping().grad_input()),
              kUpAnyStep + kUpAnyReads + kUpAnyMaskedModule + kUpAnyMasked + 2 * kUpAnyMasks);
  CHECK(step(costs({20}, 0, false).adapter_forward()) - step(costs({20}, 0, false).down()) > kUpAnyStep);
}

/** A call of cost.h at Llama-7B's linear, or one of decoder_cost.h, whose instructions take more than their share of the time
 * of memory. */
struct IssueBound {
  const char* call;
  int64_t rank;  // or width
  int percent;   // of the time that memory takes
};

/**
 * Skinny products issue all of their instructions, in four fifths of the time that memory takes, but
 * for those that are listed, each with its share. docs/kernels-cuda.md says what they would need.
 */
constexpr int kIssuePercent = 80;
constexpr IssueBound kIssueBound[] = {{"grad_input, overwriting, dropout", 16, 115},
                                      {"grad_input, overwriting, dropout", 32, 121},
                                      {"grad_input, overwriting, dropout", 48, 128},
                                      {"grad_input, overwriting, dropout", 64, 134},
                                      {"grad_input, overwriting, mask read", 16, 81},
                                      {"grad_input, overwriting, mask read", 32, 87},
                                      {"grad_input, overwriting, mask read", 48, 93},
                                      {"grad_input, overwriting, mask read", 64, 99},
                                      {"stack down, dropout", 16, 155},
                                      {"stack down, dropout", 32, 91},
                                      {"stack down, dropout", 48, 108},
                                      {"stack down, masks written", 16, 139},
                                      {"stack down, masks written", 32, 88},
                                      {"stack down, masks written", 48, 103},
                                      {"stack grad_down, dropout", 16, 180},
                                      {"stack grad_down, dropout", 32, 116},
                                      {"stack grad_down, dropout", 48, 131},
                                      {"stack grad_down, dropout", 64, 94},
                                      {"stack grad_input, dropout", 16, 133},
                                      {"stack grad_input, dropout", 32, 143},
                                      {"stack grad_input, dropout", 48, 152},
                                      {"stack grad_input, dropout", 64, 161},
                                      {"stack grad_input, masks read", 16, 82},
                                      {"stack grad_input, masks read", 32, 91},
                                      {"stack grad_input, masks read", 48, 100},
                                      {"stack grad_input, masks read", 64, 109},
                                      {"stack grad_input, overwriting", 16, 92},
                                      {"stack grad_input, overwriting", 32, 111},
                                      {"stack grad_input, overwriting", 48, 129},
                                      {"stack grad_input, overwriting", 64, 147},
                                      {"stack grad_input, overwriting, dropout", 16, 256},
                                      {"stack grad_input, overwriting, dropout", 32, 272},
                                      {"stack grad_input, overwriting, dropout", 48, 288},
                                      {"stack grad_input, overwriting, dropout", 64, 303},
                                      {"stack grad_input, overwriting, masks read", 16, 143},
                                      {"stack grad_input, overwriting, masks read", 32, 159},
                                      {"stack grad_input, overwriting, masks read", 48, 174},
                                      {"stack grad_input, overwriting, masks read", 64, 188}};

TEST(instructions_take_less_time_than_memory_but_for_what_is_listed) {
  const DeviceRates h100 = {9, 0, 132, 1829, 3.35e6, 227 * 1024, 50 << 20};
  const Ceilings ceilings = assumed_ceilings(h100, 2);
  const double every_clock = issue_rate(h100.multiprocessors, h100.megahertz) / kIssueShare;
  int listed = 0;
  const auto hold = [&](const std::string& call, int64_t rank, const Cost& cost) {
    CHECK(cost.instructions > 0);
    const double memory = memory_bytes(cost, ceilings.cache_bytes) / ceilings.copy_bytes;
    const int percent = static_cast<int>(std::lround(100 * cost.instructions / every_clock / memory));
    int expected = 0;
    for (const IssueBound& bound : kIssueBound)
      if (call == bound.call && bound.rank == rank) expected = bound.percent;
    if (expected != 0) ++listed;
    const bool as_said = expected == 0 ? percent <= kIssuePercent : percent == expected;
    if (!as_said) printf("{\"%s\", %d, %d},\n", call.c_str(), static_cast<int>(rank), percent);
    CHECK(as_said);
  };
  for (const int64_t rank : {16, 32, 48, 64}) {
    // One module, or adapters on rows of their own: without dropout, masks drawn, masks kept.
    struct Masks {
      int count;
      bool kept;
      const char *written, *read;
    };
    for (const Masks& masks :
         {Masks{0, false, "", ""}, {1, false, ", dropout", ", dropout"}, {1, true, ", mask written", ", mask read"}})
      for (const int runs : {1, 8}) {
        Costs costs = costs_of(h100, {8192, 4096, 4096, {rank}, 2, masks.count}, masks.kept);
        costs.runs = runs;
        const std::string of = runs == 1 ? "" : "multi_";
        hold(of + "down" + masks.written, rank, costs.down());
        hold(of + "grad_down" + masks.read, rank, costs.grad_down());
        hold(of + "grad_input" + masks.read, rank, costs.grad_input());
        if (runs == 1) hold(std::string("grad_input, overwriting") + masks.read, rank, costs.grad_input(false));
        if (masks.count > 0) continue;
        hold(of + "up", rank, costs.up());
        hold(of + "grad_up", rank, costs.grad_up());
        if (runs == 1) hold("up, overwriting", rank, costs.up(false));
      }
    // Three on the same rows, as query, key and value are.
    for (const Masks& masks :
         {Masks{0, false, "", ""}, {3, false, ", dropout", ", dropout"}, {3, true, ", masks written", ", masks read"}}) {
      const Costs costs = costs_of(h100, {8192, 4096, 3 * 4096, {rank, rank, rank}, 2, masks.count}, masks.kept);
      hold(std::string("stack down") + masks.written, rank, costs.down());
      hold(std::string("stack grad_down") + masks.read, rank, costs.grad_down());
      hold(std::string("stack grad_input") + masks.read, rank, costs.grad_input());
      hold(std::string("stack grad_input, overwriting") + masks.read, rank, costs.grad_input(false));
      if (masks.count > 0) continue;
      hold("stack up", rank, costs.up());
      hold("stack up, overwriting", rank, costs.up(false));
      hold("stack grad_up", rank, costs.grad_up());
    }
  }
  // The other families, by the width of a run, a head or a row.
  constexpr double kElements = 8192.0 * 4096, kElementBytes = 2;
  constexpr int64_t kGroup = 8, kLeastWidth = 64, kMostWidth = 8192;
  for (const bool backward : {false, true}) {
    for (int64_t run = kLeastWidth; run <= kMostWidth; run += kGroup)
      hold(backward ? "rms_norm_backward" : "rms_norm_forward", run,
           rms_norm_cost(kElements / static_cast<double>(run), run, kElementBytes, backward));
    hold(backward ? "gate_backward" : "gate_forward", 4096, gate_cost(kElements, kElementBytes, backward));
  }
  for (const int64_t head_size : {64, 128})
    for (int64_t columns = 4 * head_size; columns <= kMostWidth; columns += head_size)
      hold("rotate", columns,
           rotate_cost(kElements / static_cast<double>(columns), columns / head_size, head_size, kElementBytes));
  hold("importance", 4096, importance_cost(kElements, kElementBytes));
  hold("importance_quantile", 4096, quantile_cost(kElements, 2));
  hold("NF4 decoded", 4096, decode_cost(PP_NF4, kElements, kElements / 2, kElementBytes));
  hold("int8 decoded", 4096, decode_cost(PP_INT8, kElements, kElements, kElementBytes));
  CHECK_EQUAL(listed, static_cast<int>(std::size(kIssueBound)));
}

TEST(each_mask_of_dx_by_warpgroups_costs_clocks_in_all_turns_of_the_busiest) {
  const DeviceRates h100 = {9, 0, 132, 1829, 3.35e6, 227 * 1024, 50 << 20};
  const Ceilings ceilings = assumed_ceilings(h100, 2);
  const auto dx = [&](int masks, LinearPath path) {
    LoraRanks ranks = {16};
    while (ranks.modules < masks) ranks.add(16);
    return costs_of(h100, {8192, 4096, 4096, ranks, 2, masks}, true).fused_grad_input(path);
  };
  // 512 pairs of tiles for 66 clusters, 1024 tiles for 132 blocks.
  for (const LinearPath path : {LinearPath::kWarpgroup, LinearPath::kWarpgroupClusters}) {
    CHECK_EQUAL(dx(0, path).clocks, 0);
    CHECK_EQUAL(dx(1, path).clocks, 8 * kMaskedRanks);
    CHECK_EQUAL(dx(3, path).clocks, 3 * 8 * kMaskedRanks);
    const double more = predict(ceilings, dx(1, path)) - predict(ceilings, dx(0, path));
    CHECK(std::abs(more - 8 * kMaskedRanks / 1829) < 1e-9);
  }
  CHECK_EQUAL(dx(1, LinearPath::kLargeTile).clocks, 0);
  // So the backward pass takes longer with a kept mask than without one.
  const auto backward = [&](int masks) {
    const Costs costs = costs_of(h100, {8192, 4096, 4096, {16}, 2, masks}, masks > 0);
    return predict_branched(ceilings, costs, LinearPath::kWarpgroupClusters);
  };
  CHECK(backward(1) - backward(0) > 6.5);
}

TEST(w_is_read_again_for_each_group_of_row_tiles_where_the_cache_does_not_hold_it_until_then) {
  const DeviceRates h100 = {9, 0, 132, 1829, 3.35e6, 227 * 1024, 50 << 20};
  const Costs llama = costs_of(h100, {8192, 4096, 4096, {16}, 2, 0}, false);
  constexpr double kWide = 2.0 * 8192 * 4096, kW = 2.0 * 4096 * 4096, kNarrow = 2.0 * 16 * (8192 + 4096);
  // 64 row tiles in groups of 12.
  const Cost dx = llama.fused_grad_input(LinearPath::kWarpgroupClusters);
  CHECK_EQUAL(product_memory_bytes(dx, 50 << 20), 2 * kWide + 6 * kW + kNarrow);
  CHECK_EQUAL(product_memory_bytes(dx, 100 << 20), 2 * kWide + kW + kNarrow);
  CHECK_EQUAL(memory_bytes(dx, 50 << 20), 0);
  // Clusters that make S have half a row of 16 tiles each, of all rows at once: all of x passes at each turn.
  const Cost with_s = llama.fused_forward(LinearPath::kClustersWithS);
  CHECK_EQUAL(product_memory_bytes(with_s, 50 << 20), 9 * kWide + kW + kNarrow + 2.0 * 16 * 4096);
  CHECK_EQUAL(product_memory_bytes(with_s, 100 << 20), 2 * kWide + kW + kNarrow + 2.0 * 16 * 4096);
  // The library's product is taken to do the same, and our own by mma.sync has it among its bytes.
  CHECK_EQUAL(library_memory_bytes(llama.frozen(), 50 << 20), 2 * kWide + 6 * kW);
  CHECK_EQUAL(memory_bytes(llama.fused_frozen(LinearPath::kLargeTile), 50 << 20), 2 * kWide + 6 * kW);
  // Where a product multiplies little it takes the time of its bytes.
  const Ceilings ceilings = assumed_ceilings(h100, 2);
  const Costs narrow = costs_of(h100, {8192, 64, 64, {}, 2, 0}, false);
  const double moved = 2.0 * (2 * 8192 * 64 + 64 * 64) / ceilings.copy_bytes;
  for (const Cost& cost : {narrow.frozen(), narrow.fused_frozen(LinearPath::kWarpgroupClusters)})
    CHECK(std::abs(predict(ceilings, cost) - moved - ceilings.launch) < 1e-9);
}

TEST(weights_of_a_quantile_are_read_in_each_round_unless_they_stay_in_the_cache) {
  constexpr double kWeights = 1000;
  for (const int64_t size : {2, 4}) {
    const Cost cost = quantile_cost(kWeights, size);
    const double bytes = kWeights * static_cast<double>(size);
    CHECK_EQUAL(memory_bytes(cost, bytes), bytes);
    CHECK_EQUAL(memory_bytes(cost, bytes - 1), quantile_rounds(size) * bytes);
  }
}

TEST(where_the_driver_does_not_tell_the_bandwidth_it_is_taken_from_the_multiprocessors) {
  const DeviceRates unknown = device_of(9, 0, 0);
  CHECK_EQUAL(assumed_ceilings(unknown, 2).copy_bytes, assumed_ceilings(device_of(9, 0, 12), 2).copy_bytes);
}

TEST(ceilings_follow_the_architecture_and_the_type) {
  const auto library = [](int major, int minor, int64_t bytes) {
    return assumed_ceilings(device_of(major, minor, 10), bytes).library_flops;
  };
  CHECK(library(9, 0, 2) > library(8, 0, 2));
  CHECK(library(8, 0, 2) > library(8, 6, 2));
  CHECK(library(8, 6, 4) > library(8, 0, 4));
  CHECK(library(10, 0, 2) > library(9, 0, 2));
  CHECK_EQUAL(library(17, 3, 2), library(9, 0, 2));  // one that is not known yet
}

}  // namespace
