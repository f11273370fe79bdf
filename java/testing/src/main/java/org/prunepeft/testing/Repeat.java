package org.prunepeft.testing;

import static org.junit.platform.commons.support.AnnotationSupport.isAnnotated;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClasspathRoots;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectUniqueId;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TagFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs each random test of a module again and again in this JVM, with a new seed each time; the
 * script {@code java/repeat-random-tests} starts it. Which tests are random shows in their first
 * run: those that draw from {@link TestSeed}, or whose class does before all of its tests. Quick
 * tests come first: each has a second, then those that are not done four, and so on.
 *
 * <p>The first run of a parameterized test makes all of its invocations, each later one the next of
 * them: a repetition is one case of the test with one seed.
 *
 * <p>Methods and classes with {@link FixedSeed} are left out.
 *
 * <p>Each run is a line of the log: {@code suite}, {@code Class#method}, seed, {@code ok}, {@code
 * FAILED}, {@code skipped}, {@code fixed} (it is not random) or {@code none} (it has fewer cases
 * with this seed), milliseconds with its share of what its class does around its tests, for a
 * failure what runs it again, and of a test that compares by {@link Rounding} which error came
 * nearest to its limit, as a part of it, with tabs between. What the log has already counts, and
 * what is fixed is not run again. A run that was skipped does not count; after {@value #SKIPS} in a
 * row, and one more for each of its cases, a test is left out in this JVM. Failures' stack traces
 * go to the log's name with {@code .failures} behind it.
 *
 * <p>The tests of a class run together, with one seed, and the lines of all are written when the
 * last one has ended. Each has a line {@code begun} before it begins, with seconds since 1970 in
 * the place of milliseconds: a seed of which there are such lines alone is one with which the last
 * of these tests did not end. What runs it again is made of a line {@code line} of the suite, with
 * {@value #TEST} and {@value #SEED} in the places of the test's name and its seed.
 *
 * <p>The process ends with {@value #NO_TEST} if there is no test of such a name.
 */
public final class Repeat {
  /** What the process returns that has no random test of the name that was asked for. */
  static final int NO_TEST = 2;

  /** A test that is skipped so often in a row is left out. */
  static final int SKIPS = 20;

  private static final String TEST = "@TEST@";
  private static final String SEED = "@SEED@";
  private static final double FIRST_SECONDS = 1;

  private final Path log;
  private final String suite;
  private final int times;
  private final Launcher launcher = LauncherFactory.create();
  private final SecureRandom seeds = new SecureRandom();
  private final Map<String, Integer> done = new HashMap<>();

  /** How often each was skipped since it last ran. */
  private final Map<String, Integer> skipped = new HashMap<>();

  /** How often each ran or was skipped. */
  private final Map<String, Integer> tried = new HashMap<>();

  /** Nanoseconds of each test in this JVM, with its share of what its class does before them. */
  private final Map<String, Long> spent = new HashMap<>();

  /** Tests that draw nothing, or can't run here. */
  private final Set<String> fixed = new HashSet<>();

  /** How many invocations the parameterized methods have, by their unique ids. */
  private final Map<String, Integer> invocations = new HashMap<>();

  private long collected = System.nanoTime();

  private Repeat(Path log, String suite, int times) throws IOException {
    this.log = log;
    this.suite = suite;
    this.times = times;
    if (Files.exists(log)) {
      for (String line : Files.readAllLines(log)) {
        String[] fields = line.split("\t");
        if (fields.length < 5 || !fields[0].equals(suite)) {
          continue;
        }
        String name = fields[1];
        switch (fields[3]) {
          case "fixed" -> fixed.add(name);
          case "skipped" -> tried.merge(name, 1, Integer::sum);
          case "ok", "FAILED" -> ran(name);
          default -> {
            // No run.
          }
        }
      }
    }
  }

  /**
   * Options: {@code log}, {@code suite}, {@code classes} (a folder), {@code times}, {@code seconds}
   * (a test's share), {@code only} (a pattern found in Class#method), {@code tags} and {@code
   * without} (JUnit's), {@code share} and {@code shares} (which classes, counted).
   *
   * @param args each as name=value
   * @throws IOException if the log can't be read or written
   */
  public static void main(String[] args) throws IOException {
    TestSeed.repeated = true;
    Map<String, String> options = new HashMap<>();
    for (String arg : args) {
      int at = arg.indexOf('=');
      options.put(arg.substring(0, at), arg.substring(at + 1));
    }
    Repeat repeat =
        new Repeat(
            Path.of(options.get("log")),
            options.get("suite"),
            Integer.parseInt(options.getOrDefault("times", "1000")));
    LauncherDiscoveryRequestBuilder request =
        LauncherDiscoveryRequestBuilder.request()
            .selectors(selectClasspathRoots(Set.of(Path.of(options.get("classes")))));
    if (options.containsKey("tags")) {
      request.filters(TagFilter.includeTags(options.get("tags")));
    }
    if (options.containsKey("without")) {
      request.filters(TagFilter.excludeTags(options.get("without")));
    }
    String line = SeedExtension.command(TEST, SEED, SeedExtension.GIVEN);
    append(repeat.log, String.join("\t", repeat.suite, "", "", "line", "0", line) + "\n");
    Pattern only = Pattern.compile(options.getOrDefault("only", ""));
    int share = Integer.parseInt(options.getOrDefault("share", "0"));
    int shares = Integer.parseInt(options.getOrDefault("shares", "1"));
    List<Map<String, String>> classes = new ArrayList<>();
    int index = 0;
    var all = repeat.classes(request.build(), only).values();
    if (all.isEmpty()) {
      System.exit(NO_TEST);
    }
    for (var methods : all) {
      if (index++ % shares == share) {
        classes.add(methods);
      }
    }
    double most = Double.parseDouble(options.getOrDefault("seconds", "1e6"));
    double seconds = 0;
    while (seconds < most && !classes.isEmpty()) {
      seconds = Math.min(most, seconds == 0 ? FIRST_SECONDS : 4 * seconds);
      for (var methods : classes) {
        repeat.repeat(methods, (long) (1e9 * seconds));
      }
      classes.removeIf(methods -> methods.values().stream().allMatch(repeat::isDone));
    }
    System.exit(0);
  }

  /** Unique ids of the methods of each class, with their names. */
  private Map<String, Map<String, String>> classes(LauncherDiscoveryRequest request, Pattern only) {
    Map<String, Map<String, String>> classes = new TreeMap<>();
    var plan = launcher.discover(request);
    for (TestIdentifier root : plan.getRoots()) {
      for (TestIdentifier test : plan.getDescendants(root)) {
        if (test.getSource().orElse(null) instanceof MethodSource source) {
          String type = source.getClassName();
          String name = type.substring(type.lastIndexOf('.') + 1) + "#" + source.getMethodName();
          if (only.matcher(name).find() && !isFixed(source)) {
            classes.computeIfAbsent(type, t -> new LinkedHashMap<>()).put(test.getUniqueId(), name);
          }
        }
      }
    }
    return classes;
  }

  private static boolean isFixed(MethodSource source) {
    return isAnnotated(source.getJavaMethod(), FixedSeed.class) || isFixed(source.getJavaClass());
  }

  /** Whether all of a class, or of one around it, draws the same whatever the seed. */
  private static boolean isFixed(Class<?> type) {
    return type != null
        && (isAnnotated(type, FixedSeed.class) || isFixed(type.getEnclosingClass()));
  }

  /** What happened to a test with one seed. */
  private static final class Outcome {
    long nanoseconds;

    /** A test, or an invocation of it, began. */
    boolean began;

    /** It came to its end. */
    boolean ran;

    Throwable failure;
  }

  private void ran(String name) {
    skipped.remove(name);
    tried.merge(name, 1, Integer::sum);
    done.merge(name, 1, Integer::sum);
  }

  /** Each of a test's cases may be one that is always skipped. */
  private void skip(String name, int cases) {
    tried.merge(name, 1, Integer::sum);
    if (skipped.merge(name, 1, Integer::sum) >= SKIPS + cases) {
      fixed.add(name);
    }
  }

  private boolean isDone(String name) {
    return fixed.contains(name) || done.getOrDefault(name, 0) >= times;
  }

  /** Until each test has run often enough, or has had so many nanoseconds. */
  private void repeat(Map<String, String> methods, long budget) throws IOException {
    Map<String, String> left = new LinkedHashMap<>(methods);
    while (true) {
      left.values().removeIf(name -> isDone(name) || spent.getOrDefault(name, 0L) >= budget);
      if (left.isEmpty()) {
        return;
      }
      if (System.nanoTime() - collected > 4_000_000_000L) {
        // LibTorch's memory that nothing refers to is freed when the collector finds that out.
        System.gc();
        collected = System.nanoTime();
      }
      long seed = seeds.nextLong() >>> 16;
      SeedExtension.DREW.clear();
      SeedExtension.NEAREST.clear();
      long start = System.nanoTime();
      Map<String, String> selected = new LinkedHashMap<>();
      left.forEach((id, name) -> selected.put(id, next(id, name)));
      Map<String, Outcome> outcomes = run(selected, left, seed);
      long around = System.nanoTime() - start;
      for (Outcome outcome : outcomes.values()) {
        around -= outcome.nanoseconds;
      }
      StringBuilder lines = new StringBuilder();
      for (var method : left.entrySet()) {
        Outcome outcome = outcomes.get(method.getKey());
        long nanoseconds = outcome.nanoseconds + around / outcomes.size();
        String name = method.getValue();
        if (!outcome.began
            && outcome.failure == null
            && !selected.get(method.getKey()).equals(method.getKey())) {
          // Other numbers gave it fewer cases.
          invocations.merge(method.getKey(), -1, Integer::sum);
          lines.append(String.join("\t", suite, name, Long.toString(seed), "none", "0\n"));
          continue;
        }
        boolean random = done.containsKey(name) || drew(method.getKey());
        String state = outcome.ran ? random ? "ok" : "fixed" : "skipped";
        if (outcome.failure != null) {
          state = "FAILED";
          report(name, seed, outcome.failure);
        }
        lines.append(
            String.join(
                "\t",
                suite,
                name,
                Long.toString(seed),
                state,
                Long.toString(nanoseconds / 1_000_000)));
        lines.append("\t").append(outcome.failure == null ? "" : SeedExtension.command(name, seed));
        lines.append(nearest(method.getKey())).append("\n");
        spent.merge(name, nanoseconds, Long::sum);
        if (outcome.ran) {
          ran(name);
        } else {
          skip(name, invocations.getOrDefault(method.getKey(), 0));
          if (selected.get(method.getKey()).equals(method.getKey())) {
            // Which of its cases draw shows in the first run of all.
            invocations.remove(method.getKey());
          }
        }
        if (!random && (outcome.ran || !outcome.began)) {
          fixed.add(name);
        }
      }
      append(log, lines.toString());
    }
  }

  /** What is run of a method next: its unique id, or that of one of its invocations. */
  private String next(String id, String name) {
    int cases = invocations.getOrDefault(id, 0);
    if (cases > 1) {
      return id + "/[test-template-invocation:#" + (1 + tried.getOrDefault(name, 0) % cases) + "]";
    }
    // All of them are run, and counted.
    invocations.remove(id);
    return id;
  }

  /** Of a method's invocations: which error came nearest to its limit, as the log has it. */
  private static String nearest(String id) {
    return SeedExtension.NEAREST.entrySet().stream()
        .filter(entry -> entry.getKey().startsWith(id))
        .map(Map.Entry::getValue)
        .max(Map.Entry.comparingByKey())
        .map(
            nearest ->
                String.format(
                    Locale.ROOT,
                    "\t%.3g\t%s",
                    // A number to the script that reads it.
                    Double.isFinite(nearest.getKey()) ? nearest.getKey() : 1e308,
                    nearest.getValue().replaceAll("\\s", " ")))
        .orElse("");
  }

  private static boolean drew(String id) {
    String type = id.substring(0, id.lastIndexOf("/["));
    return SeedExtension.DREW.stream().anyMatch(d -> d.startsWith(id) || d.equals(type));
  }

  /** Outcomes of methods, of each of which what is selected runs; with their names. */
  private Map<String, Outcome> run(
      Map<String, String> selected, Map<String, String> names, long seed) throws IOException {
    Map<String, Outcome> outcomes = new LinkedHashMap<>();
    // Of a class that does not come to its first test.
    String first = selected.keySet().iterator().next();
    begun(names.get(first), seed);
    selected.keySet().forEach(id -> outcomes.put(id, new Outcome()));
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request()
            .selectors(selected.values().stream().map(id -> selectUniqueId(id)).toList())
            .configurationParameter(TestSeed.PROPERTY, Long.toString(seed))
            .build();
    launcher.execute(
        request,
        new TestExecutionListener() {
          private final Map<String, Long> starts = new HashMap<>();

          private List<Outcome> of(TestIdentifier test) {
            List<Outcome> own = new ArrayList<>();
            String id = test.getUniqueId();
            outcomes.forEach(
                (method, outcome) -> {
                  // An invocation of the method, the method, or the class of all.
                  if (id.equals(method) || id.startsWith(method + "/") || method.startsWith(id)) {
                    own.add(outcome);
                  }
                });
            return own;
          }

          private String last = first;

          private void begin(String id) {
            for (String method : selected.keySet()) {
              if ((id.equals(method) || id.startsWith(method + "/")) && !method.equals(last)) {
                last = method;
                try {
                  begun(names.get(method), seed);
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              }
            }
          }

          @Override
          public void executionStarted(TestIdentifier test) {
            begin(test.getUniqueId());
            starts.put(test.getUniqueId(), System.nanoTime());
            if (test.isTest()) {
              of(test).forEach(outcome -> outcome.began = true);
              test.getParentId()
                  .filter(id -> id.contains("[test-template:") && id.equals(selected.get(id)))
                  .ifPresent(id -> invocations.merge(id, 1, Integer::sum));
            }
          }

          @Override
          public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            for (Outcome outcome : of(test)) {
              if (result.getStatus() == TestExecutionResult.Status.FAILED
                  && outcome.failure == null) {
                outcome.failure = result.getThrowable().orElseGet(AssertionError::new);
                outcome.ran = true;
              }
              if (test.isTest()) {
                outcome.nanoseconds += System.nanoTime() - starts.get(test.getUniqueId());
                outcome.ran |= result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
              }
            }
          }
        });
    return outcomes;
  }

  /** It is on disk when the test runs. */
  private void begun(String name, long seed) throws IOException {
    String now = Long.toString(System.currentTimeMillis() / 1000);
    append(log, String.join("\t", suite, name, Long.toString(seed), "begun", now) + "\n");
  }

  private void report(String name, long seed, Throwable failure) throws IOException {
    StringWriter text = new StringWriter();
    failure.printStackTrace(new PrintWriter(text, true));
    append(
        log.resolveSibling(log.getFileName() + ".failures"),
        "%s %s, seed %d%n%s%n".formatted(suite, name, seed, text));
  }

  private static void append(Path file, String text) throws IOException {
    Files.writeString(file, text, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
  }
}
