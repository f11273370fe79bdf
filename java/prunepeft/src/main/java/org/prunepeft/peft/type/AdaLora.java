package org.prunepeft.peft.type;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.BaseWeights;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.torch.LoraLinear;

/**
 * AdaLoRA (Zhang et al. 2023): W + s·P·Λ·Q, with Q [r,K] in lora_A, the diagonal of Λ [r,1] in
 * lora_E and P [N,r] in lora_B. Starts without effect, Λ = 0. Which singular values are left is
 * {@link org.prunepeft.train.loop.RankAllocator}'s to say; the others are 0.
 */
public final class AdaLora extends LowRankType {
  public static final String A = ".lora_A";
  public static final String E = ".lora_E";
  public static final String B = ".lora_B";
  private static final double DEVIATION = 0.02;

  AdaLora(LoraConfig config, String name, List<String> targets) {
    super(config, name, targets);
  }

  @Override
  List<Parameter> parameters(EncoderConfig encoder, Projection projection, String path) {
    int rank = config.rank(path);
    return List.of(
        new Parameter(path + A, new long[] {rank, encoder.inputs(projection)}, DEVIATION),
        new Parameter(path + E, new long[] {rank, 1}, 0),
        new Parameter(path + B, new long[] {encoder.outputs(projection), rank}, DEVIATION));
  }

  @Override
  Update update(String path, List<Tensor> tensors) {
    return new Placed(
        path,
        tensors.get(0),
        tensors.get(1),
        tensors.get(2),
        (float) config.scale(path),
        maskNumber(path));
  }

  @Override
  AdapterPart part(int layer, String path, List<SafeTensors.Tensor> tensors, BaseWeights base) {
    return new AdapterPart.LowRank(
        layer,
        path,
        tensors.get(0),
        tensors.get(2),
        config.alpha(path),
        false,
        config.dropout(),
        null,
        new AdapterPart.SingularValues(tensors.get(1), config.adaLora()));
  }

  @Override
  List<SafeTensors.Tensor> tensors(AdapterPart.LowRank part, BaseWeights base) {
    return List.of(part.a(), part.singular().values(), part.b());
  }

  /**
   * How far updates are from orthogonal, as PEFT measures it: the mean of ‖Q·Qᵀ − I‖ and ‖Pᵀ·P − I‖
   * over all of them, Frobenius norms. Part of the autograd graph.
   *
   * @param q Q of each
   * @param p P of each
   */
  public static Tensor penalty(List<Tensor> q, List<Tensor> p) {
    Tensor sum = null;
    for (int i = 0; i < q.size(); i++) {
      Tensor both =
          distance(q.get(i).matmul(q.get(i).t())).add(distance(p.get(i).t().matmul(p.get(i))));
      sum = sum == null ? both : sum.add(both);
    }
    return sum.div(new Scalar(2.0 * q.size()));
  }

  /** ‖G − I‖. */
  private static Tensor distance(Tensor gram) {
    return gram.sub(torch.eye(gram.size(0), gram.options())).norm();
  }

  private record Placed(String path, Tensor q, Tensor lambda, Tensor p, float scale, int mask)
      implements Update {
    @Override
    public LoraLinear.Branch branch(long firstRow) {
      return new LoraLinear.Branch(q.mul(lambda), p, scale, mask, firstRow);
    }
  }
}
