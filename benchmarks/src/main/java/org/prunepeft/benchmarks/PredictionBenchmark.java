package org.prunepeft.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Threads;
import org.openjdk.jmh.annotations.Warmup;
import org.prunepeft.PrunePeft;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Example;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Models;
import org.prunepeft.model.Precision;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.settings.LoadSettings;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.pass.Inputs;

/**
 * How long does a program wait for the prediction of one short text, and how many tokens a second
 * are predicted of many texts in one call, beside the forward passes of a training? How many short
 * texts a second do clients of a server get, each text on one thread? MiniLM with all modules;
 * texts are WordNet's glosses.
 */
@State(Scope.Benchmark)
public class PredictionBenchmark extends TorchBenchmark {
  private static final int BATCH = 32;
  private static final int TEXTS = 1024;
  private static final String SHORT_TEXT = "a small boat that is rowed or sailed on a lake";

  /** Counted apart from the calls. */
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  @State(Scope.Thread)
  public static class Counters {
    /** Real tokens, padding left out. */
    public long tokens;

    @Setup(Level.Iteration)
    public void clear() {
      tokens = 0;
    }
  }

  /** The same run, a thread for each call. */
  @State(Scope.Benchmark)
  public static class Served {
    private TrainedModel model;

    @Setup
    public void load(PredictionBenchmark of) throws IOException {
      model = TrainedModel.load(of.run, LoadSettings.DEFAULT.withThreads(1));
    }

    @TearDown
    public void close() {
      model.close();
    }
  }

  /** Of the frozen weights and of activations. */
  @Param({"FLOAT32", "BF16"})
  public Precision precision;

  private Path run;
  private TrainedModel model;
  private List<String> texts;
  private Models.LoadedModel trained;
  private EncodedDataset encoded;
  private List<Batch> batches;
  private PeftModules modules;
  private Head head;

  @Setup
  public void setUp() throws IOException {
    begin();
    run = Files.createTempDirectory("prediction").resolve("run");
    org.prunepeft.settings.Setup setup =
        org.prunepeft.settings.Setup.builder()
            .sizes(new SplitSizes(64, 32, TEXTS))
            .epochs(1)
            .precision(precision)
            .output(run)
            .build();
    PrunePeft.train(setup, ModuleChoice.supernet(), ProgressListener.NONE);
    model = TrainedModel.load(run);
    List<Example> examples = model.dataset().test();
    texts = examples.stream().map(Example::text).toList();
    trained = Models.byName("minilm").loader().load(precision, ComputeDevice.CPU);
    try (Tokenizer tokenizer = Tokenizer.of(trained.tokenizer(), setup.training().maxLength())) {
      encoded = EncodedDataset.of(tokenizer, examples);
    }
    batches = new ArrayList<>();
    new Batches(encoded, BATCH).shuffled(1, 1).forEach(batches::add);
    EncoderConfig shape = trained.encoder().config();
    PeftConfig config = PeftConfig.of(LoraConfig.DEFAULT.on(shape), AdapterConfig.DEFAULT);
    modules = new PeftModules(config, shape, config.space(shape).candidates());
    modules.initialise(1, "prediction");
    head = new Head(model.schema(), trained.encoder().config().hidden());
  }

  @TearDown
  public void tearDown() throws IOException {
    model.close();
    head.close();
    modules.close();
    trained.encoder().close();
    end();
    try (Stream<Path> files = Files.walk(run.getParent())) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  /** From text to probability; the percentiles are what a server's clients see. */
  @Benchmark
  @BenchmarkMode(Mode.SampleTime)
  public double oneText() {
    return model.predict(SHORT_TEXT).probability();
  }

  @Benchmark
  @BenchmarkMode(Mode.Throughput)
  @OutputTimeUnit(TimeUnit.SECONDS)
  public double oneClient(Served served) {
    return served.model.predict(SHORT_TEXT).probability();
  }

  /** As many as there are processors, at once. */
  @Benchmark
  @BenchmarkMode(Mode.Throughput)
  @OutputTimeUnit(TimeUnit.SECONDS)
  @Threads(Threads.MAX)
  public double clients(Served served) {
    return served.model.predict(SHORT_TEXT).probability();
  }

  @Benchmark
  @BenchmarkMode(Mode.Throughput)
  @OutputTimeUnit(TimeUnit.SECONDS)
  @Warmup(iterations = 2, time = 5)
  @Measurement(iterations = 5, time = 5)
  public int manyTexts(Counters counters) {
    counters.tokens += encoded.tokens();
    return model.predict(texts).label(0);
  }

  /** The same texts in a training's batches, recorded as there, from token ids to scores. */
  @Benchmark
  @BenchmarkMode(Mode.Throughput)
  @OutputTimeUnit(TimeUnit.SECONDS)
  @Warmup(iterations = 2, time = 5)
  @Measurement(iterations = 5, time = 5)
  public long trainingForward(Counters counters) {
    long last = 0;
    for (Batch batch : batches) {
      try (PointerScope call = new PointerScope()) {
        EncoderInput input = Inputs.of(trained.encoder().device(), batch);
        modules.begin(ForwardPass.evaluation(tape));
        last =
            head.logits(Pooling.MEAN.of(trained.encoder().forward(input, modules), input))
                .address();
        counters.tokens += batch.tokens();
      } finally {
        tape.clear();
      }
    }
    return last;
  }
}
