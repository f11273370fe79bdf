package org.prunepeft.template;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.prunepeft.template.Rendering.Range;

/** Texts and ranges are those that Python's jinja2 makes of the same: see jinja.py. */
class JinjaTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final LocalDateTime NOW = LocalDateTime.of(2026, 3, 7, 9, 5, 3);

  private static Path file(String name) {
    try {
      return Path.of(JinjaTest.class.getResource(name).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  private static JsonNode expected() throws IOException {
    return JSON.readTree(Files.readString(file("expected.json")));
  }

  private static Map<String, Object> variables(JsonNode node) {
    return JSON.convertValue(node, new TypeReference<>() {});
  }

  @TestFactory
  Stream<DynamicTest> features() throws IOException {
    JsonNode all = expected();
    Map<String, Object> variables = variables(all.get("variables"));
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode one : all.get("features")) {
      String template = one.get("template").asText();
      tests.add(DynamicTest.dynamicTest(template, () -> check(template, variables, one)));
    }
    return tests.stream();
  }

  @TestFactory
  Stream<DynamicTest> chatTemplates() throws IOException {
    JsonNode all = expected();
    List<DynamicTest> tests = new ArrayList<>();
    for (Map.Entry<String, JsonNode> of : all.get("files").properties()) {
      String template = Files.readString(file(of.getKey()));
      for (Map.Entry<String, JsonNode> one : of.getValue().properties()) {
        Map<String, Object> variables = variables(all.get("conversations").get(one.getKey()));
        tests.add(
            DynamicTest.dynamicTest(
                of.getKey() + ", " + one.getKey(),
                () -> check(template, variables, one.getValue())));
      }
    }
    return tests.stream();
  }

  private static void check(String template, Map<String, Object> variables, JsonNode expected) {
    if (expected.get("text").isNull()) {
      TemplateException e =
          assertThrows(
              TemplateException.class, () -> Template.parse(template).render(variables, NOW));
      assertTrue(e.getMessage().startsWith("template line " + e.line() + ": "), e.getMessage());
      return;
    }
    Rendering rendering = Template.parse(template).render(variables, NOW);
    List<Range> ranges = new ArrayList<>();
    for (JsonNode range : expected.get("generated")) {
      ranges.add(new Range(range.get(0).asInt(), range.get(1).asInt()));
    }
    assertEquals(new Rendering(expected.get("text").asText(), ranges), rendering);
  }

  /** What is expected is what jinja2 gives, where it is installed. */
  @Test
  void expectationsAreThoseOfJinja(@org.junit.jupiter.api.io.TempDir Path directory)
      throws IOException, InterruptedException {
    Path out = directory.resolve("expected.json");
    Process python;
    try {
      python =
          new ProcessBuilder("python3", file("jinja.py").toString())
              .redirectOutput(out.toFile())
              .redirectError(directory.resolve("errors").toFile())
              .start();
    } catch (IOException e) {
      assumeTrue(false, "no python3");
      return;
    }
    assertTrue(python.waitFor(60, TimeUnit.SECONDS));
    assumeTrue(python.exitValue() == 0, "python3 has no jinja2");
    assertEquals(
        Files.readString(file("expected.json")), Files.readString(out, StandardCharsets.UTF_8));
  }
}
