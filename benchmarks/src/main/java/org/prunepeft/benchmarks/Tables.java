package org.prunepeft.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.function.Function;
import org.bytedeco.javacpp.Loader;

/**
 * Prints JMH's JSON as Markdown tables in which each figure stands beside its baseline and its
 * limit from the same run.
 */
public final class Tables {
  private static final String NONE = "–";

  /** Of the language model whose steps are shown. */
  private static final int LAYERS = 30;

  /** Microseconds, nanoseconds or a rate, and half of JMH's 99.9 % interval. */
  private record Score(double value, double error) {
    Score minus(Score other) {
      return new Score(value - other.value, Math.hypot(error, other.error));
    }
  }

  /** A method's figures with one set of parameters. */
  private record Result(
      String type,
      String method,
      Map<String, String> parameters,
      Score score,
      double median,
      JsonNode secondary) {
    double counter(String name) {
      return secondary.path(name).path("score").asDouble(Double.NaN);
    }
  }

  private final List<Result> results = new ArrayList<>();
  private final JsonNode json;
  private final StringBuilder out = new StringBuilder();

  private Tables(JsonNode json) {
    this.json = json;
    for (JsonNode run : json) {
      String[] name = run.get("benchmark").asText().split("\\.");
      Map<String, String> parameters = new LinkedHashMap<>();
      run.path("params")
          .properties()
          .forEach(entry -> parameters.put(entry.getKey(), entry.getValue().asText()));
      JsonNode metric = run.get("primaryMetric");
      // A single iteration has no interval: "NaN".
      Score score =
          new Score(metric.get("score").asDouble(), metric.path("scoreError").asDouble(Double.NaN));
      results.add(
          new Result(
              name[name.length - 2],
              name[name.length - 1],
              parameters,
              score,
              metric.path("scorePercentiles").path("50.0").asDouble(Double.NaN),
              run.path("secondaryMetrics")));
    }
  }

  /**
   * @param arguments JMH's result file, then what the heading is to say of the machine and the
   *     command, a line each; or --compact, JMH's result file and the file to keep
   */
  public static void main(String[] arguments) throws IOException {
    if (arguments.length == 0) {
      System.err.println(
          "usage: Tables RESULT.json [LINE...] | Tables --compact RESULT.json KEPT.json");
      System.exit(2);
    }
    if (arguments[0].equals("--compact")) {
      compact(Path.of(arguments[1]), Path.of(arguments[2]));
      return;
    }
    JsonNode json = new ObjectMapper().readTree(Path.of(arguments[0]).toFile());
    Tables tables = new Tables(json);
    tables.heading(List.of(arguments).subList(1, arguments.length));
    tables.lora();
    tables.quantized();
    tables.adapter();
    tables.decoder();
    tables.importance();
    tables.training();
    tables.languageModel();
    tables.scaling();
    tables.products();
    tables.calls();
    tables.predictions();
    System.out.print(tables.out);
  }

  /** A result a line, without what follows from the raw data. */
  private static void compact(Path from, Path to) throws IOException {
    ObjectMapper mapper = new ObjectMapper();
    StringJoiner lines = new StringJoiner(",\n", "[\n", "\n]\n");
    for (JsonNode run : mapper.readTree(from.toFile())) {
      for (JsonNode parent : run.findParents("scorePercentiles")) {
        ((ObjectNode) parent).remove("scoreConfidence");
        // Of times that were sampled one by one the median is shown.
        if (run.path("mode").asText().equals("sample")) {
          ((ObjectNode) parent.get("scorePercentiles")).retain("50.0");
        } else {
          ((ObjectNode) parent).remove("scorePercentiles");
        }
      }
      lines.add(mapper.writeValueAsString(run));
    }
    Files.writeString(to, lines.toString());
  }

  private void heading(List<String> lines) throws IOException {
    line("# Benchmarks");
    line("");
    lines.forEach(text -> line("- " + text));
    if (!json.isEmpty()) {
      JsonNode run = json.get(0);
      line(
          "- JDK %s, JMH %s, LibTorch with presets %s",
          run.path("jdkVersion").asText(),
          run.path("jmhVersion").asText(),
          Loader.getVersion("org.bytedeco", "pytorch"));
      line(
          "- %d forks of %d iterations after %d of warming up; ± is half of the 99.9 %% interval",
          run.path("forks").asInt(),
          run.path("measurementIterations").asInt(),
          run.path("warmupIterations").asInt());
    }
  }

