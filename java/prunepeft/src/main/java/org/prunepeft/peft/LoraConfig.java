package org.prunepeft.peft;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.text.Required;

/**
 * LoRA candidates, in PEFT's names.
 *
 * @param rank r, 1 or more
 * @param alpha lora_alpha, finite and above 0
 * @param dropout lora_dropout, in [0, 1)
 * @param targets target_modules: the last part of the names of the projections that get one; or
 *     {@value #ALL}: all of the model's; or {@value #AUTO}: query and value of an encoder, all of a
 *     decoder. {@link #on} says which these are
 * @param rsLora use_rslora: the scale is alpha / √r (Kalajdzievski 2023), else alpha / r
 * @param dora use_dora: magnitude and direction of each output are trained apart
 * @param perProjection whether each projection's update is a module of its own; else those of a
 *     layer are one module together. Null: each of a decoder is, an encoder's are together; {@link
 *     #on} settles it, and until then they are together
 * @param rankPattern rank_pattern: other ranks of some projections, by the last parts of their
 *     names
 * @param alphaPattern alpha_pattern: other alphas, likewise
 * @param adaLora AdaLoRA, whose init_r is the rank; null: another kind
 */
@RecordBuilder
public record LoraConfig(
    int rank,
    double alpha,
    double dropout,
    List<String> targets,
    boolean rsLora,
    boolean dora,
    Boolean perProjection,
    Map<String, Integer> rankPattern,
    Map<String, Double> alphaPattern,
    AdaLoraConfig adaLora)
    implements LoraConfigBuilder.With {
  /** The projections that suit the model. */
  public static final String AUTO = "auto";

  /** All projections. */
  public static final String ALL = "all-linear";

  /** Rank 32, alpha 32, dropout 0.1, on the projections that suit the model. */
  public static final LoraConfig DEFAULT =
      LoraConfigBuilder.builder().rank(32).alpha(32).dropout(0.1).targets(List.of(AUTO)).build();

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public LoraConfig {
    rankPattern = rankPattern == null ? Map.of() : new TreeMap<>(rankPattern);
    alphaPattern = alphaPattern == null ? Map.of() : new TreeMap<>(alphaPattern);
    requireRank(rank);
    rankPattern.values().forEach(LoraConfig::requireRank);
    requireAlpha(alpha);
    alphaPattern.values().forEach(LoraConfig::requireAlpha);
    if (!(dropout >= 0 && dropout < 1)) {
      throw new IllegalArgumentException("LoRA dropout must be in [0, 1), got " + dropout);
    }
    if (Required.present("LoRA's targets", targets).isEmpty()) {
      throw new IllegalArgumentException("LoRA needs at least one target, such as query");
    }
    targets = List.copyOf(targets);
    if (adaLora != null) {
      if (rsLora || dora) {
        throw new IllegalArgumentException("AdaLoRA goes with neither use_rslora nor use_dora");
      }
      if (rank != adaLora.initR() || !rankPattern.isEmpty() || !alphaPattern.isEmpty()) {
        throw new IllegalArgumentException(
            "AdaLoRA's updates all have the rank init_r, %d, and one alpha, got rank %d, %s, %s"
                .formatted(adaLora.initR(), rank, rankPattern, alphaPattern));
      }
    }
  }

  private static void requireRank(int rank) {
    if (rank < 1) {
      throw new IllegalArgumentException("LoRA rank must be at least 1, got " + rank);
    }
  }

  private static void requireAlpha(double alpha) {
    if (!(alpha > 0 && Double.isFinite(alpha))) {
      throw new IllegalArgumentException("LoRA alpha must be finite and above 0, got " + alpha);
    }
  }

  /** {@return a builder that begins with the defaults} */
  public static LoraConfigBuilder builder() {
    return LoraConfigBuilder.builder(DEFAULT);
  }

  /**
   * {@return the same with the targets that a model has, by their names, and whether each is a
   * module of its own}
   *
   * @param model whose layers get modules
   */
  public LoraConfig on(EncoderConfig model) {
    boolean decoder = model.decoder() != null;
    return with()
        .targets(targets(model, decoder))
        .perProjection(perProjection == null ? decoder : perProjection)
        .build();
  }

  private List<String> targets(EncoderConfig model, boolean decoder) {
    if (targets.equals(List.of(AUTO)) && !decoder) {
      return List.of(Projection.QUERY.target(), Projection.VALUE.target());
    }
    return targets.equals(List.of(AUTO)) || targets.equals(List.of(ALL))
        ? model.projections().stream().map(Projection::target).toList()
        : targets;
  }

  /**
   * {@return the same for a training of so many steps, by which AdaLoRA shrinks its budget}
   *
   * @param steps of the optimiser
   */
  public LoraConfig withSteps(long steps) {
    return adaLora == null ? this : withAdaLora(adaLora.withTotalStep(Math.toIntExact(steps)));
  }

  /**
   * {@return the same updates as AdaLoRA's, of its rank init_r}
   *
   * @param config initial and final rank, and when ranks are shared out
   */
  @Override
  public LoraConfig withAdaLora(AdaLoraConfig config) {
    return with().rank(config.initR()).adaLora(config).build();
  }

  /**
   * {@return plain LoRA, one module a layer}
   *
   * @param rank r, 1 or more
   * @param alpha lora_alpha, above 0
   * @param dropout lora_dropout, in [0, 1)
   * @param targets target_modules: the last part of the names of the projections that get one
   */
  public static LoraConfig of(int rank, double alpha, double dropout, List<String> targets) {
    return builder()
        .rank(rank)
        .alpha(alpha)
        .dropout(dropout)
        .targets(targets)
        .perProjection(false)
        .build();
  }

  /**
   * {@return the rank of a projection}
   *
   * @param path its whole name in the encoder: encoder.layer.0.attention.self.query
   */
  public int rank(String path) {
    return of(path, rankPattern, rank);
  }

  /**
   * {@return the alpha of a projection}
   *
   * @param path its whole name in the encoder: encoder.layer.0.attention.self.query
   */
  public double alpha(String path) {
    return of(path, alphaPattern, alpha);
  }

  private static <T> T of(String path, Map<String, T> pattern, T otherwise) {
    if (pattern.containsKey(path)) {
      return pattern.get(path);
    }
    for (Map.Entry<String, T> entry : pattern.entrySet()) {
      if (path.endsWith("." + entry.getKey())) {
        return entry.getValue();
      }
    }
    return otherwise;
  }

  /**
   * {@return the factor of B·A on a projection}
   *
   * @param path its whole name in the encoder: encoder.layer.0.attention.self.query
   */
  public double scale(String path) {
    return adaLora != null ? adaLora.scale(alpha(path)) : scale(alpha(path), rank(path), rsLora);
  }

  /** alpha / r, or alpha / √r. */
  static double scale(double alpha, int rank, boolean rsLora) {
    return alpha / (rsLora ? Math.sqrt(rank) : rank);
  }
}
