package org.prunepeft.model;

import java.io.IOException;
import java.util.Locale;
import java.util.Optional;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.QuantizedTensor;

/**
 * What the frozen weights of the layers' linears are kept in, whatever {@link Precision} says of
 * the rest: embeddings, normalisations, biases and the output weight are not quantised. They are
 * decoded as they are multiplied, so that results are those of dense weights of these values.
 */
public enum Quantization {
  /** As the checkpoint has them: what bitsandbytes quantised stays so, all else is dense. */
  AUTO(null),
  /** Dense, whatever the checkpoint has. */
  NONE(null),
  /** 8 bits, with a scale for each row: bitsandbytes' load_in_8bit without its outliers. */
  INT8(QuantizedTensor.Form.INT8),
  /**
   * 4 bits, with a scale for 64 values that is quantised once more: load_in_4bit with
   * bnb_4bit_quant_type nf4 and bnb_4bit_use_double_quant (QLoRA, Dettmers et al. 2023).
   */
  NF4(QuantizedTensor.Form.NF4);

  private final QuantizedTensor.Form form;

  Quantization(QuantizedTensor.Form form) {
    this.form = form;
  }

  /** {@return what all linears get; null: that depends on the checkpoint, or none} */
  QuantizedTensor.Form form() {
    return form;
  }

  /** {@return whether it is asked for, whatever the checkpoint has} */
  public boolean isForced() {
    return form != null;
  }

  /**
   * {@return the bytes of a weight on the CPU, in the forms for both directions; 0: it is dense, or
   * the checkpoint decides}
   */
  public double preparedBytes() {
    return switch (this) {
      case AUTO, NONE -> 0;
      case INT8 -> 2;
      case NF4 -> 1 + Float.BYTES / 64.0;
    };
  }

  /** {@return what a checkpoint has already of what is asked for} */
  Optional<QuantizedTensor> stored(Checkpoint checkpoint, String name) throws IOException {
    return this == NONE
        ? Optional.empty()
        : checkpoint.quantized(name).filter(own -> form == null || own.form() == form);
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
