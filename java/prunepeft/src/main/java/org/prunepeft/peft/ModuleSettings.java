package org.prunepeft.peft;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.text.Spelling;

/**
 * Settings of a module type by name. A type with settings is a public record, and its components
 * are the settings: numbers, true or false, texts, constants of an enumeration, lists of them. What
 * its constructor without arguments gives are the defaults; the canonical one refuses what is out
 * of range.
 */
public final class ModuleSettings {
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .build();

  private ModuleSettings() {}

  /**
   * {@return the settings of a type as they are written to files, in the order of its components;
   * none if it is no record}
   */
  public static Map<String, Object> of(ModuleType type) {
    Map<String, Object> settings = new LinkedHashMap<>();
    for (RecordComponent component : components(type)) {
      settings.put(component.getName(), JSON.convertValue(get(component, type), Object.class));
    }
    return settings;
  }

  /** {@return the settings of each type that has some, by the types' names} */
  public static Map<String, Map<String, Object>> of(List<ModuleType> types) {
    Map<String, Map<String, Object>> settings = new LinkedHashMap<>();
    for (ModuleType type : types) {
      Map<String, Object> own = of(type);
      if (!own.isEmpty()) {
        settings.put(type.name(), own);
      }
    }
    return settings;
  }

  /**
   * {@return the type with other settings}
   *
   * @param type stays as it is
   * @param settings by name; each a value of its kind or a text for one, such as {@code 4}, {@code
   *     true} or {@code query,value}. Those that are not named stay as they are
   * @throws IllegalArgumentException if the type has no such setting, or refuses its value
   */
  public static ModuleType with(ModuleType type, Map<String, ?> settings) {
    if (settings.isEmpty()) {
      return type;
    }
    List<RecordComponent> components = components(type);
    List<String> known = components.stream().map(RecordComponent::getName).toList();
    for (String name : settings.keySet()) {
      if (known.isEmpty()) {
        throw new IllegalArgumentException(
            "module type %s has no settings, got %s".formatted(type.name(), name));
      }
      if (!known.contains(name)) {
        throw new IllegalArgumentException(
            Spelling.unknown("setting of module type " + type.name(), name, known));
      }
    }
    Object[] values =
        components.stream()
            .map(
                component ->
                    settings.containsKey(component.getName())
                        ? convert(type, component, settings.get(component.getName()))
                        : get(component, type))
            .toArray();
    return create(type, components, values);
  }

  private static List<RecordComponent> components(ModuleType type) {
    return type.getClass().isRecord() ? List.of(type.getClass().getRecordComponents()) : List.of();
  }

  private static Object get(RecordComponent component, ModuleType type) {
    try {
      return component.getAccessor().invoke(type);
    } catch (ReflectiveOperationException e) {
      throw inaccessible(type, e);
    }
  }

  private static Object convert(ModuleType type, RecordComponent component, Object value) {
    JavaType wanted = JSON.constructType(component.getGenericType());
    boolean list = Collection.class.isAssignableFrom(component.getType());
    try {
      return JSON.convertValue(
          list && value instanceof String text ? text.split("(?<!\\s)\\s*+,\\s*+") : value, wanted);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "setting %s of module type %s must be %s, got %s"
              .formatted(component.getName(), type.name(), kind(component.getType()), value),
          e);
    }
  }

  private static String kind(Class<?> type) {
    return type.isEnum()
        ? "one of " + Arrays.toString(type.getEnumConstants())
        : Collection.class.isAssignableFrom(type) ? "a list" : "of type " + type.getSimpleName();
  }

  private static ModuleType create(
      ModuleType type, List<RecordComponent> components, Object[] values) {
    Class<?>[] types = components.stream().map(RecordComponent::getType).toArray(Class<?>[]::new);
    try {
      return type.getClass().getConstructor(types).newInstance(values);
    } catch (InvocationTargetException e) {
      throw new IllegalArgumentException(
          "module type %s: %s".formatted(type.name(), e.getCause().getMessage()), e.getCause());
    } catch (ReflectiveOperationException e) {
      throw inaccessible(type, e);
    }
  }

  private static IllegalArgumentException inaccessible(
      ModuleType type, ReflectiveOperationException e) {
    return new IllegalArgumentException(
        "settings of module type %s can't be read: %s must be a public record, in a package that its module opens or exports to org.prunepeft"
            .formatted(type.name(), type.getClass().getName()),
        e);
  }
}
