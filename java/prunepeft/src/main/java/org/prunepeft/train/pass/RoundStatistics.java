package org.prunepeft.train.pass;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.kernels.ImportancePlan;
import org.prunepeft.peft.OutputMagnitudes;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.ModuleStatistics;
import org.prunepeft.search.Observation;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.CriterionSettings;

/**
 * Gathers what the criteria need while a supernet trains: gradients summed over the steps and sizes
 * of the modules' outputs, each in two halves of the steps, so that a criterion's reliability can
 * be measured. The sums stay where the gradients are; one importance pass at the end reads them.
 */
public final class RoundStatistics implements AutoCloseable {
  private final PeftModules modules;
  private final CriterionSettings settings;
  private final int steps;
  private final PointerScope scope;
  private final Map<String, Tensor[]> gradientSums = new LinkedHashMap<>();
  private final OutputMagnitudes[] magnitudes = {new OutputMagnitudes(), new OutputMagnitudes()};
  private int done;
  private float[] thresholds;

  /**
   * @param steps how many steps the training will have
   */
  public RoundStatistics(PeftModules modules, CriterionSettings settings, int steps) {
    this.modules = modules;
    this.settings = settings;
    this.steps = steps;
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      modules
          .groups()
          .forEach(
              (type, group) -> {
                long length = group.values().numel();
                ComputeDevice device = ComputeDevice.of(group.values());
                gradientSums.put(type, new Tensor[] {device.zeros(length), device.zeros(length)});
              });
    }
  }

  private int half() {
    return 2 * done < steps ? 0 : 1;
  }

  /** Where the step that begins should record output sizes; null if it is not in the sample. */
  public OutputMagnitudes magnitudes() {
    int interval = Math.max(1, steps / settings.activationBatches());
    return done % interval == 0 ? magnitudes[half()] : null;
  }

  /** Adds the gradients of the step that ends. */
  public void stepDone() {
    int half = half();
    modules
        .groups()
        .forEach(
            (type, group) -> gradientSums.get(type)[half].add_(group.gradients(), new Scalar(1)));
    done++;
  }

  /**
   * The statistics of every module, from the weights as they are now. One step has no halves: what
   * agrees is not known.
   */
  public Observation observe() {
    if (done < 2) {
      return new Observation(
          measure(type -> gradientSums.get(type)[0], magnitudes[0]), Map.of(), Map.of());
    }
    Map<String, ModuleStatistics> first = measure(type -> gradientSums.get(type)[0], magnitudes[0]);
    Map<String, ModuleStatistics> second =
        measure(type -> gradientSums.get(type)[1], magnitudes[1]);
    gradientSums.values().forEach(halves -> halves[0].add_(halves[1], new Scalar(1)));
    try (OutputMagnitudes all = new OutputMagnitudes()) {
      all.add(magnitudes[0]);
      all.add(magnitudes[1]);
      return new Observation(measure(type -> gradientSums.get(type)[0], all), first, second);
    }
  }

  @FunctionalInterface
  private interface GradientSource {
    Tensor of(String type);
  }

  private Map<String, ModuleStatistics> measure(
      GradientSource gradients, OutputMagnitudes outputs) {
    List<Candidate> candidates = modules.candidates();
    List<String> types = List.copyOf(modules.groups().keySet());
    List<ImportancePlan.Segment> segments = new ArrayList<>();
    try (PointerScope temporary = new PointerScope()) {
      for (int i = 0; i < candidates.size(); i++) {
        String type = candidates.get(i).type();
        FlatParameters group = modules.groups().get(type);
        for (String name : modules.parameterNames(candidates.get(i))) {
          segments.add(
              new ImportancePlan.Segment(
                  group.segment(group.values(), name),
                  group.segment(gradients.of(type), name),
                  i,
                  types.indexOf(type)));
        }
      }
      try (ImportancePlan plan =
          new ImportancePlan(place().kernels(), segments, candidates.size(), types.size())) {
        if (thresholds == null) {
          // The weights do not change between the passes over the halves and the whole.
          thresholds = thresholds(plan, types.size());
        }
        double[][] table = plan.statistics(settings.zeroType(), thresholds);
        Map<String, ModuleStatistics> result = new LinkedHashMap<>();
        for (int i = 0; i < table.length; i++) {
          String name = candidates.get(i).name();
          result.put(name, ModuleStatistics.of(table[i], outputs.mean(name)));
        }
        return result;
      }
    }
  }

  private ComputeDevice place() {
    return ComputeDevice.of(modules.groups().values().iterator().next().values());
  }

  private float[] thresholds(ImportancePlan plan, int groups) {
    if (settings.fixedThreshold() == null) {
      return plan.quantiles(settings.thresholdQuantile());
    }
    float[] thresholds = new float[groups];
    java.util.Arrays.fill(thresholds, settings.fixedThreshold().floatValue());
    return thresholds;
  }

  /** Gives the sums to a checkpoint, or takes them from one. */
  public void exchange(StateExchange state) {
    done = state.number("steps", done);
    for (int half = 0; half < magnitudes.length; half++) {
      StateExchange own = state.part("half " + half);
      for (Map.Entry<String, Tensor[]> sums : gradientSums.entrySet()) {
        own.tensor(sums.getKey(), sums.getValue()[half]);
      }
      magnitudes[half].exchange(own.part("outputs"), place());
    }
  }

  @Override
  public void close() {
    magnitudes[0].close();
    magnitudes[1].close();
    scope.close();
  }
}
