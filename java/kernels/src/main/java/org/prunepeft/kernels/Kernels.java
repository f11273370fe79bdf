package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.IntPredicate;
import org.prunepeft.kernels.binding.LibPrunePeft;
import org.prunepeft.kernels.binding.ReleaseMemoryFunction;

/** The native library as a whole: version, threads, instruction set. */
public final class Kernels {
  /** As long as the native library may call it; null: nobody is asked. */
  private static ReleaseMemory release;

  private Kernels() {}

  /** Called by the native library, on any thread. */
  private static final class ReleaseMemory extends ReleaseMemoryFunction {
    private final IntPredicate release;

    ReleaseMemory(IntPredicate release) {
      this.release = release;
    }

    @Override
    public int call(int device) {
      try {
        return release.test(device) ? 1 : 0;
      } catch (RuntimeException | Error e) {
        // The call that needs memory then says that there is none.
        return 0;
      }
    }
  }

  /**
   * Sets who gives memory of a GPU back that another library of the process holds without a use: it
   * is asked where a buffer, a plan or scratch memory cannot be had, which is then tried once more.
   * For the whole process, and not while another thread calls this library.
   *
   * @param release is given the device's ordinal, on any thread, and says whether it gave something
   *     back; may not call this library. Null: nobody is asked
   * @return who was asked before, and is not any more unless {@code release} asks it; null: nobody
   */
  public static synchronized IntPredicate releaseMemoryBy(IntPredicate release) {
    IntPredicate before = Kernels.release == null ? null : Kernels.release.release;
    ReleaseMemory given = release == null ? null : new ReleaseMemory(release);
    if (given != null) {
      given.retainReference();
    }
    check(LibPrunePeft.pp_set_release_memory(given));
    if (Kernels.release != null) {
      Kernels.release.releaseReference();
    }
    Kernels.release = given;
    return before;
  }

  /** {@return the native library's version} */
  public static String version() {
    return LibPrunePeft.pp_version().getString();
  }

  /**
   * {@return the archive or the folder that the native libraries come from; empty: they come from
   * neither, such as from an archive in another one}
   *
   * @throws UncheckedIOException if the archive can't be read
   */
  public static Optional<Path> nativeCode() {
    try {
      return NativeLibraries.origin();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
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
