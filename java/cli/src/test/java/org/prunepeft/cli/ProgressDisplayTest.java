package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import org.junit.jupiter.api.Test;

/** What is shown of a piece of work, by a clock that the test sets. */
class ProgressDisplayTest {
  private static final int COLUMNS = 120;

  private final ByteArrayOutputStream written = new ByteArrayOutputStream();
  private final PrintStream stream = new PrintStream(written, true, StandardCharsets.UTF_8);
  private final List<String> drawn = Collections.synchronizedList(new ArrayList<>());

  /** What the bar was when a line came. */
  private String drawnBefore;

  /** Not 0, as System.nanoTime is not. */
  private long now = -5_000_000_000L;

  private void pass(double seconds) {
    now += Math.round(seconds * 1e9);
  }

  private ProgressDisplay lines() {
    return new ProgressDisplay.LineDisplay(() -> now, stream);
  }

  private ProgressDisplay bars() {
    PrintStream marked =
        new PrintStream(written, true, StandardCharsets.UTF_8) {
          @Override
          public void println(String line) {
            super.println(line);
            drawnBefore = drawn.isEmpty() ? null : drawn.get(drawn.size() - 1);
          }
        };
    return new ProgressDisplay.Bars(
        () -> now, marked, new DelegatingProgressBarConsumer(drawn::add, COLUMNS));
  }

  /** Lines since the last call. */
  private List<String> said() {
    List<String> said = written.toString(StandardCharsets.UTF_8).lines().toList();
    written.reset();
    return said;
  }

  @Test
  void aLineHasRateAndTimeLeftEveryTenSeconds() {
    ProgressDisplay display = lines();
    display.started("train", "steps", 1);
    assertEquals(List.of("train: 1 step"), said());
    display.started("train", "steps", 100);
    assertEquals(List.of("train: 100 steps"), said());
    pass(4);
    display.progress(1, "loss 0.700");
    pass(4);
    display.progress(2, "loss 0.600");
    assertEquals(List.of(), said());
    pass(4);
    display.progress(3, "loss 0.500");
    assertEquals(List.of("train: 3 of 100 steps, 0.3 a second, 6 min left, loss 0.500"), said());
    pass(9.9);
    display.progress(50, "loss 0.400");
    assertEquals(List.of(), said());
    // 99 steps in 66 seconds.
    pass(44.1);
    display.progress(99, "");
    assertEquals(List.of("train: 99 of 100 steps, 1.5 a second, 1 s left"), said());
    pass(10);
    display.progress(100, "loss 0.300");
    assertEquals(List.of("train: 100 of 100 steps, 1.3 a second, 0 s left, loss 0.300"), said());
    display.message("done");
    assertEquals(List.of("done"), said());
  }

  @Test
  void aSlowFirstStepIsTimedByItself() {
    ProgressDisplay display = lines();
    display.started("study", "runs", 4);
    display.progress(0, "");
    pass(1200);
    display.progress(0, "1 failed");
    pass(1200);
    display.progress(1, "1 failed");
    assertEquals(
        List.of("study: 4 runs", "study: 1 of 4 runs, 1.5 an hour, 2 h 0 min left, 1 failed"),
        said());
  }

  /** A rate that counted the steps of the time before would be 50 times what it is. */
  @Test
  void stepsFromBeforeAResumeAreNotInTheRate() {
    ProgressDisplay display = lines();
    display.started("train", "steps", 1000);
    pass(15);
    display.progress(901, "loss 0.500");
    pass(30);
    display.progress(904, "loss 0.400");
    assertEquals(
        List.of(
            "train: 1000 steps",
            "train: 901 of 1000 steps, loss 0.500",
            "train: 904 of 1000 steps, 0.1 a second, 16 min left, loss 0.400"),
        said());
  }

  @Test
  void whatHasNoTotalIsNamedAlone() {
    for (ProgressDisplay display : List.of(lines(), bars())) {
      display.started("fit the head", "", 0);
      pass(60);
      display.progress(7, "what nobody counts");
      display.close();
      assertEquals(List.of("fit the head"), said());
    }
    assertEquals(List.of(), drawn);
  }

