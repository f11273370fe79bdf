// One LoRA linear, with a module or several that share out its columns, forward and backward, by each path that this library
// offers, beside the frozen linear.
//
// split        the library's product, then our skinny products around it
// ranks first  the same in another order: the ranks' part of y or dX is written, and the library's product adds to it
// fused        our own product, as it is chosen for device and shape, and by each of its paths
#pragma once

#include <functional>
#include <string>

#include "cublas.h"
#include "fused_path.h"
#include "linear/cuda/path_choice.h"
#include "prunepeft/graph.h"
#include "prunepeft/linear.h"

namespace gpu_check {
using prunepeft::cuda::Ceilings;
using prunepeft::cuda::Costs;

class Layer {
 public:
  struct Path {
    std::string name;
    bool backward;
    std::function<void()> run;
    double predicted;
  };

  Layer(pp_dtype dtype, int64_t M, int64_t K, int64_t N, int64_t r, const Cublas& cublas, uint64_t seed, int modules = 1)
      : dtype_(dtype),
        M_(M),
        K_(K),
        N_(N),
        r_(r),
        modules_(modules),
        cublas_(cublas),
        x_(dtype, M, K, seed),
        dy_(dtype, M, N, seed + 1),
        w_(dtype, N, K, seed + 2, kWeightSize),
        a_(dtype, modules * r, K, seed + 3, kWeightSize),
        b_(dtype, N, r, seed + 4, kWeightSize),
        s_(dtype, M, modules * r, seed + 6),
        y_(dtype, M, N),
        dx_(dtype, M, K),
        ds_(dtype, M, modules * r),
        da_(PP_FLOAT32, modules * r, K),
        db_(PP_FLOAT32, N, r),
        context_(workspace_.on(kDevice)) {
    check(pp_linear_create(&context_, w_, nullptr, &linear_));
    poison_outputs();
  }
  ~Layer() {
    for (pp_graph* graph : graphs_) pp_graph_destroy(graph);
    pp_linear_destroy(linear_);
  }
  Layer(const Layer&) = delete;

  /** What a path has left: y or dX; backward also dA and dB. */
  struct Outputs {
    std::vector<unsigned char> wide, da, db;
  };
  Outputs outputs(bool backward) const { return {backward ? dx_.read() : y_.read(), da_.read(), db_.read()}; }
  void poison_outputs() {
    for (Memory* memory : {&y_, &dx_, &ds_, &da_, &db_}) memory->poison();
  }

  /** Of all operands but the narrow ones, and of those of the frozen linear in a direction. */
  static size_t bytes(pp_dtype dtype, int64_t M, int64_t K, int64_t N) {
    return pp_dtype_size(dtype) * static_cast<size_t>(2 * M * K + 2 * M * N + N * K);
  }
  static size_t frozen_bytes(pp_dtype dtype, int64_t M, int64_t K, int64_t N) {
    return pp_dtype_size(dtype) * static_cast<size_t>(M * K + M * N + N * K);
  }

  std::vector<Path> frozen(const Ceilings& ceilings) {
    const double predicted = predict(ceilings, costs().frozen());
    return {{"frozen linear forward (cuBLAS)", false, [this] { frozen_forward(false); }, predicted},
            {"frozen linear dX (cuBLAS)", true, [this] { frozen_backward(false); }, predicted}};
  }

