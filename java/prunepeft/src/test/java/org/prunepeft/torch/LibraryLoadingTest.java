package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class LibraryLoadingTest {
  @Test
  void librariesAreLoadedBesideTheCaller() {
    CountDownLatch read = new CountDownLatch(1);
    AtomicInteger loaded = new AtomicInteger();
    try (LibraryLoading libraries = new LibraryLoading(() -> loaded.set(waited(read)))) {
      assertEquals(0, loaded.get());
      // Were it not beside, nobody would come here.
      read.countDown();
      libraries.await();
      assertEquals(1, loaded.get());
    }
  }

  private static int waited(CountDownLatch latch) {
    try {
      latch.await();
      return 1;
    } catch (InterruptedException e) {
      return -1;
    }
  }

  @Test
  void whyOneDoesNotLoadIsThrownByWaitingAndNotByClosing() {
    LinkageError absent = new UnsatisfiedLinkError("no jnitorch");
    LibraryLoading libraries =
        new LibraryLoading(
            () -> {
              throw absent;
            });
    libraries.close();
    assertSame(absent, assertThrows(UnsatisfiedLinkError.class, libraries::await));
  }

  @Test
  void closingWaitsWhenTheCallerFails() {
    CountDownLatch failing = new CountDownLatch(1);
    AtomicInteger loaded = new AtomicInteger();
    assertThrows(
        IllegalArgumentException.class,
        () -> {
          try (LibraryLoading libraries = new LibraryLoading(() -> loaded.set(waited(failing)))) {
            failing.countDown();
            throw new IllegalArgumentException("no such file");
          }
        });
    assertEquals(1, loaded.get());
  }
}
