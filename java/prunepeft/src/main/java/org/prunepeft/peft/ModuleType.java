package org.prunepeft.peft;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.torch.FlatParameters;

/**
 * A module that a search may place in each layer. A new one implements this and {@link PeftModule},
 * and is registered with {@link ModuleTypes}.
 */
public interface ModuleType {
  /** What the name of a layer's module begins with, before the layer's number. */
  String LAYER = "encoder.layer.";

  /** {@return its name in a layer: lora, lora.query, adapter} */
  String name();

  /**
   * {@return the kind of module: those of a kind are ranked with each other, share a learning rate,
   * and are one type in strategies and tables}
   */
  default String kind() {
    return name();
  }

  /**
   * {@return the name of a layer's module: encoder.layer.3.adapter}
   *
   * @param layer 0-based
   */
  default String moduleName(int layer) {
    return LAYER + layer + "." + name();
  }

  /**
   * A tensor of a module.
   *
   * @param name its whole name in the model, and its key in a run's files
   * @param shape its extents
   * @param deviation standard deviation of its initial values, around 0; 0: zeros
   * @param output whether the module has no effect while this tensor is 0
   * @param inner the dimension that runs over the module's rank or bottleneck, by which a module of
   *     LoRA's or the adapters' kind can be made smaller; {@link #NONE}: this tensor stays whole
   */
  record Parameter(String name, long[] shape, double deviation, boolean output, int inner) {
    /** No dimension. */
    public static final int NONE = -1;

    /** A tensor that is not known to decide whether the module has an effect, and stays whole. */
    public Parameter(String name, long[] shape, double deviation) {
      this(name, shape, deviation, false, NONE);
    }

    /** {@return elements of the tensor} */
    public long count() {
      long count = 1;
      for (long extent : shape) {
        count *= extent;
      }
      return count;
    }
  }

  /**
   * {@return the tensors of the module in a layer, in the order in which {@link #create} gets them}
   *
   * @param encoder the encoder's shape
   * @param layer from 0
   */
  List<Parameter> parameters(EncoderConfig encoder, int layer);

  /**
   * Puts a module together.
   *
   * @param encoder the encoder's shape
   * @param layer from 0
   * @param tensors in the order of {@link #parameters}; owned by the caller, which outlives the
   *     module
   * @return the module, for one encoder
   */
  PeftModule create(EncoderConfig encoder, int layer, List<Tensor> tensors);

  /**
   * Orders what the module's rank or bottleneck runs over by what it does, most first. The module
   * computes the same afterwards, but for rounding. Does nothing where there is no such order, as
   * here.
   *
   * @param encoder the encoder's shape
   * @param layer from 0
   * @param tensors in the order of {@link #parameters}; changed
   */
  default void order(EncoderConfig encoder, int layer, List<Tensor> tensors) {}

  /**
   * {@return what the modules of this kind do in a training beside their forward passes; null:
   * nothing, as here}
   *
   * <p>Asked of one type of the kind, for all of its modules.
   *
   * @param parameters of all modules of the kind; stay the caller's
   * @param steps of the training
   * @param judged whether modules are judged as wholes meanwhile, so that they keep their size
   */
  default TrainingHook trainingHook(FlatParameters parameters, int steps, boolean judged) {
    return null;
  }

  /**
   * {@return a trained module as adapter files know it}
   *
   * @param encoder the encoder's shape
   * @param layer from 0
   * @param tensors in the order of {@link #parameters}
   * @param base what it was trained on
   * @throws UnsupportedOperationException if there is no such form, as here
   */
  default List<AdapterPart> parts(
      EncoderConfig encoder, int layer, List<SafeTensors.Tensor> tensors, BaseWeights base) {
    throw new UnsupportedOperationException(
        "modules of the kind " + kind() + " have no form in adapter files");
  }

  /**
   * The inverse of {@link #parts}.
   *
   * @param encoder the encoder's shape
   * @param layer from 0
   * @param parts of a whole adapter, those of other modules too
   * @param base weights of the frozen projections, where a form needs them
   * @return in the order of {@link #parameters}; none if the adapter has nothing in this place
   * @throws UnsupportedOperationException if there is no such form, as here
   */
  default List<SafeTensors.Tensor> tensors(
      EncoderConfig encoder, int layer, List<AdapterPart> parts, BaseWeights base) {
    throw new UnsupportedOperationException(
        "modules of the kind " + kind() + " have no form in adapter files");
  }
}
