package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(3600)
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
  void whoFindsALibraryInAnotherClassLoaderIsToldToShareIt() {
    LinkageError elsewhere =
        new UnsatisfiedLinkError(
            "Native Library /cache/libjnijavacpp.so already loaded in another classloader");
    // As Java throws it at the second use of a class.
    LinkageError second = new NoClassDefFoundError("Could not initialize class Torch");
    second.initCause(new ExceptionInInitializerError(elsewhere));
    for (LinkageError failure : List.of(elsewhere, second)) {
      try (LibraryLoading libraries =
          new LibraryLoading(
              () -> {
                throw failure;
              })) {
        LinkageError explained = assertThrows(UnsatisfiedLinkError.class, libraries::await);
        assertTrue(explained.getMessage().contains("class loader that all applications share"));
        assertSame(failure, explained.getCause());
      }
    }
  }

  @Test
  void whatIsLoadedKeepsNothingOfTheCaller() {
    InheritableThreadLocal<String> ofCaller = new InheritableThreadLocal<>();
    ofCaller.set("an application's");
    Thread caller = Thread.currentThread();
    ClassLoader context = caller.getContextClassLoader();
    caller.setContextClassLoader(ClassLoader.getPlatformClassLoader());
    List<Object> seen = new ArrayList<>();
    try (LibraryLoading libraries =
        new LibraryLoading(
            () -> {
              seen.add(ofCaller.get());
              seen.add(Thread.currentThread().getContextClassLoader());
            })) {
      libraries.await();
    } finally {
      caller.setContextClassLoader(context);
      ofCaller.remove();
    }
    assertEquals(Arrays.asList(null, LibraryLoading.class.getClassLoader()), seen);
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
