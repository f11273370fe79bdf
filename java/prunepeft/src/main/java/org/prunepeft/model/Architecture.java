package org.prunepeft.model;

import static java.util.stream.Collectors.joining;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * The architectures that are read, each with Hugging Face's names of its parts. What else differs
 * between those of BERT's kind is how config.json names their sizes: {@link HuggingFaceConfig}.
 */
public enum Architecture {
  /** BERT (Devlin et al. 2019). */
  BERT("bert", "bert", "Bert", "WordPiece", LayerNames.BERT),
  /** RoBERTa (Liu et al. 2019). */
  ROBERTA(
      "roberta", "roberta", "Roberta", "BPE", LayerNames.BERT, Feature.POSITIONS_BEHIND_PADDING),
  /** XLM-R (Conneau et al. 2020). */
  XLM_ROBERTA(
      "xlm-roberta",
      "roberta",
      "XLMRoberta",
      "Unigram",
      LayerNames.BERT,
      Feature.POSITIONS_BEHIND_PADDING),
  /** DistilBERT (Sanh et al. 2019). */
  DISTILBERT("distilbert", "distilbert", "DistilBert", "WordPiece", LayerNames.DISTILBERT),
  /** ELECTRA (Clark et al. 2020), the discriminator. */
  ELECTRA("electra", "electra", "Electra", "WordPiece", LayerNames.BERT, Feature.EMBEDDING_SIZE),
  /** DeBERTa-v2 and v3 (He et al. 2021). */
  DEBERTA_V2(
      "deberta-v2", "deberta", "DebertaV2", "Unigram", LayerNames.DEBERTA, Feature.EMBEDDING_SIZE),
  /** Llama 2 and 3 (Touvron et al. 2023), and SmolLM2. */
  LLAMA("llama", "model", "Llama", "BPE", LayerNames.DECODER),
  /** Mistral (Jiang et al. 2023). */
  MISTRAL("mistral", "model", "Mistral", "BPE", LayerNames.DECODER),
  /** Qwen2 and 2.5 (Yang et al. 2024). */
  QWEN2("qwen2", "model", "Qwen2", "BPE", LayerNames.DECODER),
  /** Qwen3 (Yang et al. 2025). */
  QWEN3("qwen3", "model", "Qwen3", "BPE", LayerNames.DECODER),
  /** Gemma 2 (Gemma Team 2024). */
  GEMMA2("gemma2", "model", "Gemma2", "BPE", LayerNames.GEMMA, Feature.GEMMA),
  /** Gemma 3's language model (Gemma Team 2025). */
  GEMMA3("gemma3_text", "model", "Gemma3", "BPE", LayerNames.GEMMA, Feature.GEMMA),
  /** Phi-3 and Phi-4-mini (Abdin et al. 2024). */
  PHI3("phi3", "model", "Phi3", "BPE", LayerNames.DECODER, Feature.FUSED_PROJECTIONS),
  /** SmolLM3 (Bakouch et al. 2025). */
  SMOLLM3("smollm3", "model", "SmolLM3", "BPE", LayerNames.DECODER);

  /** What some have. */
  private enum Feature {
    /** A sequence's first token is at padding + 1, and padding at its own id. */
    POSITIONS_BEHIND_PADDING,
    /** Embeddings may have another size than the layers. */
    EMBEDDING_SIZE,
    /** Gemma's normalisations, scaled embeddings and tied head. */
    GEMMA,
    /** Query, key and value are one tensor of the checkpoint, gate and up another. */
    FUSED_PROJECTIONS
  }

