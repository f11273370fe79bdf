package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;
import org.prunepeft.testing.TestSeed;

class ContextTest {
  private final Random random = TestSeed.random();

  /** S of a module with so many inputs. */
  private Buffer call(Context context, int inputs) {
    Buffer s = Buffer.poisoned(3, 8);
    LoraModule<Matrix> module =
        new LoraModule<>(Buffer.filled(1, 8, inputs, inputs).matrix(), null, 1);
    Matrix x = Buffer.filled(1, 3, inputs, inputs).matrix();
    Linear.down(context, x, List.of(new LoraPass(module, s.matrix())));
    return s;
  }

  @Test
  void scratchMemoryGrowsToTheLargestNeedAndIsUsedAgain() {
    try (Context context = new Context(Device.cpu())) {
      assertEquals(0, context.bytes());
      call(context, 5000);
      long large = context.bytes();
      assertTrue(large > 0);
      call(context, 5);
      call(context, 5000);
      assertEquals(large, context.bytes());
      call(context, 500_000);
      assertTrue(context.bytes() > large);
    }
  }

  @Test
  void aContextOutlivesThePointerScopeItWasMadeIn() {
    Context context;
    try (PointerScope scope = new PointerScope()) {
      assertNotNull(scope);
      context = new Context(Device.cpu());
      call(context, 10);
    }
    assertEquals(10, call(context, 10).floats()[0]);
    context.close();
  }

  @Test
  void aClosedContextIsRefused() {
    Context context = new Context(Device.cpu());
    context.close();
    context.close();
    IllegalStateException closed =
        assertThrows(IllegalStateException.class, () -> call(context, 10));
    assertEquals("this Context is closed", closed.getMessage());
    assertThrows(IllegalStateException.class, context::bytes);
  }

  /** More than the structs that a context begins with, each in its own place. */
  @Test
  void aCallMayHaveMoreModulesThanTheOneBefore() {
    try (Context context = new Context(Device.cpu())) {
      for (int modules : new int[] {1, 16, 3}) {
        Buffer x = Buffer.random(random, 4, 9);
        Buffer[] s = new Buffer[modules];
        LoraPass[] passes = new LoraPass[modules];
        Estimate[] expected = new Estimate[modules];
        for (int i = 0; i < modules; i++) {
          Buffer a = Buffer.random(random, i + 1, 9);
          s[i] = Buffer.poisoned(4, i + 1);
          passes[i] = new LoraPass(new LoraModule<>(a.matrix(), null, i), s[i].matrix());
          Estimate product = x.estimate().times(a.estimate().transposed(), Estimate.gamma(9));
          expected[i] = product.scaled(i);
        }
        Linear.down(context, x.matrix(), List.of(passes));
        for (int i = 0; i < modules; i++) {
          s[i].assertHolds(expected[i], "S of module " + i);
        }
      }
    }
  }

  @Test
  void aLinearOfManyRunsServesEachByItsModule() {
    int runs = Linear.MOST_RUNS;
    try (Context context = new Context(Device.cpu())) {
      Buffer x = Buffer.random(random, 2 * runs, 5);
      Buffer s = Buffer.poisoned(2 * runs, 1);
      Buffer same = Buffer.poisoned(2 * runs, 1);
      Buffer a = Buffer.random(random, 1, 5);
      LoraModule<Matrix> module = new LoraModule<>(a.matrix(), null, 1);
      LoraPass[] passes = new LoraPass[runs];
      for (int i = 0; i < runs; i++) {
        passes[i] = new LoraPass(module.on(new Rows(2L * i, 2)), s.matrix());
      }
      Linear.down(context, x.matrix(), List.of(passes));
      Linear.down(context, x.matrix(), List.of(new LoraPass(module, same.matrix())));
      assertArrayEquals(same.floats(), s.floats());
    }
  }
}
