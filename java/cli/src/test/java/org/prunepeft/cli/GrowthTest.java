package org.prunepeft.cli;

import static org.prunepeft.testing.Growth.alike;
import static org.prunepeft.testing.Growth.list;
import static org.prunepeft.testing.Growth.text;
import static org.prunepeft.testing.ReaderFiles.DIRECTORY;
import static org.prunepeft.testing.ReaderFiles.put;
import static org.prunepeft.testing.ReaderFiles.putOnce;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.RunContents;
import org.prunepeft.files.RunFiles;
import org.prunepeft.testing.Growth;
import org.prunepeft.testing.Growth.FileReader;
import org.prunepeft.testing.Growth.Shape;

/** As the library's: what the command line's readers, reports and explanations take of files. */
class GrowthTest {
  private static final ReadersTest READERS = new ReadersTest();

  @AfterAll
  static void clean() throws IOException {
    ReadersTest.clean();
  }

  @ParameterizedTest
  @MethodSource({"tables", "shown"})
  void growsNoFasterThanTheFile(Shape shape) throws IOException {
    Growth.check(shape);
  }

  /** A line of a study becomes a run, with the options of its command. */
  @ParameterizedTest
  @MethodSource("yaml")
  void studiesGrowNoFasterThanTheFile(Shape shape) throws IOException {
    Growth.check(shape, 1500);
  }

  private static Shape shape(String name, int most, IntFunction<byte[]> file, FileReader reader) {
    return new Shape(name, most, file, reader);
  }

  static Stream<Shape> yaml() {
    String study = "tasks: [wordnet]\nmethods: {a: {command: train, modules: head}}\n";
    String search = "tasks: [wordnet]\nmethods:\n  s: {command: search}\n";
    String random =
        "tasks: [wordnet]\nmethods: {r: {command: train, modules: random}}\ndraws: 100\n";
    FileReader reader = READERS::study;
    return Stream.of(
        shape("study: many keys", 40_000, n -> text(study, n, "key%d: 1\n"::formatted, ""), reader),
        shape(
            "study: many seeds",
            1000,
            n -> list(study + "seeds: [", n, i -> "" + i, "]\n"),
            reader),
        shape(
            "study: many seeds and budgets",
            400,
            n ->
                list(
                    search + "seeds: [" + numbers(n) + "]\nbudgets: [",
                    n,
                    i -> "" + (i + 2),
                    "]\n"),
            reader),
        shape(
            "study: many seeds, budgets and draws",
            40,
            n ->
                list(
                    random + "seeds: [" + numbers(n) + "]\nbudgets: [",
                    n,
                    i -> "" + (i + 2),
                    "]\n"),
            reader),
        shape(
            "study: many rates and seeds",
            400,
            n ->
                list(
                    search + "seeds: [" + numbers(n) + "]\nlearning_rate: {candidates: [",
                    n,
                    i -> (i + 1) + "e-9",
                    "]}\n"),
            reader),
        shape(
            "study: many methods",
            4000,
            n ->
                text(
                    "tasks: [wordnet]\nseeds: [0]\nmethods:\n",
                    n,
                    "  m%d: {command: train, modules: head}\n"::formatted,
                    ""),
            reader),
        shape(
            "study: many methods that take a run",
            4000,
            n -> text(search, n, "  m%d: {command: train, modules: {method: s}}\n"::formatted, ""),
            reader),
        shape(
            "study: many methods that take a run with many budgets",
            2000,
            n ->
                text(
                    "budgets: [" + parts(n / 4, i -> "" + (i + 2)) + "]\n" + search,
                    n,
                    "  m%d: {command: train, modules: {method: s}}\n"::formatted,
                    ""),
            reader),
        shape(
            "study: many tasks",
            4000,
            n ->
                text(
                    "methods: {a: {command: train, modules: head}}\ntasks:\n",
                    n,
                    "  t%d: {train_file: a.csv}\n"::formatted,
                    ""),
            reader),
        shape(
            "study: many models",
            4000,
            n -> text(study + "models:\n", n, "  m%d: {model: a}\n"::formatted, ""),
            reader),
        shape(
            "study: many methods compared with",
            1000,
            n -> list(study + "compare_with: [", n, "m%d"::formatted, "]\n"),
            reader),
        shape(
            "options: many keys",
            40_000,
            n -> text("", n, "key%d: 1\n"::formatted, ""),
            READERS::options),
        shape(
            "options: a long list",
            100_000,
            n -> text("lora_targets:\n", n, i -> "- query\n", ""),
            READERS::options),
        shape(
            "options: a long text",
            400_000,
            n -> text("model: \"", n, i -> "a\n ", "\"\n"),
            READERS::options),
        shape(
            "options: a long number",
            400_000,
            n -> text("seed: \"", n, i -> "1\n ", "\"\n"),
            READERS::options),
        shape(
            "options: keys of one hash",
            20_000,
            n -> text("", n, i -> alike(i) + ": 1\n", ""),
            READERS::options),
        shape(
            "mlflowExperiment: many keys",
            40_000,
            n -> text("", n, "key%d: 1\n"::formatted, ""),
            READERS::mlflowExperiment),
        shape(
            "mlflowExperiment: a long name",
            400_000,
            n -> text("name: \"", n, i -> "a\n ", "\"\n"),
            READERS::mlflowExperiment));
  }

