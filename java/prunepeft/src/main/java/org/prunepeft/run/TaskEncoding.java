package org.prunepeft.run;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
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
import org.prunepeft.model.Models;
import org.prunepeft.train.TrainingSettings;

/** The parts of a data set as a model's token ids. */
public final class TaskEncoding implements AutoCloseable {
  private static final String TRAINING = "training";
  private static final String MORE = "; --max-seq-length takes more";

  private final EncodedDataset train;
  private final EncodedDataset validation;
  private final EncodedDataset test;
  private final List<String> notes = new ArrayList<>();

  private final Runnable beforeEach;

  /** Of prompts whose answers are written; null: none are. */
  private final Tokenizer prompter;

  /**
   * Encodes; of a language model the training texts may be packed into rows, the others are not.
   *
   * @param pairs how the texts of a pair are encoded
   * @param beforeEach is called before some texts at a time; what it throws ends the work
   * @throws DataException if a language model has nothing to learn in a part
   */
  TaskEncoding(
      Dataset dataset,
      Models.LoadedModel model,
      TrainingSettings settings,
      PairEncoding pairs,
      Runnable beforeEach) {
    this.beforeEach = beforeEach;
    try (Tokenizer tokenizer = Tokenizer.of(model.tokenizer(), settings.maxLength())) {
      if (dataset.schema().kind() != TaskKind.LANGUAGE_MODELING) {
        train = EncodedDataset.of(tokenizer, dataset.train(), pairs, beforeEach);
        validation = EncodedDataset.of(tokenizer, dataset.validation(), pairs, beforeEach);
        test = EncodedDataset.of(tokenizer, dataset.test(), pairs, beforeEach);
        prompter = null;
        return;
      }
      TextEncoding encoding =
          new TextEncoding(model.encoder().config(), model.tokenizer(), tokenizer, settings);
      EncodedDataset texts = texts(TRAINING, encoding, dataset.train()).learnt();
      train = settings.packing() ? texts.packed(settings.maxLength()) : texts;
      if (settings.packing()) {
        notes.add(
            String.format(
                Locale.ROOT,
                "%,d training texts are packed into %,d rows of at most %,d tokens",
                texts.size(),
                train.size(),
                settings.maxLength()));
      }
      Schema schema = dataset.schema();
      EncodedDataset validated = texts("validation", encoding, dataset.validation());
      EncodedDataset tested = texts("test", encoding, dataset.test());
      prompter =
          schema.metrics().contains(Metric.EXACT_MATCH)
              ? Tokenizer.decoding(model.tokenizer(), model.encoder().config().maxTokens())
              : null;
      // Answers take long: each epoch is asked for them only if they choose the best one.
      validation =
          schema.primary() == Metric.LOG_LIKELIHOOD
              ? validated
              : validated.withAnswers(
                  noted("validation", encoding.answers(schema, dataset.validation(), prompter)));
      test = tested.withAnswers(noted("test", encoding.answers(schema, dataset.test(), prompter)));
    }
  }

  private Answers noted(String part, Answers answers) {
    TextEncoding.cutNote(part, answers).ifPresent(note -> notes.add(note + MORE));
    return answers;
  }

  @Override
  public void close() {
    if (prompter != null) {
      prompter.close();
    }
  }

  private EncodedDataset texts(String part, TextEncoding encoding, List<Example> examples) {
    EncodedTexts texts = encoding.texts(examples, beforeEach);
    noteConversations(part, examples);
    encoding.cutNote(part, texts).ifPresent(note -> notes.add(note + MORE));
    if (texts.unlearnt() > 0 && texts.unlearnt() == examples.size()) {
      throw new DataException(
          String.format(
              Locale.ROOT,
              "no %s text has a token that contributes to the loss within %,d tokens; take more with --max-seq-length, or look at the columns",
              part,
              encoding.maxLength()));
    }
    if (texts.unlearnt() > 0) {
      notes.add(
          String.format(
              Locale.ROOT,
              "%,d of %,d %s texts have no token that contributes to the loss%s: the part to learn is empty or was cut off",
              texts.unlearnt(),
              examples.size(),
              part,
              part.equals(TRAINING) ? " and are left out" : ""));
    }
    return texts.data();
  }

  /** Where a conversation is several texts, which have its place. */
  private void noteConversations(String part, List<Example> examples) {
    long rows = DataNotes.rows(examples);
    if (rows < examples.size()) {
      notes.add(
          String.format(
              Locale.ROOT,
              "%,d %s conversations are %,d texts: the chat template writes an assistant turn differently when more messages follow, so each turn is trained as a text of its own",
              rows,
              part,
              examples.size()));
    }
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
