package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExactMatchTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "' b '| b| true",
        "B| b| false",
        "b c| b| false",
        "'1 + 1 is 2.\\n#### 2'| '2, since 1 + 1 is 2\\n#### 2'| true",
        "'#### 1,234.\\nQuestion: next'| '#### 1234'| true",
        "'#### $12.50'| '#### 12.50'| true",
        "'#### 12'| '#### 123'| false",
        "'123'| '#### 123'| false",
        "'####'| '#### 123'| false",
        "'#### 123'| '123'| false",
      })
  void resultsAreCompared(String written, String wanted, boolean same) {
    assertEquals(same, ExactMatch.of(written.replace("\\n", "\n"), wanted.replace("\\n", "\n")));
  }
}
