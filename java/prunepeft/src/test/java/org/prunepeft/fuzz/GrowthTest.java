package org.prunepeft.fuzz;

import static org.prunepeft.fuzz.LargeFiles.initialiser;
import static org.prunepeft.fuzz.LargeFiles.node;
import static org.prunepeft.fuzz.LargeFiles.onnx;
import static org.prunepeft.testing.Growth.alike;
import static org.prunepeft.testing.Growth.list;
import static org.prunepeft.testing.Growth.text;
import static org.prunepeft.testing.ReaderFiles.DIRECTORY;
import static org.prunepeft.testing.ReaderFiles.put;
import static org.prunepeft.testing.ReaderFiles.putOnce;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.RunContents;
import org.prunepeft.checkpoint.TensorFlowBert;
import org.prunepeft.checkpoint.TensorFlowIndex;
import org.prunepeft.data.Columns;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.formats.AdapterFormat;
import org.prunepeft.fuzz.LargeFiles.Message;
import org.prunepeft.fuzz.LargeFiles.TensorEntry;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.testing.Growth;
import org.prunepeft.testing.Growth.FileReader;
import org.prunepeft.testing.Growth.Shape;
import org.prunepeft.text.Markdown;

/** What readers take of files of up to some megabytes grows no faster than these. */
class GrowthTest {
  private static final ReadersTest READERS = new ReadersTest();

  private static final String LORA =
      """
      {"peft_type": "LORA", "task_type": "FEATURE_EXTRACTION", "r": 2, "lora_alpha": 4, "rank_pattern": {""";

  private static final String LAYER = "base_model.model.encoder.layer.0.";

  private static final List<String> LINEARS =
      List.of(
          "attention.self.query",
          "attention.self.key",
          "attention.self.value",
          "attention.output.dense",
          "intermediate.dense",
          "output.dense");

  @AfterAll
  static void clean() throws IOException {
    ReadersTest.clean();
  }

  @ParameterizedTest
  @MethodSource({"json", "tokenizers", "models", "tensors", "tables", "texts", "runs", "adapters"})
  void growsNoFasterThanTheFile(Shape shape) throws IOException {
    Growth.check(shape);
  }

  /** Ten megabytes may be packed to some kilobytes: what they hold is bounded elsewhere. */
  @ParameterizedTest
  @MethodSource("packed")
  void packedFilesGrowNoFasterThanWhatTheyHold(Shape shape) throws IOException {
    Growth.check(shape, 300_000);
  }

  static Stream<Shape> packed() {
    return Stream.of(
        shape("parquet: equal rows", 100_000, LargeFiles::equalRows, READERS::parquet));
  }

  /** A template is parsed three times, and writes five texts. */
  @ParameterizedTest
  @MethodSource("templates")
  void templatesGrowNoFasterThanTheFile(Shape shape) throws IOException {
    Growth.check(shape, 2500);
  }

  /** A run's is parsed for each of its members, and for each comparison with another run. */
  @ParameterizedTest
  @MethodSource("configs")
  void configsGrowNoFasterThanTheFile(Shape shape) throws IOException {
    Growth.check(shape, 2500);
  }

  private static Shape shape(String name, int most, IntFunction<byte[]> file, FileReader reader) {
    return new Shape(name, most, file, reader);
  }

  private static String repeated(String text, int times) {
    return text.repeat(times);
  }

  /** Readers of JSON objects. */
  private static Map<String, FileReader> objects() {
    Map<String, FileReader> readers = new TreeMap<>();
    readers.put("tokenizerCheck", READERS::tokenizerCheck);
    readers.put("tokenizerConfig", READERS::tokenizerConfig);
    readers.put("modelConfig", READERS::modelConfig);
    readers.put("generationConfig", READERS::generationConfig);
    readers.put("safetensorsIndex", READERS::safetensorsIndex);
    readers.put("quantState", READERS::quantState);
    readers.put("peft", READERS::peft);
    readers.put("adapterHub", READERS::adapterHub);
    readers.put("adapterHubHead", READERS::adapterHubHead);
    readers.put("addedTokens", READERS::addedTokens);
    readers.put("specialTokens", READERS::specialTokens);
    readers.put("templateConfig", READERS::templateConfig);
    readers.put("jsonLines", READERS::jsonLines);
    readers.put("conversations", READERS::conversations);
    readers.put("questions", READERS::questions);
    readers.put("runModules", READERS::runModules);
    readers.put("runManifest", READERS::runManifest);
    readers.put("runFront", READERS::runFront);
    readers.put("runMeasured", READERS::runMeasured);
    readers.put("runPeer", READERS::runPeer);
    readers.put("runPredictions", READERS::runPredictions);
    readers.put("runCheckpoint", READERS::runCheckpoint);
    readers.put("runMetrics", READERS::runMetrics);
    readers.put("runRounds", READERS::runRounds);
    readers.put("runResult", READERS::runResult);
    readers.put("exportOrigin", READERS::exportOrigin);
    readers.put("strategy", READERS::strategy);
    return readers;
  }

  static Stream<Shape> json() {
    return objects().entrySet().stream()
        .flatMap(reader -> json(reader.getKey(), reader.getValue()));
  }

  /** Jackson keeps the names of a file that has fewer than 6,000: both files do, or neither. */
  private static Stream<Shape> json(String name, FileReader reader) {
    return Stream.of(
        shape(
            name + ": many names",
            40_000,
            n -> list("{", n, "\"name%d\":1"::formatted, "}"),
            reader),
        shape(
            name + ": names of one hash",
            5000,
            n -> list("{", n, i -> "\"%s_token\":\"a\"".formatted(alike(i)), "}"),
            reader),
        shape(name + ": a long list", 100_000, n -> list("{\"a\":[", n, i -> "0", "]}"), reader),
        shape(
            name + ": a long text",
            500_000,
            n -> ("{\"a\":\"" + repeated("x", n) + "\"}").getBytes(StandardCharsets.UTF_8),
            reader),
        shape(
            name + ": a long number",
            500_000,
            n -> ("{\"a\":" + repeated("1", n) + "}").getBytes(StandardCharsets.UTF_8),
            reader),
        shape(
            name + ": many levels",
            100_000,
            n -> ("{\"a\":" + repeated("[", n)).getBytes(StandardCharsets.UTF_8),
            reader),
        shape(
            name + ": many objects",
            20_000,
            n -> list("{\"a\":[", n, "{\"b\":%d}"::formatted, "]}"),
            reader));
  }

