package org.prunepeft.files;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.file.Path;
import org.prunepeft.io.RunDirectoryException;

/**
 * A process that takes run directories, as soon as it reads a line, as fast as others that do the
 * same. It prints those that it has, and keeps them until it is ended.
 */
final class RunTaker {
  /** Directories, named by their numbers from 0. */
  static final int RUNS = 200;

  private RunTaker() {}

  /** Starts one that takes directories below this. */
  static Process start(Path directory) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            RunTaker.class.getName(),
            directory.toString())
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  public static void main(String[] args) throws IOException {
    var in = new BufferedReader(new InputStreamReader(System.in));
    take(Path.of(args[0]).resolve("first"));
    System.out.println("begun");
    in.readLine();
    for (int run = 0; run < RUNS; run++) {
      if (take(Path.of(args[0]).resolve("" + run))) {
        System.out.println(run);
      }
    }
    System.out.println("done");
    in.readLine();
  }

  private static boolean take(Path run) {
    try {
      RunDirectory.resume(run, false);
      return true;
    } catch (RunDirectoryException e) {
      if (!e.getMessage().contains(" goes on: running since ")) {
        throw e;
      }
      return false;
    }
  }
}
