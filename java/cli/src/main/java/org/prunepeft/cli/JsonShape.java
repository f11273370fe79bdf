package org.prunepeft.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.List;
import java.util.function.Supplier;

/**
 * What a JSON document has to be, itself written as JSON: an object with the members that are
 * needed, others being allowed, a list with the shape of all elements, or "text", "number" or
 * "flag". A member whose name ends with ? may be missing, or null; the name * is any.
 */
record JsonShape(JsonNode shape) {
  static final JsonShape NUMBER = of("\"number\"");

  static JsonShape of(String shape) {
    try {
      return new JsonShape(new JsonMapper().readTree(shape));
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(e);
    }
  }

  /**
   * Checks a member.
   *
   * @param place its path in the document, such as tables[0].rows; empty: the document itself
   * @param node may be missing
   * @throws IllegalArgumentException if it is something else; names the place
   */
  void require(String place, JsonNode node) {
    require(() -> place, node);
  }

  /** The place is only made where it is needed: names of members may be long. */
  private void require(Supplier<String> place, JsonNode node) {
    if (shape.isArray()) {
      require(node.isArray(), "a list", place, node);
      JsonShape item = new JsonShape(shape.get(0));
      for (int i = 0; i < node.size(); i++) {
        int at = i;
        item.require(() -> "%s[%d]".formatted(place.get(), at), node.get(i));
      }
    } else if (shape.isObject()) {
      require(node.isObject(), "an object", place, node);
      shape.properties().forEach(own -> members(own.getKey(), own.getValue(), place, node));
    } else {
      switch (shape.asText()) {
        case "text" -> require(node.isTextual(), "a text", place, node);
        case "number" -> require(node.isNumber(), "a number", place, node);
        case "flag" -> require(node.isBoolean(), "true or false", place, node);
        default -> throw new IllegalStateException("no shape: " + shape);
      }
    }
  }

  private static void members(String key, JsonNode shape, Supplier<String> place, JsonNode node) {
    boolean optional = key.endsWith("?");
    String name = optional ? key.substring(0, key.length() - 1) : key;
    Iterable<String> names = name.equals("*") ? node::fieldNames : List.of(name);
    JsonShape own = new JsonShape(shape);
    for (String one : names) {
      if (!optional || node.hasNonNull(one)) {
        own.require(() -> prefix(place, ".") + one, node.path(one));
      }
    }
  }

  /** A place and what is behind it; nothing for the document itself. */
  private static String prefix(Supplier<String> place, String behind) {
    String text = place.get();
    return text.isEmpty() ? "" : text + behind;
  }

  private static void require(boolean is, String name, Supplier<String> place, JsonNode node) {
    if (!is) {
      throw new IllegalArgumentException(
          "%s%s is needed, got %s"
              .formatted(
                  prefix(place, ": "),
                  name,
                  node.isMissingNode()
                      ? "nothing"
                      : node.isContainerNode() ? "something else" : node));
    }
  }
}