  private static String numbers(int count) {
    return new String(list("", count, i -> "" + i, ""), StandardCharsets.UTF_8);
  }

  static Stream<Shape> tables() {
    String tables =
        "{\"format\":1,\"study\":\"s\",\"seeds\":[0],\"overall\":[],\"learning_rates\":[],\"missing\":[],\"tables\":[";
    String row =
        "{\"method\":\"m%d\",\"budget\":null,\"learning_rate\":\"0.01\",\"by_seed\":{\"0\":1},\"mean\":1,\"standard_deviation\":1,\"interval\":[0,1],\"parameters\":1}";
    String table =
        "{\"task\":\"t%d\",\"model\":\"m\",\"budget\":null,\"metric\":\"accuracy\",\"label\":\"a\",\"percent\":true,\"rows\":[";
    return Stream.of(
        shape(
            "studyTables: many tables",
            8000,
            n -> list(tables, n, i -> table.formatted(i) + "],\"comparisons\":[]}", "]}"),
            READERS::studyTables),
        shape(
            "studyTables: many rows",
            8000,
            n -> list(tables + table.formatted(0), n, row::formatted, "],\"comparisons\":[]}]}"),
            READERS::studyTables),
        shape(
            "studyTables: many seeds",
            30_000,
            n ->
                list(
                    tables
                        + table.formatted(0)
                        + row.formatted(0).replace("{\"0\":1}", "{" + seeds(n) + "}")
                        + "],\"comparisons\":[]}],\"more\":[",
                    1,
                    i -> "0",
                    "]}"),
            READERS::studyTables),
        shape(
            "studyTables: many names",
            40_000,
            n -> list("{\"format\":1,", n, "\"name%d\":1"::formatted, "}"),
            READERS::studyTables),
        shape(
            "studyTables: a long list",
            100_000,
            n -> list("{\"format\":1,\"missing\":[", n, i -> "\"\"", "]}"),
            READERS::studyTables),
        shape(
            "studyTables: a long name",
            40_000,
            n ->
                list(
                    "{\"format\":1,\"files\":{\"" + "x".repeat(n) + "\":{",
                    n,
                    "\"b%d\":1"::formatted,
                    "}}}"),
            READERS::studyTables),
        shape(
            "studyCosts: many tables",
            8000,
            n ->
                list(
                    "{\"format\":1,\"study\":\"s\",\"tables\":[",
                    n,
                    "{\"task\":\"t%d\",\"model\":\"m\",\"budget\":null,\"rows\":[]}"::formatted,
                    "]}"),
            READERS::studyCosts),
        shape(
            "studyCosts: many levels",
            100_000,
            n -> ("{\"format\":1,\"tables\":" + "[".repeat(n)).getBytes(StandardCharsets.UTF_8),
            READERS::studyCosts),
        shape(
            "texts: many lines",
            100_000,
            n -> text("", n, "text %d\n"::formatted, ""),
            READERS::texts),
        shape("texts: blank lines", 1_000_000, n -> text("", n, i -> "\r", "a"), READERS::texts),
        shape("texts: a long line", 2_000_000, n -> text("", n, i -> "a", ""), READERS::texts));
  }

  private static String seeds(int count) {
    return new String(list("", count, "\"%d\":1"::formatted, ""), StandardCharsets.UTF_8);
  }

