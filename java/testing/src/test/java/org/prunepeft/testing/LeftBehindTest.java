package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary.Failure;

/** What {@link LeftBehindExtension} sees. */
class LeftBehindTest {
  static class Tidy {
    private static final PrintStream OUT = System.out;

    @BeforeAll
    static void change() {
      System.setProperty("prunepeft.left-behind", "1");
      System.setOut(System.err);
    }

    @Test
    void setsWhatALibraryWould() {
      System.setProperty("some.library.loaded", "true");
    }

    @AfterAll
    static void restore() {
      System.clearProperty("prunepeft.left-behind");
      System.setOut(OUT);
    }
  }

  static class Untidy {
    @Test
    void changes() {
      System.setProperty("prunepeft.left-behind", "2");
      System.clearProperty("left-behind.before");
      Locale.setDefault(Locale.Category.FORMAT, Locale.forLanguageTag("mt"));
      System.setErr(System.out);
    }
  }

  @Test
  void aClassThatLeavesAChangeFailsAndNamesIt() {
    PrintStream err = System.err;
    Locale formats = Locale.getDefault(Locale.Category.FORMAT);
    System.setProperty("left-behind.before", "yes");
    try {
      assertEquals(List.of(), failures(Tidy.class));
      List<String> failures = failures(Untidy.class);
      assertEquals(1, failures.size(), failures.toString());
      for (String change :
          List.of(
              Untidy.class.getName() + " leaves behind",
              "property prunepeft.left-behind: 2, was null",
              "property left-behind.before: null, was yes",
              "default locale of formats: mt, was " + formats,
              "System.err is another")) {
        assertTrue(failures.get(0).contains(change), failures.get(0));
      }
      assertFalse(failures.get(0).contains("System.out"), failures.get(0));
    } finally {
      System.clearProperty("left-behind.before");
      System.clearProperty("prunepeft.left-behind");
      System.clearProperty("some.library.loaded");
      System.setErr(err);
      Locale.setDefault(Locale.Category.FORMAT, formats);
    }
  }

  private static List<String> failures(Class<?> tests) {
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request().selectors(selectClass(tests)).build();
    SummaryGeneratingListener listener = new SummaryGeneratingListener();
    LauncherFactory.create().execute(request, listener);
    List<String> messages = new ArrayList<>();
    for (Failure failure : listener.getSummary().getFailures()) {
      messages.add(failure.getException().getMessage());
    }
    assertEquals(1, listener.getSummary().getTestsSucceededCount());
    return messages;
  }
}
