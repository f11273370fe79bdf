package org.prunepeft.peft;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListMap;
import org.prunepeft.search.Candidate;
import org.prunepeft.text.Spelling;

/** Module types by name: the library's own but LoRA and adapters, and those that are added. */
public final class ModuleTypes {
  private static final ConcurrentSkipListMap<String, ModuleType> TYPES =
      new ConcurrentSkipListMap<>();

  /**
   * The library's own, which this package does not know. By their names and not as services: of
   * those a program may have others, damaged ones too.
   */
  private static final List<String> CLASSES = List.of("Vera");

  static {
    for (String name : CLASSES) {
      ModuleType type = made(ModuleTypes.class.getPackageName() + ".type." + name);
      TYPES.put(type.name(), type);
    }
  }

  /** What names of the library's own begin with, up to the first dot. */
  private static final Set<String> OWN = Set.of(Candidate.LORA, Candidate.ADAPTER);

  private ModuleTypes() {}

  private static ModuleType made(String name) {
    try {
      return (ModuleType) Class.forName(name).getConstructor().newInstance();
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("the library lacks its class " + name, e);
    }
  }

  /**
   * Adds a module type. A run that used it needs it registered again before it is loaded.
   *
   * @param type with a name that is neither another's nor one of the library's own
   * @throws IllegalArgumentException if there is one of its name, or the name is one of the
   *     library's own
   */
  public static void register(ModuleType type) {
    requireNew(type);
    TYPES.put(type.name(), type);
  }

  /**
   * Checks that a module type can be registered.
   *
   * @throws IllegalArgumentException as {@link #register}
   */
  public static void requireNew(ModuleType type) {
    String name = type.name();
    String kind = name.split("\\.", 2)[0];
    if (OWN.contains(kind) || TYPES.containsKey(name)) {
      throw new IllegalArgumentException("there is already a module type named " + name);
    }
  }

  /**
   * {@return types with settings of their own}
   *
   * @param names of the types
   * @param settings by the types' names; see {@link ModuleSettings#with}. What is not among them is
   *     as it was registered
   * @throws IllegalArgumentException if a type or a setting is not known, a value is out of its
   *     range, or settings are for a type that is not named
   */
  public static List<ModuleType> of(
      List<String> names, Map<String, ? extends Map<String, ?>> settings) {
    for (String name : settings.keySet()) {
      if (!names.contains(name)) {
        throw new IllegalArgumentException(
            "there are settings for the module type '%s', but the module types are %s"
                .formatted(name, names));
      }
    }
    return names.stream()
        .map(
            name -> {
              ModuleType type = byName(name);
              return settings.containsKey(name)
                  ? ModuleSettings.with(type, settings.get(name))
                  : type;
            })
        .toList();
  }

  /**
   * {@return a type, as it was registered}
   *
   * @param name a registered one, or one of the library's
   * @throws IllegalArgumentException if there is none of that name; the message lists all
   */
  public static ModuleType byName(String name) {
    ModuleType type = TYPES.get(name);
    if (type == null) {
      throw new IllegalArgumentException(
          Spelling.unknown("module type", name, List.copyOf(TYPES.keySet()))
              + "; others are registered first (ModuleTypes.register, --plugins JAR)");
    }
    return type;
  }
}
