#include "prunepeft/encoder.h"

#include "refusals.h"

namespace {

constexpr pp_dtype kTypes[] = {PP_FLOAT32, PP_BFLOAT16};

/** ‖a − b‖ / ‖b‖ */
double distance(const Matrix& a, const Matrix& b) {
  double squares = 0.0, size = 0.0;
  for (int64_t i = 0; i < a.rows(); ++i) {
    for (int64_t j = 0; j < a.columns(); ++j) {
      const double difference = static_cast<double>(a(i, j)) - static_cast<double>(b(i, j));
      squares += difference * difference;
      size += static_cast<double>(b(i, j)) * static_cast<double>(b(i, j));
    }
  }
  return squares == 0.0 ? 0.0 : std::sqrt(squares / size);
}

struct Norm {
  Matrix weight, bias;
  float epsilon;
  explicit Norm(int64_t K) : weight(Matrix::random(1, K)), bias(Matrix::random(1, K)), epsilon(1e-5f) {}
  pp_layer_norm view() const { return {weight.view(), bias.view(), epsilon}; }
};

/** A linear of the layer with modules on all rows. */
struct LayerLinear {
  struct Module {
    Matrix a, b, s;
  };

  Matrix w, bias;
  std::vector<Module> modules;
  std::vector<pp_lora_module> table;
  pp_linear* linear = nullptr;

  LayerLinear(pp_dtype dtype, int64_t M, int64_t N, int64_t K)
      : w(Matrix::random(N, K, dtype)), bias(Matrix::random(1, N, dtype)), modules(check::pick(0, 3)) {
    const pp_matrix w_view = w.view(), bias_view = bias.view();
    CHECK_EQUAL(pp_linear_create(Context(), &w_view, check::pick(0, 3) > 0 ? &bias_view : nullptr, &linear), PP_OK);
    for (Module& module : modules) {
      const int64_t rank = pick_rank() % 40 + 1, first = check::pick(0, N - 1), columns = check::pick(1, N - first);
      module = {Matrix::random(rank, K), Matrix::random(columns, rank), Matrix::empty(M, rank)};
      pp_lora_module view{};
      view.a = module.a.view();
      view.b = module.b.view();
      view.s = module.s.view();
      view.first_column = first;
      view.rows = M;
      view.scale = static_cast<float>(check::pick(1, 64)) / 32;
      table.push_back(view);
    }
  }
  ~LayerLinear() { CHECK_EQUAL(pp_linear_destroy(linear), PP_OK); }
  LayerLinear(const LayerLinear&) = delete;

  /** Without S, which a layer does not look at. */
  pp_layer_linear view() {
    given_ = table;
    for (pp_lora_module& module : given_) module.s = {};
    return {linear, given_.data(), static_cast<int32_t>(given_.size())};
  }
  void forward(const Matrix& from, const Matrix& to) const {
    const pp_matrix x = from.view(), y = to.view();
    CHECK_EQUAL(pp_linear_forward(Context(), linear, &x, table.data(), static_cast<int32_t>(table.size()), &y), PP_OK);
  }

 private:
  std::vector<pp_lora_module> given_;
};

struct LayerAdapter {
  Matrix down, down_bias, up, up_bias, z;
  pp_activation activation;
  pp_adapter_input input;

  LayerAdapter(int64_t M, int64_t K) : LayerAdapter(M, K, check::pick(1, 70)) {}
  LayerAdapter(int64_t M, int64_t K, int64_t m)
      : down(Matrix::random(m, K)),
        down_bias(Matrix::random(1, m)),
        up(Matrix::random(K, m)),
        up_bias(Matrix::random(1, K)),
        z(Matrix::empty(M, m)),
        activation(static_cast<pp_activation>(check::pick(0, 3))),
        input(static_cast<pp_adapter_input>(check::pick(0, 2))) {}
  pp_adapter view() const { return {down.view(), down_bias.view(), up.view(), up_bias.view(), activation}; }
};

/** The end of a block. */
struct Block {
  LayerLinear linear;
  Norm norm;
  std::vector<LayerAdapter> adapters;
  std::vector<pp_layer_adapter> table;

  Block(pp_dtype dtype, int64_t M, int64_t N, int64_t K) : linear(dtype, M, N, K), norm(N) {
    for (int64_t n = check::pick(0, 2); n > 0; --n) adapters.emplace_back(M, N);
    for (const LayerAdapter& adapter : adapters) table.push_back({adapter.view(), adapter.input});
  }
  pp_layer_block view() { return {linear.view(), table.data(), static_cast<int32_t>(table.size()), norm.view()}; }

