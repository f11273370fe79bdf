package org.prunepeft.run;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.batch.Answers;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.EncodedTexts;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.train.TrainingSettings;

/** The parts of a data set as a model's token ids. */
public final class TaskEncoding implements AutoCloseable {
  private static final String TRAINING = "training";

  private final EncodedDataset train;
  private final EncodedDataset validation;
  private final EncodedDataset test;
  private final List<String> notes = new ArrayList<>();

  /** Of prompts whose answers are written; null: none are. */
  private final Tokenizer prompter;

  /**
   * Encodes; of a language model the training texts may be packed into rows, the others are not.
   *
   * @param pairs how the texts of a pair are encoded
   * @throws DataException if a language model has nothing to learn in a part
   */
  TaskEncoding(
      Dataset dataset, Models.LoadedModel model, TrainingSettings settings, PairEncoding pairs) {
    try (Tokenizer tokenizer = Tokenizer.of(model.tokenizer(), settings.maxLength())) {
      if (dataset.schema().kind() != TaskKind.LANGUAGE_MODELING) {
        train = EncodedDataset.of(tokenizer, dataset.train(), pairs);
        validation = EncodedDataset.of(tokenizer, dataset.validation(), pairs);
        test = EncodedDataset.of(tokenizer, dataset.test(), pairs);
        prompter = null;
        return;
      }
      OptionalInt end = end(model.encoder().config());
      EncodedDataset texts = texts(TRAINING, tokenizer, dataset.train(), end).learnt();
      train = settings.packing() ? texts.packed(settings.maxLength()) : texts;
      if (settings.packing()) {
        notes.add(
            "%,d training texts are packed into %,d rows of at most %,d tokens"
                .formatted(texts.size(), train.size(), settings.maxLength()));
      }
      Schema schema = dataset.schema();
      EncodedDataset validated = texts("validation", tokenizer, dataset.validation(), end);
      EncodedDataset tested = texts("test", tokenizer, dataset.test(), end);
      prompter =
          schema.metrics().contains(Metric.EXACT_MATCH)
              ? Tokenizer.decoding(model.tokenizer(), model.encoder().config().maxTokens())
              : null;
      int most = settings.maxNewTokens();
      // Answers take long: each epoch is asked for them only if they choose the best one.
      validation =
          schema.primary() == Metric.LOG_LIKELIHOOD
              ? validated
              : validated.withAnswers(
                  noted(
                      "validation",
                      Answers.of(schema, dataset.validation(), tokenizer, prompter, most)));
      test =
          tested.withAnswers(
              noted("test", Answers.of(schema, dataset.test(), tokenizer, prompter, most)));
    }
  }

  private Answers noted(String part, Answers answers) {
    int cut = answers == null ? 0 : answers.cutQuestions().cardinality();
    if (cut > 0) {
      notes.add(
          "%,d of %,d %s questions have an answer that is cut and count as wrong; --max-seq-length takes more"
              .formatted(cut, answers.examples().size(), part));
    }
    return answers;
  }

  @Override
  public void close() {
    if (prompter != null) {
      prompter.close();
    }
  }

  private EncodedDataset texts(
      String part, Tokenizer tokenizer, List<Example> examples, OptionalInt end) {
    EncodedTexts texts = texts(tokenizer, examples, end);
    if (!texts.cut().isEmpty()) {
      notes.add(
          "%,d of %,d %s texts have more than %,d tokens and are cut there; --max-seq-length takes more"
              .formatted(texts.cut().cardinality(), examples.size(), part, tokenizer.maxLength()));
    }
    if (texts.unlearnt() > 0 && texts.unlearnt() == examples.size()) {
      throw new DataException(
          "no %s text has a token that contributes to the loss within %,d tokens; take more with --max-seq-length, or look at the columns"
              .formatted(part, tokenizer.maxLength()));
    }
    if (texts.unlearnt() > 0) {
      notes.add(
          "%,d of %,d %s texts have no token that contributes to the loss%s: the part to learn is empty or was cut off"
              .formatted(
                  texts.unlearnt(),
                  examples.size(),
                  part,
                  part.equals(TRAINING) ? " and are left out" : ""));
    }
    return texts.data();
  }

  /**
   * {@return texts that a language model learns from, encoded}
   *
   * @param end from {@link #end}
   */
  public static EncodedTexts texts(Tokenizer tokenizer, List<Example> examples, OptionalInt end) {
    return EncodedTexts.of(tokenizer, examples.stream().map(Example::training).toList(), end);
  }

  /** {@return the id of the token that ends a text of a model; empty if there is none} */
  public static OptionalInt end(EncoderConfig config) {
    return config.decoder() == null
        ? OptionalInt.empty()
        : config.decoder().endTokens().stream().mapToInt(Integer::intValue).findFirst();
  }

  /** To train on; of a language model an example may be a row of several texts. */
  EncodedDataset train() {
    return train;
  }

  /** In the data set's order. */
  EncodedDataset validation() {
    return validation;
  }

  /** In the data set's order. */
  EncodedDataset test() {
    return test;
  }

  /** A line each, for the user. */
  List<String> notes() {
    return notes;
  }
}