  static Stream<Shape> tokenizers() {
    String of = "{\"model\": {\"type\": \"%s\", ";
    return Stream.of(
        shape(
            "tokenizer: many tokens",
            40_000,
            n ->
                list(
                    of.formatted("WordPiece") + "\"unk_token\": \"t0\", \"vocab\": {",
                    n,
                    i -> "\"t%d\":%d".formatted(i, i),
                    "}}}"),
            READERS::tokenizer),
        shape(
            "tokenizerDecoding: many tokens",
            40_000,
            n ->
                list(
                    "{\"decoder\": {\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true}, "
                        + of.formatted("WordPiece").substring(1)
                        + "\"unk_token\": \"t0\", \"vocab\": {",
                    n,
                    i -> "\"t%d\":%d".formatted(i, i),
                    "}}}"),
            READERS::tokenizerDecoding),
        shape(
            "tokenizerOfDirectory: many tokens",
            40_000,
            n ->
                list(
                    of.formatted("WordPiece") + "\"unk_token\": \"t0\", \"vocab\": {",
                    n,
                    i -> "\"t%d\":%d".formatted(i, i),
                    "}}}"),
            READERS::tokenizerOfDirectory),
        shape(
            "tokenizerCheck: many tokens",
            60_000,
            n ->
                list(
                    of.formatted("WordLevel") + "\"unk_token\": \"t0\", \"vocab\": {",
                    n,
                    i -> "\"t%d\":%d".formatted(i, i),
                    "}}}"),
            READERS::tokenizerCheck),
        shape(
            "tokenizerCheck: tokens of one hash",
            5000,
            n ->
                list(
                    of.formatted("WordLevel") + "\"unk_token\": \"" + alike(0) + "\", \"vocab\": {",
                    n,
                    i -> "\"%s\":%d".formatted(alike(i), i),
                    "}}}"),
            READERS::tokenizerCheck),
        shape(
            "tokenizerCheck: many merges",
            100_000,
            n ->
                list(
                    of.formatted("BPE") + "\"vocab\": {\"a\":0,\"b\":1,\"ab\":2}, \"merges\": [",
                    n,
                    i -> i % 2 == 0 ? "\"a b\"" : "[\"a\",\"b\"]",
                    "]}}"),
            READERS::tokenizerCheck),
        shape(
            "tokenizerCheck: Unigram of many tokens",
            60_000,
            n ->
                list(
                    of.formatted("Unigram") + "\"unk_id\": 0, \"vocab\": [",
                    n,
                    "[\"t%d\",-1.5]"::formatted,
                    "]}}"),
            READERS::tokenizerCheck),
        shape(
            "tokenizerCheck: many added tokens",
            20_000,
            n ->
                list(
                    "{\"added_tokens\": [",
                    n,
                    i -> "{\"id\":%d,\"content\":\"t%d\"}".formatted(i, i),
                    "], "
                        + of.formatted("WordLevel").substring(1)
                        + "\"unk_token\": \"a\", \"vocab\": {\"a\":0}}}"),
            READERS::tokenizerCheck),
        shape(
            "tokenizerCheck: many steps",
            40_000,
            n ->
                list(
                    "{\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [",
                    n,
                    i -> "{\"type\":\"Sequence\",\"normalizers\":[]}",
                    "]}, "
                        + of.formatted("WordLevel").substring(1)
                        + "\"unk_token\": \"a\", \"vocab\": {\"a\":0}}}"),
            READERS::tokenizerCheck),
        shape(
            "tokenizerCheck: many special tokens",
            20_000,
            n ->
                list(
                    "{\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [], \"pair\": [], \"special_tokens\": {",
                    n,
                    "\"t%d\":{\"ids\":[0],\"tokens\":[\"t\"]}"::formatted,
                    "}}}"),
            READERS::tokenizerCheck),
        shape(
            "tokenizerOfDirectory: steps inside each other",
            150_000,
            n -> nestedSteps(450, list("", n, i -> "{}", "")),
            READERS::tokenizerOfDirectory),
        shape(
            "tokenizerOfDirectory: many steps, half of which place tokens",
            40_000,
            n ->
                list(
                    "{\"post_processor\": {\"type\": \"Sequence\", \"processors\": [",
                    n,
                    i ->
                        i < n / 2
                            ? "{}"
                            : "{\"type\":\"TemplateProcessing\",\"a\":%d}".formatted(i),
                    "]}, \"added_tokens\": [{\"id\":1,\"content\":\"<s>\"}]}"),
            READERS::tokenizerOfDirectory),
        shape(
            "vocabulary: many lines",
            60_000,
            n -> text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", n, "token%d\n"::formatted, ""),
            READERS::vocabulary),
        shape(
            "vocabulary: tokens of one hash",
            5000,
            n -> text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", n, i -> alike(i) + "\n", ""),
            READERS::vocabulary),
        shape(
            "vocabulary: a long line",
            1_000_000,
            n -> text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", n, i -> "\u00e9", ""),
            READERS::vocabulary),
        shape(
            "tokenizerConfig: many added tokens",
            30_000,
            n ->
                list(
                    "{\"added_tokens_decoder\": {",
                    n,
                    "\"%d\":{\"content\":\"[PAD]\"}"::formatted,
                    "}}"),
            READERS::tokenizerConfig));
  }

  private static byte[] nestedSteps(int levels, byte[] steps) {
    String begin = "{\"type\":\"Sequence\",\"processors\":[";
    return ("{\"post_processor\":"
            + begin.repeat(levels)
            + new String(steps, StandardCharsets.UTF_8)
            + "]}".repeat(levels)
            + ",\"added_tokens\":[{\"id\":1,\"content\":\"<s>\"}]}")
        .getBytes(StandardCharsets.UTF_8);
  }

