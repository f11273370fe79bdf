package org.prunepeft.peft;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;

/**
 * A kind of module that a search may place in each layer. A new kind implements this and {@link
 * PeftModule}, and is named in the {@link PeftConfig}.
 */
public interface ModuleType {
  /** Its name in configurations, strategies and tables: lora, adapter. */
  String name();

  /**
   * A tensor of a module.
   *
   * @param name its whole name in the model, and its key in adapter files
   * @param shape its extents
   * @param deviation standard deviation of its initial values, around 0; 0: zeros
   */
  record Parameter(String name, long[] shape, double deviation) {
    long count() {
      long count = 1;
      for (long extent : shape) {
        count *= extent;
      }
      return count;
    }
  }

  /** The tensors of the module in a layer, in the order in which {@link #create} gets them. */
  List<Parameter> parameters(EncoderConfig encoder, int layer);

  /**
   * Puts a module together.
   *
   * @param tensors in the order of {@link #parameters}; owned by the caller, which outlives the
   *     module
   */
  PeftModule create(EncoderConfig encoder, int layer, List<Tensor> tensors);

  /**
   * A trained module as adapter files know it.
   *
   * @param tensors in the order of {@link #parameters}
   * @throws UnsupportedOperationException if there is no such form, as here
   */
  default List<AdapterPart> parts(
      EncoderConfig encoder, int layer, List<SafeTensors.Tensor> tensors) {
    throw new UnsupportedOperationException(
        "modules of the kind " + name() + " have no form in adapter files");
  }
}
