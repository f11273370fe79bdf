package org.prunepeft.formats;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.checkpoint.OnnxGraph;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.model.OnnxOptions;
import org.prunepeft.model.Pretrained;

/**
 * An ONNX model in a directory: {@value #MODEL}, config.json with the names of the classes, and the
 * tokenizer's files. Inputs and outputs have the names that Hugging Face's optimum gives them.
 *
 * <p>A head that compares two texts takes two sets of inputs, the second's names with {@value
 * #SECOND} behind them.
 */
public final class OnnxModel {
  /** Its name on the command line. */
  public static final String FORMAT = "onnx";

  static final String MODEL = "model.onnx";

  static final String SECOND = "_2";

  /** The least that a norm counts as in a cosine. */
  private static final double SHORTEST = 1e-8;

  private static final String LOGITS = "logits";

  /** Keeps the digits of a vocabulary's scores. */
  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).build();

  private final OnnxGraph graph = new OnnxGraph();
  private final OnnxOperations nodes = new OnnxOperations(graph);
  private final TrainedAdapter adapter;

  private OnnxModel(TrainedAdapter adapter) {
    this.adapter = adapter;
  }

  /**
   * Checks that a model can be written: of encoders all that have adapter parts.
   *
   * @throws IllegalArgumentException if it cannot; says what to do instead
   */
  public static void require(TrainedAdapter adapter) {
    if (adapter.encoder().architecture().isDecoder()) {
      throw new IllegalArgumentException(
          "ONNX models are written of encoders, and this is a %s; --merge writes a whole model"
              .formatted(adapter.encoder().architecture()));
    }
  }

  /**
   * Writes a model.
   *
   * @param base the model that the adapter was trained on; read, not closed
   * @param maxLength tokens at which its tokenizer is to cut texts
   * @param directory open for writing
   * @throws IllegalArgumentException if two low-rank updates sit on one projection; nothing is
   *     written then
   * @throws IOException if reading or writing fails
   */
  public static void write(
      TrainedAdapter adapter,
      Pretrained base,
      int maxLength,
      OnnxOptions options,
      RunDirectory directory)
      throws IOException {
    OnnxModel model = new OnnxModel(adapter);
    OnnxEncoder encoder =
        new OnnxEncoder(
            model.graph,
            base.config(),
            MergedCheckpoint.of(base.encoder(), adapter.lowRank()),
            adapter.bottlenecks(),
            options.int8());
    model.build(encoder, options.encoderOnly());
    model.graph.write(directory.file(MODEL), options.externalData());
    if (options.encoderOnly()) {
      HeadFile.write(adapter, directory);
    }
    new HuggingFaceDirectory(directory.path())
        .writeDescription(
            model.config(base),
            cutting(base.tokenizer(), maxLength),
            base.tokenizerFilesToWrite(OptionalInt.of(maxLength)));
  }

  private void build(OnnxEncoder encoder, boolean encoderOnly) {
    OnnxEncoder.Encoded first = encoder.encode("");
    if (encoderOnly) {
      graph.output(
          "last_hidden_state", first.hidden(), "batch", "sequence", adapter.encoder().hidden());
      return;
    }
    String features =
        adapter.headComparesTexts()
            ? compared(pooled(first), pooled(encoder.encode(SECOND)))
            : pooled(first);
    Checkpoint head =
        new MapCheckpoint(
            "head",
            Map.of(HeadFile.WEIGHT, adapter.headWeight(), HeadFile.BIAS, adapter.headBias()));
    String logits =
        graph.node(
            "Gemm",
            Map.of("transB", 1),
            features,
            nodes.weight(head, HeadFile.WEIGHT),
            nodes.weight(head, HeadFile.BIAS));
    graph.output(LOGITS, logits, "batch", adapter.headBias().shape()[0]);
  }

  /** The mean over real tokens, [B,hidden]. */
  private String pooled(OnnxEncoder.Encoded encoded) {
    String mask = encoded.mask();
    String count = graph.node("ReduceSum", mask, graph.integers(1));
    String shares = nodes.unsqueeze(graph.node("Div", mask, count), 1);
    return graph.node("Squeeze", graph.node("MatMul", shares, encoded.hidden()), graph.integers(1));
  }

  /** [u, v, |u−v|, cos(u, v)], [B,3·hidden + 1]. */
  private String compared(String u, String v) {
    String product = graph.node("ReduceSum", graph.node("Mul", u, v), graph.integers(1));
    String cosine = graph.node("Div", product, graph.node("Mul", length(u), length(v)));
    String difference = graph.node("Abs", graph.node("Sub", u, v));
    return graph.node("Concat", Map.of("axis", 1), u, v, difference, cosine);
  }

  private String length(String u) {
    String length = graph.node("ReduceL2", Map.of("axes", new int[] {1}), u);
    return graph.node("Max", length, graph.number(SHORTEST));
  }

  private Map<String, Object> config(Pretrained base) {
    Map<String, Object> config = base.configToWrite();
    boolean regression = adapter.labels().isEmpty();
    // Readers ask for a name of the number too; this is the library's own.
    config.putAll(MergedModel.labels(regression ? List.of("LABEL_0") : adapter.labels()));
    config.put("problem_type", regression ? "regression" : "single_label_classification");
    return config;
  }

  /** A tokenizer that pads nothing and cuts at a length; of a pair it cuts the longer text. */
  private static byte[] cutting(byte[] tokenizer, int maxLength) throws IOException {
    ObjectNode json = (ObjectNode) JSON.readTree(tokenizer);
    json.putNull("padding");
    json.putObject("truncation")
        .put("direction", "Right")
        .put("max_length", maxLength)
        .put("strategy", "LongestFirst")
        .put("stride", 0);
    return JSON.writeValueAsBytes(json);
  }
}