  static Stream<Shape> models() {
    String decoder =
        """
        {"model_type": "%s", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
          "vocab_size": 16, "max_position_embeddings": 16, "head_dim": 4, "%s": """;
    String bert =
        """
        {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
          "vocab_size": 16, "%s": """;
    return Stream.of(
        shape(
            "modelConfig: many labels",
            40_000,
            n -> list(bert.formatted("id2label") + "{", n, "\"%d\":\"LABEL\""::formatted, "}}"),
            READERS::modelConfig),
        shape(
            "modelConfig: many layer types",
            60_000,
            n -> list(decoder.formatted("gemma3_text", "layer_types") + "[", n, i -> "\"a\"", "]}"),
            READERS::modelConfig),
        shape(
            "modelConfig: many factors",
            100_000,
            n ->
                list(
                    decoder.formatted("phi3", "rope_scaling")
                        + "{\"type\": \"longrope\", \"short_factor\": [1, 1], \"long_factor\": [",
                    n,
                    i -> "1.5",
                    "]}}"),
            READERS::modelConfig),
        shape(
            "modelConfig: many ends",
            100_000,
            n -> list(decoder.formatted("llama", "eos_token_id") + "[", n, i -> "2", "]}"),
            READERS::modelConfig),
        shape(
            "generationConfig: many ends",
            100_000,
            n -> list("{\"eos_token_id\": [", n, i -> "2", "]}"),
            READERS::generationConfig),
        shape(
            "safetensorsIndex: many weights",
            40_000,
            n -> list("{\"weight_map\": {", n, "\"w%d\":\"a.safetensors\""::formatted, "}}"),
            READERS::safetensorsIndex),
        shape(
            "safetensorsIndex: a long name of a shard",
            500_000,
            n ->
                ("{\"weight_map\": {\"a\": \"" + "x".repeat(n) + "\"}}")
                    .getBytes(StandardCharsets.UTF_8),
            READERS::safetensorsIndex));
  }

  static Stream<Shape> tensors() {
    return Stream.of(
        shape(
            "safetensors: many tensors",
            20_000,
            n -> LargeFiles.safetensors(n, i -> "tensor" + i, "F32", 4),
            READERS::safetensors),
        shape(
            "safetensors: names of one hash",
            40_000,
            n -> LargeFiles.safetensors(n, Growth::alike, "F32", 4),
            READERS::safetensors),
        shape(
            "safetensors: many sizes",
            200_000,
            n ->
                LargeFiles.safetensors(
                    List.of(new TensorEntry("t", "U8", "[" + "1,".repeat(n) + "1]", new byte[1])),
                    ""),
            READERS::safetensors),
        shape(
            "safetensors: much metadata",
            40_000,
            n ->
                LargeFiles.safetensors(
                    List.of(),
                    new String(
                        list("", n, "\"key%d\":\"value\""::formatted, ""), StandardCharsets.UTF_8)),
            READERS::safetensors),
        shape(
            "adapterWeights: many tensors of float16",
            2000,
            n -> LargeFiles.safetensors(n, i -> "tensor" + i, "F16", 2),
            READERS::adapterWeights),
        shape(
            "adapterWeights: many tensors of float32",
            10_000,
            n -> LargeFiles.safetensors(n, i -> "tensor" + i, "F32", 4),
            READERS::adapterWeights),
        shape(
            "headWeights: many tensors",
            10_000,
            n -> LargeFiles.safetensors(n, i -> "heads." + i, "F32", 4),
            READERS::headWeights),
        shape(
            "runWeights: many tensors",
            10_000,
            n -> LargeFiles.safetensors(n, i -> "tensor" + i, "F32", 4),
            READERS::runWeights),
        shape("modelWeights: four bits", 6000, LargeFiles::fourBits, READERS::modelWeights),
        shape("modelWeights: int8", 6000, LargeFiles::eightBits, READERS::modelWeights),
        shape("gguf: many keys", 40_000, n -> LargeFiles.gguf(n, 0, 0), READERS::gguf),
        shape("gguf: many tensors", 10_000, n -> LargeFiles.gguf(0, n, 0), READERS::gguf),
        shape("gguf: many texts", 100_000, n -> LargeFiles.gguf(0, 0, n), READERS::gguf),
        shape(
            "ggufAdapter: many keys", 40_000, n -> LargeFiles.gguf(n, 0, 0), READERS::ggufAdapter),
        shape(
            "onnx: many initialisers",
            20_000,
            n -> {
              Message graph = new Message();
              for (int i = 0; i < n; i++) {
                graph.bytes(5, initialiser("tensor" + i));
              }
              return onnx(graph);
            },
            READERS::onnx),
        shape(
            "onnx: many nodes in a row",
            20_000,
            n -> {
              Message graph = new Message().bytes(5, initialiser("x0"));
              for (int i = 0; i < n; i++) {
                graph.bytes(1, node("Identity", "x" + i, "x" + (i + 1)));
              }
              return onnx(graph);
            },
            READERS::onnx),
        shape(
            "onnx: many sizes and single floats",
            60_000,
            n -> {
              Message tensor = new Message().number(2, 1).text(8, "x").number(1, n);
              for (int i = 0; i < n; i++) {
                tensor.number(1, 1).fixed(4, 0);
              }
              return onnx(new Message().bytes(5, tensor.all()));
            },
            READERS::onnx),
        shape(
            "tensorFlow: many names",
            40_000,
            n -> TensorFlowIndex.of(LargeFiles.names(n)),
            READERS::tensorFlow),
        shape(
            "tensorFlow: names that each share the one before",
            20_000,
            n -> TensorFlowIndex.of(LargeFiles.growingNames(n)),
            READERS::tensorFlow),
        shape(
            "tensorFlow: one block many times",
            1000,
            n -> TensorFlowIndex.of(LargeFiles.names(n), n),
            READERS::tensorFlow),
        shape(
            "tensorFlow: one variable many times",
            4000,
            n -> TensorFlowIndex.of(LargeFiles.sameVariables(n, 1000 * n)),
            file ->
                ReadersTest.READING.check(
                    file.length,
                    () ->
                        new TensorFlowBert(file, new byte[file.length * 40], "variables")
                            .names()
                            .size())));
  }

