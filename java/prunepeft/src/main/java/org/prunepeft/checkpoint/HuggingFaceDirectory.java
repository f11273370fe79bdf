package org.prunepeft.checkpoint;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.CharConversionException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

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
  private static final Logger LOG = LoggerFactory.getLogger(HuggingFaceDirectory.class);

  public static final String CONFIG = "config.json";

  private static final String WEIGHTS = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  private static final String TOKENIZER = "tokenizer.json";
  public static final String TOKENIZER_CONFIG = "tokenizer_config.json";
  public static final String GENERATION_CONFIG = "generation_config.json";
  private static final String VOCABULARY = "vocab.txt";
  private static final String TOKENS_MAP = "special_tokens_map.json";
  private static final String ADDED_TOKENS = "added_tokens.json";
  public static final String TOKENIZER_CLASS = "tokenizer_class";

  /** What reads {@value #VOCABULARY} as {@link WordPieceVocabulary} does. */
  private static final Pattern WORD_PIECE_CLASS =
      Pattern.compile("(Bert|DistilBert|Electra)Tokenizer(Fast)?");

  private static final String DO_LOWER_CASE = "do_lower_case";
  private static final String STRIP_ACCENTS = "strip_accents";
  private static final String CHINESE = "tokenize_chinese_chars";

  /** Settings of these classes, and what they are called in tokenizer.json. */
  private static final Map<String, String> NORMALIZER =
      new TreeMap<>(
          Map.of(
              DO_LOWER_CASE,
              "lowercase",
              STRIP_ACCENTS,
              STRIP_ACCENTS,
              CHINESE,
              "handle_chinese_chars"));

  /** What sets tokenizer.json to its own {@value #PREFIX_SPACE}. */
  private static final Pattern ROBERTA_CLASS = Pattern.compile("RobertaTokenizer(Fast)?");

  private static final String PREFIX_SPACE = "add_prefix_space";
  public static final String TRUNCATION_SIDE = "truncation_side";

  private static final String TOKENIZER_REMEDY =
      "make one in Python: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)";

  /** What follows the encoder in a sentence encoder, and how its hidden states become one. */
  private static final String MODULES = "modules.json";

  private static final String POOLING = "1_Pooling/config.json";

  /** Of SentencePiece, tiktoken and Mistral, and what byte-level BPE had before tokenizer.json. */
  private static final List<String> OTHER_TOKENIZERS =
      List.of("tokenizer.model", "spiece.model", "tekken.json", "vocab.json");

  private static final List<String> OF_TOKENIZER =
      List.of(TOKENIZER_CONFIG, TOKENS_MAP, ADDED_TOKENS);

  private static final String CHAT_TEMPLATE = "chat_template.jinja";

  /** A directory of templates by their names, beside the default one. */
  private static final String MORE_TEMPLATES = "additional_chat_templates";

  /** Chat templates as transformers kept those of processors; ours are not read from it. */
  private static final String OTHER_CHAT_TEMPLATES = "chat_template.json";

  /** What decides what a language model writes, beside its weights and its tokenizer. */
  private static final List<String> OF_WRITING =
      List.of(
          CHAT_TEMPLATE,
          MORE_TEMPLATES + "/default.jinja",
          MORE_TEMPLATES + "/tool_use.jinja",
          GENERATION_CONFIG);

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
          OTHER_CHAT_TEMPLATES,
          GENERATION_CONFIG);

  /** Which Python classes are the model's or the tokenizer's. */
  private static final String AUTO_MAP = "auto_map";

  /** Far more than any configuration has. */
  private static final long MAX_CONFIG = 10_000_000;

  /** Those of large vocabularies have some 20 MB. */
  private static final long MAX_TOKENIZER = 200_000_000;

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .build();

  /** NaN and Infinity, and a member twice, as Python reads them. */
  private static final ObjectMapper PYTHON =
      JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

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

  private JsonNode object(String name) throws IOException {
    return object(directory.resolve(name), bytes(name, MAX_CONFIG));
  }

  private static JsonNode object(Path file, byte[] content) throws IOException {
    return object(JSON, file, content);
  }

  private static JsonNode object(ObjectMapper mapper, Path file, byte[] content)
      throws IOException {
    try {
      JsonNode node = mapper.readTree(content);
      if (!node.isObject()) {
        throw new FormatException(file + " holds no JSON object");
      }
      return node;
    } catch (JsonProcessingException e) {
      throw new FormatException(
          "%s is no JSON: %s (line %d)"
              .formatted(
                  file,
                  e.getOriginalMessage(),
                  e.getLocation() == null ? 1 : e.getLocation().getLineNr()),
          e);
    } catch (CharConversionException e) {
      throw new FormatException(file + " is no JSON: it is not UTF-8", e);
    }
  }

  private byte[] bytes(String name, long most) throws IOException {
    Path file = directory.resolve(name);
    if (Files.size(file) > most) {
      throw new FormatException(
          "%s has %d bytes; such a file has at most %d".formatted(file, Files.size(file), most));
    }
    return Files.readAllBytes(file);
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
    if (Files.exists(directory.resolve(TOKENIZER))) {
      byte[] tokenizer = wholeTokenizer();
      if (wordPiece && Files.exists(directory.resolve(TOKENIZER_CONFIG))) {
        requireSameNormalizer(tokenizer);
      }
      requireSamePrefixSpace(tokenizer);
      sayWhatDiffers(tokenizer);
      return tokenizer;
    }
    if (wordPiece && Files.exists(directory.resolve(VOCABULARY))) {
      return wordPieceTokenizer();
    }
    String other =
        OTHER_TOKENIZERS.stream()
            .filter(name -> Files.exists(directory.resolve(name)))
            .findFirst()
            .map(name -> ", but " + name + ", which is not read")
            .orElse("");
    throw new FormatException(
        "%s has no %s%s%s; %s"
            .formatted(
                directory,
                TOKENIZER,
                wordPiece ? " and no " + VOCABULARY : "",
                other,
                TOKENIZER_REMEDY));
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
    if (Files.exists(directory.resolve(CHAT_TEMPLATE))) {
      names.add(CHAT_TEMPLATE);
    }
    if (Files.isDirectory(directory.resolve(MORE_TEMPLATES))) {
      try (var files = Files.newDirectoryStream(directory.resolve(MORE_TEMPLATES), "*.jinja")) {
        files.forEach(file -> names.add(MORE_TEMPLATES + "/" + file.getFileName()));
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
   * What else decides what a language model writes: {@value #GENERATION_CONFIG} and the chat
   * templates that are read, as far as they are there.
   *
   * @throws IOException if reading fails
   */
  public List<FileChecksum> checksumsOfWriting() throws IOException {
    List<FileChecksum> checksums = new ArrayList<>();
    for (String name : OF_WRITING) {
      if (Files.exists(directory.resolve(name))) {
        checksums.add(FileChecksum.of(directory.resolve(name)));
      }
    }
    return checksums;
  }

  /**
   * {@return whether {@link #checksumsOfWriting} is of such a file}
   *
   * @param file a path, or a name alone
   */
  public static boolean isOfWriting(Path file) {
    return !isUnread(file)
        && OF_WRITING.stream().anyMatch(one -> Path.of(one).endsWith(name(file)));
  }

  /**
   * {@return whether a file is a chat template}
   *
   * @param file a path, or a name alone
   */
  public static boolean isTemplate(Path file) {
    String name = name(file);
    return name.endsWith(".jinja") || name.equals(OTHER_CHAT_TEMPLATES);
  }

  /**
   * {@return whether a file is a chat template that nothing here reads: one by another name than
   * those that are, or that of a processor}
   *
   * @param file a path, or a name alone
   */
  public static boolean isUnread(Path file) {
    String name = name(file);
    if (!name.endsWith(".jinja")) {
      return name.equals(OTHER_CHAT_TEMPLATES);
    }
    Path folder = file.getParent();
    return folder != null && folder.endsWith(MORE_TEMPLATES)
        ? !OF_WRITING.contains(MORE_TEMPLATES + "/" + name)
        : OF_WRITING.stream().noneMatch(one -> Path.of(one).endsWith(name));
  }

  /** Of a root, which has none, an empty one. */
  private static String name(Path file) {
    return Objects.toString(file.getFileName(), "");
  }

  private byte[] wholeTokenizer() throws IOException {
    byte[] tokenizer = bytes(TOKENIZER, MAX_TOKENIZER);
    JsonNode settings = tokenizerConfig();
    String kind = kind(settings);
    if (!SequenceTokens.decides(kind)) {
      return tokenizer;
    }
    try {
      return SequenceTokens.placed(tokenizer, kind, settings, settings(TOKENS_MAP));
    } catch (FormatException e) {
      throw new FormatException(directory + ": " + e.getMessage(), e);
    }
  }

  /** The tokenizer_class; empty if none is named. */
  private String kind(JsonNode settings) throws IOException {
    JsonNode named = settings.path(TOKENIZER_CLASS);
    return (named.isTextual() ? named : settings(CONFIG).path(TOKENIZER_CLASS)).asText("");
  }

  /** Settings that Python's library wrote; of an absent file none. */
  private JsonNode settings(String name) throws IOException {
    return Files.exists(directory.resolve(name))
        ? object(PYTHON, directory.resolve(name), bytes(name, MAX_CONFIG))
        : JSON.createObjectNode();
  }

  private byte[] wordPieceTokenizer() throws IOException {
    JsonNode settings = settings(TOKENIZER_CONFIG);
    requireWordPiece(settings);
    JsonNode accents = settings.path(STRIP_ACCENTS);
    byte[] vocabulary = bytes(VOCABULARY, MAX_TOKENIZER);
    try {
      return new WordPieceVocabulary(vocabulary)
          .tokenizerJson(
              settings.path(DO_LOWER_CASE).asBoolean(true),
              accents.isBoolean() ? accents.booleanValue() : null,
              settings.path(CHINESE).asBoolean(true));
    } catch (FormatException e) {
      throw new FormatException(directory + ": " + e.getMessage(), e);
    }
  }

  /**
   * Checks what Python's classes of BERT's tokenizers set tokenizer.json to. Where a setting is not
   * there they have a default, by which many cased models would be in lower case: tokenizer.json
   * counts then.
   */
  private void requireSameNormalizer(byte[] tokenizer) throws IOException {
    JsonNode settings = settings(TOKENIZER_CONFIG);
    JsonNode kind = tokenizerClass(settings);
    if (NORMALIZER.keySet().stream().noneMatch(settings::has)
        || kind.isTextual() && !WORD_PIECE_CLASS.matcher(kind.asText()).matches()) {
      return;
    }
    JsonNode normalizer = object(directory.resolve(TOKENIZER), tokenizer).path("normalizer");
    boolean lower = isSet(normalizer.path(NORMALIZER.get(DO_LOWER_CASE)), true);
    boolean lowerInPython = isSet(settings.path(DO_LOWER_CASE), lower);
    for (Map.Entry<String, String> names : NORMALIZER.entrySet()) {
      JsonNode inPython = settings.path(names.getKey());
      JsonNode own = normalizer.path(names.getValue());
      // Accents go with capitals, unless something is said of them.
      boolean accents = names.getKey().equals(STRIP_ACCENTS);
      if (!inPython.isMissingNode()
          && !own.isMissingNode()
          && isSet(inPython, !accents || lowerInPython) != isSet(own, !accents || lower)) {
        throw new FormatException(
            "%s has %s %s, by which Python goes, but the normalizer of %s beside it has %s %s; make them the same: %s writes both, into another directory, as Python has them"
                .formatted(
                    directory.resolve(TOKENIZER_CONFIG),
                    names.getKey(),
                    inPython,
                    TOKENIZER,
                    names.getValue(),
                    own,
                    "AutoTokenizer.from_pretrained(DIR).save_pretrained(NEW)"));
      }
    }
  }

  /**
   * Checks what Python's class of RoBERTa's tokenizer sets tokenizer.json to, whether the setting
   * is there or not.
   */
  private void requireSamePrefixSpace(byte[] tokenizer) throws IOException {
    JsonNode settings = settings(TOKENIZER_CONFIG);
    String kind = kind(settings);
    if (kind.isEmpty()
        ? !settings(CONFIG).path("model_type").asText().equals("roberta")
        : !ROBERTA_CLASS.matcher(kind).matches()) {
      return;
    }
    JsonNode words = part(tokenizer, "pre_tokenizer");
    boolean own = isSet(words.path(PREFIX_SPACE), true);
    boolean inPython = isSet(settings.path(PREFIX_SPACE), false);
    if (words.path("type").asText().equals("ByteLevel") && own != inPython) {
      throw new FormatException(
          "%s %s %s, by which Python's RobertaTokenizer goes, but the pre_tokenizer of %s beside it has %s; make them the same, as the model was trained"
              .formatted(
                  directory.resolve(TOKENIZER_CONFIG),
                  settings.has(PREFIX_SPACE)
                      ? "has " + PREFIX_SPACE
                      : "has no " + PREFIX_SPACE + ", which means",
                  inPython,
                  TOKENIZER,
                  own));
    }
  }

  /** Says where Python's tokenizer gives other tokens, of some texts or in some versions. */
  private void sayWhatDiffers(byte[] tokenizer) throws IOException {
    JsonNode settings = settings(TOKENIZER_CONFIG);
    if (cutsBeginnings(settings, tokenizer)) {
      LOG.warn(
          "{}: {} says {}: Python cuts the beginnings of texts that are too long, here their ends are cut",
          directory,
          settings.path(TRUNCATION_SIDE).isTextual() ? TOKENIZER_CONFIG : TOKENIZER,
          settings.path(TRUNCATION_SIDE).isTextual()
              ? TRUNCATION_SIDE + " left"
              : "truncation to the left");
    }
    String kind = kind(settings);
    if (!SequenceTokens.decides(kind) && SequenceTokens.named(settings)) {
      SequenceTokens.otherwiseInPython(tokenizer, kind, settings, settings(TOKENS_MAP))
          .ifPresent(
              placed ->
                  LOG.warn(
                      "{}: by add_bos_token and add_eos_token in {} version 5 of Hugging Face's library encodes a text as \"{}\", but the post_processor of {}, which holds here, places other tokens; make them the same, as the model was trained",
                      directory,
                      TOKENIZER_CONFIG,
                      placed,
                      TOKENIZER));
    }
  }

  /**
   * {@return whether Python's tokenizer cuts the beginnings of texts that are too long}
   *
   * @param settings tokenizer_config.json
   * @param tokenizer content of tokenizer.json, which counts where the settings say nothing
   */
  public static boolean cutsBeginnings(JsonNode settings, byte[] tokenizer) throws IOException {
    JsonNode side = settings.path(TRUNCATION_SIDE);
    return (side.isTextual() ? side : part(tokenizer, "truncation").path("direction"))
        .asText()
        .equalsIgnoreCase("left");
  }

  /** A member of tokenizer.json, without its vocabulary, which may be large; perhaps missing. */
  private static JsonNode part(byte[] tokenizer, String name) throws IOException {
    try (JsonParser json = JSON.createParser(tokenizer)) {
      json.nextToken();
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        boolean found = json.currentName().equals(name);
        json.nextToken();
        if (found) {
          return json.readValueAsTree();
        }
        json.skipChildren();
      }
    } catch (JsonProcessingException | CharConversionException e) {
      // Left for its reader to refuse.
    }
    return JSON.missingNode();
  }

  private static boolean isSet(JsonNode setting, boolean otherwise) {
    return setting.isBoolean() ? setting.booleanValue() : otherwise;
  }

  private JsonNode tokenizerClass(JsonNode settings) throws IOException {
    JsonNode named = settings.path(TOKENIZER_CLASS);
    return named.isTextual() ? named : config().path(TOKENIZER_CLASS);
  }

  /** Checks that the vocabulary is all that there is to its tokenizer, and that it is BERT's. */
  private void requireWordPiece(JsonNode settings) throws IOException {
    JsonNode kind = tokenizerClass(settings);
    if (kind.isTextual() && !WORD_PIECE_CLASS.matcher(kind.asText()).matches()) {
      throw new FormatException(
          "%s has no %s, but %s for a %s, which is not read; %s"
              .formatted(directory, TOKENIZER, VOCABULARY, kind.asText(), TOKENIZER_REMEDY));
    }
    List<String> added = new ArrayList<>();
    settings
        .path("added_tokens_decoder")
        .forEach(token -> added.add(token.path("content").asText()));
    if (Files.exists(directory.resolve(ADDED_TOKENS))) {
      object(ADDED_TOKENS).fieldNames().forEachRemaining(added::add);
    }
    added.removeAll(WordPieceVocabulary.SPECIAL);
    if (!added.isEmpty()) {
      throw new FormatException(
          "%s has no %s, but %s and beside it the added token '%s', which is not read; %s"
              .formatted(directory, TOKENIZER, VOCABULARY, added.get(0), TOKENIZER_REMEDY));
    }
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
        byte[] content = name.equals(TOKENIZER) ? wholeTokenizer() : bytes(name, MAX_TOKENIZER);
        copy(
            name,
            name.equals(TOKENIZER_CONFIG)
                ? withoutLocalCode(directory.resolve(name), content)
                : content,
            target);
      }
    }
    byte[] config = withoutLocalCode(directory.resolve(CONFIG), bytes(CONFIG, MAX_CONFIG));
    if (!changes.isEmpty()) {
      ObjectNode changed = (ObjectNode) object(directory.resolve(CONFIG), config);
      changes.forEach((name, value) -> changed.set(name, JSON.valueToTree(value)));
      changed.remove(changes.keySet().stream().filter(name -> changes.get(name) == null).toList());
      config = json(changed);
    }
    AtomicFile.write(target.resolve(CONFIG), config);
  }

  private static void copy(String name, byte[] content, Path target) throws IOException {
    Path file = target.resolve(name);
    Files.createDirectories(file.getParent());
    AtomicFile.write(file, content);
  }

  private static byte[] json(Object content) throws IOException {
    return (JSON.writeValueAsString(content) + "\n").getBytes(StandardCharsets.UTF_8);
  }

  /**
   * A configuration whose auto_map names no Python files beside it, which are not copied; as it is
   * where it names none.
   *
   * @param file where it is from
   */
  private static byte[] withoutLocalCode(Path file, byte[] content) throws IOException {
    if (!new String(content, StandardCharsets.UTF_8).contains(AUTO_MAP)) {
      return content; // such as one that Python alone can read
    }
    ObjectNode config = (ObjectNode) object(file, content);
    JsonNode named = config.path(AUTO_MAP);
    JsonNode kept = elsewhere(named);
    if (named.equals(kept) || named.isMissingNode()) {
      return content;
    }
    if (kept == null) {
      config.remove(AUTO_MAP);
    } else {
      config.set(AUTO_MAP, kept);
    }
    return json(config);
  }

  /**
   * What names code in another repository on the hub, before "--".
   *
   * @return null: nothing does
   */
  private static JsonNode elsewhere(JsonNode code) {
    if (code.isObject()) {
      ObjectNode kept = JSON.createObjectNode();
      code.properties()
          .forEach(
              entry -> {
                JsonNode own = elsewhere(entry.getValue());
                if (own != null) {
                  kept.set(entry.getKey(), own);
                }
              });
      return kept.isEmpty() ? null : kept;
    }
    if (code.isArray()) {
      // A tokenizer's: the slow and the fast one's, of which one may be null.
      ArrayNode kept = JSON.createArrayNode();
      code.forEach(entry -> kept.add(elsewhere(entry)));
      return kept.valueStream().allMatch(JsonNode::isNull) ? null : kept;
    }
    return code.isTextual() && code.asText().contains("--") ? code : null;
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
    AtomicFile.write(directory.resolve(CONFIG), json(config));
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
              ? withoutLocalCode(directory.resolve(file.getKey()), file.getValue())
              : file.getValue(),
          directory);
    }
  }
}
