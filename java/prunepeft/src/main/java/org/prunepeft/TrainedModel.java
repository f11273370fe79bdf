package org.prunepeft;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
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
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.data.task.GlueTask;
import org.prunepeft.data.task.LanguageTask;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.generate.Generation;
import org.prunepeft.generate.GenerationListener;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.generate.TextGenerator;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.Decoder;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.run.ModelFiles;
import org.prunepeft.run.RunData;
import org.prunepeft.run.Session;
import org.prunepeft.run.TaskEncoding;
import org.prunepeft.search.Candidate;
import org.prunepeft.settings.Setup;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Prediction;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.LanguageModelHead;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.loop.Trainer;
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
 * the run. The same text in other company, or alone, may differ in its last bits.
 *
 * <p>The owner closes it, which waits for the calls that go on and frees native memory. Later calls
 * of {@code predict} and {@code evaluate} are an {@link IllegalStateException}.
 */
public final class TrainedModel implements TextGenerator {
  private static final Logger LOG = LoggerFactory.getLogger(TrainedModel.class);

  private final RunDirectory run;
  private final Setup setup;
  private final Schema schema;
  private final Encoder encoder;

  /** The encoder's own weights where the run trained them; else null. */
  private final FlatParameters own;

  private final PeftModules modules;
  private final TaskHead head;
  private final Tokenizer tokenizer;

  /** Of prompts, which are not cut; null: it writes no texts. */
  private final Tokenizer prompter;

  private final ModelThreads threads;
  private boolean closed;

  private TrainedModel(
      RunDirectory run,
      Setup setup,
      Schema schema,
      Models.LoadedModel loaded,
      FlatParameters own,
      PeftModules modules,
      TaskHead head) {
    this.run = run;
    this.setup = setup;
    this.schema = schema;
    this.encoder = loaded.encoder();
    this.own = own;
    this.modules = modules;
    this.head = head;
    this.tokenizer = Tokenizer.of(loaded.tokenizer(), setup.training().maxLength());
    this.prompter = generates() ? LanguageModel.prompter(loaded) : null;
    this.threads =
        new ModelThreads(
            Math.max(1, Runtime.getRuntime().availableProcessors() / setup.threads()),
            () ->
                new ModelThreads.State(
                    new Trainer(encoder, setup.training()), modules.forAnotherThread()),
            "the model of %s is closed; load it again".formatted(run.path()));
  }

  /**
   * Loads a run, and sets the process's threads to those of the run.
   *
   * @param run the directory of a complete run
   * @return the model, the caller's to close
   * @throws org.prunepeft.io.RunDirectoryException if it is absent, incomplete or damaged, if a
   *     file of it or of its model has another checksum than the run left, or holds a NaN
   * @throws IllegalArgumentException if its model is not known
   */
  public static TrainedModel load(Path run) {
    return load(run, null, null, null);
  }

  /**
   * Loads a run.
   *
   * @param run the directory of a complete run
   * @param threads of all native pools of the process, 1 or more; null: those of the run. Results
   *     of another count than the run's may differ in their last bits
   * @param device where it is computed: cpu, cuda, cuda:N or auto; null: where the run was
   * @param model the base model's name or directory; null: where the run found it
   * @return the model, the caller's to close
   */
  public static TrainedModel load(Path run, Integer threads, String device, String model) {
    RunDirectory directory = RunDirectory.open(run);
    Manifest.verify(directory);
    Setup setup = ModelFiles.setup(directory, model);
    return load(
        directory,
        setup
            .with()
            .threads(threads == null ? setup.threads() : threads)
            .device(device == null ? setup.device() : device)
            .build());
  }

  private static TrainedModel load(RunDirectory directory, Setup setup) {
    Schema schema = schema(directory);
    EncoderConfig trainedOn = directory.readJson(RunFiles.CONFIG, "encoder", EncoderConfig.class);
    Torch.setThreads(setup.threads());
    Models.Loader loader = Models.byName(setup.model()).loader();
    Models.LoadedModel loaded =
        (schema.kind() == TaskKind.LANGUAGE_MODELING ? loader : loader.withoutLogits())
            .load(setup.precision(), setup.quantization(), ComputeDevice.parse(setup.device()));
    try {
      EncoderConfig config = loaded.encoder().config();
      if (!config.equals(trainedOn)) {
        throw new RunDirectoryException(
            "%s was trained on a model %s of other sizes: %s, now %s"
                .formatted(directory.path(), setup.model(), trainedOn, config));
      }
      ModelFiles.require(directory, loaded.files());
      return load(directory, setup, schema, loaded);
    } catch (RuntimeException | Error e) {
      loaded.encoder().close();
      throw e;
    }
  }

