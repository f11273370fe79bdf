package org.prunepeft.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.FileStates;
import org.prunepeft.io.MavenArtifact;
import org.prunepeft.io.ReadFiles;
import org.prunepeft.text.Spelling;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Torch;

/** The models that are known by name. */
public final class Models {
  /**
   * A model that can be loaded.
   *
   * @param name what commands call it
   * @param description one line
   * @param source where its weights come from
   * @param licence of the weights
   * @param download the jar that holds it; null: it comes with the program
   * @param loader loads it
   */
  public record KnownModel(
      String name,
      String description,
      String source,
      String licence,
      MavenArtifact download,
      Loader loader) {
    /** A model that comes with the program. */
    public KnownModel(
        String name, String description, String source, String licence, Loader loader) {
      this(name, description, source, licence, null, loader);
    }
  }

  /** Loads a model. */
  @FunctionalInterface
  public interface Loader {
    /**
     * Loads it.
     *
     * @param precision of frozen weights and activations
     * @param device where its tensors are to lie
     * @return its encoder and tokenizer, the encoder the caller's to close
     */
    LoadedModel load(Precision precision, ComputeDevice device);

    /**
     * Loads it with the layers' frozen weights quantised, each as it is read: the floats of all are
     * never in memory. A model of a program's own is loaded dense, as here.
     *
     * @param precision of the other frozen weights and of activations
     * @param quantization of the layers' linears
     * @param device where its tensors are to lie
     * @return its encoder and tokenizer, the encoder the caller's to close
     * @throws IllegalArgumentException if it is to be quantised and can't be
     */
    default LoadedModel load(Precision precision, Quantization quantization, ComputeDevice device) {
      if (quantization.isForced()) {
        throw new IllegalArgumentException(
            "this model of a program's own is not loaded in %s; leave out --quantize"
                .formatted(quantization));
      }
      return load(precision, device);
    }

    /**
     * Loads it in float32 on the CPU.
     *
     * @return its encoder and tokenizer, the encoder the caller's to close
     */
    default LoadedModel load() {
      return load(Precision.FLOAT32, ComputeDevice.CPU);
    }

    /**
     * {@return what loads it for other tasks than texts: of a language model all but an output
     * layer of its own}
     */
    default Loader withoutLogits() {
      return this;
    }

    /**
     * {@return whether the model was trained to encode texts by themselves, so that the mean of its
     * last hidden states stands for a text}
     */
    default boolean sentenceEncoder() {
      return false;
    }

    /**
     * Opens the model's files without making an encoder of them: for a conversion.
     *
     * @return the parts, the caller's to close
     * @throws UnsupportedOperationException if the model is not made of such files
     * @throws IOException if reading fails
     */
    default Pretrained open() throws IOException {
      throw new UnsupportedOperationException("this model cannot be written as a directory");
    }
  }

  /** Opens the parts of a pre-trained model. */
  @FunctionalInterface
  interface Opener {
    Pretrained open() throws IOException;
  }

  record PretrainedLoader(Opener opener, boolean sentenceEncoder) implements Loader {
    @Override
    public Loader withoutLogits() {
      return new PretrainedLoader(() -> opener.open().withoutLogits(), sentenceEncoder);
    }

    @Override
    public Pretrained open() throws IOException {
      return opener.open();
    }

    @Override
    public LoadedModel load(Precision precision, ComputeDevice device) {
      return load(precision, Quantization.NONE, device);
    }

    @Override
    public LoadedModel load(Precision precision, Quantization quantization, ComputeDevice device) {
      Torch.load();
      try (Pretrained parts = opener.open()) {
        Encoder encoder = parts.encoder(precision, quantization, device);
        try {
          parts.read().requireUnchanged();
        } catch (Throwable e) {
          encoder.close();
          throw e;
        }
        return new LoadedModel(encoder, parts.tokenizer(), parts.files());
      } catch (IOException e) {
        throw new UncheckedIOException(e.getMessage(), e);
      }
    }
  }

