package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class OwnedTest {
  private final List<String> closed = new ArrayList<>();
  private final Owned owned = new Owned();

  private AutoCloseable resource(String name, Exception failure) {
    return () -> {
      closed.add(name);
      if (failure != null) {
        throw failure;
      }
    };
  }

  @Test
  void closesBackwardsAndOnce() {
    AutoCloseable first = resource("first", null);
    assertSame(first, owned.add(first));
    assertNull(owned.add((AutoCloseable) null));
    owned.add(resource("second", null));
    owned.close();
    owned.close();
    assertEquals(List.of("second", "first"), closed);
  }

  @Test
  void goesOnWhereOneThrowsAndThrowsTheFirstWithTheOthers() {
    Exception early = new IllegalArgumentException("early");
    Exception late = new IOException("late");
    owned.add(resource("a", late));
    owned.add(resource("b", null));
    owned.add(resource("c", early));
    assertSame(early, assertThrows(IllegalArgumentException.class, owned::close));
    assertEquals(List.of("c", "b", "a"), closed);
    assertArrayEquals(new Throwable[] {late}, early.getSuppressed());
  }

  @Test
  void checkedExceptionIsTheCauseOfTheOneThatIsThrown() {
    Exception checked = new IOException("full");
    owned.add(resource("a", checked));
    assertSame(checked, assertThrows(IllegalStateException.class, owned::close).getCause());
  }

  @Test
  void failureIsKeptAndHasWhatClosingThrows() {
    Exception failure = new IllegalStateException("failure");
    Exception closing = new IOException("closing");
    owned.add(resource("a", closing));
    owned.add(resource("b", failure));
    assertSame(failure, owned.closeAfter(failure));
    assertEquals(List.of("b", "a"), closed);
    assertArrayEquals(new Throwable[] {closing}, failure.getSuppressed());
  }
}
