package org.prunepeft;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Example;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.model.SmallBertDirectory;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.settings.LoadSettings;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.Setup;
import org.prunepeft.settings.SetupBuilder;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.train.Prediction;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.TooLong;
import org.prunepeft.train.TrainingSettings;

/** A loaded run as a program uses it: by many threads, in any order, until it is closed. */
class TrainedModelTest {
  private static final int CLIENTS = 8;
  private static final List<String> WORDS =
      List.of("the", "film", "was", "not", "a", "long", "evening", "well", "spent", "by", "anyone");

  /** Of a model whose texts have 42 tokens at most. */
  private static final int MOST_TOKENS = 48;

  /**
   * Another text in the batch may move what comes of it by some roundings: of a text's vector, as
   * two passes through the layers of a small BERT differ, of its largest element.
   */
  private static final double ROUNDING =
      2
          * Rounding.likely(
              RandomCheckpoint.roundings(
                  SmallBertDirectory.config(WORDS.size(), MOST_TOKENS), MOST_TOKENS),
              Rounding.FLOAT32);

  @TempDir static Path temporary;
  private static Path single;
  private static Path paired;
  private static Path number;

  @BeforeAll
  static void train() throws IOException {
    Random random = TestSeed.random();
    String model =
        SmallBertDirectory.write(temporary.resolve("bert"), WORDS, MOST_TOKENS, random).toString();
    single =
        train(
            file(random, "text,label", "%1$s,%3$s"),
            TaskKind.CLASSIFICATION,
            Setup.builder().model(model).lora(LoraConfig.builder().rank(8).dora(true).build()));
    paired =
        train(
            file(random, "text,pair,label", "%1$s,%2$s,%3$s"),
            TaskKind.CLASSIFICATION,
            Setup.builder()
                .model(model)
                .pairEncoding(PairEncoding.SEPARATE)
                .adapter(AdapterConfig.DEFAULT.withStyle(AdapterConfig.Style.PARALLEL)));
    number =
        train(
            file(random, "text,label", "%1$s,%4$d"),
            TaskKind.REGRESSION,
            Setup.builder()
                .model(model)
                .lora(LoraConfig.builder().rank(4).perProjection(true).build()));
  }

  private static Path file(Random random, String header, String row) throws IOException {
    Path file = Files.createTempFile(temporary, "examples", ".csv");
    List<String> lines = new ArrayList<>(List.of(header));
    for (int i = 0; i < 48; i++) {
      lines.add(row.formatted(text(random, 12), text(random, 12), i % 2 == 0 ? "no" : "yes", i));
    }
    return Files.write(file, lines);
  }

  private static Path train(Path file, TaskKind kind, SetupBuilder setup) throws IOException {
    String pair = Files.readString(file).startsWith("text,pair") ? "pair" : null;
    Columns columns = new Columns("text", pair, "label", true);
    Path run = temporary.resolve(file.getFileName() + "-run");
    PrunePeft.train(
        setup
            .files(new DataFiles(file, null, null, columns, kind, null))
            .training(TrainingSettings.builder().maxLength(MOST_TOKENS).build())
            .epochs(1)
            .threads(2)
            .output(run)
            .build(),
        ModuleChoice.supernet(),
        ProgressListener.NONE);
    return run;
  }

  private static String text(Random random, int mostWords) {
    return IntStream.rangeClosed(0, random.nextInt(mostWords))
        .mapToObj(i -> WORDS.get(random.nextInt(WORDS.size())))
        .collect(Collectors.joining(" "));
  }

  private static List<String> texts(Random random, int count) {
    return IntStream.range(0, count).mapToObj(i -> text(random, i % 3 == 0 ? 40 : 12)).toList();
  }

  /** What a client asks, and the bits that must be the answer. */
  private record Question(List<Example> examples, float[] answer) {
    static Question of(TrainedModel model, List<Example> examples) {
      return new Question(examples, model.predict(examples).outputs());
    }
  }

  /** One text or pair each, and lists of them. */
  private static List<Question> questions(TrainedModel model, Random random, int count) {
    boolean pairs = model.schema().textColumns() == 2;
    List<Example> examples = new ArrayList<>();
    for (String text : texts(random, count)) {
      examples.add(new Example(text, pairs ? text(random, 20) : null));
    }
    List<Question> questions = new ArrayList<>();
    examples.forEach(example -> questions.add(Question.of(model, List.of(example))));
    for (int size = 2; size <= examples.size(); size += 5) {
      Collections.shuffle(examples, random);
      questions.add(Question.of(model, List.copyOf(examples.subList(0, size))));
    }
    return questions;
  }

