package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.onnx.OnnxEmbeddingModel;
import dev.langchain4j.model.embedding.onnx.PoolingMode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Example;
import org.prunepeft.io.SafeTensors;

/** LangChain4j reads an exported encoder as an embedding model. */
class LangChain4jTest {
  @TempDir Path temporary;

  /** It scales embeddings to length 1, so the head's scores are ours by one factor a text. */
  @Test
  void anEmbeddingIsWhatTheHeadSees() throws IOException {
    assumeTrue(MiniLmJar.find().isPresent(), "MiniLM's jar is not on the class path");
    Path run = temporary.resolve("run");
    Call.of(
            "train",
            "--modules=random",
            "--keep=0.5",
            "--lora-r=4",
            Small.examples(32),
            "--output=" + run)
        .exits(0);
    Path export = temporary.resolve("encoder");
    Call.of("export", run, "--format=onnx", "--encoder-only", "--output=" + export).exits(0);
    EmbeddingModel model =
        new OnnxEmbeddingModel(
            export.resolve("model.onnx"), export.resolve("tokenizer.json"), PoolingMode.MEAN);
    try (TrainedModel trained = TrainedModel.load(run);
        SafeTensors head = SafeTensors.open(export.resolve("head.safetensors"))) {
      float[] weight = head.floats("classifier.weight");
      float[] bias = head.floats("classifier.bias");
      List<String> texts =
          List.of(
              "a small domesticated feline",
              "rain",
              "to walk, without haste",
              "the act of pruning a tree so that it bears more fruit in the years that follow");
      List<Embedding> together =
          model.embedAll(texts.stream().map(TextSegment::from).toList()).content();
      for (int t = 0; t < texts.size(); t++) {
        String text = texts.get(t);
        float[] embedding = model.embed(text).content().vector();
        assertArrayEquals(embedding, together.get(t).vector(), 1e-5f, text);
        float[] logits =
            trained.predict(List.of(new Example(text, null, Example.UNLABELLED))).outputs();
        assertEquals(bias.length, logits.length);
        double[] products = new double[logits.length];
        double squares = 0;
        double mixed = 0;
        for (int k = 0; k < products.length; k++) {
          for (int i = 0; i < embedding.length; i++) {
            products[k] += weight[k * embedding.length + i] * embedding[i];
          }
          squares += products[k] * products[k];
          mixed += products[k] * (logits[k] - bias[k]);
        }
        double length = mixed / squares;
        assertTrue(length > 0, "length " + length);
        for (int k = 0; k < products.length; k++) {
          assertEquals(logits[k], bias[k] + length * products[k], 1e-4, text + ", class " + k);
        }
      }
    }
  }
}
