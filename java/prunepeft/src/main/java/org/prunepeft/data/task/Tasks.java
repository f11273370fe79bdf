package org.prunepeft.data.task;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.ConcurrentSkipListMap;
import org.prunepeft.data.Task;
import org.prunepeft.text.Spelling;

/** The tasks that can be asked for by name. */
public final class Tasks {
  private static final ConcurrentSkipListMap<String, Task> TASKS = new ConcurrentSkipListMap<>();

  static {
    register(new Acceptability());
    register(new WordNetSupersense());
    GlueTask.all().forEach(Tasks::register);
  }

  private Tasks() {}

  /**
   * Adds a task.
   *
   * @param task with a name that no other has
   * @throws IllegalArgumentException if there is one of its name
   */
  public static void register(Task task) {
    requireNew(task);
    TASKS.put(task.name(), task);
  }

  /**
   * Checks that a task can be registered.
   *
   * @throws IllegalArgumentException as {@link #register}
   */
  public static void requireNew(Task task) {
    if (TASKS.containsKey(task.name())) {
      throw new IllegalArgumentException("there is already a task named " + task.name());
    }
  }

  /** {@return the names, in alphabetical order} */
  public static List<String> names() {
    return List.copyOf(TASKS.keySet());
  }

  /**
   * Finds a task.
   *
   * @param name one of {@link #names}
   * @return the task
   * @throws IllegalArgumentException if there is none of that name; the message suggests the
   *     nearest, if one is near, and lists all
   */
  public static Task byName(String name) {
    Task task = TASKS.get(Objects.requireNonNull(name, "name"));
    if (task == null) {
      throw new IllegalArgumentException(Spelling.unknown("task", name, names()));
    }
    return task;
  }
}
