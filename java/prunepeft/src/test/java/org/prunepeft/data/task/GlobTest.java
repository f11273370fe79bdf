package org.prunepeft.data.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.regex.PatternSyntaxException;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.prunepeft.testing.ProcessorTime;
import org.prunepeft.testing.TestSeed;

class GlobTest {
  private final Random random = TestSeed.random();

  /** But for a directory ** that is none. */
  @Test
  void matchesWhatJavasMatcherDoes() {
    int matches = 0;
    int patterns = TestSeed.iterations(50_000);
    for (int i = 0; i < patterns; i++) {
      String pattern = pattern();
      Path path = Path.of(letters("ab-/", 1 + random.nextInt(6)));
      List<PathMatcher> expected;
      try {
        expected =
            withoutDirectories(pattern)
                .map(one -> FileSystems.getDefault().getPathMatcher("glob:" + one))
                .toList();
      } catch (PatternSyntaxException e) {
        continue;
      }
      boolean match = expected.stream().anyMatch(one -> one.matches(path));
      assertEquals(match, new Glob(pattern).matches(path), () -> pattern + " on " + path);
      matches += match ? 1 : 0;
    }
    assertFalse(matches < patterns / 50, "matches: " + matches);
  }

  /** A pattern, and what it is where some directories ** are none. */
  private static Stream<String> withoutDirectories(String pattern) {
    Stream<String> shorter =
        IntStream.range(0, pattern.length())
            .filter(i -> pattern.startsWith("**/", i))
            .filter(i -> i == 0 || pattern.charAt(i - 1) == '/')
            .mapToObj(i -> pattern.substring(0, i) + pattern.substring(i + 3))
            .flatMap(GlobTest::withoutDirectories);
    return Stream.concat(Stream.of(pattern), shorter);
  }

  @Test
  void aDirectoryOfTwoStarsMayBeNone() {
    for (String path : List.of("a.csv", "x/a.csv", "x/y/a.csv")) {
      assertTrue(new Glob("**/a.csv").matches(Path.of(path)), path);
      assertTrue(new Glob("data/**/a.csv").matches(Path.of("data", path)), path);
    }
    assertFalse(new Glob("**/a.csv").matches(Path.of("xa.csv")));
    assertFalse(new Glob("data/**/a.csv").matches(Path.of("dataa.csv")));
    assertFalse(new Glob("data**/a.csv").matches(Path.of("a.csv")));
  }

  private String pattern() {
    StringBuilder pattern = new StringBuilder();
    for (int part = 1 + random.nextInt(5); part > 0; part--) {
      switch (random.nextInt(9)) {
        case 0 -> pattern.append('*');
        case 1 -> pattern.append("**");
        case 2 -> pattern.append('?');
        case 3 -> pattern.append(random.nextBoolean() ? "[a-b]" : "[!b]");
        case 4 -> pattern.append('{').append(letters("ab*", 2)).append(",b}");
        case 5 -> pattern.append("**/");
        case 6 -> pattern.append("\\").append(letters("ab", 1));
        default -> pattern.append(letters("ab-/", 1 + random.nextInt(3)));
      }
    }
    return pattern.toString();
  }

  private String letters(String of, int length) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < length; i++) {
      text.append(of.charAt(random.nextInt(of.length())));
    }
    return text.toString();
  }

  @Test
  void timeGrowsWithTheLengthsAlone() throws Exception {
    Glob glob = new Glob("*a".repeat(2000) + "b");
    Path file = Path.of("a".repeat(200) + ".csv");
    assertFalse(ProcessorTime.atMost(Duration.ofSeconds(20), () -> glob.matches(file)));
  }

  @Test
  void aPatternThatIsNoneIsNamed() {
    for (String pattern : new String[] {"a[b", "{a", "{a,{b}}", "a\\"}) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> new Glob(pattern)).getMessage();
      assertEquals("'" + pattern + "' is no pattern of files: ", message.split("(?<=: )")[0]);
    }
  }
}
