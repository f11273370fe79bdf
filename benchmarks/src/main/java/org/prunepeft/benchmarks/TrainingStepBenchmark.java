package org.prunepeft.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.Encoding;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.Models;
import org.prunepeft.model.Precision;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.pass.FrozenPrefix;

/**
 * How many tokens does a training step of MiniLM take in a second: forward, backward and AdamW's
 * update, batch size 32? {@code ours} trains with the library's operations, {@code eager} with
 * LibTorch's, recorded one by one; {@code oursBf16} has frozen weights and activations in bfloat16;
 * {@code frozenForward} is the model without modules, forward only.
 */
@State(Scope.Benchmark)
// An invocation is always the same steps: batches differ in length.
@OperationsPerInvocation(TrainingStepBenchmark.STEPS)
public class TrainingStepBenchmark extends StepBenchmark {
  static final int STEPS = 8;
  private static final int BATCH = 32;
  private static final int LONG = 128;

  /**
   * The supernet: LoRA (rank 32, query and value) and an adapter (bottleneck 128) in all layers;
   * every second module of it; the modules of the upper half of its layers.
   */
  @Param({"supernet", "half", "upperHalf"})
  public String modules;

  /** Lengths of real batches, which are of WordNet's glosses; or 128 tokens in all rows. */
  @Param({"wordnet", "128"})
  public String lengths;

  /** Probability that LoRA drops an element of its input. */
  @Param({"0", "0.1"})
  public double loraDropout;

  private Encoder encoder;
  private Encoder rounded;
  private PeftModules ours;
  private EagerModules eager;
  private Head oursHead;
  private Head eagerHead;
  private List<AdamW> oursOptimizers;
  private List<AdamW> eagerOptimizers;
  private List<Batch> batches;
  private FrozenPrefix prefix;
  private int step;

  @Setup
  public void setUp() {
    begin();
    Models.LoadedModel model = Models.byName("minilm").loader().load();
    encoder = model.encoder();
    rounded = Models.byName("minilm").loader().load(Precision.BF16, ComputeDevice.CPU).encoder();
    Dataset data = Tasks.byName("wordnet").load(SplitSizes.DEFAULT, 1, 1);
    EncodedDataset examples =
        lengths.equals("wordnet")
            ? glosses(model.tokenizer(), data)
            : longTexts(data.labels().size());
    batches = new ArrayList<>();
    new Batches(examples, BATCH).shuffled(1, 1).forEach(batches::add);
    batches = batches.subList(0, STEPS);
    LoraConfig lora = LoraConfig.DEFAULT.withDropout(loraDropout).on(encoder.config());
    PeftConfig config = PeftConfig.of(lora, AdapterConfig.DEFAULT);
    ours =
        new PeftModules(
            config, encoder.config(), chosen(config.space(encoder.config()).candidates()));
    ours.groups().values().forEach(TrainingStepBenchmark::randomise);
    oursHead = new Head(data.schema(), encoder.config().hidden());
    randomise(oursHead.parameters());
    if (lowest() > 0) {
      prefix = new FrozenPrefix(encoder, lowest(), examples, 1L << 30, false);
    }
    eager = new EagerModules(ours, lora);
    eagerHead = oursHead.copy();
    oursOptimizers = new ArrayList<>();
    ours.groups().values().forEach(group -> oursOptimizers.add(adamw(group.values())));
    oursOptimizers.add(adamw(oursHead.parameters().values()));
    eagerOptimizers =
        List.of(
            adamw(eager.weights().values().toArray(Tensor[]::new)),
            adamw(eagerHead.parameters().values()));
    check();
  }

  private static EncodedDataset glosses(byte[] tokenizerJson, Dataset data) {
    try (Tokenizer tokenizer = Tokenizer.of(tokenizerJson, LONG)) {
      return EncodedDataset.of(tokenizer, data.train());
    }
  }

