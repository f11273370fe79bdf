package org.prunepeft.peft;

import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListMap;
import org.prunepeft.search.Candidate;
import org.prunepeft.text.Spelling;

/** Module types that are added to the library's own, by name. */
public final class ModuleTypes {
  private static final ConcurrentSkipListMap<String, ModuleType> TYPES =
      new ConcurrentSkipListMap<>();

  /** What names of the library's own begin with, up to the first dot. */
  private static final Set<String> OWN = Set.of(Candidate.LORA, Candidate.ADAPTER);

  private ModuleTypes() {}

  /**
   * Adds a module type. A run that used it needs it registered again before it is loaded.
   *
   * @param type with a name that is neither another's nor one of the library's own
   * @throws IllegalArgumentException if there is one of its name, or the name is one of the
   *     library's own
   */
  public static void register(ModuleType type) {
    String name = type.name();
    String kind = name.split("\\.", 2)[0];
    if (OWN.contains(kind) || TYPES.putIfAbsent(name, type) != null) {
      throw new IllegalArgumentException("there is already a module type named " + name);
    }
  }

  /**
   * {@return a type that was added}
   *
   * @param name as it was registered
   * @throws IllegalArgumentException if there is none of that name; the message lists all
   */
  public static ModuleType byName(String name) {
    ModuleType type = TYPES.get(name);
    if (type == null) {
      throw new IllegalArgumentException(
          TYPES.isEmpty()
              ? "unknown module type '%s'; register it first (ModuleTypes.register, --plugins JAR)"
                  .formatted(name)
              : Spelling.unknown("module type", name, List.copyOf(TYPES.keySet())));
    }
    return type;
  }
}
