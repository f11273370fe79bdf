package org.prunepeft.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RenewalTest {
  @Test
  void itsThreadKeepsNothingOfTheRunThatBeginsIt(@TempDir Path temporary) {
    Thread caller = Thread.currentThread();
    ClassLoader context = caller.getContextClassLoader();
    caller.setContextClassLoader(ClassLoader.getPlatformClassLoader());
    try {
      RunDirectory run = RunDirectory.create(temporary.resolve("run"));
      List<Thread> threads =
          Thread.getAllStackTraces().keySet().stream()
              .filter(thread -> thread.getName().equals(Renewal.NAME))
              .toList();
      assertEquals(1, threads.size());
      assertSame(Renewal.class.getClassLoader(), threads.get(0).getContextClassLoader());
      run.complete();
    } finally {
      caller.setContextClassLoader(context);
    }
  }
}
