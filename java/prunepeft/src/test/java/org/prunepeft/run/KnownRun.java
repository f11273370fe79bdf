package org.prunepeft.run;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.prunepeft.data.Schema;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.measured.Comparison;
import org.prunepeft.search.measured.Configuration;
import org.prunepeft.search.measured.Estimate;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.search.measured.MeasuredSettings;
import org.prunepeft.search.measured.ModuleValue;
import org.prunepeft.search.measured.Spread;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;

/** A run of known numbers: two layers of 128 multiplications a token, and four modules. */
final class KnownRun {
  static final EncoderConfig ENCODER = EncoderConfig.bert(2, 4, 1, 8, 100, 16);

  static final SearchSpace SPACE =
      new SearchSpace(
          2,
          List.of(
              module(0, Candidate.LORA, 32),
              module(0, Candidate.ADAPTER, 64),
              module(1, Candidate.LORA, 32),
              module(1, Candidate.ADAPTER, 64)));

  static final List<Candidate> ALL = SPACE.candidates();

  /** LoRA of the last layer. */
  static final List<Candidate> KEPT = List.of(module(1, Candidate.LORA, 32));

  static final MachineTimes.Work WORK = new MachineTimes.Work(ENCODER, 1000, 10, 2, true);

  /** All modules train for 9.6 s, those that are kept for 3.8 s. */
  static final MachineTimes TIMES = new MachineTimes(WORK, 2e-6, 1e-4);

  /** Of the test examples. */
  static final double[] TARGETS = IntStream.range(0, 40).mapToDouble(i -> i % 2).toArray();

  static final Schema CLASSES = Schema.classification(List.of("a", "b"));

  private KnownRun() {}

  private static Candidate module(int layer, String type, long parameters) {
    return new Candidate("encoder.layer." + layer + "." + type, layer, type, parameters);
  }

  /** Of so many of the test examples the class is right. */
  static Evaluation right(int count) {
    float[] outputs = new float[2 * TARGETS.length];
    for (int i = 0; i < TARGETS.length; i++) {
      int label = i < count ? (int) TARGETS[i] : 1 - (int) TARGETS[i];
      outputs[2 * i + label] = 1;
    }
    return Evaluation.of(new Predictions(CLASSES, outputs), TARGETS);
  }

  /** Test and validation alike. */
  static TrainOutcome outcome(Evaluation head, Evaluation trained) {
    return new TrainOutcome(KEPT, 32, false, 192, head, trained, trained, 1, 2, 1, 3.6);
  }

  static MeasuredResult measured(
      boolean matters, Spread spread, List<Candidate> kept, Comparison... comparisons) {
    return measured(
        MeasuredSettings.of(SPACE, 96), matters, Optional.of(spread), kept, comparisons);
  }

  static MeasuredResult measured(
      MeasuredSettings settings,
      boolean matters,
      Optional<Spread> spread,
      List<Candidate> kept,
      Comparison... comparisons) {
    Estimate zero = new Estimate(0, -0.0115, 0.0115);
    return new MeasuredResult(
        SPACE,
        settings,
        kept,
        kept,
        MeasuredResult.Choice.BEST,
        Optional.empty(),
        matters,
        false,
        ALL.stream().map(each -> new ModuleValue(each, zero, 0, kept.contains(each))).toList(),
        List.of(),
        List.of(comparisons),
        List.of(comparisons),
        spread,
        0.5,
        List.of(
            new Configuration(
                KEPT,
                zero,
                new Estimate(0.0135, -0.0185, 0.0454),
                Optional.of(new Estimate(0.01, -0.02, 0.04)),
                Map.of("parameters", 32.0)),
            new Configuration(ALL, zero, zero, Optional.of(zero), Map.of("parameters", 192.0))),
        List.of(),
        240,
        160);
  }

  /** The same where the score alone shows a gain. */
  static MeasuredResult withNegligibleGain(MeasuredResult result) {
    return new MeasuredResult(
        result.space(),
        result.settings(),
        result.best(),
        result.kept(),
        result.choice(),
        result.decidedBy(),
        false,
        true,
        result.values(),
        result.pairs(),
        result.bestComparisons(),
        result.comparisons(),
        result.spread(),
        result.explained(),
        result.front(),
        result.measured(),
        result.examples(),
        result.confirmationExamples());
  }
}
