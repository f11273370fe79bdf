package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class ProcessorTimeTest {
  private static final Duration SHORT = Duration.ofMillis(200);
  private static final Duration LONG = Duration.ofMinutes(5);

  private volatile boolean over;

  private int count() {
    int turns = 0;
    while (!over) {
      turns++;
    }
    return turns;
  }

  @Test
  void whatTakesMoreIsEnded() {
    try {
      assertThrows(AssertionError.class, () -> ProcessorTime.atMost(SHORT, this::count));
    } finally {
      over = true;
    }
  }

  @Test
  void waitingTakesNone() throws Exception {
    assertEquals(
        "slept",
        ProcessorTime.atMost(
            SHORT,
            () -> {
              Thread.sleep(2 * SHORT.toMillis());
              return "slept";
            }));
  }

  @Test
  void whatIsThrownComesOut() {
    assertThrows(
        IOException.class,
        () ->
            ProcessorTime.atMost(
                SHORT,
                () -> {
                  throw new IOException();
                }));
  }

  @Test
  void aProcessThatGoesOnIsKnown() throws Exception {
    Process busy = new ProcessBuilder("sh", "-c", "while :; do :; done").start();
    try {
      assertFalse(ProcessorTime.endsWithin(SHORT, LONG, busy));
    } finally {
      busy.destroyForcibly();
    }
    Process sleeping = new ProcessBuilder("sleep", "0.5").start();
    assertTrue(ProcessorTime.endsWithin(SHORT, LONG, sleeping));
    Process waiting = new ProcessBuilder("sleep", "600").start();
    try {
      assertFalse(ProcessorTime.endsWithin(LONG, SHORT, waiting));
    } finally {
      waiting.destroyForcibly();
    }
  }

  /** Again with more time where other work had the processors before it waited. */
  @Test
  void whatWaitsWithoutEndIsEnded() {
    CountDownLatch never = new CountDownLatch(1);
    Duration most = SHORT.dividedBy(10);
    AssertionError e = ended(most, never);
    for (int again = 0; again < 7 && !isWaiting(e); again++) {
      most = most.multipliedBy(2);
      e = ended(most, never);
    }
    assertTrue(isWaiting(e), e::toString);
    assertEquals("it has not ended within " + 20 * most.toMillis() / 1e3 + " s", e.getMessage());
  }

  private static AssertionError ended(Duration most, CountDownLatch never) {
    return assertThrows(
        AssertionError.class,
        () ->
            ProcessorTime.atMost(
                most,
                () -> {
                  never.await();
                  return null;
                }));
  }

  private static boolean isWaiting(AssertionError e) {
    return e.getMessage().startsWith("it has not ended within ")
        && Stream.of(e.getStackTrace()).anyMatch(call -> call.getMethodName().equals("await"));
  }
}
