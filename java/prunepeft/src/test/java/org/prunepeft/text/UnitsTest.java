package org.prunepeft.text;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;

class UnitsTest {
  @Test
  void quantitiesAreRoundedToWhatTheyAreWorth() {
    assertEquals(
        List.of("0.0 s", "4.1 s", "18 s", "599 s", "12 min", "3.5 h"),
        DoubleStream.of(0.04, 4.12, 17.9, 599.2, 720, 12_600).mapToObj(Units::seconds).toList());
    assertEquals(
        List.of("0.62 ms", "5.2 ms", "181 ms"),
        DoubleStream.of(0.000624, 0.0052, 0.1811).mapToObj(Units::milliseconds).toList());
    assertEquals(
        List.of("0 MB", "0.5 kB", "0.79 MB"),
        DoubleStream.of(0, 512, 790_528).mapToObj(Units::megabytes).toList());
    assertEquals("1 epoch, 3 epochs", Units.count(1, "epoch") + ", " + Units.count(3, "epoch"));
  }
}
