package org.prunepeft.text;

import java.util.Optional;

/** Why a native library does not load, in words. */
public final class NativeLibraries {
  /** What Java says of one that classes of another class loader have. */
  private static final String ELSEWHERE = "already loaded in another classloader";

  private NativeLibraries() {}

  /**
   * {@return what to do about a library that another class loader has; empty: that is not why}
   *
   * @param failure with its causes, of which Java keeps the first for later uses of a class
   */
  public static Optional<String> remedy(Throwable failure) {
    for (Throwable one = failure; one != null; one = one.getCause()) {
      if (one.getMessage() != null && one.getMessage().contains(ELSEWHERE)) {
        return Optional.of(
            "a native library is in one class loader of a process at a time, and another has it,"
                + " such as that of another application or of an earlier deployment; put the jars of"
                + " PrunePEFT and of its libraries into a class loader that all applications share");
      }
    }
    return Optional.empty();
  }
}