  private static EncodedDataset longTexts(int labels) {
    SplittableRandom random = new SplittableRandom(1);
    List<Encoding> texts = new ArrayList<>();
    for (int i = 0; i < STEPS * BATCH; i++) {
      // Ids of whole words; which ones does not matter.
      texts.add(new Encoding(random.ints(LONG, 2000, 28000).toArray(), new int[LONG]));
    }
    return EncodedDataset.of(
        texts, random.ints(texts.size(), 0, labels).asDoubleStream().toArray());
  }

  private List<Candidate> chosen(List<Candidate> all) {
    List<Candidate> chosen = new ArrayList<>();
    for (int i = 0; i < all.size(); i++) {
      boolean kept =
          switch (modules) {
            case "supernet" -> true;
            // Of two kinds in each layer, one kind in even layers and the other in odd ones.
            case "half" -> i % 4 == 0 || i % 4 == 3;
            case "upperHalf" -> all.get(i).layer() >= encoder.config().layers() / 2;
            default -> throw new IllegalArgumentException("unknown modules " + modules);
          };
      if (kept) {
        chosen.add(all.get(i));
      }
    }
    return chosen;
  }

  /**
   * Every weight gets a value, so that none of the gradients is 0. Biases put the adapters' units
   * far to either side of ReLU's kink, where rounding would decide and no comparison would be fair.
   */
  private static void randomise(FlatParameters parameters) {
    try (PointerScope temporary = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      for (String name : parameters.names()) {
        Tensor tensor = parameters.get(name);
        tensor.copy_(random(0.02, tensor.numel()).view_as(tensor));
        if (name.endsWith("adapter_down.0.bias")) {
          Tensor sides = torch.arange(new Scalar(tensor.numel())).remainder(new Scalar(2));
          tensor.copy_(sides.mul(new Scalar(8)).sub(new Scalar(4)));
        }
      }
    }
  }

  /** Loss and gradients of the first batch, without dropout. */
  private void check() {
    try (PointerScope temporary = new PointerScope()) {
      Batch batch = batches.get(0);
      EncoderInput input = input(batch);
      ours.begin(ForwardPass.evaluation(tape));
      Tensor oursLoss = loss(encoder, ours, oursHead, input, batch);
      oursLoss.backward();
      eager.training(false);
      Tensor eagerLoss = loss(encoder, eager, eagerHead, input, batch);
      eagerLoss.backward();
      requireSame("loss", eagerLoss, oursLoss);
      ours.begin(ForwardPass.evaluation(tape));
      Tensor loss = loss(rounded, ours, oursHead, input, batch);
      requireSame("loss in bfloat16", oursLoss, loss, ROUNDED);
      for (Candidate candidate : ours.candidates()) {
        FlatParameters group = ours.groups().get(candidate.type());
        for (String name : ours.parameterNames(candidate)) {
          requireSame(
              "gradient of " + name, eager.weights().get(name).grad(), group.get(name).grad());
        }
      }
    } finally {
      tape.clear();
      clearGradients(oursOptimizers);
      clearGradients(eagerOptimizers);
      eager.training(true);
    }
  }

  @TearDown
  public void tearDown() {
    if (prefix != null) {
      prefix.close();
    }
    ours.close();
    oursHead.close();
    eagerHead.close();
    encoder.close();
    rounded.close();
    end();
  }

  @Benchmark
  public double ours(Counters counters) {
    return ours(encoder, counters);
  }

  @Benchmark
  public double oursBf16(Counters counters) {
    return ours(rounded, counters);
  }

  private double ours(Encoder model, Counters counters) {
    double sum = 0;
    for (Batch batch : batches) {
      try (PointerScope call = new PointerScope()) {
        EncoderInput input = input(batch);
        ours.begin(new ForwardPass(tape, new ForwardPass.Masks(1, step++, 0, null), null));
        sum += train(loss(model, ours, oursHead, input, batch), oursOptimizers);
        count(counters, batch, input, true);
      } finally {
        tape.clear();
      }
    }
    return sum;
  }

