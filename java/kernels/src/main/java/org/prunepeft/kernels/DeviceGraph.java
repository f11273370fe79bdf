package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import org.bytedeco.javacpp.Pointer;
import org.prunepeft.kernels.binding.GraphHandle;
import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * Work of a CUDA device recorded once and then done again as one launch: a CUDA graph.
 *
 * <p>It keeps what its calls were given: the memory of matrices and contexts, which has to outlive
 * it, and every number, such as a factor or a learning rate. What is to differ from launch to
 * launch has to lie in the device's memory, as a {@link Dropout}'s step can ({@link
 * Dropout#counter}). Not for two threads at once.
 */
public final class DeviceGraph implements AutoCloseable {
  private final NativeObject<GraphHandle> graph;

  private DeviceGraph(GraphHandle handle) {
    graph = new NativeObject<>(this, handle, LibPrunePeft::pp_graph_destroy);
  }

  /**
   * Records what is enqueued on the device's stream, by our kernels or by others. Nothing of it is
   * carried out. Contexts must have grown to what it needs before: memory cannot be had meanwhile.
   *
   * @param device with a stream that is not the default one: another library's ({@link
   *     Device#cuda}) or, where there is none, its own ({@link Device#cudaWithOwnStream})
   * @param work what it throws is thrown, and the stream works as ever
   * @return the recording, the caller's to close
   * @throws KernelException if the device is the CPU, or if something in {@code work} cannot be
   *     recorded: it allocates or waits
   */
  public static DeviceGraph record(Device device, Runnable work) {
    check(LibPrunePeft.pp_graph_begin(device.struct()));
    GraphHandle handle = new GraphHandle((Pointer) null);
    try {
      work.run();
    } catch (RuntimeException | Error e) {
      if (LibPrunePeft.pp_graph_end(device.struct(), handle) == LibPrunePeft.PP_OK) {
        LibPrunePeft.pp_graph_destroy(handle);
      }
      throw e;
    }
    check(LibPrunePeft.pp_graph_end(device.struct(), handle));
    return new DeviceGraph(handle);
  }

  /**
   * Enqueues the work.
   *
   * @param device the graph's, with any stream
   * @throws IllegalStateException after {@link #close()}
   */
  public void launch(Device device) {
    check(LibPrunePeft.pp_graph_launch(device.struct(), graph.open()), this);
  }

  /** Frees the graph; work that it has launched goes on to its end. */
  @Override
  public void close() {
    graph.close();
  }
}
