package org.prunepeft.model;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.prunepeft.text.Required;

/**
 * Rotary position embedding (Su et al. 2021): the first values of each head of query and key are
 * rotated, value i with value i + size / 2, by position · frequency(i).
 *
 * @param type how the frequencies of longer contexts follow from those of the pre-training
 * @param theta rope_theta, above 0
 * @param size how many values of a head are rotated, even; partial_rotary_factor of them
 * @param factor of the context's length; 1 where the type has none
 * @param originalPositions original_max_position_embeddings, the context of the pre-training
 * @param attentionFactor by which cosine and sine are multiplied
 * @param lowFrequencyFactor low_freq_factor, of llama3
 * @param highFrequencyFactor high_freq_factor, of llama3
 * @param betaFast beta_fast, of yarn
 * @param betaSlow beta_slow, of yarn
 * @param truncate whether yarn's bounds are whole numbers
 * @param shortFactors short_factor, [size / 2], of longrope; else empty
 * @param longFactors long_factor, [size / 2], of longrope; else empty
 */
@RecordBuilder
public record Rope(
    Type type,
    double theta,
    int size,
    double factor,
    int originalPositions,
    double attentionFactor,
    double lowFrequencyFactor,
    double highFrequencyFactor,
    double betaFast,
    double betaSlow,
    boolean truncate,
    List<Double> shortFactors,
    List<Double> longFactors)
    implements RopeBuilder.With {
  /** A rule for the frequencies, named as rope_type is. */
  public enum Type {
    /** theta^(-2i / size). */
    DEFAULT,
    /** All divided by the factor (Chen et al. 2023). */
    LINEAR,
    /** A theta that grows with the sequence, beyond the original context. */
    DYNAMIC,
    /** Low frequencies divided by the factor, high ones as they are (Llama 3.1). */
    LLAMA3,
    /** The same between two numbers of turns (Peng et al. 2023). */
    YARN,
    /** A factor for each, one set within and one beyond the original context (Ding et al. 2024). */
    LONGROPE;

    /**
     * {@return the rule of a rope_type}
     *
     * @param name config.json's
     * @throws IllegalArgumentException if it is not supported; names those that are
     */
    static Type of(String name) {
      return Arrays.stream(values())
          .filter(type -> type.toString().equals(name))
          .findFirst()
          .orElseThrow(
              () ->
                  new IllegalArgumentException(
                      "rope_type '%s' is not supported; there are %s"
                          .formatted(name, Arrays.toString(values()))));
    }

    /** config.json's name. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public Rope {
    Required.present("rope_type", type);
    shortFactors = shortFactors == null ? List.of() : List.copyOf(shortFactors);
    longFactors = longFactors == null ? List.of() : List.copyOf(longFactors);
    Required.above0("rope_theta", theta);
    Required.above0("rope_scaling's factor", factor);
    Required.above0("rope_scaling's attention_factor", attentionFactor);
    if (size < 2 || size % 2 != 0) {
      throw new IllegalArgumentException(
          "the rotated part of a head must be even and at least 2, got " + size);
    }
    if (originalPositions < 1) {
      throw new IllegalArgumentException(
          "original_max_position_embeddings must be at least 1, got " + originalPositions);
    }
    if (type == Type.LLAMA3
        && !(lowFrequencyFactor > 0 && highFrequencyFactor > lowFrequencyFactor)) {
      throw new IllegalArgumentException(
          "low_freq_factor must be above 0 and below high_freq_factor, got %s and %s"
              .formatted(lowFrequencyFactor, highFrequencyFactor));
    }
    if (type == Type.YARN && !(betaSlow > 0 && betaFast > betaSlow)) {
      throw new IllegalArgumentException(
          "beta_slow must be above 0 and below beta_fast, got %s and %s"
              .formatted(betaSlow, betaFast));
    }
    if (type == Type.LONGROPE) {
      requireFactors("short_factor", shortFactors, size);
      requireFactors("long_factor", longFactors, size);
    }
  }

  private static void requireFactors(String name, List<Double> factors, int size) {
    if (factors.size() != size / 2) {
      throw new IllegalArgumentException(
          "%s must have %d values, one for each rotated pair, got %d"
              .formatted(name, size / 2, factors.size()));
    }
    factors.forEach(factor -> Required.above0(name, factor));
  }

  /**
   * {@return the longest sequence: the model's positions, or more where the rule stretches them}
   *
   * @param positions max_position_embeddings
   */
  int maxTokens(int positions) {
    return switch (type) {
      case LINEAR, DYNAMIC, YARN ->
          (int) Math.min(Integer.MAX_VALUE, Math.max(positions, factor * originalPositions));
      case DEFAULT, LLAMA3, LONGROPE -> positions;
    };
  }

  /**
   * {@return a length whose frequencies are those of the given one}
   *
   * @param length tokens of the longest sequence
   */
  int reach(int length) {
    return switch (type) {
      case DYNAMIC -> Math.max(length, originalPositions);
      case LONGROPE -> length > originalPositions ? originalPositions + 1 : originalPositions;
      case DEFAULT, LINEAR, LLAMA3, YARN -> originalPositions;
    };
  }

  /**
   * {@return the angle between neighbouring positions of each rotated pair, [size / 2]}
   *
   * @param length tokens of the longest sequence; those of DYNAMIC and LONGROPE depend on it
   */
  public double[] frequencies(int length) {
    double[] frequencies = new double[size / 2];
    double base = type == Type.DYNAMIC ? grownTheta(length) : theta;
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = scaled(i, Math.pow(base, -2.0 * i / size), length);
    }
    return frequencies;
  }

  private double grownTheta(int length) {
    double growth = factor * Math.max(length, originalPositions) / originalPositions - (factor - 1);
    return theta * Math.pow(growth, size / (size - 2.0));
  }

  private double scaled(int i, double frequency, int length) {
    return switch (type) {
      case DEFAULT, DYNAMIC -> frequency;
      case LINEAR -> frequency / factor;
      case LLAMA3 -> mixed(frequency, llama3Share(frequency));
      case YARN -> mixed(frequency, yarnShare(i));
      case LONGROPE -> frequency / (length > originalPositions ? longFactors : shortFactors).get(i);
    };
  }

  /** A share of the frequency as it is, and the rest divided by the factor. */
  private double mixed(double frequency, double share) {
    return frequency * share + frequency / factor * (1 - share);
  }

  private double llama3Share(double frequency) {
    double turns = originalPositions * frequency / (2 * Math.PI);
    return clamp((turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor));
  }

  private double yarnShare(int i) {
    double low = pairOf(betaFast);
    double high = pairOf(betaSlow);
    if (truncate) {
      low = Math.floor(low);
      high = Math.ceil(high);
    }
    low = Math.max(low, 0);
    high = Math.min(high, size - 1);
    return 1 - clamp((i - low) / (high == low ? 0.001 : high - low));
  }

  /** The pair, as a fraction, that makes so many turns within the original context. */
  private double pairOf(double turns) {
    return size * Math.log(originalPositions / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
  }

  private static double clamp(double share) {
    return Math.max(0, Math.min(1, share));
  }
}
