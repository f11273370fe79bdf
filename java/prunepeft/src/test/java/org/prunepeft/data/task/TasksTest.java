package org.prunepeft.data.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Schema;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.Task;

class TasksTest {
  private record Empty(String name) implements Task {
    @Override
    public String description() {
      return "nothing";
    }

    @Override
    public String source() {
      return "nowhere";
    }

    @Override
    public String licence() {
      return "none";
    }

    @Override
    public Dataset load(SplitSizes sizes, long seed, long testSeed) {
      return new Dataset(
          name, Schema.classification(List.of("a", "b")), List.of(), List.of(), List.of());
    }
  }

  @Test
  void wordNetIsKnown() {
    assertEquals("wordnet", Tasks.byName("wordnet").name());
    assertTrue(Tasks.names().contains("wordnet"));
  }

  @Test
  void registeredTaskIsFoundAndItsNameIsTaken() {
    Task task = new Empty("registered");
    Tasks.register(task);
    assertSame(task, Tasks.byName("registered"));
    assertThrows(IllegalArgumentException.class, () -> Tasks.register(new Empty("registered")));
    assertThrows(IllegalArgumentException.class, () -> Tasks.register(new Empty("wordnet")));
  }

  @Test
  void unknownNameGetsTheNearestAndAll() {
    Exception e = assertThrows(IllegalArgumentException.class, () -> Tasks.byName("wrodnet"));
    assertTrue(
        e.getMessage().startsWith("unknown task 'wrodnet'; did you mean wordnet? Known are "),
        e.getMessage());
  }

  @Test
  void nothingIsSuggestedIfNothingIsNear() {
    Exception e = assertThrows(IllegalArgumentException.class, () -> Tasks.byName("imagenet21k"));
    assertTrue(e.getMessage().startsWith("unknown task 'imagenet21k'; known are "), e.getMessage());
  }
}