  /** Each client asks everything, in an order of its own. */
  private static void ask(TrainedModel model, List<Question> questions, Random random)
      throws Exception {
    ExecutorService clients = Executors.newFixedThreadPool(CLIENTS);
    try {
      List<Future<Integer>> all = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        List<Question> own = new ArrayList<>(questions);
        Collections.shuffle(own, random);
        all.add(
            clients.submit(
                () -> {
                  for (Question question : own) {
                    assertArrayEquals(question.answer, model.predict(question.examples).outputs());
                  }
                  return own.size();
                }));
      }
      for (Future<Integer> client : all) {
        assertEquals(questions.size(), client.get());
      }
    } finally {
      clients.shutdownNow();
    }
  }

  /** With one thread a call several compute at once where there are processors. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void eightThreadsGetTheBitsThatOneGets(int threads) throws Exception {
    Random random = TestSeed.random();
    for (Path run : List.of(single, paired, number)) {
      askAndCompare(run, threads, random, 12);
    }
  }

  /** A model of the usual width. */
  @Nested
  @FixedSeed("texts are a prop here: those of the small model are drawn")
  class OfMiniLm {
    @Test
    void eightThreadsGetTheBitsThatOneGets() throws Exception {
      Random random = TestSeed.random();
      Path run =
          train(
              file(random, "text,label", "%1$s,%3$s"),
              TaskKind.CLASSIFICATION,
              Setup.builder().lora(LoraConfig.builder().rank(8).dora(true).build()));
      askAndCompare(run, 2, random, 3);
    }
  }

  private static void askAndCompare(Path run, int threads, Random random, int texts)
      throws Exception {
    List<Question> questions;
    try (TrainedModel alone = TrainedModel.load(run, LoadSettings.DEFAULT.withThreads(threads))) {
      questions = questions(alone, random, texts);
    }
    try (TrainedModel model = TrainedModel.load(run, LoadSettings.DEFAULT.withThreads(threads))) {
      ask(model, questions, random);
    }
  }

  @Test
  @FixedSeed("the weights are a prop: what is answered or refused does not depend on them")
  void whatBecomesOfTooLongTextsIsAskedOfLanguageModelsAlone() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                TrainedModel.load(
                    single,
                    LoadSettings.DEFAULT.withModel("not looked for").withTooLong(TooLong.CUT)));
    assertEquals(
        "tooLong is for the texts of a language model", e.getMessage().split(", and the run")[0]);
  }

  @Test
  void resultsAreInTheOrderOfTheTextsWhateverTheirLengths() {
    List<String> texts = texts(TestSeed.random(), 24);
    try (TrainedModel model = TrainedModel.load(single)) {
      assertTrue(model.modules().stream().anyMatch(module -> module.type().equals("lora")));
      Predictions together = model.predict(texts);
      assertEquals(texts.size(), together.size());
      for (int i = 0; i < texts.size(); i++) {
        Prediction alone = model.predict(texts.get(i));
        // By 2 p (1 - p) of what logits differ by, which are about as large as p's logarithm.
        double p = alone.probability();
        double least = Math.max(Math.min(p, 1 - p), Float.MIN_VALUE);
        double limit = ROUNDING * (1 - Math.log(least)) * 2 * p * (1 - p) + 2 * Rounding.FLOAT32;
        Rounding.assertNear(p, together.get(i).probability(), limit, texts.get(i));
        assertEquals(alone.label(), together.get(i).label());
      }
      assertEquals(0, model.predict(List.<String>of()).size());
    }
  }

  @Test
  @FixedSeed("the weights are a prop: what is answered or refused does not depend on them")
  void aPredictionHasNamesProbabilitiesOrANumber() {
    try (TrainedModel model = TrainedModel.load(single)) {
      Prediction one = model.predict("the film was long");
      assertEquals(List.of("no", "yes"), List.copyOf(one.probabilities().keySet()));
      assertEquals(one.probability(), one.probabilities().get(one.label()));
      assertEquals(Collections.max(one.probabilities().values()), one.probability());
      assertThrows(IllegalStateException.class, one::value);
      Predictions two = model.predict(List.of("a", "b"));
      says("2", assertThrows(IndexOutOfBoundsException.class, () -> two.get(2)));
      assertThrows(IndexOutOfBoundsException.class, () -> two.label(-1));
      assertThrows(IndexOutOfBoundsException.class, () -> two.probabilities(2));
    }
    try (TrainedModel model = TrainedModel.load(number)) {
      Prediction one = model.predict("the film was long");
      assertEquals(model.predict(List.of("the film was long")).value(0), one.value());
      assertThrows(IllegalStateException.class, one::label);
    }
    try (TrainedModel model = TrainedModel.load(paired)) {
      Prediction one = model.predict("the film", "was long");
      Example same = new Example("the film", "was long");
      assertEquals(model.predict(List.of(same)).probabilities(0)[0], one.probabilities().get("no"));
    }
  }

  private static void says(String part, Exception e) {
    assertTrue(e.getMessage().contains(part), e.getMessage());
  }

  @Test
  @FixedSeed("the weights are a prop: what is answered or refused does not depend on them")
  void whatCannotBePredictedIsNamed() {
    try (TrainedModel model = TrainedModel.load(single)) {
      String none = null;
      Collection<String> withNull = Arrays.asList("a", null);
      List<Example> nullExample = Arrays.asList(new Example("a", null), null);
      says(
          "the text must not", assertThrows(NullPointerException.class, () -> model.predict(none)));
      says(
          "text 1 must not",
          assertThrows(NullPointerException.class, () -> model.predict(withNull)));
      says(
          "example 1 must not",
          assertThrows(NullPointerException.class, () -> model.predict(nullExample)));
      for (String blank : List.of("", " \n")) {
        says(
            "the text must have words",
            assertThrows(IllegalArgumentException.class, () -> model.predict(blank)));
        says(
            "text 2 must have words",
            assertThrows(
                IllegalArgumentException.class, () -> model.predict(List.of("a", "b", blank))));
      }
      List<Example> withBlank = List.of(new Example("a", null), new Example(" ", null));
      says(
          "example 1 must have words",
          assertThrows(IllegalArgumentException.class, () -> model.predict(withBlank)));
      says(
          "single texts",
          assertThrows(IllegalArgumentException.class, () -> model.predict("a", "b")));
      List<Example> labelled = List.of(new Example("a", null, 1), new Example("b", null, 2));
      says(
          "example 1 has the label 2.0; labels are numbers from 0 to 1",
          assertThrows(IllegalArgumentException.class, () -> model.evaluate(labelled)));
      says("writes no texts", assertThrows(IllegalArgumentException.class, model::chatFormat));
      says(
          "writes no texts",
          assertThrows(IllegalArgumentException.class, () -> model.room("a", true)));
      // What failed left the model as it was.
      assertEquals(1, model.evaluate(labelled.subList(0, 1)).examples());
    }
    try (TrainedModel model = TrainedModel.load(paired)) {
      says(
          "example 0 is one; give it a second text",
          assertThrows(IllegalArgumentException.class, () -> model.predict("a")));
      says(
          "the second text must not",
          assertThrows(NullPointerException.class, () -> model.predict("a", null)));
    }
  }

  @Test
  @FixedSeed("the weights are a prop: what is answered or refused does not depend on them")
  void aRunOfALargerMachineIsLoadedWithTheProcessorsThereAre() throws IOException {
    int processors = Runtime.getRuntime().availableProcessors();
    Path larger = temporary.resolve("larger");
    try (Stream<Path> files = Files.walk(single)) {
      for (Path file : files.toList()) {
        Files.copy(file, larger.resolve(single.relativize(file)));
      }
    }
    Path config = larger.resolve("config.json");
    String text = Files.readString(config);
    assertTrue(text.contains("\"threads\" : 2"), text);
    Files.writeString(config, text.replace("\"threads\" : 2", "\"threads\" : " + (processors + 1)));
    Seal.renew(larger, null);
    try (TrainedModel model = TrainedModel.load(larger)) {
      assertEquals(processors, model.setup().threads());
    }
    try (TrainedModel model =
        TrainedModel.load(larger, LoadSettings.DEFAULT.withThreads(processors + 1))) {
      assertEquals(processors + 1, model.setup().threads());
    }
  }

  @Test
  void embeddingsAreWhatTheHeadSees() throws IOException {
    List<String> texts = texts(TestSeed.random(), 9);
    for (Path run : List.of(single, number)) {
      try (TrainedModel model = TrainedModel.load(run);
          SafeTensors head = SafeTensors.open(run.resolve("head.safetensors"))) {
        float[] weight = head.finiteFloats("classifier.weight");
        float[] bias = head.finiteFloats("classifier.bias");
        List<float[]> vectors = model.embed(texts);
        float[] outputs = model.predict(texts).outputs();
        assertEquals(texts.size(), vectors.size());
        for (int i = 0; i < outputs.length; i++) {
          float[] vector = vectors.get(i / bias.length);
          assertEquals(weight.length / bias.length, vector.length);
          double sum = bias[i % bias.length];
          double magnitudes = Math.abs(sum);
          for (int k = 0; k < vector.length; k++) {
            double term = (double) weight[i % bias.length * vector.length + k] * vector[k];
            sum += term;
            magnitudes += Math.abs(term);
          }
          Rounding.assertNear(sum, outputs[i], ROUNDING * magnitudes, "output " + i);
        }
        double limit = ROUNDING * Rounding.largest(vectors.get(4));
        Rounding.assertNear(vectors.get(4), model.embed(texts.get(4)), limit, "vector");
        assertEquals(List.of(), model.embed(List.of()));
        says("text 1", assertThrows(Exception.class, () -> model.embed(List.of("film", " "))));
      }
    }
    try (TrainedModel model = TrainedModel.load(paired)) {
      assertEquals(model.embed("film").length, model.embed("a long evening").length);
    }
  }

  @Test
  @FixedSeed("the weights are a prop: what is answered or refused does not depend on them")
  void aListenerHearsHowManyExamplesAreDoneAndMayCancel() {
    List<String> texts = texts(TestSeed.random(), 100);
    List<Example> labelled =
        texts.stream().map(text -> new Example(text, null, text.length() % 2)).toList();
    List<String> heard = new ArrayList<>();
    ProgressListener listener =
        new ProgressListener() {
          @Override
          public void started(String name, String unit, long total) {
            heard.add(name + " " + total + " " + unit);
          }

          @Override
          public void progress(long done, String detail) {
            heard.set(heard.size() - 1, heard.get(heard.size() - 1).split(":")[0] + ": " + done);
          }
        };
    try (TrainedModel model = TrainedModel.load(single)) {
      Predictions alone = model.predict(texts);
      assertArrayEquals(alone.outputs(), model.predict(texts, listener).outputs());
      assertEquals(
          model.evaluate(labelled).metrics(),
          model.evaluate(labelled, model.schema().metrics(), listener).metrics());
      model.embed(texts, listener);
      assertEquals(
          List.of(
              "predict 100 examples: 100", "evaluate 100 examples: 100", "embed 100 examples: 100"),
          heard);
      ProgressListener cancelling =
          new ProgressListener() {
            private boolean begun;

            @Override
            public void progress(long done, String detail) {
              begun = true;
            }

            @Override
            public boolean cancelled() {
              return begun;
            }
          };
      for (Executable call :
          List.<Executable>of(
              () -> model.predict(texts, cancelling),
              () -> model.evaluate(labelled, model.schema().metrics(), cancelling),
              () -> model.embed(texts, cancelling))) {
        assertThrows(CancellationException.class, call);
      }
      says("NONE", assertThrows(NullPointerException.class, () -> model.predict(texts, null)));
      List<String> labels = new ArrayList<>();
      for (Prediction one : alone) {
        labels.add(one.label());
      }
      assertEquals(labels, alone.stream().map(Prediction::label).toList());
      assertEquals(texts.size(), labels.size());
      assertEquals(alone.get(3).label(), labels.get(3));
    }
  }

  @Test
  @FixedSeed("the weights are a prop: what is answered or refused does not depend on them")
  void aClosedModelRefusesCallsAndIsClosedOnce() {
    TrainedModel model = TrainedModel.load(single);
    model.close();
    model.close();
    List<Example> labelled = List.of(new Example("a", null, 1));
    says("is closed", assertThrows(IllegalStateException.class, () -> model.predict("a")));
    says("is closed", assertThrows(IllegalStateException.class, () -> model.evaluate(labelled)));
  }

  /** There is nothing between the two, such as the answer of freed weights. */
  @Test
  void whileAModelIsClosedCallsAreAnsweredOrRefused() throws Exception {
    List<String> texts = texts(TestSeed.random(), 6);
    float[] expected;
    try (TrainedModel model = TrainedModel.load(single)) {
      expected = model.predict(texts).outputs();
    }
    ExecutorService clients = Executors.newFixedThreadPool(CLIENTS);
    try {
      TrainedModel model = TrainedModel.load(single);
      CountDownLatch asked = new CountDownLatch(CLIENTS);
      List<Future<Integer>> answers = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        answers.add(clients.submit(() -> askUntilRefused(model, texts, expected, asked)));
      }
      asked.await();
      model.close();
      for (Future<Integer> client : answers) {
        assertTrue(client.get() > 0);
      }
    } finally {
      clients.shutdownNow();
    }
  }

  private static int askUntilRefused(
      TrainedModel model, List<String> texts, float[] expected, CountDownLatch asked) {
    for (int answered = 0; ; answered++) {
      try {
        assertArrayEquals(expected, model.predict(texts).outputs());
      } catch (IllegalStateException e) {
        says("is closed", e);
        return answered;
      } finally {
        if (answered == 0) {
          asked.countDown();
        }
      }
    }
  }
}
