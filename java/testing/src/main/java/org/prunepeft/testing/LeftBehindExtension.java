package org.prunepeft.testing;

import java.io.InputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TimeZone;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;

/**
 * Fails a class of tests that leaves the virtual machine otherwise than it found it: the classes
 * that follow in it, which differ from build to build where a module's tests have several virtual
 * machines, would find what it has left. JUnit finds it by itself, so it holds for every class.
 */
public final class LeftBehindExtension implements BeforeAllCallback, AfterAllCallback {
  private static final Namespace NAMESPACE = Namespace.create(LeftBehindExtension.class);

  /**
   * How the names begin of properties that the project reads: libraries add others of their own.
   */
  private static final List<String> OWN = List.of("prunepeft.", "maven.");

  /** What all of a virtual machine's classes share. */
  private record State(
      Map<String, String> properties,
      Map<String, Object> defaults,
      PrintStream out,
      PrintStream err,
      InputStream in,
      Thread.UncaughtExceptionHandler uncaught) {
    static State now() {
      Map<String, String> properties = new TreeMap<>();
      for (String name : System.getProperties().stringPropertyNames()) {
        properties.put(name, System.getProperty(name));
      }
      Map<String, Object> defaults = new TreeMap<>();
      defaults.put("default locale", Locale.getDefault());
      defaults.put("default locale of formats", Locale.getDefault(Locale.Category.FORMAT));
      defaults.put("default locale of messages", Locale.getDefault(Locale.Category.DISPLAY));
      defaults.put("default time zone", TimeZone.getDefault());
      return new State(
          properties,
          defaults,
          System.out,
          System.err,
          System.in,
          Thread.getDefaultUncaughtExceptionHandler());
    }

    List<String> changesTo(State later) {
      List<String> changes = new ArrayList<>();
      TreeSet<String> names = new TreeSet<>(properties.keySet());
      names.addAll(later.properties.keySet());
      for (String name : names) {
        String before = properties.get(name);
        String after = later.properties.get(name);
        boolean library = before == null && OWN.stream().noneMatch(name::startsWith);
        if (!Objects.equals(before, after) && !library) {
          changes.add("property %s: %s, was %s".formatted(name, after, before));
        }
      }
      defaults.forEach(
          (name, before) -> {
            Object after = later.defaults.get(name);
            if (!before.equals(after)) {
              changes.add("%s: %s, was %s".formatted(name, after, before));
            }
          });
      if (out != later.out) {
        changes.add("System.out is another");
      }
      if (err != later.err) {
        changes.add("System.err is another");
      }
      if (in != later.in) {
        changes.add("System.in is another");
      }
      if (uncaught != later.uncaught) {
        changes.add("the handler of uncaught exceptions is another");
      }
      return changes;
    }
  }

  @Override
  public void beforeAll(ExtensionContext context) {
    context.getStore(NAMESPACE).put(context.getUniqueId(), State.now());
  }

  @Override
  public void afterAll(ExtensionContext context) {
    State before = context.getStore(NAMESPACE).get(context.getUniqueId(), State.class);
    List<String> changes = before == null ? List.of() : before.changesTo(State.now());
    if (!changes.isEmpty()) {
      throw new AssertionError(
          "%s leaves behind what later classes would find: %s"
              .formatted(context.getRequiredTestClass().getName(), String.join("; ", changes)));
    }
  }
}
