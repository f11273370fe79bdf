package org.prunepeft.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class TrainingSettingsTest {
  static Stream<Arguments> outOfRange() {
    return Stream.of(
        setting("batch size", "0", builder -> builder.batchSize(0)),
        setting("gradient accumulation", "0", builder -> builder.gradientAccumulationSteps(0)),
        setting("65536", "65537", builder -> builder.gradientAccumulationSteps(65537)),
        setting(
            "times",
            "4294967296",
            builder -> builder.batchSize(65536).gradientAccumulationSteps(65536)),
        setting("LoRA", "0.0", builder -> builder.loraLearningRate(0)),
        setting("adapters", "-1.0", builder -> builder.adapterLearningRate(-1)),
        setting("head", "NaN", builder -> builder.headLearningRate(Double.NaN)),
        setting("encoder", "Infinity", builder -> builder.encoderLearningRate(1 / 0.0)),
        setting("weight decay", "-0.1", builder -> builder.weightDecay(-0.1)),
        setting("gradient norm", "-1.0", builder -> builder.maxGradNorm(-1)),
        setting("label smoothing", "1.0", builder -> builder.labelSmoothing(1)),
        setting("warm-up ratio", "1.0", builder -> builder.warmupRatio(1)),
        setting("warm-up steps", "-1", builder -> builder.warmupSteps(-1)),
        setting("patience", "-1", builder -> builder.earlyStoppingPatience(-1)),
        setting("at least 8 tokens", "7", builder -> builder.maxLength(7)));
  }

  private static Arguments setting(
      String name, String value, Consumer<TrainingSettingsBuilder> change) {
    return Arguments.of(name, value, change);
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource
  void outOfRange(String name, String value, Consumer<TrainingSettingsBuilder> change) {
    TrainingSettingsBuilder builder = TrainingSettings.builder();
    change.accept(builder);
    String message = assertThrows(IllegalArgumentException.class, builder::build).getMessage();
    assertTrue(message.contains(name) && message.endsWith("got " + value), message);
  }

  @Test
  void settingsThatAreTakenApartAndPutTogetherAreTheSame() {
    TrainingSettings settings =
        new TrainingSettings(
            3,
            5,
            OptimizerType.ADAFACTOR,
            0.1,
            0.2,
            0.3,
            0.4,
            0.5,
            0.6,
            0.7,
            0.8,
            9,
            Schedule.COSINE,
            10,
            11,
            10,
            true,
            NonFinite.SKIP,
            true,
            ClassWeights.BALANCED,
            true,
            false,
            true,
            12,
            TooLong.REFUSE);
    assertEquals(settings, settings.with().build());
  }
}
