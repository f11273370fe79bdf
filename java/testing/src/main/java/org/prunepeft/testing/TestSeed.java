package org.prunepeft.testing;

import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;

/**
 * Where tests have all their random numbers from. They follow from the seed of the run ({@code
 * tests.seed}), from the test's class, method and invocation, and from how many sources the test
 * has asked for before; so a test that runs alone, or in another order, draws the same. Those of a
 * test with {@link FixedSeed} do not follow from the run's seed.
 */
public final class TestSeed {
  /** A number, or {@code random} for a new one. */
  public static final String PROPERTY = "tests.seed";

  /** The value for a new one. */
  static final String RANDOM = "random";

  private static final long DEFAULT = 1;
  private static final long FRESH = new SecureRandom().nextLong() >>> 16;
  private static final ThreadLocal<TestSeed> CURRENT = new ThreadLocal<>();

  /** Whether {@link Repeat} runs the tests of this JVM. */
  static volatile boolean repeated;

  private final long seed;
  private final boolean fixed;
  private final TestSeed enclosing;
  private int drawn;

  /** The largest error, as a part of its limit, and what it is the error of. */
  private double nearest = -1;

  private String nearestIs;

  /** Other threads use what a test gives them. */
  private volatile boolean used;

  private TestSeed(long seed, boolean fixed, TestSeed enclosing) {
    this.seed = seed;
    this.fixed = fixed;
    this.enclosing = enclosing;
  }

  /** A source that says when it is used, so that a test is not random for a field that it has. */
  private static final class Source extends Random {
    private static final long serialVersionUID = 1;

    private final transient TestSeed test;

    Source(long seed, TestSeed test) {
      super(seed);
      this.test = test;
    }

    @Override
    protected int next(int bits) {
      if (!test.used) {
        test.used = true;
      }
      return super.next(bits);
    }
  }

  /**
   * A new source for the test that runs, or for its class in what runs before all of its tests.
   *
   * @throws IllegalStateException on a thread that runs no test: other threads take a source, or a
   *     seed, from the test's own thread
   */
  public static Random random() {
    TestSeed current = current();
    return new Source(current.next(), current);
  }

  /**
   * A seed, as {@link #random()} draws it.
   *
   * @throws IllegalStateException as there
   */
  public static long draw() {
    TestSeed current = current();
    current.used = true;
    return current.next();
  }

  /**
   * How often a test that checks many drawn cases in a loop does so: {@code ordinarily}, or a
   * twentieth of it where {@code java/repeat-random-tests} runs the test itself many times. The
   * cases of the same seed begin alike.
   */
  public static int iterations(int ordinarily) {
    return repeated ? Math.max(1, ordinarily / 20) : ordinarily;
  }

  /**
   * An error that a test has compared with its limit, as a part of it. On a thread that runs no
   * test it is not noted.
   */
  static void nearTo(double part, String what) {
    TestSeed current = CURRENT.get();
    // Of what is no number the first stays: it is no error within any limit.
    if (current != null
        && (part > current.nearest || Double.isNaN(part) && !Double.isNaN(current.nearest))) {
      current.nearest = part;
      current.nearestIs = what;
    }
  }

  /** {@link #nearTo}'s largest part since {@link #enter}, and what it is of. */
  static Optional<Map.Entry<Double, String>> nearest() {
    TestSeed current = CURRENT.get();
    return current.nearestIs == null
        ? Optional.empty()
        : Optional.of(Map.entry(current.nearest, current.nearestIs));
  }

  private static TestSeed current() {
    TestSeed current = CURRENT.get();
    if (current == null) {
      throw new IllegalStateException(
          "no test runs on thread " + Thread.currentThread().getName() + ", so it has no seed");
    }
    return current;
  }

  private long next() {
    return mix(seed + 0x9E3779B97F4A7C15L * ++drawn);
  }

  /** The seed that a value of {@link #PROPERTY} means; null is the build's own. */
  static long parse(String value) {
    if (value == null || value.isBlank()) {
      return DEFAULT;
    }
    return value.equals(RANDOM) ? FRESH : Long.parseLong(value);
  }

  /**
   * From here on, this thread's draws are those of a test.
   *
   * @param runSeed of the run; empty: of every run
   */
  static void enter(OptionalLong runSeed, String test) {
    // FNV-1a: names are as many as there are tests, and their hashes must not change with the JVM.
    long hash = 0xCBF29CE484222325L;
    for (byte b : test.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ b) * 0x100000001B3L;
    }
    long seed = mix(mix(runSeed.orElse(DEFAULT)) ^ hash);
    CURRENT.set(new TestSeed(seed, runSeed.isEmpty(), CURRENT.get()));
  }

  /** Ends what the last {@link #enter} began. */
  static void leave() {
    TestSeed enclosing = CURRENT.get().enclosing;
    if (enclosing == null) {
      CURRENT.remove();
    } else {
      CURRENT.set(enclosing);
    }
  }

  /** Whether anything that follows from the run's seed was used since {@link #enter}. */
  static boolean hasDrawn() {
    return CURRENT.get().isRandom();
  }

  private boolean isRandom() {
    return used && !fixed;
  }

  /** The same, or around it. */
  static boolean anyDrawn() {
    for (TestSeed at = CURRENT.get(); at != null; at = at.enclosing) {
      if (at.isRandom()) {
        return true;
      }
    }
    return false;
  }

  /** The finaliser of SplitMix64. */
  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
