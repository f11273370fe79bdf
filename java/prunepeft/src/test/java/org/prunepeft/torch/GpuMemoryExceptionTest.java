package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GpuMemoryExceptionTest {
  private static final String CALLS =
      "\nException raised from malloc at CUDACachingAllocator.cpp:1 (most recent call first):"
          + "\nframe #0: c10::Error::Error(c10::SourceLocation) + 0x10 (0x7f in libc10.so)\n";

  @ParameterizedTest
  @ValueSource(
      strings = {
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.19 GiB",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "allocating device memory: out of memory",
        "org.prunepeft.kernels.KernelException: allocating an importance plan: out of memory"
      })
  void namesWhatTakesLess(String reason) {
    RuntimeException failure = new RuntimeException(reason + CALLS);
    RuntimeException told = GpuMemoryException.of(failure);
    assertInstanceOf(GpuMemoryException.class, told);
    assertSame(failure, told.getCause());
    for (String message : new String[] {told.getMessage(), GpuMemoryException.message(failure)}) {
      assertTrue(message.startsWith(reason + "; "), message);
      assertFalse(message.contains("frame #"), message);
      assertTrue(message.contains("--gradient-checkpointing"), message);
      assertTrue(message.contains("-Dprunepeft.cuda-graphs=false"), message);
    }
    assertSame(told, GpuMemoryException.of(told));
    assertEquals(told.getMessage(), GpuMemoryException.message(told));
  }

  @Test
  void otherFailuresKeepTheirWordsWithoutTheCallsOfCpp() {
    RuntimeException failure =
        new RuntimeException("mat1 and mat2 shapes cannot be multiplied" + CALLS);
    assertSame(failure, GpuMemoryException.of(failure));
    assertEquals("mat1 and mat2 shapes cannot be multiplied", GpuMemoryException.message(failure));
    assertEquals(
        "a line\nand another",
        GpuMemoryException.message(new RuntimeException("a line\nand another")));
    assertEquals(
        "frame #1 is bad", GpuMemoryException.message(new RuntimeException("frame #1 is bad")));
    assertNull(GpuMemoryException.message(new RuntimeException()));
    RuntimeException none = new RuntimeException("bytes of memory could not be had");
    assertSame(none, GpuMemoryException.of(none));
  }
}
