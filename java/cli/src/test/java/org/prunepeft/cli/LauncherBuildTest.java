package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * When the script {@code prunepeft} builds: Maven and Java are scripts that say how they were
 * called.
 */
class LauncherBuildTest {
  private static final FileTime AN_HOUR_AGO = FileTime.from(Instant.now().minusSeconds(3600));

  /** Leaves what the command line's module leaves, and does to it what the environment asks for. */
  private static final String MAVEN =
      """
      #!/bin/sh
      echo "$@" >>mvn.log
      echo "BUILD LOG"
      echo $$ >mvn.pid
      sleep ${SECONDS_OF_MAVEN:-0}
      while [ -n "${UNTIL:-}" ] && [ ! -e "$UNTIL" ] && [ -e mvn.pid ]; do sleep 0.1; done
      if [ -n "${SAVED:-}" ]; then echo changed >"$SAVED"; fi
      if [ -n "${FAILS:-}" ]; then exit 1; fi
      library=java/prunepeft/target/prunepeft-1.jar
      torch=torch-linux-x86_64.jar
      case "$*" in *pytorch.platform=linux-x86_64-gpu*) torch=torch-linux-x86_64-gpu.jar ;; esac
      mkdir -p java/prunepeft/target
      touch $library $torch
      printf %s "$PWD/$library:$PWD/$torch" >java/cli/target/classpath
      """;

  private static final String JAVA =
      """
      #!/bin/sh
      echo "locale '${LC_ALL:-}'"
      for word; do echo "[$word]"; done
      """;

  /** Crashes as HotSpot does where it is to write an archive, or writes one. */
  private static final String ARCHIVING_JAVA =
      """
      #!/bin/sh
      archive= log=hs_err_pid1.log core=core
      for word; do
        case $word in
          -XX:ArchiveClassesAtExit=*) archive=${word#*=} ;;
          -XX:ErrorFile=*) log=${word#*=} ;;
          -XX:-CreateCoredumpOnCrash) core= ;;
          -XX:SharedArchiveFile=*) echo "archive" ;;
        esac
      done
      if [ -z "$archive" ]; then exit 0; fi
      echo tried >>"$TRIES"
      if [ -n "${WAITS:-}" ]; then trap 'echo late >"$archive"; exit 143' TERM; fi
      while [ -n "${WAITS:-}" ] && [ -e "$TRIES" ]; do sleep 0.1 & wait; done
      if [ -z "${CRASHES:-}" ]; then echo classes >"$archive"; exit 0; fi
      echo "half an archive" >"$archive"
      for left in $log $core; do echo "a crash" >"$left"; done
      if [ -z "$core" ]; then ulimit -c 0; fi
      kill -ABRT $$
      """;

  @TempDir Path temporary;
  private Path root;
  private final Map<String, String> environment = new HashMap<>();