  /** Without cuBLAS, the fused paths alone; of these the chosen one, or every one. */
  std::vector<Path> paths(float p, const Ceilings& ceilings, bool every_fused_path) {
    dropout_.p = p;
    const std::string suffix = p > 0 ? ", dropout" : "";
    Costs cost = costs();
    cost.masks = p > 0 ? modules_ : 0;
    const auto run = [this, p](auto calls) {
      return [this, p, calls] {
        const std::vector<pp_lora_module> modules = make_modules(p > 0);
        calls(modules.data());
      };
    };
    std::vector<Path> paths;
    if (cublas_.present()) {
      paths.push_back({"forward, split" + suffix, false, run([this](const pp_lora_module* module) {
                         frozen_forward(false);
                         down(module);
                         up(module, true);
                       }),
                       predict_forward(ceilings, cost, PP_SPLIT)});
      paths.push_back({"forward, ranks first" + suffix, false, run([this](const pp_lora_module* module) {
                         down(module);
                         up(module, false);
                         frozen_forward(true);
                       }),
                       predict_forward_ranks_first(ceilings, cost)});
    }
    for (const FusedVariant& variant : variants(LinearDirection::kForward, every_fused_path))
      paths.push_back({"forward, fused" + variant.name + suffix, false,
                       run([this, forced = variant.forced](const pp_lora_module* module) {
                         const prunepeft::cuda::ForcedLinearPath in_force(forced);
                         check(pp_linear_forward(&context_, linear_, x_, module, modules_, y_));
                       }),
                       predict_forward(ceilings, cost, PP_FUSED, variant.path)});
    if (cublas_.present()) {
      paths.push_back({"backward, split" + suffix, true, run([this](const pp_lora_module* module) {
                         frozen_backward(false);
                         grad_up(module);
                         grad_input(module, true);
                         grad_down(module);
                       }),
                       predict_backward(ceilings, cost, PP_SPLIT)});
      paths.push_back({"backward, ranks first" + suffix, true, run([this](const pp_lora_module* module) {
                         grad_up(module);
                         grad_input(module, false);
                         frozen_backward(true);
                         grad_down(module);
                       }),
                       predict_backward_ranks_first(ceilings, cost)});
    }
    const auto with_da = [this](int forced) {
      return [this, forced](const pp_lora_module* module) {
        const prunepeft::cuda::ForcedLinearPath in_force(forced);
        check(pp_linear_backward(&context_, linear_, dy_, x_, module, modules_, dx_));
      };
    };
    for (const FusedVariant& variant : variants(LinearDirection::kGradInput, every_fused_path)) {
      if (variant.name.empty()) {  // as it is chosen, dA beside dX or after it
        paths.push_back({"backward, fused" + suffix, true, run(with_da(variant.forced)),
                         predict_best_backward(ceilings, cost, PP_FUSED, variant.path)});
        continue;
      }
      if (is_by_warpgroups(variant.path) && variant.path != LinearPath::kClustersWithS)
        paths.push_back({"backward, fused" + variant.name + ", dA beside" + suffix, true, run(with_da(variant.forced)),
                         predict_branched(ceilings, cost, variant.path)});
      paths.push_back({"backward, fused" + variant.name + suffix, true,
                       run([this, forced = variant.forced](const pp_lora_module* module) {
                         const prunepeft::cuda::ForcedLinearPath in_force(forced);
                         check(pp_linear_backward(&context_, linear_, dy_, nullptr, module, modules_, dx_));
                         grad_down(module);
                       }),
                       predict_backward(ceilings, cost, PP_FUSED, variant.path)});
    }
    return paths;
  }

  /** The fused path as it is chosen, each direction as a graph that is launched on the default stream. */
  std::vector<Path> recorded(float p, const Ceilings& ceilings) {
    std::vector<Path> recorded;
    for (const Path& path : paths(p, ceilings, false))
      if (path.name.find(", fused") != std::string::npos) recorded.push_back(as_graph(path, p > 0 ? ", dropout" : ""));
    return recorded;
  }

  /** The frozen linear in the same way, for comparison with these. */
  std::vector<Path> recorded_frozen(const Ceilings& ceilings) {
    std::vector<Path> recorded;
    for (const Path& path : frozen(ceilings)) recorded.push_back(as_graph(path, ""));
    return recorded;
  }

 private:
  /** `suffix` is the end of the path's name. */
  Path as_graph(const Path& path, const std::string& suffix) {
    pp_graph* const graph = record(path);
    graphs_.push_back(graph);
    return {path.name.substr(0, path.name.size() - suffix.size()) + ", as a graph" + suffix, path.backward,
            [graph] { check(pp_graph_launch(&kDevice, graph)); }, path.predicted};
  }

