package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The sources of all modules' tests, and what those of the library and the command line read. */
class SourcesTest {
  /** Random numbers that no seed names, and sources that outlive a test. */
  private static final Pattern UNSEEDED =
      Pattern.compile(
          "new (Splittable|Secure)?Random\\(\\s*\\)|new SecureRandom\\(|Math\\.random\\(|ThreadLocalRandom"
              + "|randomUUID\\(|Collections\\.shuffle\\(\\w+\\)|RandomGenerator\\.(getDefault|of)\\("
              + "|torch\\.(rand|randn|randint|randperm|normal|bernoulli)(_like)?\\(|GeneratorOptional\\(\\)"
              + "|getDefaultCPUGenerator|\\.(normal|uniform|bernoulli|random|exponential)_\\(\\s*\\)"
              + "|static (final )?(Random\\s|\\w+ \\w+ = TestSeed)");

  /** The same numbers in every run, which {@link FixedSeed} gives a reason for. */
  private static final Pattern FIXED =
      Pattern.compile(
          "new (Splittable)?Random\\(\\s*(-?[0-9][0-9A-Za-z_]*|(\\w+\\.)*[A-Z][A-Z0-9_]*)\\s*\\)");

  /** Where a class, a method or a field begins that is not within a nested class. */
  private static final Pattern MEMBER = Pattern.compile("(\\r?\\n){2}  (?=\\S)");

  private static final Pattern BODY = Pattern.compile("\\{\\r?\\n");

  private static final String REASON = "@FixedSeed(";

  /**
   * Reads to the end of a file, or for its first byte, whatever it is: a FIFO that lies in a
   * directory from elsewhere would hold a command for ever.
   */
  private static final Pattern READING =
      Pattern.compile(
          "\\b(Files\\.(readString|readAllLines|readAllBytes|lines|newInputStream|newBufferedReader)"
              + "|BoundedFile\\.(read|text|firstLine|beginning)"
              + "|new (FileInputStream|FileReader))"
              + "\\(\\s*+(?!BoundedFile\\.regular\\()");

  /**
   * The classes that may: they read what the user has named, which may be a pipe, what the system
   * has, or what this process has just written.
   */
  private static final Set<String> READERS =
      Set.of(
          "AtomicFile",
          "BoundedFile",
          "ConfigFile",
          "ExampleFile",
          "GzipFile",
          "HostMemory",
          "ProcessIdentity",
          "RunMark",
          "TemplateFiles",
          "Texts");

  /** Maps whose order is another at each start of Java, but for those that are sorted at once. */
  private static final Pattern SALTED =
      Pattern.compile("(?<!new (Tree|Enum)Map<>\\(\\s{0,80})\\bMap\\.(of|ofEntries|copyOf)\\(");

  /** How the declaration of a constant begins, such as of a table that is looked up by its keys. */
  private static final Pattern CONSTANT = Pattern.compile("\\bstatic final [^;{}]*$");

  /** The classes whose maps no order is taken of: they are sorted later, or looked up. */
  private static final Set<String> SORTED_LATER =
      Set.of(
          "AdapterHubFormat",
          "AdapterImport",
          "ClusterPlan",
          "HeadFile",
          "Observation",
          "OnnxEncoder",
          "OnnxModel",
          "OnnxOperations",
          "Pins",
          "RunOrigin",
          "RunResult",
          "SequenceClassifier",
          "Tokenizer",
          "TrainingTime");

  /** Files and what is printed have to be the same, byte for byte. */
  @Test
  void noOrderThatDiffersFromStartToStartIsWritten() throws IOException {
    Path root = Path.of(System.getProperty("basedir", "")).toAbsolutePath().getParent();
    List<String> found = new ArrayList<>();
    Set<String> sortedLater = new TreeSet<>();
    for (String module : List.of("prunepeft", "cli")) {
      try (Stream<Path> files = Files.walk(root.resolve(module).resolve("src/main/java"))) {
        for (Path file : files.filter(SourcesTest::isRead).toList()) {
          String name = file.getFileName().toString().replace(".java", "");
          for (String map : salted(Files.readString(file))) {
            sortedLater.add(name);
            if (!SORTED_LATER.contains(name)) {
              found.add(root.relativize(file) + ": " + map);
            }
          }
        }
      }
    }
    assertEquals(List.of(), found, "make it a LinkedHashMap or a TreeMap");
    assertEquals(SORTED_LATER, sortedLater, "those that have such maps");
  }

  /** The maps of more than one entry whose order is another at each start. */
  private static List<String> salted(String text) {
    return SALTED
        .matcher(text)
        .results()
        .filter(map -> !CONSTANT.matcher(text.substring(0, map.start())).find())
        .filter(map -> map.group().endsWith(".copyOf(") || commas(text, map.end()) > 1)
        .map(MatchResult::group)
        .toList();
  }

  /** Between the arguments of a call. */
  private static int commas(String text, int arguments) {
    int commas = 0;
    int depth = 1;
    boolean literal = false;
    for (int i = arguments; depth > 0; i++) {
      char c = text.charAt(i);
      literal ^= c == '"' && text.charAt(i - 1) != '\\';
      if (!literal) {
        depth += "([{".indexOf(c) >= 0 ? 1 : ")]}".indexOf(c) >= 0 ? -1 : 0;
        commas += depth == 1 && c == ',' ? 1 : 0;
      }
    }
    return commas;
  }