  static Stream<Shape> tables() {
    String head = "text,label\n";
    return Stream.of(
        shape(
            "csv: many rows",
            60_000,
            n -> text(head, n, "text %d,a\n"::formatted, ""),
            READERS::csv),
        shape(
            "csv: many columns",
            100_000,
            n -> list("text,label,", n, "c%d"::formatted, "\n" + ",".repeat(n + 1) + "\n"),
            READERS::csv),
        shape(
            "csv: a large cell",
            2_000_000,
            n -> text(head + "\"", n, i -> "x", "\",a\n"),
            READERS::csv),
        shape(
            "csv: many quotes",
            1_000_000,
            n -> text(head + "\"", n, i -> "\"\"", "\",a\n"),
            READERS::csv),
        shape(
            "csv: an open quote",
            1_000_000,
            n -> text(head + "\"", n, i -> "a\n", ""),
            READERS::csv),
        shape("csv: blank lines", 1_000_000, n -> text(head, n, i -> "\n", "a,b\n"), READERS::csv),
        shape("csv: short rows", 400_000, n -> text(head, n, i -> "a,b\r", ""), READERS::csv),
        shape(
            "tsv: many rows",
            60_000,
            n -> text("text\tlabel\n", n, "text %d\ta\n"::formatted, ""),
            READERS::tsv),
        shape(
            "tsv: many quotes",
            1_000_000,
            n -> text("text\tlabel\n", n, i -> "\"", "\ta\n"),
            READERS::tsv),
        // Packed to a tenth or so, as texts are; of equal rows the measure is what they hold.
        shape(
            "csvGz: many rows",
            60_000,
            n -> LargeFiles.gzip(text(head, n, "the text number %d is short,a\n"::formatted, "")),
            READERS::csvGz),
        shape(
            "csvGz: equal rows",
            300_000,
            n -> text(head, n, i -> "the same text again and again,a\n", ""),
            file -> READERS.csvGz(LargeFiles.gzip(file))),
        shape(
            "glue: many rows, some of which are broken off",
            20_000,
            n ->
                text(
                    "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n",
                    n,
                    i -> i % 1000 == 1 ? "0\t1\t2\n" : "0\t1\t2\twhat %d?\twho?\t1\n".formatted(i),
                    ""),
            READERS::glue),
        shape(
            "jsonLines: many rows",
            40_000,
            n -> text("", n, i -> "{\"text\":\"text %d\",\"label\":%d}\n".formatted(i, i % 2), ""),
            READERS::jsonLines),
        shape(
            "jsonLines: long numbers as labels",
            1000,
            n ->
                text(
                    "",
                    n,
                    i -> "{\"text\":\"t\",\"label\":%d%s}\n".formatted(i + 1, "0".repeat(900)),
                    ""),
            READERS::jsonLines),
        shape(
            "jsonLines: many labels",
            40_000,
            n ->
                text(
                    "",
                    n,
                    i -> "{\"text\":\"t\",\"label\":\"%s\"}\n".formatted(alike(i % 60_000)),
                    ""),
            READERS::jsonLines),
        shape(
            "labels: digits and a letter",
            40_000,
            n -> ("text,label\na,1\nb," + "1".repeat(n) + "x\n").getBytes(StandardCharsets.UTF_8),
            GrowthTest::regression),
        shape(
            "parquet: many rows", 20_000, n -> LargeFiles.parquet(n, 0, 1 << 20), READERS::parquet),
        shape(
            "parquet: many columns", 800, n -> LargeFiles.parquet(2, n, 1 << 20), READERS::parquet),
        shape(
            "parquet: many row groups", 2000, n -> LargeFiles.parquet(n, 0, 10), READERS::parquet),
        shape(
            "parquet: one row group many times",
            100,
            n -> LargeFiles.sameGroups(LargeFiles.parquet(20 * n, 0, 1 << 20), n),
            READERS::parquet),
        shape(
            "conversationsParquet: many conversations",
            10_000,
            n -> LargeFiles.conversations(n, 60),
            READERS::conversationsParquet),
        shape(
            "conversationsParquet: long turns",
            200_000,
            n -> LargeFiles.conversations(4, n),
            READERS::conversationsParquet),
        shape(
            "questions: many rows",
            20_000,
            n ->
                text(
                    "",
                    n,
                    i ->
                        "{\"question\":\"q%d\",\"choices\":[\"a\",\"b\"],\"answer\":1}\n"
                            .formatted(i),
                    ""),
            READERS::questions),
        shape(
            "questions: many choices",
            60_000,
            n ->
                list(
                    "{\"question\":\"q\",\"choices\":{\"text\":[",
                    n,
                    i -> "\"a\"",
                    "],\"label\":["
                        + new String(list("", n, "\"l%d\""::formatted, ""), StandardCharsets.UTF_8)
                        + "]},\"answerKey\":\"l7\"}"),
            READERS::questions),
        shape(
            "conversations: many rows",
            20_000,
            n ->
                text(
                    "",
                    n,
                    i ->
                        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n",
                    ""),
            READERS::conversations));
  }

  private static void regression(byte[] file) throws IOException {
    var path = put("numbers.csv", file);
    ReadersTest.READING.check(
        file.length,
        () ->
            new DataFiles(path, null, null, Columns.DEFAULT, TaskKind.REGRESSION, List.of())
                .task()
                .load(SplitSizes.UNSPECIFIED, 0, 0));
  }

