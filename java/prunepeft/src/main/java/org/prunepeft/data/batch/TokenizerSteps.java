package org.prunepeft.data.batch;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** What stands before and after the model of a tokenizer.json. */
final class TokenizerSteps {
  /** Steps of a sequence. */
  private static final int MOST_STEPS = 100;

  /** How many times longer a text may become by replacements. */
  private static final long MOST_GROWTH = 1000;

  /** A special token has an id or some. */
  private static final int MOST_PARTS = 8;

  /** Special tokens of an encoding; the shortest of 8 tokens has room for some text. */
  private static final int MOST_SPECIAL = 6;

  private static final Set<String> PLAIN_NORMALIZERS =
      Set.of(
          "BertNormalizer",
          "Strip",
          "StripAccents",
          "NFC",
          "NFD",
          "NFKC",
          "NFKD",
          "Lowercase",
          "Nmt",
          "ByteLevel");

  private static final Set<String> PLAIN_PRE_TOKENIZERS =
      Set.of(
          "BertPreTokenizer",
          "ByteLevel",
          "CharDelimiterSplit",
          "Metaspace",
          "Whitespace",
          "Punctuation",
          "WhitespaceSplit",
          "Digits",
          "UnicodeScripts");

  private static final Set<String> PLAIN_DECODERS =
      Set.of("ByteFallback", "ByteLevel", "Fuse", "Metaspace", "WordPiece");

  private TokenizerSteps() {}

  /**
   * Checks a normalizer, or that there is none.
   *
   * @return how many times longer replacements may make a text
   */
  static long normalizer(TokenizerPart normalizer) {
    long growth = 1;
    for (TokenizerPart step : steps(normalizer, "normalizers")) {
      switch (type(step)) {
        case "Replace" -> growth = grown(growth, step);
        case "Prepend" -> step.get("prepend").text(MOST_STEPS);
        case "Precompiled" -> CharacterMap.check(step.get("precompiled_charsmap"));
        default -> requireKnown(step, PLAIN_NORMALIZERS, "Replace, Prepend, Precompiled");
      }
    }
    return growth;
  }

  /** How many times longer a text is after a replacement, too. */
  private static long grown(long growth, TokenizerPart step) {
    TokenizerPattern.checkReplaced(step.get("pattern"), growth);
    long grown = growth * growth(step);
    if (grown > MOST_GROWTH) {
      throw new IllegalArgumentException(
          "%s: replacements make a text more than %d times longer"
              .formatted(step.path(), MOST_GROWTH));
    }
    return grown;
  }

  /** By how much a replacement may make a text longer; each place may be one, an empty one too. */
  private static long growth(TokenizerPart step) {
    int content = step.get("content").text(TokenizerFile.LONGEST).length();
    int replaced = step.get("pattern").json().path("String").asText().length();
    return replaced == 0 ? 1 + content : Math.max(1, (content + replaced - 1) / replaced);
  }

  /**
   * Checks a pre-tokenizer, or that there is none.
   *
   * @param growth how many times longer the normalizer may make a text
   */
  static void preTokenizer(TokenizerPart words, long growth) {
    for (TokenizerPart step : steps(words, "pretokenizers")) {
      switch (type(step)) {
        case "Split" -> TokenizerPattern.check(step.get("pattern"), growth);
        case "FixedLength" -> {
          if (!step.get("length").isAbsent()) {
            step.get("length").integer(1, TokenizerFile.LONGEST);
          }
        }
        default -> requireKnown(step, PLAIN_PRE_TOKENIZERS, "Split, FixedLength");
      }
    }
  }

  /** Checks a post-processor, or that there is none. */
  static void postProcessor(TokenizerPart post) {
    boolean placed = false;
    for (TokenizerPart step : steps(post, "processors")) {
      String type = type(step);
      if (type.equals("ByteLevel")) {
        continue;
      }
      // A second one meets more encodings than it knows.
      if (placed) {
        throw new IllegalArgumentException(step.path() + " places special tokens a second time");
      }
      placed = true;
      switch (type) {
        case "TemplateProcessing" -> template(step);
        case "BertProcessing", "RobertaProcessing" -> {
          separator(step.get("sep"));
          separator(step.get("cls"));
        }
        default ->
            requireKnown(
                step, Set.of(), "ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing");
      }
    }
  }

