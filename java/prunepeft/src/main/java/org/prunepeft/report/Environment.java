package org.prunepeft.report;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.io.CodeChecksum;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Torch;

/** What a run of this process computes with. Each method loads the native libraries it asks. */
public final class Environment {
  /** A tokenizer of one word; enough to load the native library. */
  private static final byte[] SMALLEST_TOKENIZER =
      "{\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"[UNK]\": 0}, \"unk_token\": \"[UNK]\"}}"
          .getBytes(StandardCharsets.UTF_8);

  /** Read once: where an installation is replaced, this process has what was there before. */
  private static final class Build {
    static final String CHECKSUM = CodeChecksum.of(code());
  }

  private Environment() {}

  /** The archives or folders of the program's classes and native libraries. */
  static Set<Path> code() {
    return Stream.of(
            CodeChecksum.origin(Environment.class),
            CodeChecksum.origin(Kernels.class),
            Kernels.nativeCode())
        .flatMap(Optional::stream)
        .collect(Collectors.toCollection(LinkedHashSet::new));
  }

  /**
   * {@return versions of all that has a part in the numbers, as runs keep them} Two states of the
   * program under the same version differ by {@code prunepeft_build}, a checksum of its classes and
   * native code, as far as they come from archives or folders.
   *
   * @throws LinkageError if a native library does not load
   */
  public static Map<String, String> versions() {
    Map<String, String> versions = new LinkedHashMap<>();
    versions.put("prunepeft_build", Build.CHECKSUM);
    versions.put("prunepeft_kernels", Kernels.version());
    versions.put("instruction_set", Kernels.isa().name().toLowerCase(Locale.ROOT));
    versions.put("libtorch", Torch.version());
    versions.put("java", System.getProperty("java.version"));
    versions.put("os", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    return versions;
  }

  /**
   * {@return threads of LibTorch's pool as they are now}
   *
   * @throws LinkageError if LibTorch does not load
   */
  public static int torchThreads() {
    Torch.load();
    return Torch.threads();
  }

  /**
   * {@return whether the tokenizers' library gives a word its token}
   *
   * @throws LinkageError if it does not load
   */
  public static boolean tokenizes() {
    try (Tokenizer tokenizer = Tokenizer.of(SMALLEST_TOKENIZER, 8)) {
      return tokenizer.encode("word", null).ids().length == 1;
    }
  }

  /**
   * {@return what LibTorch takes that may be missing where it does not load; empty: nothing but
   * what the system has} Loads no native library.
   */
  public static Optional<String> requiredLibraries() {
    return ComputeDevice.requiredLibraries();
  }

  /**
   * {@return why no GPU can be used, with what to do; empty if one can}
   *
   * @throws LinkageError if a native library does not load
   */
  public static Optional<String> gpuAbsence() {
    Torch.load();
    return ComputeDevice.cudaAbsence();
  }
}
