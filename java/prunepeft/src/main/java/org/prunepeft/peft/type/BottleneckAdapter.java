package org.prunepeft.peft.type;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.EncoderLayer.AdapterInput;
import org.prunepeft.model.Block;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.LayerAdapter;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.Bottleneck.Input;
import org.prunepeft.peft.BaseWeights;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.PeftModule;
import org.prunepeft.search.Candidate;
import org.prunepeft.torch.AdapterOp;

/**
 * A bottleneck adapter behind a block of the layer: h + s·(σ(v Dᵀ + d) Uᵀ + u), with h the block's
 * output and v as {@link Input} says.
 *
 * <p>Serial adapters on the normalised sum start with D and U of the same spread, as PrunePEFT's
 * authors do; all others start without effect, U = 0. In a regression's final training, and in a
 * supernet that is measured, all do.
 */
final class BottleneckAdapter implements ModuleType {
  final AdapterConfig config;
  private final String name;
  private final Block place;
  private final Input input;

  private BottleneckAdapter(AdapterConfig config, String name, Block place, Input input) {
    this.config = config;
    this.name = name;
    this.place = place;
    this.input = input;
  }

  /** The modules of a layer. */
  static List<ModuleType> of(AdapterConfig config) {
    return switch (config.style()) {
      case PFEIFFER ->
          List.of(
              new BottleneckAdapter(
                  config, Candidate.ADAPTER, Block.FEED_FORWARD, Input.NORMED_SUM));
      case HOULSBY ->
          List.of(
              new BottleneckAdapter(
                  config, Candidate.ADAPTER + ".attention", Block.ATTENTION, Input.OUTPUT),
              new BottleneckAdapter(
                  config, Candidate.ADAPTER + ".output", Block.FEED_FORWARD, Input.OUTPUT));
      case PARALLEL ->
          List.of(
              new BottleneckAdapter(config, Candidate.ADAPTER, Block.FEED_FORWARD, Input.RESIDUAL));
    };
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String kind() {
    return Candidate.ADAPTER;
  }

  @Override
  public List<Parameter> parameters(EncoderConfig encoder, int layer) {
    String path = AdapterConfig.path(encoder, layer, place);
    long hidden = encoder.hidden();
    long bottleneck = config.size(path);
    double deviation = 1 / Math.sqrt(hidden);
    return List.of(
        new Parameter(
            path + ".adapter_down.0.weight", new long[] {bottleneck, hidden}, deviation, false, 0),
        new Parameter(path + ".adapter_down.0.bias", new long[] {bottleneck}, 0, false, 0),
        new Parameter(
            path + ".adapter_up.weight",
            new long[] {hidden, bottleneck},
            input == Input.NORMED_SUM ? deviation : 0,
            true,
            1),
        new Parameter(path + ".adapter_up.bias", new long[] {hidden}, 0));
  }

  /** By ‖D_j‖·‖U_j‖: the units between them know no rotation. */
  @Override
  public void order(EncoderConfig encoder, int layer, List<Tensor> tensors) {
    Tensor down = tensors.get(0);
    Tensor downBias = tensors.get(1);
    Tensor up = tensors.get(2);
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      Tensor effect = down.detach().square().sum(1L).mul(up.detach().square().sum(0L));
      Tensor units = effect.argsort(true, 0, true);
      down.copy_(down.detach().index_select(0, units));
      downBias.copy_(downBias.detach().index_select(0, units));
      up.copy_(up.detach().index_select(1, units));
    }
  }

  @Override
  public PeftModule create(EncoderConfig encoder, int layer, List<Tensor> tensors) {
    AdapterOp.Parameters weights =
        new AdapterOp.Parameters(
            tensors.get(0), tensors.get(1), tensors.get(2), tensors.get(3), config.nonLinearity());
    return new AdapterModule(moduleName(layer), place, input, config.scaling(), weights);
  }

  @Override
  public List<AdapterPart> parts(
      EncoderConfig encoder, int layer, List<SafeTensors.Tensor> tensors, BaseWeights base) {
    return List.of(
        new Bottleneck(
            layer,
            place,
            input,
            config.scaling(),
            config.nonLinearity(),
            tensors.get(0),
            tensors.get(1),
            tensors.get(2),
            tensors.get(3)));
  }

  @Override
  public List<SafeTensors.Tensor> tensors(
      EncoderConfig encoder, int layer, List<AdapterPart> parts, BaseWeights base) {
    for (AdapterPart part : parts) {
      if (part instanceof Bottleneck own && own.layer() == layer && own.place() == place) {
        return List.of(own.down(), own.downBias(), own.up(), own.upBias());
      }
    }
    return List.of();
  }

  private record AdapterModule(
      String name, Block place, Input input, double scaling, AdapterOp.Parameters weights)
      implements PeftModule {
    @Override
    public Tensor afterBlock(
        ForwardPass pass, Block block, Tensor h, Tensor residual, LayerNorm norm) {
      if (block != place) {
        return h;
      }
      Tensor v =
          switch (input) {
            case NORMED_SUM -> norm == null ? h.add(residual) : norm.apply(h.add(residual));
            case OUTPUT -> h;
            case RESIDUAL -> residual;
          };
      return AdapterOp.apply(
          pass.tape(),
          v,
          h,
          scaled(),
          pass.measurement() == null ? null : output -> pass.measure(name, output));
    }

    @Override
    public List<LayerAdapter> adapters() {
      return List.of(new LayerAdapter(place, AdapterInput.valueOf(input.name()), scaled()));
    }

    /** s in U and u: m·K products instead of as many a token. */
    private AdapterOp.Parameters scaled() {
      if (scaling == 1) {
        return weights;
      }
      Scalar s = new Scalar(scaling);
      return new AdapterOp.Parameters(
          weights.down(),
          weights.downBias(),
          weights.up().mul(s),
          weights.upBias().mul(s),
          weights.activation());
    }
  }
}