  @Test
  void aBarHasShareRateAndTimeLeft() {
    ProgressDisplay display = bars();
    display.started("train", "steps", 100);
    draws(display, "  0% [ ", "   0/100 steps (TIME / ?) ");
    pass(40);
    display.progress(1, "loss 0.700");
    draws(display, "  1% [ ", "   1/100 steps (TIME / 1:06:00) 1.5 a minute, loss 0.700");
    pass(10);
    display.progress(50, "loss 0.400");
    draws(display, " 50% [===", "  50/100 steps (TIME / 0:00:50) 1.0 a second, loss 0.400");
    // Which a line in between does not change.
    pass(100);
    draws(display, " 50% [===", "  50/100 steps (TIME / 0:00:50) 1.0 a second, loss 0.400");
    pass(50);
    display.progress(100, "loss 0.300");
    draws(display, "100% [===", " 100/100 steps (TIME / 0:00:00) 0.5 a second, loss 0.300");
    // The bar is over.
    int bars = drawn.size();
    display.progress(100, "loss 0.200");
    display.close();
    assertEquals(bars, drawn.size());
  }

  @Test
  void aBarOfARunThatGoesOnHasNoRateAtFirst() {
    ProgressDisplay display = bars();
    display.started("train", "steps", 1000);
    pass(1);
    display.progress(901, "");
    draws(display, " 90% [===", "  901/1000 steps (TIME / ?) ");
    pass(10);
    display.progress(921, "");
    draws(display, " 92% [===", "  921/1000 steps (TIME / 0:00:39) 2.0 a second");
    display.close();
  }

  /** A message ends the bar, which is drawn for the last time then, and begins another. */
  private void draws(ProgressDisplay display, String share, String end) {
    display.message("a line");
    assertEquals(List.of("a line"), said());
    String bar = drawnBefore;
    assertTrue(bar.startsWith("train" + " ".repeat(23) + " " + share), bar);
    String times = bar.replaceFirst("\\(\\d:\\d\\d:\\d\\d", "(TIME").stripTrailing();
    assertTrue(times.endsWith("]" + end.stripTrailing()), bar);
    assertTrue(bar.length() <= COLUMNS, bar);
  }

  @Test
  void ratesAreOfATimeInWhichSomethingHappens() {
    assertEquals("2.0 a second", rate(10, 5));
    assertEquals("0.1 a second", rate(1, 10));
    assertEquals("3.0 a minute", rate(1, 20));
    assertEquals("1.5 an hour", rate(1, 2400));
  }

  private String rate(int units, double seconds) {
    Pace pace = new Pace(() -> now, 1000);
    assertEquals(Optional.empty(), pace.rate());
    assertEquals(Optional.empty(), pace.left());
    // The first is done at once.
    pace.reached(1);
    assertEquals(Optional.empty(), pace.left());
    for (int i = 1; i <= units; i++) {
      pass(seconds / units);
      pace.reached(i);
    }
    return pace.rate().orElseThrow();
  }

  @Test
  void timesAreInSecondsMinutesOrHours() {
    assertEquals("0 s", Pace.text(Duration.ZERO));
    assertEquals("1 s", Pace.text(Duration.ofMillis(600)));
    assertEquals("119 s", Pace.text(Duration.ofMillis(119_400)));
    assertEquals("2 min", Pace.text(Duration.ofMillis(119_600)));
    assertEquals("3 min", Pace.text(Duration.ofSeconds(150)));
    assertEquals("119 min", Pace.text(Duration.ofSeconds(119 * 60 + 29)));
    assertEquals("2 h 0 min", Pace.text(Duration.ofSeconds(119 * 60 + 30)));
    assertEquals("26 h 3 min", Pace.text(Duration.ofMinutes(26 * 60 + 3)));
  }
}
