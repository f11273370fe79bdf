package org.prunepeft.search;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.stream.Stream;
import org.prunepeft.search.Reading.LeftOut;
import org.prunepeft.search.Strategy.Origin;
import org.prunepeft.text.EnumNames;
import org.prunepeft.text.Spelling;

/**
 * A strategy as plain maps and lists.
 *
 * <pre>
 * version: 1
 * origin: warm-up | authors | single | all | custom
 * partitioning: spindle | quantile
 * criteria: [name, ...]
 * assignment: {TYPE/BLOCK: [name, ...], ...}           may be absent: all criteria everywhere
 * warmUp:                                              absent unless origin is warm-up
 *   layers, removedPerTurn, trainings: integers
 *   tallies: {name: {TYPE/BLOCK: integer, ...}, ...}
 *   turns: [{turn, criterion, removed: [module, ...],
 *            readings: [{type, spread, reliability?, leftOut?}, ...],
 *            training?: {headAlone, trained?, state, divergence?}}, ...]
 * </pre>
 */
final class StrategyFormat {
  private static final int VERSION = 1;

  private StrategyFormat() {}

  static Map<String, Object> write(Strategy strategy) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("version", VERSION);
    map.put("origin", strategy.origin().toString());
    map.put("partitioning", strategy.partitioning().toString());
    map.put("criteria", strategy.criteria());
    if (!strategy.assignment().isEmpty()) {
      map.put("assignment", byText(strategy.assignment()));
    }
    strategy.warmUp().ifPresent(record -> map.put("warmUp", write(record)));
    return map;
  }

  static Strategy read(Map<String, ?> map) {
    Node root = new Node("", map);
    root.allow("version", "origin", "partitioning", "criteria", "assignment", "warmUp");
    Node version = root.get("version");
    if (version.integer() != VERSION) {
      throw version.wrong("must be " + VERSION);
    }
    Origin origin = root.get("origin").oneOf(Origin.values());
    List<String> criteria = criteria(root.get("criteria"), Criteria.names());
    Map<Partition, List<String>> assignment = new LinkedHashMap<>();
    root.optional("assignment")
        .ifPresent(
            node ->
                node.entries()
                    .forEach(
                        entry -> assignment.put(entry.partition(), criteria(entry, criteria))));
    Optional<Node> warmUp = root.optional("warmUp");
    if (origin == Origin.WARM_UP && warmUp.isEmpty()) {
      throw root.child("warmUp", null)
          .error("must be there if origin is warm-up; use origin custom without it");
    }
    if (origin != Origin.WARM_UP && warmUp.isPresent()) {
      throw warmUp.get().error("must be absent unless origin is warm-up, which is " + origin);
    }
    return new Strategy(
        origin,
        root.get("partitioning").oneOf(Partitioning.values()),
        criteria,
        assignment,
        warmUp.map(node -> readWarmUp(node, criteria)));
  }

  private static Map<String, Object> write(WarmUpRecord record) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("layers", record.layers());
    map.put("removedPerTurn", record.removedPerTurn());
    map.put("trainings", record.trainings());
    Map<String, Object> tallies = new LinkedHashMap<>();
    record.tallies().forEach((criterion, tally) -> tallies.put(criterion, byText(tally)));
    map.put("tallies", tallies);
    map.put("turns", record.turns().stream().map(StrategyFormat::write).toList());
    return map;
  }

  private static Map<String, Object> write(WarmUpTurn turn) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("turn", turn.turn());
    map.put("criterion", turn.criterion());
    map.put("removed", turn.removed());
    map.put("readings", turn.readings().stream().map(StrategyFormat::write).toList());
    turn.training().ifPresent(health -> map.put("training", write(health)));
    return map;
  }

  private static Map<String, Object> write(TrainingHealth health) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("headAlone", health.headAlone());
    health.trained().ifPresent(loss -> map.put("trained", loss));
    map.put("state", EnumNames.dashed(health.state()));
    health.divergence().ifPresent(why -> map.put("divergence", why));
    return map;
  }

  private static Map<String, Object> write(Reading reading) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("type", reading.type());
    map.put("spread", reading.spread());
    reading.reliability().ifPresent(value -> map.put("reliability", value));
    reading.leftOut().ifPresent(why -> map.put("leftOut", why.toString()));
    return map;
  }

  private static Map<String, Object> byText(Map<Partition, ?> map) {
    Map<String, Object> byText = new LinkedHashMap<>();
    map.forEach((partition, value) -> byText.put(partition.toString(), value));
    return byText;
  }

  private static WarmUpRecord readWarmUp(Node node, List<String> criteria) {
    node.allow("layers", "removedPerTurn", "trainings", "tallies", "turns");
    Map<String, Map<Partition, Integer>> tallies = new LinkedHashMap<>();
    for (Node tally : node.get("tallies").entries()) {
      Map<Partition, Integer> counts = new LinkedHashMap<>();
      tally.entries().forEach(count -> counts.put(count.partition(), count.atLeast(0)));
      tallies.put(tally.named(criteria), counts);
    }
    List<WarmUpTurn> turns =
        node.get("turns").items().stream().map(turn -> readTurn(turn, criteria)).toList();
    return new WarmUpRecord(
        node.get("layers").atLeast(1),
        node.get("removedPerTurn").atLeast(1),
        node.get("trainings").atLeast(1),
        tallies,
        turns);
  }

  private static WarmUpTurn readTurn(Node node, List<String> criteria) {
    node.allow("turn", "criterion", "removed", "readings", "training");
    String criterion = criterion(node.get("criterion"), criteria);
    return new WarmUpTurn(
        node.get("turn").atLeast(1),
        criterion,
        node.get("readings").items().stream()
            .map(reading -> readReading(reading, criterion))
            .toList(),
        node.get("removed").items().stream().map(Node::text).toList(),
        node.optional("training").map(StrategyFormat::readHealth));
  }

  private static TrainingHealth readHealth(Node node) {
    node.allow("headAlone", "trained", "state", "divergence");
    Node state = node.get("state");
    return new TrainingHealth(
        node.get("headAlone").number(),
        node.optional("trained")
            .map(Node::number)
            .map(OptionalDouble::of)
            .orElse(OptionalDouble.empty()),
        Arrays.stream(TrainingHealth.State.values())
            .filter(value -> EnumNames.dashed(value).equals(state.text()))
            .findFirst()
            .orElseThrow(() -> state.wrong("must be healthy, no-gain or diverged")),
        node.optional("divergence").map(Node::text));
  }

  private static Reading readReading(Node node, String criterion) {
    node.allow("type", "spread", "reliability", "leftOut");
    Optional<Node> reliability = node.optional("reliability");
    return new Reading(
        criterion,
        node.get("type").text(),
        node.get("spread").number(),
        reliability.isPresent()
            ? OptionalDouble.of(reliability.get().number())
            : OptionalDouble.empty(),
        node.optional("leftOut").map(why -> why.oneOf(LeftOut.values())));
  }

  private static List<String> criteria(Node node, List<String> known) {
    List<String> names = new ArrayList<>();
    for (Node item : node.items()) {
      String name = criterion(item, known);
      if (names.contains(name)) {
        throw item.wrong("must be listed once");
      }
      names.add(name);
    }
    if (names.isEmpty()) {
      throw node.error("must list at least one criterion, got none; known are " + known);
    }
    return names;
  }

  private static String criterion(Node node, List<String> known) {
    if (!known.contains(node.text())) {
      throw node.error(Spelling.unknown("criterion", node.text(), known));
    }
    return node.text();
  }

  /**
   * A value and the key that leads to it.
   *
   * @param path the keys from the root, joined by dots
   * @param key the last of them
   */
  private record Node(String path, String key, Object value) {
    Node(String path, Object value) {
      this(path, path, value);
    }

    Node child(String name, Object item) {
      return new Node(path.isEmpty() ? name : path + "." + name, name, item);
    }

    IllegalArgumentException error(String message) {
      return new IllegalArgumentException((path.isEmpty() ? "strategy" : path) + ": " + message);
    }

    IllegalArgumentException wrong(String message) {
      return error(message + ", got " + (value instanceof String ? "'" + value + "'" : value));
    }

    void allow(String... keys) {
      for (Node entry : entries()) {
        if (!Set.of(keys).contains(entry.key())) {
          throw entry.error(Spelling.unknown("key", entry.key(), List.of(keys)));
        }
      }
    }

    Node get(String name) {
      return optional(name).orElseThrow(() -> child(name, null).error("must be there"));
    }

    Optional<Node> optional(String name) {
      return entries().stream()
          .filter(entry -> entry.key().equals(name) && entry.value() != null)
          .findFirst();
    }

    List<Node> entries() {
      if (!(value instanceof Map<?, ?> map)) {
        throw wrong("must be an object");
      }
      return map.entrySet().stream()
          .map(entry -> child(String.valueOf(entry.getKey()), entry.getValue()))
          .toList();
    }

    List<Node> items() {
      if (!(value instanceof List<?> list)) {
        throw wrong("must be a list");
      }
      List<Node> items = new ArrayList<>();
      for (Object item : list) {
        String index = "[" + items.size() + "]";
        items.add(new Node(path + index, index, item));
      }
      return items;
    }

    String text() {
      if (!(value instanceof String text)) {
        throw wrong("must be a string");
      }
      return text;
    }

    double number() {
      if (!(value instanceof Number number) || !Double.isFinite(number.doubleValue())) {
        throw wrong("must be a finite number");
      }
      return number.doubleValue();
    }

    int integer() {
      double number = number();
      if (number != Math.rint(number) || Math.abs(number) > Integer.MAX_VALUE) {
        throw wrong("must be an integer");
      }
      return (int) number;
    }

    int atLeast(int least) {
      if (integer() < least) {
        throw wrong("must be at least " + least);
      }
      return integer();
    }

    Partition partition() {
      try {
        return Partition.parse(key);
      } catch (IllegalArgumentException e) {
        throw error(e.getMessage());
      }
    }

    /** The key, which must be one of the known criteria. */
    String named(List<String> known) {
      if (!known.contains(key)) {
        throw error(Spelling.unknown("criterion", key, known));
      }
      return key;
    }

    <T> T oneOf(T[] values) {
      for (T candidate : values) {
        if (candidate.toString().equals(text())) {
          return candidate;
        }
      }
      throw wrong("must be one of " + Stream.of(values).map(Object::toString).toList());
    }
  }
}
