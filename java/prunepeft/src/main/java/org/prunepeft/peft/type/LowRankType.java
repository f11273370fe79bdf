package org.prunepeft.peft.type;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.BaseWeights;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.PeftModule;
import org.prunepeft.search.Candidate;

/**
 * What LoRA and its variants share: low-rank updates of some projections of a layer are one module.
 */
abstract class LowRankType implements ModuleType {
  final LoraConfig config;
  private final String name;
  private final List<String> targets;

  /**
   * @param targets the projections of the module
   */
  LowRankType(LoraConfig config, String name, List<String> targets) {
    this.config = config;
    this.name = name;
    this.targets = targets;
  }

  @Override
  public final String name() {
    return name;
  }

  @Override
  public final String kind() {
    return Candidate.LORA;
  }

  /** The tensors on one projection. */
  abstract List<Parameter> parameters(EncoderConfig encoder, Projection projection, String path);

  /** What sits on one projection; its tensors are in the order of the other method's. */
  abstract Update update(String path, List<Tensor> tensors);

  /** A trained update; its tensors are likewise. */
  abstract AdapterPart part(
      int layer, String path, List<SafeTensors.Tensor> tensors, BaseWeights base);

  /** The inverse of {@link #part}. */
  abstract List<SafeTensors.Tensor> tensors(LowRank part, BaseWeights base);

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

    /** See {@link PeftModule#gain}. */
    default Tensor gain(FrozenLinear linear, FrozenLinear.Part part) {
      return null;
    }
  }

  private record Target(String path, List<Parameter> parameters) {}

  private List<Target> places(EncoderConfig encoder, int layer) {
    List<Target> places = new ArrayList<>();
    for (String target : targets) {
      Projection projection = encoder.architecture().projection(target);
      String path = encoder.path(layer, projection);
      places.add(new Target(path, parameters(encoder, projection, path)));
    }
    return places;
  }

  @Override
  public final List<Parameter> parameters(EncoderConfig encoder, int layer) {
    return places(encoder, layer).stream().flatMap(place -> place.parameters.stream()).toList();
  }

  @Override
  public final PeftModule create(EncoderConfig encoder, int layer, List<Tensor> tensors) {
    List<Update> updates = new ArrayList<>();
    int first = 0;
    for (Target place : places(encoder, layer)) {
      int end = first + place.parameters.size();
      updates.add(update(place.path, tensors.subList(first, end)));
      first = end;
    }
    return new LowRankModule(updates, (float) config.dropout());
  }

  @Override
  public final List<AdapterPart> parts(
      EncoderConfig encoder, int layer, List<SafeTensors.Tensor> tensors, BaseWeights base) {
    List<AdapterPart> parts = new ArrayList<>();
    int first = 0;
    for (Target place : places(encoder, layer)) {
      int end = first + place.parameters.size();
      parts.add(part(layer, place.path, tensors.subList(first, end), base));
      first = end;
    }
    return parts;
  }

  @Override
  public final List<SafeTensors.Tensor> tensors(
      EncoderConfig encoder, int layer, List<AdapterPart> parts, BaseWeights base) {
    List<SafeTensors.Tensor> tensors = new ArrayList<>();
    for (Target place : places(encoder, layer)) {
      for (AdapterPart part : parts) {
        if (part instanceof LowRank update && update.path().equals(place.path)) {
          tensors.addAll(tensors(update, base));
        }
      }
    }
    return tensors;
  }

  private record LowRankModule(List<Update> updates, float dropout) implements PeftModule {
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
