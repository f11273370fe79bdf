package org.prunepeft.cli;

import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.testing.FixedSeed;

/** What is built needs no network: {@code java/without-network} with these classes. */
@FixedSeed("nothing is drawn")
class WithoutNetworkTest {
  private static final Path SCRIPT =
      Path.of(System.getProperty("basedir", "")).toAbsolutePath().resolve("../without-network");

  @TempDir Path temporary;

  private Call script(String program) throws Exception {
    Path file = temporary.resolve("program");
    Files.writeString(file, "#!/bin/bash\n" + program + "\n");
    assumeTrue(file.toFile().setExecutable(true));
    ProcessBuilder builder = new ProcessBuilder(SCRIPT.normalize().toString());
    builder.environment().put("PRUNEPEFT", file.toString());
    Call call = Child.call(builder);
    assumeFalse(call.out().contains("skipped"), call.out());
    return call;
  }

  private static String quoted(String word) {
    return "'" + word.replace("'", "'\\''") + "'";
  }

  @Test
  void tasksAreListedAndTheBuiltInModelIsTrained() throws Exception {
    assumeTrue(MiniLmJar.find().isPresent(), "MiniLM's jar is not on the class path");
    List<String> command =
        Child.command(List.of("-Xmx1g"), System.getProperty("java.class.path"), List.of());
    String java = String.join(" ", command.stream().map(WithoutNetworkTest::quoted).toList());
    script("exec " + java + " \"$@\"").exits(0).prints("wordnet", "test accuracy", "needed none");
  }

  /** Only the first call, which builds, has routes to other machines. */
  @Test
  void aCommandThatNeedsANetworkFails() throws Exception {
    script("[ $(wc -l </proc/self/net/route) -gt 1 ] || exit 7").exits(7);
  }
}
