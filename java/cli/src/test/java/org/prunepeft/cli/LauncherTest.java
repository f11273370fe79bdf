package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The script {@code prunepeft}, in a directory that looks as after a build. */
class LauncherTest {
  private static final Path JAVA = Path.of(System.getProperty("java.home"));
  private static final String CLASS_PATH = System.getProperty("java.class.path");

  /** The library's, where it is a jar already. */
  private static final String VERSION =
      Pattern.compile("/prunepeft-(\\d[^/:]*)\\.jar")
          .matcher(CLASS_PATH)
          .results()
          .map(jar -> jar.group(1))
          .findFirst()
          .orElse("1");

  @TempDir Path temporary;

  @BeforeEach
  void build() throws IOException {
    assumeTrue(MiniLmJar.find().isPresent(), "MiniLM's jar is not on the class path");
    assumeTrue(
        Files.exists(JAVA.resolve("lib/server/classes.jsa")),
        "this Java has no archive of its own");
    Files.copy(Path.of("../../prunepeft"), temporary.resolve("prunepeft"));
    for (String directory : List.of("java/cli/src/main", "native/src", "native/include", "cmake")) {
      Files.createDirectories(temporary.resolve(directory));
    }
    for (String file : List.of("pom.xml", "java/cli/pom.xml", "native/CMakeLists.txt")) {
      Files.createFile(temporary.resolve(file));
    }
    Files.copy(Path.of("../../cmake/java.sh"), temporary.resolve("cmake/java.sh"));
    StringBuilder classPath = new StringBuilder();
    for (String entry : CLASS_PATH.split(File.pathSeparator)) {
      Path path = Path.of(entry);
      if (path.toString().matches(".*/java/(kernels|prunepeft)/target/[^/]*\\.jar")) {
        // Of a build that has made them already; the launcher takes those of its own place alone.
        Path own = temporary.resolve("java").resolve(path.getParent().getParent().getFileName());
        Path jar = Files.createDirectories(own.resolve("target")).resolve(path.getFileName());
        classPath.append(File.pathSeparator).append(Files.copy(path, jar));
      } else if (!Files.isDirectory(path)) {
        classPath.append(File.pathSeparator).append(path);
      } else if (path.endsWith("target/classes")) {
        String module = path.getName(path.getNameCount() - 3).toString();
        Path jar = jar(path, module);
        if (!module.equals("cli")) {
          classPath.append(File.pathSeparator).append(jar);
        }
      }
    }
    Files.writeString(temporary.resolve("java/cli/target/classpath"), classPath.substring(1));
  }

  /** As Maven puts a module's classes into one. */
  private Path jar(Path classes, String module) throws IOException {
    Path target = Files.createDirectories(temporary.resolve("java").resolve(module + "/target"));
    String name = module.equals("prunepeft") ? module : "prunepeft-" + module;
    Path jar = target.resolve(name + "-" + VERSION + ".jar");
    try (OutputStream file = Files.newOutputStream(jar);
        JarOutputStream out = new JarOutputStream(file);
        Stream<Path> all = Files.walk(classes)) {
      for (Path one : all.filter(Files::isRegularFile).toList()) {
        out.putNextEntry(new JarEntry(classes.relativize(one).toString()));
        Files.copy(one, out);
      }
    }
    return jar;
  }

  private Call call(String javaOptions, String... words) throws Exception {
    List<String> command =
        Stream.concat(
                Stream.of("bash", temporary.resolve("prunepeft").toString()), Stream.of(words))
            .toList();
    ProcessBuilder builder = new ProcessBuilder(command);
    builder
        .environment()
        .merge("PATH", JAVA.resolve("bin").toString(), (path, bin) -> bin + ":" + path);
    builder.environment().put("PRUNEPEFT_JAVA_OPTIONS", javaOptions);
    return Child.call(builder);
  }

  @Test
  void classesThatCommandsBeginWithComeFromAnArchiveThatIsMadeOnceABuild() throws Exception {
    Call first = call("", "tasks").exits(0);
    assertTrue(first.out().contains("archiving Java's classes"), first.out());
    Path log = temporary.resolve("classes.log");
    Call doctor = call("-Xlog:class+load:file=" + log, "doctor").exits(0);
    assertFalse(doctor.out().contains("archiving"), doctor.out());
    // Java has others, such as of the machine's control groups.
    assertFalse(
        doctor
            .out()
            .lines()
            .anyMatch(line -> line.matches(".*\\[warning].*(\\[(cds|aot)|archive).*")),
        doctor.out());
    assertTrue(doctor.out().contains("\nlibtorch         2."), doctor.out());
    List<String> loaded =
        Files.readAllLines(log).stream().filter(line -> line.contains("source:")).toList();
    List<String> read =
        loaded.stream().filter(line -> !line.contains("source: shared objects file")).toList();
    // What Java makes as it runs, and the few that it doesn't archive, are left.
    assertTrue(
        read.size() < loaded.size() / 10, read.size() + " of " + loaded.size() + ": " + read);
    // An empty one says that it could not be made.
    Path archive = archive();
    Files.delete(archive);
    Files.createFile(archive);
    Call without = call("", "tasks").exits(0);
    assertFalse(without.out().contains("archiving"), without.out());
    assertTrue(without.out().contains("\nwordnet\n"), without.out());
  }

  private Path archive() throws IOException {
    try (Stream<Path> files = Files.list(temporary.resolve("java/cli/target"))) {
      return files.filter(file -> file.toString().endsWith(".jsa")).findFirst().orElseThrow();
    }
  }
}
