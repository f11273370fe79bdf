package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** {@code java/under-load} has every test that looks at time or memory. */
class UnderLoadTest {
  private static final Path MODULES =
      Path.of(System.getProperty("basedir", "")).toAbsolutePath().getParent();

  /**
   * What looks at threads, memory or time, or waits. Bounds of ten minutes and more, and time-outs
   * of a thousand seconds and more, end what hangs; other work does not reach them.
   */
  private static final Set<String> SIGNS =
      Set.of(
          "/proc/self/task",
          "/proc/self/fd",
          "ResidentSize",
          "ProcessPeak",
          "ProcessorTime",
          "Thread\\.sleep",
          "currentTimeMillis",
          "nanoTime",
          "Duration\\.of(Millis|Seconds)",
          "Duration\\.ofMinutes\\(\\d\\)",
          "(?<=, )(?<!LIMIT\\.toMillis\\(\\), )TimeUnit\\.(MILLISECONDS|SECONDS)",
          "\\d, TimeUnit\\.MINUTES",
          "assertTimeout(Preemptively)?",
          "@Timeout\\(\\d{1,3}\\)");

  /** Tests that the script need not run, and why. */
  private static final Map<String, String> EXCEPTIONS =
      Map.of(
          "UnderLoadTest", "its names of what others look at",
          "HuggingFaceDirectoryTest", "it looks for one file among those that are open");

  /** Test sources by the names of their classes. */
  private static Map<String, String> sources() throws IOException {
    Map<String, String> sources = new TreeMap<>();
    for (String module : new String[] {"testing", "kernels", "prunepeft", "cli", "examples"}) {
      try (Stream<Path> files = Files.walk(MODULES.resolve(module).resolve("src/test/java"))) {
        for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
          sources.put(file.getFileName().toString().replace(".java", ""), Files.readString(file));
        }
      }
    }
    return sources;
  }

  private static Set<String> listed() throws IOException {
    String script = Files.readString(MODULES.resolve("under-load"));
    Matcher list = Pattern.compile("^tests=\\(([^)]*)\\)", Pattern.MULTILINE).matcher(script);
    assertTrue(list.find(), "java/under-load has no list of tests");
    return Set.of(list.group(1).strip().split("\\s+"));
  }

  /** Those that show a sign, or use a class without tests that does. */
  private static Set<String> found(Map<String, String> sources) {
    Set<String> found = new TreeSet<>();
    Set<String> signs = new TreeSet<>(SIGNS);
    for (int before = -1; before < found.size(); ) {
      before = found.size();
      Pattern sign =
          Pattern.compile(signs.stream().collect(Collectors.joining("|", "(?<!\\w)(", ")(?!\\w)")));
      sources.forEach(
          (name, text) -> {
            if (sign.matcher(text).find()) {
              found.add(name);
            }
          });
      found.stream().filter(name -> !name.endsWith("Test")).forEach(signs::add);
    }
    found.removeIf(name -> !name.endsWith("Test"));
    return found;
  }

  @Test
  void everyTestThatLooksAtTimeOrMemoryIsRunUnderLoad() throws IOException {
    Set<String> missing = new TreeSet<>(found(sources()));
    assertTrue(
        missing.containsAll(EXCEPTIONS.keySet()), "of the exceptions some are no longer any");
    missing.removeAll(EXCEPTIONS.keySet());
    assertTrue(missing.size() > 10, missing.toString());
    missing.removeAll(listed());
    assertEquals(Set.of(), missing, "name them in java/under-load");
  }

  /**
   * Native tests with a limit of their own, by the names in {@code set_tests_properties}; what a
   * loop puts there is an x.
   */
  private static Set<String> nativeTestsWithALimit(String cmake) {
    Set<String> names = new TreeSet<>();
    Matcher limits =
        Pattern.compile("set_tests_properties\\(([^()]*?)\\sPROPERTIES\\s[^()]*?\\bTIMEOUT\\s")
            .matcher(cmake);
    int found = 0;
    for (; limits.find(); found++) {
      names.addAll(List.of(limits.group(1).replaceAll("\\$\\{\\w+}", "x").strip().split("\\s+")));
    }
    assertEquals(cmake.split("\\bTIMEOUT\\s", -1).length - 1, found, cmake);
    return names;
  }

  @Test
  void everyNativeTestWithALimitIsRunUnderLoad() throws IOException {
    Matcher list =
        Pattern.compile("^native_tests='([^']*)'", Pattern.MULTILINE)
            .matcher(Files.readString(MODULES.resolve("under-load")));
    assertTrue(list.find(), "java/under-load has no native tests");
    Set<String> names = new TreeSet<>();
    try (Stream<Path> files = Files.walk(MODULES.resolveSibling("native"))) {
      for (Path file : files.filter(f -> f.endsWith("CMakeLists.txt")).toList()) {
        names.addAll(nativeTestsWithALimit(Files.readString(file)));
      }
    }
    assertTrue(names.containsAll(Set.of("x_emulated", "no_case_drawn_repeated")), names.toString());
    names.removeIf(Pattern.compile(list.group(1)).asPredicate());
    assertEquals(Set.of(), names, "native_tests in java/under-load lacks them");
  }

  @Test
  void namesOfLoopsAndSeveralTestsAreFound() {
    assertEquals(
        Set.of("one", "two", "x_three"),
        nativeTestsWithALimit(
            "add_test(NAME one)\nset_tests_properties(one two PROPERTIES COST 1 TIMEOUT 5)\n"
                + "set_tests_properties(four PROPERTIES COST 2)\n"
                + "set_tests_properties(${test}_three PROPERTIES ENVIRONMENT \"A=${b}\"\n TIMEOUT 7)"));
  }

  @Test
  void whatAHelperLooksAtCountsForItsUsers() {
    Map<String, String> sources =
        Map.of(
            "Helper", "Thread.sleep(5)",
            "Other", "new Helper()",
            "UserTest", "Other.of()",
            "FarTest", "AnotherHelper.of()",
            "TaskTest", "Path.of(\"/proc/self/task\")");
    assertEquals(Set.of("TaskTest", "UserTest"), found(sources));
  }

  @Test
  void boundsThatOtherWorkMayReachCountAlone() {
    Map<String, String> sources =
        Map.of(
            "SecondsTest", "process.waitFor(60, TimeUnit.SECONDS)",
            "MinutesTest", "read.get(2, TimeUnit.MINUTES)",
            "DurationTest", "EndedProcess.of(builder, Duration.ofMinutes(2))",
            "TimeoutTest", "@Timeout(300)\nclass",
            "LongMinutesTest", "read.get(10, TimeUnit.MINUTES)",
            "LongDurationTest", "EndedProcess.of(builder, Duration.ofMinutes(10))",
            "LimitTest", "process.waitFor(LIMIT.toMillis(), TimeUnit.MILLISECONDS)",
            "LongTimeoutTest", "@Timeout(3600)\nclass",
            "ClockTest", "TimeUnit.SECONDS.toNanos(10)");
    assertEquals(
        Set.of("SecondsTest", "MinutesTest", "DurationTest", "TimeoutTest"), found(sources));
  }
}
