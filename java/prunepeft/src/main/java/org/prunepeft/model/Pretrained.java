package org.prunepeft.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.ReadFiles;
import org.prunepeft.torch.ComputeDevice;

/**
 * A pre-trained model's parts as they are stored.
 *
 * @param config of the encoder
 * @param tokenizer tokenizer.json
 * @param tokenizerFiles what else belongs to the tokenizer, by the files' names:
 *     tokenizer_config.json, special_tokens_map.json, added_tokens.json; may be empty
 * @param weights the encoder's, and perhaps a head's; closed with this
 * @param read the files that all this is read from; none where they are not known
 * @param configFile the content of config.json, of which {@code config} is what is computed by; a
 *     missing node where there is none
 */
public record Pretrained(
    EncoderConfig config,
    byte[] tokenizer,
    Map<String, byte[]> tokenizerFiles,
    Checkpoint weights,
    ReadFiles read,
    JsonNode configFile)
    implements Closeable {
  /** A model that has no config.json. */
  public Pretrained(
      EncoderConfig config,
      byte[] tokenizer,
      Map<String, byte[]> tokenizerFiles,
      Checkpoint weights,
      List<FileChecksum> files) {
    this(
        config,
        tokenizer,
        tokenizerFiles,
        weights,
        new ReadFiles(files, null),
        MissingNode.getInstance());
  }

  /** A model whose tokenizer is tokenizer.json alone, and whose files are not known. */
  public Pretrained(EncoderConfig config, byte[] tokenizer, Checkpoint weights) {
    this(config, tokenizer, Map.of(), weights, List.of());
  }

  /**
   * Writes it as Hugging Face's library would save it.
   *
   * @param directory new, or without files of these names
   * @throws IOException if writing fails, or the directory holds a model already
   */
  public void write(Path directory) throws IOException {
    Map<String, byte[]> files = new TreeMap<>(tokenizerFiles);
    if (!files.containsKey(HuggingFaceDirectory.TOKENIZER_CONFIG)) {
      files.put(HuggingFaceDirectory.TOKENIZER_CONFIG, tokenizerConfig().derived());
    }
    new HuggingFaceDirectory(directory).write(configToWrite(), tokenizer, files, weights);
  }

  /**
   * {@return the content of a config.json of the encoder with other weights: the model's own
   * without what is its head's or its weights', such as labels and quantization}
   */
  public Map<String, Object> configToWrite() {
    // A decoder's has the same said in several ways.
    return config.decoder() == null
        ? HuggingFaceConfig.write(config, configFile)
        : HuggingFaceConfig.write(config);
  }

  /**
   * Writes the tokenizer alone, as a model's directory has it, so that it opens without the model's
   * config.json.
   *
   * @param directory without files of these names
   * @param maxLength tokens at which it is to cut texts, special ones included; empty: as the
   *     model's files say
   * @throws IOException if writing fails, or the tokenizer is no JSON
   */
  public void writeTokenizer(Path directory, OptionalInt maxLength) throws IOException {
    new HuggingFaceDirectory(directory).writeTokenizer(tokenizer, tokenizerFilesToWrite(maxLength));
  }

  /**
   * {@return the tokenizer's files that belong into a directory beside tokenizer.json: the model's
   * own, of which tokenizer_config.json names the tokenizer's class; if there is none, one that
   * says what the tokenizer does}
   *
   * @param maxLength tokens at which it is to cut texts, special ones included; empty: as the
   *     model's files say
   * @throws IOException if the tokenizer is no JSON
   */
  public Map<String, byte[]> tokenizerFilesToWrite(OptionalInt maxLength) throws IOException {
    Map<String, byte[]> files = new TreeMap<>(tokenizerFiles);
    if (!files.containsKey(HuggingFaceDirectory.TOKENIZER_CONFIG)) {
      files.put(HuggingFaceDirectory.TOKENIZER_CONFIG, tokenizerConfig().derived());
    }
    files.put(HuggingFaceDirectory.TOKENIZER_CONFIG, tokenizerConfig().completed(files, maxLength));
    return files;
  }

  private TokenizerConfig tokenizerConfig() {
    return new TokenizerConfig(config, configFile, tokenizer);
  }

  /**
   * The encoder alone, without pooler and heads, its tensors named as in a model without a head:
   * encoder.layer.0.attention.self.query.weight.
   *
   * @return reads from {@link #weights}, and is closed with them
   * @throws org.prunepeft.io.FormatException if the weights are of another architecture
   */
  public Checkpoint encoder() throws IOException {
    return new EncoderWeights(weights, config).encoder();
  }

  /** Reads the encoder, which is a {@link Decoder} if the configuration is one's. */
  Encoder encoder(Precision precision, Quantization quantization, ComputeDevice device)
      throws IOException {
    return config.decoder() == null
        ? new PostNormEncoder(config, weights, precision, quantization, device)
        : new CausalDecoder(config, weights, precision, quantization, device);
  }

  /** {@return what the files hold; none where they are not known} */
  public List<FileChecksum> files() {
    return read.checksums();
  }

  /**
   * {@return the same model with the values that its linears have once they are quantised; closed
   * with this}
   *
   * @param quantization of the layers' linears
   */
  public Pretrained quantized(Quantization quantization) {
    return quantization.isForced()
        ? with(new QuantizedCheckpoint(weights, config, quantization))
        : this;
  }

  /**
   * {@return the same model with other weights; each is closed by whoever opened it}
   *
   * @param weights of the same architecture and sizes
   */
  public Pretrained with(Checkpoint weights) {
    return new Pretrained(config, tokenizer, tokenizerFiles, weights, read, configFile);
  }

  /** {@return the same model without a language model's own output layer} */
  Pretrained withoutLogits() {
    Map<String, String> names = new TreeMap<>();
    weights.names().forEach(name -> names.put(name, name));
    return names.remove(EncoderWeights.OUTPUT) == null
        ? this
        : with(new RenamedCheckpoint(weights, names));
  }

  @Override
  public void close() throws IOException {
    weights.close();
  }
}
