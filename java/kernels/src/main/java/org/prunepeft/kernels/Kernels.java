package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import org.prunepeft.kernels.binding.LibPrunePeft;

/** The native library as a whole: version, threads, instruction set. */
public final class Kernels {
  private Kernels() {}

  /** {@return the native library's version} */
  public static String version() {
    return LibPrunePeft.pp_version().getString();
  }

  /**
   * Sets how many threads CPU kernels use, for the whole process. No result depends on it. A call
   * that runs on another thread keeps the number that it began with.
   *
   * @param threads 1 or more
   * @throws KernelException if {@code threads} is less than 1
   */
  public static void setThreads(int threads) {
    check(LibPrunePeft.pp_set_num_threads(threads));
  }

  /**
   * {@return how many threads CPU kernels use; at first the number of processors that the process
   * may run on}
   */
  public static int threads() {
    return LibPrunePeft.pp_num_threads();
  }

  /** {@return the instruction set in use} */
  public static Isa isa() {
    return Isa.values()[LibPrunePeft.pp_cpu_isa()];
  }

  /** {@return the widest instruction set that this processor has and the library knows} */
  public static Isa supportedIsa() {
    return Isa.values()[LibPrunePeft.pp_cpu_isa_supported()];
  }

  /**
   * Chooses an instruction set for the whole process; for tests and comparisons.
   *
   * @param isa one that the processor has; see {@link #supportedIsa}
   * @throws KernelException if the processor lacks it
   */
  public static void setIsa(Isa isa) {
    check(LibPrunePeft.pp_set_cpu_isa(isa.ordinal()));
  }
}
