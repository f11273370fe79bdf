package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

@EnabledOnOs(OS.LINUX)
class OwnLibTorchTest {
  @TempDir Path other;

  @Test
  void anotherLibTorchOnTheLoadersPathIsNotTaken() throws IOException, InterruptedException {
    Path source = Files.writeString(other.resolve("other.c"), ENDS_WHEN_LOADED);
    for (String library : new String[] {"libc10.so", "libtorch_cpu.so"}) {
      assumeTrue(
          run(List.of(
                  "cc", "-shared", "-fPIC", "-o", other.resolve(library).toString(), "" + source))
              .equals("exit code 0"),
          "cc, a C compiler, is not on this machine");
    }
    assertEquals(
        "3 values, exit code 0",
        run(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-cp",
                System.getProperty("java.class.path"),
                Program.class.getName())));
  }

  private static final String ENDS_WHEN_LOADED =
      "#include <unistd.h>\n__attribute__((constructor)) static void loaded(void) { _exit(77); }\n";

  /** What a program prints, and its exit code. */
  private String run(List<String> command) throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD);
    builder.environment().put("LD_LIBRARY_PATH", other.toString());
    Process process;
    try {
      process = builder.start();
    } catch (IOException e) {
      return e.getMessage();
    }
    String output = new String(process.getInputStream().readAllBytes());
    return output + "exit code " + process.waitFor();
  }

  /** Uses LibTorch. */
  static final class Program {
    private Program() {}

    public static void main(String[] arguments) {
      Torch.load();
      try (PointerScope scope = new PointerScope()) {
        System.out.print(torch.ones(3).numel() + " values, ");
      }
    }
  }
}
