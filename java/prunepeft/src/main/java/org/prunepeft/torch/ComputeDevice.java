package org.prunepeft.torch;

import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch_cuda;
import org.prunepeft.kernels.Device;

/**
 * Where tensors lie and where their operations run, LibTorch's and our kernels': the CPU or a GPU.
 * A value; usable from any thread.
 */
public final class ComputeDevice {
  /** The processor. */
  public static final ComputeDevice CPU = new ComputeDevice(-1);

  /** A library that only LibTorch's GPU build has. */
  private static final String GPU_BUILD = "/org/bytedeco/pytorch/linux-x86_64-gpu/libtorch_cuda.so";

  private static final String CPU_BUILD = "/org/bytedeco/pytorch/linux-x86_64/libtorch_cpu.so";

  /** With which JavaCPP takes it, where it is on the class path. */
  private static final String GPU_EXTENSION = "-gpu";

  private static final String ASK_FOR_GPU_BUILD =
      "Java has to be started with -Dorg.bytedeco.javacpp.platform.extension="
          + GPU_EXTENSION
          + " to load it";

  private static final String GPU_LIBRARIES = "CUDA 13 with CUPTI and cuFile, cuDNN 9 and NCCL 2";

  private static final Pattern NAME = Pattern.compile("cuda(?::(\\d{1,3}))?");

  /**
   * For tests: kernels of tensors on the CPU run on the first CUDA device of a native library that
   * emulates one.
   */
  private static final boolean EMULATED = Boolean.getBoolean("prunepeft.emulated-device");

  private static final ConcurrentMap<Long, Device> STREAMS = new ConcurrentHashMap<>();

  /** Ordinal of the GPU; -1: the CPU. */
  private final int index;

  private ComputeDevice(int index) {
    this.index = index;
  }

  /**
   * {@return where a tensor lies}
   *
   * @param tensor on the CPU or a GPU
   */
  public static ComputeDevice of(Tensor tensor) {
    if (!tensor.is_cuda()) {
      return CPU;
    }
    try (org.bytedeco.pytorch.Device device = tensor.device()) {
      return new ComputeDevice(device.index());
    }
  }

  /**
   * {@return the device of that name}
   *
   * @param name cpu; cuda or cuda:N, LibTorch's names of a GPU; auto: the first GPU that can be
   *     used, else the CPU
   * @throws IllegalArgumentException if there is no such name
   * @throws IllegalStateException if a GPU is asked for and cannot be used; the message says why
   */
  public static ComputeDevice parse(String name) {
    requireName(name);
    if (name.equals("cpu")) {
      return CPU;
    }
    if (name.equals("auto")) {
      return cudaAbsence().isPresent() ? CPU : ready(firstUsable());
    }
    Matcher cuda = NAME.matcher(name);
    cuda.matches();
    int wanted = cuda.group(1) == null ? 0 : Integer.parseInt(cuda.group(1));
    cudaAbsence().ifPresent(reason -> refuse(name, reason));
    int count = torch.cuda_device_count();
    if (wanted >= count) {
      throw new IllegalStateException(
          "there is no device %s: there are %d, cuda:0 to cuda:%d"
              .formatted(name, count, count - 1));
    }
    Device.cudaAbsence(wanted).ifPresent(reason -> refuse(name, reason));
    return ready(new ComputeDevice(wanted));
  }

  private static ComputeDevice ready(ComputeDevice device) {
    if (device.isCuda()) {
      GpuMemory.serveKernels();
    }
    return device;
  }

  private static void refuse(String name, String reason) {
    throw new IllegalStateException(
        "the device " + name + " cannot be used: " + reason + "; --device cpu works");
  }

  private static ComputeDevice firstUsable() {
    return IntStream.range(0, Device.cudaCount())
        .filter(index -> Device.cudaAbsence(index).isEmpty())
        .mapToObj(ComputeDevice::new)
        .findFirst()
        .orElse(CPU);
  }