  static Stream<Shape> texts() {
    String configs = "---\nconfigs:\n";
    String path = configs + "- config_name: default\n  data_files:\n  - split: train\n    path: ";
    return Stream.of(
        shape(
            "yaml: many keys",
            60_000,
            n -> text("", n, "key%d: 1\n"::formatted, ""),
            READERS::yaml),
        shape(
            "yaml: keys of one hash",
            25_000,
            n -> text("", n, i -> alike(i) + ": 1\n", ""),
            READERS::yaml),
        shape("yaml: a long list", 200_000, n -> text("", n, i -> "- a\n", ""), READERS::yaml),
        shape(
            "yaml: a long list in brackets",
            300_000,
            n -> list("[", n, i -> i % 1000 == 0 ? "\na" : " a", "]"),
            READERS::yaml),
        shape(
            "yaml: long quoted words",
            450,
            n -> text("a: \"", n, i -> "x".repeat(1990) + "\n ", "\"\n"),
            READERS::yaml),
        shape(
            "yaml: long words",
            450,
            n -> text("a: ", n, i -> "x".repeat(2000) + "\n ", "\n"),
            READERS::yaml),
        shape(
            "yaml: long lines",
            9,
            n -> text("a: ", n, i -> "b ".repeat(49_990) + "\n ", "\n"),
            READERS::yaml),
        shape(
            "yaml: long comments",
            9,
            n -> text("", n, i -> "# ".repeat(49_990) + "\n", "a: b\n"),
            READERS::yaml),
        shape(
            "yaml: long lines of a block",
            9,
            n -> text("a: |\n", n, i -> " b".repeat(49_990) + "\n", ""),
            READERS::yaml),
        shape(
            "yaml: rows of spaces",
            9,
            n -> text("a:\n", n, i -> " ".repeat(99_990) + "b\n", ""),
            READERS::yaml),
        shape(
            "yaml: a text of many lines",
            300_000,
            n -> text("a: b\n", n, i -> " c\n", ""),
            READERS::yaml),
        shape(
            "yaml: a text of lines that are joined",
            200_000,
            n -> text("a: \"", n, i -> "b\\\n ", "\"\n"),
            READERS::yaml),
        shape(
            "yaml: a block of many lines",
            300_000,
            n -> text("a: |\n", n, i -> " c\n", ""),
            READERS::yaml),
        shape(
            "yaml: comments", 100_000, n -> text("", n, i -> "# a # b\n", "a: b\n"), READERS::yaml),
        shape(
            "yaml: anchors",
            60_000,
            n -> text("", n, i -> "- &a%d b\n".formatted(i), ""),
            READERS::yaml),
        shape("yaml: aliases", 100_000, n -> text("- &a b\n", n, i -> "- *a\n", ""), READERS::yaml),
        shape("yaml: tags", 60_000, n -> text("", n, i -> "- !!str a\n", ""), READERS::yaml),
        shape("yaml: documents", 100_000, n -> text("", n, i -> "---\na\n", ""), READERS::yaml),
        shape("yaml: a row of spaces", 900_000, n -> text("a:", n, i -> " ", "b\n"), READERS::yaml),
        shape(
            "yaml: escapes",
            150_000,
            n -> text("a: \"", n, i -> "\\x61\n ", "\"\n"),
            READERS::yaml),
        shape(
            "yaml: keys without values",
            200_000,
            n -> text("", n, i -> "? a\n", ""),
            READERS::yaml),
        shape("yaml: levels", 400_000, n -> text("", n, i -> "- ", ""), READERS::yaml),
        shape(
            "dataSetReadme: many configurations",
            20_000,
            n -> text(configs, n, "- config_name: c%d\n"::formatted, "---\n"),
            READERS::dataSetReadme),
        shape(
            "dataSetReadme: many names",
            40_000,
            n -> text(path + "\n", n, "    - name%d\n"::formatted, "---\n"),
            READERS::dataSetReadme),
        shape(
            "dataSetReadme: many patterns",
            40_000,
            n -> text(path + "\n", n, "    - \"*%d\"\n"::formatted, "---\n"),
            READERS::dataSetReadme),
        shape(
            "dataSetReadme: a long pattern",
            60_000,
            n -> text(path + "\"", n, i -> "**\\\n     ", "\"\n---\n"),
            READERS::dataSetReadme),
        shape(
            "dataSetReadme: many parts",
            20_000,
            n -> text(configs + "- data_files:\n", n, "  - split: s%d\n"::formatted, "---\n"),
            READERS::dataSetReadme),
        shape(
            "dataSetReadme: many lines that end nothing",
            150_000,
            n -> text("---\n", n, i -> "---  a\n", ""),
            READERS::dataSetReadme),
        shape(
            "dataSetReadme: spaces behind a line",
            1_000_000,
            n -> text("---\n---", n, i -> " \n ", "a"),
            READERS::dataSetReadme),
        shape(
            "dataSetReadme: a long text",
            2_000_000,
            n -> text("---\na: b\n---\n", n, i -> "a\n", ""),
            READERS::dataSetReadme),
        shape(
            "ruleExamples: many examples",
            20_000,
            n ->
                text(
                    "<rules><category id=\"A\"><rule id=\"R\">",
                    n,
                    i ->
                        "<example%s>text %d</example>"
                            .formatted(i % 2 == 0 ? "" : " correction=\"\"", i),
                    "</rule></category></rules>"),
            READERS::ruleExamples),
        shape(
            "ruleExamples: a long text",
            1_000_000,
            n -> text("<rules><rule id=\"R\"><example>", n, i -> " .", "</example></rule></rules>"),
            READERS::ruleExamples),
        shape(
            "ruleExamples: many elements in an example",
            100_000,
            n ->
                text(
                    "<rules><rule id=\"R\"><example>",
                    n,
                    i -> "<a/>b",
                    "</example></rule></rules>"),
            READERS::ruleExamples),
        shape(
            "ruleExamples: many levels",
            100_000,
            n -> text("<rules>", n, i -> "<rule id=\"R\">", ""),
            READERS::ruleExamples),
        shape(
            "ruleExamples: many attributes",
            9000,
            n -> text("<rules ", n, "a%d=\"\" "::formatted, "/>"),
            READERS::ruleExamples),
        shape(
            "ruleExamples: many entities",
            20_000,
            n -> text("<!DOCTYPE r [", n, "<!ENTITY e%d \"a\">"::formatted, "]><rules/>"),
            READERS::ruleExamples),
        shape(
            "ruleExamples: a long comment",
            1_000_000,
            n -> text("<rules><!--", n, i -> " -", "--></rules>"),
            READERS::ruleExamples),
        shape(
            "glosses: many lines",
            20_000,
            n ->
                text(
                    "",
                    n,
                    i ->
                        "0000%04d %02d n 01 w 0 000 | definition %d\n"
                            .formatted(i % 10_000, 3 + i % 26, i),
                    ""),
            READERS::glosses),
        shape(
            "glosses: a long line",
            1_000_000,
            n -> text("00001740 03 n 01 w 0 000 | a", n, i -> "; ", "\n"),
            READERS::glosses),
        shape(
            "glosses: spaces",
            1_000_000,
            n -> text("00001740 03 n 01 w 0 000 | a;", n, i -> " ", "b\n"),
            READERS::glosses),
        shape(
            "glosses: no text",
            1_000_000,
            n -> text("00001740 03 n ", n, i -> "a", "\n"),
            READERS::glosses),
        shape(
            "cell: backslashes",
            60_000,
            n -> text("", n, i -> "\\", "a"),
            file -> Markdown.cell(new String(file, StandardCharsets.UTF_8))));
  }

