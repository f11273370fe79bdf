package org.prunepeft.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;

/**
 * A report as one HTML file that loads nothing. Its security policy allows the scripts and the
 * style that are in it, by their checksums, and nothing else. What comes from runs is JSON in an
 * element that is no script, and is shown as text.
 */
final class ReportPage {
  private static final String WEBJAR = "/META-INF/resources/webjars/d3/";

  private static final List<String> SCRIPTS =
      List.of(
          "format.js", "table.js", "chart.js", "search.js", "training.js", "study.js", "page.js");

  private ReportPage() {}

  /**
   * {@return the page}
   *
   * @param title in a few words
   * @param plain what it says in Markdown, for who has no scripts
   * @param data what it shows
   * @param refresh seconds after which the page loads itself anew; 0: never
   */
  static String of(String title, String plain, Map<String, Object> data, int refresh) {
    String style = resource("report/page.css");
    String library = d3("dist/d3.min.js");
    String script =
        SCRIPTS.stream()
            .map(name -> resource("report/" + name))
            .collect(Collectors.joining("\n", "\"use strict\";\n", ""));
    return fill(
        resource("report/page.html"),
        "policy",
        "default-src 'none'; script-src %s %s; style-src %s; base-uri 'none'; form-action 'none'"
            .formatted(checksum(library), checksum(script), checksum(style)),
        "refresh",
        refresh == 0 ? "" : "<meta http-equiv=\"refresh\" content=\"%d\">\n".formatted(refresh),
        "title",
        escaped(title),
        "style",
        style,
        "plain",
        escaped(plain),
        "data",
        json(data),
        "licence",
        d3("LICENSE").strip(),
        "library",
        library,
        "script",
        script);
  }

  /** JSON that can stand in an element of a page: no element can begin or end in it. */
  static String json(Object data) {
    try {
      return new JsonMapper().writeValueAsString(data).replace("<", "\\u003c");
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\"", "&quot;");
  }

  /** The template's names in their order, each with what takes its place. */
  private static String fill(String template, String... values) {
    StringBuilder page = new StringBuilder();
    int from = 0;
    for (int i = 0; i < values.length; i += 2) {
      String name = "{{" + values[i] + "}}";
      int at = template.indexOf(name, from);
      page.append(template, from, at).append(values[i + 1]);
      from = at + name.length();
    }
    return page.append(template, from, template.length()).toString();
  }

  private static String checksum(String script) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(script.getBytes(StandardCharsets.UTF_8));
      return "'sha256-" + Base64.getEncoder().encodeToString(digest) + "'";
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String d3(String file) {
    Properties artifact = new Properties();
    try (InputStream in =
        ReportPage.class.getResourceAsStream("/META-INF/maven/org.webjars.npm/d3/pom.properties")) {
      artifact.load(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return resource(WEBJAR + artifact.getProperty("version") + "/" + file);
  }

  private static String resource(String name) {
    try (InputStream in = ReportPage.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