  @Test
  void mapsOfEachFormAreFound() {
    for (String map :
        List.of(
            "Map.of(\"a\", b, \"c\", d)",
            "\n Map.of(\n  a(),\n b, c,\n d)",
            "Map.copyOf(a)",
            "Map.ofEntries(a(1), b(2), c(3))")) {
      assertEquals(1, salted("return " + map + ";").size(), map);
      assertEquals(0, salted("private static final Map<A, B> C =\n    " + map + ";").size(), map);
      assertEquals(0, salted("return new TreeMap<>(\n    " + map + ");").size(), map);
    }
    for (String map : List.of("Map.of()", "Map.of(\"a\", b)", "Map.of(\"a, b, (c\", d(1, 2, 3))")) {
      assertEquals(0, salted("return " + map + ";").size(), map);
    }
  }

  @Test
  void readOfDirectoriesNothingThatMayHaveNoEnd() throws IOException {
    Path root = Path.of(System.getProperty("basedir", "")).toAbsolutePath().getParent();
    List<String> found = new ArrayList<>();
    Set<String> readers = new TreeSet<>();
    for (String module : List.of("prunepeft", "cli")) {
      try (Stream<Path> files = Files.walk(root.resolve(module).resolve("src/main/java"))) {
        for (Path file : files.filter(SourcesTest::isRead).toList()) {
          String name = file.getFileName().toString().replace(".java", "");
          for (MatchResult reading : READING.matcher(Files.readString(file)).results().toList()) {
            readers.add(name);
            if (!READERS.contains(name)) {
              found.add(root.relativize(file) + ": " + reading.group());
            }
          }
        }
      }
    }
    assertEquals(List.of(), found, "wrap it in BoundedFile.regular");
    assertEquals(READERS, readers, "those that read so");
  }

  @Test
  void drawNothingThatNoSeedNames() throws IOException {
    Path root = Path.of(System.getProperty("basedir", "")).toAbsolutePath().getParent().getParent();
    List<String> found = new ArrayList<>();
    int tests = 0;
    for (String module :
        List.of(
            "java/kernels",
            "java/prunepeft",
            "java/cli",
            "java/examples",
            "java/testing",
            "benchmarks")) {
      try (Stream<Path> files = Files.walk(root.resolve(module).resolve("src/test/java"))) {
        for (Path file : files.filter(SourcesTest::isRead).toList()) {
          tests++;
          for (String one : found(Files.readString(file))) {
            found.add(root.relativize(file) + one);
          }
        }
      }
    }
    assertEquals(List.of(), found, "tests draw from TestSeed alone");
    assertTrue(tests > 100, "sources read: " + tests);
  }

  /** All but this one, which has the words. */
  private static boolean isRead(Path file) {
    return file.toString().endsWith(".java") && !file.endsWith("SourcesTest.java");
  }

  /** Line and words of each source of numbers that a test must not have. */
  private static List<String> found(String text) {
    return Stream.concat(
            UNSEEDED.matcher(text).results(),
            FIXED.matcher(text).results().filter(match -> !hasReason(text, match.start())))
        .map(
            match ->
                ":%d: %s"
                    .formatted(
                        1 + text.substring(0, match.start()).chars().filter(c -> c == '\n').count(),
                        match.group()))
        .toList();
  }

  /** Of the class, or of the member of it that has a place. */
  private static boolean hasReason(String text, int place) {
    String before = text.substring(0, place);
    int body = first(BODY, before);
    int member = MEMBER.matcher(before).results().mapToInt(MatchResult::start).max().orElse(body);
    return before.substring(0, body).contains(REASON) || before.substring(member).contains(REASON);
  }

  /** Where it is found; 0: nowhere. */
  private static int first(Pattern pattern, String text) {
    return pattern.matcher(text).results().mapToInt(MatchResult::start).findFirst().orElse(0);
  }

  @Test
  void aFixedNumberNeedsAReason() {
    String drawn = "class A {\n  int b;\n\n  %svoid c() {\n    new Random(%s);\n  }\n}\n";
    assertEquals(List.of(":5: new Random(7)"), found(drawn.formatted("", "7")));
    assertEquals(List.of(":5: new Random(-7L)"), found(drawn.formatted("", "-7L")));
    assertEquals(List.of(":5: new Random(SEED)"), found(drawn.formatted("", "SEED")));
    assertEquals(List.of(":5: new Random(A.SEED_2)"), found(drawn.formatted("", "A.SEED_2")));
    assertEquals(List.of(), found(drawn.formatted("", "TestSeed.draw()")));
    assertEquals(List.of(), found(drawn.formatted("", "seed")));
    assertEquals(List.of(), found(drawn.formatted("@FixedSeed(\"a\") ", "7")));
    assertEquals(List.of(), found("@FixedSeed(\"a\")\n" + drawn.formatted("", "7")));
    String earlier = "class A {\n  @FixedSeed(\"a\")\n  void b() {}\n\n";
    assertEquals(1, found(earlier + "  void c() {\n    new Random(7);\n  }\n}\n").size());
    for (String source :
        List.of(drawn.formatted("", "7"), "class A { int b = f(new Random(7)); }")) {
      assertEquals(1, found(source.replace("\n", "\r\n")).size());
      assertEquals(0, found("@FixedSeed(\"a\")\r\n" + source.replace("\n", "\r\n")).size());
    }
  }
}
