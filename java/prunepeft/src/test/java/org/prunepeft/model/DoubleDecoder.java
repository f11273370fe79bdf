package org.prunepeft.model;

import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.RotaryOp;
import org.prunepeft.torch.Torch;

/**
 * A decoder in LibTorch's float64, whose gradients are what those of float32 are measured by. What
 * a model has in float32, its tables of angles and its constants, has the same values here.
 */
public final class DoubleDecoder {
  /** What sits on it; float64. */
  public interface Modules {
    /**
     * {@return y of a projection, [M,N]}
     *
     * @param path its name
     * @param weight W [N,K]
     * @param bias b [N]; null: none
     */
    Tensor linear(String path, Tensor weight, Tensor bias, Tensor x);

    /**
     * {@return what follows a block, before the residual is added}
     *
     * @param h of the block
     * @param input the residual
     */
    Tensor afterBlock(Block block, int layer, Tensor h, Tensor input);
  }

  private final EncoderConfig config;
  private final DecoderConfig shape;
  private final Architecture names;
  private final Map<String, SafeTensors.Tensor> tensors;
  private final Modules modules;

  /**
   * @param tensors without the prefix model.
   */
  public DoubleDecoder(
      EncoderConfig config, Map<String, SafeTensors.Tensor> tensors, Modules modules) {
    this.config = config;
    shape = config.decoder();
    names = config.architecture();
    this.tensors = tensors;
    this.modules = modules;
  }

  /** {@return what the output weight takes, [B·T, hidden]} */
  public Tensor forward(EncoderInput input) {
    Tensor x =
        torch
            .embedding(weight(names.words()), input.ids())
            .view((long) input.rows() * input.length(), config.hidden())
            .mul(constant(shape.embeddingScale()));
    for (int i = 0; i < config.layers(); i++) {
      Tensor attended = attention(i, norm(x, names.norm(i, Block.ATTENTION)), input);
      x = sum(Block.ATTENTION, i, attended, x);
      Tensor normed = norm(x, names.norm(i, Block.FEED_FORWARD));
      Tensor gated =
          active(linear(i, Projection.GATE, normed))
              .mul(linear(i, Projection.INTERMEDIATE, normed));
      x = sum(Block.FEED_FORWARD, i, linear(i, Projection.OUTPUT, gated), x);
    }
    return norm(x, names.finalNorm());
  }

  /** float32's value. */
  private static Scalar constant(double value) {
    return new Scalar((double) (float) value);
  }

  /** Null: there is none. */
  private Tensor weight(String name) {
    SafeTensors.Tensor stored = tensors.get(name);
    return stored == null
        ? null
        : Torch.floats(stored.values(), stored.shape()).to(torch.ScalarType.Double);
  }

  private Tensor sum(Block block, int layer, Tensor h, Tensor x) {
    Tensor normed = shape.postNorms() ? norm(h, names.postNorm(layer, block)) : h;
    return modules.afterBlock(block, layer, normed, x).add(x);
  }

  private Tensor linear(int layer, Projection projection, Tensor x) {
    String path = config.path(layer, projection);
    Tensor own = weight(path + ".weight");
    return modules.linear(
        path, own == null ? ofFused(layer, projection) : own, weight(path + ".bias"), x);
  }

  private Tensor ofFused(int layer, Projection projection) {
    List<Projection> attention = List.of(Projection.QUERY, Projection.KEY, Projection.VALUE);
    List<Projection> all =
        attention.contains(projection)
            ? attention
            : List.of(Projection.GATE, Projection.INTERMEDIATE);
    long first = all.stream().takeWhile(one -> one != projection).mapToLong(config::outputs).sum();
    return weight(names.fusedPath(layer, all.get(0)) + ".weight")
        .narrow(0, first, config.outputs(projection));
  }

  /** Over each run of as many columns as the weight has. */
  private Tensor norm(Tensor x, String path) {
    Tensor factor = weight(path + ".weight");
    Tensor runs = x.reshape(x.size(0), -1, factor.size(0));
    Tensor square = runs.mul(runs).mean(new long[] {-1}, true, new ScalarTypeOptional());
    if (shape.unitOffsetNorms()) {
      factor = factor.add(new Scalar(1.0));
    }
    return runs.mul(square.add(constant(config.layerNormEpsilon())).rsqrt())
        .mul(factor)
        .reshape(x.size(0), x.size(1));
  }

