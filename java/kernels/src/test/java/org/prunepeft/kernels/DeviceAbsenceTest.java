package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.testing.EndedProcess;

/**
 * What is said where no device can be used: the emulated machine is another one in a process of its
 * own.
 */
@Tag("device")
class DeviceAbsenceTest {
  /** What a process on such a machine gets to know. */
  static final class Report {
    public static void main(String[] arguments) {
      System.out.println(Device.cudaCount());
      System.out.println(Device.cudaAbsence().orElse("none"));
      try (Device device = Device.cuda(0, null)) {
        System.out.println("a device");
      } catch (KernelException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  private static List<String> report(String variable, String value) throws Exception {
    String libraries = System.getProperty("java.library.path");
    assumeTrue(libraries.contains("stand-in"), "the device is not an emulated one");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(argument -> argument.startsWith("-D"))
        .forEach(command::add);
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Report.class.getName()));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    // They are among the arguments above; named again, each virtual machine would say that it saw
    // them.
    builder.environment().keySet().removeAll(List.of("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"));
    builder.environment().put(variable, value);
    EndedProcess ended = EndedProcess.of(builder, Duration.ofMinutes(10));
    assertEquals(0, ended.exitValue(), ended.text());
    return ended.text().lines().toList();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "DRIVER | 0 | no NVIDIA driver is installed, or a container hides it",
        "DRIVER | 12040 | the NVIDIA driver is for CUDA 12.4 and this build needs CUDA 13.0; update the driver",
        "DEVICES | 0 | the NVIDIA driver finds none; CUDA_VISIBLE_DEVICES, where it is set, must name those to use",
      })
  void noDeviceIsCountedAndTheReasonNamesWhatHelps(String what, String value, String reason)
      throws Exception {
    String absence = "no CUDA devices: " + reason;
    assertEquals(
        List.of("0", absence, "no CUDA device with index 0 (" + absence + ")"),
        report("PRUNEPEFT_EMULATED_" + what, value));
  }

  @Test
  void aDeviceThatIsTooOldIsCountedAndRefusedByItsCapability() throws Exception {
    String reason = "CUDA device 0 has compute capability 7.0, and the kernels need 8.0 or newer";
    assertEquals(List.of("1", reason, reason), report("PRUNEPEFT_EMULATED_CAPABILITY", "7"));
  }

  @Test
  void aNewerOneIsTaken() throws Exception {
    assertEquals(List.of("1", "none", "a device"), report("PRUNEPEFT_EMULATED_CAPABILITY", "9"));
  }
}