  /** What reports and explanations make of the files of a run. */
  static Stream<Shape> shown() {
    String module = "{\"name\":\"m%d\",\"layer\":0,\"type\":\"lora\",\"parameters\":1}";
    String verdict =
        "{\"module\":"
            + module
            + ",\"partition\":{\"type\":\"lora\",\"block\":1},\"scores\":{%s},\"probability\":1,\"meanRank\":1}";
    String score = "\"c%d\":{\"raw\":1,\"scaled\":1,\"rank\":1,\"probability\":1}";
    String removal = "{\"module\":" + module + ",\"probability\":1,\"parametersAfter\":1}";
    String reading =
        "{\"criterion\":\"c%d\",\"type\":\"lora\",\"spread\":1,\"reliability\":null,\"leftOut\":null}";
    String round =
        """
        {"stage":{"kind":"ROUND","index":1,"fresh":true,"rate":1.0},"target":1,"readings":[%s],"panels":[],"verdicts":[%s],"removals":[%s],"spared":[],"survivors":[],"information":"RELIABLE","training":null}""";
    return Stream.of(
        shape(
            "rounds: many modules",
            6000,
            n ->
                ("["
                        + round.formatted(
                            "",
                            parts(n, i -> verdict.formatted(i, "")),
                            parts(n, i -> removal.formatted(n - i - 1)))
                        + "]")
                    .getBytes(StandardCharsets.UTF_8),
            file -> show(RunFiles.ROUNDS, file)),
        shape(
            "rounds: many criteria",
            8000,
            n ->
                ("["
                        + round.formatted(
                            parts(n, reading::formatted),
                            verdict.formatted(0, parts(n, score::formatted)),
                            "")
                        + "]")
                    .getBytes(StandardCharsets.UTF_8),
            file -> show(RunFiles.ROUNDS, file)),
        shape(
            "rounds: many rounds",
            4000,
            n -> list("[", n, i -> round.formatted("", verdict.formatted(0, ""), ""), "]"),
            file -> show(RunFiles.ROUNDS, file)),
        shape(
            "measured: many purposes",
            8000,
            n ->
                list(
                    "{\"choice\":\"best\",\"values\":[{\"module\":\"m0\",\"kept\":true}],\"measured\":[",
                    n,
                    "{\"purpose\":\"p%d\",\"modules\":[\"a\"],\"score\":0}"::formatted,
                    "]}"),
            file -> show(RunFiles.MEASURED, file)),
        shape(
            "measured: many modules",
            10_000,
            n ->
                list(
                    "{\"choice\":\"best\",\"kept\":["
                        + parts(n, "\"m%d\""::formatted)
                        + "],\"values\":[",
                    n,
                    "{\"module\":\"m%d\",\"kept\":true}"::formatted,
                    "]}"),
            file -> show(RunFiles.MEASURED, file)),
        shape(
            "measured: many pairs",
            10_000,
            n ->
                list(
                    "{\"choice\":\"best\",\"values\":[{\"module\":\"m0\",\"kept\":true}],\"pairs\":[",
                    n,
                    "{\"first\":\"m0\",\"second\":\"m%d\"}"::formatted,
                    "]}"),
            file -> show(RunFiles.MEASURED, file)),
        shape(
            "peer: many modules",
            10_000,
            n ->
                list(
                    "{\"method\":\"gates\",\"effort\":{},\"trials\":[],\"modules\":[",
                    n,
                    i -> "{\"module\":" + module.formatted(i) + ",\"score\":1,\"kept\":true}",
                    "]}"),
            file -> show(RunFiles.PEER, file)),
        shape(
            "peer: many trials",
            20_000,
            n ->
                list(
                    "{\"method\":\"gates\",\"effort\":{},\"modules\":[{\"module\":"
                        + module.formatted(0)
                        + ",\"score\":1,\"kept\":true}],\"trials\":[",
                    n,
                    i -> "{\"modules\":[\"m0\"],\"metric\":1}",
                    "]}"),
            file -> show(RunFiles.PEER, file)),
        shape(
            "metrics: many trainings",
            10_000,
            n -> text("", n, "{\"training\":\"t%d\",\"step\":1,\"loss\":1}\n"::formatted, ""),
            file -> show(RunFiles.METRICS, file)));
  }

  private static String parts(int count, IntFunction<String> part) {
    return new String(list("", count, part, ""), StandardCharsets.UTF_8);
  }

  /** A report of a run that has this file, and the explanation of its module m0. */
  private static void show(String name, byte[] file) throws IOException {
    String directory = "shown/" + name.replace('.', '-');
    putOnce(directory + "/config.json", "{}");
    putOnce(directory + "/result.json", "{}");
    put(directory + "/" + name, file);
    ReadersTest.READING.check(
        file.length,
        () -> {
          RunContents run = RunContents.of(DIRECTORY.resolve(directory));
          if (run.notes().stream().anyMatch(note -> note.contains(name))) {
            throw new AssertionError(run.notes());
          }
          ReportPage.json(ReportRun.of("run", run, of -> Map.of()));
          if (!run.rounds().isEmpty()) {
            new PruningExplanation(run, "m0").text();
          }
          run.measured().ifPresent(own -> new MeasuredExplanation(own, null, "m0").text());
          run.peer().ifPresent(own -> new PeerExplanation(own, "m0").text());
        });
  }
}
