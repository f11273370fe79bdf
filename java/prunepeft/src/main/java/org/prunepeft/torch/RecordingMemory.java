package org.prunepeft.torch;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.cuda.CUDAAllocator;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.cuda.DeviceAssertionsDataVectorCUDAKernelLaunchInfoVectorPair;
import org.bytedeco.pytorch.cuda.StreamFilter;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * Memory of the temporary tensors of recorded work. They are gone when it has been recorded, but
 * each launch writes to where they lay, so that it may become nobody else's: LibTorch's allocator
 * keeps a pool of its own for it, as long as a recording is there. Recordings share the pool, since
 * their launches follow one another and nothing in it outlasts one.
 */
final class RecordingMemory {
  /** LibTorch counts its own pools from 1. */
  private static final AtomicLong NAMES = new AtomicLong(1L << 48);

  private final byte device;
  private final CUDAAllocator allocator = torch_cuda.getAllocator();

  /** Which allocations go to the pool: those for the stream that is recorded. */
  private final StreamFilter filter;

  /** The pool's name, two numbers; null: there is no pool. */
  private LongPointer name;

  private int recordings;

  /**
   * @param stream that is recorded, kept as long as the process
   */
  RecordingMemory(int device, CUDAStream stream) {
    this.device = (byte) device;
    allocator.retainReference();
    long recorded = stream.stream().address();
    filter =
        new StreamFilter() {
          @Override
          public boolean call(Pointer other) {
            return other != null && other.address() == recorded;
          }
        };
    filter.retainReference();
  }

  /**
   * Has what the body allocates come from the pool; {@link #release} once for each. Memory that
   * LibTorch holds without a use, such as what the rehearsals had, is given back first, since it
   * gives none back in the meantime. That is of all devices: no recording may be going on.
   */
  synchronized <T> T during(Supplier<T> body) {
    allocator.emptyCache();
    if (name == null) {
      name = new LongPointer(0, NAMES.getAndIncrement());
      name.retainReference();
    }
    allocator.beginAllocateToPool(device, pool(), filter);
    recordings++;
    boolean done = false;
    try {
      T result = body.get();
      done = true;
      return result;
    } finally {
      allocator.endAllocateToPool(device, pool());
      if (!done) {
        release();
      }
    }
  }

  /** A recording is gone. With the last one the pool goes, and LibTorch may use its memory. */
  synchronized void release() {
    allocator.releasePool(device, pool());
    recordings--;
    if (recordings == 0) {
      // LibTorch takes no new users for a pool that has lost its last one.
      name.releaseReference();
      name = null;
    }
  }

  /**
   * The name as the presets pass it: they have one type for pairs, whose address is all that counts
   * here. One that they return would not do, for it holds a pair of vectors.
   */
  private DeviceAssertionsDataVectorCUDAKernelLaunchInfoVectorPair pool() {
    return new DeviceAssertionsDataVectorCUDAKernelLaunchInfoVectorPair(name);
  }
}