  @BeforeEach
  void tree() throws IOException {
    root = temporary.resolve("tree");
    for (String directory :
        List.of("java/cli/src/main/java", "native/src/core", "native/include", "cmake")) {
      Files.createDirectories(root.resolve(directory));
    }
    for (String file :
        List.of(
            "pom.xml",
            "java/cli/pom.xml",
            "java/cli/src/main/java/Main.java",
            "native/CMakeLists.txt",
            "native/src/core/status.cpp",
            "native/include/status.h",
            "cmake/build.sh")) {
      Files.createFile(root.resolve(file));
    }
    Files.copy(Path.of("../../prunepeft"), root.resolve("prunepeft"));
    Files.copy(Path.of("../../cmake/java.sh"), root.resolve("cmake/java.sh"));
    try (var files = Files.walk(root)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Files.setLastModifiedTime(file, AN_HOUR_AGO);
      }
    }
    Path jdk = temporary.resolve("jdk/bin");
    Files.createDirectories(jdk);
    script(jdk.resolve("java"), JAVA);
    script(jdk.resolve("javac"), JAVA);
    release("17.0.1");
    script(Files.createDirectories(temporary.resolve("bin")).resolve("mvn"), MAVEN);
    environment.put("JAVA_HOME", temporary.resolve("jdk").toString());
    environment.put("PRUNEPEFT_GPU", "");
    environment.put("PRUNEPEFT_JAVA_OPTIONS", "");
    environment.put("PATH", temporary.resolve("bin") + ":" + System.getenv("PATH"));
  }

  private static void script(Path file, String text) throws IOException {
    Files.writeString(file, text);
    assertTrue(file.toFile().setExecutable(true));
  }

  private void release(String version) throws IOException {
    Files.writeString(temporary.resolve("jdk/release"), "JAVA_VERSION=\"%s\"\n".formatted(version));
  }

  private ProcessBuilder launcher() {
    ProcessBuilder builder =
        new ProcessBuilder("bash", root.resolve("prunepeft").toString(), "tasks");
    builder.environment().putAll(environment);
    return builder;
  }

  private Call call() throws Exception {
    return Child.call(launcher());
  }

  /** As in a container, where none is set. */
  @ParameterizedTest
  @ValueSource(strings = {"", "C", "POSIX", "C.UTF-8"})
  void wordsAreInUtf8WhereTheLocaleHasAsciiAlone(String locale) throws Exception {
    ProcessBuilder builder = launcher();
    builder.environment().keySet().removeIf(name -> name.equals("LANG") || name.startsWith("LC_"));
    if (!locale.isEmpty()) {
      builder.environment().put("LANG", locale);
    }
    String taken = locale.equals("C.UTF-8") ? "" : "C.UTF-8";
    String said = Child.call(builder).exits(0).out();
    assertTrue(said.contains("locale '" + taken + "'\n"), said);
  }

  private List<String> builds() throws IOException {
    Path log = root.resolve("mvn.log");
    return Files.exists(log) ? Files.readAllLines(log) : List.of();
  }

  private Path classPath() {
    return root.resolve("java/cli/target/classpath");
  }

  @Test
  void whatIsMissingIsBuiltOnceAndThenRun() throws Exception {
    Call first = call().exits(0);
    assertEquals(1, builds().size());
    assertTrue(builds().get(0).contains("-Dprunepeft.cuda=OFF"), builds().get(0));
    assertTrue(first.out().endsWith("[org.prunepeft.cli.Main]\n[tasks]\n"), first.out());
    assertTrue(first.out().contains(root + "/java/prunepeft/target/prunepeft-1.jar"), first.out());
    assertFalse(call().exits(0).out().contains("building"));
    assertEquals(1, builds().size());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "pom.xml",
        "java/cli/pom.xml",
        "java/cli/src/main/java/Main.java",
        "native/CMakeLists.txt",
        "native/src/core/status.cpp",
        "native/include/status.h",
        "cmake/build.sh"
      })
  void aNewerSourceIsBuilt(String source) throws Exception {
    call().exits(0);
    Files.setLastModifiedTime(classPath(), FileTime.from(Instant.now().minusSeconds(600)));
    call().exits(0);
    assertEquals(1, builds().size());
    Files.setLastModifiedTime(root.resolve(source), FileTime.from(Instant.now().minusSeconds(300)));
    Call again = call().exits(0);
    assertEquals(2, builds().size());
    String why =
        "prunepeft: building anew, since %s is newer than what was built; its log is %s\n"
            .formatted(source, root.resolve("java/cli/target/build.log"));
    assertTrue(again.out().startsWith(why), again.out());
    call().exits(0);
    assertEquals(2, builds().size());
  }

  @Test
  void aSourceThatIsSavedDuringABuildIsBuiltAgain() throws Exception {
    environment.put("SAVED", "native/src/core/status.cpp");
    // Some file systems have whole seconds.
    environment.put("SECONDS_OF_MAVEN", "1.1");
    call().exits(0);
    environment.remove("SAVED");
    environment.remove("SECONDS_OF_MAVEN");
    call().exits(0);
    assertEquals(2, builds().size());
    call().exits(0);
    assertEquals(2, builds().size());
  }

  @Test
  void aFailedBuildIsSaidWithItsLog() throws Exception {
    environment.put("FAILS", "yes");
    Call failed = call().exits(1);
    Path log = root.resolve("java/cli/target/build.log");
    assertTrue(
        failed.out().endsWith("BUILD LOG\nprunepeft: the build failed; its log is " + log + "\n"),
        failed.out());
    assertEquals("BUILD LOG\n", Files.readString(log));
    environment.remove("FAILS");
    call().exits(0);
    assertEquals(2, builds().size());
  }

  @Test
  void ofTwoAtOnceOneBuilds() throws Exception {
    environment.put("SECONDS_OF_MAVEN", "1");
    CompletableFuture<Call> other = CompletableFuture.supplyAsync(this::unchecked);
    Call one = call().exits(0);
    String both = one.out() + other.get().exits(0).out();
    assertEquals(1, builds().size(), both);
    assertEquals(2, both.split("Main]", -1).length - 1, both);
  }

  private Call unchecked() {
    try {
      return call();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  /** A process that is told to end once a file is there, and what it said. */
  private Call toldToEnd(Signal signal, Path begun) throws Exception {
    assumeFalse(signal == Signal.INT && Signal.ignoresInterrupts(), "SIGINT is ignored here");
    Path said = temporary.resolve("said.txt");
    Process process = start(said);
    try {
      await(process, begun, said);
      signal.send(process);
      Child.awaitEnd(process, said);
    } finally {
      process.destroyForcibly();
    }
    return new Call(process.exitValue(), Child.text(said), "");
  }

  private Process start(Path said) throws IOException {
    return launcher().redirectErrorStream(true).redirectOutput(said.toFile()).start();
  }

  private static void await(Process process, Path begun, Path said) throws Exception {
    while (Files.notExists(begun) || Files.size(begun) == 0) {
      assertTrue(process.isAlive(), () -> Child.text(said));
      Thread.sleep(5);
    }
  }

  /** The stand-in of Maven; empty: it has ended. */
  private Optional<ProcessHandle> maven() throws IOException {
    return ProcessHandle.of(Long.parseLong(Files.readString(root.resolve("mvn.pid")).strip()))
        .filter(ProcessHandle::isAlive);
  }

  @ParameterizedTest
  @EnumSource
  void aBuildEndsWithTheLauncherThatIsToldToEnd(Signal signal) throws Exception {
    environment.put("UNTIL", temporary.resolve("never").toString());
    toldToEnd(signal, root.resolve("mvn.pid")).exits(signal.exitCode);
    assertEquals(Optional.empty(), maven());
    environment.remove("UNTIL");
    Call after = call().exits(0);
    assertFalse(after.out().contains("waiting"), after.out());
    assertEquals(2, builds().size());
  }

  @Test
  void aBuildWhoseLauncherIsKilledIsWaitedFor() throws Exception {
    Path until = temporary.resolve("until");
    environment.put("UNTIL", until.toString());
    Path said = temporary.resolve("said.txt");
    Process process = start(said);
    await(process, root.resolve("mvn.pid"), said);
    process.destroyForcibly().waitFor();
    assertTrue(maven().isPresent());
    Path saidAfter = temporary.resolve("said-after.txt");
    Process after = start(saidAfter);
    try {
      while (!Child.text(saidAfter).contains("waiting for another command, which builds")) {
        assertTrue(after.isAlive(), () -> Child.text(saidAfter));
        Thread.sleep(5);
      }
      Files.createFile(until);
      Child.awaitEnd(after, saidAfter);
    } finally {
      after.destroyForcibly();
    }
    assertEquals(0, after.exitValue(), Child.text(saidAfter));
    assertEquals(1, builds().size());
  }

  @ParameterizedTest
  @EnumSource
  void ofAnArchiveWhoseLauncherIsToldToEndNothingIsLeft(Signal signal) throws Exception {
    script(temporary.resolve("jdk/bin/java"), ARCHIVING_JAVA);
    Path tries = temporary.resolve("tries");
    environment.put("TRIES", tries.toString());
    environment.put("WAITS", "yes");
    toldToEnd(signal, tries).exits(signal.exitCode);
    Path target = classPath().getParent();
    assertEquals(List.of(), archives(target));
    environment.remove("WAITS");
    call().exits(0);
    assertEquals(1, archives(target).size());
  }

  private static List<String> archives(Path target) throws IOException {
    return Small.names(target).stream().filter(name -> name.startsWith("classes-")).toList();
  }

  @Test
  void aBuildLeavesTheStandardInputToTheCommand() throws Exception {
    script(temporary.resolve("bin/mvn"), MAVEN.replace("sleep", "cat >/dev/null; sleep"));
    script(temporary.resolve("jdk/bin/java"), "#!/bin/sh\ncat\n");
    Path texts = Files.writeString(temporary.resolve("texts.txt"), "the thing\n");
    Call call = Child.call(launcher().redirectInput(texts.toFile())).exits(0);
    assertTrue(call.out().endsWith("the thing\n"), call.out());
  }

  @Test
  void aTreeThatHasMovedIsBuiltAgain() throws Exception {
    call().exits(0);
    Path moved = temporary.resolve("moved");
    Files.move(root, moved);
    root = moved;
    Call after = call().exits(0);
    assertEquals(2, builds().size());
    assertTrue(after.out().contains(moved + "/java/prunepeft/target/prunepeft-1.jar"), after.out());
  }

  @Test
  void aTreeBehindALinkIsTheSame() throws Exception {
    call().exits(0);
    Path link = temporary.resolve("link");
    Files.createSymbolicLink(link, root);
    root = link;
    call().exits(0);
    assertEquals(1, builds().size());
  }

  @Test
  void whereALibraryIsGoneItIsBuiltAgain() throws Exception {
    call().exits(0);
    Files.delete(root.resolve("torch-linux-x86_64.jar"));
    call().exits(0);
    assertEquals(2, builds().size());
  }

  @Test
  void aBuildForAGpuIsAskedForByOne() throws Exception {
    environment.put("PRUNEPEFT_GPU", "0");
    call().exits(0);
    assertTrue(builds().get(0).contains("-Dprunepeft.cuda=OFF"), builds().get(0));
    environment.put("PRUNEPEFT_GPU", "1");
    Call gpu = call().exits(0);
    String expected = "-Dprunepeft.cuda=ON -Dpytorch.platform=linux-x86_64-gpu";
    assertTrue(builds().get(1).contains(expected), builds().get(1));
    assertTrue(gpu.out().contains("[-Dorg.bytedeco.javacpp.platform.extension=-gpu]"), gpu.out());
    call().exits(0);
    assertEquals(2, builds().size());
    environment.put("PRUNEPEFT_GPU", "false");
    Call refused = call().exits(1);
    assertEquals(
        "prunepeft: PRUNEPEFT_GPU must be 1 (on a GPU) or 0, got 'false'\n", refused.out());
  }

  /** Where the environment does not say. */
  @Test
  void whatIsBuiltAnewIsBuiltAsItWasBefore() throws Exception {
    Path cache = root.resolve("java/kernels/target/native/CMakeCache.txt");
    Files.createDirectories(cache.getParent());
    for (String cuda : List.of("ON", "AUTO", "OFF")) {
      Files.writeString(cache, "A:BOOL=ON\nPRUNEPEFT_CUDA:STRING=" + cuda + "\n");
      Files.deleteIfExists(classPath());
      call().exits(0);
      String last = builds().get(builds().size() - 1);
      assertTrue(last.contains("-Dprunepeft.cuda=" + cuda), last);
      assertFalse(last.contains("gpu"), last);
    }
    environment.put("PRUNEPEFT_GPU", "1");
    call().exits(0);
    environment.put("PRUNEPEFT_GPU", "");
    Files.setLastModifiedTime(classPath(), FileTime.from(Instant.now().minusSeconds(7200)));
    call().exits(0);
    assertEquals(5, builds().size());
    assertTrue(builds().get(4).contains("=linux-x86_64-gpu"), builds().get(4));
  }

  @Test
  void javaIsThatOfJavaHomeAndNotOlderThan17() throws Exception {
    release("11.0.9");
    Call old = call().exits(1);
    Path java = temporary.resolve("jdk/bin/java");
    assertEquals(
        "prunepeft: %s is Java 11; it takes 17 or newer, which JAVA_HOME may name\n"
            .formatted(java),
        old.out());
    Files.delete(java);
    Call without = call().exits(1);
    assertTrue(without.out().contains("'" + java + "' was not found; JAVA_HOME"), without.out());
  }

  /** An archive that could not be made is tried again, and a crash leaves nothing in the way. */
  @Test
  void aCrashOfTheJavaThatArchivesClassesIsSaidAndTriedAgainLater() throws Exception {
    script(temporary.resolve("jdk/bin/java"), ARCHIVING_JAVA);
    Path tries = temporary.resolve("tries");
    Path user = Files.createDirectory(temporary.resolve("user"));
    environment.put("TRIES", tries.toString());
    environment.put("CRASHES", "yes");
    Path target = classPath().getParent();
    for (int i = 0; i < 2; i++) {
      Call call = Child.call(launcher().directory(user.toFile())).exits(0);
      assertFalse(call.out().contains("archive\n"), call.out());
      assertEquals(i == 0, call.out().contains("its log is " + target), call.out());
    }
    assertEquals(Set.of(), Small.names(user));
    assertEquals(1, Files.readAllLines(tries).size());
    List<String> left = archives(target);
    assertEquals(2, left.size(), left.toString());
    assertTrue(left.get(1).endsWith(".jsa.crash.log"), left.toString());
    assertEquals("a crash\n", Files.readString(target.resolve(left.get(1))));
    environment.remove("CRASHES");
    Files.setLastModifiedTime(
        target.resolve(left.get(0)), FileTime.from(Instant.now().minusSeconds(3700)));
    String after = Child.call(launcher().directory(user.toFile())).exits(0).out();
    assertTrue(after.endsWith("archive\n"), after);
    assertEquals(2, Files.readAllLines(tries).size());
    assertEquals(1, builds().size());
    assertFalse(Files.exists(target.resolve(left.get(1))));
  }

  @Test
  void optionsOfJavaAreWordsAndNoPatterns() throws Exception {
    environment.put("PRUNEPEFT_JAVA_OPTIONS", " -Done=*  p*.xml\n-Dthree ");
    Call call = call().exits(0);
    assertTrue(call.out().contains("\n[-Done=*]\n[p*.xml]\n[-Dthree]\n"), call.out());
  }
}
