package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.List;

/** Resources that one object owns, and closes in the reverse of the order in which it got them. */
public final class Owned implements AutoCloseable {
  private final List<AutoCloseable> resources = new ArrayList<>();

  /**
   * Takes a resource over.
   *
   * @param resource null: there is none
   * @return the same
   */
  public <T extends AutoCloseable> T add(T resource) {
    if (resource != null) {
      resources.add(resource);
    }
    return resource;
  }

  /**
   * Closes all, also where some throw.
   *
   * @throws RuntimeException what the first has thrown, with what others have as suppressed ones
   */
  @Override
  public void close() {
    Throwable first = closeAfter(null);
    if (first instanceof Error error) {
      throw error;
    }
    if (first instanceof RuntimeException exception) {
      throw exception;
    }
    if (first != null) {
      throw new IllegalStateException(first);
    }
  }

  /**
   * Closes all after a failure, which is what the caller throws.
   *
   * @param failure gets what closing throws as suppressed ones; null: nothing has failed yet
   * @return the failure; if it is null, what the first has thrown, or null
   */
  public Throwable closeAfter(Throwable failure) {
    Throwable first = failure;
    while (!resources.isEmpty()) {
      try {
        resources.remove(resources.size() - 1).close();
      } catch (Exception | Error e) {
        if (first == null) {
          first = e;
        } else if (first != e) {
          first.addSuppressed(e);
        }
      }
    }
    return first;
  }
}
