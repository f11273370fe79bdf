package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.io.FormatException;

/** What is JSON, but not what a model's configuration has to be. */
class DamagedConfigTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String ORIGIN = "models/damaged/config.json";
  private static final List<String> OTHERS =
      List.of(
          "null", "0", "-1", "1e308", "99999999999", "\"\"", "true", "{}", "[]", "[{}]", "[-1]");

  static Stream<ObjectNode> configs() {
    return Stream.concat(
        ArchitecturesTest.configurations()
            .map(config -> (ObjectNode) JSON.valueToTree(HuggingFaceConfig.write(config))),
        DecoderFamilies.all().map(family -> (ObjectNode) family.json()));
  }

  /** A member that is absent, or another value, is read all the same or refused by the file. */
  @ParameterizedTest
  @MethodSource("configs")
  void anErrorNamesTheFile(ObjectNode config) throws IOException {
    for (String name : names(config)) {
      ObjectNode without = config.deepCopy();
      without.remove(name);
      reads(without, "without " + name);
      for (String other : OTHERS) {
        reads(config.deepCopy().set(name, JSON.readTree(other)), name + " " + other);
        if (config.get(name) instanceof ObjectNode inner) {
          for (String member : names(inner)) {
            ObjectNode changed = config.deepCopy();
            ((ObjectNode) changed.get(name)).set(member, JSON.readTree(other));
            reads(changed, name + "." + member + " " + other);
          }
        }
      }
    }
  }

  private static List<String> names(ObjectNode json) {
    List<String> names = new ArrayList<>();
    json.fieldNames().forEachRemaining(names::add);
    return names;
  }

  private static void reads(JsonNode config, String what) {
    try {
      HuggingFaceConfig.read(config, ORIGIN);
    } catch (FormatException e) {
      assertTrue(e.getMessage().startsWith(ORIGIN + ": "), what + ": " + e.getMessage());
    } catch (RuntimeException e) {
      throw new AssertionError(what + ": " + e, e);
    }
  }
}
