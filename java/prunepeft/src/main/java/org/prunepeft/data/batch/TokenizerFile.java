package org.prunepeft.data.batch;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.CharConversionException;
import java.io.IOException;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicBoolean;
import org.prunepeft.io.JsonAsWritten;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Checks a tokenizer.json before Hugging Face's library reads it. What that does not expect is a
 * panic in Rust, which ends the process, or takes memory or time without a bound. So the structure
 * of all that it computes with is checked here, and nothing else is handed on: not padding and
 * truncation, which are never used, nor the decoder where tokens are not read as texts, nor the
 * dropout of merges (BPE-dropout), which the library draws without a seed.
 *
 * <table>
 *   <caption>Parts</caption>
 *   <tr><th>part</th><th>what it may be</th></tr>
 *   <tr><td>model</td><td>BPE, WordPiece, WordLevel or Unigram; ids below 10,000,000, scores finite</td></tr>
 *   <tr><td>added_tokens</td><td>20,000 at most, each with an id and a text</td></tr>
 *   <tr><td>normalizer, pre_tokenizer, post_processor, decoder</td><td>of {@link TokenizerSteps}</td></tr>
 * </table>
 */
final class TokenizerFile {
  private static final Logger LOG = LoggerFactory.getLogger(TokenizerFile.class);

  /** Whether the log has said that dropout is left out: a run reads its tokenizer several times. */
  private static final AtomicBoolean SAID = new AtomicBoolean();

  /** Ids are below; the largest vocabularies have a million tokens. */
  static final int MOST_IDS = 10_000_000;

  /** Characters of a token, or of another text. */
  static final int LONGEST = 10_000;

  /** The library compares each with each. */
  private static final int MOST_ADDED = 20_000;

  /** WordPiece hashes each part of a word, whose time grows with the third power of its length. */
  private static final int LONGEST_WORD = 1000;

  private static final int DEEPEST = 50;

  /** The remedy where a file is damaged. */
  static final String TAKE_AGAIN = "; take the file again from the model";

  private static final JsonMapper JSON =
      JsonAsWritten.mapper(StreamReadConstraints.builder().maxNestingDepth(DEEPEST).build());

  private TokenizerFile() {}

  /**
   * What the library may read of a file.
   *
   * @param file content of a tokenizer.json
   * @param decoding whether tokens are to be read as texts
   * @param longest characters of the longest text that is to be encoded
   * @return the same, without what is of no consequence here
   * @throws IllegalArgumentException if a part is not what it must be; the message begins with it
   * @throws IOException if it is no JSON, or has a member twice
   */
  static byte[] checked(byte[] file, boolean decoding, int longest) throws IOException {
    TokenizerPart root = new TokenizerPart("it", parse(file));
    root.members();
    ObjectNode checked = JSON.createObjectNode();
    checked.set("version", root.json().path("version"));
    if (root.get("version").isAbsent()) {
      checked.put("version", "1.0");
    }
    checked.putNull("truncation").putNull("padding");
    TokenizerPart added = part(root, "added_tokens");
    if (!added.isAbsent()) {
      addedTokens(added);
      checked.set("added_tokens", added.json());
    }
    TokenizerPart normalizer = part(root, "normalizer");
    TokenizerPart words = part(root, "pre_tokenizer");
    TokenizerSteps.preTokenizer(words, TokenizerSteps.normalizer(normalizer, longest));
    TokenizerPart post = part(root, "post_processor");
    TokenizerSteps.postProcessor(post);
    for (TokenizerPart step : new TokenizerPart[] {normalizer, words, post}) {
      checked.set(step.path(), step.isAbsent() ? checked.nullNode() : step.json());
    }
    checked.putNull("decoder");
    TokenizerPart decoder = part(root, "decoder");
    if (decoding && !decoder.isAbsent()) {
      TokenizerSteps.decoder(decoder);
      checked.set("decoder", decoder.json());
    }
    TokenizerPart model = part(root, "model");
    model(model);
    checked.set("model", model.json());
    requireCharacters(checked);
    return JSON.writeValueAsBytes(checked);
  }

  private static JsonNode parse(byte[] file) throws IOException {
    try {
      return JSON.readTree(file);
    } catch (JsonProcessingException e) {
      throw e;
    } catch (CharConversionException e) {
      throw new IOException("it is not UTF-8", e);
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw new IOException("a number has an exponent that is out of range", e);
    }
  }

  private static TokenizerPart part(TokenizerPart root, String name) {
    return new TokenizerPart(name, root.json().path(name));
  }

  private static void addedTokens(TokenizerPart tokens) {
    for (TokenizerPart token : tokens.items(MOST_ADDED)) {
      token.members();
      token.get("id").integer(0, MOST_IDS);
      token.get("content").text(LONGEST);
    }
  }

