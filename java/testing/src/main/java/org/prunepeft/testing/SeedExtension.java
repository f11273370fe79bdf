package org.prunepeft.testing;

import static org.junit.platform.commons.support.AnnotationSupport.isAnnotated;

import java.lang.reflect.Constructor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.LifecycleMethodExecutionExceptionHandler;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;
import org.junit.jupiter.api.extension.TestInstanceFactoryContext;
import org.junit.jupiter.api.extension.TestInstancePreConstructCallback;
import org.opentest4j.IncompleteExecutionException;

/**
 * Gives each test its seed ({@link TestSeed}), and to a failure of one that has drawn numbers the
 * line that runs it again. JUnit finds it by itself, so it holds for every test.
 */
public final class SeedExtension
    implements BeforeAllCallback,
        TestInstancePreConstructCallback,
        InvocationInterceptor,
        TestExecutionExceptionHandler,
        LifecycleMethodExecutionExceptionHandler {
  /** Of this JVM, before any test has changed a property. */
  static final GivenSettings GIVEN = GivenSettings.of(System.getenv(), System.getProperties());

  /** The tests, and classes before all of their tests, that have drawn numbers: JUnit's ids. */
  static final Set<String> DREW = ConcurrentHashMap.newKeySet();

  /** By the ids of tests: which error came nearest to its limit, as a part of it. */
  static final Map<String, Map.Entry<Double, String>> NEAREST = new ConcurrentHashMap<>();

  /** Whether the seed of this JVM was printed. */
  static final AtomicBoolean SAID = new AtomicBoolean();

  /** A suppressed exception: every report of a failure shows it. */
  private static final class RunAgain extends Exception {
    private static final long serialVersionUID = 1;

    RunAgain(String line) {
      super(line, null, false, false);
    }

    @Override
    public String toString() {
      return getMessage();
    }
  }

  @Override
  public ExtensionContextScope getTestInstantiationExtensionContextScope(ExtensionContext root) {
    return ExtensionContextScope.TEST_METHOD;
  }

  @Override
  public void beforeAll(ExtensionContext context) {
    enter(context);
  }

  @Override
  public void preConstructTestInstance(
      TestInstanceFactoryContext factory, ExtensionContext context) {
    enter(context);
  }

  private static void enter(ExtensionContext context) {
    String id = context.getUniqueId();
    TestSeed.enter(
        isFixed(context) ? OptionalLong.empty() : OptionalLong.of(seed(context)),
        id.substring(id.indexOf("[class:")));
    context
        .getStore(Namespace.create(SeedExtension.class))
        .put(
            id,
            (AutoCloseable)
                () -> {
                  if (TestSeed.hasDrawn()) {
                    DREW.add(id);
                  }
                  if (TestSeed.repeated) {
                    TestSeed.nearest().ifPresent(nearest -> NEAREST.put(id, nearest));
                  }
                  TestSeed.leave();
                });
  }

  /** A method, its class, or one around that. */
  private static boolean isFixed(ExtensionContext context) {
    return isAnnotated(context.getElement(), FixedSeed.class)
        || context.getParent().map(SeedExtension::isFixed).orElse(false);
  }

  private static long seed(ExtensionContext context) {
    String given = context.getConfigurationParameter(TestSeed.PROPERTY).orElse(null);
    long seed = TestSeed.parse(given);
    // A virtual machine that crashes names no test.
    if (TestSeed.RANDOM.equals(given) && SAID.compareAndSet(false, true)) {
      System.out.println("the seed of this virtual machine's tests: -Dtests.seed=" + seed);
    }
    return seed;
  }

  private static Throwable explained(ExtensionContext context, Throwable e) {
    boolean known = e instanceof IncompleteExecutionException;
    for (Throwable suppressed : e.getSuppressed()) {
      known |= suppressed instanceof RunAgain;
    }
    if (!known && TestSeed.anyDrawn()) {
      e.addSuppressed(new RunAgain("run again: " + command(context)));
    }
    return e;
  }

  /** What runs the test again with the same numbers, from the repository's root. */
  static String command(ExtensionContext context) {
    Class<?> type = context.getRequiredTestClass();
    String test =
        type.getName().substring(type.getPackageName().length() + 1)
            + context.getTestMethod().map(method -> "#" + method.getName()).orElse("");
    return command(test, seed(context));
  }

  static String command(String test, long seed) {
    return command(test, Long.toString(seed), GIVEN);
  }

  static String command(String test, String seed, GivenSettings given) {
    Path module = Path.of(System.getProperty("basedir", "")).toAbsolutePath();
    Path root = module;
    for (Path above = root; above != null; above = above.getParent()) {
      if (Files.exists(above.resolve("pom.xml"))) {
        root = above;
      }
    }
    return given.environment()
        + ("mvn -B test -pl %s -am -Dtest='%s' -Dtests.seed=%s"
                + " -Dsurefire.failIfNoSpecifiedTests=false -DskipNativeTests=true")
            .formatted(root.relativize(module), test, seed)
        + given.options();
  }

  @Override
  public <T> T interceptTestClassConstructor(
      Invocation<T> invocation,
      ReflectiveInvocationContext<Constructor<T>> what,
      ExtensionContext context)
      throws Throwable {
    try {
      return invocation.proceed();
    } catch (Throwable e) {
      throw explained(context, e);
    }
  }

  @Override
  public void handleBeforeAllMethodExecutionException(ExtensionContext context, Throwable e)
      throws Throwable {
    throw explained(context, e);
  }

  @Override
  public void handleBeforeEachMethodExecutionException(ExtensionContext context, Throwable e)
      throws Throwable {
    throw explained(context, e);
  }

  @Override
  public void handleTestExecutionException(ExtensionContext context, Throwable e) throws Throwable {
    throw explained(context, e);
  }

  @Override
  public void handleAfterEachMethodExecutionException(ExtensionContext context, Throwable e)
      throws Throwable {
    throw explained(context, e);
  }

  @Override
  public void handleAfterAllMethodExecutionException(ExtensionContext context, Throwable e)
      throws Throwable {
    throw explained(context, e);
  }
}
