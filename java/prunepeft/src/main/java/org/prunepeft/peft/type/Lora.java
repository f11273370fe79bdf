package org.prunepeft.peft.type;

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
import org.prunepeft.search.Candidate;

/** LoRA (Hu et al. 2022): W + s·B·A. Starts without effect, B = 0. */
record Lora(LoraConfig config, String name, List<String> targets) implements LowRankType {
  @Override
  public String kind() {
    return Candidate.LORA;
  }

  @Override
  public double dropout() {
    return config.dropout();
  }

  @Override
  public List<Parameter> parameters(EncoderConfig encoder, Projection projection, String path) {
    return parameters(config, encoder, projection, path);
  }

  /** A [r,K] and B [N,r]. */
  static List<Parameter> parameters(
      LoraConfig config, EncoderConfig encoder, Projection projection, String path) {
    int rank = config.rank(path);
    return List.of(
        new Parameter(
            path + ".lora_A.weight",
            new long[] {rank, encoder.inputs(projection)},
            1 / Math.sqrt(encoder.hidden())),
        new Parameter(path + ".lora_B.weight", new long[] {encoder.outputs(projection), rank}, 0));
  }

  @Override
  public Update update(Target target, List<Tensor> tensors) {
    return new LoraUpdate(
        target.path(), tensors.get(0), tensors.get(1), (float) config.scale(target.path()));
  }

  @Override
  public AdapterPart part(
      int layer, Target target, List<SafeTensors.Tensor> tensors, BaseWeights base) {
    return new AdapterPart.LowRank(
        layer,
        target.path(),
        tensors.get(0),
        tensors.get(1),
        config.alpha(target.path()),
        config.rsLora(),
        config.dropout(),
        null,
        null);
  }

  @Override
  public List<SafeTensors.Tensor> tensors(AdapterPart.LowRank part, BaseWeights base) {
    return List.of(part.a(), part.b());
  }

  private record LoraUpdate(String path, Tensor a, Tensor b, float scale) implements Update {
    @Override
    public LoraModule<Tensor> lora(Dropout dropout, long firstRow) {
      return new LoraModule<>(a, b, firstRow, null, scale, dropout);
    }
  }
}
