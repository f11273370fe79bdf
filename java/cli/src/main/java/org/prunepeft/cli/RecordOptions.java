package org.prunepeft.cli;

import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.kernels.Activation;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.NonLinearity;
import org.prunepeft.search.Partitioning;
import org.prunepeft.train.ClassWeights;
import org.prunepeft.train.OptimizerType;
import org.prunepeft.train.Schedule;
import picocli.CommandLine.IDefaultValueProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Option;

/** Options that are components of the library's records, as {@link OptionsOf} says. */
final class RecordOptions implements IDefaultValueProvider {
  /** Of the types that have names beside those of their constants; their options are texts. */
  private static final Map<Class<?>, Function<String, ?>> BY_NAME =
      Map.of(
          Activation.class, NonLinearity::byName,
          AdapterConfig.Style.class, AdapterConfig.Style::byName,
          ClassWeights.class, ClassWeights::byName,
          OptimizerType.class, OptimizerType::byName,
          Partitioning.class, Partitioning::byName,
          Schedule.class, Schedule::byName);

  private static final Set<Object> EMPTY =
      Set.of(OptionalInt.empty(), OptionalDouble.empty(), List.of());

  @Override
  public String defaultValue(ArgSpec argument) {
    return argument.userObject() instanceof Field field
        ? component(field).map(RecordOptions::defaultOf).map(RecordOptions::text).orElse(null)
        : null;
  }

  /** Sets a record's builder to the options of these objects; one that is null says nothing. */
  static <B> B fill(B builder, Object... groups) {
    Method build = method(builder.getClass(), "build");
    for (Object options : groups) {
      components(options.getClass(), build.getReturnType())
          .forEach(
              (field, component) -> {
                Object value = call(() -> field.get(options));
                if (value != null) {
                  Class<?> type = component.getType();
                  Object typed =
                      value instanceof String name && BY_NAME.containsKey(type)
                          ? BY_NAME.get(type).apply(name)
                          : value;
                  Object wrapped =
                      type == OptionalInt.class
                          ? OptionalInt.of((Integer) typed)
                          : type == OptionalDouble.class
                              ? OptionalDouble.of((Double) typed)
                              : typed;
                  Method setter = method(builder.getClass(), component.getName(), type);
                  call(() -> setter.invoke(builder, wrapped));
                }
              });
    }
    return builder;
  }

  /** Sets the options of an object to what a record says. */
  static void take(Record record, Object options) {
    components(options.getClass(), record.getClass())
        .forEach(
            (field, component) -> {
              Object value = call(() -> component.getAccessor().invoke(record));
              Object said = field.getType() == String.class ? text(value) : value;
              call(
                  () -> {
                    field.set(options, said);
                    return null;
                  });
            });
  }

  /** The component that an option stands for, by its field; empty if for none. */
  static Optional<RecordComponent> component(Field field) {
    OptionsOf records = field.getDeclaringClass().getAnnotation(OptionsOf.class);
    return records == null || !field.isAnnotationPresent(Option.class)
        ? Optional.empty()
        : Stream.of(records.value())
            .flatMap(record -> Arrays.stream(record.getRecordComponents()))
            .filter(component -> component.getName().equals(field.getName()))
            .findFirst();
  }

  private static Map<Field, RecordComponent> components(Class<?> options, Class<?> record) {
    List<Field> fields =
        Arrays.stream(options.getDeclaredFields())
            .filter(
                field ->
                    component(field)
                        .filter(component -> component.getDeclaringRecord() == record)
                        .isPresent())
            .toList();
    AccessibleObject.setAccessible(fields.toArray(Field[]::new), true);
    return fields.stream()
        .collect(Collectors.toMap(Function.identity(), field -> component(field).orElseThrow()));
  }

  /** Null where the record's default is, or where it is an empty optional or list. */
  static Object defaultOf(RecordComponent component) {
    Object value =
        call(
            () ->
                component
                    .getAccessor()
                    .invoke(component.getDeclaringRecord().getField("DEFAULT").get(null)));
    return EMPTY.contains(value == null ? "" : value) ? null : value;
  }

  /** A value as it would be on the command line. */
  private static String text(Object value) {
    if (value instanceof Double number) {
      return number.toString().replaceFirst("\\.0(?=E|$)", "").replace('E', 'e');
    }
    if (value instanceof Activation activation) {
      return NonLinearity.name(activation);
    }
    Object plain = ConfigFile.plain(value);
    return plain instanceof Collection<?> items
        ? items.stream().map(String::valueOf).collect(Collectors.joining(","))
        : plain == null ? null : plain.toString();
  }

  private static Method method(Class<?> type, String name, Class<?>... parameters) {
    return call(() -> type.getMethod(name, parameters));
  }

  @FunctionalInterface
  private interface Reflection<T> {
    T call() throws ReflectiveOperationException;
  }

  private static <T> T call(Reflection<T> reflection) {
    try {
      return reflection.call();
    } catch (InvocationTargetException e) {
      throw e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }
}
