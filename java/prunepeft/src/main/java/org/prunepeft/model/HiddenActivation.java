package org.prunepeft.model;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** The feed-forward block's activation, hidden_act in config.json. */
public enum HiddenActivation {
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
  RELU("relu") {
    @Override
    Tensor apply(Tensor x) {
      return torch.relu(x);
    }
  },
  SILU("silu", "swish") {
    @Override
    Tensor apply(Tensor x) {
      return torch.silu(x);
    }
  };

  private final List<String> names;

  HiddenActivation(String... names) {
    this.names = List.of(names);
  }

  /** What config.json calls it. */
  public String hiddenAct() {
    return names.get(0);
  }

  abstract Tensor apply(Tensor x);

  /**
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
