package org.prunepeft.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.checkpoint.WordPieceVocabulary;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.testing.TestSeed;

/**
 * A small RoBERTa for sequence classification with random weights and a byte-level BPE tokenizer,
 * in a directory as Hugging Face's library saves it.
 */
final class RobertaDirectory {
  static final int LAYERS = 4;

  static final int HIDDEN = 32;
  private static final int INTERMEDIATE = 48;
  private static final int POSITIONS = 66;
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final List<String> MERGES =
      List.of("\u0120 t", "h e", "\u0120t he", "i n", "o r", "in g", "\u0120 a");

  private final Random random;
  private final Map<String, Tensor> tensors = new TreeMap<>();

  private RobertaDirectory(Random random) {
    this.random = random;
  }

  static void write(Path directory) throws IOException {
    write(directory, LAYERS);
  }

  static void write(Path directory, int layers) throws IOException {
    write(directory, layers, TestSeed.random());
  }

  static void write(Path directory, int layers, Random random) throws IOException {
    ObjectNode tokenizer = tokenizer();
    int vocabulary = tokenizer.at("/model/vocab").size();
    RobertaDirectory roberta = new RobertaDirectory(random);
    roberta.draw("roberta.", vocabulary, 1, layers);
    roberta.linear("classifier.dense", HIDDEN, HIDDEN);
    roberta.linear("classifier.out_proj", 2, HIDDEN);
    Map<String, Object> config = config(vocabulary, 1, layers);
    config.put("architectures", List.of("RobertaForSequenceClassification"));
    config.put("model_type", "roberta");
    config.put("pad_token_id", 1);
    config.put("layer_norm_eps", 1e-5);
    write(directory, config, JSON.writeValueAsBytes(tokenizer), roberta);
  }

  /** A small BERT, whose texts of a pair have different token types, with a WordPiece tokenizer. */
  static void writeBert(Path directory) throws IOException {
    List<String> tokens = List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]");
    RobertaDirectory bert = new RobertaDirectory(TestSeed.random());
    List<String> vocabulary = new ArrayList<>(tokens);
    vocabulary.addAll(List.of("the", "thing", "in", "or", "a", "other", "o", "##t", "##h"));
    bert.draw("bert.", vocabulary.size(), 2, LAYERS);
    Map<String, Object> config = config(vocabulary.size(), 2, LAYERS);
    config.put("model_type", "bert");
    byte[] file = String.join("\n", vocabulary).getBytes(StandardCharsets.UTF_8);
    write(directory, config, new WordPieceVocabulary(file).tokenizerJson(true, null, true), bert);
  }

  private static void write(
      Path directory, Map<String, Object> config, byte[] tokenizer, RobertaDirectory model)
      throws IOException {
    new HuggingFaceDirectory(directory)
        .write(config, tokenizer, Map.of(), new MapCheckpoint("memory", model.tensors));
  }

  /** What both have. */
  private static Map<String, Object> config(int vocabulary, int types, int layers) {
    Map<String, Object> config = new LinkedHashMap<>();
    config.put("hidden_size", HIDDEN);
    config.put("num_hidden_layers", layers);
    config.put("num_attention_heads", 4);
    config.put("intermediate_size", INTERMEDIATE);
    config.put("vocab_size", vocabulary);
    config.put("max_position_embeddings", POSITIONS);
    config.put("type_vocab_size", types);
    config.put("hidden_act", "gelu");
    return config;
  }

  private void draw(String prefix, int vocabulary, int types, int layers) {
    normal(prefix + "embeddings.word_embeddings.weight", vocabulary, HIDDEN);
    normal(prefix + "embeddings.position_embeddings.weight", POSITIONS, HIDDEN);
    normal(prefix + "embeddings.token_type_embeddings.weight", types, HIDDEN);
    norm(prefix + "embeddings.LayerNorm");
    for (int layer = 0; layer < layers; layer++) {
      String path = prefix + "encoder.layer." + layer + ".";
      for (String projection : List.of("query", "key", "value")) {
        linear(path + "attention.self." + projection, HIDDEN, HIDDEN);
      }
      linear(path + "attention.output.dense", HIDDEN, HIDDEN);
      norm(path + "attention.output.LayerNorm");
      linear(path + "intermediate.dense", INTERMEDIATE, HIDDEN);
      linear(path + "output.dense", HIDDEN, INTERMEDIATE);
      norm(path + "output.LayerNorm");
    }
  }

  private void linear(String path, int rows, int cols) {
    normal(path + ".weight", rows, cols);
    normal(path + ".bias", rows);
  }

  private void norm(String path) {
    put(path + ".weight", 1, HIDDEN);
    put(path + ".bias", 0, HIDDEN);
  }

  private void normal(String name, long... shape) {
    put(name, 0, shape);
  }

  private void put(String name, double mean, long... shape) {
    float[] values = new float[(int) (shape.length == 1 ? shape[0] : shape[0] * shape[1])];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (mean + 0.1 * random.nextGaussian());
    }
    tensors.put(name, new Tensor(shape, values));
  }

  /** Byte-level BPE with five special tokens before the bytes: start 0, padding 1, end 2. */
  static ObjectNode tokenizer() {
    List<String> tokens = new ArrayList<>(List.of("<s>", "<pad>", "</s>", "<unk>", "<mask>"));
    ObjectNode json = JSON.createObjectNode();
    json.put("version", "1.0").putNull("truncation").putNull("padding");
    ArrayNode added = json.putArray("added_tokens");
    for (String special : tokens) {
      added
          .addObject()
          .put("id", tokens.indexOf(special))
          .put("content", special)
          .put("single_word", false)
          .put("lstrip", special.equals("<mask>"))
          .put("rstrip", false)
          .put("normalized", false)
          .put("special", true);
    }
    json.putNull("normalizer");
    json.putObject("pre_tokenizer")
        .put("type", "ByteLevel")
        .put("add_prefix_space", false)
        .put("trim_offsets", true)
        .put("use_regex", true);
    ObjectNode post = json.putObject("post_processor").put("type", "RobertaProcessing");
    post.putArray("sep").add("</s>").add(2);
    post.putArray("cls").add("<s>").add(0);
    post.put("trim_offsets", true).put("add_prefix_space", false);
    json.putObject("decoder")
        .put("type", "ByteLevel")
        .put("add_prefix_space", true)
        .put("trim_offsets", true)
        .put("use_regex", true);
    // A character for each byte: printable ones stand for themselves, the others follow from 256
    // on.
    int next = 256;
    for (int value = 0; value < 256; value++) {
      boolean printable =
          value >= '!' && value <= '~' || value >= 0xa1 && value <= 0xac || value >= 0xae;
      tokens.add(String.valueOf((char) (printable ? value : next++)));
    }
    ObjectNode model = json.putObject("model").put("type", "BPE");
    model.putNull("dropout").putNull("unk_token");
    model.put("continuing_subword_prefix", "").put("end_of_word_suffix", "");
    model.put("fuse_unk", false).put("byte_fallback", false);
    ArrayNode merges = model.putArray("merges");
    for (String merge : MERGES) {
      merges.add(merge);
      tokens.add(merge.replace(" ", ""));
    }
    ObjectNode vocabulary = model.putObject("vocab");
    for (String token : tokens) {
      vocabulary.put(token, vocabulary.size());
    }
    return json;
  }
}
