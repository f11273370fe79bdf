package org.prunepeft.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.FileStates;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors;

/**
 * A model as Hugging Face's library saves it.
 *
 * <table>
 *   <caption>Files</caption>
 *   <tr><th>name</th><th>content</th></tr>
 *   <tr><td>config.json</td><td>model_type, sizes, ...</td></tr>
 *   <tr><td>model.safetensors, or model.safetensors.index.json and shards</td><td>weights</td></tr>
 *   <tr><td>tokenizer.json</td><td>the tokenizer; instead of it, BERT's may be vocab.txt, with {@code
 *       do_lower_case}, {@code strip_accents} and {@code tokenize_chinese_chars} in
 *       tokenizer_config.json</td></tr>
 *   <tr><td>tokenizer_config.json, special_tokens_map.json, added_tokens.json</td><td>what Python's
 *       class of the tokenizer is set to</td></tr>
 *   <tr><td>generation_config.json</td><td>of a language model: which tokens end a text
 *       too</td></tr>
 *   <tr><td>chat_template.jinja, additional_chat_templates/*.jinja</td><td>how a language model's
 *       conversations are written</td></tr>
 *   <tr><td>modules.json, 1_Pooling/config.json</td><td>of a sentence encoder</td></tr>
 * </table>
 */
public final class HuggingFaceDirectory {
  public static final String CONFIG = "config.json";

  private static final String WEIGHTS = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  static final String TOKENIZER = "tokenizer.json";
  public static final String TOKENIZER_CONFIG = "tokenizer_config.json";
  public static final String GENERATION_CONFIG = "generation_config.json";
  static final String VOCABULARY = "vocab.txt";
  static final String TOKENS_MAP = "special_tokens_map.json";
  static final String ADDED_TOKENS = "added_tokens.json";
  public static final String TOKENIZER_CLASS = "tokenizer_class";

  public static final String TRUNCATION_SIDE = "truncation_side";

  /** What follows the encoder in a sentence encoder, and how its hidden states become one. */
  private static final String MODULES = "modules.json";

  private static final String POOLING = "1_Pooling/config.json";

  private static final List<String> OF_TOKENIZER =
      List.of(TOKENIZER_CONFIG, TOKENS_MAP, ADDED_TOKENS);

  /** What a language model may have beside its weights, chat templates and {@value #CONFIG}. */
  private static final List<String> OF_LANGUAGE_MODEL =
      List.of(
          TOKENIZER,
          TOKENIZER_CONFIG,
          TOKENS_MAP,
          ADDED_TOKENS,
          "tokenizer.model",
          "vocab.json",
          "merges.txt",
          WritingFiles.OF_PROCESSORS,
          GENERATION_CONFIG);

  /** Far more than any configuration has. */
  private static final int MAX_CONFIG = 10_000_000;

  /** Those of large vocabularies have some 20 MB. */
  static final int MAX_TOKENIZER = 200_000_000;

  private final Path directory;

  public HuggingFaceDirectory(Path directory) {
    this.directory = directory;
  }

  public Path path() {
    return directory;
  }

  /**
   * What config.json says.
   *
   * @return a JSON object
   * @throws FormatException if it is missing or no JSON object
   * @throws IOException if reading fails
   */
  public JsonNode config() throws IOException {
    if (!Files.exists(directory.resolve(CONFIG))) {
      throw new FormatException(directory + " is no model directory: it has no " + CONFIG);
    }
    return object(CONFIG);
  }

  /**
   * {@return what generation_config.json says; of an absent file an empty object}
   *
   * @throws FormatException if it is no JSON object
   * @throws IOException if reading fails
   */
  public JsonNode generationConfig() throws IOException {
    return settings(GENERATION_CONFIG);
  }

  /**
   * {@return what tokenizer_config.json says; of an absent file an empty object}
   *
   * @throws FormatException if it is no JSON object
   * @throws IOException if reading fails
   */
  public JsonNode tokenizerConfig() throws IOException {
    return settings(TOKENIZER_CONFIG);
  }

  /**
   * {@return whether it is a sentence encoder's, as the library sentence-transformers saves them}
   */
  public boolean poolsSentences() {
    return Files.exists(directory.resolve(MODULES)) && Files.exists(directory.resolve(POOLING));
  }

  JsonNode object(String name) throws IOException {
    return ModelJson.object(directory.resolve(name), bytes(name, MAX_CONFIG));
  }

  byte[] bytes(String name, int most) throws IOException {
    return BoundedFile.read(BoundedFile.regular(directory.resolve(name)), most);
  }

  /**
   * Opens the weights; values are read later, each by its position. What bitsandbytes quantised is
   * read as float numbers.
   *
   * @return to be closed by the caller
   * @throws FormatException if there are none, or their files are not what the format allows
   * @throws IOException if reading fails
   */
  public Checkpoint weights() throws IOException {
    Checkpoint stored = storedWeights();
    try {
      return BitsAndBytes.of(stored);
    } catch (Throwable e) {
      stored.close();
      throw e;
    }
  }

