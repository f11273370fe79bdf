package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.bytedeco.javacpp.Pointer;
import org.prunepeft.kernels.binding.DeviceStruct;
import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * Where a call's buffers lie and where its work runs. The same calls take CPU and CUDA buffers.
 * Immutable, usable from any thread; the CPU device needs no closing.
 */
public final class Device implements AutoCloseable {
  private static final Device CPU = new Device(LibPrunePeft.PP_CPU, 0, null, false);

  private final DeviceStruct struct;
  private final boolean cuda;
  private final boolean ownsStream;

  private Device(int type, int index, Pointer stream, boolean ownsStream) {
    this.ownsStream = ownsStream;
    struct = new DeviceStruct();
    // Shared and long-lived: no PointerScope of a caller may free it.
    struct.retainReference();
    struct.type(type).index(index).stream(stream);
    cuda = type == LibPrunePeft.PP_CUDA;
  }

  /** {@return the CPU} */
  public static Device cpu() {
    return CPU;
  }

  /**
   * {@return a CUDA device}
   *
   * @param index the device's ordinal, 0 or more
   * @param stream a cudaStream_t on which work is enqueued; null is the default stream
   * @throws KernelException if there is no such device, or its compute capability is below 8.0; the
   *     message says why
   */
  public static Device cuda(int index, Pointer stream) {
    requireCuda(index);
    return new Device(LibPrunePeft.PP_CUDA, index, stream, false);
  }

  /**
   * A CUDA device with a stream of its own, which waits for no other and ends with this object: for
   * work that is recorded ({@link DeviceGraph}).
   *
   * @param index the device's ordinal, 0 or more
   * @return the device, the caller's to close
   * @throws KernelException if there is no such device, or its compute capability is below 8.0; the
   *     message says why
   */
  public static Device cudaWithOwnStream(int index) {
    requireCuda(index);
    try (Device defaultStream = new Device(LibPrunePeft.PP_CUDA, index, null, false)) {
      Pointer stream = new Pointer();
      check(LibPrunePeft.pp_stream_create(defaultStream.struct, stream));
      return new Device(LibPrunePeft.PP_CUDA, index, stream, true);
    }
  }

  private static void requireCuda(int index) {
    int count = cudaCount();
    if (index < 0 || index >= count) {
      String reason =
          count == 0 ? LibPrunePeft.pp_last_error().getString() : "devices found: " + count;
      throw new KernelException(
          LibPrunePeft.PP_NO_DEVICE, "no CUDA device with index " + index + " (" + reason + ")");
    }
    cudaAbsence(index)
        .ifPresent(
            reason -> {
              throw new KernelException(LibPrunePeft.PP_NO_DEVICE, reason);
            });
  }

  /**
   * {@return how many CUDA devices there are, those included whose compute capability is too low; 0
   * in a build without CUDA or on a machine without driver}
   */
  public static int cudaCount() {
    int[] count = new int[1];
    check(LibPrunePeft.pp_device_count(LibPrunePeft.PP_CUDA, count));
    return count[0];
  }

  /**
   * {@return why no CUDA device can be used, in the native library's words, with what helps; empty
   * if one can}
   */
  public static Optional<String> cudaAbsence() {
    int count = cudaCount();
    if (count == 0) {
      return lastError();
    }
    List<String> reasons = new ArrayList<>();
    for (int index = 0; index < count; index++) {
      Optional<String> reason = cudaAbsence(index);
      if (reason.isEmpty()) {
        return reason;
      }
      reasons.add(reason.get());
    }
    return Optional.of(String.join("; ", reasons));
  }

  /**
   * {@return why a CUDA device cannot be used, in the native library's words; empty if it can} Sets
   * nothing up on it.
   *
   * @param index the device's ordinal
   */
  public static Optional<String> cudaAbsence(int index) {
    try (Device device = new Device(LibPrunePeft.PP_CUDA, index, null, false)) {
      return LibPrunePeft.pp_device_check(device.struct) == LibPrunePeft.PP_OK
          ? Optional.empty()
          : lastError();
    }
  }

  private static Optional<String> lastError() {
    return Optional.of(LibPrunePeft.pp_last_error().getString());
  }

  /** Waits until all work on this device's stream has ended. */
  public void synchronize() {
    check(LibPrunePeft.pp_synchronize(struct));
  }

  /** The ordinal of a CUDA device. */
  int index() {
    return struct.index();
  }

  /** {@return whether it is a GPU} */
  public boolean isCuda() {
    return cuda;
  }

  /**
   * {@return the type of trained weights, and of what is as narrow as they, in a call of a type: on
   * the CPU they are always float32}
   *
   * @param call the type of the call's activations
   */
  public DType trainedType(DType call) {
    return cuda ? call : DType.FLOAT32;
  }

  /** Whether work of both is enqueued on one stream, or both are the CPU. */
  boolean isSameAs(Device other) {
    return cuda == other.cuda
        && (!cuda || index() == other.index() && Objects.equals(stream(), other.stream()));
  }

  /** {@return which it is, for messages} */
  @Override
  public String toString() {
    if (!cuda) {
      return "the CPU";
    }
    Pointer stream = stream();
    return "CUDA device %d, %s"
        .formatted(
            index(),
            stream == null
                ? "the default stream"
                : "the stream at 0x" + Long.toHexString(stream.address()));
  }

  /** The stream that work is enqueued on; null is the default stream. */
  Pointer stream() {
    return struct.stream();
  }

  DeviceStruct struct() {
    return struct;
  }

  /**
   * Frees a CUDA device's record, and its stream if it is its own ({@link #cudaWithOwnStream}).
   * Does nothing to the CPU.
   */
  @Override
  public void close() {
    if (cuda) {
      if (ownsStream && !struct.isNull()) {
        check(LibPrunePeft.pp_stream_destroy(struct));
      }
      struct.releaseReference();
    }
  }
}
