package org.prunepeft.benchmarks;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.model.Block;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.torch.FlatParameters;

/**
 * The same modules as PEFT and AdapterHub write them: LibTorch's operations, recorded one by one,
 * and a tensor of its own for each weight. Where a projection of a stacked linear has a LoRA
 * module, all of its projections are computed apart, as they are in Hugging Face's models, and
 * joined: one copy of [M, 3·hidden] more than there.
 */
final class EagerModules implements Insertions {
  private final LoraConfig lora;
  private final Map<String, Tensor> weights = new LinkedHashMap<>();
  private boolean training;

  /**
   * Copies the weights; LoRA modules have the configuration given. The tensors belong to the
   * PointerScope that is open.
   */
  EagerModules(PeftModules modules, LoraConfig lora) {
    this.lora = lora;
    for (Candidate candidate : modules.candidates()) {
      FlatParameters group = modules.groups().get(candidate.type());
      for (String name : modules.parameterNames(candidate)) {
        weights.put(name, group.get(name).detach().clone().set_requires_grad(true));
      }
    }
  }

  void training(boolean on) {
    training = on;
  }

  Map<String, Tensor> weights() {
    return weights;
  }

  @Override
  public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
    if (linear.parts().stream().noneMatch(part -> hasLora(part.path()))) {
      return y;
    }
    List<Tensor> projections = new ArrayList<>();
    for (FrozenLinear.Part part : linear.parts()) {
      projections.add(projection(part, x, y.narrow(1, part.firstRow(), part.rows())));
    }
    return projections.size() == 1
        ? projections.get(0)
        : torch.cat(new TensorVector(projections.toArray(Tensor[]::new)), 1);
  }

  private boolean hasLora(String path) {
    return weights.containsKey(path + ".lora_A.weight");
  }

  private Tensor projection(FrozenLinear.Part part, Tensor x, Tensor y) {
    if (!hasLora(part.path())) {
      return y;
    }
    Tensor dropped = training ? torch.dropout(x, lora.dropout(), true) : x;
    Tensor s = torch.linear(dropped, weights.get(part.path() + ".lora_A.weight"));
    Tensor delta = torch.linear(s, weights.get(part.path() + ".lora_B.weight"));
    return y.add(delta.mul(new Scalar(lora.alpha() / lora.rank())));
  }

  @Override
  public Tensor afterBlock(Block block, int layer, Tensor h, Tensor input, LayerNorm norm) {
    String path = "encoder.layer." + layer + ".output.adapter.";
    Tensor down = weights.get(path + "adapter_down.0.weight");
    if (block != Block.FEED_FORWARD || down == null) {
      return h;
    }
    Tensor v = norm.apply(h.add(input));
    Tensor z = torch.linear(v, down, new TensorOptional(weights.get(path + "adapter_down.0.bias")));
    return h.add(
        torch.linear(
            z.relu(),
            weights.get(path + "adapter_up.weight"),
            new TensorOptional(weights.get(path + "adapter_up.bias"))));
  }
}
