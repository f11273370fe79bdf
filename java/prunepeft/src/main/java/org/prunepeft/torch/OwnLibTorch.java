package org.prunepeft.torch;

import java.net.URL;
import java.util.List;
import org.bytedeco.javacpp.ClassProperties;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.presets.openblas;
import org.bytedeco.openblas.presets.openblas_nolapack;
import org.bytedeco.pytorch.presets.torch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The presets' LibTorch on a machine that has another one. JavaCPP loads libtorch.so before
 * libtorch_cpu.so, which it needs; the dynamic linker then takes a libtorch_cpu.so of
 * LD_LIBRARY_PATH or, while the presets' own is not extracted, of the system's (Debian's
 * libtorch-dev, which comes with python3-torch). Two versions in one process end it by a
 * segmentation fault.
 */
final class OwnLibTorch {
  private static final Logger LOG = LoggerFactory.getLogger(OwnLibTorch.class);

  /** In the order in which they need each other; all need OpenBLAS. */
  private static final List<String> LIBRARIES = List.of("gomp@.1", "c10", "torch_cpu");

  private OwnLibTorch() {}

  /**
   * Loads what libtorch.so needs, so that the linker has it by name already. To be called before
   * any other use of LibTorch. The GPU build needs CUDA's libraries first, which JavaCPP looks for;
   * there, and where this fails, JavaCPP goes its own way.
   */
  static void load() {
    if (ComputeDevice.isGpuBuild()) {
      return;
    }
    try {
      Loader.load(openblas_nolapack.class);
      Loader.load(openblas.class);
      ClassProperties properties =
          Loader.loadProperties(torch.class, Loader.loadProperties(), true);
      for (String library : LIBRARIES) {
        URL[] places = Loader.findLibrary(torch.class, properties, library);
        if (places.length == 0) {
          return;
        }
        Loader.loadLibrary(torch.class, places, library);
      }
    } catch (LinkageError | RuntimeException e) {
      LOG.debug("LibTorch's libraries are loaded in JavaCPP's order", e);
    }
  }
}
