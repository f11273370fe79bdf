package org.prunepeft.cli;

import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.task.GlueTask;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.model.Models;
import org.prunepeft.report.Environment;
import org.prunepeft.torch.ComputeDevice;
import picocli.CommandLine.Command;

@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description = {
      "Looks whether all that a run needs works here: native libraries, threads, GPU, models and data.",
      "",
      "Exit code 1 if something that every run needs does not work."
    })
final class DoctorCommand implements Callable<Integer> {
  private boolean failed;

  @Override
  public Integer call() {
    System.out.printf("%-16s %s%n", "java", java());
    check("kernels", DoctorCommand::kernels);
    check("libtorch", DoctorCommand::libTorch);
    check("tokenizers", DoctorCommand::tokenizers);
    check("gpu", DoctorCommand::gpu);
    System.out.printf("%-16s %s%n", "memory", memory());
    for (Models.KnownModel entry : Models.all()) {
      look("model " + entry.name(), entry.download() == null, () -> model(entry));
    }
    for (String task : Tasks.names()) {
      if (Tasks.byName(task) instanceof GlueTask) {
        // Its data is the user's.
        continue;
      }
      look("task " + task, task.equals("wordnet"), () -> task(task));
    }
    return failed ? 1 : 0;
  }

  /** Shows what a piece says of itself, or why it does not work. */
  private void check(String name, Callable<String> piece) {
    look(name, true, piece);
  }

  private void look(String name, boolean needed, Callable<String> piece) {
    String line;
    try {
      line = piece.call();
    } catch (Exception | Error e) {
      failed |= needed;
      line = (needed ? "DOES NOT WORK: " : "not here: ") + Main.message(e);
    }
    System.out.printf("%-16s %s%n", name, line);
  }

  private static String java() {
    return "%s (%s), %s %s, %d processors"
        .formatted(
            System.getProperty("java.version"),
            System.getProperty("java.vendor"),
            System.getProperty("os.name"),
            System.getProperty("os.arch"),
            Runtime.getRuntime().availableProcessors());
  }

  private static String kernels() {
    return "%s, instruction set %s (the processor's widest: %s), %d threads"
        .formatted(
            Kernels.version(),
            Kernels.isa().name().toLowerCase(Locale.ROOT),
            Kernels.supportedIsa().name().toLowerCase(Locale.ROOT),
            Kernels.threads());
  }

  private static String libTorch() {
    int threads = Environment.torchThreads();
    return "%s, %d threads".formatted(Environment.versions().get("libtorch"), threads);
  }

  private static String tokenizers() {
    return Environment.tokenizes() ? "load" : "load, but give no token";
  }

  private static String gpu() {
    return Environment.gpuAbsence().map(reason -> "none: " + reason).orElseGet(DoctorCommand::gpus);
  }

  /** How many, which one is taken, and those that cannot be. */
  private static String gpus() {
    int count = Device.cudaCount();
    StringBuilder text = new StringBuilder();
    text.append(count).append(" found; --device auto takes ").append(ComputeDevice.parse("auto"));
    for (int index = 0; index < count; index++) {
      Device.cudaAbsence(index).ifPresent(reason -> text.append("; ").append(reason));
    }
    return text.toString();
  }

  private static String memory() {
    long machine =
        ManagementFactory.getOperatingSystemMXBean()
                instanceof com.sun.management.OperatingSystemMXBean bean
            ? bean.getTotalMemorySize()
            : 0;
    return "%,d MB, of which Java's heap may take %,d MB"
        .formatted(machine >> 20, Runtime.getRuntime().maxMemory() >> 20);
  }

  private static String model(Models.KnownModel entry) {
    if (entry.download() == null) {
      entry.loader().load().encoder().close();
      return "loads";
    }
    return Files.exists(entry.download().file())
        ? "at " + entry.download().file()
        : "not here; prunepeft models --fetch %s (%d MB)"
            .formatted(entry.name(), entry.download().megabytes());
  }

  private static String task(String name) {
    Tasks.byName(name).load(new SplitSizes(1, 1, 1), 0, 0);
    return "reads";
  }
}
