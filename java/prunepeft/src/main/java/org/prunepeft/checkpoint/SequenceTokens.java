package org.prunepeft.checkpoint;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.CharConversionException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.prunepeft.io.FormatException;

/**
 * The tokens that begin and end a text. Hugging Face's classes of Llama's and Gemma's tokenizers
 * take them from add_bos_token and add_eos_token in tokenizer_config.json, whatever tokenizer.json
 * has as its post-processor. Where neither is named, what tokenizer.json places stays, and in one
 * that places nothing a text begins with bos_token.
 */
final class SequenceTokens {
  private static final Pattern CLASSES = Pattern.compile("(Llama|CodeLlama|Gemma)Tokenizer(Fast)?");

  private static final String BEGIN = "add_bos_token";
  private static final String END = "add_eos_token";
  private static final String POST_PROCESSOR = "post_processor";

  /** Post-processors that place tokens. */
  private static final Set<String> PLACING =
      Set.of("TemplateProcessing", "BertProcessing", "RobertaProcessing");

  private static final ObjectMapper JSON = new ObjectMapper();

  private final byte[] tokenizer;
  private final JsonNode settings;
  private final JsonNode tokensMap;
  private final boolean gemma;
  private JsonNode post = JSON.missingNode();
  private JsonNode added = JSON.missingNode();

  private SequenceTokens(byte[] tokenizer, String kind, JsonNode settings, JsonNode tokensMap) {
    this.tokenizer = tokenizer;
    this.settings = settings;
    this.tokensMap = tokensMap;
    gemma = kind.startsWith("Gemma");
  }

  /** A token to place. */
  private record Token(String text, int id) {}

  /** Whether a class of tokenizers takes these tokens from its settings. */
  static boolean decides(String kind) {
    return CLASSES.matcher(kind).matches();
  }

  /** {@return whether add_bos_token or add_eos_token is named} */
  static boolean named(JsonNode settings) {
    return settings.has(BEGIN) || settings.has(END);
  }

  /**
   * {@return what version 5 of Hugging Face's library, whose base class of all fast tokenizers sets
   * the post-processor where add_bos_token or add_eos_token is named, places around a text, such as
   * "&lt;s&gt; TEXT"; empty where tokenizer.json places the same, or neither is named}
   *
   * @param tokenizer content of tokenizer.json
   * @param kind tokenizer_class, one that does not {@link #decides}
   * @param settings tokenizer_config.json
   * @param tokensMap special_tokens_map.json
   */
  static Optional<String> otherwiseInPython(
      byte[] tokenizer, String kind, JsonNode settings, JsonNode tokensMap) throws IOException {
    if (!named(settings)) {
      return Optional.empty();
    }
    SequenceTokens tokens = new SequenceTokens(tokenizer, kind, settings, tokensMap);
    try {
      return tokens.read() ? tokens.otherwise() : Optional.empty();
    } catch (JsonProcessingException
        | CharConversionException
        | NumberFormatException
        | ArithmeticException e) {
      return Optional.empty(); // left for its reader to refuse
    }
  }

  private Optional<String> otherwise() {
    // Ids do not matter to what is compared.
    Optional<Token> begin = text(BEGIN, false, "bos_token", null).map(text -> new Token(text, 0));
    Optional<Token> end = text(END, false, "eos_token", null).map(text -> new Token(text, 0));
    List<JsonNode> placing = steps(post).stream().filter(SequenceTokens::places).toList();
    boolean same =
        placing.isEmpty()
            ? begin.isEmpty() && end.isEmpty()
            : placing.size() == 1 && places(placing.get(0), template(begin, end));
    return same
        ? Optional.empty()
        : Optional.of(
            begin.map(token -> token.text + " ").orElse("")
                + "TEXT"
                + end.map(token -> " " + token.text).orElse(""));
  }

  /**
   * {@return a tokenizer.json that places the tokens that the settings ask for; the same bytes
   * where it does so already}
   *
   * @param tokenizer content of tokenizer.json; what is no JSON is left for its reader to refuse
   * @param kind tokenizer_class, one that {@link #decides}
   * @param settings tokenizer_config.json
   * @param tokensMap special_tokens_map.json
   * @throws FormatException if a token to place is not in the tokenizer
   */
  static byte[] placed(byte[] tokenizer, String kind, JsonNode settings, JsonNode tokensMap)
      throws IOException {
    SequenceTokens tokens = new SequenceTokens(tokenizer, kind, settings, tokensMap);
    try {
      return tokens.read() ? tokens.placed() : tokenizer;
    } catch (JsonProcessingException
        | CharConversionException
        | NumberFormatException
        | ArithmeticException e) {
      return tokenizer;
    }
  }

