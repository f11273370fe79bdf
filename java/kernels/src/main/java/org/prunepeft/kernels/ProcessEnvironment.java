package org.prunepeft.kernels;

import org.bytedeco.javacpp.annotation.Name;
import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;

/**
 * Sets environment variables of the running process, which native libraries read when they are
 * loaded.
 *
 * <p>OpenMP's threads spin for milliseconds after each parallel region by default. Beside a second
 * thread pool (OpenBLAS has its own) they then take the cores from it: on 2 cores a product of
 * [100,384] by [384,384] took 7.6 ms instead of 0.2 ms. So {@link #makeThreadsYield()} is to be
 * called before any library that brings OpenMP or OpenBLAS is loaded.
 */
@Properties(value = @Platform(include = "stdlib.h", library = "jniProcessEnvironment"))
public final class ProcessEnvironment {
  static {
    NativeLibraries.load(ProcessEnvironment.class);
  }

  private ProcessEnvironment() {}

  /**
   * Lets idle threads sleep: OpenMP's (OMP_WAIT_POLICY=passive) after some ten microseconds
   * (GOMP_SPINCOUNT=3000), and OpenBLAS's (OPENBLAS_THREAD_TIMEOUT=4) soon, unless the user has set
   * these variables. No effect on a library that is loaded already.
   */
  public static void makeThreadsYield() {
    if (System.getenv("OMP_WAIT_POLICY") == null && System.getenv("GOMP_SPINCOUNT") == null) {
      setenv("OMP_WAIT_POLICY", "passive", 1);
      setenv("GOMP_SPINCOUNT", "3000", 1);
    }
    if (System.getenv("OPENBLAS_THREAD_TIMEOUT") == null) {
      setenv("OPENBLAS_THREAD_TIMEOUT", "4", 1);
    }
  }

  /**
   * Lets LibTorch ask for huge pages (THP_MEM_ALLOC_ENABLE=1) where it allocates 2 MiB and more,
   * unless the user has set this variable: a new tensor then costs one page fault for 2 MiB instead
   * of 512. No effect once LibTorch has allocated.
   */
  public static void useHugePages() {
    setenv("THP_MEM_ALLOC_ENABLE", "1", 0);
  }

  @Name("setenv")
  private static native int setenv(String name, String value, int overwrite);
}
