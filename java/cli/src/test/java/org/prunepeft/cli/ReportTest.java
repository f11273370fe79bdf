package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.RunContents;
import org.prunepeft.data.Example;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.FixedSeed;

/** The page of runs, and why a module went; of runs whose data would take over a careless page. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class ReportTest {
  private static final String HOSTILE =
      "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"><!--";

  @TempDir static Path temporary;
  private static Path pruned;
  private static Path measured;
  private static Path trials;
  private static Path unfinished;
  private static Call watched;

  @BeforeAll
  static void search() throws IOException {
    Path file = temporary.resolve("words.csv");
    Files.writeString(
        file,
        IntStream.range(0, 320)
            .mapToObj(
                i ->
                    "\"the thing %d %s\",\"%s\"\n"
                        .formatted(
                            i, HOSTILE.replace("\"", "\"\""), i * 7919 % 5 < 2 ? "<b>good" : "bad"))
            .collect(Collectors.joining("", "text,label\n", "")));
    Path model = Small.model(temporary);
    pruned = temporary.resolve("runs/pruned");
    measured = temporary.resolve("runs/measured");
    unfinished = temporary.resolve("runs/unfinished");
    List<Object> common =
        List.of("search", "--model=" + model, "--train-file=" + file, "--train-examples=64");
    watched =
        Call.of(
            common,
            Small.modules(),
            "--output=" + pruned,
            "--rounds=2",
            "--round-examples=32",
            "--warm-up-examples=16",
            "--warm-up-epochs=1",
            "--watch");
    watched.exits(0);
    Call.of(
            common,
            Small.modules(),
            "--output=" + measured,
            "--strategy=measured",
            "--keep=0.5",
            "--supernet-examples=32",
            "--supernet-epochs=1",
            "--measured-examples=32",
            "--subsets=24")
        .exits(0);
    trials = temporary.resolve("runs/trials");
    Call.of(
            common,
            Small.modules(),
            "--output=" + trials,
            "--strategy=bayesian",
            "--trials=2",
            "--search-examples=32")
        .exits(0);
    copy(pruned, unfinished);
    for (String later : List.of("result.json", "summary.md", "predictions.jsonl")) {
      Files.delete(unfinished.resolve(later));
    }
    Files.writeString(unfinished.resolve("INCOMPLETE"), "failed: the disk was full\n");
  }

  private static void copy(Path from, Path to) throws IOException {
    Files.createDirectories(to);
    try (Stream<Path> files = Files.list(from)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Files.copy(file, to.resolve(file.getFileName()));
      }
    }
  }

  private static JsonNode json(Object... words) throws IOException {
    return new JsonMapper().readTree(Call.of("report", words, "--format=json").exits(0).out());
  }

  private static Path page(String name, Object... words) {
    Path page = temporary.resolve(name);
    Call.of("report", words, "--output=" + page).exits(0).prints("wrote " + page);
    return page;
  }

  @Test
  void aReportTellsWhatTheRunsFilesSay() throws IOException {
    JsonNode run = json(pruned).at("/runs/0");
    JsonNode result = new JsonMapper().readTree(pruned.resolve("result.json").toFile());
    assertEquals(result.at("/test/accuracy").doubleValue(), run.get("test").doubleValue(), 1e-6);
    assertEquals("tiny-roberta", run.get("model").textValue());
    assertTrue(run.at("/interval/0").doubleValue() <= run.get("test").doubleValue());
    assertTrue(run.at("/interval/1").doubleValue() >= run.get("test").doubleValue());
    assertEquals(2, run.get("rounds").size());
    JsonNode rounds = new JsonMapper().readTree(pruned.resolve("rounds.json").toFile());
    int went = 0;
    for (JsonNode place : run.get("grid")) {
      assertEquals(place.get("kept").booleanValue(), place.get("round").isNull());
      went += place.get("round").isNull() ? 0 : 1;
    }
    assertEquals(rounds.at("/0/removals").size() + rounds.at("/1/removals").size(), went);
    for (JsonNode standing : run.at("/rounds/0/standings")) {
      assertTrue(
          standing.get("margin").isNull()
              || standing.get("fate").textValue().equals("went")
                  == standing.get("margin").doubleValue() >= 0
              || standing.get("margin").doubleValue() == 0,
          standing.toString());
    }
    int examples = 0;
    for (JsonNode row : run.at("/confusion/counts")) {
      for (JsonNode count : row) {
        examples += count.intValue();
      }
    }
    assertEquals(result.at("/test/examples").intValue(), examples);
  }

  @Test
  void timeAndMemoryAreThoseOfTheResult() throws IOException {
    JsonNode result = new JsonMapper().readTree(pruned.resolve("result.json").toFile());
    JsonNode run = json(pruned).at("/runs/0");
    assertEquals(
        List.of("preparation", "warm-up", "search", "training"),
        new JsonMapper().convertValue(json(pruned).get("phases"), List.class));
    assertEquals(
        result.get("round_seconds").doubleValue(), run.at("/phases/search").doubleValue(), 1e-3);
    assumeTrue(Files.exists(Path.of("/proc/self/status")), "only Linux reports memory");
    long peak = result.get("round_peak_bytes").longValue();
    assertTrue(peak > 50_000_000, "a JVM with LibTorch has more: " + peak);
    assertEquals(peak, run.at("/memory/search").longValue());
    String table = Call.of("report", measured, "--format=csv").exits(0).out();
    assertTrue(
        table.contains(",training seconds,preparation peak bytes,search peak bytes,"), table);
  }

  @Test
  void detailsAreDrawnWithinSoManyBytes() {
    List<RunContents> runs = Stream.of(pruned, measured).map(RunContents::of).toList();
    Function<RunContents, Map<String, Example>> texts =
        run ->
            run.predictions().orElseThrow().examples().stream()
                .distinct()
                .collect(Collectors.toMap(id -> id, id -> new Example("ж".repeat(9000), null)));
    Map<String, Object> all = new ReportData(runs).toMap(texts, Long.MAX_VALUE);
    String details = ReportPage.json(all.get("runs"));
    long bytes = details.getBytes(StandardCharsets.UTF_8).length;
    assertTrue(bytes > details.length() + 1000, "the models made no mistakes");
    long between = (bytes + details.length()) / 2;
    List<?> drawn = (List<?>) new ReportData(runs).toMap(texts, between).get("runs");
    assertEquals(1, drawn.size());
  }

  @Test
  void mistakesHaveTheirTextsUnlessTheyAreLeftOut() throws IOException {
    JsonNode mistakes = json(pruned).at("/runs/0/mistakes");
    assertFalse(mistakes.isEmpty(), "the model made no mistake");
    assertTrue(mistakes.at("/0/text").textValue().endsWith(HOSTILE), mistakes.toString());
    assertTrue(json(pruned, "--no-texts").at("/runs/0/mistakes/0/text").isNull());
  }

  @Test
  void runsThatEndedEarlyAreDrawnAsFarAsTheyAre() throws IOException {
    JsonNode run = json(unfinished).at("/runs/0");
    assertEquals("failed: the disk was full", run.get("state").textValue());
    assertEquals(2, run.get("rounds").size());
    Files.writeString(unfinished.resolve("strategy.json"), "{");
    JsonNode damaged = json(unfinished).at("/runs/0");
    assertTrue(damaged.at("/notes/0").textValue().contains("strategy.json"), damaged.toString());
    assertTrue(damaged.at("/strategy").isMissingNode());
  }

  @Test
  void aWatchedRunLeavesItsPageWhichIsRenewedNoMore() throws IOException {
    Path page = pruned.resolve("report.html");
    watched.says("watch it at " + page.toUri());
    String text = Files.readString(page);
    assertTrue(text.contains("\"state\":\"complete\""));
    assertFalse(text.contains("http-equiv=\"refresh\""));
    Call.of("evaluate", pruned).exits(0);
  }

  @Test
  void severalRunsStandSideBySide() throws IOException {
    JsonNode report = json(temporary.resolve("runs"));
    assertEquals(4, report.get("overview").size());
    String table = Call.of("report", pruned, measured, "--format=csv").exits(0).out();
    assertTrue(table.startsWith("run,state,command,"), table);
    List<String> columns = List.of(table.lines().findFirst().orElseThrow().split(","));
    assertEquals(columns.stream().distinct().toList(), columns);
    assertEquals(3, table.lines().count(), table);
    assertTrue(table.contains("measured") && table.contains("search."), table);
  }

  @Test
  void theDataCannotLeaveItsElementOfThePage() throws IOException {
    String page = Files.readString(page("hostile.html", pruned, measured));
    assertFalse(page.contains("document.title='taken'</script>"));
    String data = page.substring(page.indexOf("id=\"data\">"), page.indexOf("<!-- D3"));
    assertEquals(1, Pattern.compile("<").matcher(data).results().count(), "</script> alone");
    assertTrue(page.contains("default-src 'none'"));
    assertTrue(Files.size(temporary.resolve("hostile.html")) < 2_000_000);
    assertFalse(Pattern.compile("(src|href)=\"?https?:").matcher(page).find());
  }

  @Test
  void aBrowserDrawsThePageWithoutErrors() throws Exception {
    Browser browser = Browser.orSkip(temporary);
    String dom = browser.dom(page("pruned.html", pruned));
    assertFalse(dom.contains("<title>taken"), "a script of the data ran");
    for (String part : List.of("Which modules", "Why: the criteria", "Training", "Mistakes")) {
      assertTrue(dom.contains("<h2>" + part + "</h2>"), part + dom.length());
    }
    assertTrue(Pattern.compile("<svg").matcher(dom).results().count() > 5, "charts are drawn");
    assertTrue(browser.dom(page("m.html", measured)).contains("What each module is worth"));
    String tried = browser.dom(page("t.html", trials));
    assertTrue(tried.contains("The score of each module, by bayesian"), "scores are drawn");
    assertTrue(tried.contains("<h3>Trials</h3>"), "trials are drawn");
    assertTrue(browser.dom(page("all.html", temporary.resolve("runs"))).contains("Each run</h2>"));
  }

  @Test
  void repeatsOfASeedAreNotSeeds() throws IOException {
    Path repeated = temporary.resolve("repeated");
    copy(pruned, repeated);
    assertEquals(0, json(pruned, repeated).get("seeds").size());
    Path other = temporary.resolve("other-seed");
    copy(pruned, other);
    Path config = other.resolve("config.json");
    Files.writeString(
        config, Files.readString(config).replaceFirst("\"seed\" : 0", "\"seed\" : 1"));
    Call.of("seal", other).exits(0);
    JsonNode seeds = json(pruned, repeated, other).get("seeds");
    assertEquals(1, seeds.size(), seeds.toString());
    assertEquals(2, seeds.at("/0/runs").size(), seeds.toString());
  }

  @Test
  void whatAPageDoesNotCompareIsSaid() {
    List<RunContents> runs = Stream.of(pruned, measured).map(RunContents::of).toList();
    Map<String, Object> page = new ReportData(runs, List.of(), 1).toMap(run -> Map.of(), 0);
    assertTrue(
        ((List<?>) page.get("notes"))
            .contains(
                "intervals and differences are those of the first 1 of 2 runs; report --format json, md or csv has those of all"),
        page.get("notes").toString());
    JsonNode second = new JsonMapper().valueToTree(page).at("/overview/1");
    assertTrue(second.get("interval").isNull(), second.toString());
    assertFalse(
        new ReportData(runs).toMap(run -> Map.of(), 0).get("notes").toString().contains("first"));
  }

  @Test
  void aMeasuredSearchIsDrawnByWhatItMeasured() throws Exception {
    ObjectNode data = (ObjectNode) json(measured);
    ObjectNode run = (ObjectNode) data.at("/runs/0");
    assertEquals("accuracy", run.at("/measured/quantity").textValue());
    assertTrue(run.at("/measured/percent").booleanValue());
    String module = run.at("/measured/values/0/module").textValue();
    Call.of("explain", measured, module).exits(0).prints("by so much accuracy rises when it is");
    // As if numbers were predicted, and modules had two slices each.
    ((ObjectNode) run.get("measured")).put("quantity", "R²").put("percent", false);
    ArrayNode grid = (ArrayNode) run.get("grid");
    int modules = grid.size();
    for (int i = 0; i < modules; i++) {
      ObjectNode place = (ObjectNode) grid.get(i);
      String name = place.get("module").textValue();
      grid.add(place.deepCopy().put("module", name + ".slice-1"));
      place.put("module", name + ".slice-0");
    }
    String dom = Browser.orSkip(temporary).dom(page(data, 0));
    assertTrue(dom.contains("By how much R² rises when"), "the caption names what was measured");
    assertTrue(dom.contains("of %d, ".formatted(modules)), "of as many modules");
    assertTrue(dom.contains("of %d slices".formatted(2 * modules)), "slices are counted apart");
  }

  /** A page of data that a test has changed. */
  private static Path page(JsonNode data, int refresh) throws IOException {
    Map<?, ?> map = new JsonMapper().convertValue(data, Map.class);
    Map<String, Object> named = new java.util.LinkedHashMap<>();
    map.forEach((name, value) -> named.put(name.toString(), value));
    return Files.writeString(
        temporary.resolve("changed.html"), ReportPage.of("changed", "", named, refresh));
  }

  @Test
  void arrowKeysGoFromEitherEndAndNothingStaysMarked() throws Exception {
    String dom =
        Browser.orSkip(temporary)
            .dom(
                page("t.html", trials),
                """
                setTimeout(() => {
                  const chart = [...document.querySelectorAll("figure")].find((one) => one.querySelector("h3").textContent === "Trials").querySelector(".chart");
                  const marks = [...chart.querySelectorAll("*")].filter((node) => node.hint);
                  const press = (key) => chart.dispatchEvent(new KeyboardEvent("keydown", {key}));
                  const at = () => marks.findIndex((mark) => mark.classList.contains("at"));
                  const seen = [];
                  press("ArrowLeft");
                  seen.push(at() === marks.length - 1);
                  seen.push(tip.textContent);
                  press("ArrowRight");
                  seen.push(at());
                  chart.dispatchEvent(new FocusEvent("blur"));
                  seen.push(at());
                  document.title = "seen " + seen.join(", ");
                }, 1000);
                """);
    assertTrue(
        Pattern.compile("<title>seen true, trial 2: [0-9.]+ %[^<]*, 0, -1</title>")
            .matcher(dom)
            .find(),
        dom.substring(dom.indexOf("<title>"), dom.indexOf("</title>")));
  }

  @Test
  void aPageThatIsRenewedKeepsWhatIsOpenChosenSortedAndFocused() throws Exception {
    JsonNode data = json(pruned, unfinished);
    String dom =
        Browser.orSkip(temporary)
            .dom(
                page(data, 1000),
                """
                setTimeout(() => {
                  const second = document.querySelectorAll("details.run")[1];
                  const fold = (title) => [...second.querySelectorAll("figure")].find((one) => one.querySelector("h3").textContent === title)?.querySelector("details");
                  const name = "Score against rank, by partition";
                  if (sessionStorage.getItem("before")) {
                    const table = fold(name)?.querySelector("table");
                    document.title = "kept " + [second.open, document.querySelectorAll("details.run")[0].open, fold(name)?.open, second.querySelector("select")?.value,
                      table?.querySelectorAll("th")[2].getAttribute("aria-sort"), document.activeElement.tagName].join(", ");
                    return;
                  }
                  sessionStorage.setItem("before", "1");
                  second.open = true;
                  second.fill();
                  fold(name).open = true;
                  fold(name).fill();
                  const select = second.querySelector("select");
                  select.value = "1";
                  select.dispatchEvent(new Event("change"));
                  const head = fold(name).querySelectorAll("th button")[2];
                  head.click();
                  head.click();
                  select.focus();
                  location.reload();
                }, 500);
                """);
    assertTrue(
        dom.contains("<title>kept true, false, true, 1, descending, SELECT</title>"),
        dom.substring(dom.indexOf("<title>"), dom.indexOf("</title>")));
  }

  /** As many as a RoBERTa-large has. */
  @Test
  void aSearchOf24LayersWithSevenModulesEachIsDrawn() throws Exception {
    Path model = temporary.resolve("deep");
    RobertaDirectory.write(model, 24);
    Path run = temporary.resolve("large");
    Call.of(
            "search",
            "--model=" + model,
            "--train-file=" + temporary.resolve("words.csv"),
            "--train-examples=32",
            Small.modules(),
            "--target-modules=all-linear",
            "--module-per-projection",
            "--output=" + run,
            "--rounds=3",
            "--round-examples=16",
            "--warm-up-examples=16",
            "--warm-up-epochs=1")
        .exits(0);
    assertEquals(24 * 7, json(run).at("/runs/0/grid").size());
    Path page = page("large.html", run);
    assertTrue(Files.size(page) < 2_000_000, "" + Files.size(page));
    String dom = Browser.orSkip(temporary).dom(page);
    assertTrue(dom.contains("<h2>Which modules</h2>"));
    assertTrue(dom.contains("lora.intermediate"), "its columns are drawn");
    for (boolean dark : List.of(false, true)) {
      assertEquals(List.of(), Browser.orSkip(temporary).violationsShown(page, dark));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aPageCanBeReadByAllWhoReadPages(boolean dark) throws Exception {
    Browser browser = Browser.orSkip(temporary);
    for (Path run : List.of(pruned, measured, trials, temporary.resolve("runs"))) {
      assertEquals(List.of(), browser.violations(page("audit.html", run), dark), run.toString());
    }
  }

  @Test
  void anExplanationSaysWhoJudgedAndHowNearItWas() {
    String kept = kept(pruned);
    String text = Call.of("explain", pruned, kept).exits(0).out();
    assertTrue(text.startsWith("# %s: kept after 2 rounds".formatted(kept)), text);
    assertTrue(text.contains("## Round 2: stayed"), text);
    assertTrue(text.contains("| sensitivity "), text);
    assertTrue(text.contains("What would have had to differ"), text);
    String brief = kept.replace("encoder.layer.", "");
    assertEquals(text, Call.of("explain", pruned, brief).exits(0).out());
  }

  @Test
  void aModuleThatWasSparedIsNotSaidToBeBelowTheCut() throws IOException {
    Path run = temporary.resolve("spared");
    copy(pruned, run);
    String module = kept(run);
    ArrayNode rounds = (ArrayNode) new JsonMapper().readTree(run.resolve("rounds.json").toFile());
    for (JsonNode survivor : rounds.get(1).get("survivors")) {
      if (survivor.get("name").textValue().equals(module)) {
        ((ArrayNode) rounds.get(1).get("spared")).add(survivor);
      }
    }
    for (JsonNode verdict : rounds.get(1).get("verdicts")) {
      if (verdict.at("/module/name").textValue().equals(module)) {
        ((ObjectNode) verdict).put("probability", 9.0);
      }
    }
    Files.writeString(run.resolve("rounds.json"), rounds.toString());
    Call.of("seal", run).exits(0);
    String text = Call.of("explain", run, module).exits(0).out();
    String last = text.substring(text.indexOf("## Round 2: spared"));
    assertTrue(last.contains("the last one always stays"), last);
    assertFalse(last.contains("below that of") || last.contains("have had to differ"), last);
    JsonNode standings = json(run).at("/runs/0/rounds/1/standings");
    for (JsonNode standing : standings) {
      if (standing.get("module").textValue().equals(module)) {
        assertEquals("spared", standing.get("fate").textValue());
        assertTrue(standing.get("margin").isNull(), standing.toString());
      }
    }
  }

  @Test
  void anExplanationOfAMeasuredSearchHasTheValueAndTheSubsets() {
    Call.of("explain", measured, kept(measured))
        .exits(0)
        .prints(": kept", "95 % interval", "chosen as a whole", "with it", "without it");
  }

  private static String kept(Path run) {
    return RunDirectory.open(run)
        .readJson("configuration.json", "modules", Candidate[].class)[0]
        .name();
  }

  @Test
  void whatCannotBeReportedIsRefusedWithTheRemedy() throws IOException {
    Call.of("explain", pruned, "0.loar").exits(2, "unknown module '0.loar'; did you mean 0.lora?");
    Path empty = Files.createDirectories(temporary.resolve("empty"));
    Call.of("report", empty).exits(1, "has no runs; name the directory of a run");
    Call.of("explain", empty, "0.lora").exits(1, "has no run");
    Call.of("explain", temporary.resolve("absent"), "0.lora").exits(1, "does not exist");
    Call.of("explain", temporary.resolve("runs"), "0.lora")
        .exits(1, "is no run but holds several; name one of them: " + measured + ", " + pruned);
    Call.of("report", temporary.resolve("absent")).exits(1, "does not exist");
    Call.of("report", pruned, "--output=" + temporary.resolve("absent/report.html"))
        .exits(1, "can't write");
  }
}
