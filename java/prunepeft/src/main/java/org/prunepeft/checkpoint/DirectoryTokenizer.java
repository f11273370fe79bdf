package org.prunepeft.checkpoint;

import static org.prunepeft.checkpoint.HuggingFaceDirectory.ADDED_TOKENS;
import static org.prunepeft.checkpoint.HuggingFaceDirectory.CONFIG;
import static org.prunepeft.checkpoint.HuggingFaceDirectory.MAX_TOKENIZER;
import static org.prunepeft.checkpoint.HuggingFaceDirectory.TOKENIZER;
import static org.prunepeft.checkpoint.HuggingFaceDirectory.TOKENIZER_CLASS;
import static org.prunepeft.checkpoint.HuggingFaceDirectory.TOKENIZER_CONFIG;
import static org.prunepeft.checkpoint.HuggingFaceDirectory.TOKENS_MAP;
import static org.prunepeft.checkpoint.HuggingFaceDirectory.TRUNCATION_SIDE;
import static org.prunepeft.checkpoint.HuggingFaceDirectory.VOCABULARY;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.prunepeft.io.FormatException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The tokenizer of a model directory, which is tokenizer.json or BERT's vocab.txt, checked against
 * what Python's class of it makes of the settings beside it.
 */
final class DirectoryTokenizer {
  private static final Logger LOG = LoggerFactory.getLogger(DirectoryTokenizer.class);

  /** What reads {@value HuggingFaceDirectory#VOCABULARY} as {@link WordPieceVocabulary} does. */
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

  private static final String TOKENIZER_REMEDY =
      "make one in Python: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)";

  /** Of SentencePiece, tiktoken and Mistral, and what byte-level BPE had before tokenizer.json. */
  private static final List<String> OTHER_TOKENIZERS =
      List.of("tokenizer.model", "spiece.model", "tekken.json", "vocab.json");

  private final HuggingFaceDirectory files;

  DirectoryTokenizer(HuggingFaceDirectory files) {
    this.files = files;
  }

  /**
   * {@return a tokenizer.json}
   *
   * @param wordPiece as {@link HuggingFaceDirectory#tokenizer} takes it
   */
  byte[] of(boolean wordPiece) throws IOException {
    if (Files.exists(files.path().resolve(TOKENIZER))) {
      byte[] tokenizer = whole();
      if (wordPiece && Files.exists(files.path().resolve(TOKENIZER_CONFIG))) {
        requireSameNormalizer(tokenizer);
      }
      requireSamePrefixSpace(tokenizer);
      sayWhatDiffers(tokenizer);
      return tokenizer;
    }
    if (wordPiece && Files.exists(files.path().resolve(VOCABULARY))) {
      return wordPiece();
    }
    String other =
        OTHER_TOKENIZERS.stream()
            .filter(name -> Files.exists(files.path().resolve(name)))
            .findFirst()
            .map(name -> ", but " + name + ", which is not read")
            .orElse("");
    throw new FormatException(
        "%s has no %s%s%s; %s"
            .formatted(
                files.path(),
                TOKENIZER,
                wordPiece ? " and no " + VOCABULARY : "",
                other,
                TOKENIZER_REMEDY));
  }

  /** {@return tokenizer.json, placing the tokens that its settings ask for} */
  byte[] whole() throws IOException {
    byte[] tokenizer = files.bytes(TOKENIZER, MAX_TOKENIZER);
    JsonNode settings = files.tokenizerConfig();
    String kind = kind(settings);
    if (!SequenceTokens.decides(kind)) {
      return tokenizer;
    }
    try {
      return SequenceTokens.placed(tokenizer, kind, settings, files.settings(TOKENS_MAP));
    } catch (FormatException e) {
      throw new FormatException(files.path() + ": " + e.getMessage(), e);
    }
  }

  /** The tokenizer_class; empty if none is named. */
  private String kind(JsonNode settings) throws IOException {
    JsonNode named = settings.path(TOKENIZER_CLASS);
    return (named.isTextual() ? named : files.settings(CONFIG).path(TOKENIZER_CLASS)).asText("");
  }

  private byte[] wordPiece() throws IOException {
    JsonNode settings = files.settings(TOKENIZER_CONFIG);
    requireWordPiece(settings);
    JsonNode accents = settings.path(STRIP_ACCENTS);
    byte[] vocabulary = files.bytes(VOCABULARY, MAX_TOKENIZER);
    try {
      return new WordPieceVocabulary(vocabulary)
          .tokenizerJson(
              settings.path(DO_LOWER_CASE).asBoolean(true),
              accents.isBoolean() ? accents.booleanValue() : null,
              settings.path(CHINESE).asBoolean(true));
    } catch (FormatException e) {
      throw new FormatException(files.path() + ": " + e.getMessage(), e);
    }
  }

