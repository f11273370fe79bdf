package org.prunepeft.testing;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

class TestSeedTest {
  /** What each place of {@link Drawing} drew, and each failure. */
  private static final Map<String, Long> DRAWN = new HashMap<>();

  private static final Map<String, Throwable> FAILURES = new HashMap<>();

  /** What runs a failure again of a build that was given nothing. */
  private static final String PLAIN =
      "mvn -B test -pl java/testing -am -Dtest='TestSeedTest$Failing#having' -Dtests.seed=17"
          + " -Dsurefire.failIfNoSpecifiedTests=false -DskipNativeTests=true";

  /** Draws at every place. */
  static class Drawing {
    private final long field = TestSeed.draw();

    @BeforeAll
    static void all() {
      DRAWN.put("all", TestSeed.draw());
    }

    @BeforeEach
    void each(TestInfo test) {
      DRAWN.put("field of " + test.getDisplayName(), field);
      DRAWN.put("each of " + test.getDisplayName(), TestSeed.draw());
    }

    @Test
    void first(TestInfo test) {
      DRAWN.put(test.getDisplayName(), TestSeed.draw());
      DRAWN.put(test.getDisplayName() + " again", TestSeed.draw());
    }

    @ParameterizedTest
    @ValueSource(ints = {3, 4})
    void second(int parameter, TestInfo test) {
      DRAWN.put(test.getDisplayName(), TestSeed.draw());
    }
  }

  /** Draws the same in each run at one place. */
  static class PartlyFixed {
    @Test
    @FixedSeed("to be seen")
    void fixed(TestInfo test) {
      DRAWN.put(test.getDisplayName(), TestSeed.draw());
    }

    @Test
    void free(TestInfo test) {
      DRAWN.put(test.getDisplayName(), TestSeed.draw());
    }
  }

  /** Draws the same in each run, before its tests too. */
  @FixedSeed("to be seen")
  static class Fixed extends Drawing {
    @Test
    void failing() {
      assertEquals(0, TestSeed.draw());
    }
  }

  /** Has its seed from the class that it is derived from. */
  static class Derived extends Fixed {}

  /** Has classes within. */
  @FixedSeed("to be seen")
  static class Enclosing {
    @Nested
    class Middle {
      @Nested
      class Inner {
        @ParameterizedTest
        @ValueSource(ints = {3, 4})
        void inner(int parameter, TestInfo test) {
          DRAWN.put(test.getDisplayName(), TestSeed.draw());
        }
      }
    }
  }

  /** Draws what its test is given, and before its tests. */
  static class Given {
    @BeforeAll
    static void all() {
      DRAWN.put("all", TestSeed.draw());
    }

    static long[] given() {
      return new long[] {TestSeed.draw()};
    }

    @ParameterizedTest(name = "given")
    @MethodSource
    @FixedSeed("to be seen")
    void given(long given) {
      DRAWN.put("given", given);
      DRAWN.put("drawn", TestSeed.draw());
    }
  }

  /** Fails. */
  static class Failing {
    @Test
    void having() {
      assertEquals(0, TestSeed.draw());
    }

    @Test
    void notHaving() {
      assertEquals(0, 1);
    }
  }

  /** Fails, with a source that one of its tests uses. */
  static class FailingWithASource {
    private final Random source = TestSeed.random();

    @Test
    void using() {
      assertEquals(0, source.nextLong());
    }

    @Test
    void notUsing() {
      assertEquals(0, 1);
    }
  }

  /** Fails before a test has begun. */
  static class FailingInAField {
    private final int field = Integer.parseInt("x" + TestSeed.draw());

    @Test
    void test() {
      assertEquals(0, field);
    }
  }

  private static Map<String, Long> run(String seed, DiscoverySelector selector) {
    DRAWN.clear();
    FAILURES.clear();
    LauncherFactory.create()
        .execute(
            LauncherDiscoveryRequestBuilder.request()
                .selectors(selector)
                .configurationParameter(TestSeed.PROPERTY, seed)
                .build(),
            new TestExecutionListener() {
              @Override
              public void executionFinished(TestIdentifier test, TestExecutionResult result) {
                result.getThrowable().ifPresent(e -> FAILURES.put(test.getDisplayName(), e));
              }
            });
    return new HashMap<>(DRAWN);
  }

