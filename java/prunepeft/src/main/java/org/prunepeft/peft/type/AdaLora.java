package org.prunepeft.peft.type;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.BaseWeights;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.TrainingHook;
import org.prunepeft.torch.FlatParameters;

/**
 * AdaLoRA (Zhang et al. 2023): W + s·P·Λ·Q, with Q [r,K] in lora_A, the diagonal of Λ [r,1] in
 * lora_E and P [N,r] in lora_B. Starts without effect, Λ = 0. Which singular values are left is
 * {@link RankAllocator}'s to say; the others are 0.
 */
record AdaLora(LoraConfig config, String name, List<String> targets) implements LoraVariant {
  private static final String A = ".lora_A";
  private static final String E = ".lora_E";
  private static final String B = ".lora_B";
  private static final double DEVIATION = 0.02;

  @Override
  public List<Parameter> parameters(EncoderConfig encoder, Projection projection, String path) {
    int rank = config.rank(path);
    return List.of(
        new Parameter(path + A, new long[] {rank, encoder.inputs(projection)}, DEVIATION),
        new Parameter(path + E, new long[] {rank, 1}, 0),
        new Parameter(path + B, new long[] {encoder.outputs(projection), rank}, DEVIATION));
  }

  @Override
  public Update update(Target target, List<Tensor> tensors) {
    return new AdaLoraUpdate(
        target.path(),
        tensors.get(0),
        tensors.get(1),
        tensors.get(2),
        (float) config.scale(target.path()));
  }

  @Override
  public AdapterPart part(
      int layer, Target target, List<SafeTensors.Tensor> tensors, BaseWeights base) {
    return new AdapterPart.LowRank(
        layer,
        target.path(),
        tensors.get(0),
        tensors.get(2),
        config.alpha(target.path()),
        false,
        config.dropout(),
        null,
        new AdapterPart.SingularValues(tensors.get(1), config.adaLora()));
  }

  @Override
  public List<SafeTensors.Tensor> tensors(AdapterPart.LowRank part, BaseWeights base) {
    return List.of(part.a(), part.singular().values(), part.b());
  }

  @Override
  public TrainingHook trainingHook(FlatParameters parameters, int steps, boolean judged) {
    List<Triplet> triplets = new ArrayList<>();
    for (String name : parameters.names()) {
      if (name.endsWith(E)) {
        String path = name.substring(0, name.length() - E.length());
        triplets.add(new Triplet(path + A, name, path + B));
      }
    }
    return new AdaLoraTraining(parameters, triplets, config.adaLora(), steps, judged);
  }

  /**
   * The tensors of an update, by name.
   *
   * @param q Q [r,K]
   * @param lambda the diagonal of Λ, [r,1]
   * @param p P [N,r]
   */
  record Triplet(String q, String lambda, String p) {}

  private record AdaLoraUpdate(String path, Tensor q, Tensor lambda, Tensor p, float scale)
      implements Update {
    @Override
    public LoraModule<Tensor> lora(Dropout dropout, long firstRow) {
      return new LoraModule<>(q.mul(lambda), p, firstRow, null, scale, dropout);
    }
  }
}
