package org.prunepeft.data;

import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ConcurrentSkipListMap;

/** The tasks that can be asked for by name. */
public final class Tasks {
  private static final ConcurrentSkipListMap<String, Task> TASKS = new ConcurrentSkipListMap<>();

  static {
    register(new WordNetSupersense());
  }

  private Tasks() {}

  /**
   * Adds a task.
   *
   * @throws IllegalArgumentException if there is one of its name
   */
  public static void register(Task task) {
    if (TASKS.putIfAbsent(task.name(), task) != null) {
      throw new IllegalArgumentException("there is already a task named " + task.name());
    }
  }

  /** The names, in alphabetical order. */
  public static List<String> names() {
    return List.copyOf(TASKS.keySet());
  }

  /**
   * Finds a task.
   *
   * @throws IllegalArgumentException if there is none of that name; the message suggests the
   *     nearest, if one is near, and lists all
   */
  public static Task byName(String name) {
    Task task = TASKS.get(Objects.requireNonNull(name, "name"));
    if (task == null) {
      throw new IllegalArgumentException(unknown(name));
    }
    return task;
  }

  private static String unknown(String name) {
    String nearest =
        names().stream()
            .min(Comparator.comparingInt(known -> distance(name, known)))
            .filter(known -> 2 * distance(name, known) <= Math.max(name.length(), known.length()))
            .orElse(null);
    return "unknown task '%s'; %s %s"
        .formatted(
            name,
            nearest == null ? "known are" : "did you mean " + nearest + "? Known are",
            String.join(", ", names()));
  }

  /** Levenshtein's distance: insertions, deletions and replacements of a character. */
  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