  /** Checks a decoder, which reads tokens as a text. */
  static void decoder(TokenizerPart decoder) {
    long growth = 1;
    for (TokenizerPart step : steps(decoder, "decoders")) {
      switch (type(step)) {
        case "Replace" -> growth = grown(growth, step);
        case "Strip" -> {
          step.get("content").text(2);
          step.get("start").integer(0, MOST_STEPS);
          TokenizerPart stop = step.get("stop");
          // The library cuts an end off without a look at how much is left of the token.
          if (!stop.json().isInt() || stop.json().intValue() != 0) {
            throw stop.wrong("0");
          }
        }
        default -> requireKnown(step, PLAIN_DECODERS, "Replace, Strip");
      }
    }
  }

  private static void separator(TokenizerPart token) {
    List<TokenizerPart> parts = token.items(2);
    if (parts.size() != 2) {
      throw token.wrong("a token and its id");
    }
    parts.get(0).text(TokenizerFile.LONGEST);
    parts.get(1).integer(0, TokenizerFile.MOST_IDS);
  }

  private static void template(TokenizerPart step) {
    TokenizerPart special = step.get("special_tokens");
    for (TokenizerPart token : special.members()) {
      List<TokenizerPart> ids = token.get("ids").items(MOST_PARTS);
      List<TokenizerPart> tokens = token.get("tokens").items(MOST_PARTS);
      if (ids.isEmpty() || ids.size() != tokens.size()) {
        throw new IllegalArgumentException(
            "%s has %d ids and %d tokens, must have as many, and one"
                .formatted(token.path(), ids.size(), tokens.size()));
      }
      ids.forEach(id -> id.integer(0, TokenizerFile.MOST_IDS));
      tokens.forEach(text -> text.text(TokenizerFile.LONGEST));
    }
    template(step.get("single"), special, List.of("A"));
    template(step.get("pair"), special, List.of("A", "B"));
  }

  private static void template(
      TokenizerPart template, TokenizerPart special, List<String> sequences) {
    List<String> found = new ArrayList<>();
    int added = 0;
    for (TokenizerPart piece : template.items(MOST_STEPS)) {
      if (piece.json().size() != 1) {
        throw piece.wrong("an object with Sequence or SpecialToken");
      }
      boolean text = piece.json().has("Sequence");
      TokenizerPart named = piece.get(text ? "Sequence" : "SpecialToken");
      String id = named.get("id").text(TokenizerFile.LONGEST);
      named.get("type_id").integer(0, TokenizerFile.MOST_IDS);
      if (text) {
        found.add(id);
      } else if (special.json().has(id)) {
        added += special.json().get(id).path("ids").size();
      } else {
        throw named.get("id").wrong("one of " + special.path());
      }
    }
    if (!found.stream().sorted().toList().equals(sequences)) {
      throw new IllegalArgumentException(
          "%s must have the texts %s once each, got %s"
              .formatted(template.path(), sequences, found));
    }
    if (added > MOST_SPECIAL) {
      throw new IllegalArgumentException(
          "%s adds %d special tokens, the most is %d"
              .formatted(template.path(), added, MOST_SPECIAL));
    }
  }

  /** The steps of a sequence, those of sequences inside of it too; of another part itself. */
  private static List<TokenizerPart> steps(TokenizerPart part, String members) {
    if (part.isAbsent()) {
      return List.of();
    }
    if (!type(part).equals("Sequence")) {
      return List.of(part);
    }
    List<TokenizerPart> steps = new ArrayList<>();
    for (TokenizerPart step : part.get(members).items(MOST_STEPS)) {
      steps.addAll(steps(step, members));
      if (steps.size() > MOST_STEPS) {
        throw part.wrong("a sequence of at most %d steps".formatted(MOST_STEPS));
      }
    }
    return steps;
  }

  private static String type(TokenizerPart step) {
    step.members();
    return step.get("type").text(TokenizerFile.LONGEST);
  }

  private static void requireKnown(TokenizerPart step, Set<String> plain, String others) {
    if (!plain.contains(type(step))) {
      throw step.get("type")
          .wrong(
              "Sequence or one of "
                  + String.join(", ", plain.stream().sorted().toList())
                  + (plain.isEmpty() ? "" : ", ")
                  + others);
    }
  }
}
