package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class TrainingNamesTest {
  @Test
  void aNameThatWasThereIsNumbered() {
    TrainingNames names = new TrainingNames();
    assertEquals("turn 1", names.next("turn 1"));
    assertEquals("round 1", names.next("round 1"));
    assertEquals("turn 1 (2)", names.next("turn 1"));
    assertEquals("turn 1 (3)", names.next("turn 1"));
  }
}
