package org.prunepeft.data.chat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Place;
import org.prunepeft.text.Spelling;

/** Reads the messages of a row; an error begins with where it is and names the member. */
final class Messages {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Of the row, for errors. */
  private final Place place;

  /** Names of the members that say who and what. */
  private final String role;

  private final String content;

  private Messages(Place place, String role, String content) {
    this.place = place;
    this.role = role;
    this.content = content;
  }

  /**
   * The messages of a list, or of a text that is one in JSON, as in tables.
   *
   * @param place of the row, for errors
   * @param column that has them
   * @param shareGpt whether members are from and value, unless the first message has a role
   */
  static List<Map<String, Object>> of(
      Place place, String column, JsonNode value, boolean shareGpt) {
    JsonNode list = value.isTextual() ? parsed(place, column, value.asText()) : value;
    boolean from = shareGpt && !list.path(0).has("role");
    return new Messages(place, from ? "from" : "role", from ? "value" : "content")
        .list(column, list);
  }

  /** The list of messages that a cell of a table has in JSON; empty: it has none. */
  static Optional<JsonNode> cell(JsonNode text) {
    if (!text.asText().stripLeading().startsWith("[")) {
      return Optional.empty();
    }
    try {
      return Optional.of(JSON.readTree(text.asText())).filter(list -> list.path(0).has("role"));
    } catch (JsonProcessingException e) {
      return Optional.empty();
    }
  }

  /** A value of any kind in Java's types; null for none. */
  static Object plain(Place place, String column, JsonNode value) {
    JsonNode read = value.isTextual() ? parsed(place, column, value.asText()) : value;
    return read.isNull() || read.isMissingNode()
        ? null
        : JSON.convertValue(read, new TypeReference<Object>() {});
  }

  private static JsonNode parsed(Place place, String column, String text) {
    if (text.isBlank()) {
      return JSON.nullNode();
    }
    try {
      return JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new DataException(
          "%s: '%s' must be a list, or a text that is one in JSON: %s"
              .formatted(place, column, e.getOriginalMessage()),
          e);
    }
  }

  private List<Map<String, Object>> list(String column, JsonNode list) {
    if (!list.isArray()) {
      throw new DataException(
          "%s: '%s' must be a list of messages, got %s".formatted(place, column, kind(list)));
    }
    if (list.isEmpty()) {
      throw new DataException(
          "%s: '%s' has no messages; a conversation has one or more".formatted(place, column));
    }
    List<Map<String, Object>> messages = new ArrayList<>();
    for (int i = 0; i < list.size(); i++) {
      messages.add(message("%s[%d]".formatted(column, i), list.get(i)));
    }
    return messages;
  }

  private Map<String, Object> message(String name, JsonNode node) {
    if (!node.isObject()) {
      throw new DataException(
          "%s: %s must be an object with %s and %s, got %s"
              .formatted(place, name, role, content, kind(node)));
    }
    if (!node.path(role).isTextual()) {
      throw new DataException(
          "%s: %s has no %s; it must be one of %s"
              .formatted(place, name, role, String.join(", ", Role.names())));
    }
    String written = node.get(role).asText();
    Role known =
        Role.of(written)
            .orElseThrow(
                () ->
                    new DataException(
                        "%s: %s: %s"
                            .formatted(
                                place, name, Spelling.unknown("role", written, Role.names()))));
    Map<String, Object> message = new LinkedHashMap<>();
    message.put("role", known.key());
    message.put("content", content(name, node));
    node.properties()
        .forEach(
            member -> {
              boolean taken = member.getKey().equals(role) || member.getKey().equals(content);
              if (!taken && !member.getValue().isNull()) {
                message.putIfAbsent(
                    member.getKey(),
                    JSON.convertValue(member.getValue(), new TypeReference<Object>() {}));
              }
            });
    return message;
  }

  /** A text; parts that are texts are joined; calls of tools may stand alone. */
  private String content(String name, JsonNode message) {
    JsonNode value = message.path(content);
    if (value.isTextual()) {
      return checked(name, value.asText());
    }
    if (value.isArray()) {
      StringBuilder all = new StringBuilder();
      for (JsonNode part : value) {
        if (!part.path("text").isTextual()) {
          throw new DataException(
              "%s: %s.%s has a part of type %s; texts alone are learnt"
                  .formatted(place, name, content, part.path("type").asText("unknown")));
        }
        all.append(part.get("text").asText());
      }
      return checked(name, all.toString());
    }
    if ((value.isNull() || value.isMissingNode()) && message.path("tool_calls").size() > 0) {
      return "";
    }
    throw new DataException(
        "%s: %s has no %s; it must be a text, got %s".formatted(place, name, content, kind(value)));
  }

  private String checked(String name, String text) {
    if (text.indexOf('\0') >= 0) {
      throw new DataException(
          "%s: %s.%s has a NUL at character %d, which is not text; take it out"
              .formatted(place, name, content, text.indexOf('\0') + 1));
    }
    return text;
  }

  private static String kind(JsonNode value) {
    return switch (value.getNodeType()) {
      case ARRAY -> "a list";
      case OBJECT -> "an object";
      case STRING -> "a text";
      case NUMBER -> "a number";
      case BOOLEAN -> value.asText();
      default -> "nothing";
    };
  }
}