  /** A step whose batch has been seen before: lower layers without modules are not run again. */
  @Benchmark
  public double laterEpoch(Counters counters) {
    double sum = 0;
    for (int i = 0; i < batches.size(); i++) {
      Batch batch = batches.get(i);
      try (PointerScope call = new PointerScope()) {
        EncoderInput input = input(batch);
        ours.begin(new ForwardPass(tape, new ForwardPass.Masks(1, step++, 0, null), null));
        Tensor x = prefix == null ? encoder.embed(input) : prefix.apply(batch, input, ours);
        Tensor last = encoder.layers(lowest(), encoder.config().layers(), x, input, ours);
        Tensor logits = oursHead.logits(Pooling.MEAN.of(last, input));
        sum += train(oursHead.loss(logits, oursHead.targets(batch.targets())), oursOptimizers);
        counters.tokens += input.tokens();
        counters.gigaflop += (flop(batch, true) - lowest() * layerFlop(batch)) / 1e9;
      } finally {
        tape.clear();
      }
    }
    return sum;
  }

  private int lowest() {
    return ours.candidates().stream().mapToInt(Candidate::layer).min().orElseThrow();
  }

  @Benchmark
  public double eager(Counters counters) {
    double sum = 0;
    for (Batch batch : batches) {
      try (PointerScope call = new PointerScope()) {
        EncoderInput input = input(batch);
        sum += train(loss(encoder, eager, eagerHead, input, batch), eagerOptimizers);
        count(counters, batch, input, true);
      }
    }
    return sum;
  }

  @Benchmark
  public double frozenForward(Counters counters) {
    double sum = 0;
    for (Batch batch : batches) {
      try (PointerScope call = new PointerScope();
          NoGradGuard guard = new NoGradGuard()) {
        EncoderInput input = input(batch);
        sum += loss(encoder, Insertions.NONE, oursHead, input, batch).item_double();
        count(counters, batch, input, false);
      }
    }
    return sum;
  }

  private static EncoderInput input(Batch batch) {
    return EncoderInput.of(batch.ids(), batch.types(), batch.mask(), batch.rows(), batch.length());
  }

  private static Tensor loss(
      Encoder model, Insertions insertions, Head head, EncoderInput input, Batch batch) {
    Tensor pooled = Pooling.MEAN.of(model.forward(input, insertions), input);
    return head.loss(head.logits(pooled), head.targets(batch.targets()));
  }

  private void count(Counters counters, Batch batch, EncoderInput input, boolean training) {
    counters.tokens += input.tokens();
    counters.gigaflop += flop(batch, training) / 1e9;
  }

  /**
   * FLOP of the products that a step needs: forward through all layers, backward for inputs down to
   * the lowest module, for weights in the modules alone. Query, key and value of the lowest layer
   * have no input gradient where only LoRA reads their input.
   */
  private double flop(Batch batch, boolean training) {
    EncoderConfig config = encoder.config();
    double rows = (double) batch.rows() * batch.length();
    double hidden = config.hidden();
    double attention = attentionFlop(batch);
    double linears = layerFlop(batch) - attention;
    double flop = config.layers() * layerFlop(batch);
    if (!training) {
      return flop;
    }
    int lowest = lowest();
    boolean lora =
        ours.candidates().stream()
            .anyMatch(c -> c.layer() == lowest && c.type().equals(Candidate.LORA));
    flop += (config.layers() - lowest - 1) * (linears + 2 * attention);
    if (lora) {
      flop += linears - 6 * rows * hidden * hidden + 2 * attention;
    }
    // Forward, gradient of the weights, gradient of the input.
    return flop + 3 * 2 * rows * ours.count();
  }

  /** Of a layer's products, forward. */
  private double layerFlop(Batch batch) {
    double hidden = encoder.config().hidden();
    double rows = (double) batch.rows() * batch.length();
    return 2 * rows * hidden * (4 * hidden + 2.0 * encoder.config().intermediate())
        + attentionFlop(batch);
  }

  private double attentionFlop(Batch batch) {
    return 4.0 * batch.rows() * batch.length() * batch.length() * encoder.config().hidden();
  }
}