  private Tensor active(Tensor gate) {
    return switch (config.activation()) {
      case SILU -> torch.silu(gate);
      case GELU -> torch.gelu(gate);
      case GELU_TANH -> torch.gelu(gate, "tanh");
      default -> throw new AssertionError(config.activation());
    };
  }

  private Tensor attention(int layer, Tensor x, EncoderInput input) {
    Tensor q = linear(layer, Projection.QUERY, x);
    Tensor k = linear(layer, Projection.KEY, x);
    Tensor v = linear(layer, Projection.VALUE, x);
    if (shape.queryKeyNorms()) {
      q = norm(q, names.headNorm(layer, Projection.QUERY));
      k = norm(k, names.headNorm(layer, Projection.KEY));
    }
    Rope rope = shape.rope(layer);
    if (rope != null) {
      try (RotaryTables tables = new RotaryTables(rope, config.maxTokens(), ComputeDevice.CPU)) {
        RotaryOp.Angles angles = tables.of(input.longest());
        q = rotated(q, angles, input);
        k = rotated(k, angles, input);
      }
    }
    long times = config.heads() / shape.keyValueHeads();
    Tensor scores =
        heads(q, input, 1)
            .matmul(heads(k, input, times).transpose(2, 3))
            .mul(constant(shape.attentionScale()));
    if (shape.attentionCap() != 0) {
      Scalar cap = constant(shape.attentionCap());
      scores = scores.div(cap).tanh().mul(cap);
    }
    Tensor context =
        scores
            .masked_fill(
                sees(input, shape.window(layer)).logical_not(),
                new Scalar(Double.NEGATIVE_INFINITY))
            .softmax(-1)
            .matmul(heads(v, input, times))
            .transpose(1, 2)
            .reshape(x.size(0), (long) config.heads() * shape.headSize());
    return linear(layer, Projection.ATTENTION_OUTPUT, context);
  }

  /** [B, heads, T, d], each as often as it serves. */
  private Tensor heads(Tensor columns, EncoderInput input, long times) {
    return columns
        .reshape(input.rows(), input.length(), -1, shape.headSize())
        .repeat_interleave(times, new LongOptional(2), new LongOptional())
        .transpose(1, 2);
  }

  /** Of each head the first columns, in pairs (j, j + n). */
  private Tensor rotated(Tensor x, RotaryOp.Angles angles, EncoderInput input) {
    long n = angles.cosines().size(1);
    long size = shape.headSize();
    Tensor position = Torch.range(ComputeDevice.CPU, input.length()).repeat(input.rows());
    if (input.starts() != null) {
      position = position.sub(input.starts());
    }
    Tensor cosine =
        angles.cosines().index_select(0, position).unsqueeze(1).to(torch.ScalarType.Double);
    Tensor sine = angles.sines().index_select(0, position).unsqueeze(1).to(torch.ScalarType.Double);
    Tensor heads = x.reshape(x.size(0), -1, size);
    Tensor first = heads.narrow(2, 0, n);
    Tensor second = heads.narrow(2, n, n);
    return torch
        .cat(
            new TensorVector(
                first.mul(cosine).sub(second.mul(sine)),
                second.mul(cosine).add(first.mul(sine)),
                heads.narrow(2, 2 * n, size - 2 * n)),
            2)
        .reshape(x.size(0), x.size(1));
  }

  /** Which keys each query sees, [B or 1, 1, T, T]. */
  private static Tensor sees(EncoderInput input, int window) {
    Tensor key = Torch.range(ComputeDevice.CPU, input.length());
    Tensor query = key.unsqueeze(1);
    Tensor sees = key.le(query).unsqueeze(0);
    if (window > 0) {
      sees = sees.logical_and(key.gt(query.sub(new Scalar(window))));
    }
    if (input.starts() != null) {
      sees = sees.logical_and(key.ge(input.starts().view(input.rows(), input.length(), 1)));
    }
    return sees.unsqueeze(1);
  }
}
