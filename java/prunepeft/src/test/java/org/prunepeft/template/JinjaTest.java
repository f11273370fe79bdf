package org.prunepeft.template;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
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
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.template.Rendering.Range;
import org.prunepeft.testing.PythonReleases;

/** Texts and ranges are those that Python's jinja2 makes of the same: see jinja.py. */
class JinjaTest {
  static final ObjectMapper JSON = new ObjectMapper();
  static final LocalDateTime NOW = LocalDateTime.of(2026, 3, 7, 9, 5, 3);

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

  static Map<String, Object> variables(JsonNode node) {
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
      assertTrue(e.getMessage().matches("(?s)template line [1-9]\\d*: .+"), e.getMessage());
      return;
    }
    assertEquals(rendering(expected), Template.parse(template).render(variables, NOW));
  }

  /** What jinja.py wrote. */
  static Rendering rendering(JsonNode written) {
    List<Range> ranges = new ArrayList<>();
    for (JsonNode range : written.get("generated")) {
      ranges.add(new Range(range.get(0).asInt(), range.get(1).asInt()));
    }
    return new Rendering(written.get("text").asText(), ranges);
  }

  /** What is expected is what jinja2 gives, where a release is installed that was tried. */
  @Test
  void expectationsAreThoseOfJinja(@TempDir Path directory)
      throws IOException, InterruptedException {
    PythonReleases.require("jinja2");
    Path out = directory.resolve("expected.json");
    Path errors = directory.resolve("errors");
    assertEquals(0, python(out, errors), () -> read(errors));
    assertEquals(read(file("expected.json")), read(out));
  }

  /** Runs jinja.py; its exit status. */
  static int python(Path out, Path errors, String... arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("python3", file("jinja.py").toString()));
    command.addAll(List.of(arguments));
    Process python =
        new ProcessBuilder(command)
            .redirectOutput(out.toFile())
            .redirectError(errors.toFile())
            .start();
    assertTrue(python.waitFor(10, TimeUnit.MINUTES));
    return python.exitValue();
  }

  static String read(Path path) {
    try {
      return Files.readString(path);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
