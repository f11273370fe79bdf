// Launches of the fused linear.
#include "linear/cuda/linear_cuda.h"

#include "core/dropout.h"
#include "cuda/branch.h"
#include "linear/cuda/module_stack.h"
#include "linear/cuda/choice.h"
#include "linear/cuda/decode.h"
#include "linear/cuda/linear.cuh"
#include "linear/cuda/linear_codes.h"
#include "linear/cuda/linear_warpgroup.h"
#include "linear/cuda/lora_cuda.h"
#include "linear/cuda/narrow_copies.h"
#include "linear/cuda/rates.h"
#include "linear/plan.h"
#include "linear/cuda/down_call.cuh"

namespace prunepeft::cuda {
namespace {
cudaError_t read_traits(int device, DeviceTraits* traits) {
  const auto read = [device](cudaDeviceAttr attribute, auto* value) {
    int number = 0;
    const cudaError_t error = cudaDeviceGetAttribute(&number, attribute, device);
    *value = number;
    return error;
  };
  cudaError_t error = read(cudaDevAttrComputeCapabilityMajor, &traits->compute_major);
  if (error == cudaSuccess) error = read(cudaDevAttrComputeCapabilityMinor, &traits->compute_minor);
  if (error == cudaSuccess) error = read(cudaDevAttrMultiProcessorCount, &traits->multiprocessors);
  if (error == cudaSuccess) error = read(cudaDevAttrMaxSharedMemoryPerBlockOptin, &traits->shared_bytes_per_block);
  if (error == cudaSuccess) error = read(cudaDevAttrL2CacheSize, &traits->l2_bytes);
  return error;
}

/** Either direction of a linear. */
struct ProductCall {
  const pp_linear& linear;
  const pp_matrix& left;
  const LoraModule* modules;
  int32_t module_count;
  const pp_matrix& out;
  cudaStream_t stream;
  DropoutSpec dropout = make_spec(module_count > 0 ? modules[0].dropout : nullptr);
};

/** A module's ranks as operands, as far as no type is needed for it. */
RankSlab rank_slab(const LoraModule& module, const pp_linear& linear, bool forward) {
  RankSlab slab = {};
  slab.left = module.s;
  slab.ld_left = module.lds;
  slab.right = forward ? module.b : module.a;
  slab.ld_right = forward ? module.ldb : module.lda;
  slab.rank = module.rank;
  slab.first_column = forward ? module.first_column : 0;
  slab.columns = forward ? module.columns : linear.K;
  slab.kept = module.kept_mask;
  slab.mask_name = module.mask_name;
  return slab;
}

template <class T>
LinearArguments<T> product_arguments(const ProductCall& call, bool forward) {
  const pp_linear& linear = call.linear;
  LinearArguments<T> arguments = {};
  arguments.columns = forward ? linear.N : linear.K;
  arguments.left = source<T>(call.left.data, call.left.ld, call.left.rows, call.left.cols);
  arguments.right = source<T>(linear.w, linear.ldw, linear.N, linear.K);
  arguments.bias = forward ? static_cast<const T*>(linear.bias) : nullptr;
  arguments.out = static_cast<T*>(call.out.data);
  arguments.ldout = call.out.ld;
  arguments.out_aligned = gpu::rows_aligned<T>(call.out.data, call.out.ld);
  arguments.dropout = call.dropout;
  for (int32_t i = 0; i < call.module_count; i++) {
    RankSlab& slab = arguments.slabs[arguments.slab_count++];
    slab = rank_slab(call.modules[i], linear, forward);
    slab.left_aligned = gpu::rows_aligned<T>(slab.left, slab.ld_left);
    slab.right_aligned = gpu::rows_aligned<T>(slab.right, slab.ld_right);
  }
  return arguments;
}

template <class Tile, class T>
LinearOrder tile_order(const LinearArguments<T>& arguments, int64_t group_rows) {
  LinearOrder order = {};
  order.row_tiles = gpu::divide_up(arguments.left.rows, Tile::kRows);
  order.column_tiles = gpu::divide_up(arguments.columns, Tile::kColumns);
  order.group_rows = group_rows;
  order.s_blocks_per_tile = Tile::kRows / Down::kRows;
  return order;
}

struct Choice {
  LinearPath path;
  int64_t group_rows;
  int multiprocessors;
};

/** What suits the device and the shape, or the path that a test has forced. The product may make so many tiles of S. */
template <class T>
cudaError_t choose(int device, const LinearArguments<T>& arguments, bool forward, int64_t rank_tiles, Choice* choice) {
  DeviceTraits traits;
  const cudaError_t error = read_traits(device, &traits);
  if (error != cudaSuccess) return error;
  const int forced = pp_internal_forced_linear_path();
  const LinearShape shape = {arguments.left.rows,
                             arguments.columns,
                             arguments.left.columns,
                             int64_t{sizeof(T)},
                             forced != kChosenWithoutWarpgroups && can_copy_in_bulk(arguments),
                             forward ? LinearDirection::kForward : LinearDirection::kGradInput,
                             forced != kChosenWithoutClusters,
                             forced != kChosenWithoutS ? rank_tiles : 0,
                             arguments.dropout.threshold != 0};
  const LinearChoice chosen = choose_linear(traits, shape);
  *choice = {chosen.path, chosen.group_rows, traits.multiprocessors};
  if (forced < 0) return cudaSuccess;
  choice->path = static_cast<LinearPath>(forced);
  if (choice->path == LinearPath::kClustersWithS && !(rank_tiles >= 1 && has_path_with_s(traits, shape)))
    choice->path = LinearPath::kWarpgroupClusters;
  choice->group_rows = default_group_rows(traits, shape, tile_size(choice->path, shape.element_bytes));
  return has_path(traits, shape, choice->path) ? cudaSuccess : cudaErrorNotSupported;
}

/** W's codes, which are for the tiles to decode. */
CodeSource code_source(const pp_linear& linear) {
  return {static_cast<const uint8_t*>(linear.w), linear.N, linear.K, linear.decoding};
}

int64_t counter_count(int64_t M) {
  return 1 + gpu::divide_up(M, Down::kRows);
}

/** Parts of the workspace. */
struct ForwardMemory {
  unsigned* counters;
  void* copies;
  float* slots;
};

template <class T>
cudaError_t launch_forward(const ProductCall& call, int device, const ForwardMemory& memory) {
  LinearForwardArguments<T> arguments = {};
  arguments.product = product_arguments<T>(call, true);
  Choice choice;
  const Stack stack = make_stack(call.modules, call.module_count, call.dropout.keep_scale, true);
  const bool one_mask = call.dropout.threshold == 0 || call.module_count == 1;
  cudaError_t error = choose(device, arguments.product, true, one_mask ? stack.tiles : 0, &choice);
  if (error != cudaSuccess) return error;
  const int64_t M = call.left.rows, K = call.left.cols;
  const DownCall down = {call.linear.dtype, M,       K,           call.left.data, call.left.ld, stack,
                         call.dropout,      nullptr, PP_IDENTITY, nullptr};
  if (choice.path == LinearPath::kClustersWithS)
    return run_linear_forward_with_s(arguments.product, stack, {true, choice.multiprocessors, memory.copies, call.stream});
  if (is_by_warpgroups(choice.path)) {
    if (call.module_count > 0) error = run_down(down, M <= kMostRowsInTwoLaunches ? nullptr : memory.slots, call.stream);
    if (error != cudaSuccess) return error;
    arguments.product.order.group_rows = choice.group_rows;
    return run_linear_forward_warpgroup(
        arguments.product, {choice.path == LinearPath::kWarpgroupClusters, choice.multiprocessors, memory.copies, call.stream});
  }
  size_t shared = 0;
  if (call.module_count > 0) {
    const Split columns = split_columns(M, K);
    arguments.down = down_arguments<T>(down, stack, columns, memory.slots);
    arguments.shares = static_cast<int32_t>(columns.shares);
    arguments.counters = memory.counters;
    shared = Down::shared_bytes<T>(stack.chunk_tiles(), call.dropout.threshold != 0);
    error = cudaMemsetAsync(memory.counters, 0, static_cast<size_t>(counter_count(M)) * sizeof(unsigned), call.stream);
    if (error != cudaSuccess) return error;
  }
  const auto launch = [&](auto tile) {
    using Tile = decltype(tile);
    LinearOrder& order = arguments.product.order;
    order = tile_order<Tile>(arguments.product, choice.group_rows);
    if (call.module_count > 0) {
      order.s_row_blocks = gpu::divide_up(M, Down::kRows);
      order.s_parts = arguments.shares * stack.chunks();
    }
    if constexpr (sizeof(T) == 2)
      if (call.linear.decoding.used) return run_linear_forward_codes(arguments, code_source(call.linear), shared, call.stream);
    return gpu::launch(linear_forward_kernel<T, Tile>, linear_works(order), Tile::kThreads,
                       std::max(shared, LinearRing<T, Tile, Inner::kAlongRow>::kBytes), call.stream, arguments);
  };
  const bool large = choice.path == LinearPath::kLargeTile && !call.linear.decoding.used;
  return large ? launch(LargeTile<T>{}) : launch(SmallTile<T>{});
}

template <class Tile, bool kMasked, class T>
cudaError_t launch_grad_input_tile(LinearArguments<T>& arguments, int64_t group_rows, cudaStream_t stream) {
  using Ring = LinearRing<T, Tile, Inner::kAlongColumn>;
  arguments.order = tile_order<Tile>(arguments, group_rows);
  return gpu::launch(linear_grad_input_kernel<T, Tile, kMasked>, linear_works(arguments.order), Tile::kThreads,
                     Ring::kBytes + (kMasked ? Ring::kMaskBytes : 0), stream, arguments);
}

/** `leaves_room`: to what runs beside it. */
template <class T>
cudaError_t launch_grad_input(const ProductCall& call, int device, void* copies, bool leaves_room) {
  LinearArguments<T> arguments = product_arguments<T>(call, false);
  Choice choice;
  const cudaError_t error = choose(device, arguments, false, 0, &choice);
  if (error != cudaSuccess) return error;
  if (is_by_warpgroups(choice.path)) {
    arguments.order.group_rows = choice.group_rows;
    return run_linear_grad_input_warpgroup(
        arguments, {choice.path == LinearPath::kWarpgroupClusters, choice.multiprocessors, copies, call.stream, leaves_room});
  }
  if constexpr (sizeof(T) == 2)
    if (call.linear.decoding.used) {
      arguments.order = tile_order<SmallTile<T>>(arguments, choice.group_rows);
      return run_linear_grad_input_codes(arguments, code_source(call.linear), call.stream);
    }
  const bool large = choice.path == LinearPath::kLargeTile, masked = call.dropout.threshold != 0 && call.module_count > 0;
  const auto run =
      large ? (masked ? launch_grad_input_tile<LargeMaskedTile<T>, true, T> : launch_grad_input_tile<LargeTile<T>, false, T>)
            : (masked ? launch_grad_input_tile<SmallTile<T>, true, T> : launch_grad_input_tile<SmallTile<T>, false, T>);
  return run(arguments, choice.group_rows, call.stream);
}

/** A decoded W's rows begin at multiples of 16 bytes, so that every path can take it. */
int64_t decoded_ld(const pp_linear& linear) {
  return gpu::round_up(linear.K, gpu::kGroup);
}

/** Whether W is quantised and has to be decoded before: where the tiles don't. */
bool decodes_before(const pp_linear& linear, int64_t M, bool forward) {
  if (!linear.decoding.used) return false;
  const int forced = pp_internal_forced_linear_path();
  if (!can_read_codes(linear) || forced >= 0 || forced == kChosenWithoutCodes) return true;
  DeviceTraits traits;
  if (read_traits(linear.device_index, &traits) != cudaSuccess) return true;
  const LinearShape shape = {M,
                             forward ? linear.N : linear.K,
                             forward ? linear.K : linear.N,
                             static_cast<int64_t>(pp_dtype_size(linear.dtype)),
                             true,
                             forward ? LinearDirection::kForward : LinearDirection::kGradInput};
  return !decodes_in_tiles(traits, shape);
}

/** Room for W where it has to be decoded. */
char* take_decoded(const pp_linear& linear, int64_t M, bool forward, Workspace& workspace) {
  return decodes_before(linear, M, forward)
             ? workspace.take<char>(linear.N * decoded_ld(linear) * static_cast<int64_t>(pp_dtype_size(linear.dtype)))
             : nullptr;
}

/** Room for copies of the modules' operands, should the product go by warpgroups. */
void* take_copies(const pp_linear& linear, int64_t M, const LoraModule* modules, int32_t count, bool forward,
                  Workspace& workspace) {
  if (linear.dtype == PP_FLOAT32) return nullptr;
  int64_t elements = 0;
  for (int32_t i = 0; i < count; i++) {
    elements += slab_copy_elements(rank_slab(modules[i], linear, forward), M, forward);
    if (forward) elements += narrow_copy_elements({modules[i].a, modules[i].lda, modules[i].rank, linear.K});
  }
  return workspace.take<uint16_t>(elements);
}

/** What the product of a backward pass takes that could make dS and dB of its one module. */
cudaError_t choose_backward(int device, const ProductCall& call, Choice* choice) {
  return dispatch(call.linear.dtype, [&](auto element) {
    return choose(device, product_arguments<decltype(element)>(call, false), false,
                  gpu::divide_up(call.modules[0].rank, kTileRanks), choice);
  });
}

/** Bytes of a workspace's parts; 0: it has none. */
size_t room_of(const Workspace& workspace) {
  return workspace.bytes() == Workspace(nullptr).bytes() ? 0 : workspace.bytes();
}

/** `linear`, or its like whose W lies decoded in the workspace. */
cudaError_t decode(const pp_linear& linear, int64_t M, bool forward, cudaStream_t stream, Workspace& workspace,
                   pp_linear* dense) {
  *dense = linear;
  char* const memory = take_decoded(linear, M, forward, workspace);
  if (memory == nullptr) return cudaSuccess;
  const pp_matrix w = {memory, linear.N, linear.K, decoded_ld(linear), linear.dtype};
  dense->w = w.data;
  dense->ldw = w.ld;
  dense->decoding.used = false;
  return run_decode(linear.w, linear.decoding, w, stream);
}
}  // namespace

size_t linear_forward_workspace(const pp_linear& linear, int64_t M, const LoraModule* modules, int32_t count) {
  Workspace workspace(nullptr);
  take_decoded(linear, M, true, workspace);
  if (count == 0) return room_of(workspace);
  workspace.take<unsigned>(counter_count(M));
  take_copies(linear, M, modules, count, true, workspace);
  workspace.take<float>(down_slots(M, linear.K, make_stack(modules, count, 1.0f, true).columns));
  return workspace.bytes();
}

pp_status linear_forward(const pp_device& device, const pp_linear& linear, const pp_matrix& x, const LoraModule* modules,
                         int32_t count, const pp_matrix& y, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  Workspace parts(workspace);
  pp_linear dense;
  const cudaError_t error = decode(linear, x.rows, true, stream_of(device), parts, &dense);
  if (error != cudaSuccess) return to_status(error, "pp_linear_forward");
  const ProductCall call = {dense, x, modules, count, y, stream_of(device)};
  ForwardMemory memory = {};
  if (count > 0) {
    memory.counters = parts.take<unsigned>(counter_count(x.rows));
    memory.copies = take_copies(linear, x.rows, modules, count, true, parts);
    memory.slots = parts.take<float>(0);
  }
  return to_status(
      dispatch(linear.dtype, [&](auto element) { return launch_forward<decltype(element)>(call, device.index, memory); }),
      "pp_linear_forward");
}

size_t linear_backward_workspace(const pp_linear& linear, const pp_matrix& dy, const LoraModule& module, const pp_matrix& dx) {
  if (linear.dtype == PP_FLOAT32 || linear.decoding.used) return 0;
  Choice choice;
  const cudaError_t error = choose_backward(linear.device_index, {linear, dy, &module, 1, dx, nullptr}, &choice);
  if (error != cudaSuccess || choice.path != LinearPath::kClustersWithS) return 0;
  Workspace workspace(nullptr);
  take_copies(linear, dy.rows, &module, 1, false, workspace);
  workspace.take<uint16_t>(ds_copy_elements(module, dy.rows));
  workspace.take<float>(db_parts(module, dy.rows));
  return workspace.bytes();
}

pp_status linear_backward(const pp_device& device, const pp_linear& linear, const pp_matrix& dy, const LoraModule& module,
                          const pp_matrix& dx, void* workspace, bool* made) {
  *made = false;
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const ProductCall call = {linear, dy, &module, 1, dx, stream_of(device)};
  Workspace parts(workspace);
  const auto run = [&](auto element) {
    using T = decltype(element);
    const LinearArguments<T> arguments = product_arguments<T>(call, false);
    Choice choice;
    const cudaError_t error = choose(device.index, arguments, false, gpu::divide_up(module.rank, kTileRanks), &choice);
    if (error != cudaSuccess || choice.path != LinearPath::kClustersWithS) return error;
    *made = true;
    void* const copies = take_copies(linear, dy.rows, &module, 1, false, parts);
    void* const more = parts.take<uint16_t>(ds_copy_elements(module, dy.rows));
    static_cast<void>(more);  // behind the others
    float* const slots = parts.take<float>(db_parts(module, dy.rows));
    return run_linear_grad_input_with_ds(arguments, module, slots, {true, choice.multiprocessors, copies, call.stream});
  };
  return to_status(dispatch(linear.dtype, run), "pp_linear_backward");
}

size_t linear_grad_input_workspace(const pp_linear& linear, int64_t M, const LoraModule* modules, int32_t count) {
  Workspace workspace(nullptr);
  take_decoded(linear, M, false, workspace);
  take_copies(linear, M, modules, count, false, workspace);
  return room_of(workspace);
}

pp_status linear_grad_input(const pp_device& device, const pp_linear& linear, const pp_matrix& dy, const LoraModule* modules,
                            int32_t count, const pp_matrix& dx, void* workspace, bool leaves_room) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  Workspace parts(workspace);
  pp_linear dense;
  const cudaError_t error = decode(linear, dy.rows, false, stream_of(device), parts, &dense);
  if (error != cudaSuccess) return to_status(error, "pp_linear_grad_input");
  const ProductCall call = {dense, dy, modules, count, dx, stream_of(device)};
  void* copies = take_copies(linear, dy.rows, modules, count, false, parts);
  return to_status(
      dispatch(linear.dtype,
               [&](auto element) { return launch_grad_input<decltype(element)>(call, device.index, copies, leaves_room); }),
      "pp_linear_grad_input");
}

