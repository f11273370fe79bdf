package org.prunepeft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.SmallBert;
import org.prunepeft.train.loop.Predictor;

class ModelThreadsTest {
  private Encoder encoder;
  private ModelThreads threads;

  @BeforeEach
  void begin() {
    encoder = SmallBert.create();
    threads =
        new ModelThreads(
            2, () -> new ModelThreads.ThreadState(new Predictor(encoder), null), "it is closed");
  }

  @AfterEach
  void end() {
    threads.close();
    encoder.close();
  }

  @Test
  void callsAtOnceHaveStatesOfTheirOwn() throws Exception {
    CyclicBarrier both = new CyclicBarrier(2);
    CompletableFuture<ModelThreads.ThreadState> first =
        CompletableFuture.supplyAsync(() -> threads.call(state -> meet(state, both)));
    ModelThreads.ThreadState second = threads.call(state -> meet(state, both));
    assertEquals(2, Set.of(first.get(), second).size());
  }

  private static ModelThreads.ThreadState meet(ModelThreads.ThreadState state, CyclicBarrier both) {
    try {
      both.await();
      return state;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void whatACallThrowsIsThrownToItsCaller() {
    RuntimeException failure = new RuntimeException("failed");
    Error error = new AssertionError("worse");
    assertSame(
        failure, assertThrows(RuntimeException.class, () -> threads.call(state -> raise(failure))));
    assertSame(
        error, assertThrows(AssertionError.class, () -> threads.call(state -> raise(error))));
    assertEquals("done", threads.call(state -> "done"));
  }

  @Test
  void whatAListenerThrowsIsThrownAsItIsEvenIfItIsAnExceptionOfFutures() {
    for (Throwable thrown :
        List.of(
            new CompletionException(new IOException("the client has gone")),
            new CompletionException("without a cause", null),
            new CancellationException("enough"),
            new IOException("of a language without checks"))) {
      assertSame(thrown, assertThrows(Throwable.class, () -> threads.call(state -> raise(thrown))));
    }
    assertEquals("done", threads.call(state -> "done"));
  }

  private static Object raise(Throwable thrown) {
    return ModelThreadsTest.<RuntimeException>raised(thrown);
  }

  @SuppressWarnings("unchecked")
  private static <E extends Throwable> Object raised(Throwable thrown) throws E {
    throw (E) thrown;
  }

  @Test
  void threadsKeepNothingOfTheCallThatBeginsThem() {
    InheritableThreadLocal<String> tenant = new InheritableThreadLocal<>();
    tenant.set("one");
    Thread caller = Thread.currentThread();
    ClassLoader context = caller.getContextClassLoader();
    caller.setContextClassLoader(ClassLoader.getPlatformClassLoader());
    try {
      assertNull(threads.call(state -> tenant.get()));
      assertSame(
          ModelThreads.class.getClassLoader(),
          threads.call(state -> Thread.currentThread().getContextClassLoader()));
    } finally {
      caller.setContextClassLoader(context);
      tenant.remove();
    }
  }

  @Test
  void aCallFromWithinACallIsRefusedSinceItWouldWaitForItself() {
    for (Runnable inner : List.<Runnable>of(() -> threads.call(state -> 1), threads::close)) {
      IllegalStateException refused =
          assertTimeoutPreemptively(
              Duration.ofSeconds(30),
              () ->
                  assertThrows(
                      IllegalStateException.class,
                      () ->
                          threads.call(
                              state -> {
                                inner.run();
                                return 1;
                              })));
      assertTrue(refused.getMessage().contains("when it has returned"), refused.getMessage());
    }
    assertEquals("done", threads.call(state -> "done"));
  }

  @Test
  void anInterruptedCallerIsAnsweredAndStaysInterrupted() {
    Thread.currentThread().interrupt();
    assertEquals("done", threads.call(state -> "done"));
    assertTrue(Thread.interrupted());
  }

  @Test
  void closeWaitsForCallsThatRunAndWaitAndRefusesLaterOnes() throws Exception {
    CountDownLatch running = new CountDownLatch(2);
    CountDownLatch mayEnd = new CountDownLatch(1);
    List<FutureTask<Integer>> calls = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      FutureTask<Integer> call =
          new FutureTask<>(() -> threads.call(state -> end(running, mayEnd)));
      until(Thread.State.WAITING, call);
      calls.add(call);
    }
    running.await();
    FutureTask<Integer> waiting = new FutureTask<>(() -> threads.call(state -> 1));
    until(Thread.State.WAITING, waiting);
    calls.add(waiting);
    FutureTask<Integer> closing = new FutureTask<>(threads::close, 1);
    until(Thread.State.TIMED_WAITING, closing);
    IllegalStateException refused =
        assertThrows(IllegalStateException.class, () -> threads.call(state -> 1));
    assertEquals("it is closed", refused.getMessage());
    assertFalse(closing.isDone());
    mayEnd.countDown();
    assertEquals(1, closing.get());
    for (FutureTask<Integer> call : calls) {
      assertEquals(1, call.get());
    }
  }

  private static int end(CountDownLatch running, CountDownLatch mayEnd) {
    running.countDown();
    try {
      mayEnd.await();
      return 1;
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Runs a task on a thread of its own, until that thread waits. */
  private static void until(Thread.State state, FutureTask<Integer> task) {
    Thread thread = new Thread(task);
    thread.start();
    while (thread.getState() != state) {
      assertNotEquals(
          Thread.State.TERMINATED, thread.getState(), () -> "it ended before it was " + state);
      Thread.onSpinWait();
    }
  }
}
