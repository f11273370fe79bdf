package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class ProcessorTimeTest {
  private static final Duration SHORT = Duration.ofMillis(200);

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
      assertFalse(ProcessorTime.endsWithin(SHORT, busy));
    } finally {
      busy.destroyForcibly();
    }
    assertTrue(ProcessorTime.endsWithin(SHORT, new ProcessBuilder("sleep", "0.5").start()));
  }
}
