package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.testing.EndedProcess;

/** Scripts that look at the build, as far as they need none. */
@Timeout(3600)
class ScriptsTest {
  private static final Path ROOT = Path.of("../..").toAbsolutePath().normalize();
  private static final Path JAVA = Path.of(System.getProperty("java.home"));

  @TempDir private Path temporary;

  /** What a script that has ended said on both streams. */
  private record Said(int exit, String text) {
    void exits(int expected, String... parts) {
      assertEquals(expected, exit, text);
      for (String part : parts) {
        assertTrue(text.contains(part), () -> "'" + part + "' is not in: " + text);
      }
    }
  }

  private ProcessBuilder script(String... words) {
    String[] command = words.clone();
    command[0] = ROOT.resolve(words[0]).toString();
    ProcessBuilder builder = new ProcessBuilder(command).directory(temporary.toFile());
    builder.environment().put("JAVA_HOME", JAVA.toString());
    return builder.redirectErrorStream(true);
  }

  private static Said said(ProcessBuilder builder) throws Exception {
    Process process = builder.start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Said(process.waitFor(), text);
  }

  private Path archive(String name, Map<String, String> files) throws IOException {
    Path archive = temporary.resolve(name);
    Files.createDirectories(archive.getParent());
    try (OutputStream file = Files.newOutputStream(archive);
        JarOutputStream jar = new JarOutputStream(file)) {
      for (Map.Entry<String, String> entry : files.entrySet()) {
        jar.putNextEntry(new JarEntry(entry.getKey()));
        jar.write(entry.getValue().getBytes(StandardCharsets.UTF_8));
        jar.closeEntry();
      }
    }
    return archive;
  }

  @Test
  void licencesNamesTheArchivesThatLackOne() throws Exception {
    String licence = Files.readString(ROOT.resolve("LICENSE"));
    String notice = Files.readString(ROOT.resolve("NOTICE"));
    String more = "of another\n" + notice;
    archive("whole/a/target/a.jar", Map.of("META-INF/LICENSE", licence, "META-INF/NOTICE", notice));
    archive("whole/b/target/b.jar", Map.of("META-INF/LICENSE", licence, "META-INF/NOTICE", more));
    said(script("java/licences", "whole")).exits(0, "2 archives, 4 of 4 files there");

    String shortened = licence.substring(0, licence.stripTrailing().lastIndexOf('\n') + 1);
    Path lacking = archive("lacking/c/target/c.jar", Map.of("META-INF/LICENSE", shortened));
    said(script("java/licences", temporary.resolve("lacking").toString()))
        .exits(
            1,
            lacking + " lacks META-INF/LICENSE",
            lacking + " lacks META-INF/NOTICE",
            "1 archives, 0 of 2 files there");
    Path empty = archive("empty/d/target/d.jar", Map.of("META-INF/LICENSE", ""));
    said(script("java/licences", "empty")).exits(1, empty + " lacks META-INF/LICENSE");

    Path broken = temporary.resolve("broken/e/target/e.jar");
    Files.createDirectories(broken.getParent());
    Files.writeString(broken, "no archive");
    said(script("java/licences", "broken")).exits(2, broken + " can't be read");
    Files.delete(broken);
    said(script("java/licences", "broken")).exits(2, "no archive in a target folder below");
    said(script("java/licences", "absent")).exits(2, "there is no directory absent");
    ProcessBuilder withoutJdk = script("java/licences", "whole");
    withoutJdk.environment().put("JAVA_HOME", temporary.toString());
    said(withoutJdk).exits(2, "there is no " + temporary.resolve("bin/jar"));
  }

  @Test
  void underLoadKnowsItsTests() throws Exception {
    said(script("java/under-load", "--java", "--only", "ScriptsTest,NoSuchTest#one", "1"))
        .exits(2, "there is no test NoSuchTest");
  }

  @Test
  void repeatedTestsNeedAPartOfTheirCases() throws Exception {
    for (String cases : List.of("0", "-0.5", "1.01", "5%", "", "nan", "1e-400")) {
      said(script("java/repeat-random-tests", "--no-build", "--cases", cases))
          .exits(2, "--cases must be above 0 and at most 1, got " + cases);
    }
    String log = temporary.resolve("log").toString();
    for (String cases : List.of("1", "0.05", "1e-3", ".5")) {
      Said said =
          said(
              script(
                  "java/repeat-random-tests",
                  "--no-build",
                  "--cases",
                  cases,
                  "--suites",
                  "none",
                  "--log",
                  log));
      said.exits(2);
      assertFalse(said.text.contains("--cases must"), said.text);
    }
  }