  static Stream<Shape> templates() {
    String loop = "{% for m in messages %}{{ m.content }}";
    FileReader template = READERS::chatTemplate;
    return Stream.of(
        shape(
            "chatTemplate: a long text",
            900_000,
            n -> text(loop, n, i -> "a", "{% endfor %}"),
            template),
        shape(
            "chatTemplate: many outputs",
            20_000,
            n -> text(loop + "{% endfor %}", n, i -> "{{ 1 }}", ""),
            template),
        shape(
            "chatTemplate: many conditions",
            20_000,
            n -> text(loop + "{% endfor %}", n, i -> "{% if a %}b{% endif %}", ""),
            template),
        shape(
            "chatTemplate: many branches",
            20_000,
            n -> text(loop + "{% if a %}", n, i -> "{% elif a %}b", "{% endif %}{% endfor %}"),
            template),
        shape(
            "chatTemplate: many variables",
            20_000,
            n -> text(loop + "{% endfor %}", n, "{%% set a%d = 1 %%}"::formatted, ""),
            template),
        shape(
            "chatTemplate: many macros",
            10_000,
            n ->
                text(
                    loop + "{% endfor %}",
                    n,
                    "{%% macro a%d() %%}b{%% endmacro %%}"::formatted,
                    ""),
            template),
        shape(
            "chatTemplate: a long sum",
            60_000,
            n -> text(loop + "{% endfor %}{{ 1", n, i -> " + 1", " }}"),
            template),
        shape(
            "chatTemplate: a long list",
            60_000,
            n -> list(loop + "{% endfor %}{{ [", n, i -> "1", "] }}"),
            template),
        shape(
            "chatTemplate: a long dictionary",
            30_000,
            n ->
                list(
                    loop + "{% endfor %}{% set a = {",
                    n,
                    i -> "'%s': 1".formatted(alike(i)),
                    "} %}"),
            template),
        shape(
            "chatTemplate: a long path",
            100_000,
            n -> text(loop + "{% endfor %}{{ a", n, i -> ".b", " }}"),
            template),
        shape(
            "chatTemplate: a long string",
            400_000,
            n -> text(loop + "{% endfor %}{{ '", n, i -> "\\n", "' }}"),
            template),
        shape(
            "chatTemplate: a long number",
            400_000,
            n -> text(loop + "{% endfor %}{{ 1", n, i -> "_1", " }}"),
            template),
        shape(
            "chatTemplate: digits and a letter",
            400_000,
            n -> text(loop + "{% endfor %}{{ 1", n, i -> "1", "e }}"),
            template),
        shape(
            "chatTemplate: comments",
            60_000,
            n -> text(loop + "{% endfor %}", n, i -> "{# a #}", ""),
            template),
        shape(
            "chatTemplate: raw texts",
            20_000,
            n -> text(loop + "{% endfor %}", n, i -> "{% raw %}{{{% endraw %}", ""),
            template),
        shape(
            "chatTemplate: spaces",
            400_000,
            n -> text(loop + "{% endfor %}{{", n, i -> " \n", "}}"),
            template),
        shape(
            "chatTemplate: signs",
            100_000,
            n -> text(loop + "{% endfor %}{{ ", n, i -> "not ", "a }}"),
            template),
        shape(
            "chatTemplate: open tags",
            300_000,
            n -> text(loop + "{% endfor %}", n, i -> "{%", ""),
            template),
        shape(
            "chatTemplate: formats",
            60_000,
            n -> text(loop + "{% endfor %}{{ '", n, i -> "%s", "' % [1] }}"),
            template),
        shape(
            "chatTemplate: names in formats",
            100_000,
            n -> text(loop + "{% endfor %}{{ '", n, i -> "%(", "' % {'a': 1} }}"),
            template),
        shape(
            "templateConfig: many templates",
            20_000,
            n ->
                list(
                    "{\"chat_template\": [",
                    n,
                    "{\"name\":\"n%d\",\"template\":\"a\"}"::formatted,
                    "]}"),
            READERS::templateConfig),
        shape(
            "specialTokens: many tokens",
            40_000,
            n -> list("{", n, "\"t%d_token\":{\"content\":\"a\"}"::formatted, "}"),
            READERS::specialTokens));
  }

