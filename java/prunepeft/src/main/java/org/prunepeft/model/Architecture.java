package org.prunepeft.model;

import static java.util.stream.Collectors.joining;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** The encoder architectures that are read, each with Hugging Face's names of its parts. */
public enum Architecture {
  /** BERT (Devlin et al. 2019). */
  BERT("bert", "bert", Layout.BERT),
  /** RoBERTa (Liu et al. 2019). */
  ROBERTA("roberta", "roberta", Layout.BERT),
  /** XLM-R (Conneau et al. 2020). */
  XLM_ROBERTA("xlm-roberta", "roberta", Layout.BERT),
  /** DistilBERT (Sanh et al. 2019). */
  DISTILBERT("distilbert", "distilbert", Layout.DISTILBERT),
  /** ELECTRA (Clark et al. 2020), the discriminator. */
  ELECTRA("electra", "electra", Layout.BERT),
  /** DeBERTa-v2 and v3 (He et al. 2021). */
  DEBERTA_V2("deberta-v2", "deberta", Layout.DEBERTA);

  /**
   * Where a layer's parts are.
   *
   * @param layers the list of layers
   * @param projections names within a layer, in the order of {@link Projection}
   * @param attentionNorm the normalisation after attention, within a layer
   * @param outputNorm the normalisation after the feed-forward block, within a layer
   */
  private record Layout(
      String layers, List<String> projections, String attentionNorm, String outputNorm) {
    static final Layout BERT =
        new Layout(
            "encoder.layer.",
            List.of(
                "attention.self.query",
                "attention.self.key",
                "attention.self.value",
                "attention.output.dense",
                "intermediate.dense",
                "output.dense"),
            "attention.output.LayerNorm",
            "output.LayerNorm");
    static final Layout DEBERTA =
        new Layout(
            "encoder.layer.",
            List.of(
                "attention.self.query_proj",
                "attention.self.key_proj",
                "attention.self.value_proj",
                "attention.output.dense",
                "intermediate.dense",
                "output.dense"),
            "attention.output.LayerNorm",
            "output.LayerNorm");
    static final Layout DISTILBERT =
        new Layout(
            "transformer.layer.",
            List.of(
                "attention.q_lin",
                "attention.k_lin",
                "attention.v_lin",
                "attention.out_lin",
                "ffn.lin1",
                "ffn.lin2"),
            "sa_layer_norm",
            "output_layer_norm");
  }

  private final String modelType;
  private final String prefix;
  private final Layout layout;

  Architecture(String modelType, String prefix, Layout layout) {
    this.modelType = modelType;
    this.prefix = prefix;
    this.layout = layout;
  }

  /** {@return what config.json calls it: model_type} */
  public String modelType() {
    return modelType;
  }

  /** {@return the encoder's name within a model that has a task head: bert, roberta, ...} */
  public String prefix() {
    return prefix;
  }

  /**
   * @param layer 0-based
   * @return a layer's name: encoder.layer.3
   */
  public String layerPath(int layer) {
    return layout.layers + layer;
  }

  /**
   * @param layer 0-based
   * @param projection which of the layer
   * @return a projection's name: encoder.layer.3.attention.self.query
   */
  public String path(int layer, Projection projection) {
    return layerPath(layer) + "." + layout.projections.get(projection.ordinal());
  }

  String attentionNorm(int layer) {
    return layerPath(layer) + "." + layout.attentionNorm;
  }

  String outputNorm(int layer) {
    return layerPath(layer) + "." + layout.outputNorm;
  }

  /**
   * {@return the projection that an entry of target_modules means: BERT's name for it, as {@link
   * Projection#target} has it, or the last part of this architecture's own, such as q_lin}
   *
   * @param target BERT's name, or the architecture's own, such as q_lin
   * @throws IllegalArgumentException if there is none; names those that there are
   */
  public Projection projection(String target) {
    for (Projection projection : Projection.values()) {
      String own = layout.projections.get(projection.ordinal());
      if (target.equals(projection.target())
          || target.equals(own)
          || target.equals(own.substring(own.lastIndexOf('.') + 1))
              && layout.projections.stream().filter(name -> name.endsWith("." + target)).count()
                  == 1) {
        return projection;
      }
    }
    throw new IllegalArgumentException(
        "unknown LoRA target '%s'; %s has %s"
            .formatted(
                target,
                this,
                Arrays.stream(Projection.values())
                    .map(projection -> names(projection))
                    .collect(joining(", "))));
  }

  private String names(Projection projection) {
    String own = layout.projections.get(projection.ordinal());
    return own.endsWith(projection.target())
        ? projection.target()
        : projection.target() + " (" + own.substring(own.lastIndexOf('.') + 1) + ")";
  }

  /**
   * {@return the architecture of a model_type}
   *
   * @param modelType config.json's model_type, such as xlm-roberta
   * @throws IllegalArgumentException if it is not read here; names those that are
   */
  public static Architecture ofModelType(String modelType) {
    return Arrays.stream(values())
        .filter(architecture -> architecture.modelType.equals(modelType))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "model_type '%s' is not supported; there are %s"
                        .formatted(
                            modelType,
                            Arrays.stream(values())
                                .map(Architecture::modelType)
                                .collect(joining(", ")))));
  }

  @Override
  public String toString() {
    return modelType.toLowerCase(Locale.ROOT);
  }
}
