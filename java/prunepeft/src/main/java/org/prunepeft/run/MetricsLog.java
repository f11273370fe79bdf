package org.prunepeft.run;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.prunepeft.train.Evaluation;

/** Metrics by step and epoch, one record a line in the run directory. */
final class MetricsLog {
  private static final String VALIDATION = "validation";

  /** Keeps nothing. */
  static final MetricsLog NONE = new MetricsLog(record -> {});

  private final Consumer<Map<String, Object>> sink;

  MetricsLog(Consumer<Map<String, Object>> sink) {
    this.sink = sink;
  }

  void step(String training, int step, double loss, double rate) {
    Map<String, Object> record = new LinkedHashMap<>();
    record.put("training", training);
    record.put("step", step);
    record.put("loss", loss);
    record.put("learning_rate_factor", rate);
    sink.accept(record);
  }

  void epoch(String training, int epoch, double loss, Evaluation validation) {
    Map<String, Object> record = new LinkedHashMap<>();
    record.put("training", training);
    record.put("epoch", epoch);
    record.put("loss", loss);
    if (validation != null) {
      record.putAll(of(VALIDATION, validation));
    }
    sink.accept(record);
  }

  /** The result on the test part. */
  void test(String training, Evaluation test) {
    Map<String, Object> record = new LinkedHashMap<>();
    record.put("training", training);
    record.putAll(of("test", test));
    sink.accept(record);
  }

  /** What an epoch gave, as a listener gets it. */
  static Map<String, Double> ofEpoch(double loss, Evaluation validation) {
    Map<String, Double> values = new LinkedHashMap<>();
    values.put("epoch_loss", loss);
    if (validation != null) {
      values.putAll(of(VALIDATION, validation));
    }
    return values;
  }

  /** By the part and the metric: test_loss, test_accuracy. */
  static Map<String, Double> of(String part, Evaluation evaluation) {
    Map<String, Double> values = new LinkedHashMap<>();
    values.put(part + "_loss", evaluation.loss());
    evaluation.metrics().forEach((metric, value) -> values.put(part + "_" + metric.key(), value));
    return values;
  }
}
