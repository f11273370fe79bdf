package org.prunepeft;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.function.IntConsumer;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.data.Schema;
import org.prunepeft.data.Task;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.batch.Answers;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.EncodedTexts;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.data.chat.ChatFormat;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.data.task.GlueTask;
import org.prunepeft.data.task.LanguageTask;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.generate.Generation;
import org.prunepeft.generate.GenerationListener;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.generate.TextGenerator;
import org.prunepeft.model.Decoder;
import org.prunepeft.model.Encoder;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.RunSchema;
import org.prunepeft.run.Interruption;
import org.prunepeft.run.ModelFiles;
import org.prunepeft.run.RunData;
import org.prunepeft.run.TextEncoding;
import org.prunepeft.search.Candidate;
import org.prunepeft.settings.LoadSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.torch.Tape;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Prediction;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.TooLong;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.loop.Owned;
import org.prunepeft.train.loop.Predictor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a run trained, loaded back from its directory: the encoder, as it was pre-trained or as the
 * run trained it, the modules that are left, the head and the tokenizer. Nothing of it changes any
 * more.
 *
 * <p>Any number of threads may call it at once: they share the weights, and each gets the bits that
 * it would get alone. A call computes on {@link Setup#threads} threads, and as many calls at once
 * as there are processors for them; the others wait in turn. So a server with many clients loads it
 * with one thread or few, and a program that predicts many texts in one call with all.
 *
 * <p>With as many threads as the run had, the same texts in the same order give the same bits as in
 * the run. The same text in another batch, or alone, may differ in its last bits.
 *
 * <p>The owner closes it, which waits for the calls that go on and frees native memory. Later calls
 * of {@code predict} and {@code evaluate} are an {@link IllegalStateException}, and so are calls of
 * a listener while it is told: they would wait for the call that waits for them.
 */
public final class TrainedModel implements TextGenerator {
  private static final Logger LOG = LoggerFactory.getLogger(TrainedModel.class);
  private static final String EVALUATED = "evaluated";
  private static final String EXAMPLES = "examples";

  private final LoadedRun loaded;
  private final RunDirectory run;
  private final Setup setup;
  private final Schema schema;
  private final Tokenizer tokenizer;

  /** Null: it is no language model. */
  private final TextEncoding encoding;

  /** Of prompts, which are not cut; null: it writes no texts. */
  private final Tokenizer prompter;

  private final ModelThreads threads;

  private final Owned owned = new Owned();

  private boolean closed;

  /** Takes the loaded run over, and closes it if this can't be made. */
  private TrainedModel(LoadedRun loaded) {
    this.loaded = loaded;
    run = loaded.directory();
    setup = loaded.setup();
    schema = loaded.schema();
    Encoder encoder = loaded.model().encoder();
    owned.add(loaded);
    try {
      tokenizer = owned.add(Tokenizer.of(loaded.model().tokenizer(), setup.training().maxLength()));
      encoding =
          generates()
              ? new TextEncoding(
                  encoder.config(), loaded.model().tokenizer(), tokenizer, setup.training(), true)
              : null;
      prompter = owned.add(generates() ? LanguageModel.prompter(loaded.model()) : null);
      threads =
          owned.add(
              new ModelThreads(
                  Math.max(1, Runtime.getRuntime().availableProcessors() / setup.threads()),
                  () ->
                      new ModelThreads.ThreadState(
                          new Predictor(encoder), loaded.modules().forAnotherThread()),
                  "the model of %s is closed; load it again".formatted(run.path())));
    } catch (RuntimeException | Error e) {
      owned.closeAfter(e);
      throw e;
    }
  }

  /**
   * Loads a run, and sets the process's threads to those of the run, or to all processors where
   * these are fewer.
   *
   * @param run the directory of a complete run
   * @return the model, the caller's to close
   * @throws org.prunepeft.io.RunDirectoryException if it is absent, incomplete or damaged, if a
   *     file of it or of its model has another checksum than the run left, or holds a NaN
   * @throws IllegalArgumentException if its model is not known
   * @throws org.prunepeft.io.AssetException if its model comes in a jar, which can't be had
   * @throws java.io.UncheckedIOException if a file of its model can't be read or is damaged
   * @throws org.prunepeft.data.DataException if the tokenizer or its native library does not load
   * @throws LinkageError if LibTorch or the kernels do not load
   * @throws CancellationException if the thread is interrupted
   */
  public static TrainedModel load(Path run) {
    return load(run, LoadSettings.DEFAULT);
  }

  /**
   * Loads a run, and sets the process's threads.
   *
   * @param run the directory of a complete run
   * @param settings what is to be otherwise than the run has it
   * @return the model, the caller's to close
   * @throws org.prunepeft.io.RunDirectoryException as {@link #load(Path)}
   * @throws IllegalArgumentException if its model is not known, or tooLong is named and it is no
   *     language model
   * @throws RuntimeException others as {@link #load(Path)}
   */
  public static TrainedModel load(Path run, LoadSettings settings) {
    return Interruption.cancelling(() -> loaded(run, settings));
  }

  private static TrainedModel loaded(Path run, LoadSettings settings) {
    RunDirectory directory = RunDirectory.open(run);
    Manifest.verify(directory);
    Schema schema = RunSchema.of(directory.path());
    TooLong tooLong = settings.tooLong();
    if (tooLong != null && schema.kind() != TaskKind.LANGUAGE_MODELING) {
      throw new IllegalArgumentException(
          "tooLong is for the texts of a language model, and the run %s is a %s; leave it out"
              .formatted(run, described(schema)));
    }
    Setup setup = ModelFiles.setup(directory, settings.model());
    TrainingSettings training = setup.training();
    LoadedRun loaded =
        LoadedRun.of(
            directory,
            setup
                .with()
                .training(tooLong == null ? training : training.withTooLong(tooLong))
                .threads(settings.threads() == null ? threads(run, setup) : settings.threads())
                .device(settings.device() == null ? setup.device() : settings.device())
                .build());
    return new TrainedModel(loaded);
  }

  /** As many as the run had, but no more than there are processors here. */
  private static int threads(Path run, Setup setup) {
    int processors = Runtime.getRuntime().availableProcessors();
    if (setup.threads() > processors) {
      LOG.warn(
          "the run {} had {} threads, and this machine has {} processors, so that many are used;"
              + " the last bits of results may differ",
          run,
          setup.threads(),
          processors);
    }
    return Math.min(setup.threads(), processors);
  }

  /** {@return how it was trained; the threads are those that it was loaded with} */
  public Setup setup() {
    return setup;
  }

  /** {@return what it was trained to predict} */
  public Schema schema() {
    return schema;
  }

  /** {@return the modules that are in the encoder} */
  public List<Candidate> modules() {
    return loaded.modules().candidates();
  }

  /**
   * {@return the data that the run was trained, validated and tested on} Files that have changed
   * since are named in the log.
   *
   * @throws IllegalArgumentException if the task is not known, or the run has no data, as that of a
   *     language model's adapter that was imported
   */
  public Dataset dataset() {
    return dataset(ownTask());
  }

  private Task ownTask() {
    if (generates()
        && setup.files() == null
        && TaskKind.LANGUAGE_MODELING.problemType().equals(setup.task())) {
      throw new IllegalArgumentException(
          "the run %s was imported and has no data of its own; name a file of texts with --test-file"
              .formatted(run.path()));
    }
    return setup.resolveTask();
  }

  /**
   * {@return another task's data, drawn with the run's sizes and seeds}
   *
   * @param task its name; null: the run's own
   * @param data directory of its data; null: the run's, if the task is read from one
   * @throws IllegalArgumentException if the task is not known, or predicts something else than the
   *     run's
   */
  public Dataset dataset(String task, Path data) {
    Task named = task == null ? ownTask() : Tasks.byName(task);
    if (data != null) {
      named = named.at(data);
    } else if (setup.data() != null && named instanceof GlueTask) {
      named = named.at(setup.data());
    }
    return dataset(named);
  }

  private Dataset dataset(Task task) {
    Dataset dataset = task.load(setup.sizes(), setup.seed(), setup.testSeed());
    Schema other = dataset.schema();
    if (other.kind() != schema.kind()
        || other.textColumns() != schema.textColumns()
        || !other.labels().equals(schema.labels())) {
      throw new IllegalArgumentException(
          "the run was trained for a %s, but task %s is a %s"
              .formatted(described(schema), task.name(), described(other)));
    }
    RunData.changes(run, task).forEach(LOG::warn);
    return dataset;
  }

  private static String described(Schema schema) {
    return "%s of %s%s"
        .formatted(
            switch (schema.kind()) {
              case CLASSIFICATION -> "classification";
              case REGRESSION -> "regression";
              case LANGUAGE_MODELING -> "language model";
            },
            schema.textColumns() == 1 ? "texts" : "pairs of texts",
            schema.labels().isEmpty() ? "" : " with the labels " + schema.labels());
  }

  /** {@return where files that are like the run's own have texts and labels} */
  public Columns columns() {
    if (setup.files() != null) {
      return setup.files().columns();
    }
    if (generates()) {
      return Columns.DEFAULT;
    }
    return setup.resolveTask() instanceof GlueTask glue ? glue.columns() : Columns.DEFAULT;
  }

  /**
   * {@return labelled examples of a file, for {@link #evaluate}} Conversations are written by the
   * template that the run was trained with, or else by that of its model, as in {@link
   * #chatFormat}.
   *
   * @param file in a {@link org.prunepeft.data.table.TableFormat}
   * @param columns with as many texts as the run's {@link #schema()} has
   * @throws org.prunepeft.data.DataException if the file can't be read, is damaged, or has a label
   *     that the run does not know; names the line
   * @throws IllegalArgumentException if a column is not there
   */
  public List<Example> read(Path file, Columns columns) {
    requireTexts(columns.texts());
    return generates()
        ? LanguageTask.examples(file, columns, format(file, columns))
        : ExampleFile.labelled(file, columns, schema);
  }

  /** How a file's conversations are written; says so where the run has seen none. */
  private ChatFormat format(Path file, Columns columns) {
    ChatFormat trained = setup.files() == null ? null : setup.files().chat();
    if (trained != null || !LanguageTask.hasConversations(file, columns)) {
      return trained;
    }
    ChatFormat own = chatFormat();
    LOG.warn(
        own.plain()
            ? "{} has conversations, the run {} kept no chat template, and its model {} has none:"
                + " they are written as lines '### User:' and '### Assistant:'"
            : "{} has conversations, and the run {} kept no chat template: they are written by that"
                + " of its model {}",
        file,
        run.path(),
        setup.model());
    return own;
  }

  /**
   * Checks that examples have as many texts as the run's.
   *
   * @param texts of an example, 1 or 2
   * @throws IllegalArgumentException if they are more or fewer
   */
  public void requireTexts(int texts) {
    if (texts != schema.textColumns()) {
      throw new IllegalArgumentException(
          schema.textColumns() == 1
              ? "the run predicts from single texts, but two columns of texts are named"
              : "the run predicts from pairs of texts; name both columns of a .tsv, .csv, .jsonl or"
                  + " .parquet file with --text-column and --text-pair-column");
    }
  }

  /**
   * {@return quality on labelled examples}
   *
   * @param examples at least one, labelled as the {@link #schema()} says
   * @throws IllegalArgumentException if one has a label that the schema does not have, or none, or
   *     as many texts as the run's have not; names it
   * @throws org.prunepeft.data.DataException if a language model's text is too long, and such are
   *     refused; names its place
   */
  public Evaluation evaluate(List<Example> examples) {
    return evaluate(examples, schema.metrics());
  }

  /**
   * {@return quality on labelled examples by other metrics than the run's}
   *
   * @param examples at least one, labelled as the {@link #schema()} says
   * @param metrics 1 or more
   * @throws IllegalArgumentException as {@link #evaluate(List)}, or if a metric is not for such a
   *     task, or needs what an example has not
   */
  public Evaluation evaluate(List<Example> examples, List<Metric> metrics) {
    return evaluate(examples, metrics, ProgressListener.NONE);
  }

  /**
   * {@return the same for work that takes long}
   *
   * @param examples at least one, labelled as the {@link #schema()} says
   * @param metrics 1 or more
   * @param progress hears how many examples are done, and may cancel; on another thread, and must
   *     not call the model
   * @throws IllegalArgumentException as {@link #evaluate(List, List)}
   * @throws CancellationException if the listener cancels
   */
  public Evaluation evaluate(
      List<Example> examples, List<Metric> metrics, ProgressListener progress) {
    requireTexts(examples);
    requireListener(progress);
    Schema asked = schema.withMetrics(metrics);
    return threads.call(
        state -> {
          progress.started("evaluate", EXAMPLES, examples.size());
          EncodedDataset data = encoded(examples, asked, () -> requireNotCancelled(progress));
          Predictions predictions =
              state.predictor().predict(state.modules(), loaded.head(), data, counted(progress));
          return Evaluation.of(
              generates() ? predictions : new Predictions(asked, predictions.outputs()),
              data.targets());
        });
  }

  /**
   * {@return what the model predicts of examples, in their order: classes with their probabilities,
   * or numbers; of a language model the mean log-likelihood of the tokens that contribute to the
   * loss, of a plain text all} Examples of like lengths go through the encoder together.
   *
   * @param examples whose targets are not looked at; of pairs, {@code new Example(text, pair)}
   * @throws NullPointerException if one is null; names it
   * @throws IllegalArgumentException if one has not as many texts as the run's have, or no words at
   *     all; names it
   * @throws org.prunepeft.data.DataException as {@link #evaluate(List)}
   * @throws IllegalStateException if the model is closed, or a prediction is not finite
   */
  public Predictions predict(List<Example> examples) {
    return predict(examples, ProgressListener.NONE);
  }

  /**
   * {@return the same for work that takes long}
   *
   * @param examples as {@link #predict(List)} takes them
   * @param progress hears how many are done, and may cancel; on another thread, and must not call
   *     the model
   * @throws IllegalArgumentException as {@link #predict(List)}
   * @throws IllegalStateException as {@link #predict(List)}
   * @throws CancellationException if the listener cancels
   */
  public Predictions predict(List<Example> examples, ProgressListener progress) {
    requireTexts(examples);
    requireWords(examples);
    requireListener(progress);
    return threads.call(
        state -> {
          progress.started("predict", EXAMPLES, examples.size());
          EncodedDataset data = encoded(examples, null, () -> requireNotCancelled(progress));
          return state.predictor().predict(state.modules(), loaded.head(), data, counted(progress));
        });
  }

  private static void requireListener(ProgressListener progress) {
    Objects.requireNonNull(
        progress, "the listener must not be null; ProgressListener.NONE follows nothing");
  }

  private static void requireNotCancelled(ProgressListener progress) {
    if (progress.cancelled()) {
      throw new CancellationException("cancelled");
    }
  }

  private static IntConsumer counted(ProgressListener progress) {
    return done -> {
      progress.progress(done, "");
      requireNotCancelled(progress);
    };
  }

  /**
   * {@return what the model predicts of texts, in the order in which they are given}
   *
   * @param texts none of them blank
   * @throws NullPointerException if one is null; names it
   * @throws IllegalArgumentException if one is blank, or the run's examples are pairs
   * @throws IllegalStateException as {@link #predict(List)}
   */
  public Predictions predict(Collection<String> texts) {
    return predict(examples(texts));
  }

  /**
   * {@return the same for work that takes long}
   *
   * @param texts as {@link #predict(Collection)} takes them
   * @param progress as {@link #predict(List, ProgressListener)} has it
   * @throws IllegalArgumentException as {@link #predict(Collection)}
   * @throws CancellationException if the listener cancels
   */
  public Predictions predict(Collection<String> texts, ProgressListener progress) {
    return predict(examples(texts), progress);
  }

  private static List<Example> examples(Collection<String> texts) {
    List<Example> examples = new ArrayList<>();
    for (String text : texts) {
      examples.add(new Example(requireText("text " + examples.size(), text), null));
    }
    return examples;
  }

  /**
   * {@return what the model predicts of a text}
   *
   * @param text not blank
   * @throws NullPointerException if it is null
   * @throws IllegalArgumentException if it is blank, or the run's examples are pairs
   * @throws IllegalStateException as {@link #predict(List)}
   */
  public Prediction predict(String text) {
    return predict(List.of(new Example(requireText("the text", text), null))).get(0);
  }

  /**
   * {@return what the model predicts of a pair of texts}
   *
   * @param text the first one, not blank
   * @param pair the second one, not blank
   * @throws NullPointerException if one is null
   * @throws IllegalArgumentException if one is blank, or the run's examples are single texts
   * @throws IllegalStateException as {@link #predict(List)}
   */
  public Prediction predict(String text, String pair) {
    Example example =
        new Example(requireText("the first text", text), requireText("the second text", pair));
    return predict(List.of(example)).get(0);
  }

  /**
   * {@return a text as the head sees it: [hidden size] the encoder's last hidden states, with the
   * run's modules in it, pooled as its head pools them} Texts of like meaning for the run's task
   * have vectors of like direction; they are not normalised.
   *
   * @param text not blank
   * @throws NullPointerException if it is null
   * @throws IllegalArgumentException if it is blank, the run's pairs are encoded as one text, or it
   *     is a language model
   * @throws IllegalStateException if the model is closed, or a value is not finite
   */
  public float[] embed(String text) {
    return embed(List.of(requireText("the text", text))).get(0);
  }

  /**
   * {@return texts as the head sees them, in their order; see {@link #embed(String)}}
   *
   * @param texts none of them blank
   * @throws NullPointerException if one is null; names it
   * @throws IllegalArgumentException as {@link #embed(String)}; names the text
   * @throws IllegalStateException as {@link #embed(String)}
   */
  public List<float[]> embed(Collection<String> texts) {
    return embed(texts, ProgressListener.NONE);
  }

  /**
   * {@return the same for work that takes long}
   *
   * @param texts as {@link #embed(Collection)} takes them
   * @param progress as {@link #predict(List, ProgressListener)} has it
   * @throws IllegalArgumentException as {@link #embed(Collection)}
   * @throws IllegalStateException as {@link #embed(Collection)}
   * @throws CancellationException if the listener cancels
   */
  public List<float[]> embed(Collection<String> texts, ProgressListener progress) {
    requireEmbeds();
    List<Example> examples = examples(texts);
    requireListener(progress);
    return threads.call(
        state -> {
          progress.started("embed", EXAMPLES, examples.size());
          EncodedDataset data =
              EncodedDataset.of(
                  tokenizer, examples, PairEncoding.JOINT, () -> requireNotCancelled(progress));
          float[] all = state.predictor().embeddings(state.modules(), data, counted(progress));
          List<float[]> vectors = new ArrayList<>();
          for (int i = 0; i < examples.size(); i++) {
            int width = all.length / examples.size();
            vectors.add(Arrays.copyOfRange(all, i * width, (i + 1) * width));
          }
          return vectors;
        });
  }

  private void requireEmbeds() {
    if (generates()) {
      throw new IllegalArgumentException(
          "the run %s is a language model, which has no vector of a text".formatted(run.path()));
    }
    if (schema.textColumns() == 2 && setup.pairEncoding() != PairEncoding.SEPARATE) {
      throw new IllegalArgumentException(
          "the run %s encodes the two texts of a pair as one, so that a text alone has no vector; train with the pair encoding separate"
              .formatted(run.path()));
    }
  }

  /** {@return whether it is a language model, which {@link #generate} takes} */
  public boolean generates() {
    return schema.kind() == TaskKind.LANGUAGE_MODELING;
  }

  @Override
  public List<Generation> generate(
      List<String> prompts, GenerationSettings settings, GenerationListener listener) {
    requireLanguageModel();
    LanguageModel.requireGiven(prompts, settings, listener);
    return threads.call(
        state -> {
          if (prompts.isEmpty()) {
            return List.of();
          }
          try (Tape tape = new Tape()) {
            state.modules().begin(ForwardPass.evaluation(tape));
            return LanguageModel.generate(
                (Decoder) loaded.model().encoder(),
                prompter,
                state.modules(),
                prompts,
                settings,
                listener);
          }
        });
  }

  @Override
  public int room(String prompt, boolean addSpecialTokens) {
    requireLanguageModel();
    return threads.call(state -> LanguageModel.room(prompter, prompt, addSpecialTokens));
  }

  @Override
  public ChatFormat chatFormat(Path template) {
    requireLanguageModel();
    ChatFormat trained = setup.files() == null ? null : setup.files().chat();
    return template == null && trained != null
        ? trained
        : LanguageModel.chatFormat(setup.model(), template);
  }

  private void requireLanguageModel() {
    if (!generates()) {
      throw new IllegalArgumentException(
          "the run %s is a %s, which writes no texts".formatted(run.path(), described(schema)));
    }
  }

  private static String requireText(String name, String text) {
    if (Objects.requireNonNull(text, () -> name + " must not be null").isBlank()) {
      throw new IllegalArgumentException(
          name + " must have words to predict from, got a blank one");
    }
    return text;
  }

  private static void requireWords(List<Example> examples) {
    for (int i = 0; i < examples.size(); i++) {
      Example example = examples.get(i);
      if (example.text().isBlank() && (example.pair() == null || example.pair().isBlank())) {
        throw new IllegalArgumentException(
            "%s must have words to predict from, got a blank text"
                .formatted(example.place() == null ? "example " + i : example.place()));
      }
    }
  }

  private void requireTexts(List<Example> examples) {
    for (int i = 0; i < examples.size(); i++) {
      int index = i;
      Example example =
          Objects.requireNonNull(examples.get(i), () -> "example " + index + " must not be null");
      int texts = example.pair() == null ? 1 : 2;
      if (texts != schema.textColumns()) {
        throw new IllegalArgumentException(
            schema.textColumns() == 1
                ? "the run predicts from single texts, but example %d is a pair".formatted(i)
                : "the run predicts from pairs of texts, but example %d is one; give it a second text"
                    .formatted(i));
      }
    }
  }

  /**
   * As token ids; says what of a language model's texts is cut.
   *
   * @param asked with the metrics to evaluate by; null: predicted, of which more may follow
   * @param beforeEach is called before some texts at a time
   */
  private EncodedDataset encoded(List<Example> examples, Schema asked, Runnable beforeEach) {
    if (!generates()) {
      return EncodedDataset.of(tokenizer, examples, setup.pairEncoding(), beforeEach);
    }
    List<Example> texts = texts(examples);
    if (asked == null) {
      EncodedTexts predicted = encoding.someTexts(texts, beforeEach);
      encoding.cutNote("predicted", predicted).ifPresent(LOG::warn);
      return predicted.data();
    }
    EncodedTexts evaluated = encoding.texts(texts, beforeEach);
    Answers answers = encoding.answers(asked, texts, prompter);
    encoding.cutNote(EVALUATED, evaluated).ifPresent(LOG::warn);
    TextEncoding.cutNote(EVALUATED, answers).ifPresent(LOG::warn);
    return evaluated.data().withAnswers(answers);
  }

  /** Plain texts are learnt as a whole. */
  private static List<Example> texts(List<Example> examples) {
    return examples.stream()
        .map(
            example ->
                example.training() == null
                    ? Example.of(TrainingText.of(example.text())).at(example.place())
                    : example)
        .toList();
  }

  /**
   * Waits for the calls that go on, those that wait for their turn too. Twice is no more than once.
   *
   * @throws IllegalStateException if a listener calls it, which the call that goes on would wait
   *     for
   */
  @Override
  public void close() {
    threads.requireAnotherThread();
    closeOnce();
  }

  private synchronized void closeOnce() {
    if (closed) {
      return;
    }
    closed = true;
    owned.close();
  }
}
