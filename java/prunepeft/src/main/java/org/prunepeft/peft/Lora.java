package org.prunepeft.peft;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Projection;
import org.prunepeft.torch.LoraLinear;

/**
 * The parallel adapter, LoRA (Hu et al. 2022), on some projections of a layer, which together are
 * one module.
 */
public final class Lora implements ModuleType {
  private final LoraConfig config;

  public Lora(LoraConfig config) {
    this.config = config;
  }

  @Override
  public String name() {
    return "lora";
  }

  @Override
  public List<Parameter> parameters(EncoderConfig encoder, int layer) {
    List<Parameter> parameters = new ArrayList<>();
    double deviation = 1 / Math.sqrt(encoder.hidden());
    for (String target : config.targets()) {
      Projection projection = encoder.architecture().projection(target);
      String path = encoder.path(layer, projection);
      parameters.add(
          new Parameter(
              path + ".lora_A.weight",
              new long[] {config.rank(), encoder.inputs(projection)},
              deviation));
      parameters.add(
          new Parameter(
              path + ".lora_B.weight", new long[] {encoder.outputs(projection), config.rank()}, 0));
    }
    return parameters;
  }

  @Override
  public PeftModule create(EncoderConfig encoder, int layer, List<Tensor> tensors) {
    List<Placed> placed = new ArrayList<>();
    for (int i = 0; i < config.targets().size(); i++) {
      Projection projection = encoder.architecture().projection(config.targets().get(i));
      String path = encoder.path(layer, projection);
      placed.add(new Placed(path, tensors.get(2 * i), tensors.get(2 * i + 1)));
    }
    return new Module(placed, (float) config.scale(), (float) config.dropout());
  }

  @Override
  public List<AdapterPart> parts(
      EncoderConfig encoder, int layer, List<SafeTensors.Tensor> tensors) {
    List<AdapterPart> parts = new ArrayList<>();
    for (int i = 0; i < config.targets().size(); i++) {
      parts.add(
          new AdapterPart.LowRank(
              layer,
              encoder.path(layer, encoder.architecture().projection(config.targets().get(i))),
              tensors.get(2 * i),
              tensors.get(2 * i + 1),
              config.alpha(),
              false,
              config.dropout(),
              null));
    }
    return parts;
  }

  private record Placed(String path, Tensor a, Tensor b) {}

  private record Module(List<Placed> placed, float scale, float dropout) implements PeftModule {
    @Override
    public LoraLinear.Branch branch(FrozenLinear.Part part) {
      for (Placed one : placed) {
        if (one.path.equals(part.path())) {
          return new LoraLinear.Branch(one.a, one.b, scale, maskNumber(one.path), part.firstRow());
        }
      }
      return null;
    }
  }

  /** Names the dropout mask of a projection, whichever other modules there are. */
  private static int maskNumber(String path) {
    CRC32 crc = new CRC32();
    crc.update(path.getBytes(StandardCharsets.UTF_8));
    return (int) crc.getValue();
  }
}
