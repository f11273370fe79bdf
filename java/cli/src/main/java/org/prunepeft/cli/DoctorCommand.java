package org.prunepeft.cli;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.task.GlueTask;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.model.Models;
import org.prunepeft.model.Pretrained;
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

  /**
   * What is said of a piece.
   *
   * @param failed whether every run needs it and it does not work
   */
  private record Line(String name, String text, boolean failed) {}

  @Override
  public Integer call() throws InterruptedException, ExecutionException {
    // The rest is looked at while LibTorch is loaded, which takes as long.
    ExecutorService beside = Executors.newCachedThreadPool();
    List<Future<Line>> tasks =
        Tasks.names().stream()
            // That of GLUE's is the user's.
            .filter(task -> !(Tasks.byName(task) instanceof GlueTask))
            .map(task -> beside.submit(() -> line(task)))
            .toList();
    Future<Line> tokenizers =
        beside.submit(() -> line("tokenizers", true, DoctorCommand::tokenizers));
    System.out.printf("%-16s %s%n", "java", java());
    check("kernels", DoctorCommand::kernels);
    // What they share with LibTorch, JavaCPP's own library, is loaded once that of the kernels is.
    List<Future<Line>> models =
        Models.all().stream().map(model -> beside.submit(() -> line(model))).toList();
    beside.shutdown();
    check("libtorch", DoctorCommand::libTorch);
    print(tokenizers.get());
    check("gpu", DoctorCommand::gpu);
    System.out.printf("%-16s %s%n", "memory", memory());
    for (Future<Line> model : models) {
      print(model.get());
    }
    for (Future<Line> task : tasks) {
      print(task.get());
    }
    return failed ? 1 : 0;
  }

  private void check(String name, Callable<String> piece) {
    print(line(name, true, piece));
  }

  private void print(Line line) {
    failed |= line.failed;
    System.out.printf("%-16s %s%n", line.name, line.text);
  }

  private static Line line(Models.KnownModel model) {
    return line("model " + model.name(), model.name().equals("minilm"), () -> model(model));
  }

  private static Line line(String task) {
    return line("task " + task, task.equals("wordnet"), () -> task(task));
  }

  /** What a piece says of itself, or why it does not work. */
  private static Line line(String name, boolean needed, Callable<String> piece) {
    try {
      return new Line(name, piece.call(), false);
    } catch (Exception | Error e) {
      String sort = needed ? "DOES NOT WORK: " : "not here: ";
      return new Line(name, sort + Main.message(e), needed);
    }
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
    return String.format(
        Locale.ROOT,
        "%,d MB, of which Java's heap may take %,d MB",
        machine >> 20,
        Runtime.getRuntime().maxMemory() >> 20);
  }

  private static String model(Models.KnownModel entry) throws IOException {
    if (entry.download() == null) {
      read(entry.loader());
      return "reads";
    }
    return Files.exists(entry.download().file())
        ? "at " + entry.download().file()
        : "not here; prunepeft models --fetch %s (%d MB)"
            .formatted(entry.name(), entry.download().megabytes());
  }

  private static void read(Models.Loader loader) throws IOException {
    try (Pretrained parts = loader.open()) {
      parts.encoder();
    } catch (UnsupportedOperationException e) {
      // One that a Java program has registered, which need not be made of files.
      loader.load().encoder().close();
    }
  }

  private static String task(String name) {
    Tasks.byName(name).load(new SplitSizes(1, 1, 1), 0, 0);
    return "reads";
  }
}
