package org.prunepeft.model;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * Frequencies of rotary embeddings by the formulas of Hugging Face's documentation.
 *
 * @param json the whole config.json
 * @param settings rope_scaling, or the layer's rope_parameters; missing: none
 * @param theta the base
 * @param rotated values of a head
 * @param length of the sequence
 */
record ReferenceRope(JsonNode json, JsonNode settings, double theta, int rotated, int length) {
  private String kind() {
    return settings.has("rope_type")
        ? settings.get("rope_type").asText()
        : settings.path("type").asText("default");
  }

  private int positions() {
    return json.get("max_position_embeddings").asInt();
  }

  private int original() {
    return settings
        .path("original_max_position_embeddings")
        .asInt(json.path("original_max_position_embeddings").asInt(positions()));
  }

  private double stretch() {
    return settings.path("factor").asDouble(1);
  }

  /** By which cosine and sine are multiplied. */
  double factor() {
    if (settings.has("attention_factor")) {
      return settings.get("attention_factor").asDouble();
    }
    return switch (kind()) {
      case "yarn" -> 0.1 * Math.log(stretch()) + 1;
      case "longrope", "su" ->
          Math.sqrt(1 + Math.log((double) positions() / original()) / Math.log(original()));
      default -> 1;
    };
  }

  /** Of pair i. */
  double frequency(int i) {
    double plain = 1 / Math.pow(theta, 2.0 * i / rotated);
    double wavelength = 2 * Math.PI / plain;
    switch (kind()) {
      case "linear":
        return plain / stretch();
      case "dynamic":
        double seen = Math.max(length, positions());
        double base =
            theta
                * Math.pow(
                    stretch() * seen / positions() - (stretch() - 1), rotated / (rotated - 2.0));
        return 1 / Math.pow(base, 2.0 * i / rotated);
      case "llama3":
        double low = settings.get("low_freq_factor").asDouble();
        double high = settings.get("high_freq_factor").asDouble();
        if (wavelength > original() / low) {
          return plain / stretch();
        }
        if (wavelength < original() / high) {
          return plain;
        }
        double smooth = (original() / wavelength - low) / (high - low);
        return (1 - smooth) * plain / stretch() + smooth * plain;
      case "yarn":
        double first = Math.max(0, Math.floor(turnsPair(32)));
        double last = Math.min(rotated - 1, Math.ceil(turnsPair(1)));
        double ramp = Math.min(1, Math.max(0, (i - first) / (last - first)));
        return plain / stretch() * ramp + plain * (1 - ramp);
      case "longrope", "su":
        String factors = length > original() ? "long_factor" : "short_factor";
        return plain / settings.get(factors).get(i).asDouble();
      default:
        return plain;
    }
  }

  /** The pair that turns so often within the original context. */
  private double turnsPair(double turns) {
    return rotated * Math.log(original() / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
  }
}
