package org.prunepeft.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import java.util.function.Predicate;

/** What a member of a JSON document has to be. */
@FunctionalInterface
interface JsonShape {
  JsonShape TEXT = kind("a text", JsonNode::isTextual);
  JsonShape NUMBER = kind("a number", JsonNode::isNumber);
  JsonShape FLAG = kind("true or false", JsonNode::isBoolean);

  /**
   * Checks a member.
   *
   * @param place its path in the document, such as tables[0].rows; empty: the document itself
   * @param node may be missing
   * @throws IllegalArgumentException if it is something else; names the place
   */
  void require(String place, JsonNode node);

  private static JsonShape kind(String name, Predicate<JsonNode> is) {
    return (place, node) -> {
      if (!is.test(node)) {
        throw new IllegalArgumentException(
            "%s%s is needed, got %s"
                .formatted(
                    place.isEmpty() ? "" : place + ": ",
                    name,
                    node.isMissingNode()
                        ? "nothing"
                        : node.isContainerNode() ? "something else" : node));
      }
    };
  }

  /** May be missing, or null. */
  static JsonShape optional(JsonShape shape) {
    return (place, node) -> {
      if (!node.isMissingNode() && !node.isNull()) {
        shape.require(place, node);
      }
    };
  }

  static JsonShape list(JsonShape shape) {
    return (place, node) -> {
      kind("a list", JsonNode::isArray).require(place, node);
      for (int i = 0; i < node.size(); i++) {
        shape.require("%s[%d]".formatted(place, i), node.get(i));
      }
    };
  }

  /** An object with these members, and maybe others. */
  static JsonShape object(Map<String, JsonShape> members) {
    return (place, node) -> {
      kind("an object", JsonNode::isObject).require(place, node);
      members.forEach((name, shape) -> shape.require(member(place, name), node.path(name)));
    };
  }

  /** An object whose members, whatever they are called, are all alike. */
  static JsonShape values(JsonShape shape) {
    return (place, node) -> {
      kind("an object", JsonNode::isObject).require(place, node);
      node.fields()
          .forEachRemaining(
              member -> shape.require(member(place, member.getKey()), member.getValue()));
    };
  }

  private static String member(String place, String name) {
    return place.isEmpty() ? name : place + "." + name;
  }
}