  private Checkpoint storedWeights() throws IOException {
    if (Files.exists(directory.resolve(WEIGHTS))) {
      return SafeTensors.open(directory.resolve(WEIGHTS));
    }
    if (Files.exists(directory.resolve(INDEX))) {
      return ShardedSafeTensors.open(directory.resolve(INDEX));
    }
    String others =
        Files.exists(directory.resolve("pytorch_model.bin"))
                || Files.exists(directory.resolve("pytorch_model.bin.index.json"))
            ? "; convert its pytorch_model.bin in Python, into another directory:"
                + " AutoModel.from_pretrained(DIR).save_pretrained(NEW), of a language model"
                + " AutoModelForCausalLM, which keeps its output layer, and"
                + " AutoTokenizer.from_pretrained(DIR).save_pretrained(NEW)"
            : "";
    throw new FormatException(
        "%s has neither %s nor %s%s".formatted(directory, WEIGHTS, INDEX, others));
  }

  /**
   * The tokenizer. It places the tokens that tokenizer_config.json asks for, as Python's class of
   * it does ({@link SequenceTokens}).
   *
   * @param wordPiece whether the architecture's tokenizer is BERT's, so that vocab.txt will do
   * @return a tokenizer.json
   * @throws FormatException if there is none, or vocab.txt alone and its tokenizer is not BERT's,
   *     or {@value #TOKENIZER_CONFIG} sets BERT's or RoBERTa's tokenizer to something else than
   *     tokenizer.json
   * @throws IOException if reading fails
   */
  public byte[] tokenizer(boolean wordPiece) throws IOException {
    return new DirectoryTokenizer(this).of(wordPiece);
  }

  /**
   * What there is of the tokenizer beside tokenizer.json, chat templates among it.
   *
   * @return contents by the files' names, as they are; may be empty
   * @throws IOException if reading fails
   */
  public Map<String, byte[]> tokenizerFiles() throws IOException {
    Map<String, byte[]> files = new TreeMap<>();
    for (String name : OF_TOKENIZER) {
      if (Files.exists(directory.resolve(name))) {
        files.put(name, bytes(name, MAX_CONFIG));
      }
    }
    for (String name : chatTemplates()) {
      files.put(name, bytes(name, MAX_CONFIG));
    }
    return files;
  }

  /** The names of the files of chat templates, which may be in a directory of their own, sorted. */
  private List<String> chatTemplates() throws IOException {
    List<String> names = new ArrayList<>();
    if (Files.exists(directory.resolve(WritingFiles.CHAT_TEMPLATE))) {
      names.add(WritingFiles.CHAT_TEMPLATE);
    }
    if (Files.isDirectory(directory.resolve(WritingFiles.MORE_TEMPLATES))) {
      try (var files =
          Files.newDirectoryStream(directory.resolve(WritingFiles.MORE_TEMPLATES), "*.jinja")) {
        files.forEach(file -> names.add(WritingFiles.MORE_TEMPLATES + "/" + file.getFileName()));
      }
    }
    Collections.sort(names);
    return names;
  }

  /**
   * What the files hold that the model is read from.
   *
   * @param wordPiece as {@link #tokenizer} takes it
   * @throws IOException if reading fails
   */
  public List<FileChecksum> checksums(boolean wordPiece) throws IOException {
    Set<String> names = new LinkedHashSet<>(List.of(CONFIG));
    if (Files.exists(directory.resolve(WEIGHTS))) {
      names.add(WEIGHTS);
    } else {
      names.add(INDEX);
      names.addAll(ShardedSafeTensors.files(directory.resolve(INDEX)));
    }
    boolean whole = Files.exists(directory.resolve(TOKENIZER));
    names.add(!whole && wordPiece ? VOCABULARY : TOKENIZER);
    OF_TOKENIZER.stream().filter(name -> Files.exists(directory.resolve(name))).forEach(names::add);
    List<FileChecksum> checksums = new ArrayList<>();
    for (String name : names) {
      checksums.add(FileChecksum.of(directory.resolve(name)));
    }
    return checksums;
  }

  /**
   * {@return how the files are now that a model may be read from, before any is; which of them are
   * not there, too}
   *
   * @throws FormatException if the shards' index is not what the format allows
   * @throws IOException if it can't be read
   */
  public FileStates states() throws IOException {
    Set<String> names = new LinkedHashSet<>(List.of(CONFIG, WEIGHTS, INDEX, TOKENIZER, VOCABULARY));
    names.addAll(OF_TOKENIZER);
    names.addAll(WritingFiles.NAMES);
    if (Files.notExists(directory.resolve(WEIGHTS)) && Files.exists(directory.resolve(INDEX))) {
      names.addAll(ShardedSafeTensors.files(directory.resolve(INDEX)));
    }
    return new FileStates(names.stream().map(directory::resolve).toList());
  }

