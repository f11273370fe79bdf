package org.prunepeft.torch;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.prunepeft.text.NativeLibraries;

/**
 * Native libraries that are being loaded by a thread of their own, while the caller does what needs
 * none of them, such as reading data. Closing waits too, so that no process ends meanwhile.
 *
 * <p>Threads that the libraries begin meanwhile, which stay, have what this thread has of the
 * caller: neither its context class loader nor its inheritable values.
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

  /**
   * Loads LibTorch and the kernels, and waits.
   *
   * @throws LinkageError if one does not load
   */
  public static void load() {
    try (LibraryLoading loading = begin()) {
      loading.await();
    }
  }

  LibraryLoading(Runnable load) {
    work = CompletableFuture.runAsync(load, LibraryLoading::start);
  }

  private static void start(Runnable task) {
    Thread thread = new Thread(null, task, "load libraries", 0, false);
    thread.setContextClassLoader(LibraryLoading.class.getClassLoader());
    thread.start();
  }

  /**
   * Waits until they are loaded.
   *
   * @throws LinkageError if one does not load; an {@link UnsatisfiedLinkError} that says what to do
   *     where another class loader has it
   */
  public void await() {
    try {
      work.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof Error error) {
        throw explained(error);
      }
      if (e.getCause() instanceof RuntimeException exception) {
        throw exception;
      }
      throw e;
    }
  }

  private static Error explained(Error failure) {
    return NativeLibraries.remedy(failure)
        .<Error>map(
            remedy -> {
              Error explained = new UnsatisfiedLinkError("LibTorch does not load: " + remedy);
              explained.initCause(failure);
              return explained;
            })
        .orElse(failure);
  }

  /** Waits for the end, and throws nothing. */
  @Override
  public void close() {
    work.handle((nothing, failure) -> nothing).join();
  }
}
