package org.prunepeft.examples;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import org.junit.jupiter.api.Test;

class KernelsOnNd4jTest {
  @Test
  void kernelsMultiplyArraysAndAPartOfOne() {
    PrintStream before = System.out;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    System.setOut(new PrintStream(bytes, true));
    try {
      KernelsOnNd4j.main(new String[0]);
    } finally {
      System.setOut(before);
    }
    String[] words = bytes.toString().strip().split(" ");
    assertTrue(Double.parseDouble(words[2]) < 1e-3, bytes.toString());
  }
}