  void add_norm(const Matrix& h, const Matrix& residual, const Matrix& to) const {
    const pp_layer_norm own = norm.view();
    const pp_matrix x = h.view(), added = residual.view(), y = to.view();
    CHECK_EQUAL(pp_layer_norm_forward(Context(), &own, &x, &added, &y), PP_OK);
  }
  /** By calls for each step. */
  void end(const Matrix& from, const Matrix& residual, const Matrix& to) const {
    Matrix h = Matrix::empty(residual.rows(), residual.columns(), residual.dtype());
    linear.forward(from, h);
    for (const LayerAdapter& adapter : adapters) {
      Matrix v = h, out = Matrix::empty(h.rows(), h.columns(), h.dtype());
      if (adapter.input == PP_NORMED_SUM) add_norm(h, residual, v);
      if (adapter.input == PP_RESIDUAL) v = residual;
      const pp_adapter weights = adapter.view();
      const pp_matrix v_view = v.view(), h_view = h.view(), z_view = adapter.z.view(), out_view = out.view();
      CHECK_EQUAL(pp_adapter_forward(Context(), &v_view, &h_view, &weights, &z_view, &out_view), PP_OK);
      h = out;
    }
    add_norm(h, residual, to);
  }
};

struct Layer {
  pp_dtype dtype;
  int64_t B, T, heads, d, M, K, I;
  LayerLinear qkv, intermediate;
  Block attention_block, feed_forward_block;
  std::vector<uint8_t> mask;
  bool masks;
  pp_activation activation;

  Layer(pp_dtype dtype, int64_t B, int64_t T, int64_t heads, int64_t d, int64_t K, int64_t I)
      : dtype(dtype),
        B(B),
        T(T),
        heads(heads),
        d(d),
        M(B * T),
        K(K),
        I(I),
        qkv(dtype, M, 3 * heads * d, K),
        intermediate(dtype, M, I, K),
        attention_block(dtype, M, K, heads * d),
        feed_forward_block(dtype, M, K, I),
        mask(M, 1),
        masks(check::pick(0, 1) == 0),
        activation(static_cast<pp_activation>(check::pick(0, 3))) {
    for (int64_t i = 0; i < M; ++i) mask[i] = i % T == 0 || check::pick(0, 4) > 0;
  }

  pp_attention attention() const {
    return {B,       T, heads, d, static_cast<float>(1 / std::sqrt(static_cast<double>(d))), masks ? mask.data() : nullptr, 0,
            nullptr, 0, 0.0f,  0};
  }
  pp_encoder_layer view() {
    return {attention(), qkv.view(), attention_block.view(), intermediate.view(), activation, feed_forward_block.view()};
  }

  Matrix rows_of(int64_t columns) const { return Matrix::empty(M, columns, dtype); }
  /** By calls for each step, but for the activation, which is in float64. */
  Matrix step_by_step(const Matrix& x) const {
    const Matrix projected = rows_of(3 * heads * d), values = rows_of(heads * d), log_sums(B * heads, T, T, 0), n = rows_of(K),
                 y = rows_of(K);
    Matrix inner = rows_of(I);
    qkv.forward(x, projected);
    const pp_attention extents = attention();
    const pp_matrix projected_view = projected.view(), values_view = values.view();
    float* sums = static_cast<float*>(log_sums.view().data);
    CHECK_EQUAL(pp_attention_forward(Context(), &extents, &projected_view, &values_view, sums), PP_OK);
    attention_block.end(values, x, n);
    intermediate.forward(n, inner);
    for (int64_t i = 0; i < M; ++i) {
      for (int64_t j = 0; j < I; ++j) inner.set(i, j, static_cast<float>(activate(activation, inner(i, j))));
    }
    feed_forward_block.end(inner, n, y);
    return y;
  }
};

}  // namespace

