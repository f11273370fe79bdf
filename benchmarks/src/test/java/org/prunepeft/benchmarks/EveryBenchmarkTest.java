package org.prunepeft.benchmarks;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collection;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * Every benchmark runs: once, at its smallest parameters, with the checks that it begins with. What
 * such a check has run is left out.
 */
class EveryBenchmarkTest {
  @Test
  void runsOnce() throws RunnerException {
    Collection<RunResult> results =
        new Runner(
                new OptionsBuilder()
                    .include("org\\.prunepeft\\.benchmarks")
                    .exclude("TrainingStepBenchmark\\.(ours|oursBf16|eager|frozenForward)")
                    .exclude("LanguageStepBenchmark\\.eager")
                    // Each of its methods trains a model first, the same one.
                    .exclude("PredictionBenchmark\\.(oneText|trainingForward)")
                    .param("batch", "8x256")
                    .param("dropout", "0.1")
                    .param("extents", "1x576x1536")
                    .param("layers", "2")
                    .param("lengths", "wordnet")
                    .param("loraDropout", "0.1")
                    .param("memory", "warm")
                    .param("modules", "upperHalf")
                    .param("of", "layers")
                    .param("precision", "BF16")
                    .param("product", "4096x384x1536")
                    .param("shape", "2048x384x384r32")
                    .param("size", "2048x384m128")
                    .param("tensors", "24")
                    .param("times", "1")
                    .forks(0)
                    .warmupIterations(0)
                    .measurementIterations(1)
                    .measurementTime(TimeValue.milliseconds(1))
                    .shouldFailOnError(true)
                    .verbosity(VerboseMode.SILENT)
                    .build())
            .run();
    for (RunResult result : results) {
      assertTrue(
          result.getPrimaryResult().getScore() > 0,
          () -> result.getParams().getBenchmark() + " took no time");
    }
    assertTrue(results.size() >= 40, () -> "only " + results.size() + " benchmarks were found");
  }
}
