package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.settings.Setup;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.FixedSeed;

/** The examples of docs/extending.md in a jar that is not on the class path. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class PluginsTest {
  private static final Path EXAMPLES = Path.of("../examples/src/main");
  private static final List<String> CLASSES = List.of("SignalToNoise", "LargerNumber", "Ia3");

  @TempDir static Path temporary;
  private static Path plugins;
  private static Path model;

  @BeforeAll
  static void compile() throws IOException {
    plugins = compiled("plugins", CLASSES.stream().map(PluginsTest::source).toList());
    model = Small.model(temporary);
  }

  private static Path source(String name) {
    return EXAMPLES.resolve("java/org/prunepeft/examples/" + name + ".java");
  }

  /** A jar of the examples' classes. */
  private static Path compiled(String name, List<Path> sources) throws IOException {
    Path classes = Files.createDirectory(temporary.resolve(name));
    String[] arguments =
        Stream.concat(
                Stream.of("-proc:none", "-cp", System.getProperty("java.class.path"), "-d"),
                Stream.concat(Stream.of(classes), sources.stream()).map(Path::toString))
            .toArray(String[]::new);
    assertEquals(0, ToolProvider.getSystemJavaCompiler().run(null, null, null, arguments));
    return jar(name + ".jar", classes, EXAMPLES.resolve("resources"));
  }

  private static Path jar(String name, Path... directories) throws IOException {
    Path jar = temporary.resolve(name);
    try (OutputStream file = Files.newOutputStream(jar);
        ZipOutputStream zip = new ZipOutputStream(file)) {
      for (Path directory : directories) {
        try (Stream<Path> files = Files.walk(directory)) {
          for (Path entry : files.filter(Files::isRegularFile).toList()) {
            zip.putNextEntry(new ZipEntry(directory.relativize(entry).toString()));
            Files.copy(entry, zip);
          }
        }
      }
    }
    return jar;
  }

  @Test
  void criteriaTasksAndModuleTypesOfAJarAreKnownByTheirNames() throws IOException {
    assertThrows(
        ClassNotFoundException.class, () -> Class.forName("org.prunepeft.examples.LargerNumber"));
    Call.of("tasks", "--plugins=" + plugins).exits(0).prints("larger-number");
    Path run = temporary.resolve("run");
    Call.of(
            "search",
            "--plugins=" + plugins,
            "--model=" + model,
            "--task=larger-number",
            "--strategy=signal-to-noise",
            "--module-types=ia3",
            "--module-settings=ia3.block=attention",
            "--lora-r=0",
            "--adapter-size=2",
            "--rounds=2",
            "--round-examples=16",
            "--output=" + run,
            Small.examples(24))
        .exits(0)
        .prints("signal-to-noise", "ia3");
    String configuration = Files.readString(run.resolve("config.yaml"));
    assertTrue(configuration.contains(plugins.toString()), configuration);
    assertTrue(configuration.contains("module_settings: ia3.block=attention"), configuration);
    assertEquals(Map.of("ia3", Map.of("block", "ATTENTION")), Setup.ofRun(run).moduleSettings());
    Call.of("evaluate", run, "--plugins=" + plugins).exits(0).prints("test of larger-number");
    Path again = temporary.resolve("again");
    Call.of(
            "search",
            "--config=" + run.resolve("config.yaml"),
            "--plugins=" + plugins,
            "--output=" + again)
        .exits(0);
    assertEquals(Small.test(run), Small.test(again));
    Path same = temporary.resolve("same");
    Call.of(
            "train",
            "--plugins=" + plugins,
            "--model=" + model,
            "--task=larger-number",
            "--modules=" + run,
            "--output=" + same,
            Small.examples(24))
        .exits(0);
    assertEquals(Setup.ofRun(run).moduleSettings(), Setup.ofRun(same).moduleSettings());
    Path alone = temporary.resolve("alone");
    Call.of(
            "train",
            "--plugins=" + plugins,
            "--model=" + model,
            "--task=larger-number",
            "--module-types=ia3",
            "--modules=ia3",
            "--output=" + alone,
            Small.examples(24))
        .exits(0);
    assertTrue(Files.readString(alone.resolve("configuration.json")).contains("layer.0.ia3"));
  }

  @Test
  void aJarWithNothingToRegisterIsRefused() throws IOException {
    Path absent = temporary.resolve("absent.jar");
    Call.of("tasks", "--plugins=" + absent).exits(2, "absent.jar", "no such file");
    Path empty = jar("empty.jar", EXAMPLES.resolve("java"));
    Call.of("tasks", "--plugins=" + empty)
        .exits(2, "empty.jar", "META-INF/services/org.prunepeft.search.Criterion");
    Path text = Files.writeString(temporary.resolve("text.jar"), "no jar");
    Call.of("tasks", "--plugins=" + text).exits(2, "text.jar");
    Path service = Path.of("META-INF/services/org.prunepeft.data.Task");
    Path classes = Files.createDirectories(temporary.resolve("services"));
    Files.createDirectories(classes.resolve(service).getParent());
    Files.writeString(classes.resolve(service), "org.example.Absent");
    Call.of("tasks", "--plugins=" + jar("broken.jar", classes))
        .exits(2, "broken.jar", "org.example.Absent");
  }

  /** The jar of a task whose class has that name, and whose own name is what the code gives. */
  private static Path jarOfTask(String type, String name) throws IOException {
    Path file =
        Files.writeString(
            Files.createDirectories(temporary.resolve(type + "-source")).resolve(type + ".java"),
            """
            import org.prunepeft.data.*;
            public class %s implements Task {
              public String name() { %s }
              public String description() { return "none"; }
              public String source() { return "none"; }
              public String licence() { return "none"; }
              public Dataset load(SplitSizes sizes, long seed, long testSeed) { return null; }
            }
            """
                .formatted(type, name));
    Path classes = Files.createDirectory(temporary.resolve(type));
    String[] arguments = {
      "-proc:none",
      "-cp",
      System.getProperty("java.class.path"),
      "-d",
      classes.toString(),
      file.toString()
    };
    assertEquals(0, ToolProvider.getSystemJavaCompiler().run(null, null, null, arguments));
    Path services = Files.createDirectories(classes.resolve("META-INF/services"));
    Files.writeString(services.resolve("org.prunepeft.data.Task"), type);
    return jar(type + ".jar", classes);
  }

  /** Files of a name that this process has open, where the system tells. */
  private static List<Path> open(String name) throws IOException {
    Path all = Path.of("/proc/self/fd");
    List<Path> open = new ArrayList<>();
    if (Files.isDirectory(all)) {
      try (Stream<Path> files = Files.list(all)) {
        for (Path file : files.toList()) {
          if (Files.isSymbolicLink(file) && Files.readSymbolicLink(file).endsWith(name)) {
            open.add(file);
          }
        }
      }
    }
    return open;
  }

  @Test
  void anExceptionOfAJarsClassIsSaidWithTheJar() throws IOException {
    Path failing = jarOfTask("Failing", "throw new UnsupportedOperationException();");
    Call.of("tasks", "--plugins=" + failing)
        .exits(2, "Failing.jar: java.lang.UnsupportedOperationException");
    assertEquals(List.of(), open("Failing.jar"));
  }

  @Test
  void ofAJarWithANameThatIsTakenNothingIsRegistered() throws IOException {
    Call.of("tasks", "--plugins=" + plugins).exits(0);
    Path source = Files.createDirectories(temporary.resolve("half-source")).resolve("Half.java");
    Files.writeString(
        source,
        """
        import org.prunepeft.data.*;
        public class Half implements Task {
          public String name() { return "half-a-task"; }
          public String description() { return "none"; }
          public String source() { return "none"; }
          public String licence() { return "none"; }
          public Dataset load(SplitSizes sizes, long seed, long testSeed) { return null; }
        }
        """);
    Path classes = Files.createDirectory(temporary.resolve("half"));
    String classPath = System.getProperty("java.class.path");
    String[] arguments = {
      "-proc:none",
      "-cp",
      classPath,
      "-d",
      classes.toString(),
      source.toString(),
      EXAMPLES.resolve("java/org/prunepeft/examples/Ia3.java").toString()
    };
    assertEquals(0, ToolProvider.getSystemJavaCompiler().run(null, null, null, arguments));
    Path services = Files.createDirectories(classes.resolve("META-INF/services"));
    Files.writeString(services.resolve("org.prunepeft.data.Task"), "Half");
    Files.writeString(
        services.resolve("org.prunepeft.peft.ModuleType"), "org.prunepeft.examples.Ia3");
    Call.of("tasks", "--plugins=" + jar("half.jar", classes))
        .exits(2, "there is already a module type named ia3");
    assertFalse(Call.of("tasks").exits(0).out().contains("half-a-task"));
  }

  @Test
  void commandsThatReadCriteriaOrModulesTakePlugins() {
    String absent = "--plugins=" + temporary.resolve("absent.jar");
    for (String command :
        List.of(
            "explain run 0.lora",
            "import adapter -o run",
            "strategy show authors",
            "strategy transfer authors --layers=4")) {
      Call.of(command.split(" "), absent).exits(2, "absent.jar", "no such file");
    }
  }

  @Test
  void anUnknownTypeOfModulesIsNamed() {
    Call.of("train", "--model=" + model, "--module-types=unheard-of", Small.examples(24))
        .exits(2, "unheard-of");
  }

  /** The file may come from a stranger, as a run does. */
  @Test
  void aFileThatNamesAJarRunsNoneOfItsCode() throws IOException {
    String property = "prunepeft.test.marked";
    Path jar =
        jarOfTask(
            "Marking", "System.setProperty(\"%s\", \"\"); return \"marking\";".formatted(property));
    Path run = Files.createDirectories(temporary.resolve("from-elsewhere"));
    Path options = Files.writeString(run.resolve("config.yaml"), "plugins: " + jar + "\n");
    String[] said = {options + " names plugins", ": " + jar + "; ", "type --plugins=" + jar};
    Path output = temporary.resolve("never");
    Call.of("train", "--resume", run).exits(2, said);
    Call.of("search", "--resume=" + run).exits(2, said);
    Call.of("train", "--config", options, "--output=" + output).exits(2, said);
    Files.writeString(options, "plugins: [" + jar + "]\n");
    Call.of("predict", run, "--config=" + options).exits(2, said);
    Call.of("train", "--resume", run, "--plugins=" + plugins)
        .exits(2, options + " names " + jar + ", and the command line has " + plugins);
    Path study =
        Files.writeString(
            temporary.resolve("stranger.yaml"),
            """
            output: %s
            tasks: [wordnet]
            methods: {head: {command: train, modules: head, plugins: %s}}
            """
                .formatted(output, jar));
    String[] ofStudy = {study + " names plugins", ": " + jar + "; ", "type --plugins=" + jar};
    Call.of("study", study).exits(2, ofStudy);
    Call.of("study", study, "--plan", "--plugins=" + plugins).exits(2, ofStudy);
    assertNull(System.getProperty(property));
    assertFalse(Files.exists(output));
    try {
      Call.of("study", study, "--plan", "--plugins=" + jar).exits(0);
      assertTrue(
          Files.readString(output.resolve("plan/1/commands-1.txt"))
              .endsWith(" --plugins=" + jar + "\n"));
      assertEquals("", System.getProperty(property));
    } finally {
      System.clearProperty(property);
    }
  }

  /** On the task of the jar. */
  private static void trainHead(Path output, String... options) {
    Call.of(
            "train",
            "--plugins=" + plugins,
            "--model=" + model,
            "--task=larger-number",
            "--modules=head",
            options,
            "--output=" + output,
            Small.examples(24))
        .exits(0);
  }

  @Test
  void runsThatArePutTogetherHaveTheSameJars() throws IOException {
    Path runs = temporary.resolve("several");
    trainHead(runs, "--seeds=1,2");
    String means = Files.readString(runs.resolve("seeds.json"));
    Path first = runs.resolve("seed-1");
    Path second = runs.resolve("seed-2");
    Path config = first.resolve("config.json");
    String sum = FileChecksum.of(plugins).sha256();
    String[] resume = {"train", "--resume=" + runs, "--plugins=" + plugins};
    // As if the jar had been another then.
    Files.writeString(config, Files.readString(config).replace(sum, "0".repeat(64)));
    Call.of("seal", first).exits(0);
    for (String name : List.of("seeds.json", "summary.md")) {
      Files.delete(runs.resolve(name));
    }
    Files.writeString(runs.resolve(RunDirectory.INCOMPLETE), "interrupted\n");
    String refused = "%s is not what the run %s read: it has".formatted(plugins, first);
    Call.of((Object[]) resume).exits(3, refused, "delete the directory of one of the two");
    Directories.delete(second);
    Call.of((Object[]) resume).exits(3, refused, "or delete the directory " + first);
    assertFalse(Files.exists(second));
    Files.writeString(config, Files.readString(config).replace("0".repeat(64), sum));
    Call.of("seal", first).exits(0);
    Call.of((Object[]) resume).exits(0);
    assertEquals(means, Files.readString(runs.resolve("seeds.json")));
  }

  @Test
  void theLineThatSaysHowToGoOnHasTheJars() throws Exception {
    Path run = temporary.resolve("told to end");
    toldToEnd(plugins, 100_000, run, run.resolve("config.yaml"));
  }

  /** A training that is told to end once there is such a file, with these jars. */
  private static void toldToEnd(Path jar, int epochs, Path run, Path begun) throws Exception {
    Path said = temporary.resolve("told.txt");
    List<String> words =
        new ArrayList<>(
            List.of(
                "train",
                "--plugins=" + jar,
                "--model=" + model,
                "--task=larger-number",
                "--modules=head",
                "--epochs=" + epochs,
                "--output=" + run));
    words.addAll(Small.examples(24));
    Process process = Child.start(words, said);
    while (process.isAlive() && Files.notExists(begun)) {
      Thread.sleep(1);
    }
    Signal.TERM.send(process);
    Child.awaitEnd(process, said);
    assertEquals(Signal.TERM.exitCode, process.exitValue(), Child.text(said));
    assertEquals(
        "prunepeft: interrupted; go on with: prunepeft train --resume '%s' --plugins=%s"
            .formatted(run, jar),
        Child.text(said).lines().reduce((a, b) -> b).orElse(""));
  }

  /** Its data are read for longer than a process that is told to end waits for it. */
  @Test
  void aRunThatDoesNotStopIsGivenUpAndSaysHowItGoesOn() throws Exception {
    Path waits = Files.createFile(temporary.resolve("waits"));
    Path begun = temporary.resolve("begun");
    String load = "Dataset load(SplitSizes sizes, long seed, long testSeed) {\n";
    String text = Files.readString(source("LargerNumber"));
    assertTrue(text.contains(load), text);
    Path source =
        Files.writeString(
            Files.createDirectory(temporary.resolve("waiting-source")).resolve("LargerNumber.java"),
            text.replace(
                load,
                load
                    + """
                    new java.io.File("%s").mkdir();
                    while (new java.io.File("%s").exists()) {
                      java.util.concurrent.locks.LockSupport.parkNanos(1_000_000);
                    }
                    """
                        .formatted(begun, waits)));
    Path waiting = compiled("waiting", List.of(source("SignalToNoise"), source, source("Ia3")));
    Path run = temporary.resolve("does not stop");
    toldToEnd(waiting, 1, run, begun);
    assertTrue(Files.readString(run.resolve(RunDirectory.INCOMPLETE)).startsWith("running since"));
    Files.delete(waits);
    // This virtual machine knows the examples already.
    Path said = temporary.resolve("resumed.txt");
    Process process =
        Child.start(List.of("train", "--resume=" + run, "--plugins=" + waiting), said);
    Child.awaitEnd(process, said);
    assertEquals(0, process.exitValue(), Child.text(said));
  }

  @Test
  void aRunGoesOnWithTheJarsThatItBeganWith() throws IOException {
    Path run = temporary.resolve("cut-off");
    trainHead(run);
    Files.delete(run.resolve("result.json"));
    Files.writeString(run.resolve(RunDirectory.INCOMPLETE), "failed: cancelled\n");
    Path config = run.resolve("config.json");
    String before = Files.readString(config);
    String sum = FileChecksum.of(plugins).sha256();
    assertTrue(before.contains(sum), before);
    // As if the jar had been another then.
    Files.writeString(
        config,
        before
            .replace(sum, "0".repeat(64))
            .replaceFirst(",\\s*\"sha256\" : \"[0-9a-f]{64}\"\\s*}\\s*$", "\n}\n"));
    Call.of("train", "--resume", run, "--plugins=" + plugins)
        .exits(3, plugins + " is not what the run " + run, "the plugins that it began with");
    // Or one of another name, such as that of another version.
    Files.writeString(
        config,
        before
            .replace(sum, "0".repeat(64))
            .replace("plugins.jar", "plugins-0.9.jar")
            .replaceFirst(",\\s*\"sha256\" : \"[0-9a-f]{64}\"\\s*}\\s*$", "\n}\n"));
    Call.of("train", "--resume", run, "--plugins=" + plugins)
        .exits(
            3,
            "the plugins have no " + temporary.resolve("plugins-0.9.jar"),
            "%s of %s".formatted(plugins, FileChecksum.of(plugins).content()),
            "the plugins that it began with, which --plugins names");
    Files.writeString(config, before);
    Call.of("train", "--resume", run).exits(2, "type --plugins=" + plugins);
    Call.of("train", "--resume", run, "--plugins=" + plugins).exits(0);
  }
}