TEST(layer_norm_of_a_residual_sum) {
  using rounding::gamma;
  using rounding::kFloat32;
  for (const pp_dtype dtype : kTypes) {
    for (int n = 0; n < 16; ++n) {
      if (!check::drawn_case()) continue;
      const int64_t M = check::pick(1, 20), K = pick_size();
      const float offset = dtype == PP_FLOAT32 ? check::pick(std::vector<float>{0.0f, 0.0f, 1.0f, 100.0f}) : 0.0f;
      Matrix x = Matrix::random(M, K, dtype);
      const Matrix residual = Matrix::random(M, K, dtype);
      for (int64_t i = 0; i < M; ++i) {
        for (int64_t j = 0; j < K; ++j) x.set(i, j, x(i, j) + offset);
      }
      Norm norm(K);
      norm.epsilon = 0.1f;  // so that rows of one element, whose variance is 0, keep their accuracy
      const pp_layer_norm own = norm.view();
      for (const Matrix* added : {static_cast<const Matrix*>(nullptr), &residual}) {
        Reference y(M, K);
        const auto width = static_cast<double>(K);
        for (int64_t i = 0; i < M; ++i) {
          const auto at = [&](int64_t j) {
            return static_cast<double>(x(i, j)) + (added == nullptr ? 0.0 : static_cast<double>(residual(i, j)));
          };
          // In four vectors of 4 elements or more, which are joined: 2 and 8 additions, or 2 and 4 of 16 elements.
          const double additions = width / 16 + 11, of_sum = added == nullptr ? 0.0 : gamma(1, kFloat32);
          Sum all, squares;
          for (int64_t j = 0; j < K; ++j) all.add(1.0, Sum::off(at(j), of_sum * std::fabs(at(j))));
          all = all.in_lanes(additions);
          const double mean = all / width, of_mean = all.error() / width + gamma(1, kFloat32) * std::fabs(mean);
          const auto apart = [&](int64_t j) {
            Sum difference;
            difference.add(1.0, Sum::off(at(j), of_sum * std::fabs(at(j))));
            difference.add(-1.0, Sum::off(mean, of_mean));
            return difference;
          };
          for (int64_t j = 0; j < K; ++j) squares.add(1.0, Sum::product(apart(j), apart(j)));
          squares = squares.in_lanes(additions);
          // 1 / √q of a q that is off by a part p is off by 1 / √(1 − p) − 1, and three roundings more (decoder_reference.h).
          const double q = squares / width + static_cast<double>(norm.epsilon), scale = 1.0 / std::sqrt(q);
          const double of_scale = (1.0 + gamma(3, kFloat32)) / std::sqrt(1.0 - squares.error() / (width * q)) - 1.0;
          for (int64_t j = 0; j < K; ++j) {
            Sum sum;
            sum.add(norm.weight(0, j), Sum::product(apart(j), Sum::off(scale, scale * of_scale)));
            sum += norm.bias(0, j);
            y(i, j) = sum.stored(dtype);
          }
        }
        on_all_settings("layer norm of " + std::to_string(M) + " x " + std::to_string(K), [&] {
          Matrix out = Matrix::empty(M, K, dtype), in_place = x, in_residual = residual;
          const pp_matrix from = x.view(), to = out.view(), own_x = in_place.view(), own_residual = in_residual.view();
          const pp_matrix given = residual.view();
          const pp_matrix* const second = added == nullptr ? nullptr : &given;
          CHECK_EQUAL(pp_layer_norm_forward(Context(), &own, &from, second, &to), PP_OK);
          CHECK_EQUAL(pp_layer_norm_forward(Context(), &own, &own_x, second, &own_x), PP_OK);
          CHECK_ELEMENTS(out, y);
          CHECK(out.padding_intact() && in_place.padding_intact());
          CHECK(dense({out}) == dense({in_place}));
          if (added != nullptr) {
            CHECK_EQUAL(pp_layer_norm_forward(Context(), &own, &from, &own_residual, &own_residual), PP_OK);
            CHECK(dense({out}) == dense({in_residual}) && in_residual.padding_intact());
          }
          return dense({out});
        });
      }
    }
  }
}

TEST(layer_norm_hands_on_nan_and_infinity) {
  const Norm norm(9);
  for (const float bad : {NAN, INFINITY}) {
    Matrix x = Matrix::random(3, 9);
    x.set(1, 8, bad);
    const pp_layer_norm own = norm.view();
    const pp_matrix view = x.view();
    CHECK_EQUAL(pp_layer_norm_forward(Context(), &own, &view, nullptr, &view), PP_OK);
    for (int64_t j = 0; j < 9; ++j) CHECK(std::isnan(x(1, j)) && std::isfinite(x(0, j)) && std::isfinite(x(2, j)));
  }
}