  static Stream<Shape> configs() {
    return Stream.concat(
        json("runConfig", READERS::runConfig),
        Stream.of(
            shape(
                "runConfig: many labels",
                60_000,
                n ->
                    list(
                        "{\"problem_type\":\"single_label_classification\",\"text_columns\":1,\"metrics\":[\"accuracy\"],\"labels\":[",
                        n,
                        "\"l%d\""::formatted,
                        "]}"),
                READERS::runConfig),
            shape(
                "runConfig: labels of one hash",
                20_000,
                n ->
                    list(
                        "{\"problem_type\":\"single_label_classification\",\"text_columns\":1,\"metrics\":[\"accuracy\"],\"labels\":[",
                        n,
                        i -> "\"" + alike(i) + "\"",
                        "]}"),
                READERS::runConfig),
            shape(
                "runConfig: many files",
                20_000,
                n ->
                    list(
                        "{\"data\":[",
                        n,
                        "{\"sha256\":\"00\",\"file\":\"/f%d\",\"bytes\":1}"::formatted,
                        "]}"),
                READERS::runConfig),
            shape(
                "runConfig: many plugins",
                20_000,
                n ->
                    list(
                        "{\"plugins\":[",
                        n,
                        "{\"sha256\":\"%1$d\",\"file\":\"/f%1$d\",\"bytes\":1}"::formatted,
                        "]}"),
                READERS::runConfig)));
  }

  static Stream<Shape> runs() {
    String module = "{\"name\":\"m%d\",\"layer\":0,\"type\":\"lora\",\"parameters\":1}";
    String verdict =
        "{\"module\":"
            + module
            + ",\"partition\":{\"type\":\"lora\",\"block\":1},\"scores\":{},\"probability\":1,\"meanRank\":1}";
    String round =
        """
        {"stage":{"kind":"ROUND","index":1,"fresh":true,"rate":1.0},"target":1,"readings":[],"panels":[],"verdicts":[%s],"removals":[%s],"spared":[],"survivors":[],"information":"RELIABLE","training":null}""";
    return Stream.of(
        shape(
            "runModules: many modules",
            20_000,
            n -> list("{\"modules\":[", n, module::formatted, "]}"),
            READERS::runModules),
        shape(
            "runManifest: many files",
            20_000,
            n ->
                list(
                    "{\"files\":{",
                    n,
                    "\"file%d\":{\"bytes\":1,\"sha256\":\"00\"}"::formatted,
                    "}}"),
            READERS::runManifest),
        shape(
            "manifest: many names of a file",
            3000,
            n ->
                list(
                    "{\"files\":{",
                    n,
                    "\"x%d/../a.txt\":{\"bytes\":1,\"sha256\":\"00\"}"::formatted,
                    "}}"),
            GrowthTest::names),
        shape(
            "runMeasured: many subsets",
            20_000,
            n ->
                list(
                    "{\"choice\":\"best\",\"measured\":[",
                    n,
                    "{\"purpose\":\"p%d\",\"modules\":[\"a\"],\"score\":0}"::formatted,
                    "]}"),
            READERS::runMeasured),
        shape(
            "runMeasured: many modules in a subset",
            100_000,
            n ->
                list(
                    "{\"choice\":\"best\",\"measured\":[{\"purpose\":\"p\",\"modules\":[",
                    n,
                    "\"m%d\""::formatted,
                    "]}]}"),
            READERS::runMeasured),
        shape(
            "runFront: many rows",
            20_000,
            n ->
                list(
                    "{\"front\":[",
                    n,
                    i -> "{\"modules\":[\"encoder.layer.0.lora\"],\"costs\":{}}",
                    "]}"),
            READERS::runFront),
        shape(
            "runFront: many modules",
            60_000,
            n -> list("{\"front\":[{\"modules\":[", n, "\"m%d\""::formatted, "],\"costs\":{}}]}"),
            READERS::runFront),
        shape(
            "runPeer: many modules",
            20_000,
            n ->
                list(
                    "{\"method\":\"gates\",\"effort\":{},\"trials\":[],\"modules\":[",
                    n,
                    i -> "{\"module\":" + module.formatted(i) + ",\"score\":1,\"kept\":true}",
                    "]}"),
            READERS::runPeer),
        shape(
            "runPeer: many trials",
            30_000,
            n ->
                list(
                    "{\"method\":\"gates\",\"effort\":{},\"modules\":[],\"trials\":[",
                    n,
                    "{\"modules\":[\"a\"],\"metric\":%d}"::formatted,
                    "]}"),
            READERS::runPeer),
        shape(
            "runPredictions: many lines",
            30_000,
            n ->
                text("", n, "{\"example\":\"%d\",\"target\":1,\"outputs\":[0,1]}\n"::formatted, ""),
            READERS::runPredictions),
        shape(
            "runPredictions: many outputs",
            200_000,
            n -> list("{\"example\":\"a\",\"target\":1,\"outputs\":[", n, i -> "1", "]}\n"),
            READERS::runPredictions),
        shape(
            "runMetrics: many steps",
            30_000,
            n -> text("", n, "{\"training\":\"train\",\"step\":%d,\"loss\":1}\n"::formatted, ""),
            READERS::runMetrics),
        shape(
            "runMetrics: many trainings",
            30_000,
            n -> text("", n, "{\"training\":\"t%d\",\"epoch\":1,\"loss\":1}\n"::formatted, ""),
            READERS::runMetrics),
        shape(
            "runMetrics: many metrics",
            30_000,
            n ->
                list(
                    "{\"training\":\"t\",\"epoch\":1,", n, "\"validation_%d\":1"::formatted, "}\n"),
            READERS::runMetrics),
        shape(
            "runRounds: many rounds",
            8000,
            n -> list("[", n, i -> round.formatted("", ""), "]"),
            READERS::runRounds),
        shape(
            "runRounds: many modules",
            8000,
            n ->
                ("["
                        + round.formatted(
                            parts(n, verdict::formatted),
                            parts(
                                n,
                                i ->
                                    "{\"module\":"
                                        + module.formatted(i)
                                        + ",\"probability\":1,\"parametersAfter\":1}"))
                        + "]")
                    .getBytes(StandardCharsets.UTF_8),
            READERS::runRounds),
        shape(
            "settings: many below a long name",
            40_000,
            n -> list("{\"setup\":{\"" + "x".repeat(n) + "\":{", n, "\"s%d\":1"::formatted, "}}}"),
            GrowthTest::settings),
        shape(
            "strategy: many partitions",
            30_000,
            n ->
                list(
                    "{\"version\":1,\"origin\":\"custom\",\"partitioning\":\"spindle\",\"criteria\":[\"weight\"],\"assignment\":{",
                    n,
                    i -> "\"lora/%d\":[\"weight\"]".formatted(i + 1),
                    "}}"),
            READERS::strategy),
        shape(
            "strategy: many criteria",
            60_000,
            n ->
                list(
                    "{\"version\":1,\"origin\":\"custom\",\"partitioning\":\"spindle\",\"criteria\":[",
                    n,
                    i -> "\"weight\"",
                    "]}"),
            READERS::strategy),
        shape(
            "runMark: a long line",
            1_000_000,
            n -> text("running since ", n, i -> "1", ""),
            READERS::runMark),
        shape(
            "runMark: many lines",
            300_000,
            n -> text("failed\n", n, i -> "boot\n", ""),
            READERS::runMark));
  }

