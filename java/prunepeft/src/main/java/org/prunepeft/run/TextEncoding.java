package org.prunepeft.run;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
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
  private final int vocabulary;
  private final OptionalInt end;

  /**
   * Encodes for a model.
   *
   * @param tokenizerJson the model's
   * @param tokenizer of it and of the settings' maximum length; stays the caller's
   */
  public TextEncoding(
      EncoderConfig model, byte[] tokenizerJson, Tokenizer tokenizer, TrainingSettings settings) {
    this.tokenizerJson = tokenizerJson;
    this.tokenizer = tokenizer;
    this.settings = settings;
    vocabulary = model.vocabulary();
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
    EncodedTexts texts =
        EncodedTexts.of(tokenizer, examples.stream().map(Example::training).toList(), end);
    requireWhole(examples, texts.cut());
    requireKnown(examples, texts);
    return texts;
  }

  /**
   * {@return what else a language model is asked; null: nothing}
   *
   * @param prompter as {@link Answers} has it
   * @throws DataException if an answer to choose from is too long, and the settings refuse such
   */
  public Answers answers(Schema schema, List<Example> examples, Tokenizer prompter) {
    Answers answers = Answers.of(schema, examples, tokenizer, prompter, settings.maxNewTokens());
    if (answers != null) {
      requireWhole(examples, answers.cutQuestions());
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
            "%,d of %,d %s texts have more than %,d tokens and are cut there"
                .formatted(
                    texts.cut().cardinality(), texts.data().size(), part, settings.maxLength()));
  }

  private void requireWhole(List<Example> examples, BitSet cut) {
    if (settings.tooLong() == TooLong.CUT || cut.isEmpty()) {
      return;
    }
    int first = cut.nextSetBit(0);
    throw new DataException(
        "%s: the text has %,d tokens, but --max-seq-length is %,d (%,d of %,d texts are longer); take more, shorten them, or say --too-long cut"
            .formatted(
                place(examples, first),
                tokens(examples.get(first)),
                settings.maxLength(),
                cut.cardinality(),
                examples.size()));
  }

  /** A tokenizer may have a token that was added to it and not to the model. */
  private void requireKnown(List<Example> examples, EncodedTexts texts) {
    for (int i = 0; i < examples.size(); i++) {
      int id = texts.data().largestId(i);
      if (id >= vocabulary) {
        throw new DataException(
            "%s: the text has a token with id %d, and the model has %d (vocab_size in config.json): it was added to the tokenizer alone; take it out of the texts and the chat template, or resize the model's embeddings"
                .formatted(place(examples, i), id, vocabulary));
      }
    }
  }

  private static Object place(List<Example> examples, int i) {
    Place place = examples.get(i).place();
    return place == null ? "example " + i : place;
  }

  /** Those of the longest text of an example, none of which is cut. */
  private int tokens(Example example) {
    List<TrainingText> texts = new ArrayList<>(List.of(example.training()));
    if (example.choices() != null) {
      texts.addAll(example.choices().texts());
    }
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