  /**
   * Checks a device's name; whether there is such a device is not looked at.
   *
   * @param name cpu, cuda, cuda:N or auto
   * @throws IllegalArgumentException if {@link #parse} knows none of that name
   */
  public static void requireName(String name) {
    if (!name.equals("cpu") && !name.equals("auto") && !NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "the device must be cpu, cuda, cuda:N or auto, got " + name);
    }
  }

  /**
   * {@return why no GPU can be used, of the library's own kernels or of LibTorch, with what to do;
   * empty if one can}
   */
  public static Optional<String> cudaAbsence() {
    Optional<String> ours = Device.cudaAbsence();
    if (ours.isPresent()) {
      return ours;
    }
    Optional<String> unused = gpuBuildAbsence(hasGpuBuild(), extension());
    if (unused.isPresent()) {
      return unused;
    }
    try {
      Loader.load(torch_cuda.class);
    } catch (LinkageError e) {
      Throwable cause = e;
      while (cause.getCause() != null) {
        cause = cause.getCause();
      }
      return Optional.of(
          "LibTorch's CUDA libraries do not load; they need %s on the loader's path (%s)"
              .formatted(GPU_LIBRARIES, cause.getMessage()));
    }
    return torch.cuda_is_available()
        ? Optional.empty()
        : Optional.of("LibTorch finds no device, though the kernels do: its driver is too old");
  }

  /**
   * {@return why LibTorch's GPU build is not the one that is loaded; empty if it is}
   *
   * @param present whether it is on the class path
   * @param extension of JavaCPP's platform; null: none
   */
  static Optional<String> gpuBuildAbsence(boolean present, String extension) {
    if (!present) {
      return Optional.of(
          "LibTorch's CPU build is installed; PRUNEPEFT_GPU=1 ./prunepeft builds with its GPU build, as does Maven with"
              + " -Dprunepeft.cuda=ON -Dpytorch.platform=linux-x86_64-gpu");
    }
    return GPU_EXTENSION.equals(extension)
        ? Optional.empty()
        : Optional.of("LibTorch's GPU build is on the class path, but " + ASK_FOR_GPU_BUILD);
  }

  private static boolean hasGpuBuild() {
    return torch.class.getResource(GPU_BUILD) != null;
  }

  private static String extension() {
    return Loader.loadProperties().getProperty("platform.extension");
  }

  /** Whether LibTorch's GPU build is there, and JavaCPP is told to take it. */
  static boolean isGpuBuild() {
    return gpuBuildAbsence(hasGpuBuild(), extension()).isEmpty();
  }

  /**
   * {@return what LibTorch takes that may be missing where it does not load at all; empty: nothing
   * but what the system has}
   */
  public static Optional<String> requiredLibraries() {
    return requiredLibraries(
        hasGpuBuild(), torch.class.getResource(CPU_BUILD) != null, extension());
  }

  /**
   * The same.
   *
   * @param gpu whether LibTorch's GPU build is on the class path
   * @param cpu whether the CPU's is
   * @param extension of JavaCPP's platform; null: none
   */
  static Optional<String> requiredLibraries(boolean gpu, boolean cpu, String extension) {
    if (gpuBuildAbsence(gpu, extension).isEmpty()) {
      return Optional.of(
          "LibTorch's GPU build, which is installed, needs %s on the loader's path, for the CPU too"
              .formatted(GPU_LIBRARIES));
    }
    return gpu && !cpu
        ? Optional.of("LibTorch's GPU build alone is on the class path, and " + ASK_FOR_GPU_BUILD)
        : Optional.empty();
  }

  /** The GPU of that ordinal. */
  static ComputeDevice cuda(int index) {
    return new ComputeDevice(index);
  }

  /** Where work is recorded as graphs; empty on the CPU. */
  Optional<RecordedWork.Recorder> recorder() {
    return isCuda() ? Optional.of(CudaRecorder.of(index)) : Optional.empty();
  }

  /**
   * {@return a mark at the most memory that tensors took of this GPU; empty: it is the CPU, whose
   * memory is the process's}
   */
  public Optional<MemoryMark> memoryMark() {
    return isCuda() ? Optional.of(new CudaMemory(index)) : Optional.empty();
  }

  /** {@return whether it is a GPU} */
  public boolean isCuda() {
    return index >= 0;
  }

  /**
   * {@return the device as the kernels take it, with LibTorch's current stream of the calling
   * thread}
   */
  public Device kernels() {
    if (isCuda()) {
      Pointer stream = CudaStreams.current(index);
      long key = stream == null ? 0 : stream.address();
      // LibTorch has at most some dozens of streams a device, and addresses differ between devices.
      return STREAMS.computeIfAbsent(
          key * 64 + index, unused -> Device.cuda(index, stream == null ? null : stream));
    }
    return EMULATED ? Emulated.DEVICE : Device.cpu();
  }

  private static final class Emulated {
    static final Device DEVICE = Device.cuda(0, null);
  }

  /**
   * {@return a float32 tensor that holds a copy of the values}
   *
   * @param values row-major, as many as the shape has elements
   * @param shape extents, the slowest first
   */
  public Tensor floats(float[] values, long... shape) {
    return send(Torch.floats(values, shape));
  }

  /**
   * {@return an int64 tensor that holds a copy of the values}
   *
   * @param values row-major, as many as the shape has elements
   * @param shape extents, the slowest first
   */
  public Tensor longs(long[] values, long... shape) {
    return send(Torch.longs(values, shape));
  }

  /**
   * {@return an int32 tensor that holds a copy of the values}
   *
   * @param values row-major, as many as the shape has elements
   * @param shape extents, the slowest first
   */
  public Tensor ints(int[] values, long... shape) {
    return send(Tensor.create(values, shape));
  }

  /**
   * {@return a uint8 tensor that holds a copy of the values}
   *
   * @param values row-major, as many as the shape has elements
   * @param shape extents, the slowest first
   */
  public Tensor bytes(byte[] values, long... shape) {
    // Tensor.create throws and catches an exception for bytes.
    Tensor tensor = torch.empty(shape, CPU.options(torch.ScalarType.Byte), null);
    new BytePointer(tensor.data_ptr()).put(values, 0, values.length);
    return send(tensor);
  }

  /**
   * A tensor of the host's on this device. To a GPU it goes by way of page-locked memory, which
   * LibTorch keeps until the copy is done: it is enqueued, and nobody waits for it or for what was
   * enqueued before.
   */
  private Tensor send(Tensor tensor) {
    if (!isCuda()) {
      return tensor;
    }
    torch.ScalarType type = tensor.scalar_type().intern();
    return tensor.pin_memory().to(torchDevice(), type, true, false, new MemoryFormatOptional());
  }

  /**
   * {@return a zero float32 vector}
   *
   * @param length elements
   */
  public Tensor zeros(long length) {
    return torch.zeros(new long[] {length}, options(torch.ScalarType.Float));
  }

  /**
   * {@return an uninitialised float32 matrix}
   *
   * @param rows 0 or more
   * @param cols 0 or more
   */
  public Tensor emptyMatrix(long rows, long cols) {
    return emptyMatrix(rows, cols, torch.ScalarType.Float);
  }

  /**
   * {@return an uninitialised matrix of a type}
   *
   * @param rows 0 or more
   * @param cols 0 or more
   * @param type of elements; interned
   */
  public Tensor emptyMatrix(long rows, long cols, torch.ScalarType type) {
    return torch.empty(new long[] {rows, cols}, options(type), null);
  }

  /**
   * {@return the type of staged weights, and of what is as narrow as they}
   *
   * @param call the type of the call's activations: float32 or bfloat16
   */
  public torch.ScalarType stagedType(torch.ScalarType call) {
    return kernels().isCuda() ? call : torch.ScalarType.Float;
  }

  /**
   * {@return options for tensors of a type on this device}
   *
   * @param type of elements; interned
   */
  public TensorOptions options(torch.ScalarType type) {
    TensorOptions options = new TensorOptions(type);
    return isCuda() ? options.device(new DeviceOptional(torchDevice())) : options;
  }

  /**
   * {@return the tensor on this device: itself if it lies here, else a copy, when it is done}
   *
   * @param tensor on the CPU or a GPU
   */
  public Tensor place(Tensor tensor) {
    return equals(of(tensor)) ? tensor : tensor.to(torchDevice(), tensor.scalar_type().intern());
  }

  private org.bytedeco.pytorch.Device torchDevice() {
    return new org.bytedeco.pytorch.Device(toString());
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ComputeDevice device && device.index == index;
  }

  @Override
  public int hashCode() {
    return index;
  }

  /** LibTorch's name: cpu or cuda:0. */
  @Override
  public String toString() {
    return isCuda() ? "cuda:" + index : "cpu";
  }
}
