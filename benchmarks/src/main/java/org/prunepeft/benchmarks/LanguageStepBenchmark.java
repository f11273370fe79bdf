package org.prunepeft.benchmarks;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.Encoding;
import org.prunepeft.model.Decoder;
import org.prunepeft.model.DecoderConfig;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Projection;
import org.prunepeft.model.Quantization;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.head.LanguageModelHead;

/**
 * How many tokens does a training step of a language model take in a second: forward, backward and
 * AdamW's update, 8 rows of 256 tokens, LoRA of rank 16 on all linears of {@link
 * RandomModel#llama}? {@code ours} trains with the library's operations in float32, {@code
 * oursBf16} in bfloat16, {@code oursInt8} and {@code oursNf4} so with the layers' weights in 8 and
 * 4 bits; {@code eager} with LibTorch's operations in float32, recorded one by one, and the
 * cross-entropy of all logits. See also {@link #EAGER_THREADS}.
 */
@State(Scope.Benchmark)
public class LanguageStepBenchmark extends StepBenchmark {
  private static final int ROWS = 8;
  private static final int TOKENS = 256;

  /** Of 30 layers' roundings in float32. */
  private static final double GRADIENTS = 1e-3;

  /** Of the decoder; SmolLM2-135M has 30. */
  @Param("30")
  public int layers;

  private Batch batch;
  private LanguageModel model;
  private EagerModules eager;
  private List<AdamW> eagerOptimizers;
  private int step;

  /** A decoder with modules of the same weights each time. */
  private record LanguageModel(
      Decoder decoder, PeftModules modules, LanguageModelHead head, List<AdamW> optimizers)
      implements AutoCloseable {
    static LanguageModel of(int layers, Precision precision, Quantization quantization)
        throws IOException {
      Decoder decoder = RandomModel.llama(layers, precision, quantization);
      EncoderConfig shape = decoder.config();
      PeftConfig config = PeftConfig.of(lora().on(shape), null);
      PeftModules modules = new PeftModules(config, shape, config.space(shape).candidates());
      torch.manual_seed(1);
      List<AdamW> optimizers = new ArrayList<>();
      for (FlatParameters group : modules.groups().values()) {
        randomise(group);
        optimizers.add(adamw(group.values()));
      }
      return new LanguageModel(decoder, modules, LanguageModelHead.of(decoder), optimizers);
    }

    private static void randomise(FlatParameters group) {
      try (PointerScope temporary = new PointerScope();
          NoGradGuard guard = new NoGradGuard()) {
        group.values().copy_(random(0.02, group.values().numel()));
      }
    }

    @Override
    public void close() {
      head.close();
      modules.close();
      decoder.close();
    }
  }

  private static LoraConfig lora() {
    return LoraConfig.of(16, 16, 0, List.of(LoraConfig.AUTO));
  }

  @Setup
  public void setUp(BenchmarkParams benchmark) throws IOException {
    begin();
    SplittableRandom random = new SplittableRandom(1);
    List<Encoding> texts = new ArrayList<>();
    for (int i = 0; i < ROWS; i++) {
      int[] ids = random.ints(TOKENS + 1, 3, 49152).toArray();
      texts.add(
          new Encoding(
              IntStream.of(ids).limit(TOKENS).toArray(),
              new int[TOKENS],
              IntStream.of(ids).skip(1).toArray(),
              null));
    }
    double[] learnt = IntStream.range(0, ROWS).mapToDouble(row -> TOKENS).toArray();
    batch = Batch.of(EncodedDataset.of(texts, learnt), IntStream.range(0, ROWS).toArray());
    String method = benchmark.getBenchmark().replaceFirst(".*\\.", "");
    model =
        switch (method) {
          case "oursBf16" -> LanguageModel.of(layers, Precision.BF16, Quantization.NONE);
          case "oursInt8" -> LanguageModel.of(layers, Precision.BF16, Quantization.INT8);
          case "oursNf4" -> LanguageModel.of(layers, Precision.BF16, Quantization.NF4);
          default -> LanguageModel.of(layers, Precision.FLOAT32, Quantization.NONE);
        };
    if (model.decoder.precision() == Precision.FLOAT32) {
      eager = new EagerModules(model.modules, lora());
      eagerOptimizers = List.of(adamw(eager.weights().values().toArray(Tensor[]::new)));
      check();
    }
  }

