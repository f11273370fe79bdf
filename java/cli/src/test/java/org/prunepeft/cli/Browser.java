package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A headless Chromium.
 *
 * @param program its path
 * @param temporary where it may write
 */
record Browser(Path program, Path temporary) {
  /** Audits of long tables take minutes on a busy machine; it is there to end what hangs. */
  private static final int SECONDS = 600;

  /** How a line of the console ends that is from Chromium's own pages and extensions. */
  private static final Pattern OWN =
      Pattern.compile(", source: (chrome|chrome-extension|devtools)://\\S* \\(\\d+\\)$");

  /** Opens what is folded, then what is folded in that. */
  private static final String UNFOLD =
      """
      const open = () => document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
      open();
      setTimeout(open, 300);
      """;

  private static final String AUDIT =
      """
      const audit = async () => {
        const found = await axe.run(document, {resultTypes: ["violations"]});
        const lines = document.createElement("pre");
        lines.id = "axe";
        lines.textContent = found.violations.flatMap((rule) => rule.nodes.map((node) => rule.id + ": " + node.target.join(" "))).join("\\n");
        document.body.append(lines);
      };
      setTimeout(audit, 900);
      """;

  /** Skips the test where there is none that draws a file of this directory. */
  static Browser orSkip(Path temporary) throws Exception {
    Path program =
        Stream.of("chromium", "chromium-browser", "google-chrome")
            .map(name -> Path.of("/usr/bin", name))
            .filter(Files::isExecutable)
            .findFirst()
            .orElse(null);
    assumeTrue(program != null, "there is no Chromium");
    Browser browser = new Browser(program, temporary);
    Path page = Files.writeString(temporary.resolve("line.html"), "<p>a line</p>\n");
    // A snap's has a /tmp of its own, and its wrapper may be there without it.
    assumeTrue(
        browser.drawn(page, false).filter(dom -> dom.contains("<p>a line</p>")).isPresent(),
        () ->
            "%s draws no file of %s; java.io.tmpdir can be another directory"
                .formatted(program, temporary));
    return browser;
  }

  /** The page after its scripts; the console may say nothing of it. */
  String dom(Path page) throws Exception {
    String dom = dom(page, false);
    String console = Files.readString(console());
    assertTrue(
        console.lines().filter(line -> line.contains("CONSOLE")).allMatch(OWN.asPredicate()),
        console);
    return dom;
  }

  /** The page after its scripts and one more, which its policy would not allow. */
  String dom(Path page, String script) throws Exception {
    String text = Files.readString(page);
    String more =
        text.replaceFirst("<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "")
            .replace("</body>", "<script>%s</script></body>".formatted(script));
    assertNotEquals(text.length(), more.length());
    return dom(Files.writeString(temporary.resolve("more.html"), more));
  }

  private Path console() {
    return temporary.resolve("console");
  }

  /**
   * What axe-core finds wrong in a page with all that is folded in it, by rule and element; none:
   * nothing.
   *
   * @param dark whether the system prefers dark pages
   */
  List<String> violations(Path page, boolean dark) throws Exception {
    return violations(page, dark, UNFOLD);
  }

  /** The same of a page as it is shown first: minutes sooner where tables have many rows. */
  List<String> violationsShown(Path page, boolean dark) throws Exception {
    return violations(page, dark, "");
  }

  private List<String> violations(Path page, boolean dark, String first) throws Exception {
    String text = Files.readString(page);
    String audited =
        text.replaceFirst("<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "")
            .replace(
                "</body>",
                "<script>%s</script><script>%s%s</script></body>".formatted(axe(), first, AUDIT));
    assertNotEquals(text.length(), audited.length());
    Path copy = Files.writeString(temporary.resolve("audited.html"), audited);
    // The console may have something to say of axe-core.
    String dom = dom(copy, dark);
    Matcher found = Pattern.compile("<pre id=\"axe\">([^<]*)</pre>").matcher(dom);
    assertTrue(found.find(), "axe-core did not end");
    return found.group(1).lines().filter(line -> !line.isBlank()).toList();
  }

  private static String axe() throws IOException {
    Properties artifact = new Properties();
    try (InputStream in =
        Browser.class.getResourceAsStream(
            "/META-INF/maven/org.webjars.npm/axe-core/pom.properties")) {
      artifact.load(in);
    }
    String name =
        "/META-INF/resources/webjars/axe-core/%s/axe.min.js"
            .formatted(artifact.getProperty("version"));
    try (InputStream in = Browser.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private String dom(Path page, boolean dark) throws Exception {
    return drawn(page, dark)
        .orElseThrow(
            () -> new AssertionError("the browser did not end in %d s".formatted(SECONDS)));
  }

  /** The page after its scripts; empty: the browser has not ended in time. */
  private Optional<String> drawn(Path page, boolean dark) throws Exception {
    Path out = temporary.resolve("dom");
    Process process =
        new ProcessBuilder(
                program.toString(),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                // A container's /dev/shm has 64 MB, in which bitmaps of long pages have no room.
                "--disable-dev-shm-usage",
                "--user-data-dir=" + temporary.resolve("browser"),
                "--enable-logging=stderr",
                "--virtual-time-budget=5000",
                "--dump-dom",
                "--blink-settings=preferredColorScheme=" + (dark ? 0 : 1),
                page.toUri().toString())
            .redirectOutput(out.toFile())
            .redirectError(console().toFile())
            .start();
    try {
      return process.waitFor(SECONDS, TimeUnit.SECONDS)
          ? Optional.of(Files.readString(out))
          : Optional.empty();
    } finally {
      process.destroyForcibly();
    }
  }
}
