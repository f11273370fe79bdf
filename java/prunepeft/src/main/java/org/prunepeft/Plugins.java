package org.prunepeft;

import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Enumeration;
import java.util.HashSet;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import org.prunepeft.data.Task;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.ModuleTypes;
import org.prunepeft.run.PluginJars;
import org.prunepeft.search.Criteria;
import org.prunepeft.search.Criterion;
import org.prunepeft.text.Reason;

/**
 * Criteria, tasks and module types in jars of their own, as Java's services: files named {@code
 * META-INF/services/org.prunepeft.search.Criterion}, {@code org.prunepeft.data.Task} and {@code
 * org.prunepeft.peft.ModuleType} name their classes, which have a public constructor without
 * arguments.
 */
public final class Plugins {
  private static final List<Class<?>> SERVICES =
      List.of(Criterion.class, Task.class, ModuleType.class);

  private static final Set<Path> REGISTERED = new HashSet<>();

  private Plugins() {}

  /**
   * Registers what a jar has, each by its name; one that was registered before is left alone. Its
   * classes see those of this library and stay loaded as long as the process runs.
   *
   * @param jar with the services' files in it; other jars that it needs are on the class path
   * @throws IllegalArgumentException if it is no jar, has nothing to register, a class of it cannot
   *     be made, or a name is taken already; nothing is registered then
   */
  public static synchronized void register(Path jar) {
    Path file = jar.toAbsolutePath().normalize();
    if (REGISTERED.contains(file)) {
      return;
    }
    if (!Files.isRegularFile(file)) {
      throw new IllegalArgumentException("%s is not a jar: there is no such file".formatted(jar));
    }
    FileChecksum content = content(file);
    // Not closed once something is registered: its classes load others when they are first used.
    OfJar loader = new OfJar(url(file));
    try {
      List<Criterion> criteria = own(loader, Criterion.class);
      List<Task> tasks = own(loader, Task.class);
      List<ModuleType> types = own(loader, ModuleType.class);
      if (criteria.isEmpty() && tasks.isEmpty() && types.isEmpty()) {
        throw new IllegalArgumentException(
            "it names no class in META-INF/services/%s, %s or %s"
                .formatted(SERVICES.stream().map(Class::getName).toArray()));
      }
      // All are checked before one is registered.
      criteria.forEach(Criteria::requireNew);
      tasks.forEach(Tasks::requireNew);
      types.forEach(ModuleTypes::requireNew);
      requireDistinct("criteria", criteria.stream().map(Criterion::name).toList());
      requireDistinct("tasks", tasks.stream().map(Task::name).toList());
      requireDistinct("module types", types.stream().map(ModuleType::name).toList());
      criteria.forEach(Criteria::register);
      tasks.forEach(Tasks::register);
      types.forEach(ModuleTypes::register);
    } catch (RuntimeException | ServiceConfigurationError | LinkageError e) {
      IllegalArgumentException refused =
          new IllegalArgumentException(
              "nothing can be registered from %s: %s".formatted(jar, reason(e)), e);
      close(loader, refused);
      throw refused;
    }
    REGISTERED.add(file);
    PluginJars.add(content);
  }

  /** Of an exception of the jar's own its kind too: its message may be little, or none. */
  private static String reason(Throwable e) {
    boolean said = e instanceof IllegalArgumentException || e instanceof Error;
    return said && e.getMessage() != null ? e.getMessage() : e.toString();
  }

  private static void close(URLClassLoader loader, Exception refused) {
    try {
      loader.close();
    } catch (IOException e) {
      refused.addSuppressed(e);
    }
  }

  /** A jar's classes, and of services the jar's alone: others of the program may be damaged. */
  private static final class OfJar extends URLClassLoader {
    OfJar(URL jar) {
      super(new URL[] {jar}, Plugins.class.getClassLoader());
    }

    @Override
    public Enumeration<URL> getResources(String name) throws IOException {
      boolean service =
          SERVICES.stream().anyMatch(one -> name.equals("META-INF/services/" + one.getName()));
      return service ? findResources(name) : super.getResources(name);
    }
  }

  /** What runs are compared with that go on later. */
  private static FileChecksum content(Path file) {
    try {
      return FileChecksum.of(file);
    } catch (IOException e) {
      throw new IllegalArgumentException(
          "can't read %s: %s".formatted(file, Reason.of(file, e)), e);
    }
  }

  private static URL url(Path file) {
    try {
      return file.toUri().toURL();
    } catch (MalformedURLException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  /** Those of the class path are left to their programs. */
  private static <T> List<T> own(OfJar loader, Class<T> service) {
    return ServiceLoader.load(service, loader).stream()
        .filter(provider -> provider.type().getClassLoader() == loader)
        .map(ServiceLoader.Provider::get)
        .toList();
  }

  private static void requireDistinct(String what, List<String> names) {
    Set<String> seen = new HashSet<>();
    for (String name : names) {
      if (!seen.add(name)) {
        throw new IllegalArgumentException("it has two %s named %s".formatted(what, name));
      }
    }
  }
}
