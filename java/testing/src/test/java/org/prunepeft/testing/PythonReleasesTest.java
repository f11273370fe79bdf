package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PythonReleasesTest {
  @ParameterizedTest
  @ValueSource(strings = {"torch 2.7.1", "torch 2.60.0", "torch 2.13.0\njinja2 3.1.5"})
  void otherReleasesWereNotTried(String said) {
    String last = said.substring(said.indexOf('\n') + 1);
    assertEquals(
        last + " was not tried, which -Dprunepeft.python=any does", PythonReleases.untried(said));
  }

  @Test
  void thoseThatWereTriedAreNotNamed() {
    String said =
        "a warning\ntorch 2.6.0+cpu\ntransformers 4.55.0.dev0\njinja2 3.1.6\nno version\n";
    assertEquals("", PythonReleases.untried(said));
  }
}
