package org.prunepeft.train.optimizer;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.OptimizerType;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.loop.RecorderStandIn;

class OptimizerTest {
  private static final int STEPS = 9;
  private static final double[] RATES = {1e-2, 3e-3};

  private final Random random = TestSeed.random();
  private PointerScope scope;
  private List<ParameterGroup> groups;

  @BeforeEach
  void makeGroups() {
    Torch.load();
    scope = new PointerScope();
    groups =
        List.of(
            group("lora", RATES[0], new long[] {5, 37}, new long[] {41, 5}, new long[] {1, 9}),
            group("adapter", RATES[1], new long[] {23}, new long[] {7, 1}, new long[] {1}));
  }

  @AfterEach
  void close() {
    groups.forEach(group -> group.parameters().close());
    scope.close();
  }

  private ParameterGroup group(String name, double rate, long[]... shapes) {
    Map<String, long[]> named = new LinkedHashMap<>();
    for (long[] shape : shapes) {
      named.put(name + named.size(), shape);
    }
    FlatParameters parameters = new FlatParameters(ComputeDevice.CPU, named);
    try (NoGradGuard guard = new NoGradGuard()) {
      parameters.names().forEach(weight -> put(parameters.get(weight), 1));
    }
    return new ParameterGroup(name, parameters, rate);
  }

  private void put(Tensor tensor, double size) {
    FloatPointer data = tensor.detach().data_ptr_float();
    for (long i = 0; i < tensor.numel(); i++) {
      data.put(i, (float) (size * random.nextGaussian()));
    }
  }

  /** Fresh gradients of very different sizes. */
  private void drawGradients() {
    for (ParameterGroup group : groups) {
      for (String name : group.parameters().names()) {
        put(group.parameters().gradient(name), Math.pow(10, 3 * random.nextDouble() - 2));
      }
    }
  }

  private static double factor(int step) {
    return 1 - 0.1 * step;
  }

  /** LibTorch's own optimiser on copies of the weights, a tensor each. */
  private final class LibTorch {
    private final List<Tensor> copies = new ArrayList<>();
    private final List<org.bytedeco.pytorch.AdamW> optimizers = new ArrayList<>();

    LibTorch(double weightDecay) {
      for (ParameterGroup group : groups) {
        TensorVector tensors = new TensorVector();
        for (String name : group.parameters().names()) {
          Tensor copy = group.parameters().get(name).detach().clone();
          copy.set_requires_grad(true);
          copies.add(copy);
          tensors.push_back(copy);
        }
        AdamWOptions options = new AdamWOptions(group.learningRate());
        options.weight_decay().put(weightDecay);
        optimizers.add(new org.bytedeco.pytorch.AdamW(tensors, options));
      }
    }

    void takeGradients() {
      int i = 0;
      for (ParameterGroup group : groups) {
        for (String name : group.parameters().names()) {
          copies.get(i++).mutable_grad().put(group.parameters().gradient(name).clone());
        }
      }
    }

    void step(double factor) {
      for (int i = 0; i < optimizers.size(); i++) {
        optimizers.get(i).param_groups().get(0).options().set_lr(RATES[i] * factor);
        optimizers.get(i).step();
      }
    }

    void assertSameWeights() {
      int i = 0;
      for (ParameterGroup group : groups) {
        for (String name : group.parameters().names()) {
          float[] expected = Torch.toFloats(copies.get(i++));
          Rounding.assertNear(
              expected, Torch.toFloats(group.parameters().get(name)), limit(expected, group), name);
        }
      }
    }
  }

  /**
   * What two computations of STEPS steps may differ by. Each rounds a weight twice a step, for
   * decay and for the update, which is about the learning rate in size and passes some 16 roundings
   * in the moments and their roots.
   */
  private static double limit(float[] weights, ParameterGroup group) {
    double ofWeights = 2 * Rounding.likely(2 * STEPS, Rounding.FLOAT32) * Rounding.largest(weights);
    double travelled = STEPS * group.learningRate();
    return ofWeights + 2 * Rounding.likely(STEPS * 16, Rounding.FLOAT32) * travelled;
  }

