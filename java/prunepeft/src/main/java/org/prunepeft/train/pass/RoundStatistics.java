package org.prunepeft.train.pass;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
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
 * of the modules' outputs, each in two halves of the first epoch's steps, so that a criterion's
 * reliability can be measured. Halves share no example: what later epochs see of the same ones is
 * in the whole alone. The sums stay where the gradients are; one importance pass at the end reads
 * them.
 */
public final class RoundStatistics implements AutoCloseable {
  private final PeftModules modules;
  private final CriterionSettings settings;
  private final int steps;
  private final int ofEpoch;
  private final PointerScope scope;

  /** Of the first half, of the second and, where there are later epochs, of these. */
  private final Map<String, Tensor[]> gradientSums = new LinkedHashMap<>();

  private final OutputMagnitudes[] magnitudes;
  private int done;
  private float[] thresholds;

  /**
   * @param steps how many steps the training will have
   * @param epochs of how many epochs these are, each of as many; 1 or more
   */
  public RoundStatistics(PeftModules modules, CriterionSettings settings, int steps, int epochs) {
    this.modules = modules;
    this.settings = settings;
    this.steps = steps;
    ofEpoch = steps / epochs;
    int parts = epochs == 1 ? 2 : 3;
    magnitudes =
        Stream.generate(OutputMagnitudes::new).limit(parts).toArray(OutputMagnitudes[]::new);
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      modules
          .groups()
          .forEach(
              (type, group) -> {
                long length = group.values().numel();
                ComputeDevice device = ComputeDevice.of(group.values());
                gradientSums.put(
                    type,
                    Stream.generate(() -> device.zeros(length))
                        .limit(parts)
                        .toArray(Tensor[]::new));
              });
    }
  }

  private int part() {
    return done >= ofEpoch ? 2 : 2 * done < ofEpoch ? 0 : 1;
  }

  /** Where the step that begins should record output sizes; null if it is not in the sample. */
  public OutputMagnitudes magnitudes() {
    return done % interval() == 0 ? magnitudes[part()] : null;
  }

  /** Of several epochs it is small enough for a step of each half. */
  private int interval() {
    int interval = steps / settings.activationBatches();
    return Math.max(1, ofEpoch < steps ? Math.min(interval, ofEpoch / 2) : interval);
  }

  /** Adds the gradients of the step that ends. */
  public void stepDone() {
    int part = part();
    modules
        .groups()
        .forEach(
            (type, group) -> gradientSums.get(type)[part].add_(group.gradients(), new Scalar(1)));
    done++;
  }

  /**
   * The statistics of every module, from the weights as they are now. An epoch of one step has no
   * halves: what agrees is not known.
   */
  public Observation observe() {
    boolean halves = Math.min(done, ofEpoch) >= 2;
    Map<String, ModuleStatistics> first = halves ? measure(0) : Map.of();
    Map<String, ModuleStatistics> second = halves ? measure(1) : Map.of();
    for (Tensor[] parts : gradientSums.values()) {
      for (int part = 1; part < parts.length; part++) {
        parts[0].add_(parts[part], new Scalar(1));
      }
    }
    try (OutputMagnitudes all = new OutputMagnitudes()) {
      for (OutputMagnitudes part : magnitudes) {
        all.add(part);
      }
      return new Observation(measure(type -> gradientSums.get(type)[0], all), first, second);
    }
  }

  private Map<String, ModuleStatistics> measure(int part) {
    return measure(type -> gradientSums.get(type)[part], magnitudes[part]);
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
    for (int part = 0; part < magnitudes.length; part++) {
      StateExchange own = state.part(part < 2 ? "half " + part : "later epochs");
      for (Map.Entry<String, Tensor[]> sums : gradientSums.entrySet()) {
        own.tensor(sums.getKey(), sums.getValue()[part]);
      }
      magnitudes[part].exchange(own.part("outputs"), place());
    }
  }

  @Override
  public void close() {
    for (OutputMagnitudes part : magnitudes) {
      part.close();
    }
    scope.close();
  }
}