  /**
   * What else decides what a language model writes: {@value #GENERATION_CONFIG} and the chat
   * templates that are read, as far as they are there.
   *
   * @throws IOException if reading fails
   */
  public List<FileChecksum> checksumsOfWriting() throws IOException {
    List<FileChecksum> checksums = new ArrayList<>();
    for (String name : WritingFiles.NAMES) {
      if (Files.exists(directory.resolve(name))) {
        checksums.add(FileChecksum.of(directory.resolve(name)));
      }
    }
    return checksums;
  }

  /** Settings that Python's library wrote; of an absent file none. */
  JsonNode settings(String name) throws IOException {
    return Files.exists(directory.resolve(name))
        ? ModelJson.objectOfPython(directory.resolve(name), bytes(name, MAX_CONFIG))
        : ModelJson.JSON.createObjectNode();
  }

  /**
   * Writes a model: weights as float32 in one file, each file only as a whole, the configuration
   * last.
   *
   * @param config content of config.json
   * @param tokenizer content of tokenizer.json
   * @param tokenizerFiles the tokenizer's other files, contents by name
   * @throws IOException if writing fails, or the directory holds one of the files already
   */
  public void write(
      Map<String, Object> config,
      byte[] tokenizer,
      Map<String, byte[]> tokenizerFiles,
      Checkpoint weights)
      throws IOException {
    Files.createDirectories(directory);
    List<String> names = new ArrayList<>(List.of(CONFIG, WEIGHTS, INDEX, TOKENIZER));
    names.addAll(OF_TOKENIZER);
    for (String name : names) {
      if (Files.exists(directory.resolve(name))) {
        throw new IOException(
            "%s is there already; name a new directory".formatted(directory.resolve(name)));
      }
    }
    SafeTensors.write(directory.resolve(WEIGHTS), weights);
    writeDescription(config, tokenizer, tokenizerFiles);
  }

  /**
   * Writes a language model that differs from this one in its weights alone: they in one file, and
   * copies of the files of tokenizer, chat template and generation, each only as a whole, the
   * configuration last. Python files are not copied, and no auto_map names them.
   *
   * @param target a directory without these files
   * @param weights by their names
   * @param changes members of config.json that are others than here, null where one goes
   * @throws IOException if reading or writing fails
   */
  public void copyLanguageModel(
      Path target, Map<String, ? extends SafeTensors.Source> weights, Map<String, Object> changes)
      throws IOException {
    SafeTensors.write(target.resolve(WEIGHTS), weights, Map.of("format", "pt"));
    for (String name : chatTemplates()) {
      copy(name, bytes(name, MAX_CONFIG), target);
    }
    for (String name : OF_LANGUAGE_MODEL) {
      if (Files.exists(directory.resolve(name))) {
        byte[] content =
            name.equals(TOKENIZER)
                ? new DirectoryTokenizer(this).whole()
                : bytes(name, MAX_TOKENIZER);
        copy(
            name,
            name.equals(TOKENIZER_CONFIG)
                ? LocalCode.without(directory.resolve(name), content)
                : content,
            target);
      }
    }
    byte[] config = LocalCode.without(directory.resolve(CONFIG), bytes(CONFIG, MAX_CONFIG));
    if (!changes.isEmpty()) {
      ObjectNode changed = (ObjectNode) ModelJson.object(directory.resolve(CONFIG), config);
      changes.forEach((name, value) -> changed.set(name, ModelJson.JSON.valueToTree(value)));
      changed.remove(changes.keySet().stream().filter(name -> changes.get(name) == null).toList());
      config = ModelJson.bytes(changed);
    }
    AtomicFile.write(target.resolve(CONFIG), config);
  }

  private static void copy(String name, byte[] content, Path target) throws IOException {
    Path file = target.resolve(name);
    Files.createDirectories(file.getParent());
    AtomicFile.write(file, content);
  }

  /**
   * Writes what belongs to a model beside its weights, each file only as a whole, the configuration
   * last.
   *
   * @param config content of config.json
   * @param tokenizer content of tokenizer.json
   * @param tokenizerFiles the tokenizer's other files, contents by name
   * @throws IOException if writing fails
   */
  public void writeDescription(
      Map<String, Object> config, byte[] tokenizer, Map<String, byte[]> tokenizerFiles)
      throws IOException {
    writeTokenizer(tokenizer, tokenizerFiles);
    AtomicFile.write(directory.resolve(CONFIG), ModelJson.bytes(config));
  }

  /**
   * Writes a tokenizer, without the names of Python files beside it in auto_map.
   *
   * @param tokenizer content of tokenizer.json
   * @param files its other files, contents by name
   * @throws IOException if writing fails
   */
  public void writeTokenizer(byte[] tokenizer, Map<String, byte[]> files) throws IOException {
    AtomicFile.write(directory.resolve(TOKENIZER), tokenizer);
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      copy(
          file.getKey(),
          file.getKey().equals(TOKENIZER_CONFIG)
              ? LocalCode.without(directory.resolve(file.getKey()), file.getValue())
              : file.getValue(),
          directory);
    }
  }
}