TEST(a_layer_computes_what_its_steps_do) {
  for (const pp_dtype dtype : kTypes) {
    for (int n = 0; n < 12; ++n) {
      if (!check::drawn_case()) continue;
      const int64_t B = check::pick(1, 3), T = check::pick(1, 20), heads = check::pick(1, 4), d = check::pick(1, 33);
      Layer layer(dtype, B, T, heads, d, pick_size() % 200 + 1, pick_size());
      const Matrix x = Matrix::random(layer.M, layer.K, dtype);
      // Of the activation alone the steps have other bits, of which those behind it may make one more.
      const bool exact = layer.activation == PP_IDENTITY || layer.activation == PP_RELU;
      on_all_settings("layer of " + std::to_string(layer.M) + " x " + std::to_string(layer.K), [&] {
        const Matrix expected = layer.step_by_step(x);
        Matrix y = Matrix::empty(layer.M, layer.K, dtype), in_place = x;
        const pp_encoder_layer view = layer.view();
        const pp_matrix from = x.view(), to = y.view(), own = in_place.view();
        CHECK_EQUAL(pp_encoder_layer_forward(Context(), &view, &from, &to), PP_OK);
        CHECK_EQUAL(pp_encoder_layer_forward(Context(), &view, &own, &own), PP_OK);
        if (exact) {
          CHECK(dense({y}) == dense({expected}));
        } else {
          // How far that takes what comes behind is not derived.
          CHECK_AT_MOST(distance(y, expected), dtype == PP_FLOAT32 ? 2e-6 : 1e-2);
        }
        CHECK(y.padding_intact() && in_place.padding_intact());
        CHECK(dense({y}) == dense({in_place}));
        return dense({y});
      });
    }
  }
}

namespace {

/** A layer of 2 sequences of 3 tokens, whose arguments a test spoils. */
struct Calls : CallsInContext {
  static constexpr int64_t M = 6, K = 8, I = 10;
  Matrix x_matrix = Matrix::random(M, K), y_matrix{M, K, K, 0};
  LayerLinear qkv{PP_FLOAT32, M, 3 * K, K}, out{PP_FLOAT32, M, K, K}, inner{PP_FLOAT32, M, I, K}, output{PP_FLOAT32, M, K, I};
  Norm norm{K};
  LayerAdapter adapter{M, K, 3};
  Matrix a = Matrix::random(2, K), b = Matrix::random(K, 2);
  pp_lora_module module{};
  pp_layer_adapter given{adapter.view(), PP_OUTPUT};
  pp_matrix x = x_matrix.view(), y = y_matrix.view();
  pp_layer_norm weights = norm.view();
  pp_encoder_layer layer{};
  const pp_layer_norm* norm_given = &weights;
  const pp_encoder_layer* layer_given = &layer;

  Calls() {
    module.a = a.view();
    module.b = b.view();
    module.rows = M;
    module.scale = 1.0f;
    const auto block = [&](const pp_linear* linear) { return pp_layer_block{{linear, nullptr, 0}, &given, 1, norm.view()}; };
    layer = {{2, 3, 2, 4, 0.5f, nullptr, 0, nullptr, 0, 0.0f, 0},
             {qkv.linear, &module, 1},
             block(out.linear),
             {inner.linear, nullptr, 0},
             PP_GELU,
             block(output.linear)};
  }

  pp_status normalise() { return pp_layer_norm_forward(&context, norm_given, &x, nullptr, &y); }
  pp_status compute() { return pp_encoder_layer_forward(&context, layer_given, &x, &y); }
  std::vector<Matrix> outputs() const { return {y_matrix}; }
};

using Call = pp_status (Calls::*)();

}  // namespace