  /**
   * Where a layer's parts are.
   *
   * @param layers what a layer's name begins with, its number left out: encoder.layer.
   * @param projections names within a layer, in the order of {@link Projection}; an encoder has no
   *     gate
   * @param norms its normalisations
   * @param attentionAdapters where AdapterHub keeps adapters after attention, within a layer
   * @param outputAdapters where it keeps those after the feed-forward block
   */
  private record LayerNames(
      String layers,
      List<String> projections,
      Norms norms,
      String attentionAdapters,
      String outputAdapters) {
    static final LayerNames BERT = bert("");
    static final LayerNames DEBERTA = bert("_proj");
    static final LayerNames DISTILBERT =
        new LayerNames(
            "transformer.layer.",
            List.of(
                "attention.q_lin",
                "attention.k_lin",
                "attention.v_lin",
                "attention.out_lin",
                "ffn.lin1",
                "ffn.lin2"),
            Norms.ofBlocks("sa_layer_norm", "output_layer_norm"),
            "attention_adapters",
            "output_adapters");
    static final LayerNames DECODER = decoder("post_attention_layernorm", null, null);
    static final LayerNames GEMMA =
        decoder(
            "pre_feedforward_layernorm", "post_attention_layernorm", "post_feedforward_layernorm");

    private static LayerNames decoder(
        String outputNorm, String attentionPostNorm, String outputPostNorm) {
      return new LayerNames(
          "layers.",
          List.of(
              "self_attn.q_proj",
              "self_attn.k_proj",
              "self_attn.v_proj",
              "self_attn.o_proj",
              "mlp.up_proj",
              "mlp.down_proj",
              "mlp.gate_proj"),
          new Norms(
              "input_layernorm",
              outputNorm,
              attentionPostNorm,
              outputPostNorm,
              "self_attn.q_norm",
              "self_attn.k_norm"),
          "attention_adapters",
          "output_adapters");
    }

    private static LayerNames bert(String suffix) {
      return new LayerNames(
          "encoder.layer.",
          List.of(
              "attention.self.query" + suffix,
              "attention.self.key" + suffix,
              "attention.self.value" + suffix,
              "attention.output.dense",
              "intermediate.dense",
              "output.dense"),
          Norms.ofBlocks("attention.output.LayerNorm", "output.LayerNorm"),
          "attention.output",
          "output");
    }
  }

  /**
   * Where a layer's normalisations are, within it; what a family does not have may be null.
   *
   * @param attention after attention; before it in a decoder
   * @param output the same of the feed-forward block
   * @param attentionPost of attention's output, in a decoder that has both
   * @param outputPost likewise
   * @param query of each head of query
   * @param key of each head of key
   */
  private record Norms(
      String attention,
      String output,
      String attentionPost,
      String outputPost,
      String query,
      String key) {
    static Norms ofBlocks(String attention, String output) {
      return new Norms(attention, output, null, null, null, null);
    }
  }

  private final String modelType;
  private final String prefix;
  private final String className;
  private final String tokenizerModel;
  private final LayerNames layout;
  private final Set<Feature> features;

  Architecture(
      String modelType,
      String prefix,
      String className,
      String tokenizerModel,
      LayerNames layout,
      Feature... features) {
    this.modelType = modelType;
    this.prefix = prefix;
    this.className = className;
    this.tokenizerModel = tokenizerModel;
    this.layout = layout;
    this.features = Set.of(features);
  }

  /** {@return what config.json calls it: model_type} */
  public String modelType() {
    return modelType;
  }

  /** {@return the encoder's name within a model that has a task head: bert, roberta, ...} */
  public String prefix() {
    return prefix;
  }

  /** {@return the name of the word embeddings} */
  String words() {
    return isDecoder() ? "embed_tokens.weight" : "embeddings.word_embeddings.weight";
  }

  /**
   * {@return the tensor that a projection shares with those of the same input, without its ending}
   *
   * @param layer 0-based
   * @param projection of one that {@link #hasFusedProjections}
   */
  String fusedPath(int layer, Projection projection) {
    boolean attention = projection == Projection.QUERY;
    return layerPath(layer) + (attention ? ".self_attn.qkv_proj" : ".mlp.gate_up_proj");
  }

  /** {@return what Python's classes begin with: XLMRoberta of XLMRobertaModel} */
  public String className() {
    return className;
  }

