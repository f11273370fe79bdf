package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PythonReleasesTest {
  private static final List<String> BOTH = List.of("torch", "jinja2");

  @ParameterizedTest
  @ValueSource(
      strings = {
        "torch 2.7.1\njinja2 3.1.6",
        "torch 2.60.0\njinja2 3.1.6",
        "jinja2 3.1.5\ntorch 2.13.0"
      })
  void otherReleasesWereNotTried(String said) {
    assertEquals(
        said.substring(0, said.indexOf('\n')) + " was not tried, which -Dprunepeft.python=any does",
        PythonReleases.untried(BOTH, said));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "torch 2.6.0 is old\njinja2 3.1.6", "jinja2 3.1.6"})
  void whatDoesNotSayItsReleaseIsNotComparedWith(String said) {
    assertEquals(
        "torch does not say its release, which -Dprunepeft.python=any takes",
        PythonReleases.untried(BOTH, said));
  }

  @Test
  void thoseThatWereTriedAreNotNamed() {
    String said =
        "a warning\ntorch 2.6.0+cpu\ntransformers 4.55.0.dev0\njinja2 3.1.6\nno version\n";
    List<String> libraries = List.of("torch", "transformers", "jinja2");
    assertEquals("", PythonReleases.untried(libraries, said));
  }
}