  /** Without the vocabulary, which may be large; false: the file is no object. */
  private boolean read() throws IOException {
    try (JsonParser json = JSON.createParser(tokenizer)) {
      if (json.nextToken() != JsonToken.START_OBJECT) {
        return false;
      }
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        String name = json.currentName();
        json.nextToken();
        switch (name) {
          case POST_PROCESSOR -> post = json.readValueAsTree();
          case "added_tokens" -> added = json.readValueAsTree();
          default -> json.skipChildren();
        }
      }
      return true;
    }
  }

  private byte[] placed() throws IOException {
    List<JsonNode> steps = steps(post);
    List<JsonNode> placing = steps.stream().filter(SequenceTokens::places).toList();
    boolean named = settings.has(BEGIN) || settings.has(END);
    if (!named && !placing.isEmpty()) {
      return tokenizer;
    }
    Optional<Token> begin = token(BEGIN, true, "bos_token", gemma ? "<bos>" : "<s>");
    Optional<Token> end = token(END, false, "eos_token", gemma ? "<eos>" : "</s>");
    boolean any = begin.isPresent() || end.isPresent();
    JsonNode template = template(begin, end);
    if (placing.isEmpty() ? !any : placing.size() == 1 && places(placing.get(0), template)) {
      return tokenizer;
    }
    List<JsonNode> all = new ArrayList<>(steps);
    all.removeIf(SequenceTokens::places);
    if (any) {
      all.add(template);
    }
    return with(
        switch (all.size()) {
          case 0 -> JSON.nullNode();
          case 1 -> all.get(0);
          default ->
              JSON.createObjectNode()
                  .put("type", "Sequence")
                  .set("processors", JSON.createArrayNode().addAll(all));
        });
  }

  private static boolean places(JsonNode step) {
    return PLACING.contains(step.path("type").asText());
  }

  private static List<JsonNode> steps(JsonNode part) {
    if (!part.path("type").asText().equals("Sequence")) {
      return part.isObject() ? List.of(part) : List.of();
    }
    List<JsonNode> steps = new ArrayList<>();
    addSteps(part, steps);
    return steps;
  }

  private static void addSteps(JsonNode part, List<JsonNode> steps) {
    if (part.path("type").asText().equals("Sequence")) {
      part.path("processors").forEach(step -> addSteps(step, steps));
    } else if (part.isObject()) {
      steps.add(part);
    }
  }

  /** Whether a step places what a template does, whatever types it gives to tokens. */
  private static boolean places(JsonNode step, JsonNode template) {
    return pieces(step.path("single")).equals(pieces(template.path("single")))
        && pieces(step.path("pair")).equals(pieces(template.path("pair")));
  }

  private static List<String> pieces(JsonNode template) {
    List<String> pieces = new ArrayList<>();
    for (JsonNode piece : template) {
      piece.properties().forEach(one -> pieces.add(one.getKey() + one.getValue().path("id")));
    }
    return pieces;
  }

  private Optional<Token> token(String flag, boolean placedByDefault, String name, String absent)
      throws IOException {
    Optional<String> text = text(flag, placedByDefault, name, absent);
    return text.isEmpty()
        ? Optional.empty()
        : Optional.of(new Token(text.get(), id(flag, name, text.get())));
  }

  /**
   * {@return the token to place; empty if none is asked for, or there is no such token}
   *
   * @param absent what it is if nothing says it; null: none
   */
  private Optional<String> text(String flag, boolean placedByDefault, String name, String absent) {
    if (!(settings.has(flag) ? settings.get(flag).asBoolean() : placedByDefault)) {
      return Optional.empty();
    }
    JsonNode said =
        settings.has(name) ? settings.get(name) : tokensMap.has(name) ? tokensMap.get(name) : null;
    JsonNode content = said != null && said.isObject() ? said.path("content") : said;
    return content == null
        ? Optional.ofNullable(absent)
        : Optional.ofNullable(content.textValue()); // null: there is no such token
  }

  private int id(String flag, String name, String text) throws IOException {
    for (JsonNode token : added) {
      if (token.path("content").asText().equals(text) && token.path("id").isInt()) {
        return token.get("id").intValue();
      }
    }
    JsonNode vocabulary = JSON.readTree(tokenizer).path("model").path("vocab");
    if (vocabulary.path(text).isInt()) {
      return vocabulary.get(text).intValue();
    }
    for (int i = 0; vocabulary.isArray() && i < vocabulary.size(); i++) {
      if (vocabulary.get(i).path(0).asText().equals(text)) {
        return i;
      }
    }
    throw new FormatException(
        "%s in tokenizer_config.json asks for the token '%s' (%s), which tokenizer.json does not have; name one that it has as %s, or say \"%s\": false"
            .formatted(flag, text, name, name, flag));
  }

  /** The same around each text of a pair. */
  private static ObjectNode template(Optional<Token> begin, Optional<Token> end) {
    ObjectNode special = JSON.createObjectNode();
    for (Optional<Token> token : List.of(begin, end)) {
      token.ifPresent(
          one -> {
            ObjectNode entry = special.putObject(one.text).put("id", one.text);
            entry.putArray("ids").add(one.id);
            entry.putArray("tokens").add(one.text);
          });
    }
    ObjectNode template = JSON.createObjectNode().put("type", "TemplateProcessing");
    around("A", 0, begin, end, template.putArray("single"));
    ArrayNode pair = template.putArray("pair");
    around("A", 0, begin, end, pair);
    around("B", 1, begin, end, pair);
    template.set("special_tokens", special);
    return template;
  }

  private static void around(
      String text, int type, Optional<Token> begin, Optional<Token> end, ArrayNode pieces) {
    begin.ifPresent(token -> piece(pieces, "SpecialToken", token.text, type));
    piece(pieces, "Sequence", text, type);
    end.ifPresent(token -> piece(pieces, "SpecialToken", token.text, type));
  }

  private static void piece(ArrayNode pieces, String kind, String id, int type) {
    pieces.addObject().putObject(kind).put("id", id).put("type_id", type);
  }

  /** The file with another post-processor, all else as it is. */
  private byte[] with(JsonNode processor) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(tokenizer.length + 1000);
    try (JsonParser json = JSON.createParser(tokenizer);
        JsonGenerator out = JSON.createGenerator(bytes)) {
      json.nextToken();
      out.writeStartObject();
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        String name = json.currentName();
        json.nextToken();
        if (name.equals(POST_PROCESSOR)) {
          json.skipChildren();
        } else {
          out.writeFieldName(name);
          out.copyCurrentStructureExact(json);
        }
      }
      out.writeFieldName(POST_PROCESSOR);
      JSON.writeTree(out, processor);
      out.writeEndObject();
    }
    return bytes.toByteArray();
  }
}
