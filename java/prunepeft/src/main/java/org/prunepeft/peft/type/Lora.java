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

/** LoRA (Hu et al. 2022): W + s·B·A. Starts without effect, B = 0. */
final class Lora extends LowRankType {
  Lora(LoraConfig config, String name, List<String> targets) {
    super(config, name, targets);
  }

  @Override
  List<Parameter> parameters(EncoderConfig encoder, Projection projection, String path) {
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
  Update update(String path, List<Tensor> tensors) {
    return new LoraUpdate(path, tensors.get(0), tensors.get(1), (float) config.scale(path));
  }

  @Override
  AdapterPart part(int layer, String path, List<SafeTensors.Tensor> tensors, BaseWeights base) {
    return new AdapterPart.LowRank(
        layer,
        path,
        tensors.get(0),
        tensors.get(1),
        config.alpha(path),
        config.rsLora(),
        config.dropout(),
        null,
        null);
  }

  @Override
  List<SafeTensors.Tensor> tensors(AdapterPart.LowRank part, BaseWeights base) {
    return List.of(part.a(), part.b());
  }

  private record LoraUpdate(String path, Tensor a, Tensor b, float scale) implements Update {
    @Override
    public LoraModule<Tensor> lora(Dropout dropout, long firstRow) {
      return new LoraModule<>(a, b, firstRow, null, scale, dropout);
    }
  }
}