  pp_graph* record(const Path& path) {
    pp_device& device = context_.device;
    pp_graph* graph = nullptr;
    check(pp_stream_create(&kDevice, &device.stream));
    path.run();  // makes room in the workspace
    check(pp_synchronize(&device));
    check(pp_graph_begin(&device));
    path.run();
    check(pp_graph_end(&device, &graph));
    check(pp_stream_destroy(&device));
    device.stream = nullptr;
    return graph;
  }

  int64_t rank_tiles() const { return prunepeft::cuda::tiles_of(r_, prunepeft::cuda::kRankTileRanks); }

  std::vector<pp_lora_module> make_modules(bool drops) {
    const auto part = [](pp_matrix of, int64_t row, int64_t rows, int64_t column, int64_t columns) {
      const int64_t elements = row * of.ld + column;
      of.data = static_cast<char*>(of.data) + elements * static_cast<int64_t>(pp_dtype_size(of.dtype));
      of.rows = rows;
      of.cols = columns;
      return of;
    };
    std::vector<pp_lora_module> modules;
    const int64_t columns = N_ / modules_;
    for (int i = 0; i < modules_; i++)
      modules.push_back({part(a_.view(), i * r_, r_, 0, K_), part(b_.view(), i * columns, columns, 0, r_), i * columns, 0, M_,
                         kScale, kMask + static_cast<uint32_t>(i), drops ? &dropout_ : nullptr,
                         part(s_.view(), 0, M_, i * r_, r_), part(ds_.view(), 0, M_, i * r_, r_),
                         part(da_.view(), i * r_, r_, 0, K_), part(db_.view(), i * columns, columns, 0, r_), nullptr});
    return modules;
  }

  Costs costs() const {
    return {static_cast<double>(M_),
            static_cast<double>(K_),
            static_cast<double>(N_),
            static_cast<double>(modules_ * r_),
            static_cast<double>(pp_dtype_size(dtype_)),
            0,
            device_traits().multiprocessors,
            false,
            modules_,
            static_cast<double>(modules_ * rank_tiles()),
            1,
            static_cast<double>(device_traits().l2_bytes),
            true,
            device_traits().shared_bytes_per_block};
  }
  std::vector<FusedVariant> variants(LinearDirection direction, bool every) const {
    // S of several modules is made inside without dropout, dS of one module.
    const bool inside = modules_ == 1 || (direction == LinearDirection::kForward && dropout_.p == 0);
    auto shape = linear_shape(dtype_, M_, K_, N_, inside ? r_ : 0, direction, dropout_.p > 0);
    shape.rank_tiles *= modules_;
    return fused_variants(shape, every);
  }

  cudaStream_t stream() const { return static_cast<cudaStream_t>(context_.device.stream); }
  void frozen_forward(bool adds) { cublas_.forward(x_.view(), w_.view(), y_.view(), adds, stream()); }
  void frozen_backward(bool adds) { cublas_.backward(dy_.view(), w_.view(), dx_.view(), adds, stream()); }
  void down(const pp_lora_module* module) { check(pp_lora_down(&context_, x_, module, modules_)); }
  void up(const pp_lora_module* module, bool adds) { check(pp_lora_up(&context_, module, modules_, y_, adds)); }
  void grad_up(const pp_lora_module* module) { check(pp_lora_grad_up(&context_, dy_, module, modules_)); }
  void grad_input(const pp_lora_module* module, bool adds) {
    check(pp_lora_grad_input(&context_, module, modules_, dx_, adds));
  }
  void grad_down(const pp_lora_module* module) { check(pp_lora_grad_down(&context_, x_, module, modules_)); }

  static constexpr float kScale = 2, kWeightSize = 0.1f;
  static constexpr uint32_t kMask = 9;
  pp_dtype dtype_;
  int64_t M_, K_, N_, r_;
  int modules_;
  const Cublas& cublas_;
  Matrix x_, dy_, w_, a_, b_, s_, y_, dx_, ds_, da_, db_;
  pp_dropout dropout_{0.1f, 3, 5, 7, nullptr};
  pp_linear* linear_ = nullptr;
  Workspace workspace_;
  pp_context context_;
  std::vector<pp_graph*> graphs_;
};
}  // namespace gpu_check