  private static TrainedModel load(
      RunDirectory directory, Setup setup, Schema schema, Models.LoadedModel loaded) {
    EncoderConfig config = loaded.encoder().config();
    ComputeDevice device = loaded.encoder().device();
    PeftModules modules =
        new PeftModules(
            setup.peft(),
            config,
            candidates(directory, setup.peft(), config),
            device);
    int towers = setup.pairEncoding() == PairEncoding.SEPARATE ? 2 : 1;
    TaskHead head =
        schema.kind() == TaskKind.LANGUAGE_MODELING
            ? LanguageModelHead.of(loaded.encoder())
            : new Head(schema, Head.width(config.hidden(), towers), device, Pooling.of(config));
    FlatParameters own = null;
    try {
      if (RunFiles.isFull(directory)) {
        own = loaded.encoder().trainable();
        read(directory.file(RunFiles.ENCODER), List.of(own));
      }
      read(directory.file(RunFiles.ADAPTER), List.copyOf(modules.groups().values()));
      if (head.parameters().count() > 0) {
        read(directory.file(RunFiles.HEAD), List.of(head.parameters()));
      }
      return new TrainedModel(directory, setup, schema, loaded, own, modules, head);
    } catch (RuntimeException | Error e) {
      if (own != null) {
        own.close();
      }
      modules.close();
      head.close();
      throw e;
    }
  }

  private static Schema schema(RunDirectory directory) {
    try {
      return Schema.fromMap(directory.readJson(RunFiles.CONFIG));
    } catch (IllegalArgumentException e) {
      throw new RunDirectoryException(
          "%s: %s".formatted(directory.file(RunFiles.CONFIG), e.getMessage()), e);
    }
  }

  /** The modules that a run's configuration names, as they are in the model's search space. */
  private static List<Candidate> candidates(
      RunDirectory directory, PeftConfig peft, EncoderConfig config) {
    Map<String, Candidate> known =
        peft.space(config).candidates().stream()
            .collect(
                Collectors.toMap(
                    Candidate::name, Function.identity(), (a, b) -> a, LinkedHashMap::new));
    Candidate[] kept = directory.readJson(RunFiles.CONFIGURATION, "modules", Candidate[].class);
    for (Candidate candidate : kept) {
      if (!candidate.equals(known.get(candidate.name()))) {
        throw new RunDirectoryException(
            "%s names a module that does not fit the model: %s; the model has %s"
                .formatted(
                    directory.file(RunFiles.CONFIGURATION),
                    candidate,
                    known.containsKey(candidate.name())
                        ? known.get(candidate.name())
                        : known.keySet()));
      }
    }
    return List.of(kept);
  }

