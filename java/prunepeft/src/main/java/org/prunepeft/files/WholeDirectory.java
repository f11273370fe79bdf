package org.prunepeft.files;

import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.Unfinished;

/**
 * A new directory that is of no use unless it is whole: where this process is told to end before,
 * nothing is left of it. To be closed once it is complete, or has failed and says so.
 */
public final class WholeDirectory implements AutoCloseable {
  /** For which a process that is to end waits until the directory is made. */
  private static final int MOST_SECONDS = 2;

  private final Path path;
  private final CompletableFuture<RunDirectory> made = new CompletableFuture<>();
  private final Unfinished begun;

  /**
   * Makes it as {@link RunDirectory#create} does.
   *
   * @param path absent or empty
   * @throws RunDirectoryException as that does
   */
  public WholeDirectory(Path path) {
    this.path = path;
    // Before anything is there.
    begun = Unfinished.begin(this::discard);
    try {
      made.complete(RunDirectory.create(path));
    } catch (RuntimeException | Error e) {
      made.completeExceptionally(e);
      begun.end();
      throw e;
    }
  }

  /** {@return the directory, open for writing} */
  public RunDirectory directory() {
    return made.join();
  }

  private String discard() {
    try {
      return made.get(MOST_SECONDS, TimeUnit.SECONDS).discard();
    } catch (ExecutionException e) {
      return "interrupted before %s was made".formatted(path);
    } catch (TimeoutException e) {
      return "interrupted; %s is incomplete: delete it to write it again".formatted(path);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "interrupted";
    }
  }

  @Override
  public void close() {
    begun.end();
  }
}