  /**
   * Checks what Python's classes of BERT's tokenizers set tokenizer.json to. Where a setting is not
   * there they have a default, by which many cased models would be in lower case: tokenizer.json
   * counts then.
   */
  private void requireSameNormalizer(byte[] tokenizer) throws IOException {
    JsonNode settings = files.settings(TOKENIZER_CONFIG);
    JsonNode kind = tokenizerClass(settings);
    if (NORMALIZER.keySet().stream().noneMatch(settings::has)
        || kind.isTextual() && !WORD_PIECE_CLASS.matcher(kind.asText()).matches()) {
      return;
    }
    JsonNode normalizer =
        ModelJson.object(files.path().resolve(TOKENIZER), tokenizer).path("normalizer");
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
            "%s has %s %s, by which Python goes, but the normalizer of %s has %s %s; make them the same: %s writes both, into another directory, as Python has them"
                .formatted(
                    files.path().resolve(TOKENIZER_CONFIG),
                    names.getKey(),
                    inPython,
                    files.path().resolve(TOKENIZER),
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
    JsonNode settings = files.settings(TOKENIZER_CONFIG);
    String kind = kind(settings);
    if (kind.isEmpty()
        ? !files.settings(CONFIG).path("model_type").asText().equals("roberta")
        : !ROBERTA_CLASS.matcher(kind).matches()) {
      return;
    }
    JsonNode words = TokenizerJson.part(tokenizer, "pre_tokenizer");
    boolean own = isSet(words.path(PREFIX_SPACE), true);
    boolean inPython = isSet(settings.path(PREFIX_SPACE), false);
    if (words.path("type").asText().equals("ByteLevel") && own != inPython) {
      throw new FormatException(
          "%s %s %s, by which Python's RobertaTokenizer goes, but the pre_tokenizer of %s has %s; make them the same, as the model was trained"
              .formatted(
                  files.path().resolve(TOKENIZER_CONFIG),
                  settings.has(PREFIX_SPACE)
                      ? "has " + PREFIX_SPACE
                      : "has no " + PREFIX_SPACE + ", which means",
                  inPython,
                  files.path().resolve(TOKENIZER),
                  own));
    }
  }

  /** Says where Python's tokenizer gives other tokens, of some texts or in some versions. */
  private void sayWhatDiffers(byte[] tokenizer) throws IOException {
    JsonNode settings = files.settings(TOKENIZER_CONFIG);
    if (TokenizerJson.cutsBeginnings(settings, tokenizer)) {
      LOG.warn(
          "{}: {} says {}: Python cuts the beginnings of texts that are too long, here their ends are cut",
          files.path(),
          settings.path(TRUNCATION_SIDE).isTextual() ? TOKENIZER_CONFIG : TOKENIZER,
          settings.path(TRUNCATION_SIDE).isTextual()
              ? TRUNCATION_SIDE + " left"
              : "truncation to the left");
    }
    String kind = kind(settings);
    if (!SequenceTokens.decides(kind) && SequenceTokens.named(settings)) {
      SequenceTokens.otherwiseInPython(tokenizer, kind, settings, files.settings(TOKENS_MAP))
          .ifPresent(
              placed ->
                  LOG.warn(
                      "{}: by add_bos_token and add_eos_token in {} version 5 of Hugging Face's library encodes a text as \"{}\", but the post_processor of {}, which holds here, places other tokens; make them the same, as the model was trained",
                      files.path(),
                      TOKENIZER_CONFIG,
                      placed,
                      TOKENIZER));
    }
  }

  private static boolean isSet(JsonNode setting, boolean otherwise) {
    return setting.isBoolean() ? setting.booleanValue() : otherwise;
  }

  private JsonNode tokenizerClass(JsonNode settings) throws IOException {
    JsonNode named = settings.path(TOKENIZER_CLASS);
    return named.isTextual() ? named : files.config().path(TOKENIZER_CLASS);
  }

  /** Checks that the vocabulary is all that there is to its tokenizer, and that it is BERT's. */
  private void requireWordPiece(JsonNode settings) throws IOException {
    JsonNode kind = tokenizerClass(settings);
    if (kind.isTextual() && !WORD_PIECE_CLASS.matcher(kind.asText()).matches()) {
      throw new FormatException(
          "%s has no %s, but %s for a %s, which is not read; %s"
              .formatted(files.path(), TOKENIZER, VOCABULARY, kind.asText(), TOKENIZER_REMEDY));
    }
    List<String> added = new ArrayList<>();
    settings
        .path("added_tokens_decoder")
        .forEach(token -> added.add(token.path("content").asText()));
    if (Files.exists(files.path().resolve(ADDED_TOKENS))) {
      files.object(ADDED_TOKENS).fieldNames().forEachRemaining(added::add);
    }
    added.removeAll(WordPieceVocabulary.SPECIAL);
    if (!added.isEmpty()) {
      throw new FormatException(
          "%s has no %s, but %s and beside it the added token '%s', which is not read; %s"
              .formatted(files.path(), TOKENIZER, VOCABULARY, added.get(0), TOKENIZER_REMEDY));
    }
  }
}
