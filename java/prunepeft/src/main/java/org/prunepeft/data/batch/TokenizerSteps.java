package org.prunepeft.data.batch;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What stands before and after the model of a tokenizer.json. */
final class TokenizerSteps {
  /** Steps of a sequence. */
  private static final int MOST_STEPS = 100;

  /** How many times longer a text may become. */
  private static final long MOST_GROWTH = 1000;

  /** Characters that are put before a text. */
  private static final int LONGEST_PREPENDED = 100;

  /** A special token has an id or some. */
  private static final int MOST_PARTS = 8;

  /** Special tokens of an encoding; the shortest of 8 tokens has room for some text. */
  private static final int MOST_SPECIAL = 6;

  /**
   * By how much normalizers that have no text of their own may make a text longer, in UTF-16 units.
   * Those of Unicode's forms are its own figures (Standard Annex 15, Maximum Expansion Factors).
   * Lowercase has two for \u0130. ByteLevel has one for each byte of UTF-8. BertNormalizer puts
   * spaces around Chinese characters, none of which NFD takes apart into others than one.
   */
  private static final Map<String, Integer> NORMALIZERS =
      Map.of(
          "BertNormalizer", 4,
          "Strip", 1,
          "StripAccents", 1,
          "NFC", 3,
          "NFD", 4,
          "NFKC", 18,
          "NFKD", 18,
          "Lowercase", 2,
          "Nmt", 1,
          "ByteLevel", 3);

  /**
   * The same of pre-tokenizers, and of each part of a text. ByteLevel may put a space before it;
   * Metaspace puts a character there and for spaces, which may have two units.
   */
  private static final Map<String, Integer> PRE_TOKENIZERS =
      Map.of(
          "BertPreTokenizer", 1,
          "ByteLevel", 4,
          "CharDelimiterSplit", 1,
          "Metaspace", 4,
          "Whitespace", 1,
          "Punctuation", 1,
          "WhitespaceSplit", 1,
          "Digits", 1,
          "UnicodeScripts", 1);

  /** The same of decoders, and of each token. WordPiece puts a space before it. */
  private static final Map<String, Integer> DECODERS =
      Map.of("ByteFallback", 1, "ByteLevel", 1, "Fuse", 1, "Metaspace", 1, "WordPiece", 2);

  /** Characters of the longest text that a decoder may be given, whose length nothing says. */
  private static final long LONGEST_DECODED = MOST_GROWTH * TokenizerPattern.LONGEST_TEXT;

  private TokenizerSteps() {}

  /**
   * Checks a normalizer, or that there is none.
   *
   * @param longest characters of the longest text that it may be given
   * @return the same of what it may make of it
   */
  static long normalizer(TokenizerPart normalizer, long longest) {
    long growth = 1;
    for (TokenizerPart step : steps(normalizer, "normalizers")) {
      growth =
          grown(
              step,
              growth,
              switch (type(step)) {
                case "Replace" -> {
                  TokenizerPattern.checkReplaced(step.get("pattern"), longest * growth);
                  yield replaced(step);
                }
                case "Prepend" -> 1 + step.get("prepend").text(LONGEST_PREPENDED).length();
                case "Precompiled" -> CharacterMap.longest(step.get("precompiled_charsmap"));
                default -> known(step, NORMALIZERS, "Replace, Prepend, Precompiled");
              });
    }
    return longest * growth;
  }

  /** How many times longer a text may be after a step, too. */
  private static long grown(TokenizerPart step, long growth, int times) {
    long grown = growth * Math.max(1, times);
    if (grown > MOST_GROWTH) {
      throw new IllegalArgumentException(
          ("%s may make a text, with what is before it, %d times longer: the most is %d; leave"
                  + " out a step, or shorten what one puts in")
              .formatted(step.path(), grown, MOST_GROWTH));
    }
    return grown;
  }

  /** By how much a replacement may make a text longer; what is replaced has a character. */
  private static int replaced(TokenizerPart step) {
    int content = step.get("content").text(TokenizerFile.LONGEST).length();
    int replaced = Math.max(1, step.get("pattern").json().path("String").asText().length());
    return (content + replaced - 1) / replaced;
  }

  /**
   * Checks a pre-tokenizer, or that there is none.
   *
   * @param longest characters of the longest text that the normalizer may make
   */
  static void preTokenizer(TokenizerPart words, long longest) {
    long growth = 1;
    for (TokenizerPart step : steps(words, "pretokenizers")) {
      switch (type(step)) {
        case "Split" -> TokenizerPattern.check(step.get("pattern"), longest * growth);
        case "FixedLength" -> {
          if (!step.get("length").isAbsent()) {
            step.get("length").integer(1, TokenizerFile.LONGEST);
          }
        }
        default -> growth = grown(step, growth, known(step, PRE_TOKENIZERS, "Split, FixedLength"));
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
        throw new IllegalArgumentException(
            step.path() + " places special tokens a second time; leave out one of the two");
      }
      placed = true;
      switch (type) {
        case "TemplateProcessing" -> template(step);
        case "BertProcessing", "RobertaProcessing" -> {
          separator(step.get("sep"));
          separator(step.get("cls"));
        }
        default ->
            known(
                step, Map.of(), "ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing");
      }
    }
  }

  /** Checks a decoder, which reads tokens as a text. */
  static void decoder(TokenizerPart decoder) {
    long growth = 1;
    for (TokenizerPart step : steps(decoder, "decoders")) {
      switch (type(step)) {
        case "Replace" -> {
          TokenizerPattern.checkDecoded(step.get("pattern"), LONGEST_DECODED);
          growth = grown(step, growth, replaced(step));
        }
        case "Strip" -> {
          step.get("content").text(2);
          step.get("start").integer(0, MOST_STEPS);
          TokenizerPart stop = step.get("stop");
          // The library cuts an end off without a look at how much is left of the token.
          if (!stop.json().isInt() || stop.json().intValue() != 0) {
            throw stop.wrong("0");
          }
        }
        default -> growth = grown(step, growth, known(step, DECODERS, "Replace, Strip"));
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
          "%s adds %d special tokens, the most is %d; leave some out"
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

  /** What a table has of a step, which must be of a type in it. */
  private static int known(TokenizerPart step, Map<String, Integer> table, String others) {
    Integer times = table.get(type(step));
    if (times == null) {
      throw step.get("type")
          .wrong(
              "Sequence or one of "
                  + String.join(", ", table.keySet().stream().sorted().toList())
                  + (table.isEmpty() ? "" : ", ")
                  + others);
    }
    return times;
  }
}
