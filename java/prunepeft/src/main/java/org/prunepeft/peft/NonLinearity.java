package org.prunepeft.peft;

import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.kernels.Activation;

/**
 * Names of activations in transformers, which AdapterHub uses; where an activation has several, the
 * one that AdapterHub writes.
 */
public final class NonLinearity {
  private static final Map<String, Activation> NAMES =
      new TreeMap<>(
          Map.of(
              "relu", Activation.RELU,
              "gelu", Activation.GELU,
              "swish", Activation.SILU,
              "linear", Activation.IDENTITY));

  private NonLinearity() {}

  /**
   * {@return the name of an activation}
   *
   * @param activation that adapters may have
   */
  public static String name(Activation activation) {
    return NAMES.entrySet().stream()
        .filter(entry -> entry.getValue() == activation)
        .map(Map.Entry::getKey)
        .findFirst()
        .orElseThrow();
  }

  /**
   * {@return the activation of a name; silu is another one for swish}
   *
   * @param name relu, gelu, swish, silu or linear
   * @throws IllegalArgumentException if there is none of that name
   */
  public static Activation byName(String name) {
    Activation activation = NAMES.get(name.equals("silu") ? "swish" : name);
    if (activation == null) {
      throw new IllegalArgumentException(
          "the adapters' non_linearity '%s' is not supported; there are %s"
              .formatted(name, NAMES.keySet()));
    }
    return activation;
  }
}
