// Which path a LoRA linear takes: rules of the host, with devices that are made up, and what the call says where there is none.
#include <cmath>
#include <string>

#include "check.h"
#include "linear/cuda/path_choice.h"
#include "made_up_device.h"

namespace {

using namespace prunepeft::cuda;

constexpr pp_linear_path kPaths[] = {PP_SPLIT, PP_FUSED};

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
