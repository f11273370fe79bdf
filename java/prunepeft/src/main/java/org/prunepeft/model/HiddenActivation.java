package org.prunepeft.model;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Activation;
import org.prunepeft.kernels.Gate;

/** An activation, as config.json names it in hidden_act. */
public enum HiddenActivation {
  /** GELU with the error function. */
  GELU("gelu", "gelu_python") {
    @Override
    Tensor apply(Tensor x) {
      return torch.gelu(x);
    }
  },
  /** GELU by its approximation with tanh (Hendrycks and Gimpel 2016). */
  GELU_TANH("gelu_new", "gelu_pytorch_tanh") {
    @Override
    Tensor apply(Tensor x) {
      return torch.gelu(x, "tanh");
    }
  },
  /** max(x, 0). */
  RELU("relu") {
    @Override
    Tensor apply(Tensor x) {
      return torch.relu(x);
    }
  },
  /** x · sigmoid(x). */
  SILU("silu", "swish") {
    @Override
    Tensor apply(Tensor x) {
      return torch.silu(x);
    }
  },
  /** The hyperbolic tangent. */
  TANH("tanh") {
    @Override
    Tensor apply(Tensor x) {
      return torch.tanh(x);
    }
  };

  private final List<String> names;

  HiddenActivation(String... names) {
    this.names = List.of(names);
  }

  /** {@return what config.json calls it} */
  public String hiddenAct() {
    return names.get(0);
  }

  abstract Tensor apply(Tensor x);

  /** {@return the same of our kernels; null: they have none} */
  Activation kernel() {
    return switch (this) {
      case GELU -> Activation.GELU;
      case RELU -> Activation.RELU;
      case SILU -> Activation.SILU;
      case GELU_TANH, TANH -> null;
    };
  }

  /**
   * {@return the gated activation of a decoder's feed-forward block}
   *
   * @throws IllegalArgumentException if there is none
   */
  Gate gate() {
    return switch (this) {
      case SILU -> Gate.SWIGLU;
      case GELU -> Gate.GEGLU;
      case GELU_TANH -> Gate.GEGLU_TANH;
      case RELU, TANH ->
          throw new IllegalArgumentException(
              "a decoder's activation must be silu, gelu or gelu_pytorch_tanh, got " + hiddenAct());
    };
  }

  /**
   * @param hiddenAct config.json's hidden_act: gelu, gelu_python, gelu_new, gelu_pytorch_tanh,
   *     relu, silu, swish or tanh
   * @return the activation
   * @throws IllegalArgumentException if the name is not known here; names those that are
   */
  public static HiddenActivation of(String hiddenAct) {
    return Arrays.stream(values())
        .filter(activation -> activation.names.contains(hiddenAct))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "hidden activation '%s' is not supported; there are %s"
                        .formatted(
                            hiddenAct,
                            String.join(
                                ", ",
                                Arrays.stream(values()).flatMap(a -> a.names.stream()).toList()))));
  }
}
