package org.prunepeft.run;

import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.data.Place;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.batch.Answers;
import org.prunepeft.data.batch.EncodedTexts;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.train.TooLong;
import org.prunepeft.train.TrainingSettings;

/** Encodes texts for a language model; those that are too long are cut, or refused. */
public final class TextEncoding {
  private final byte[] tokenizerJson;
  private final Tokenizer tokenizer;
  private final TrainingSettings settings;
  private final boolean trained;
  private final int vocabulary;
  private final int mostTokens;
  private final OptionalInt end;

  /**
   * Encodes for a model.
   *
   * @param tokenizerJson the model's
   * @param tokenizer of it and of the settings' maximum length; stays the caller's
   */
  public TextEncoding(
      EncoderConfig model, byte[] tokenizerJson, Tokenizer tokenizer, TrainingSettings settings) {
    this(model, tokenizerJson, tokenizer, settings, false);
  }

  /**
   * Encodes for a model.
   *
   * @param trained whether a run has trained it, whose settings stay as they are
   */
  public TextEncoding(
      EncoderConfig model,
      byte[] tokenizerJson,
      Tokenizer tokenizer,
      TrainingSettings settings,
      boolean trained) {
    this.trained = trained;
    this.tokenizerJson = tokenizerJson;
    this.tokenizer = tokenizer;
    this.settings = settings;
    vocabulary = model.vocabulary();
    mostTokens = model.maxTokens();
    end = end(model);
  }

  /** The id of the token that ends a text of a model; empty if there is none. */
  private static OptionalInt end(EncoderConfig config) {
    return config.decoder() == null
        ? OptionalInt.empty()
        : config.decoder().endTokens().stream().mapToInt(Integer::intValue).findFirst();
  }

  /**
   * {@return texts that a language model learns from or is measured by}
   *
   * @param examples with what is learnt of them
   * @throws DataException if one is too long, and the settings refuse such; or if it has a token
   *     that the model has no embedding for
   */
  public EncodedTexts texts(List<Example> examples) {
    return texts(examples, () -> {});
  }

  /**
   * {@return texts as {@link #texts(List)}, for work that takes long}
   *
   * @param beforeEach is called before some texts at a time; what it throws ends the work
   */
  public EncodedTexts texts(List<Example> examples, Runnable beforeEach) {
    return texts(examples, " (%,d of %,d texts are longer)", beforeEach);
  }

  /**
   * {@return texts as {@link #texts(List)}, of which more may follow: an error counts none}
   *
   * @param examples with what is learnt of them
   */
  public EncodedTexts someTexts(List<Example> examples) {
    return someTexts(examples, () -> {});
  }

  /**
   * {@return texts as {@link #texts(List, Runnable)}, of which more may follow: an error counts
   * none}
   *
   * @param examples with what is learnt of them
   */
  public EncodedTexts someTexts(List<Example> examples, Runnable beforeEach) {
    return texts(examples, "", beforeEach);
  }

  private EncodedTexts texts(List<Example> examples, String count, Runnable beforeEach) {
    List<TrainingText> training = examples.stream().map(Example::training).toList();
    EncodedTexts texts = EncodedTexts.of(tokenizer, training, end, beforeEach);
    OptionalInt tooLong = firstRefused(texts.cut());
    if (tooLong.isPresent()) {
      int i = tooLong.getAsInt();
      throw tooLong(
          place(examples, i) + ": the text",
          tokens(training.subList(i, i + 1), end),
          count.formatted(texts.cut().cardinality(), examples.size()));
    }
    for (int i = 0; i < examples.size(); i++) {
      requireKnown(examples, i, "the text", texts.data().largestId(i));
    }
    return texts;
  }

