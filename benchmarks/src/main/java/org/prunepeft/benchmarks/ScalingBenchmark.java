package org.prunepeft.benchmarks;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.prunepeft.data.Schema;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.Pooling;

/**
 * How does the time of forward and backward pass grow with layers, examples and modules? Layers of
 * bge-small's shape ({@link RandomModel#bert}), 32 tokens in an example.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class ScalingBenchmark extends TorchBenchmark {
  private static final int LENGTH = 32;

  /**
   * What grows: so many layers with all modules, 32 examples; so many times 16 examples in 4 layers
   * with all modules; all modules in so many of the upper of 8 layers, 32 examples.
   */
  @Param({"layers", "examples", "modules"})
  public String of;

  @Param({"1", "2", "4", "8"})
  public int times;

  private Encoder encoder;
  private PeftModules modules;
  private Head head;
  private int layers;
  private int rows;
  private int step;

  @Setup
  public void setUp() throws IOException {
    begin();
    layers = of.equals("layers") ? times : of.equals("examples") ? 4 : 8;
    encoder = RandomModel.bert(layers);
    rows = of.equals("examples") ? 16 * times : 32;
    int lowest = of.equals("modules") ? 8 - times : 0;
    PeftConfig config =
        PeftConfig.of(LoraConfig.DEFAULT.on(encoder.config()), AdapterConfig.DEFAULT);
    modules =
        new PeftModules(
            config,
            encoder.config(),
            config.space(encoder.config()).candidates().stream()
                .filter(candidate -> candidate.layer() >= lowest && candidate.layer() < layers)
                .toList());
    modules.initialise(1, "scaling");
    List<String> labels = new ArrayList<>();
    for (int i = 0; i < 26; i++) {
      labels.add("class " + i);
    }
    head = new Head(Schema.classification(labels), encoder.config().hidden());
  }

  @TearDown
  public void tearDown() {
    modules.close();
    head.close();
    encoder.close();
    end();
  }

  /** Forward and backward; gradients add up. */
  @Benchmark
  public double step() {
    try (PointerScope scope = new PointerScope()) {
      long[] ids = new long[rows * LENGTH];
      byte[] mask = new byte[ids.length];
      for (int i = 0; i < ids.length; i++) {
        ids[i] = 2000 + (31L * i + step) % 20000;
        mask[i] = 1;
      }
      EncoderInput input = EncoderInput.of(ids, new long[ids.length], mask, rows, LENGTH);
      modules.begin(new ForwardPass(tape, new ForwardPass.Masks(1, step++, 0, null), null));
      Tensor x = encoder.layers(0, layers, encoder.embed(input), input, modules);
      Tensor loss =
          head.loss(head.logits(Pooling.MEAN.of(x, input)), head.targets(new double[rows]));
      loss.backward();
      return loss.item_double();
    } finally {
      tape.clear();
    }
  }
}
