package org.prunepeft.peft;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Block;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.text.Required;
import org.prunepeft.text.Spelling;

/**
 * Bottleneck adapter candidates.
 *
 * @param bottleneck m, 1 or more
 * @param nonLinearity σ
 * @param style where they sit; null: {@link Style#PFEIFFER}
 * @param scaling s, the factor of what a module adds, above 0; null: the style's
 * @param bottleneckPattern other sizes of some modules, by the last parts of their names, such as
 *     encoder.layer.0.output.adapter
 */
@RecordBuilder
public record AdapterConfig(
    int bottleneck,
    Activation nonLinearity,
    Style style,
    Double scaling,
    Map<String, Integer> bottleneckPattern)
    implements AdapterConfigBuilder.With {
  /** The scaling of parallel adapters, unless another is set (He et al. 2022). */
  public static final int PARALLEL_SCALING = 4;

  /** The scaling of all other adapters, unless another is set. */
  public static final int SERIAL_SCALING = 1;

  /** A bottleneck of 128 with ReLU, after the feed-forward block. */
  public static final AdapterConfig DEFAULT =
      AdapterConfigBuilder.builder()
          .bottleneck(128)
          .nonLinearity(Activation.RELU)
          .style(Style.PFEIFFER)
          .build();

  /** Where adapters sit in a layer, and what they compute on; AdapterHub's names. */
  public enum Style {
    /**
     * After the feed-forward block, on its normalised sum (Pfeiffer et al. 2021); in decoders,
     * which do not normalise it, on the sum.
     */
    PFEIFFER(SERIAL_SCALING, "pfeiffer", "seq_bn"),
    /** After attention and after the feed-forward block, on their outputs (Houlsby et al. 2019). */
    HOULSBY(SERIAL_SCALING, "houlsby", "double_seq_bn"),
    /** Beside the feed-forward block, on its input (He et al. 2022). */
    PARALLEL(PARALLEL_SCALING, "parallel", "par_bn", "scaled_parallel");

    private final double scaling;
    private final List<String> names;

    Style(double scaling, String... names) {
      this.scaling = scaling;
      this.names = List.of(names);
    }

    /**
     * {@return the style of that name}
     *
     * @param name AdapterHub's: pfeiffer or seq_bn, houlsby or double_seq_bn, parallel or par_bn
     * @throws IllegalArgumentException if there is none
     */
    public static Style byName(String name) {
      return Arrays.stream(values())
          .filter(style -> style.names.contains(name))
          .findFirst()
          .orElseThrow(
              () ->
                  new IllegalArgumentException(
                      Spelling.unknown(
                          "adapter configuration",
                          name,
                          Arrays.stream(values()).flatMap(s -> s.names.stream()).toList())));
    }

    @Override
    public String toString() {
      return names.get(0);
    }
  }

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public AdapterConfig {
    style = style == null ? Style.PFEIFFER : style;
    scaling = scaling == null ? style.scaling : scaling;
    bottleneckPattern = bottleneckPattern == null ? Map.of() : new TreeMap<>(bottleneckPattern);
    Required.present("the adapters' non_linearity", nonLinearity);
    requireSize(bottleneck);
    bottleneckPattern.values().forEach(AdapterConfig::requireSize);
    if (!(scaling > 0 && Double.isFinite(scaling))) {
      throw new IllegalArgumentException("the adapters' scaling must be above 0, got " + scaling);
    }
  }

  private static void requireSize(int size) {
    if (size < 1) {
      throw new IllegalArgumentException(
          "the adapter's bottleneck must be at least 1, got " + size);
    }
  }

  /** {@return a builder that begins with the defaults, but for the scaling: the style's} */
  public static AdapterConfigBuilder builder() {
    return AdapterConfigBuilder.builder(DEFAULT).scaling(null);
  }

  /**
   * {@return adapters of a style, with its own scaling}
   *
   * @param bottleneck m, 1 or more
   * @param nonLinearity σ
   * @param style where they sit; null: {@link Style#PFEIFFER}
   */
  public static AdapterConfig of(int bottleneck, Activation nonLinearity, Style style) {
    return builder().bottleneck(bottleneck).nonLinearity(nonLinearity).style(style).build();
  }

  /**
   * {@return serial adapters after the feed-forward block}
   *
   * @param bottleneck m, 1 or more
   * @param nonLinearity σ
   */
  public static AdapterConfig of(int bottleneck, Activation nonLinearity) {
    return of(bottleneck, nonLinearity, Style.PFEIFFER);
  }

  /**
   * The bottleneck that AdapterHub's {@code reduction_factor} means.
   *
   * @param hidden the encoder's hidden size, 1 or more
   * @param reductionFactor above 0
   * @return hidden by the factor, rounded down; at least 1
   * @throws IllegalArgumentException if the factor is out of range
   */
  public static int bottleneck(int hidden, double reductionFactor) {
    if (!(reductionFactor > 0 && Double.isFinite(reductionFactor))) {
      throw new IllegalArgumentException(
          "the adapters' reduction_factor must be above 0, got " + reductionFactor);
    }
    return (int) Math.max(1, Math.floor(hidden / reductionFactor));
  }

  /**
   * {@return a module's name in the encoder, by which it may have another size}
   *
   * @param encoder the encoder's shape
   * @param layer from 0
   * @param place after attention or after the feed-forward block
   */
  public static String path(EncoderConfig encoder, int layer, Block place) {
    return encoder.architecture().layerPath(layer)
        + (place == Block.ATTENTION ? ".attention.output.adapter" : ".output.adapter");
  }

  /**
   * {@return the size of a module}
   *
   * @param path of {@link #path(EncoderConfig, int, Block)}
   */
  public int size(String path) {
    if (bottleneckPattern.containsKey(path)) {
      return bottleneckPattern.get(path);
    }
    for (Map.Entry<String, Integer> entry : bottleneckPattern.entrySet()) {
      if (path.endsWith("." + entry.getKey())) {
        return entry.getValue();
      }
    }
    return bottleneck;
  }
}