  private static void model(TokenizerPart model) {
    model.members();
    TokenizerPart type = model.get("type");
    switch (type.isAbsent() ? kind(model.json()) : type.text(LONGEST)) {
      case "Unigram" -> unigram(model);
      case "BPE" -> {
        vocabulary(model);
        merges(model);
        leaveOutDropout(model);
      }
      case "WordPiece" -> {
        requireUnknown(model);
        TokenizerPart longest = model.get("max_input_chars_per_word");
        if (!longest.isAbsent()) {
          longest.integer(0, LONGEST_WORD);
        }
      }
      case "WordLevel" -> requireUnknown(model);
      default -> throw type.wrong("one of BPE, WordPiece, WordLevel, Unigram");
    }
  }

  /** The same text is to have the same tokens in each epoch, process and prediction. */
  private static void leaveOutDropout(TokenizerPart model) {
    TokenizerPart dropout = model.get("dropout");
    if (dropout.isAbsent()) {
      return;
    }
    dropout.number(0, 1);
    if (dropout.json().doubleValue() > 0 && SAID.compareAndSet(false, true)) {
      LOG.warn(
          "tokenizer.json has a BPE dropout of {}: it is left out, so that a text always has the same tokens",
          dropout.json().asText());
    }
    ((ObjectNode) model.json()).putNull("dropout");
  }

  /** The kind of a model of before they named it. */
  private static String kind(JsonNode model) {
    return model.path("vocab").isArray()
        ? "Unigram"
        : model.has("merges")
            ? "BPE"
            : model.has("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
  }

  private static void vocabulary(TokenizerPart model) {
    TokenizerPart tokens = model.get("vocab");
    if (!tokens.json().isObject()) {
      throw tokens.wrong("an object");
    }
    for (var token : tokens.json().properties()) {
      JsonNode id = token.getValue();
      if (!id.isInt() || id.intValue() < 0 || id.intValue() >= MOST_IDS) {
        tokens.get(token.getKey()).integer(0, MOST_IDS - 1);
      }
    }
  }

  private static void requireUnknown(TokenizerPart model) {
    vocabulary(model);
    TokenizerPart unknown = model.get("unk_token");
    if (!model.get("vocab").json().has(unknown.text(LONGEST))) {
      throw unknown.wrong("a token of the vocabulary");
    }
  }

  private static void merges(TokenizerPart model) {
    TokenizerPart prefix = model.get("continuing_subword_prefix");
    String continuing = prefix.isAbsent() ? "" : prefix.text(LONGEST);
    JsonNode vocabulary = model.get("vocab").json();
    for (TokenizerPart merge : model.get("merges").items(MOST_IDS)) {
      String left;
      String right;
      if (merge.json().isArray()) {
        left = merge.json().path(0).asText();
        right = merge.json().path(1).asText();
      } else {
        String both = merge.text(2 * LONGEST);
        left = both.substring(0, Math.max(0, both.indexOf(' ')));
        right = both.substring(both.indexOf(' ') + 1);
      }
      // The library cuts the prefix off without a look.
      if (!right.startsWith(continuing)) {
        throw merge.wrong("of two tokens, the second of which begins with '" + continuing + "'");
      }
      if (!vocabulary.has(left) || !vocabulary.has(right)) {
        throw merge.wrong("two tokens of the vocabulary");
      }
    }
  }

  private static void unigram(TokenizerPart model) {
    JsonNode tokens = model.get("vocab").json();
    if (!tokens.isArray() || tokens.isEmpty() || tokens.size() > MOST_IDS) {
      throw model
          .get("vocab")
          .wrong(String.format(Locale.ROOT, "a list of 1 to %,d tokens", MOST_IDS));
    }
    int id = 0;
    for (JsonNode token : tokens) {
      TokenizerPart part = model.get("vocab").item(id++, token);
      if (!token.isArray() || token.size() != 2) {
        throw part.wrong("a token and its score");
      }
      part.with(token.get(0)).text(LONGEST);
      part.with(token.get(1)).number(-1e9, 1e9);
    }
    if (!model.get("unk_id").isAbsent()) {
      model.get("unk_id").integer(0, tokens.size() - 1);
    }
  }

  /** Half a surrogate pair is no Unicode, and a NUL ends the library's messages. */
  private static void requireCharacters(JsonNode node) {
    if (node.isTextual()) {
      requireCharacters(node.textValue());
    }
    node.properties().forEach(member -> requireCharacters(member.getKey()));
    node.forEach(TokenizerFile::requireCharacters);
  }

  private static void requireCharacters(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isHighSurrogate(c)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
      } else if (c == 0 || Character.isSurrogate(c)) {
        throw new IllegalArgumentException(
            "a text has \\u%04x, which is no character; leave it out".formatted((int) c));
      }
    }
  }
}