pp_status linear_takes_branch(const pp_device& device, const pp_linear& linear, const pp_matrix& dy, const LoraModule* modules,
                              int32_t count, const pp_matrix& dx, bool* takes) {
  *takes = false;
  if (linear.dtype == PP_FLOAT32 || linear.decoding.used || count == 0) return PP_OK;
  // One handle for a stream of each thread: a branch's events would be those of several.
  if (stream_of(device) == cudaStreamPerThread) return PP_OK;
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  const ProductCall call = {linear, dy, modules, count, dx, stream_of(device)};
  Choice choice;
  const auto run = [&](auto element) {
    using T = decltype(element);
    const LinearArguments<T> arguments = product_arguments<T>(call, false);
    const bool may_make_ds = count == 1 && call.dropout.threshold == 0;
    return choose(device.index, arguments, false, may_make_ds ? gpu::divide_up(modules[0].rank, kTileRanks) : 0, &choice);
  };
  pp_status status = to_status(dispatch(linear.dtype, run), "pp_linear_backward");
  if (status != PP_OK || !is_by_warpgroups(choice.path)) return status;
  const auto decide = [&](bool branch) {
    const pp_status ready = branch ? to_status(Branch::prepare(device), "pp_linear_backward") : PP_OK;
    *takes = branch && ready == PP_OK;
    return ready;
  };
  if (pp_internal_forced_linear_path() >= 0) return decide(choice.path != LinearPath::kClustersWithS);
  DeviceRates rates;
  if (read_rates(device.index, &rates) != PP_OK) return PP_OK;  // the calls one after the other need none
  rates.multiprocessors = choice.multiprocessors;               // which the emulator's tests change
  LoraShape shape = {dy.rows, linear.K, linear.N, {}, static_cast<int64_t>(pp_dtype_size(linear.dtype)), 0};
  bool kept = true;
  for (int32_t i = 0; i < count; i++) {
    shape.ranks.add(modules[i].rank);
    kept = kept && modules[i].kept_mask != nullptr;
  }
  if (call.dropout.threshold != 0) shape.masks = count;
  return decide(branch_pays(assumed_ceilings(rates, shape.element_bytes), costs_of(rates, shape, kept), choice.path));
}