  /** Takes the same steps; with a limit, gradients are above and below it in turn, and clipped. */
  private void assertSameSteps(Optimizer optimizer, double weightDecay, double largest) {
    LibTorch reference = new LibTorch(weightDecay);
    for (int step = 0; step < STEPS; step++) {
      drawGradients();
      if (largest > 0) {
        double size = (step % 2 == 0 ? 10 : 0.1) * largest / norm();
        groups.forEach(group -> group.parameters().gradients().mul_(new Scalar(size)));
      }
      reference.takeGradients();
      if (largest > 0) {
        torch.clip_grad_norm_(new TensorVector(reference.copies.toArray(Tensor[]::new)), largest);
      }
      reference.step(factor(step));
      optimizer.step(factor(step));
      reference.assertSameWeights();
      assertEquals(0, norm());
    }
  }

  private static TrainingSettings settings(double weightDecay, double largest) {
    return TrainingSettings.builder().weightDecay(weightDecay).maxGradNorm(largest).build();
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 0.1})
  void adamWGivesLibTorchsWeights(double weightDecay) {
    try (Optimizer optimizer = new Optimizer(settings(weightDecay, 0), groups)) {
      assertSameSteps(optimizer, weightDecay, 0);
    }
  }

  @Test
  void gradientsAreClippedByTheNormOverAllGroupsAsLibTorchDoes() {
    try (Optimizer optimizer = new Optimizer(settings(0, 3), groups)) {
      assertSameSteps(optimizer, 0, 3);
    }
  }

  /** As on a GPU, with gradients above and below the norm that clips them in turn. */
  @ParameterizedTest
  @CsvSource({"0, 0", "0.1, 0", "0, 3", "0.1, 3"})
  void theUpdateOnTheDeviceGivesLibTorchsWeights(double weightDecay, double largest) {
    RecorderStandIn recorder = new RecorderStandIn();
    try (Optimizer optimizer = new Optimizer(settings(weightDecay, largest), groups, recorder)) {
      assertSameSteps(optimizer, weightDecay, largest);
    }
    // Twice, and once more beside the first launch.
    assertEquals(3, recorder.count("rehearse"));
    assertEquals(1, recorder.count("record"));
    assertEquals(STEPS - 2, recorder.count("launch"));
    assertEquals("close", recorder.calls.get(recorder.calls.size() - 1));
  }

  @Test
  void anUpdateThatCannotBeRecordedIsMadeCallByCall() {
    RecorderStandIn recorder = new RecorderStandIn();
    recorder.refusal = new IllegalStateException("made up: it waits for the device");
    try (Optimizer optimizer = new Optimizer(settings(0, 0), groups, recorder)) {
      assertSameSteps(optimizer, 0, 0);
    }
    assertEquals(List.of("rehearse", "rehearse", "record"), recorder.calls);
  }

  private double norm() {
    double squares = 0;
    for (ParameterGroup group : groups) {
      for (float g : Torch.toFloats(group.parameters().gradients())) {
        squares += (double) g * g;
      }
    }
    return Math.sqrt(squares);
  }

  @ParameterizedTest
  @ValueSource(strings = {"ADAMW", "ADAFACTOR"})
  void gradientsAreZeroAfterAStep(OptimizerType type) {
    try (Optimizer optimizer =
        new Optimizer(TrainingSettings.builder().optimizer(type).build(), groups)) {
      drawGradients();
      optimizer.step(1);
    }
    assertEquals(0, norm());
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 0.1})
  void adafactorGivesTheWeightsOfAFloat64Reference(double weightDecay) {
    Map<String, Float64Adafactor> references = new LinkedHashMap<>();
    for (ParameterGroup group : groups) {
      for (String name : group.parameters().names()) {
        Tensor weight = group.parameters().get(name);
        int columns = weight.dim() == 1 ? 0 : (int) weight.size(1);
        references.put(name, new Float64Adafactor(doubles(weight), columns, weightDecay));
      }
    }
    try (Optimizer optimizer =
        new Optimizer(
            TrainingSettings.builder()
                .optimizer(OptimizerType.ADAFACTOR)
                .weightDecay(weightDecay)
                .build(),
            groups)) {
      for (int step = 0; step < STEPS; step++) {
        drawGradients();
        for (ParameterGroup group : groups) {
          for (String name : group.parameters().names()) {
            references
                .get(name)
                .step(
                    doubles(group.parameters().gradient(name)),
                    group.learningRate() * factor(step));
          }
        }
        optimizer.step(factor(step));
        for (ParameterGroup group : groups) {
          for (String name : group.parameters().names()) {
            Float64Adafactor reference = references.get(name);
            Rounding.assertNear(
                reference.weights,
                doubles(group.parameters().get(name)),
                reference.limit(),
                name + " after step " + step);
          }
        }
      }
    }
  }

  private static double[] doubles(Tensor tensor) {
    float[] values = Torch.toFloats(tensor);
    double[] result = new double[values.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = values[i];
    }
    return result;
  }

  /**
   * The paper's algorithm, an element at a time: V̂ of a matrix is R Cᵀ / 1ᵀR with R and C the
   * moving sums over rows and columns.
   */
  private static final class Float64Adafactor {
    final double[] weights;
    private final int columns;
    private final double weightDecay;
    private final double[] rowSums;
    private final double[] columnSums;
    private int t;

    /** The largest sum of an element's updates' magnitudes. */
    private double travelled;

    /**
     * @param columns 0: a vector
     */
    Float64Adafactor(double[] weights, int columns, double weightDecay) {
      this.weights = weights;
      this.columns = columns;
      this.weightDecay = weightDecay;
      rowSums = new double[columns == 0 ? weights.length : weights.length / columns];
      columnSums = new double[columns];
    }

    /**
     * What float32 may be off by: a weight is rounded twice a step; an update follows from sums
     * over a row, a column, all rows and all elements, in all steps so far.
     */
    double limit() {
      double largest = Arrays.stream(weights).map(Math::abs).max().orElse(0) + travelled;
      int sums = rowSums.length * 2 + columnSums.length + weights.length + 16;
      return Rounding.likely(2 * t, Rounding.FLOAT32) * largest
          + Rounding.likely(sums + 2 * t, Rounding.FLOAT32) * travelled;
    }

    void step(double[] gradient, double rate) {
      t++;
      double beta = 1 - Math.pow(t, -0.8);
      double[] rowNow = new double[rowSums.length];
      double[] columnNow = new double[columnSums.length];
      for (int i = 0; i < gradient.length; i++) {
        double square = gradient[i] * gradient[i] + 1e-30;
        rowNow[columns == 0 ? i : i / columns] += square;
        if (columns > 0) {
          columnNow[i % columns] += square;
        }
      }
      double all = 0;
      for (int i = 0; i < rowSums.length; i++) {
        rowSums[i] = beta * rowSums[i] + (1 - beta) * rowNow[i];
        all += rowSums[i];
      }
      for (int j = 0; j < columnSums.length; j++) {
        columnSums[j] = beta * columnSums[j] + (1 - beta) * columnNow[j];
      }
      double[] update = new double[gradient.length];
      double squares = 0;
      for (int i = 0; i < update.length; i++) {
        double moment =
            columns == 0 ? rowSums[i] : rowSums[i / columns] * columnSums[i % columns] / all;
        update[i] = gradient[i] / Math.sqrt(moment);
        squares += update[i] * update[i];
      }
      double clip = Math.max(1, Math.sqrt(squares / update.length));
      travelled += rate / clip * Arrays.stream(update).map(Math::abs).max().orElse(0);
      for (int i = 0; i < weights.length; i++) {
        weights[i] -= rate * (weightDecay * weights[i] + update[i] / clip);
      }
    }
  }
}