  @Test
  void defaultsEndWithAFailureWhereATrainingFails() throws Exception {
    assumeTrue(said(new ProcessBuilder("sh", "-c", "command -v python3")).exit == 0, "no python3");
    Path program = temporary.resolve("program");
    Files.writeString(
        program,
        """
        #!/bin/bash
        for word; do [ "$word" = "$FAILING" ] && { echo "no memory" >&2; exit 1; }; done
        out=${*: -1}
        mkdir -p "$out"
        echo '{"test": {"accuracy": 0.5}, "head_alone_test": {"accuracy": 0.25}, "best_epoch": 1}' >"$out/result.json"
        """);
    assertTrue(program.toFile().setExecutable(true));
    for (String failing : List.of("none", "lora")) {
      ProcessBuilder builder = script("benchmarks/defaults", "defaults-" + failing);
      builder.environment().put("PRUNEPEFT", program.toString());
      builder.environment().put("FAILING", failing);
      builder.environment().put("SIZES", "200");
      boolean fails = failing.equals("lora");
      said(builder)
          .exits(
              fails ? 1 : 0,
              "| wordnet-200-supernet | accuracy | 50.0 | 25.0 | +25.0 | 1 |",
              "0 below the head alone, %d failed".formatted(fails ? 2 : 0));
    }
  }

  @Test
  void aTaskThatDiffersByTheSameWithAllSeedsIsLeftOutOfTheQualityStudysMeans() throws Exception {
    assumeTrue(said(new ProcessBuilder("sh", "-c", "command -v python3")).exit == 0, "no python3");
    String program =
        """
        import importlib.machinery, importlib.util, sys
        loader = importlib.machinery.SourceFileLoader("quality", sys.argv[1])
        quality = importlib.util.module_from_spec(importlib.util.spec_from_loader("quality", loader))
        loader.exec_module(quality)
        print(quality.pooled([[5, 5, 5], [1, 3]]), quality.pooled([[0, 0], [1, 3]]))
        print(quality.pooled([[0, 0, 0, 0], [1, 3]]), quality.pooled([[5, 5]]))
        print(quality.interval([0.1 + 0.2, 0.3]), quality.interval([1, 3]))
        class Study:
            def __init__(self, differences): self.known = differences
            def results(self): return {("first", "0.25"): {}}
            def differences(self, row, other): return self.known
        for line in quality.standing_table([Study([5, 5]), Study([4, 5])]): print(line)
        """;
    ProcessBuilder builder =
        new ProcessBuilder(
                "python3",
                "-B",
                "-W",
                "ignore",
                "-c",
                program,
                ROOT.resolve("benchmarks/quality").toString())
            .redirectErrorStream(true);
    said(builder)
        .exits(
            0,
            "('+2.00 ± 12.71', 1) ('+2.00 ± 12.71', 1)\n",
            "('+1.00 ± 6.35', 2) ('+5.00', 1)\n+0.30 +2.00 ± 12.71\n",
            "| 0, 0 of 1 |");
  }

  @Test
  void noVirtualMachineOutlivesTheSearchForFiles() throws Exception {
    for (String jobs : List.of("0", "-1", "two")) {
      said(script("java/fuzz", "--no-build", "--seed", "1", "--jobs", jobs))
          .exits(2, "--jobs must be at least 1, got " + jobs);
    }
    Path started = temporary.resolve("started");
    Path java = temporary.resolve("java");
    Files.writeString(
        java,
        "#!/bin/sh\necho $$ >>'%1$s'\nwhile [ -e '%1$s' ]; do sleep 0.1; done\n"
            .formatted(started));
    assertTrue(java.toFile().setExecutable(true));
    ProcessBuilder builder =
        script("java/fuzz", "--no-build", "--seed", "1", "--jobs", "2")
            .redirectOutput(ProcessBuilder.Redirect.DISCARD);
    builder.environment().merge("PATH", temporary.toString(), (path, own) -> own + ":" + path);
    Process process = builder.start();
    while (!Files.exists(started) || Files.readAllLines(started).size() < 2) {
      assertTrue(process.isAlive());
      Thread.sleep(5);
    }
    List<ProcessHandle> machines =
        Files.readAllLines(started).stream()
            .flatMap(pid -> ProcessHandle.of(Long.parseLong(pid)).stream())
            .toList();
    assertEquals(2, machines.size());
    process.destroy();
    process.waitFor();
    machines.forEach(machine -> assertFalse(EndedProcess.goesOn(machine)));
    assertNotEquals(0, process.exitValue());
  }

  @Test
  void whatIsPrintedIsInUtf8WhateverTheLocale() throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(
                Child.command(
                    List.of(), System.getProperty("java.class.path"), List.of("train", "--help")))
            .redirectErrorStream(true);
    builder.environment().put("LC_ALL", "C");
    said(builder).exits(0, "alpha / √r");
  }
}