  @Test
  void eachPlaceDrawsItsOwnAndTheSameAgain() {
    Map<String, Long> drawn = run("17", selectClass(Drawing.class));
    assertEquals(Map.of(), FAILURES);
    assertEquals(1 + 4 + 2 * 3, drawn.size(), drawn::toString);
    assertEquals(drawn.size(), new HashSet<>(drawn.values()).size(), drawn::toString);
    assertEquals(drawn, run("17", selectClass(Drawing.class)));
    Map<String, Long> others = run("18", selectClass(Drawing.class));
    drawn.forEach((place, value) -> assertNotEquals(value, others.get(place), place));
  }

  @Test
  void aTestAloneDrawsTheSame() {
    Map<String, Long> drawn = run("17", selectClass(Drawing.class));
    Map<String, Long> alone =
        run("17", selectMethod(Drawing.class, "second", "int, org.junit.jupiter.api.TestInfo"));
    assertEquals(1 + 3 * 2, alone.size(), alone::toString);
    alone.forEach((place, value) -> assertEquals(drawn.get(place), value, place));
  }

  @Test
  void aFixedSeedIsThatOfEveryRun() {
    Map<String, Long> drawn = run("17", selectClass(PartlyFixed.class));
    Map<String, Long> others = run("18", selectClass(PartlyFixed.class));
    assertEquals(drawn.get("fixed(TestInfo)"), others.get("fixed(TestInfo)"));
    assertNotEquals(drawn.get("free(TestInfo)"), others.get("free(TestInfo)"));
    drawn = run("17", selectClass(Fixed.class));
    assertEquals("0 suppressed", suppressed("failing()"));
    assertEquals(1 + 4 * 2 + 4, drawn.size(), drawn::toString);
    assertEquals(drawn, run("18", selectClass(Fixed.class)));
  }

  @Test
  void aFixedClassCoversThoseWithinAndThoseDerivedFromIt() {
    Map<String, Long> drawn = run("17", selectClass(Derived.class));
    assertEquals(1 + 4 * 2 + 4, drawn.size(), drawn::toString);
    assertEquals(drawn, run("18", selectClass(Derived.class)));
    drawn = run("17", selectClass(Enclosing.class));
    assertEquals(2, drawn.size(), drawn::toString);
    assertEquals(drawn, run("18", selectClass(Enclosing.class)));
  }

  @Test
  void aFixedMethodDoesNotCoverWhatIsDrawnForItsClass() {
    Map<String, Long> drawn = run("17", selectClass(Given.class));
    Map<String, Long> others = run("18", selectClass(Given.class));
    assertEquals(Map.of(), FAILURES);
    assertEquals(3, drawn.size(), drawn::toString);
    assertNotEquals(drawn.get("all"), others.get("all"));
    assertNotEquals(drawn.get("given"), others.get("given"));
    assertEquals(drawn.get("drawn"), others.get("drawn"));
  }

  private static String suppressed(String test) {
    Throwable[] suppressed = FAILURES.get(test).getSuppressed();
    return suppressed.length == 1 ? suppressed[0].toString() : suppressed.length + " suppressed";
  }

  @Test
  void aFailureNamesTheLineThatRunsItAgain() {
    run("17", selectClass(Failing.class));
    assertEquals(
        "run again: " + SeedExtension.command("TestSeedTest$Failing#having", 17),
        suppressed("having()"));
    assertEquals("0 suppressed", suppressed("notHaving()"));
    run("17", selectClass(FailingWithASource.class));
    assertTrue(suppressed("using()").startsWith("run again: "), suppressed("using()"));
    assertEquals("0 suppressed", suppressed("notUsing()"));
    run("17", selectClass(FailingInAField.class));
    assertTrue(suppressed("test()").startsWith("run again: "), suppressed("test()"));
  }

