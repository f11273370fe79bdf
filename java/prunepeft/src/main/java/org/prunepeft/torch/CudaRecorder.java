package org.prunepeft.torch;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.cuda.CUDAAllocator;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.global.torch_cuda;
import org.prunepeft.kernels.DeviceGraph;

/**
 * Records LibTorch's operations and our kernels on a GPU, on a stream of its own. Loaded where
 * LibTorch's GPU build is, and only there.
 *
 * <p>Launches go to one stream, the current one, and so follow one another: recordings may share
 * the memory of their temporary tensors, {@link RecordingMemory}. Nor does a launch meet a
 * rehearsal, of another thread's work say: LibTorch keeps cuBLAS's scratch memory by handle and
 * stream, the handle is that of autograd's one thread for the device, and so both use the same.
 */
final class CudaRecorder implements RecordedWork.Recorder {
  private static final ConcurrentMap<Integer, CudaRecorder> RECORDERS = new ConcurrentHashMap<>();

  /** Held while anything is recorded, on whichever device: see {@link RecordingMemory#during}. */
  private static final ReentrantLock RECORDING = new ReentrantLock();

  private final int index;
  private final CUDAStream stream;
  private final RecordingMemory memory;

  private CudaRecorder(int index) {
    this.index = index;
    stream = torch_cuda.getStreamFromPool(false, (byte) index);
    // As long as the process, whatever scope it is made in.
    stream.retainReference();
    memory = new RecordingMemory(index, stream);
  }

  /** The recorder of a device, which it keeps. */
  static CudaRecorder of(int index) {
    return RECORDERS.computeIfAbsent(index, CudaRecorder::new);
  }

  /**
   * Has LibTorch's allocator give back what it holds without a use, of all devices; not while
   * anything is recorded, which that would void.
   *
   * @return whether it did
   */
  static boolean emptyCacheUnlessRecording() {
    // Nobody waits: what is recorded may itself be what needs memory.
    if (RECORDING.isHeldByCurrentThread() || !RECORDING.tryLock()) {
      return false;
    }
    try (PointerScope scope = new PointerScope()) {
      CUDAAllocator allocator = torch_cuda.getAllocator();
      if (allocator.initialized()) {
        allocator.emptyCache();
      }
      return true;
    } finally {
      RECORDING.unlock();
    }
  }

  @Override
  public void rehearse(Runnable work) {
    onOwnStream(
        () -> {
          try {
            work.run();
          } finally {
            // Nor does what is done about a failure meet what was enqueued before it.
            stream.synchronize();
          }
          return null;
        });
  }

  @Override
  public RecordedWork.Recording record(Runnable work) {
    ComputeDevice device = ComputeDevice.cuda(index);
    DeviceGraph graph;
    RECORDING.lock();
    try {
      graph = onOwnStream(() -> memory.during(() -> DeviceGraph.record(device.kernels(), work)));
    } finally {
      RECORDING.unlock();
    }
    return new RecordedWork.Recording() {
      @Override
      public void launch() {
        enqueue(graph, device);
      }

      @Override
      public void close() {
        graph.close();
        memory.release();
      }
    };
  }

  /** Behind a rehearsal that is going on; the next one waits for the stream's end. */
  private synchronized void enqueue(DeviceGraph graph, ComputeDevice device) {
    graph.launch(device.kernels());
  }

  /** With our stream as the calling thread's, once what the thread has enqueued is done. */
  private synchronized <T> T onOwnStream(Supplier<T> body) {
    try (CUDAStream before = torch_cuda.getCurrentCUDAStream((byte) index)) {
      before.synchronize();
      torch_cuda.setCurrentCUDAStream(stream);
      try {
        return body.get();
      } finally {
        torch_cuda.setCurrentCUDAStream(before);
      }
    }
  }
}
