package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A Chromium without a window, if there is one. */
final class Browser {
  private Browser() {}

  /** A page after its scripts; none of them may have complained. */
  static String dom(Path temporary, Path page) throws Exception {
    Path browser =
        Stream.of("chromium", "chromium-browser", "google-chrome")
            .map(name -> Path.of("/usr/bin", name))
            .filter(Files::isExecutable)
            .findFirst()
            .orElse(null);
    assumeTrue(browser != null, "there is no Chromium");
    Path out = temporary.resolve("dom");
    Path err = temporary.resolve("console");
    Process process =
        new ProcessBuilder(
                browser.toString(),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--user-data-dir=" + temporary.resolve("browser"),
                "--enable-logging=stderr",
                "--virtual-time-budget=5000",
                "--dump-dom",
                page.toUri().toString())
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start();
    try {
      assertTrue(process.waitFor(120, TimeUnit.SECONDS), "the browser did not end");
    } finally {
      process.destroyForcibly();
    }
    String console = Files.readString(err);
    assertFalse(console.contains("CONSOLE"), console);
    return Files.readString(out);
  }
}
