// Which path a LoRA linear takes: rules of the host, with devices that are made up, and what the call says where there is none.
#include <cmath>
#include <iterator>
#include <string>

#include "check.h"
#include "decoder/cuda/decoder_cost.h"
#include "linear/cuda/path_choice.h"

namespace {

using namespace prunepeft::cuda;

constexpr pp_linear_path kPaths[] = {PP_SPLIT, PP_FUSED};

/** Large, of the compute capability, with a product rate and a bandwidth in the proportion of the real ones. */
DeviceRates device_of(int major, int minor, double bytes_a_clock) {
  const DeviceRates device = {major, minor, 100, 1500, bytes_a_clock * 100 * 1500, 227 * 1024, 50 << 20};
  return device;
}

/** Modules of which some drop, of random ranks; of each four widths one is below the number of modules that there may be. */
LoraShape random_shape() {
  LoraRanks ranks;
  for (int64_t modules = check::pick(1, PP_MOST_MODULES_OF_A_ROW); modules > 0; --modules) ranks.add(check::pick(1, 80));
  const auto width = [] { return check::pick(1, check::pick(1, 4) == 1 ? PP_MOST_MODULES_OF_A_ROW : 9000); };
  const int64_t K = width(), N = width();
  return {check::pick(0, 20000), K, N, ranks, 2 * check::pick(1, 2), static_cast<int>(check::pick(0, ranks.modules))};
}

DeviceRates random_device() {
  const int majors[] = {8, 8, 9, 10, 12, 17};
  return {majors[check::pick(0, 5)],
          static_cast<int>(check::pick(0, 9)),
          static_cast<int>(check::pick(1, 300)),
          static_cast<double>(check::pick(500, 3000)),
          1e5 * static_cast<double>(check::pick(0, 90)),
          check::pick(99, 227) * 1024,
          check::pick(1, 100) << 20};
}

TEST(no_paths_are_predicted_to_be_faster_than_the_chosen_with_masks_kept_or_not) {
  for (int turn = 0; turn < 2000; ++turn) {
    const DeviceRates device = random_device();
    const LoraShape shape = random_shape();
    const Ceilings ceilings = assumed_ceilings(device, shape.element_bytes);
    const LinearPaths chosen = choose_paths(device, shape);
    const LinearPath there = fused_kernel(device, shape, LinearDirection::kForward);
    const LinearPath back = fused_kernel(device, shape, LinearDirection::kGradInput);
    const auto step = [&](pp_linear_path forward, pp_linear_path backward, bool kept) {
      const Costs costs = costs_of(device, shape, kept);
      return predict_forward(ceilings, costs, forward, there) + predict_best_backward(ceilings, costs, backward, back);
    };
    const double taken = step(chosen.forward, chosen.backward, chosen.keep_masks);
    CHECK(std::isfinite(taken) && taken > 0);
    for (pp_linear_path forward : kPaths)
      for (pp_linear_path backward : kPaths)
        for (const bool kept : {false, true}) CHECK(taken <= step(forward, backward, kept));
    CHECK(shape.masks > 0 || !chosen.keep_masks);
  }
}

TEST(more_modules_than_columns_of_y_are_predicted_too) {
  for (const int64_t N : {1, 2, 8}) {
    LoraRanks ranks = {8};
    while (ranks.modules <= N) ranks.add(8);
    for (const int masks : {0, ranks.modules}) {
      const LoraShape shape = {100, 64, N, ranks, 2, masks};
      const Costs costs = costs_of(device_of(9, 0, 14), shape, false);
      // Each module's call reads a column at least.
      const Costs one = costs_of(device_of(9, 0, 14), {100, 64, 1, {8}, 2, 0}, false);
      CHECK_EQUAL(costs.grad_up().bytes, ranks.modules * one.grad_up().bytes);
      choose_paths(device_of(9, 0, 14), shape);
      choose_paths(device_of(8, 0, 14), shape);
    }
  }
}

TEST(the_fused_path_is_predicted_by_the_kernel_that_it_would_take) {
  const LoraShape shape = {4096, 1024, 1024, {16}, 2, true};
  const auto kernel = [](const DeviceRates& device, const LoraShape& shape, LinearDirection direction) {
    return fused_kernel(device, shape, direction);
  };
  for (const int masks : {0, 1})
    CHECK(kernel(device_of(9, 0, 14), {4096, 1024, 1024, {16}, 2, masks}, LinearDirection::kForward) ==
          LinearPath::kClustersWithS);
  CHECK(kernel(device_of(9, 0, 14), {4096, 1024, 1024, {16, 16}, 2, 2}, LinearDirection::kForward) ==
        LinearPath::kWarpgroupClusters);
  CHECK(kernel(device_of(9, 0, 14), shape, LinearDirection::kGradInput) == LinearPath::kWarpgroupClusters);
  CHECK(kernel(device_of(9, 0, 14), {4096, 1024, 1024, {16}, 2, 0}, LinearDirection::kGradInput) == LinearPath::kClustersWithS);
  // Three row tiles are two clusters' as soon as four are.
  CHECK(kernel(device_of(9, 0, 14), {384, 1024, 8192, {16}, 2, true}, LinearDirection::kForward) == LinearPath::kWarpgroup);
  CHECK(kernel(device_of(8, 0, 14), shape, LinearDirection::kForward) == LinearPath::kLargeTile);
  // Whatever the rank is, if rows of x, W and dY start at multiples of 16 bytes.
  for (const LinearDirection direction : {LinearDirection::kForward, LinearDirection::kGradInput}) {
    CHECK(is_by_warpgroups(kernel(device_of(9, 0, 14), {4096, 1024, 1024, {5}, 2, true}, direction)));
    CHECK(!is_by_warpgroups(kernel(device_of(9, 0, 14), {4096, 1020, 1024, {16}, 2, true}, direction)));
  }
  CHECK(!is_by_warpgroups(kernel(device_of(9, 0, 14), {4096, 1024, 1024, {16}, 4, true}, LinearDirection::kForward)));
  CHECK(is_by_warpgroups(kernel(device_of(9, 0, 14), {4096, 64, 1024, {16}, 2, true}, LinearDirection::kForward)));
  CHECK(!is_by_warpgroups(kernel(device_of(9, 0, 14), {4096, 64, 1024, {16}, 2, true}, LinearDirection::kGradInput)));
  DeviceRates little = device_of(9, 0, 14);
  little.shared_bytes_per_block = kWarpgroupSharedBytes - 1;
  CHECK(!is_by_warpgroups(kernel(little, shape, LinearDirection::kForward)));
}

TEST(several_modules_are_predicted_by_the_kernel_that_they_take) {
  const DeviceRates hopper = {9, 0, 132, 1829, 3.35e6, 227 * 1024, 50 << 20};
  const auto kernel = [&](const LoraRanks& ranks, int masks, LinearDirection direction) {
    return fused_kernel(hopper, {8192, 4096, 4096, ranks, 2, masks}, direction);
  };
  constexpr LinearDirection kForward = LinearDirection::kForward, kBackward = LinearDirection::kGradInput;
  // S of up to four tiles of 16 ranks: three modules have a tile each, whatever part of it they fill.
  CHECK(kernel({8, 8, 8}, 0, kForward) == LinearPath::kClustersWithS);
  CHECK(kernel({8, 8, 8, 8, 8}, 0, kForward) == LinearPath::kWarpgroupClusters);
  CHECK(kernel({40}, 0, kForward) == LinearPath::kClustersWithS);
  // dS and dB of one.
  CHECK(kernel({16}, 0, kBackward) == LinearPath::kClustersWithS);
  CHECK(kernel({8, 8, 8}, 0, kBackward) == LinearPath::kWarpgroupClusters);
  CHECK(kernel({8, 8}, 2, kForward) == LinearPath::kWarpgroupClusters);
  // The copy engine brings eight modules' operands.
  CHECK(is_by_warpgroups(kernel({8, 8, 8, 8, 8, 8, 8, 8}, 0, kForward)));
  for (const LinearDirection direction : {kForward, kBackward})
    CHECK(kernel({8, 8, 8, 8, 8, 8, 8, 8, 8}, 0, direction) == LinearPath::kLargeTile);
}

TEST(modules_of_which_some_drop_are_predicted_beside_the_frozen_product) {
  const DeviceRates h100 = {9, 0, 132, 1829, 3.35e6, 227 * 1024, 50 << 20};
  const Ceilings ceilings = assumed_ceilings(h100, 2);
  const LinearPath clusters = LinearPath::kWarpgroupClusters;
  // Nine are too many for the copy engine, but it is not asked for them.
  for (const LoraRanks& ranks : {LoraRanks{8, 8}, LoraRanks{8, 8, 8, 8, 8, 8, 8, 8, 8}})
    for (const LinearDirection direction : {LinearDirection::kForward, LinearDirection::kGradInput})
      CHECK(fused_kernel(h100, {8192, 4096, 4096, ranks, 2, 1}, direction) == clusters);
  const auto all = [&](const auto&... cost) { return predict_sequence(ceilings, cost...); };
  const auto close = [](double a, double b) { return std::abs(a - b) <= 1e-9 * b; };
  for (const bool kept : {false, true}) {
    const auto costs = [&](const LoraRanks& ranks, int masks) {
      return costs_of(h100, {8192, 4096, 12288, ranks, 2, masks}, kept);
    };
    const Costs mixed = costs({8, 8, 8}, 2), dropping = costs({8, 8}, 2), others = costs({8}, 0);
    const double forward = all(mixed.up(), dropping.down(), others.down());
    const double backward =
        all(mixed.grad_up(), dropping.grad_input(), others.grad_input(), dropping.grad_down(), others.grad_down());
    CHECK(close(predict_forward(ceilings, mixed, PP_SPLIT), all(mixed.frozen()) + forward));
    CHECK(close(predict_backward(ceilings, mixed, PP_SPLIT), all(mixed.frozen()) + backward));
    const double product = all(mixed.fused_frozen(clusters));
    CHECK(close(predict_forward(ceilings, mixed, PP_FUSED, clusters), product + forward));
    CHECK(close(predict_backward(ceilings, mixed, PP_FUSED, clusters), product + backward));
  }
  // So the library's product, the faster, decides.
  const LinearPaths chosen = choose_paths(h100, {8192, 4096, 12288, {8, 8, 8}, 2, 2});
  CHECK(chosen.forward == PP_SPLIT && chosen.backward == PP_SPLIT);
}

TEST(modules_cost_their_own_tiles_of_ranks_and_calls) {
  const auto costs = [](const LoraRanks& ranks) {
    return costs_of(device_of(9, 0, 14), {8192, 4096, 12288, ranks, 2, 0}, false);
  };
  const Costs three = costs({8, 8, 8}), one = costs({24});
  CHECK_EQUAL(three.down().own_flops, costs({48}).down().own_flops);
  CHECK_EQUAL(one.down().own_flops, costs({32}).down().own_flops);
  CHECK_EQUAL(three.down().bytes, one.down().bytes);
  // Five tiles are one reading of x, six are two.
  CHECK(costs({8, 8, 8, 8, 8, 8}).down().bytes > 1.9 * costs({8, 8, 8, 8, 8}).down().bytes);
  // A column of y has one module's ranks, and each module a launch or two of its own.
  CHECK_EQUAL(three.up().own_flops, costs({16}).up().own_flops);
  CHECK_EQUAL(three.up().launches, 3);
  CHECK_EQUAL(three.grad_up().launches, 3 * one.grad_up().launches);
  CHECK_EQUAL(three.grad_up().own_flops,
              3 * costs_of(device_of(9, 0, 14), {8192, 4096, 4096, {8}, 2, 0}, false).grad_up().own_flops);
  CHECK_EQUAL(three.grad_down().launches, one.grad_down().launches);
  const auto product = [](const Costs& of) { return of.fused_forward(LinearPath::kWarpgroupClusters).cluster_flops; };
  CHECK_EQUAL(product(three), product(costs({16})));
}

TEST(dx_of_several_modules_is_not_taken_for_one_that_makes_ds) {
  const DeviceRates h100 = {9, 0, 132, 1829, 3.35e6, 227 * 1024, 50 << 20};
  const Ceilings ceilings = assumed_ceilings(h100, 2);
  const LoraShape stacked = {8192, 4096, 12288, {8, 8, 8}, 2, 0};
  const Costs costs = costs_of(h100, stacked, false);
  const LinearPath kernel = fused_kernel(h100, stacked, LinearDirection::kGradInput);
  const double apart = predict_sequence(ceilings, costs.fused_grad_input(kernel), costs.grad_up(), costs.grad_down());
  CHECK_EQUAL(predict_backward(ceilings, costs, PP_FUSED, kernel), apart);
  CHECK(apart > predict_sequence(ceilings, costs.grad_input_with_ds(), costs.grad_down()) + 5);
}

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

TEST(paths_are_chosen_for_products_without_rows_or_columns) {
  for (const int major : {8, 9})
    for (const int64_t M : {0, 300})
      for (const int64_t K : {0, 264})
        for (const int64_t N : {0, 264})
          for (const int64_t rank : {0, 16, 40})
            for (const int masks : {0, 1}) {
              const LoraShape shape = {M, K, N, rank > 0 ? LoraRanks{rank} : LoraRanks{}, 2, rank > 0 ? masks : 0};
              const LinearPaths chosen = choose_paths(device_of(major, 0, 14), shape);
              CHECK(chosen.forward == PP_SPLIT || chosen.forward == PP_FUSED);
              CHECK(chosen.backward == PP_SPLIT || chosen.backward == PP_FUSED);
            }
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
constexpr IssueBound kIssueBound[] = {{"grad_input, overwriting, dropout", 16, 112},
                                      {"grad_input, overwriting, dropout", 32, 118},
                                      {"grad_input, overwriting, dropout", 48, 124},
                                      {"grad_input, overwriting, dropout", 64, 131},
                                      {"grad_input, overwriting, mask read", 32, 84},
                                      {"grad_input, overwriting, mask read", 48, 90},
                                      {"grad_input, overwriting, mask read", 64, 96},
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
                                      {"stack grad_input", 64, 81},
                                      {"stack grad_input, dropout", 16, 135},
                                      {"stack grad_input, dropout", 32, 144},
                                      {"stack grad_input, dropout", 48, 153},
                                      {"stack grad_input, dropout", 64, 162},
                                      {"stack grad_input, masks read", 16, 83},
                                      {"stack grad_input, masks read", 32, 92},
                                      {"stack grad_input, masks read", 48, 101},
                                      {"stack grad_input, masks read", 64, 110},
                                      {"stack grad_input, overwriting", 16, 88},
                                      {"stack grad_input, overwriting", 32, 108},
                                      {"stack grad_input, overwriting", 48, 126},
                                      {"stack grad_input, overwriting", 64, 144},
                                      {"stack grad_input, overwriting, dropout", 16, 253},
                                      {"stack grad_input, overwriting, dropout", 32, 269},
                                      {"stack grad_input, overwriting, dropout", 48, 285},
                                      {"stack grad_input, overwriting, dropout", 64, 300},
                                      {"stack grad_input, overwriting, masks read", 16, 141},
                                      {"stack grad_input, overwriting, masks read", 32, 156},
                                      {"stack grad_input, overwriting, masks read", 48, 171},
                                      {"stack grad_input, overwriting, masks read", 64, 186}};

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

TEST(masks_are_kept_where_drawing_them_again_binds) {
  const DeviceRates h100 = {9, 0, 132, 1829, 3.35e6, 227 * 1024, 50 << 20};
  // Of one module memory binds, and the mask is only more to move, but for a dA that would not be done beside dX.
  const LoraShape llama = {8192, 4096, 4096, {16}, 2, 1}, squared = {8192, 8192, 8192, {16}, 2, 1};
  CHECK(choose_paths(h100, llama).backward == PP_FUSED && choose_paths(h100, llama).keep_masks);
  // Nor is it where W is quantised.
  LoraShape quantized = llama;
  quantized.quantized = true;
  CHECK(choose_paths(h100, quantized).backward == PP_FUSED && !choose_paths(h100, quantized).keep_masks);
  CHECK(choose_paths(h100, squared).backward == PP_FUSED && !choose_paths(h100, squared).keep_masks);
  CHECK(choose_paths(h100, {8192, 4096, 4096, {16, 16, 16}, 2, 3}).keep_masks);
  const Ceilings ceilings = assumed_ceilings(h100, 2);
  Costs three = {8192, 4096, 4096, 48, 2, 3, 132, false, 3, 3};
  const Cost drawn = three.grad_down();
  three.kept = true;
  const Cost kept = three.grad_down();
  CHECK(predict(ceilings, kept) < 0.7 * predict(ceilings, drawn));
  CHECK_EQUAL(kept.bytes - drawn.bytes, 3 * 8192 * 4096 / 8);
  CHECK_EQUAL(kept.draws, 0);
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

TEST(as_many_runners_are_busy_as_the_busiest_has_turns_for) {
  CHECK_EQUAL(busy_runners(0, 66), 0);
  CHECK_EQUAL(busy_runners(5, 66), 5);
  CHECK_EQUAL(busy_runners(66, 66), 66);
  CHECK_EQUAL(busy_runners(67, 66), 34);
  CHECK_EQUAL(busy_runners(512, 66), 64);
  for (int64_t works = 1; works < 300; ++works)
    for (int64_t runners = 1; runners < 40; ++runners) {
      const int64_t busy = busy_runners(works, runners);
      CHECK(busy <= runners && tiles_of(works, busy) == tiles_of(works, runners));
      CHECK(busy == 1 || tiles_of(works, busy - 1) > tiles_of(works, runners));
    }
}

TEST(da_is_done_beside_dx_as_far_as_this_leaves_multiprocessors_and_time) {
  const DeviceRates h100 = {9, 0, 132, 1829, 3.35e6, 227 * 1024, 50 << 20};
  const Ceilings ceilings = assumed_ceilings(h100, 2);
  constexpr LinearPath kClusters = LinearPath::kWarpgroupClusters;
  const auto close = [](double a, double b) { return std::abs(a - b) <= 1e-9 * b; };
  const auto of = [&](const LoraShape& shape, bool kept = false) { return costs_of(h100, shape, kept); };
  const Costs plain = of({8192, 4096, 4096, {16}, 2, 0}), drawn = of({8192, 4096, 4096, {16}, 2, 1}),
              kept = of({8192, 4096, 4096, {16}, 2, 1}, true), little = of({8192, 4096, 256, {16}, 2, 0}),
              none_left = of({8192, 11008, 4096, {16}, 2, 0});
  CHECK_EQUAL(plain.idle_beside_dx(kClusters), 4);
  CHECK_EQUAL(plain.idle_beside_dx(LinearPath::kWarpgroup), 4);
  CHECK_EQUAL(none_left.idle_beside_dx(kClusters), 0);
  Costs odd = none_left;
  odd.multiprocessors = 133;
  CHECK_EQUAL(odd.idle_beside_dx(kClusters), 1);
  const auto dx = [&](const Costs& costs) { return predict(ceilings, costs.fused_grad_input(kClusters)); };
  const auto da = [&](const Costs& costs) { return predict(ceilings, costs.grad_down()); };
  // By four multiprocessors: what memory gives them, and 1 of 33 instructions.
  const auto by_idle = [&](const Costs& costs) {
    const Cost cost = costs.grad_down();
    return 2 * ceilings.launch + std::max(memory_bytes(cost, ceilings.cache_bytes) / (4 * kBytesOfIdle),
                                          33 * cost.instructions / ceilings.instructions);
  };
  for (const Costs& costs : {plain, kept}) {
    CHECK(by_idle(costs) < dx(costs));
    CHECK(close(predict_beside(ceilings, costs, kClusters), dx(costs) + ceilings.launch));
  }
  for (const Costs& costs : {drawn, little}) {
    CHECK(by_idle(costs) > dx(costs));
    const double left = (1 - dx(costs) / by_idle(costs)) * da(costs);
    CHECK(close(predict_beside(ceilings, costs, kClusters), dx(costs) + left + ceilings.launch));
  }
  CHECK(close(predict_beside(ceilings, none_left, kClusters), dx(none_left) + da(none_left) + ceilings.launch));
  CHECK(close(predict_branched(ceilings, plain, LinearPath::kClustersWithS),
              predict(ceilings, plain.grad_up()) + predict_beside(ceilings, plain, kClusters)));
  for (const Costs& costs : {plain, drawn, kept}) CHECK(branch_pays(ceilings, costs, kClusters));
  CHECK(branch_pays(ceilings, plain, LinearPath::kClustersWithS) && !branch_pays(ceilings, none_left, kClusters));
  CHECK(!branch_pays(ceilings, plain, LinearPath::kLargeTile));
  CHECK(!branch_pays(ceilings, of({8192, 4096, 4096, {}, 2, 0}), kClusters));
  CHECK(!branch_pays(ceilings, of({8192, 4096, 4096, {16, 16}, 2, 1}), kClusters));  // of which one drops
  const auto best = [&](const Costs& costs, pp_linear_path path, LinearPath kernel) {
    return predict_best_backward(ceilings, costs, path, kernel);
  };
  CHECK_EQUAL(best(plain, PP_FUSED, kClusters), predict_branched(ceilings, plain, kClusters));
  CHECK_EQUAL(best(plain, PP_SPLIT, kClusters), predict_backward(ceilings, plain, PP_SPLIT, kClusters));
  CHECK_EQUAL(best(none_left, PP_FUSED, kClusters), predict_backward(ceilings, none_left, PP_FUSED, kClusters));
}

TEST(a_frozen_linear_goes_to_the_library_where_its_product_is_faster) {
  const LinearPaths chosen = choose_paths(device_of(9, 0, 14), {8192, 4096, 4096, {}, 2, 0});
  CHECK(chosen.forward == PP_SPLIT && chosen.backward == PP_SPLIT);
}

TEST(bandwidth_decides_between_reading_y_again_and_multiplying_by_own_products) {
  // On compute capability 8, own products are nearly the library's: the less bandwidth, the more a second pass over y costs.
  const LoraShape shape = {8192, 8192, 8192, {16}, 2, true};
  const auto backward = [&](double bytes_a_clock) { return choose_paths(device_of(8, 0, bytes_a_clock), shape).backward; };
  CHECK(backward(1) == PP_FUSED);
  CHECK(backward(1000) == PP_SPLIT);
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

TEST(the_cpu_takes_its_own_product) {
  const pp_device cpu = {PP_CPU, 0, nullptr};
  const int64_t rank = 8;
  const pp_linear_shape shape = {PP_BFLOAT16, 100, 64, 32, &rank, 1, 1, 0};
  pp_linear_path forward = PP_SPLIT, backward = PP_SPLIT;
  int32_t keep_masks = 1;
  CHECK_EQUAL(pp_linear_choose_paths(&cpu, &shape, &forward, &backward, &keep_masks), PP_OK);
  CHECK(forward == PP_FUSED && backward == PP_FUSED && keep_masks == 0);
}

TEST(wrong_arguments_are_named) {
  const pp_device cpu = {PP_CPU, 0, nullptr}, cuda = {PP_CUDA, 0, nullptr};
  pp_linear_path path = PP_SPLIT;
  int32_t keep = 0;
  const auto choose = [&](const pp_linear_shape& shape) { return pp_linear_choose_paths(&cpu, &shape, &path, &path, &keep); };
  const int64_t ranks[] = {8, 0, 8};
  const pp_linear_shape good = {PP_FLOAT32, 1, 64, 32, ranks, 1, 0, 0};
  CHECK_FAILS(choose({PP_FLOAT32, -1, 64, 32, ranks, 1, 0, 0}), PP_INVALID_ARGUMENT, "shape->M must be at least 0, got -1");
  CHECK_FAILS(choose({PP_FLOAT32, 1, 64, 32, ranks, 3, 0, 0}), PP_INVALID_ARGUMENT,
              "shape->ranks[1] must be at least 1, got 0");
  CHECK_FAILS(choose({PP_FLOAT32, 1, 64, 32, nullptr, 1, 0, 0}), PP_INVALID_ARGUMENT, "shape->ranks must not be null");
  CHECK_FAILS(choose({PP_FLOAT32, 1, 64, 32, ranks, -1, 0, 0}), PP_INVALID_ARGUMENT,
              "shape->modules must be at least 0, got -1");
  CHECK_FAILS(choose({PP_FLOAT32, 1, 64, 32, ranks, 17, 0, 0}), PP_INVALID_ARGUMENT,
              "shape->modules must be at most 16, got 17");
  CHECK_FAILS(choose({PP_FLOAT32, 1, 64, 32, ranks, 1, -1, 0}), PP_INVALID_ARGUMENT, "shape->masks must be at least 0, got -1");
  CHECK_FAILS(choose({PP_FLOAT32, 1, 64, 32, ranks, 1, 2, 0}), PP_INVALID_ARGUMENT, "shape->masks must be at most 1, got 2");
  CHECK_FAILS(choose({PP_FLOAT16, 1, 64, 32, ranks, 1, 0, 0}), PP_UNSUPPORTED, "float16");
  CHECK_EQUAL(choose({PP_FLOAT32, 1, 64, 32, nullptr, 0, 0, 0}), PP_OK);
  const auto choose_into = [&](const pp_linear_shape* shape, pp_linear_path* forward, int32_t* keep_masks) {
    return pp_linear_choose_paths(&cpu, shape, forward, &path, keep_masks);
  };
  CHECK_FAILS(choose_into(&good, nullptr, &keep), PP_INVALID_ARGUMENT, "forward must not be null");
  CHECK_FAILS(choose_into(&good, &path, nullptr), PP_INVALID_ARGUMENT, "keep_masks must not be null");
  CHECK_FAILS(choose_into(nullptr, &path, &keep), PP_INVALID_ARGUMENT, "shape must not be null");
  // A build without CUDA says so; one with CUDA has no device here.
  const pp_status status = pp_linear_choose_paths(&cuda, &good, &path, &path, &keep);
  int32_t devices = 0;
  pp_device_count(PP_CUDA, &devices);
  CHECK((status == PP_OK) == (devices > 0));
}

}  // namespace
