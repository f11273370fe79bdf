package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.testing.FixedSeed;

/**
 * That one setting bounds LibTorch's threads, OpenBLAS's and ours, by counting those that were
 * busy.
 */
@FixedSeed("which threads are busy does not depend on the numbers")
class ThreadsTest {
  @AfterEach
  void restore() {
    Torch.setThreads(Runtime.getRuntime().availableProcessors());
  }

  /** Ticks of processor time by thread, the virtual machine's own left out. */
  private static Map<String, Long> ticks() {
    Map<String, Long> ticks = new HashMap<>();
    try (Stream<Path> threads = Files.list(Path.of("/proc/self/task"))) {
      for (Path thread : threads.toList()) {
        try {
          String stat = Files.readString(thread.resolve("stat"));
          String name = stat.substring(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
          String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
          if (!name.matches("(C1|C2|G1|GC|VM) .*")) {
            ticks.put(
                thread.getFileName().toString(),
                Long.parseLong(fields[11]) + Long.parseLong(fields[12]));
          }
        } catch (IOException e) {
          // The thread has ended.
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return ticks;
  }

  /**
   * How many threads had at least a fifth of the busiest one's time while all three pools had work.
   */
  private static long busyThreads() {
    Map<String, Long> before = ticks();
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape();
        Tensor w = RandomTensors.normal(512, 512);
        FrozenWeight linear = new FrozenWeight(w, null)) {
      Tensor x = RandomTensors.normal(1024, 512);
      Tensor a = RandomTensors.normal(16, 512).set_requires_grad(true);
      Tensor b = RandomTensors.normal(512, 16).set_requires_grad(true);
      for (int i = 0; i < 60; i++) {
        try (PointerScope step = new PointerScope()) {
          torch.gelu(torch.matmul(x, w));
          LinearOp.apply(tape, x, linear, List.of(new LoraModule<>(a, b, 1)), null)
              .sum()
              .backward();
        }
        tape.clear();
      }
    }
    Map<String, Long> used = ticks();
    used.replaceAll((thread, now) -> now - before.getOrDefault(thread, 0L));
    long most = used.values().stream().mapToLong(Long::longValue).max().orElseThrow();
    assumeTrue(most >= 5, "the work was too little to measure: " + most + " ticks");
    return used.values().stream().filter(own -> 5 * own >= most).count();
  }

  @Test
  void manyMoreThreadsThanProcessorsAreRefused() {
    for (int processors : new int[] {1, 2, 255}) {
      Threads.require(4 * processors, processors);
      String said =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> Threads.require(4 * processors + 1, processors))
              .getMessage();
      assertEquals(
          "threads must be at most %d, 4 for each of the %d processors here, got %d"
              .formatted(4 * processors, processors, 4 * processors + 1),
          said);
    }
    Threads.require(Threads.MOST, 256);
    String said =
        assertThrows(IllegalArgumentException.class, () -> Threads.require(Threads.MOST + 1, 1_000))
            .getMessage();
    assertEquals("threads must be in [1, 1024], got 1025", said);
  }

  @Test
  void oneThreadKeepsEveryPoolToTheCaller() {
    Torch.setThreads(1);
    assertEquals(1, Torch.threads());
    assertEquals(1, Kernels.threads());
    assertEquals(1, busyThreads());
  }

  @Test
  void twoThreadsPutTwoToWork() {
    assumeTrue(Runtime.getRuntime().availableProcessors() >= 2, "needs two processors");
    Torch.setThreads(2);
    assertEquals(2, Torch.threads());
    assertEquals(2, Kernels.threads());
    // The caller, and one thread of each pool: OpenBLAS's, OpenMP's and that of the kernels.
    long busy = busyThreads();
    assertTrue(busy >= 2 && busy <= 4, () -> busy + " busy threads");
  }
}
