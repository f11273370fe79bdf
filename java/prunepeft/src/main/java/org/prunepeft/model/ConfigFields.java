package org.prunepeft.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * The members of a JSON object in a config.json, checked. What is absent or null has the value that
 * the caller names.
 */
record ConfigFields(JsonNode json) {
  /** Whether there is a member that is not null. */
  boolean has(String name) {
    return json.hasNonNull(name);
  }

  /** Whether there is a member that is null. */
  boolean isNull(String name) {
    return json.path(name).isNull();
  }

  /** A string that must be there. */
  String text(String name) {
    JsonNode value = json.path(name);
    if (!value.isTextual()) {
      throw new IllegalArgumentException(name + " is missing");
    }
    return value.textValue();
  }

  /** An object; empty if it is absent. */
  ConfigFields object(String name) {
    return new ConfigFields(json.path(name));
  }

  /** A list, or its entries in one string, parted by bars. */
  List<String> words(String name) {
    JsonNode value = json.path(name);
    List<String> words = new ArrayList<>();
    if (value.isArray()) {
      value.forEach(word -> words.add(word.asText().strip().toLowerCase(Locale.ROOT)));
    } else if (value.isTextual()) {
      for (String word : value.textValue().split("\\|")) {
        if (!word.isBlank()) {
          words.add(word.strip().toLowerCase(Locale.ROOT));
        }
      }
    }
    return words;
  }

  void refuse(String name, Set<String> supported) {
    JsonNode value = json.path(name);
    if (!value.isMissingNode() && !value.isNull() && !supported.contains(value.asText())) {
      throw new IllegalArgumentException(
          "%s %s is not supported; only %s is"
              .formatted(name, value, String.join(", ", supported)));
    }
  }

  HiddenActivation activation(String name, String absent) {
    JsonNode value = json.path(name);
    return HiddenActivation.of(value.isTextual() ? value.textValue() : absent);
  }

  int size(String name) {
    if (!has(name)) {
      throw new IllegalArgumentException(name + " is missing");
    }
    return integer(name, 0);
  }

  int integer(String name, int absent) {
    JsonNode value = json.path(name);
    if (value.isMissingNode() || value.isNull()) {
      return absent;
    }
    if (!value.isIntegralNumber() || !value.canConvertToInt()) {
      throw new IllegalArgumentException(name + " must be an integer, got " + value);
    }
    return value.intValue();
  }

  double number(String name, double absent) {
    JsonNode value = json.path(name);
    if (value.isMissingNode() || value.isNull()) {
      return absent;
    }
    if (!value.isNumber()) {
      throw new IllegalArgumentException(name + " must be a number, got " + value);
    }
    return value.doubleValue();
  }

  boolean flag(String name, boolean absent) {
    JsonNode value = json.path(name);
    if (value.isMissingNode() || value.isNull()) {
      return absent;
    }
    if (!value.isBoolean()) {
      throw new IllegalArgumentException(name + " must be true or false, got " + value);
    }
    return value.booleanValue();
  }

  /** Numbers, or one number; none if they are absent. */
  List<Double> numbers(String name) {
    JsonNode value = json.path(name);
    List<Double> numbers = new ArrayList<>();
    for (JsonNode number :
        value.isArray() ? value : has(name) ? List.of(value) : List.<JsonNode>of()) {
      if (!number.isNumber()) {
        throw new IllegalArgumentException(name + " must have numbers, got " + number);
      }
      numbers.add(number.doubleValue());
    }
    return numbers;
  }
}