  private static String parts(int count, IntFunction<String> part) {
    return new String(list("", count, part, ""), StandardCharsets.UTF_8);
  }

  /** Of a file that grows with it. */
  private static void names(byte[] file) throws IOException {
    put("names/a.txt", new byte[20 * file.length]);
    putOnce("names/config.json", "{\"model_files\": []}");
    put("names/result.json", file);
    ReadersTest.sign("names/result.json");
    RunDirectory run = RunDirectory.open(DIRECTORY.resolve("names"));
    ReadersTest.READING.check(file.length, () -> Manifest.verify(run));
  }

  private static void settings(byte[] file) throws IOException {
    putOnce("settings/result.json", "{}");
    put("settings/config.json", file);
    ReadersTest.READING.check(
        file.length, () -> RunContents.of(DIRECTORY.resolve("settings")).notes().size());
  }

  static Stream<Shape> adapters() {
    return Stream.of(
        shape(
            "peft: many patterns that take long",
            8000,
            n -> list(LORA, n, "\".*.*.*x%d\":2"::formatted, "}}"),
            file -> adapter("patterns", LINEARS, 2, file)),
        shape(
            "peft: many names in patterns",
            8000,
            n -> list(LORA, n, "\"encoder.layer.%d.attention.self.query\":2"::formatted, "}}"),
            file -> adapter("patterns", LINEARS, 2, file)),
        shape(
            "peft: many ranks of AdaLoRA",
            20_000,
            n ->
                list(
                    "{\"peft_type\":\"ADALORA\",\"task_type\":\"FEATURE_EXTRACTION\",\"init_r\":%d,\"target_r\":1,\"rank_pattern\":{\"encoder.layer.0.attention.self.query.lora_E\":["
                        .formatted(n),
                    n,
                    i -> "false",
                    "]}}"),
            GrowthTest::adaLora),
        shape(
            "peft: many saved modules",
            60_000,
            n ->
                list(
                    LORA.replace("\"rank_pattern\": {", "\"modules_to_save\": ["),
                    n,
                    i -> "\"classifier\"",
                    "]}"),
            READERS::peft),
        shape(
            "adapterHub: many layers left out",
            100_000,
            n ->
                list(
                    "{\"config\": {\"architecture\": \"lora\", \"r\": 2, \"alpha\": 2, \"attn_matrices\": [\"q\"], \"leave_out\": [",
                    n,
                    i -> "" + (i + 1),
                    "]}, \"hidden_size\": 4, \"model_type\": \"bert\", \"name\": \"a\", \"version\": \"adapters.1.2.0\"}"),
            READERS::adapterHub),
        shape(
            "adapterHub: a union of many",
            20_000,
            n ->
                list(
                    "{\"config\": {\"architecture\": \"union\", \"configs\": [",
                    n,
                    i -> "{\"architecture\": \"lora\", \"leave_out\": [0]}",
                    "]}, \"hidden_size\": 4, \"model_type\": \"bert\", \"name\": \"a\", \"version\": \"adapters.1.2.0\"}"),
            READERS::adapterHub));
  }

  private static void adapter(String name, List<String> linears, int rank, byte[] file)
      throws IOException {
    Map<String, SafeTensors.Tensor> tensors = new LinkedHashMap<>();
    for (String linear : linears) {
      int inputs = linear.equals("output.dense") ? 8 : 4;
      int outputs = linear.equals("intermediate.dense") ? 8 : 4;
      tensors.put(LAYER + linear + ".lora_A.weight", ReadersTest.tensor(rank, inputs));
      tensors.put(LAYER + linear + ".lora_B.weight", ReadersTest.tensor(outputs, rank));
    }
    ReadersTest.adapter(name, "adapter_model.safetensors", tensors, file);
  }

  /** Without a rank that is left, of a model as wide as large ones are. */
  private static void adaLora(byte[] file) throws IOException {
    int hidden = 4096;
    var directory = put("many-ranks/adapter_config.json", file).getParent();
    if (!Files.exists(directory.resolve("adapter_model.safetensors"))) {
      String query = LAYER + "attention.self.query.lora_";
      SafeTensors.write(
          directory.resolve("adapter_model.safetensors"),
          Map.of(
              query + "A", ReadersTest.tensor(0, hidden),
              query + "B", ReadersTest.tensor(hidden, 0),
              query + "E", ReadersTest.tensor(0, 1)));
      SafeTensors.write(
          directory.resolve("head.safetensors"),
          Map.of(
              "classifier.weight", ReadersTest.tensor(2, hidden),
              "classifier.bias", ReadersTest.tensor(2)));
    }
    EncoderConfig model = EncoderConfig.bert(1, hidden, 2, 8, 10, 16);
    ReadersTest.READING.check(
        file.length,
        () -> {
          var config = RunDirectory.open(directory).readJson(AdapterFormat.CONFIG);
          AdapterFormat.of(directory, config).read(directory, config, model, List.of("a", "b"));
        });
  }
}
