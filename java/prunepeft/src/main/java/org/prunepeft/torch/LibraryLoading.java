package org.prunepeft.torch;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * Native libraries that are being loaded by a thread of their own, while the caller does what needs
 * none of them, such as reading data. Closing waits too, so that no process ends meanwhile.
 */
public final class LibraryLoading implements AutoCloseable {
  private final CompletableFuture<Void> work;

  /**
   * Begins to load LibTorch and the kernels ({@link Torch#load}). It is not a method of Torch,
   * since that class's initialisation alone loads LibTorch, in the thread that asks for it.
   */
  public static LibraryLoading begin() {
    return new LibraryLoading(() -> Torch.load());
  }

  LibraryLoading(Runnable load) {
    work = CompletableFuture.runAsync(load, task -> new Thread(task, "load libraries").start());
  }

  /**
   * Waits until they are loaded.
   *
   * @throws LinkageError if one does not load
   */
  public void await() {
    try {
      work.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      if (e.getCause() instanceof RuntimeException exception) {
        throw exception;
      }
      throw e;
    }
  }

  /** Waits for the end, and throws nothing. */
  @Override
  public void close() {
    work.handle((nothing, failure) -> nothing).join();
  }
}
