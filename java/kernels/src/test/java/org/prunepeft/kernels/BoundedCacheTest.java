package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class BoundedCacheTest {
  private final List<String> made = new ArrayList<>();
  private final List<String> closed = new ArrayList<>();

  private AutoCloseable make(String key) {
    made.add(key);
    return () -> closed.add(key);
  }

  @Test
  void whatWasNotAskedForTheLongestIsClosed() {
    BoundedCache<String, AutoCloseable> cache = new BoundedCache<>(2);
    AutoCloseable first = cache.get("a", this::make);
    cache.get("b", this::make);
    assertSame(first, cache.get("a", this::make));
    cache.get("c", this::make);
    assertEquals(List.of("b"), closed);
    assertSame(first, cache.get("a", this::make));
    cache.get("b", this::make);
    assertEquals(List.of("a", "b", "c", "b"), made);
    assertEquals(List.of("b", "c"), closed);
    assertEquals(2, cache.size());
    cache.close();
    assertEquals(List.of("b", "c", "a", "b"), closed);
    assertEquals(0, cache.size());
  }

  @Test
  void nothingIsKeptOfAFailure() {
    BoundedCache<String, AutoCloseable> cache = new BoundedCache<>(1);
    cache.get("a", this::make);
    assertThrows(
        IllegalStateException.class,
        () ->
            cache.get(
                "b",
                key -> {
                  throw new IllegalStateException();
                }));
    assertEquals(List.of(), closed);
    assertEquals(1, cache.size());
  }
}
