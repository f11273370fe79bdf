package org.prunepeft.peft.type;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.BaseWeights;
import org.prunepeft.peft.LoraConfig;

/** LoRA (Hu et al. 2022): W + s·B·A. Starts without effect, B = 0. */
record Lora(LoraConfig config, String name, List<String> targets) implements LoraVariant {
  @Override
  public List<Parameter> parameters(EncoderConfig encoder, Projection projection, String path) {
    return parameters(config, encoder, projection, path);
  }

  /** A [r,K], which begins with N(0, 1/√K) whatever the rank, and B [N,r] with 0. */
  static List<Parameter> parameters(
      LoraConfig config, EncoderConfig encoder, Projection projection, String path) {
    int rank = config.rank(path);
    long inputs = encoder.inputs(projection);
    return List.of(
        new Parameter(
            path + ".lora_A.weight", new long[] {rank, inputs}, 1 / Math.sqrt(inputs), false, 0),
        new Parameter(
            path + ".lora_B.weight", new long[] {encoder.outputs(projection), rank}, 0, false, 1));
  }

  @Override
  public void order(List<Tensor> tensors) {
    order(tensors.get(0), tensors.get(1));
  }

  /**
   * Gives A orthonormal rows and B orthogonal columns, the longest first, by the singular value
   * decomposition of their product: the first ranks are then the best approximation of it.
   *
   * @param a [r,K]; changed
   * @param b [N,r]; changed
   */
  static void order(Tensor a, Tensor b) {
    if (a.size(0) > Math.min(a.size(1), b.size(0))) {
      return;
    }
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      T_TensorTensor_T inputs = torch.linalg_qr(a.detach().t());
      T_TensorTensor_T outputs = torch.linalg_qr(b.detach());
      T_TensorTensorTensor_T inner = torch.linalg_svd(outputs.get1().matmul(inputs.get1().t()));
      b.copy_(outputs.get0().matmul(inner.get0()).mul(inner.get1()));
      a.copy_(inner.get2().matmul(inputs.get0().t()));
    }
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