size_t linear_grad_input_and_down_workspace(const pp_linear& linear, const pp_matrix& x, const LoraModule* modules,
                                            int32_t count) {
  int64_t ranks = 0;
  for (int32_t i = 0; i < count; i++) ranks += modules[i].rank;
  return linear_grad_input_workspace(linear, x.rows, modules, count) + lora_grad_down_workspace(x, ranks);
}

pp_status linear_grad_input_and_down(const pp_device& device, const pp_linear& linear, const pp_matrix& dy, const pp_matrix& x,
                                     const LoraModule* modules, int32_t count, const pp_matrix& dx, void* workspace) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  Branch branch(device);
  if (branch.status() != cudaSuccess) return to_status(branch.status(), "pp_linear_backward");
  char* const of_da = static_cast<char*>(workspace) + linear_grad_input_workspace(linear, x.rows, modules, count);
  pp_status status = linear_grad_input(device, linear, dy, modules, count, dx, workspace, true);
  const pp_device beside = {device.type, device.index, branch.stream()};
  if (status == PP_OK) status = lora_grad_down(beside, x, modules, count, false, of_da);
  const pp_status joined = to_status(branch.join(), "pp_linear_backward");
  return status != PP_OK ? status : joined;
}
}  // namespace prunepeft::cuda