  // LoRA.

  private void lora() {
    String type = LoraLinearBenchmark.class.getSimpleName();
    for (String dropout : values(type, "dropout")) {
      section("LoRA linear, dropout " + dropout);
      line(
          "Over LibTorch's frozen linear of the same pass, in float32; backward is both less forward. The column after the limit is over"
              + " our own frozen linear, whose limit counts FLOP; the last one is ours in float32 over ours in bfloat16.");
      line("");
      row(
          "M x K x N, r",
          "pass",
          "frozen, ms",
          "ours",
          "addmm_",
          "row panels",
          "eager",
          "eager ÷ ours",
          "our frozen",
          "limit",
          "ours over our frozen",
          "float32 ÷ bf16");
      row("---", "---", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:");
      for (String shape : values(type, "shape")) {
        Map<String, String> parameters = Map.of("shape", shape, "dropout", dropout);
        double limit = LoraLinearBenchmark.Shape.parse(shape).forwardLimit();
        loraRow(shape, "forward", method -> find(type, method + "Forward", parameters), limit);
        loraRow(shape, "backward", method -> backward(type, method, parameters), 2 * limit);
        loraRow(shape, "both", method -> find(type, method + "Both", parameters), 1.5 * limit);
      }
    }
  }

  private void loraRow(String shape, String pass, Function<String, Score> scores, double limit) {
    Score frozen = scores.apply("frozen");
    Score ours = scores.apply("ours");
    Score eager = scores.apply("eager");
    Score oursFrozen = scores.apply("oursFrozen");
    row(
        shape.replace("r", ", "),
        pass,
        milliseconds(frozen),
        over(ours, frozen),
        over(scores.apply("addmm"), frozen),
        over(scores.apply("panels"), frozen),
        over(eager, frozen),
        ratio(eager, ours),
        over(oursFrozen, frozen),
        String.format(Locale.ROOT, "+%.1f %%", 100 * limit),
        over(ours, oursFrozen),
        ratio(ours, scores.apply("oursBf16")));
  }

  /** Both less forward, or null where one was not measured. */
  private Score backward(String type, String method, Map<String, String> parameters) {
    Score both = find(type, method + "Both", parameters);
    Score forward = find(type, method + "Forward", parameters);
    return both == null || forward == null ? null : both.minus(forward);
  }

  // Quantised weights.

  private void quantized() {
    String type = QuantizedLinearBenchmark.class.getSimpleName();
    if (values(type, "extents").isEmpty()) {
      return;
    }
    section("Frozen linear in 8 and 4 bits");
    line("Over our own in bfloat16, of which the time is; x and y are bfloat16 in each.");
    line("");
    row("M x K x N", "pass", "bfloat16, ms", "int8", "NF4");
    row("---", "---", "--:", "--:", "--:");
    for (String extents : values(type, "extents")) {
      for (String method : List.of("forward", "gradInput")) {
        Function<String, Score> of =
            weights -> find(type, method, Map.of("extents", extents, "weights", weights));
        Score dense = of.apply("BF16");
        row(
            extents,
            method,
            milliseconds(dense),
            over(of.apply("INT8"), dense),
            over(of.apply("NF4"), dense));
      }
    }
  }

  // Adapters.

  private void adapter() {
    String type = SerialAdapterBenchmark.class.getSimpleName();
    if (values(type, "size").isEmpty()) {
      return;
    }
    section("Serial adapter, float32");
    line(
        "Over its matrix products alone by LibTorch, which are the limit but for a better product.");
    line("");
    row("M x K, m", "pass", "products, ms", "GFLOP/s", "ours", "eager", "eager ÷ ours");
    row("---", "---", "--:", "--:", "--:", "--:", "--:");
    for (String size : values(type, "size")) {
      Map<String, String> parameters = Map.of("size", size);
      double flop = SerialAdapterBenchmark.Size.parse(size).forwardFlop();
      adapterRow(size, "forward", method -> find(type, method + "Forward", parameters), flop);
      adapterRow(size, "backward", method -> backward(type, method, parameters), 2 * flop);
      adapterRow(size, "both", method -> find(type, method + "Both", parameters), 3 * flop);
    }
  }

  private void adapterRow(String size, String pass, Function<String, Score> scores, double flop) {
    Score products = scores.apply("products");
    Score ours = scores.apply("ours");
    Score eager = scores.apply("eager");
    row(
        size.replace("m", ", "),
        pass,
        milliseconds(products),
        products == null ? NONE : number(flop / products.value / 1e3),
        over(ours, products),
        over(eager, products),
        ratio(eager, ours));
  }

  // Decoders.

  private void decoder() {
    String type = DecoderBenchmark.class.getSimpleName();
    List<String> operations = values(type, "operation");
    if (operations.isEmpty()) {
      return;
    }
    section("A decoder's layer beside its linears, float32, sizes of SmolLM2-135M");
    row("operation", "B x T", "pass", "ours, ms", "LibTorch, ms", "LibTorch ÷ ours");
    row("---", "---", "---", "--:", "--:", "--:");
    for (String operation : operations) {
      for (String batch : values(type, "batch")) {
        Map<String, String> parameters = Map.of("operation", operation, "batch", batch);
        for (String pass : List.of("Forward", "Both")) {
          Score ours = find(type, "ours" + pass, parameters);
          Score eager = find(type, "eager" + pass, parameters);
          row(
              operation,
              batch,
              pass.toLowerCase(Locale.ROOT),
              milliseconds(ours),
              milliseconds(eager),
              ratio(eager, ours));
        }
      }
    }
  }

  // Importance.

  private void importance() {
    String type = ImportanceBenchmark.class.getSimpleName();
    if (values(type, "tensors").isEmpty()) {
      return;
    }
    section("Importance: nine statistics of every tensor, float32");
    line("The limit is the time of a streaming read of the same bytes.");
    line("");
    row(
        "tensors",
        "MB",
        "memory",
        "read, ms",
        "GB/s",
        "ours, ms",
        "of the bandwidth",
        "loop ÷ ours",
        "quantile, ms");
    row("--:", "--:", "---", "--:", "--:", "--:", "--:", "--:", "--:");
    for (String tensors : values(type, "tensors")) {
      double bytes = 8.0 * ImportanceBenchmark.elements(Integer.parseInt(tensors));
      for (String memory : values(type, "memory")) {
        Map<String, String> parameters = Map.of("tensors", tensors, "memory", memory);
        Score read = find(type, "read", parameters);
        Score ours = find(type, "ours", parameters);
        row(
            tensors,
            number(bytes / 1e6),
            memory,
            milliseconds(read),
            read == null ? NONE : number(bytes / read.value / 1e3),
            milliseconds(ours),
            read == null || ours == null
                ? NONE
                : String.format(Locale.ROOT, "%.0f %%", 100 * read.value / ours.value),
            ratio(find(type, "loop", parameters), ours),
            milliseconds(find(type, "oursQuantile", parameters)));
      }
    }
  }

  // Training.

  private void training() {
    String type = TrainingStepBenchmark.class.getSimpleName();
    if (values(type, "modules").isEmpty()) {
      return;
    }
    for (String dropout : values(type, "loraDropout")) {
      training(type, dropout);
    }
  }

  private void training(String type, String dropout) {
    section("Training step of MiniLM, batch 32, LoRA dropout " + dropout);
    line(
        "In float32, but oursBf16. laterEpoch: the outputs of the layers below the lowest module are known. Tokens without padding. FLOP are those of the products,"
            + " padding included; the peak is the fastest product below, in float32, and the limit what"
            + " it would be ÷ eager. Bytes are of Java objects.");
    line("");
    double peak = peak();
    row(
        "lengths",
        "modules",
        "",
        "step, ms",
        "tokens/s",
        "GFLOP/s",
        "of the peak",
        "÷ eager",
        "limit",
        "Java bytes/step");
    row("---", "---", "---", "--:", "--:", "--:", "--:", "--:", "--:", "--:");
    for (String lengths : values(type, "lengths")) {
      for (String modules : values(type, "modules")) {
        Map<String, String> parameters =
            Map.of("modules", modules, "lengths", lengths, "loraDropout", dropout);
        Result eager = result(type, "eager", parameters);
        for (String method : List.of("ours", "oursBf16", "laterEpoch", "eager", "frozenForward")) {
          Result result = result(type, method, parameters);
          if (result != null) {
            trainingRow(result, eager, peak);
          }
        }
      }
    }
  }

  private void trainingRow(Result result, Result eager, double peak) {
    stepRow(
        List.of(result.parameters.get("lengths"), result.parameters.get("modules"), result.method),
        result,
        result.method.equals("frozenForward") ? null : eager,
        peak,
        List.of(
            eager == null || peak <= 0 || !result.method.equals("ours")
                ? NONE
                : String.format(Locale.ROOT, "%.2f", peak / eager.counter("gigaflop"))));
  }

  /**
   * @param first the row's first cells
   * @param eager what it is compared with; null: nothing
   * @param limit the cells before the last
   */
  private void stepRow(
      List<String> first, Result result, Result eager, double peak, List<String> limit) {
    double flops = result.counter("gigaflop");
    double tokens = result.counter("tokens");
    List<String> cells = new ArrayList<>(first);
    cells.add(
        number(1e3 / result.score.value)
            + spread(result.score, 1e3 / (result.score.value * result.score.value)));
    cells.add(number(tokens));
    cells.add(number(flops));
    cells.add(peak > 0 ? String.format(Locale.ROOT, "%.0f %%", 100 * flops / peak) : NONE);
    cells.add(
        eager == null
            ? NONE
            : String.format(Locale.ROOT, "%.2f", tokens / eager.counter("tokens")));
    cells.addAll(limit);
    cells.add(number(result.counter("gc.alloc.rate.norm")));
    row(cells.toArray(String[]::new));
  }

  private void languageModel() throws IOException {
    String type = LanguageStepBenchmark.class.getSimpleName();
    Map<String, String> parameters = Map.of("layers", String.valueOf(LAYERS));
    Result eager = result(type, "eager", parameters);
    if (values(type, "layers").isEmpty()) {
      return;
    }
    section(
        "Training step of a Llama of SmolLM2-135M's shape, 8 x 256 tokens, LoRA of rank 16 on all linears");
    line(
        "In float32, but oursBf16, oursInt8 and oursNf4. FLOP are those of the products; the peak is the fastest"
            + " product below, in float32. Packed: the layers' linears as the kernels read them, without embeddings;"
            + " of eager as LibTorch does. Bytes are of Java objects.");
    line("");
    double peak = peak();
    row(
        "",
        "step, ms",
        "tokens/s",
        "GFLOP/s",
        "of the peak",
        "÷ eager",
        "packed, MB",
        "Java bytes/step");
    row("---", "--:", "--:", "--:", "--:", "--:", "--:", "--:");
    for (String method : List.of("ours", "oursBf16", "oursInt8", "oursNf4", "eager")) {
      Result result = result(type, method, parameters);
      if (result != null) {
        double packed = LanguageStepBenchmark.packedBytes(LAYERS, method);
        stepRow(List.of(method), result, eager, peak, List.of(number(packed / 1e6)));
      }
    }
  }

  // Scaling.

  private void scaling() {
    String type = ScalingBenchmark.class.getSimpleName();
    if (values(type, "of").isEmpty()) {
      return;
    }
    section("How the time of a training step's forward and backward pass grows");
    line("Over the time of one; what does not grow is the rest of the model.");
    line("");
    row("of", "1, ms", "2", "4", "8", "each more, ms");
    row("---", "--:", "--:", "--:", "--:", "--:");
    for (String of : values(type, "of")) {
      Function<String, Score> at = times -> find(type, "step", Map.of("of", of, "times", times));
      Score one = at.apply("1");
      Score eight = at.apply("8");
      row(
          of,
          milliseconds(one),
          ratio(at.apply("2"), one),
          ratio(at.apply("4"), one),
          ratio(eight, one),
          one == null || eight == null ? NONE : number((eight.value - one.value) / 7 / 1e3));
    }
  }

  /** The fastest product, GFLOP/s; 0 if none was measured. */
  private double peak() {
    return results.stream()
        .filter(result -> result.type.equals(ProductBenchmark.class.getSimpleName()))
        .mapToDouble(Tables::productRate)
        .max()
        .orElse(0);
  }

  private static double productRate(Result result) {
    return ProductBenchmark.flop(result.parameters.get("product")) / result.score.value / 1e3;
  }

  private void products() {
    String type = ProductBenchmark.class.getSimpleName();
    if (values(type, "product").isEmpty()) {
      return;
    }
    section("Matrix products, float32");
    row("M x K x N", "", "ms", "GFLOP/s");
    row("---", "---", "--:", "--:");
    for (Result result : results) {
      if (result.type.equals(type)) {
        row(
            result.parameters.get("product"),
            result.method,
            milliseconds(result.score),
            number(productRate(result)));
      }
    }
  }

  private void calls() {
    String type = CallOverheadBenchmark.class.getSimpleName();
    List<Result> own = results.stream().filter(result -> result.type.equals(type)).toList();
    if (own.isEmpty()) {
      return;
    }
    Score libTorch = find(type, "libTorchOperation", Map.of());
    section("Calls from Java");
    row("call", "ns", "÷ a LibTorch addition");
    row("---", "--:", "--:");
    for (Result result : own) {
      row(
          result.method,
          number(result.score.value) + spread(result.score, 1),
          ratio(result.score, libTorch));
    }
  }

  private void predictions() {
    String type = PredictionBenchmark.class.getSimpleName();
    if (values(type, "precision").isEmpty()) {
      return;
    }
    section("Predictions of MiniLM");
    line("One short text, and 1,024 in one call beside the forward passes of a training.");
    line("");
    row("precision", "what", "", "of the training's, or");
    row("---", "---", "--:", "--:");
    for (String precision : values(type, "precision")) {
      Map<String, String> of = Map.of("precision", precision);
      Result one = result(type, "oneText", of);
      if (one != null) {
        String mean = number(one.score.value / 1e3) + spread(one.score, 1e-3);
        row(precision, "one text, median, ms", number(one.median / 1e3), NONE);
        row(precision, "one text, mean, ms", mean, NONE);
      }
      Score client = find(type, "oneClient", of);
      Score clients = find(type, "clients", of);
      if (client != null && clients != null) {
        row(precision, "one client, a thread a text, texts/s", number(client.value), NONE);
        String times =
            String.format(Locale.ROOT, "%.2f times one client", clients.value / client.value);
        row(precision, "a client for each processor, texts/s", number(clients.value), times);
      }
      Result many = result(type, "manyTexts", of);
      Result training = result(type, "trainingForward", of);
      if (many == null || training == null) {
        continue;
      }
      double rate = training.counter("tokens");
      for (Result result : List.of(many, training)) {
        double tokens = result.counter("tokens");
        String share = String.format(Locale.ROOT, "%.0f %%", 100 * tokens / rate);
        row(precision, result.method + ", tokens/s", number(tokens), share);
      }
    }
  }

  // Looking up.

  private List<String> values(String type, String parameter) {
    List<String> values = new ArrayList<>();
    for (Result result : results) {
      String value = result.parameters.get(parameter);
      if (result.type.equals(type) && value != null && !values.contains(value)) {
        values.add(value);
      }
    }
    return values;
  }

  private Result result(String type, String method, Map<String, String> parameters) {
    return results.stream()
        .filter(
            r -> r.type.equals(type) && r.method.equals(method) && r.parameters.equals(parameters))
        .findFirst()
        .orElse(null);
  }

  private Score find(String type, String method, Map<String, String> parameters) {
    Result result = result(type, method, parameters);
    return result == null ? null : result.score;
  }

  // Writing.

  private void section(String title) {
    line("");
    line("## " + title);
    line("");
  }

  private void row(String... cells) {
    line("| " + String.join(" | ", cells) + " |");
  }

  private void line(String format, Object... values) {
    out.append(values.length == 0 ? format : String.format(Locale.ROOT, format, values))
        .append('\n');
  }

  private static String milliseconds(Score microseconds) {
    if (microseconds == null) {
      return NONE;
    }
    return number(microseconds.value / 1e3) + spread(microseconds, 1e-3);
  }

  private static String spread(Score score, double unit) {
    return Double.isNaN(score.error) ? "" : " ± " + number(score.error * unit);
  }

  private static String over(Score score, Score baseline) {
    if (score == null || baseline == null) {
      return NONE;
    }
    return String.format(Locale.ROOT, "%+.1f %%", 100 * (score.value / baseline.value - 1));
  }

  private static String ratio(Score numerator, Score denominator) {
    if (numerator == null || denominator == null) {
      return NONE;
    }
    return String.format(Locale.ROOT, "%.2f", numerator.value / denominator.value);
  }

  /** Three significant digits, or all before the point. */
  private static String number(double value) {
    if (Double.isNaN(value)) {
      return NONE;
    }
    double size = Math.abs(value);
    int decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    return String.format(Locale.ROOT, "%,." + decimals + "f", value);
  }
}
