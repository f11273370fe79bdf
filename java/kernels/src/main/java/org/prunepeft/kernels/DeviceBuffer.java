package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import java.util.function.Consumer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.prunepeft.kernels.binding.DeviceStruct;
import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * Memory of a device, for callers whose buffers no other library gives. Freed by {@link #close()},
 * or else when it was forgotten. Copies wait for the device's stream.
 */
public final class DeviceBuffer implements AutoCloseable {
  private final Device device;
  private final long bytes;
  private final NativeObject<Pointer> memory;

  /** Its memory with a length that JavaCPP knows; the buffer lives as long as this does. */
  private static final class View extends BytePointer {
    private final DeviceBuffer buffer;

    View(DeviceBuffer buffer) {
      super(buffer.memory.open());
      this.buffer = buffer;
      capacity(buffer.bytes);
    }

    DeviceBuffer buffer() {
      return buffer;
    }
  }

  /**
   * Not cleared.
   *
   * @param device where the memory lies
   * @param bytes 0 or more
   * @throws KernelException if there is not so much memory
   */
  public DeviceBuffer(Device device, long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("bytes must be 0 or more, got " + bytes);
    }
    this.device = device;
    this.bytes = bytes;
    Pointer allocated = new Pointer();
    check(LibPrunePeft.pp_allocate(device.struct(), bytes, allocated));
    memory = new NativeObject<>(this, allocated, free(device));
  }

  /**
   * {@return a float32 buffer with these values}
   *
   * @param device where the memory lies
   * @param values no more than fit
   */
  public static DeviceBuffer of(Device device, float... values) {
    DeviceBuffer buffer = new DeviceBuffer(device, 4L * values.length);
    buffer.put(values);
    return buffer;
  }

  /** {@return its size in bytes} */
  public long bytes() {
    return bytes;
  }

  /** Throws if a pointer is to the memory of a buffer that was closed. */
  static void requireOpen(Pointer pointer) {
    Pointer source = pointer;
    while (source instanceof Place place) {
      source = place.from();
    }
    if (source instanceof View view) {
      view.buffer().memory.open();
    }
  }

  /** The device may be closed by then; its stream is not needed. */
  private static Consumer<Pointer> free(Device device) {
    int type = device.isCuda() ? LibPrunePeft.PP_CUDA : LibPrunePeft.PP_CPU;
    int index = device.index();
    return own -> {
      try (DeviceStruct struct = new DeviceStruct()) {
        check(LibPrunePeft.pp_free(struct.type(type).index(index).stream(null), own));
      }
    };
  }

  /**
   * {@return a pointer of its own to the memory, which lies on the device: its contents are not to
   * be touched from Java if that is no CPU} The memory is not freed for being forgotten as long as
   * the pointer, or a matrix of it, is not; a typed pointer that is made of it keeps nothing.
   *
   * @throws IllegalStateException after {@link #close()}
   */
  public BytePointer pointer() {
    return new View(this);
  }

  /**
   * {@return this memory as a dense float32 matrix}
   *
   * @param rows 0 or more
   * @param cols 0 or more; rows · cols · 4 bytes must fit
   */
  public Matrix matrix(long rows, long cols) {
    return Matrix.of(pointer(), rows, cols);
  }

  /**
   * Copies float32 values to the beginning of the buffer.
   *
   * @param values no more than fit
   */
  public void put(float[] values) {
    require(4L * values.length);
    try (FloatPointer host = new FloatPointer(values)) {
      check(
          LibPrunePeft.pp_copy_to_device(device.struct(), memory.open(), host, 4L * values.length),
          this);
    }
  }

  /**
   * Copies bytes from host memory to the beginning of the buffer.
   *
   * @param host memory of the host, with as many bytes or more
   * @param count no more than fit
   */
  public void put(Pointer host, long count) {
    require(count);
    check(
        LibPrunePeft.pp_copy_to_device(device.struct(), memory.open(), Place.of(host), count),
        this);
  }

  /**
   * Copies float32 values from the beginning of the buffer.
   *
   * @param count no more than fit
   * @return a copy
   */
  public float[] floats(int count) {
    require(4L * count);
    float[] values = new float[count];
    try (FloatPointer host = new FloatPointer(count)) {
      check(LibPrunePeft.pp_copy_to_host(device.struct(), host, memory.open(), 4L * count), this);
      host.get(values);
    }
    return values;
  }

  /**
   * Copies float64 values from the beginning of the buffer.
   *
   * @param count no more than fit
   * @return a copy
   */
  public double[] doubles(int count) {
    require(8L * count);
    double[] values = new double[count];
    try (DoublePointer host = new DoublePointer(count)) {
      check(LibPrunePeft.pp_copy_to_host(device.struct(), host, memory.open(), 8L * count), this);
      host.get(values);
    }
    return values;
  }

  private void require(long wanted) {
    if (wanted > bytes) {
      throw new IllegalArgumentException(
          "the buffer has " + bytes + " bytes, fewer than the " + wanted + " to copy");
    }
  }

  /** Frees the memory; the device's work with it must have ended or be on its stream already. */
  @Override
  public void close() {
    memory.close();
  }
}
