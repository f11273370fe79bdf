package org.prunepeft.kernels;

import java.lang.ref.Cleaner;
import java.util.function.Consumer;
import org.bytedeco.javacpp.Pointer;

/**
 * A native object that is freed once, by {@link #close()} or else when its owner was forgotten.
 *
 * @param <P> the handle's type
 */
final class NativeObject<P extends Pointer> implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();

  private final String name;
  private final CleanUp<P> cleanUp;
  private final Cleaner.Cleanable cleanable;

  /** Apart from the owner, which the cleaner must not keep alive. */
  private static final class CleanUp<P extends Pointer> implements Runnable {
    private final Consumer<P> free;
    private P handle;

    CleanUp(P handle, Consumer<P> free) {
      this.handle = handle;
      this.free = free;
    }

    @Override
    public synchronized void run() {
      if (handle != null) {
        free.accept(handle);
        handle.setNull();
        handle = null;
      }
    }

    synchronized P handle() {
      return handle;
    }
  }

  /**
   * @param owner whose end is the object's
   * @param handle as the native library gave it
   * @param free must not know the owner
   */
  NativeObject(Object owner, P handle, Consumer<P> free) {
    name = owner.getClass().getSimpleName();
    cleanUp = new CleanUp<>(handle, free);
    cleanable = CLEANER.register(owner, cleanUp);
  }

  /** The handle; throws {@link IllegalStateException} after {@link #close()}. */
  P open() {
    P handle = cleanUp.handle();
    if (handle == null) {
      throw new IllegalStateException("this " + name + " is closed");
    }
    return handle;
  }

  /** What cannot be freed now stays open, and can be freed later. */
  @Override
  public void close() {
    cleanUp.run();
    cleanable.clean();
  }
}