TEST(bad_arguments_are_named_and_nothing_is_written) {
  const std::vector<Call> norm{&Calls::normalise}, layer{&Calls::compute}, all{&Calls::normalise, &Calls::compute};
  for (const Call call : all) {
    Calls good;
    CHECK_EQUAL((good.*call)(), PP_OK);
    Calls empty;
    empty.x.rows = empty.y.rows = empty.module.rows = empty.layer.attention.sequences = 0;
    const std::vector<Matrix> before = empty.outputs();
    CHECK_EQUAL((empty.*call)(), PP_OK);
    CHECK(empty.outputs() == before);
  }
  check_refused<Calls>({
      {all, [](Calls& c) { c.x.data = nullptr; }, "x.data must not be null"},
      {all, [](Calls& c) { c.y.cols = 7; }, "y must be float32 [6, 8], got float32 [6, 7]"},
      {all, [](Calls& c) { c.y.data = c.x.data, c.y.ld = c.x.ld + 1; }, "y.ld must be x.ld"},
      {all, [](Calls& c) { c.context.device.type = static_cast<pp_device_type>(5); }, "device->type must be 0"},
      {all,
       [](Calls& c) {
         c.context.device.type = PP_CUDA;
         for (pp_matrix* matrix : {&c.x, &c.y, &c.weights.weight, &c.weights.bias}) align(*matrix);
       },
       "CUDA", PP_UNSUPPORTED},
      {all, [](Calls& c) { c.x.dtype = c.y.dtype = PP_FLOAT16; }, "float16", PP_UNSUPPORTED},
      {norm, [](Calls& c) { c.norm_given = nullptr; }, "norm must not be null"},
      {norm, [](Calls& c) { c.weights.epsilon = 0.0f; }, "norm->epsilon must be above 0, got 0"},
      {norm, [](Calls& c) { c.weights.epsilon = NAN; }, "norm->epsilon must be above 0, got nan"},
      {norm, [](Calls& c) { c.weights.weight.cols = 3; }, "norm->weight must be float32 [1, 8], got float32 [1, 3]"},
      {norm, [](Calls& c) { c.weights.bias.dtype = PP_BFLOAT16; }, "norm->bias must be float32 [1, 8], got bfloat16"},
      {layer, [](Calls& c) { c.layer_given = nullptr; }, "layer must not be null"},
      {layer, [](Calls& c) { c.layer.attention.tokens = 4; }, "x must be float32 [8, 8], got float32 [6, 8]"},
      {layer, [](Calls& c) { c.layer.attention.heads = 0; }, "attention->heads must be at least 1, got 0"},
      {layer, [](Calls& c) { c.layer.activation = static_cast<pp_activation>(9); }, "layer->activation"},
      {layer, [](Calls& c) { c.layer.qkv.linear = nullptr; }, "layer->qkv.linear must not be null"},
      {layer, [](Calls& c) { c.layer.qkv.linear = c.inner.linear; }, "layer->qkv.linear must be float32 [24, 8]"},
      {layer, [](Calls& c) { c.layer.attention_block.linear.linear = c.inner.linear; },
       "layer->attention_block.linear must be float32 [8, 8]"},
      {layer, [](Calls& c) { c.layer.intermediate.linear = c.output.linear; },
       "layer->intermediate.linear must be float32 [-1, 8]"},
      {layer, [](Calls& c) { c.layer.feed_forward_block.linear.linear = c.out.linear; },
       "layer->feed_forward_block.linear must be float32 [8, 10]"},
      {layer, [](Calls& c) { c.layer.qkv.module_count = 17; }, "module_count must be at most 16, got 17"},
      {layer, [](Calls& c) { c.layer.qkv.modules = nullptr; }, "modules must not be null"},
      {layer, [](Calls& c) { c.module.rows = 5; }, "modules[0] must be on all 6 rows without dropout, got rows 0+5"},
      {layer, [](Calls& c) { c.module.a.cols = 7; }, "modules[0].a must be float32 [2, 8], got float32 [2, 7]"},
      {layer, [](Calls& c) { c.module.a.rows = 0; }, "modules->a.rows must be at least 1, got 0"},
      {layer, [](Calls& c) { c.module.a.rows = INT64_MAX; }, "modules->a.rows must be at most"},
      {layer, [](Calls& c) { c.module.a.rows = int64_t{1} << 50; }, "more bytes than memory"},
      {layer, [](Calls& c) { c.module.first_column = 20; }, "modules[0].first_column must be at most 16, got 20"},
      {layer, [](Calls& c) { c.given.input = static_cast<pp_adapter_input>(3); }, "adapters[0].input must be 0, 1 or 2, got 3"},
      {layer, [](Calls& c) { c.given.adapter.up.rows = 7; }, "adapter->up must be float32 [8, 3], got float32 [7, 3]"},
      {layer, [](Calls& c) { c.layer.attention_block.adapters = nullptr; }, "adapters must not be null"},
      {layer, [](Calls& c) { c.layer.feed_forward_block.norm.epsilon = -1.0f; }, "norm->epsilon must be above 0, got -1"},
      {layer, [](Calls& c) { c.context.workspace = nullptr; }, "context->workspace must not be null"},
  });
}