  /**
   * A model with what its texts need.
   *
   * @param encoder the caller's to close
   * @param tokenizer tokenizer.json
   * @param files what its files hold; none where they are not known
   */
  public record LoadedModel(Encoder encoder, byte[] tokenizer, List<FileChecksum> files) {
    /** A model whose files are not known. */
    public LoadedModel(Encoder encoder, byte[] tokenizer) {
      this(encoder, tokenizer, List.of());
    }
  }

  private static final Map<String, KnownModel> ENTRIES = new ConcurrentHashMap<>();

  static {
    BuiltInModels.ALL.forEach(Models::register);
  }

  /** What Hugging Face's hub calls a model, and what people call it; by the name here. */
  private static final Map<String, List<String>> HUB_NAMES =
      Map.of(
          "minilm", List.of("sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
          "bge-small", List.of("BAAI/bge-small-en-v1.5", "bge-small-en-v1.5"),
          "bert-base", List.of("google-bert/bert-base-uncased", "bert-base-uncased"));

  private Models() {}

  /**
   * Adds a model, or replaces the one of the same name.
   *
   * @param entry the model with its name
   */
  public static void register(KnownModel entry) {
    ENTRIES.put(entry.name(), entry);
  }

  /** {@return all models, by name} */
  public static List<KnownModel> all() {
    return ENTRIES.values().stream()
        .sorted(java.util.Comparator.comparing(KnownModel::name))
        .toList();
  }

  /**
   * {@return a model}
   *
   * @param name one of {@link #all}, or its name on Hugging Face's hub, such as
   *     sentence-transformers/all-MiniLM-L6-v2; or the path of a directory as Hugging Face's
   *     library saves models: config.json, model.safetensors (or shards), tokenizer.json
   * @throws IllegalArgumentException if there is none of that name, and no such directory, or it is
   *     empty
   * @throws UncheckedIOException if the directory's configuration cannot be read or is not
   *     supported
   */
  public static KnownModel byName(String name) {
    if (name.isEmpty()) {
      throw new IllegalArgumentException(
          "the model's name is empty; name a model or its directory, . for the one at hand");
    }
    KnownModel entry = ENTRIES.get(name);
    if (entry == null && Files.isDirectory(Path.of(name))) {
      return directory(Path.of(name));
    }
    entry = entry == null ? ENTRIES.get(localName(name)) : entry;
    if (entry == null) {
      throw new IllegalArgumentException(
          Spelling.unknown("model", name, all().stream().map(KnownModel::name).toList())
              + ", or a directory with config.json, model.safetensors and tokenizer.json");
    }
    return entry;
  }

  /**
   * {@return what the hub calls a model that is known here}
   *
   * @param name one of {@link #all}
   */
  public static Optional<String> hubName(String name) {
    return Optional.ofNullable(HUB_NAMES.get(name)).map(names -> names.get(0));
  }

  /**
   * {@return the name here of a model that the hub knows by another; else what is given}
   *
   * @param name of a model, here or on the hub
   */
  public static String localName(String name) {
    return HUB_NAMES.entrySet().stream()
        .filter(entry -> entry.getValue().contains(name))
        .map(Map.Entry::getKey)
        .findFirst()
        .orElse(name);
  }

  /**
   * The longest sequence in tokens that a directory's model takes, as its configuration says.
   *
   * @param name as {@link #byName} takes it
   * @return empty if it is not a directory's
   * @throws UncheckedIOException if the configuration cannot be read or is not supported
   */
  public static OptionalInt maxTokens(String name) {
    return directoryConfig(name)
        .map(config -> OptionalInt.of(config.maxTokens()))
        .orElse(OptionalInt.empty());
  }

  /**
   * {@return the shape of a directory's model, as its configuration says; empty if it is none}
   *
   * @param name as {@link #byName} takes it
   * @throws UncheckedIOException if the configuration cannot be read or is not supported
   */
  public static Optional<EncoderConfig> directoryConfig(String name) {
    Optional<Path> directory = directory(name);
    try {
      return directory.isEmpty()
          ? Optional.empty()
          : Optional.of(config(new HuggingFaceDirectory(directory.get())));
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  /**
   * {@return what a directory's checkpoint is quantised to, as its configuration says; NONE: it is
   * not}
   *
   * @param name as {@link #byName} takes it
   * @throws UncheckedIOException if the configuration cannot be read
   */
  public static Quantization storedQuantization(String name) {
    Optional<Path> directory = directory(name);
    if (directory.isEmpty()) {
      return Quantization.NONE;
    }
    try {
      JsonNode own = new HuggingFaceDirectory(directory.get()).config().path("quantization_config");
      return own.path("load_in_4bit").asBoolean()
          ? Quantization.NF4
          : own.path("load_in_8bit").asBoolean() ? Quantization.INT8 : Quantization.NONE;
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  /**
   * {@return whether a directory's model is a decoder, as its configuration says}
   *
   * @param name as {@link #byName} takes it
   * @throws UncheckedIOException if the configuration cannot be read or is not supported
   */
  public static boolean isDecoder(String name) {
    return directoryConfig(name).map(config -> config.decoder() != null).orElse(false);
  }

  /**
   * {@return the directory of a model that is one, absolute; of an empty name none}
   *
   * @param name as {@link #byName} takes it
   */
  public static Optional<Path> directory(String name) {
    // The path of an empty name is the working directory.
    return name.isEmpty() || ENTRIES.containsKey(name) || !Files.isDirectory(Path.of(name))
        ? Optional.empty()
        : Optional.of(Path.of(name).toAbsolutePath().normalize());
  }

  private static EncoderConfig config(HuggingFaceDirectory directory) throws IOException {
    Path file = directory.path().resolve(HuggingFaceDirectory.CONFIG);
    EncoderConfig config = HuggingFaceConfig.read(directory.config(), file.toString());
    return config.decoder() == null
        ? config
        : HuggingFaceConfig.with(
            config, directory.generationConfig(), directory.tokenizerConfig(), directory.path());
  }

  private static KnownModel directory(Path path) {
    try {
      HuggingFaceDirectory directory = new HuggingFaceDirectory(path);
      FileStates before = directory.states();
      EncoderConfig config = config(directory);
      Path name = path.toAbsolutePath().normalize().getFileName();
      return new KnownModel(
          name == null ? path.toString() : name.toString(),
          "%s of %d layers, hidden size %d"
              .formatted(config.architecture(), config.layers(), config.hidden()),
          path.toString(),
          "as its model card says",
          new PretrainedLoader(
              () -> directory(directory, config, before), directory.poolsSentences()));
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  private static Pretrained directory(
      HuggingFaceDirectory directory, EncoderConfig config, FileStates before) throws IOException {
    boolean wordPiece = config.architecture().tokenizerModel().equals("WordPiece");
    byte[] tokenizer = directory.tokenizer(wordPiece);
    if (config.decoder() != null) {
      TokenizerVocabulary.requireFits(tokenizer, config, directory.path());
    }
    Map<String, byte[]> tokenizerFiles = directory.tokenizerFiles();
    Checkpoint weights = directory.weights();
    return closedUnlessOpened(
        weights,
        () ->
            new Pretrained(
                config,
                tokenizer,
                tokenizerFiles,
                weights,
                new ReadFiles(checksums(directory, config, wordPiece), before),
                directory.config()));
  }

  private static List<FileChecksum> checksums(
      HuggingFaceDirectory directory, EncoderConfig config, boolean wordPiece) throws IOException {
    List<FileChecksum> files = new ArrayList<>(directory.checksums(wordPiece));
    if (config.decoder() != null) {
      files.addAll(directory.checksumsOfWriting());
    }
    return files;
  }

  /** What is made of weights, which are closed if it fails. */
  static Pretrained closedUnlessOpened(Checkpoint weights, Opener opener) throws IOException {
    try {
      return opener.open();
    } catch (Throwable e) {
      weights.close();
      throw e;
    }
  }
}
