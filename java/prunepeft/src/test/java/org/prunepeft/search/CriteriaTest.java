package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.prunepeft.search.Errors.assertIllegal;
import static org.prunepeft.search.Errors.assertIllegalMentions;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.Criterion.Order;

class CriteriaTest {
  @Test
  void scoresOfAModuleOfFourWeights() {
    // w = 2, -1, 0, 0.5 and g = 1, 3, -2, -4, outputs of mean size 0.7, threshold 1:
    // Σw² = 5.25, #[w≠0] = 3, #[|w|<1] = 2, Σ|g| = 10, w·g = 2, -3, 0, -2.
    ModuleStatistics s = new ModuleStatistics(4, 5.25, 3.5, 3, 2, 30, 10, -3, 7, 17, 0.7);
    assertEquals(1.3125, Criteria.byName("weight").score(s));
    assertEquals(0.75, Criteria.byName("zeros").score(s));
    assertEquals(0.5, Criteria.byName("threshold").score(s));
    assertEquals(0.7, Criteria.byName("activation").score(s));
    assertEquals(1.75, Criteria.byName("sensitivity").score(s));
    assertEquals(2.5, Criteria.byName("gradient").score(s));
    assertEquals(-0.75, Criteria.byName("sensitivity-signed").score(s));
  }

  @Test
  void onlyThresholdPrunesTheLargestFirst() {
    for (Criterion criterion : Criteria.six()) {
      Order expected = criterion.name().equals("threshold") ? Order.LARGEST : Order.SMALLEST;
      assertEquals(expected, criterion.prunedFirst(), criterion.name());
    }
  }

  @Test
  void onlyForwardAndBackwardCriteriaSeeData() {
    assertEquals(
        List.of("activation", "sensitivity", "gradient"),
        Criteria.six().stream().filter(Criterion::seesData).map(Criterion::name).toList());
  }

  @Test
  void anUnknownCriterionIsNamedWithTheNearestAndAll() {
    assertIllegalMentions(
        () -> Criteria.byName("zeroes"),
        "unknown criterion 'zeroes'; did you mean zeros? Known are weight, zeros, threshold, "
            + "activation, sensitivity, gradient, ");
    assertIllegalMentions(
        () -> Criteria.byName("fisher-trace"), "'fisher-trace'; known are weight");
  }

  @Test
  void aRegisteredCriterionIsKnownByItsName() {
    Criterion snr = named("criteria-test.snr");
    Criteria.register(snr);
    Criteria.register(snr);
    assertSame(snr, Criteria.byName("criteria-test.snr"));
    assertEquals(List.of("criteria-test.snr"), Strategy.single(snr).criteria());
    assertIllegalMentions(
        () -> Criteria.register(named("criteria-test.snr")), "registered already");
    assertIllegalMentions(() -> Criteria.register(named("two words")), "'two words'");
    assertIllegal(
        () -> Strategy.single(named("unregistered")),
        "criterion unregistered must be registered first (Criteria.register)");
  }

  private static Criterion named(String name) {
    return new Criterion() {
      @Override
      public String name() {
        return name;
      }

      @Override
      public Order prunedFirst() {
        return Order.SMALLEST;
      }

      @Override
      public boolean seesData() {
        return true;
      }

      @Override
      public double score(ModuleStatistics s) {
        return s.sumAbsG() / Math.sqrt(s.sumG2());
      }
    };
  }
}