  /** Loss and gradients. */
  private void check() {
    try (PointerScope temporary = new PointerScope()) {
      model.modules.begin(ForwardPass.evaluation(tape));
      Tensor oursLoss = oursLoss(input());
      oursLoss.backward();
      setEagerThreads();
      Tensor eagerLoss = eagerLoss(input());
      eagerLoss.backward();
      requireSame("loss", eagerLoss, oursLoss);
      for (Candidate candidate : model.modules.candidates()) {
        FlatParameters group = model.modules.groups().get(candidate.type());
        for (String name : model.modules.parameterNames(candidate)) {
          requireSame(
              "gradient of " + name,
              eager.weights().get(name).grad(),
              group.get(name).grad(),
              GRADIENTS);
        }
      }
    } finally {
      Torch.setThreads(Runtime.getRuntime().availableProcessors());
      tape.clear();
      clearGradients(model.optimizers);
      clearGradients(eagerOptimizers);
    }
  }

  @TearDown
  public void tearDown() {
    model.close();
    end();
  }

  @Benchmark
  public double ours(Counters counters) {
    return oursStep(counters);
  }

  @Benchmark
  public double oursBf16(Counters counters) {
    return oursStep(counters);
  }

  @Benchmark
  public double oursInt8(Counters counters) {
    return oursStep(counters);
  }

  @Benchmark
  public double oursNf4(Counters counters) {
    return oursStep(counters);
  }

  private double oursStep(Counters counters) {
    try (PointerScope call = new PointerScope()) {
      model.modules.begin(new ForwardPass(tape, new ForwardPass.Masks(1, step++, 0, null), null));
      double loss = train(oursLoss(input()), model.optimizers);
      count(counters);
      return loss;
    } finally {
      tape.clear();
    }
  }

  @Benchmark
  public double eager(Counters counters) {
    setEagerThreads();
    try (PointerScope call = new PointerScope()) {
      double loss = train(eagerLoss(input()), eagerOptimizers);
      count(counters);
      return loss;
    }
  }

  private EncoderInput input() {
    return EncoderInput.of(batch.ids(), batch.types(), batch.mask(), batch.rows(), batch.length());
  }

  private Tensor oursLoss(EncoderInput input) {
    Tensor hidden = model.decoder.forward(input, model.modules);
    return model.head.loss(tape, hidden, model.head.targets(batch), 1, 0);
  }

  private Tensor eagerLoss(EncoderInput input) {
    Tensor hidden = model.decoder.forward(input, eager);
    Tensor logits = torch.linear(hidden, model.decoder.outputWeight());
    long[] labels = batch.labels();
    return torch.cross_entropy_loss(logits, ComputeDevice.CPU.longs(labels, labels.length));
  }

  /** Bytes that the layers' linears take for a method, as the kernels read them. */
  static double packedBytes(int layers, String method) throws IOException {
    EncoderConfig config = RandomModel.llamaConfig(layers);
    double weights = 0;
    for (Projection projection : config.projections()) {
      weights += (double) config.inputs(projection) * config.outputs(projection);
    }
    return layers
        * weights
        * switch (method) {
          case "ours" -> 2 * Float.BYTES;
          case "oursBf16" -> 2 * Short.BYTES;
          case "oursInt8" -> Quantization.INT8.preparedBytes();
          case "oursNf4" -> Quantization.NF4.preparedBytes();
          default -> Float.BYTES;
        };
  }

  private void count(Counters counters) {
    counters.tokens += batch.tokens();
    counters.gigaflop += flop() / 1e9;
  }

  /**
   * FLOP of the products that a step needs: forward, backward for inputs down to the lowest layer's
   * attention, for weights in the modules alone. Of attention's pairs of tokens half are masked.
   */
  private double flop() {
    EncoderConfig config = model.decoder.config();
    DecoderConfig decoder = config.decoder();
    double rows = (double) ROWS * TOKENS;
    double layer = 0;
    for (Projection projection : config.projections()) {
      layer += 2 * rows * config.inputs(projection) * config.outputs(projection);
    }
    double keys = decoder.keyValueHeads();
    double firstInput =
        2 * rows * config.hidden() * decoder.headSize() * (config.heads() + 2 * keys);
    double attention = 4 * rows * TOKENS / 2 * config.heads() * decoder.headSize();
    double output = 2 * rows * config.vocabulary() * config.hidden();
    return config.layers() * (2 * layer + 3 * attention)
        - firstInput
        + 2 * output
        + 3 * 2 * rows * model.modules.count();
  }
}
