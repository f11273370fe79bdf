package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A headless Chromium.
 *
 * @param program its path
 * @param temporary where it may write
 */
record Browser(Path program, Path temporary) {
  /** Skips the test where there is none. */
  static Browser orSkip(Path temporary) {
    Path program =
        Stream.of("chromium", "chromium-browser", "google-chrome")
            .map(name -> Path.of("/usr/bin", name))
            .filter(Files::isExecutable)
            .findFirst()
            .orElse(null);
    assumeTrue(program != null, "there is no Chromium");
    return new Browser(program, temporary);
  }

  /** The page after its scripts; none of them may have complained. */
  String dom(Path page) throws Exception {
    Path out = temporary.resolve("dom");
    Path err = temporary.resolve("console");
    Process process =
        new ProcessBuilder(
                program.toString(),
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