  /** Reads exactly the tensors that the parameters have. */
  private static void read(Path file, List<FlatParameters> groups) {
    Map<String, FlatParameters> owners = new LinkedHashMap<>();
    for (FlatParameters group : groups) {
      group.names().forEach(name -> owners.put(name, group));
    }
    try (SafeTensors tensors = SafeTensors.open(file)) {
      if (!tensors.names().equals(owners.keySet())) {
        throw new RunDirectoryException(
            "%s does not fit the configuration: tensors that only one of them has are %s"
                .formatted(file, difference(tensors.names(), owners.keySet())));
      }
      for (Map.Entry<String, FlatParameters> entry : owners.entrySet()) {
        String name = entry.getKey();
        long[] shape = tensors.entry(name).shape();
        if (!Arrays.equals(shape, entry.getValue().shape(name))) {
          throw new RunDirectoryException(
              "%s: tensor %s must have shape %s, got %s"
                  .formatted(
                      file,
                      name,
                      Arrays.toString(entry.getValue().shape(name)),
                      Arrays.toString(shape)));
        }
        entry.getValue().put(name, tensors.finiteFloats(name));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("can't read %s: %s".formatted(file, e.getMessage()), e);
    }
  }

  private static Set<String> difference(Set<String> a, Set<String> b) {
    Set<String> difference = new TreeSet<>(a);
    difference.addAll(b);
    difference.removeIf(name -> a.contains(name) && b.contains(name));
    return difference;
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
    return modules.candidates();
  }

  /**
   * {@return the data that the run was trained, validated and tested on} Files that have changed
   * since are named in the log.
   *
   * @throws IllegalArgumentException if the task is not known
   */
  public Dataset dataset() {
    return dataset(setup.resolveTask());
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
    Task named = task == null ? setup.resolveTask() : Tasks.byName(task);
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
    return setup.resolveTask() instanceof GlueTask glue ? glue.columns() : Columns.DEFAULT;
  }

  /**
   * {@return labelled examples of a file, for {@link #evaluate}}
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
        ? LanguageTask.examples(file, columns, setup.files() == null ? null : setup.files().chat())
        : ExampleFile.labelled(file, columns, schema);
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
              : "the run predicts from pairs of texts; name both columns of a .tsv, .csv, .jsonl or .parquet file with --text-column and --text-pair-column");
    }
  }

  /**
   * {@return quality on labelled examples}
   *
   * @param examples at least one, labelled as the {@link #schema()} says
   * @throws IllegalArgumentException if one has a label that the schema does not have, or none, or
   *     as many texts as the run's have not; names it
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
    requireTexts(examples);
    Schema asked = schema.withMetrics(metrics);
    return threads.call(
        state -> {
          EncodedDataset data = encoded(examples);
          if (generates()) {
            int most = setup.training().maxNewTokens();
            data = data.withAnswers(Answers.of(asked, texts(examples), tokenizer, prompter, most));
          }
          Predictions predictions = state.trainer().predict(state.modules(), head, data);
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
   * @throws IllegalArgumentException if one has not as many texts as the run's have; names it
   * @throws IllegalStateException if the model is closed, or a prediction is not finite
   */
  public Predictions predict(List<Example> examples) {
    requireTexts(examples);
    return threads.call(state -> state.trainer().predict(state.modules(), head, encoded(examples)));
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
    List<Example> examples = new ArrayList<>();
    for (String text : texts) {
      examples.add(new Example(requireText("text " + examples.size(), text), null));
    }
    return predict(examples);
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

  /** {@return whether it is a language model, which {@link #generate} takes} */
  public boolean generates() {
    return schema.kind() == TaskKind.LANGUAGE_MODELING;
  }

  @Override
  public List<Generation> generate(
      List<String> prompts, GenerationSettings settings, GenerationListener listener) {
    if (!generates()) {
      throw new IllegalArgumentException(
          "the run %s is a %s, which writes no texts".formatted(run.path(), described(schema)));
    }
    return threads.call(
        state -> {
          try (Tape tape = new Tape()) {
            state.modules().begin(ForwardPass.evaluation(tape));
            return LanguageModel.generate(
                (Decoder) encoder, prompter, state.modules(), prompts, settings, listener);
          }
        });
  }

  private static String requireText(String name, String text) {
    if (Objects.requireNonNull(text, () -> name + " must not be null").isBlank()) {
      throw new IllegalArgumentException(
          name + " must have words to predict from, got a blank one");
    }
    return text;
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

  private EncodedDataset encoded(List<Example> examples) {
    if (generates()) {
      return TaskEncoding.texts(tokenizer, texts(examples), TaskEncoding.end(encoder.config()))
          .data();
    }
    return EncodedDataset.of(tokenizer, examples, setup.pairEncoding());
  }

  /** Plain texts are learnt as a whole. */
  private static List<Example> texts(List<Example> examples) {
    return examples.stream()
        .map(
            example ->
                example.training() == null ? Example.of(TrainingText.of(example.text())) : example)
        .toList();
  }

  /**
   * Waits for the calls that go on, those that wait for their turn too. Twice is no more than once.
   */
  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    threads.close();
    tokenizer.close();
    if (prompter != null) {
      prompter.close();
    }
    head.close();
    modules.close();
    if (own != null) {
      own.close();
    }
    encoder.close();
  }
}
