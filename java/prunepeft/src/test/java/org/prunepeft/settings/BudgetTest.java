package org.prunepeft.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BudgetTest {
  @ParameterizedTest
  @CsvSource({
    "0.7, 46080, 32256",
    "0.57, 100, 57",
    "0.29, 100, 29",
    "0.5, 7, 3",
    "0.333, 1000, 333",
    "1, 4611686018427387905, 4611686018427387905"
  })
  void shareIsOfTheDecimalNumberAndRoundedDown(double share, long supernet, long budget) {
    assertEquals(budget, Budget.share(share).of(supernet));
  }

  @Test
  void numberOfParametersIsItself() {
    assertEquals(1000, Budget.parameters(1000).of(500));
  }
}
