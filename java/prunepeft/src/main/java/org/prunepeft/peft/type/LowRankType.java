package org.prunepeft.peft.type;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.zip.CRC32;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.LayerAdapter;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.BaseWeights;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.PeftModule;

/**
 * What LoRA and its variants share: low-rank updates of some projections of a layer are one module.
 */
interface LowRankType extends ModuleType {
  /** The projections of the module. */
  List<String> targets();

  /** Probability that an input is dropped, in [0, 1). */
  double dropout();

  /** The tensors on one projection. */
  List<Parameter> parameters(EncoderConfig encoder, Projection projection, String path);

  /** What sits on one projection; its tensors are in the order of the other method's. */
  Update update(Target target, List<Tensor> tensors);

  /** {@link ModuleType#order} of what sits on one projection; nothing, as here. */
  default void order(List<Tensor> tensors) {}

  /** A trained update; its tensors are likewise. */
  AdapterPart part(int layer, Target target, List<SafeTensors.Tensor> tensors, BaseWeights base);

  /** The inverse of {@link #part}. */
  List<SafeTensors.Tensor> tensors(LowRank part, BaseWeights base);

  /** What sits on one projection. */
  interface Update {
    String path();

    /**
     * What it adds to its projection.
     *
     * @param dropout null: none
     * @param firstRow where the projection's rows begin in a stacked weight
     */
    LoraModule<Tensor> lora(Dropout dropout, long firstRow);

    /** Whether there is never a gain. */
    default boolean isAdditive() {
      return true;
    }

    /** See {@link PeftModule#gain}. */
    default Tensor gain(FrozenLinear linear, FrozenLinear.Part part) {
      return null;
    }
  }

  /**
   * A projection of a layer.
   *
   * @param path its name in the encoder
   * @param inputs K
   * @param parameters on it
   */
  record Target(String path, int inputs, List<Parameter> parameters) {}

  private List<Target> places(EncoderConfig encoder, int layer) {
    List<Target> places = new ArrayList<>();
    for (String target : targets()) {
      Projection projection = encoder.architecture().projection(target);
      String path = encoder.path(layer, projection);
      places.add(
          new Target(path, encoder.inputs(projection), parameters(encoder, projection, path)));
    }
    return places;
  }

  @Override
  default List<Parameter> parameters(EncoderConfig encoder, int layer) {
    return places(encoder, layer).stream().flatMap(target -> target.parameters.stream()).toList();
  }

  /** Gives each projection its tensors. */
  private <T> void byTarget(
      EncoderConfig encoder, int layer, List<T> tensors, BiConsumer<Target, List<T>> work) {
    int first = 0;
    for (Target target : places(encoder, layer)) {
      int end = first + target.parameters.size();
      work.accept(target, tensors.subList(first, end));
      first = end;
    }
  }

  @Override
  default void order(EncoderConfig encoder, int layer, List<Tensor> tensors) {
    byTarget(encoder, layer, tensors, (target, own) -> order(own));
  }

  @Override
  default PeftModule create(EncoderConfig encoder, int layer, List<Tensor> tensors) {
    List<Update> updates = new ArrayList<>();
    byTarget(encoder, layer, tensors, (target, own) -> updates.add(update(target, own)));
    return new LowRankModule(updates, (float) dropout());
  }

  @Override
  default List<AdapterPart> parts(
      EncoderConfig encoder, int layer, List<SafeTensors.Tensor> tensors, BaseWeights base) {
    List<AdapterPart> parts = new ArrayList<>();
    byTarget(encoder, layer, tensors, (target, own) -> parts.add(part(layer, target, own, base)));
    return parts;
  }

  @Override
  default List<SafeTensors.Tensor> tensors(
      EncoderConfig encoder, int layer, List<AdapterPart> parts, BaseWeights base) {
    List<SafeTensors.Tensor> tensors = new ArrayList<>();
    for (Target target : places(encoder, layer)) {
      for (AdapterPart part : parts) {
        if (part instanceof LowRank update && update.path().equals(target.path)) {
          tensors.addAll(tensors(update, base));
        }
      }
    }
    return tensors;
  }

  record LowRankModule(List<Update> updates, float dropout) implements PeftModule {
    private Update on(FrozenLinear.Part part) {
      for (Update update : updates) {
        if (update.path().equals(part.path())) {
          return update;
        }
      }
      return null;
    }

    @Override
    public LoraModule<Tensor> lora(ForwardPass pass, FrozenLinear.Part part) {
      Update update = on(part);
      return update == null
          ? null
          : update.lora(pass.dropout(dropout, maskNumber(part.path())), part.firstRow());
    }

    @Override
    public List<LayerAdapter> adapters() {
      return updates.stream().allMatch(Update::isAdditive) ? List.of() : null;
    }

    @Override
    public Tensor gain(FrozenLinear linear, FrozenLinear.Part part) {
      Update update = on(part);
      return update == null ? null : update.gain(linear, part);
    }
  }

  /** Names the dropout mask of a projection, whichever other modules there are. */
  static int maskNumber(String path) {
    CRC32 crc = new CRC32();
    crc.update(path.getBytes(StandardCharsets.UTF_8));
    return (int) crc.getValue();
  }
}
