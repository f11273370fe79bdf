package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The two programs that docs/java.md prints: one trains and predicts, the other serves. */
class NewcomersWalkTest {
  /** They run from their source, in this folder. */
  @TempDir Path folder;

  @Test
  void onnxRuntimeServesWhatEightThreadsPredict() throws IOException, InterruptedException {
    assumeTrue(MiniLmJar.find().isPresent(), "MiniLM's jar is not on the class path");
    List<String> predicted =
        Child.call(program("Train"))
            .exits(0)
            .out()
            .lines()
            .filter(line -> line.contains("\t"))
            .toList();
    assertEquals(8, predicted.size(), predicted.toString());
    Path errors = folder.resolve("errors");
    Process server = program("Serve", "0").redirectError(errors.toFile()).start();
    try (BufferedReader said = server.inputReader()) {
      String address = said.readLine();
      assertNotNull(address, () -> Child.text(errors));
      for (String line : predicted) {
        String[] columns = line.split("\t");
        String[] served = post(URI.create(address), columns[2]).split("\t");
        assertEquals(columns[0], served[0], line);
        assertEquals(Double.parseDouble(columns[1]), Double.parseDouble(served[1]), 1e-4, line);
      }
    } finally {
      server.destroy();
    }
  }

  private ProcessBuilder program(String name, String... arguments) throws IOException {
    Path source =
        Files.writeString(
            folder.resolve(name + ".java"), DocumentedProgramsTest.printed("java.md", name));
    List<String> program = new ArrayList<>(List.of(source.toString()));
    program.addAll(List.of(arguments));
    List<String> memory =
        List.of("-Dorg.bytedeco.javacpp.maxPhysicalBytes=0", "-Dorg.bytedeco.javacpp.maxBytes=0");
    return new ProcessBuilder(Child.java(memory, System.getProperty("java.class.path"), program))
        .directory(folder.toFile());
  }

  private static String post(URI address, String text) throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(address).POST(BodyPublishers.ofString(text)).build();
    return HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body();
  }
}
