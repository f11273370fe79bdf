package org.prunepeft.peft;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.torch.SerialAdapterOp;

/** The serial bottleneck adapter after the feed-forward block (Pfeiffer et al. 2021). */
public final class SerialAdapter implements ModuleType {
  private final AdapterConfig config;

  public SerialAdapter(AdapterConfig config) {
    this.config = config;
  }

  @Override
  public String name() {
    return "adapter";
  }

  @Override
  public List<Parameter> parameters(EncoderConfig encoder, int layer) {
    String path = encoder.architecture().layerPath(layer) + ".output.adapter.";
    long hidden = encoder.hidden();
    long bottleneck = config.bottleneck();
    double deviation = 1 / Math.sqrt(hidden);
    return List.of(
        new Parameter(path + "adapter_down.0.weight", new long[] {bottleneck, hidden}, deviation),
        new Parameter(path + "adapter_down.0.bias", new long[] {bottleneck}, 0),
        new Parameter(path + "adapter_up.weight", new long[] {hidden, bottleneck}, deviation),
        new Parameter(path + "adapter_up.bias", new long[] {hidden}, 0));
  }

  @Override
  public PeftModule create(EncoderConfig encoder, int layer, List<Tensor> tensors) {
    SerialAdapterOp.Weights weights =
        new SerialAdapterOp.Weights(
            tensors.get(0), tensors.get(1), tensors.get(2), tensors.get(3), config.nonLinearity());
    return new Module(PeftModules.candidateName(name(), layer), weights);
  }

  @Override
  public List<AdapterPart> parts(
      EncoderConfig encoder, int layer, List<SafeTensors.Tensor> tensors) {
    return List.of(
        new AdapterPart.Bottleneck(
            layer,
            AdapterPart.Place.FEED_FORWARD,
            AdapterPart.Bottleneck.Input.NORMED_SUM,
            1,
            config.nonLinearity(),
            tensors.get(0),
            tensors.get(1),
            tensors.get(2),
            tensors.get(3)));
  }

  private record Module(String name, SerialAdapterOp.Weights weights) implements PeftModule {
    @Override
    public Tensor afterFeedForward(ForwardPass pass, Tensor h, Tensor input, LayerNorm norm) {
      Tensor v = norm.apply(h.add(input));
      return SerialAdapterOp.apply(pass.tape(), v, h, weights, observer(pass));
    }

    private SerialAdapterOp.Observer observer(ForwardPass pass) {
      if (pass.magnitudes() == null) {
        return null;
      }
      return (z, matrices) ->
          pass.magnitudes()
              .measure(name, pass, z, matrices.activation(), matrices.up(), matrices.upBias());
    }
  }
}
