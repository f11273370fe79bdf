package org.prunepeft.template;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * Chat templates of a directory, rendered here and by Python's jinja2: see java/chat-templates. The
 * property {@code prunepeft.chat-templates} names the directory, {@code prunepeft.report} a file
 * that gets a line for each template.
 */
class GivenTemplatesTest {
  @Test
  @EnabledIfSystemProperty(named = "prunepeft.chat-templates", matches = ".+")
  void textsAreThoseOfJinja(@TempDir Path work) throws IOException, InterruptedException {
    Path out = work.resolve("rendered.json");
    Path errors = work.resolve("errors");
    String directory = System.getProperty("prunepeft.chat-templates");
    assertEquals(0, JinjaTest.python(out, errors, directory), () -> JinjaTest.read(errors));
    JsonNode all = JinjaTest.JSON.readTree(JinjaTest.read(out));
    List<String> report = new ArrayList<>();
    boolean same = true;
    for (Map.Entry<String, JsonNode> file : all.get("files").properties()) {
      List<String> differences = differences(file.getValue(), all.get("conversations"));
      same &= differences.isEmpty();
      report.add(
          "%s %s: %s"
              .formatted(
                  differences.isEmpty() ? "same     " : "DIFFERENT",
                  file.getKey(),
                  counts(file.getValue().get("rendered"))));
      report.addAll(differences);
    }
    Files.write(Path.of(System.getProperty("prunepeft.report")), report);
    assertTrue(!report.isEmpty(), "no *.jinja and no tokenizer_config.json in " + directory);
    assertTrue(same, "some texts differ");
  }

  private static String counts(JsonNode rendered) {
    int refused = 0;
    for (JsonNode one : rendered) {
      refused += one.get("text").isNull() ? 1 : 0;
    }
    return "%d conversations written, %d refused".formatted(rendered.size() - refused, refused);
  }

  private static List<String> differences(JsonNode file, JsonNode conversations) {
    List<String> differences = new ArrayList<>();
    for (Map.Entry<String, JsonNode> one : file.get("rendered").properties()) {
      JsonNode wanted = one.getValue();
      String expected =
          wanted.get("text").isNull()
              ? "refused: " + wanted.get("error").asText()
              : JinjaTest.rendering(wanted).toString();
      String actual;
      try {
        Map<String, Object> variables = JinjaTest.variables(conversations.get(one.getKey()));
        actual =
            Template.parse(file.get("template").asText())
                .render(variables, JinjaTest.NOW)
                .toString();
      } catch (TemplateException e) {
        actual = "refused: " + e.getMessage();
      }
      boolean bothRefuse = wanted.get("text").isNull() && actual.startsWith("refused: ");
      if (!bothRefuse && !actual.equals(expected)) {
        differences.add(
            "  %s%n    jinja2: %s%n    here:   %s"
                .formatted(one.getKey(), quoted(expected), quoted(actual)));
      }
    }
    return differences;
  }

  private static String quoted(String text) {
    return JinjaTest.JSON.valueToTree(text).toString();
  }
}
