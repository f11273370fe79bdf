package org.prunepeft.data.batch;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A part of a tokenizer.json.
 *
 * @param parent what it is in; null: nothing
 * @param name of the member; null: it is in a list
 * @param place in the list, from 0; -1: it is a member
 * @param json its value
 */
record TokenizerPart(TokenizerPart parent, String name, int place, JsonNode json) {
  TokenizerPart(String name, JsonNode json) {
    this(null, name, -1, json);
  }

  /** Where it is, as messages say it; only made for them, since names may be long. */
  String path() {
    String own = place < 0 ? name : "[" + place + "]";
    return parent == null ? own : parent.path() + (place < 0 ? "." : "") + own;
  }

  /** Another value that messages call the same. */
  TokenizerPart with(JsonNode other) {
    return new TokenizerPart(parent, name, place, other);
  }

  TokenizerPart item(int at, JsonNode item) {
    return new TokenizerPart(this, null, at, item);
  }

  IllegalArgumentException wrong(String expected) {
    String value = json.isContainerNode() ? "a list or object" : json.toString();
    String shown = value.length() <= 60 ? value : value.substring(0, 60) + "...";
    return new IllegalArgumentException(
        "%s must be %s, got %s"
            .formatted(path(), expected, json.isMissingNode() ? "nothing" : shown));
  }

  boolean isAbsent() {
    return json.isMissingNode() || json.isNull();
  }

  TokenizerPart get(String name) {
    return new TokenizerPart(this, name, -1, json.path(name));
  }

  /** The members of an object. */
  List<TokenizerPart> members() {
    if (!json.isObject()) {
      throw wrong("an object");
    }
    List<TokenizerPart> members = new ArrayList<>(json.size());
    json.properties()
        .forEach(
            member -> members.add(new TokenizerPart(this, member.getKey(), -1, member.getValue())));
    return members;
  }

  /** The items of a list. */
  List<TokenizerPart> items(int most) {
    if (!json.isArray()) {
      throw wrong("a list");
    }
    if (json.size() > most) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "%s has %,d items, the most is %,d", path(), json.size(), most));
    }
    List<TokenizerPart> items = new ArrayList<>(json.size());
    for (JsonNode item : json) {
      items.add(item(items.size(), item));
    }
    return items;
  }

  String text(int most) {
    if (!json.isTextual()) {
      throw wrong("a text");
    }
    if (json.textValue().length() > most) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s has %,d characters, the most is %,d",
              path(),
              json.textValue().length(),
              most));
    }
    return json.textValue();
  }

  int integer(int least, int most) {
    if (!json.isIntegralNumber()
        || !json.canConvertToInt()
        || json.intValue() < least
        || json.intValue() > most) {
      throw wrong("a whole number from %d to %d".formatted(least, most));
    }
    return json.intValue();
  }

  double number(double least, double most) {
    if (!json.isNumber() || !(json.doubleValue() >= least && json.doubleValue() <= most)) {
      throw wrong("a number from %s to %s".formatted(least, most));
    }
    return json.doubleValue();
  }
}
