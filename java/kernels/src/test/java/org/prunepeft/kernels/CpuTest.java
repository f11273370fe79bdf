package org.prunepeft.kernels;

import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.prunepeft.testing.TestSeed;

/** A test of kernels on the CPU: seeded randomness, and a context that is closed after it. */
abstract class CpuTest {
  static final Device CPU = Device.cpu();

  final Random random = TestSeed.random();
  final Context context = new Context(CPU);

  @AfterEach
  void closeContext() {
    context.close();
  }
}