  /** {@return Python's class of the model without a head} */
  public String modelClass() {
    // Gemma3Model sees pictures too.
    return className + (this == GEMMA3 ? "TextModel" : "Model");
  }

  /** {@return the type of model that its tokenizers have: WordPiece, BPE or Unigram} */
  String tokenizerModel() {
    return tokenizerModel;
  }

  /** {@return whether a sequence's first token is at the padding's id + 1, not at 0} */
  public boolean positionsBehindPadding() {
    return features.contains(Feature.POSITIONS_BEHIND_PADDING);
  }

  /** {@return whether tokens see only those before them: a language model} */
  public boolean isDecoder() {
    return projections().contains(Projection.GATE);
  }

  /** {@return the linears of a layer} */
  public List<Projection> projections() {
    return List.of(Projection.values()).subList(0, layout.projections.size());
  }

  /** {@return whether it is one of Gemma's} */
  boolean isGemma() {
    return features.contains(Feature.GEMMA);
  }

  /**
   * {@return whether a checkpoint has query, key and value as one tensor, gate and up as another}
   */
  public boolean hasFusedProjections() {
    return features.contains(Feature.FUSED_PROJECTIONS);
  }

  /** {@return whether embeddings may have another size than the layers} */
  boolean hasEmbeddingSize() {
    return features.contains(Feature.EMBEDDING_SIZE);
  }

  /**
   * {@return what holds a layer's adapters in AdapterHub's library}
   *
   * @param layer 0-based
   * @param block behind which they sit
   */
  public String adaptersPath(int layer, Block block) {
    return layerPath(layer)
        + "."
        + (block == Block.ATTENTION ? layout.attentionAdapters : layout.outputAdapters);
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
   * @return a projection's name: encoder.layer.3.attention.self.query
   */
  public String path(int layer, Projection projection) {
    return layerPath(layer) + "." + layout.projections.get(projection.ordinal());
  }

  /**
   * {@return the name of a normalisation: encoder.layer.3.output.LayerNorm}
   *
   * @param layer 0-based
   * @param block behind which it is; in a decoder, before which
   */
  public String norm(int layer, Block block) {
    return layerPath(layer)
        + "."
        + (block == Block.ATTENTION ? layout.norms.attention : layout.norms.output);
  }

  /**
   * {@return the name of a normalisation of a block's output: layers.3.post_attention_layernorm}
   *
   * @param layer 0-based, of a decoder that normalises before a block too
   * @param block whose output it is
   */
  String postNorm(int layer, Block block) {
    return layerPath(layer)
        + "."
        + (block == Block.ATTENTION ? layout.norms.attentionPost : layout.norms.outputPost);
  }

  /**
   * {@return the name of the normalisation of query's or key's heads: layers.3.self_attn.q_norm}
   *
   * @param layer 0-based, of a decoder
   * @param projection QUERY or KEY
   */
  String headNorm(int layer, Projection projection) {
    return layerPath(layer)
        + "."
        + (projection == Projection.QUERY ? layout.norms.query : layout.norms.key);
  }

  /** {@return the name of a decoder's normalisation behind all layers} */
  String finalNorm() {
    return "norm";
  }

  /**
   * {@return the projection that an entry of target_modules means: BERT's name for it, as {@link
   * Projection#target} has it, or the last part of this architecture's own, such as q_lin}
   *
   * @param target BERT's name, or the architecture's own, such as q_lin
   * @throws IllegalArgumentException if there is none; names those that there are
   */
  public Projection projection(String target) {
    for (Projection projection : projections()) {
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
                projections().stream()
                    .map(projection -> names(projection))
                    .collect(joining(", "))));
  }

  /**
   * {@return the names within a layer that PEFT takes for an entry of target_modules: those that it
   * is, or whose last parts it is} Of output.dense these are attention.output.dense and
   * output.dense, where {@link #projection} means the second.
   *
   * @param target an entry
   */
  public List<String> endingIn(String target) {
    return layout.projections.stream()
        .filter(name -> name.equals(target) || name.endsWith("." + target))
        .toList();
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