  private static String command(Map<String, String> environment, String... properties) {
    Properties system = new Properties();
    for (int i = 0; i < properties.length; i += 2) {
      system.setProperty(properties[i], properties[i + 1]);
    }
    return SeedExtension.command(
        "TestSeedTest$Failing#having", "17", GivenSettings.of(environment, system));
  }

  @Test
  void theLineHasWhatTheBuildWasGiven() {
    String[] others = {
      "java.io.tmpdir",
      "/tmp",
      "user.name",
      "a",
      "tests.seed",
      "3",
      "test",
      "Other",
      "surefire.test.class.path",
      "a:b",
      "skipNativeTests",
      "true",
      "maven.repo.local",
      "/r"
    };
    assertEquals(PLAIN, command(Map.of("PATH", "/bin", "OMP_NUM_THREADS", "1"), others));
    assertEquals(
        PLAIN,
        command(
            Map.of(),
            "prunepeft.cuda",
            "OFF",
            "jazzer.hooks",
            "false",
            "prunepeft.emulated-device",
            "false"));
    assertEquals(
        PLAIN + " -Dprunepeft.flips=1000 '-Dprunepeft.kills.only=it'\\''s a $part'",
        command(Map.of(), "prunepeft.kills.only", "it's a $part", "prunepeft.flips", "1000"));
    assertEquals(
        "PRUNEPEFT_TEST_CASES='1 2' PRUNEPEFT_WITHOUT_S= "
            + PLAIN
            + " -Ddevice.stand-in= -Dprunepeft.cuda=ON -Pdevice-tests"
            + " -Dpytorch.platform=linux-x86_64-gpu '-Dsurefire.memory=-Xmx1g -Xms1g'",
        command(
            Map.of("PRUNEPEFT_WITHOUT_S", "", "PRUNEPEFT_TEST_CASES", "1 2", "HOME", "/"),
            "device.stand-in",
            "",
            "prunepeft.cuda",
            "ON",
            "prunepeft.emulated-device",
            "true",
            "pytorch.platform",
            "linux-x86_64-gpu",
            "surefire.memory",
            "-Xmx1g -Xms1g"));
  }

  /** What a test sets in its own process is none of it. */
  @Test
  void theLineHasNothingThatATestHasSet() {
    String before = SeedExtension.command("ATest", 17);
    System.setProperty("prunepeft.of-this-test", "1");
    try {
      assertEquals(before, SeedExtension.command("ATest", 17));
    } finally {
      System.clearProperty("prunepeft.of-this-test");
    }
  }

  @Test
  void aThreadWithoutATestIsRefused() throws InterruptedException {
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    Thread thread =
        new Thread(() -> thrown.set(assertThrows(IllegalStateException.class, TestSeed::draw)));
    thread.start();
    thread.join();
    assertFalse(thrown.get() == null);
  }

  private static String printed(String seed) {
    PrintStream out = System.out;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    System.setOut(new PrintStream(printed, true, UTF_8));
    try {
      run(seed, selectClass(PartlyFixed.class));
      run(seed, selectClass(PartlyFixed.class));
    } finally {
      System.setOut(out);
    }
    return printed.toString(UTF_8);
  }

  @Test
  void aRandomSeedIsPrintedOnce() {
    SeedExtension.SAID.set(false);
    assertEquals("", printed("17"));
    assertEquals(
        "the seed of this virtual machine's tests: -Dtests.seed="
            + TestSeed.parse("random")
            + System.lineSeparator(),
        printed("random"));
  }

  @Test
  void theBuildsSeedIsFixedAndRandomIsNewOnEachRun() {
    assertEquals(1, TestSeed.parse(null));
    assertEquals(23, TestSeed.parse("23"));
    assertNotEquals(1, TestSeed.parse("random"));
    assertEquals(TestSeed.parse("random"), TestSeed.parse("random"));
  }
}