  /**
   * {@return what else a language model is asked; null: nothing}
   *
   * @param prompter as {@link Answers} has it
   * @throws DataException if an answer to choose from is too long, and the settings refuse such; or
   *     if it has a token that the model has no embedding for
   */
  public Answers answers(Schema schema, List<Example> examples, Tokenizer prompter) {
    Answers answers = Answers.of(schema, examples, tokenizer, prompter, settings.maxNewTokens());
    if (answers == null || answers.choices() == null) {
      return answers;
    }
    BitSet cut = answers.cutQuestions();
    OptionalInt tooLong = firstRefused(cut);
    if (tooLong.isPresent()) {
      int i = tooLong.getAsInt();
      throw tooLong(
          place(examples, i) + ": an answer of the question, with its prompt,",
          tokens(examples.get(i).choices().texts(), OptionalInt.empty()),
          String.format(
              Locale.ROOT,
              " (%,d of %,d questions have a longer one)",
              cut.cardinality(),
              examples.size()));
    }
    int choice = 0;
    for (int i = 0; i < examples.size(); i++) {
      for (int k = examples.get(i).choices().answers().size(); k > 0; k--) {
        requireKnown(
            examples, i, "an answer of the question", answers.choices().data().largestId(choice++));
      }
    }
    return answers;
  }

  /** {@return tokens that a text has at most} */
  int maxLength() {
    return settings.maxLength();
  }

  /**
   * {@return how many texts were cut, a line for the user; empty if none was}
   *
   * @param part of the data that they are
   */
  public Optional<String> cutNote(String part, EncodedTexts texts) {
    return texts.cut().isEmpty()
        ? Optional.empty()
        : Optional.of(
            String.format(
                Locale.ROOT,
                "%,d of %,d %s texts have more than %,d tokens and are cut there",
                texts.cut().cardinality(),
                texts.data().size(),
                part,
                settings.maxLength()));
  }

  /**
   * {@return of how many questions an answer to choose from was cut, a line for the user; empty if
   * none was}
   *
   * @param part of the data that they are
   * @param answers null: nothing was asked
   */
  public static Optional<String> cutNote(String part, Answers answers) {
    int cut = answers == null ? 0 : answers.cutQuestions().cardinality();
    return cut == 0
        ? Optional.empty()
        : Optional.of(
            String.format(
                Locale.ROOT,
                "%,d of %,d %s questions have an answer that is cut and count as wrong",
                cut,
                answers.examples().size(),
                part));
  }

  private OptionalInt firstRefused(BitSet cut) {
    return settings.tooLong() == TooLong.CUT || cut.isEmpty()
        ? OptionalInt.empty()
        : OptionalInt.of(cut.nextSetBit(0));
  }

  private DataException tooLong(String what, int tokens, String count) {
    return new DataException(
        String.format(
            Locale.ROOT,
            trained
                ? "%s has %,d tokens, but the run was made with --max-seq-length %,d%s; shorten the texts, or say --too-long cut; a run that is made with a larger --max-seq-length takes more (the model at most %,d)"
                : "%s has %,d tokens, but --max-seq-length is %,d%s; raise --max-seq-length (the model takes at most %,d), shorten the texts, or say --too-long cut",
            what,
            tokens,
            settings.maxLength(),
            count,
            mostTokens));
  }

  /** A tokenizer may have a token that was added to it and not to the model. */
  private void requireKnown(List<Example> examples, int i, String what, int id) {
    if (id >= vocabulary) {
      throw new DataException(
          String.format(
              Locale.ROOT,
              "%s: %s has a token with id %d, and the model has %d (vocab_size in config.json): it was added to the tokenizer alone; take it out of the texts and the chat template, or resize the model's embeddings",
              place(examples, i),
              what,
              id,
              vocabulary));
    }
  }

  private static String place(List<Example> examples, int i) {
    Place place = examples.get(i).place();
    return place == null ? "example " + (i + 1) : place.toString();
  }

  /** Those of the longest, none of which is cut. */
  private int tokens(List<TrainingText> texts, OptionalInt end) {
    try (Tokenizer whole = Tokenizer.of(tokenizerJson, Integer.MAX_VALUE)) {
      EncodedTexts encoded = EncodedTexts.of(whole, texts, end);
      int most = 0;
      for (int i = 0; i < texts.size(); i++) {
        most = Math.max(most, encoded.data().length(i));
      }
      return most;
    }
  }
}
