package org.prunepeft.testing;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Python's libraries that tests compare with, in the releases that were tried: another may compute
 * something else. With {@code -Dprunepeft.python=any} any release is compared with.
 */
public final class PythonReleases {
  /** By library; a release stands for those whose version goes on from it. */
  private static final Map<String, Set<String>> TRIED =
      Map.of(
          "torch", Set.of("2.6", "2.13"),
          "transformers", Set.of("4.51", "4.55", "4.57", "5.0"),
          "peft", Set.of("0.17", "0.18", "0.20"),
          "adapters", Set.of("1.2"),
          "jinja2", Set.of("3.1.6"));

  private static final String VERSIONS =
      "import sys\nfor name in sys.argv[1:]: print('\\n' + name, __import__(name).__version__)";

  /** Far more than a busy machine takes to import them. */
  private static final Duration LIMIT = Duration.ofMinutes(20);

  private static final Map<List<String>, String> ABSENT = new ConcurrentHashMap<>();

  private PythonReleases() {}

  /**
   * Skips the test, with the reason, where python3 does not import these libraries, or in another
   * release.
   */
  public static void require(String... libraries) {
    String reason = ABSENT.computeIfAbsent(List.of(libraries), PythonReleases::absence);
    assumeTrue(reason.isEmpty(), reason);
  }

  /** Why they cannot be compared with; empty: they can. */
  private static String absence(List<String> libraries) {
    List<String> command = new ArrayList<>(List.of("python3", "-c", VERSIONS));
    command.addAll(libraries);
    try {
      EndedProcess python =
          EndedProcess.of(new ProcessBuilder(command).redirectErrorStream(true), LIMIT);
      if (python.exitValue() != 0) {
        String reason = python.text().strip();
        return "python3 does not import %s: %s"
            .formatted(
                String.join(", ", libraries), reason.substring(reason.lastIndexOf('\n') + 1));
      }
      boolean any = System.getProperty("prunepeft.python", "").equals("any");
      return any ? "" : untried(libraries, python.text());
    } catch (IOException e) {
      return "there is no python3: " + e.getMessage();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Which release was not tried; empty: none.
   *
   * @param said lines with a library and its version, beside what the libraries say
   */
  static String untried(List<String> libraries, String said) {
    for (String library : libraries) {
      List<String> versions =
          said.lines()
              .map(line -> line.split(" "))
              .filter(words -> words.length == 2 && words[0].equals(library))
              .map(words -> words[1] + ".")
              .toList();
      if (versions.isEmpty()) {
        return "%s does not say its release, which -Dprunepeft.python=any takes".formatted(library);
      }
      Set<String> tried = TRIED.get(library);
      for (String version : versions) {
        if (tried.stream().noneMatch(one -> version.startsWith(one + "."))) {
          return "%s %s was not tried, which -Dprunepeft.python=any does"
              .formatted(library, version.substring(0, version.length() - 1));
        }
      }
    }
    return "";
  }
}
