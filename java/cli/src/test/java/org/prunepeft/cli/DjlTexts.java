package org.prunepeft.cli;

import ai.djl.Model;
import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.inference.Predictor;
import ai.djl.modality.Classifications;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.Criteria;
import ai.djl.translate.NoBatchifyTranslator;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorContext;
import ai.djl.util.JsonUtils;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Classifies texts by an ONNX export in DJL, whose engine for ONNX Runtime is the only one here.
 * Arguments: the export, then texts. It prints a line a text: each class with its probability.
 */
final class DjlTexts {
  public static void main(String[] arguments) throws Exception {
    Path directory = Path.of(arguments[0]);
    try (HuggingFaceTokenizer tokenizer =
            HuggingFaceTokenizer.newInstance(directory.resolve("tokenizer.json"));
        Model model = load(directory)) {
      print(
          model, new Classifier(tokenizer), Arrays.asList(arguments).subList(1, arguments.length));
    }
  }

  /** An export, without a translator. */
  static Model load(Path directory) throws Exception {
    return Criteria.builder()
        .setTypes(NDList.class, NDList.class)
        .optEngine("OnnxRuntime")
        .optModelPath(directory)
        .build()
        .loadModel();
  }

  /** Whether a model takes token types, which not all have. */
  static boolean takesTypes(Model model) {
    return model.describeInput().contains("token_type_ids");
  }

  /** A line for each text. */
  static void print(Model model, Translator<String, Classifications> translator, List<String> texts)
      throws Exception {
    try (Predictor<String, Classifications> predictor = model.newPredictor(translator)) {
      for (Classifications classes : predictor.batchPredict(texts)) {
        for (int i = 0; i < classes.getClassNames().size(); i++) {
          System.out.print(classes.getClassNames().get(i) + " ");
          System.out.print(classes.getProbabilities().get(i) + " ");
        }
        System.out.println();
      }
    }
  }

  /** DJL's own translator takes its softmax from a second engine. */
  private static final class Classifier implements NoBatchifyTranslator<String, Classifications> {
    private final HuggingFaceTokenizer tokenizer;
    private final List<String> names = new ArrayList<>();

    Classifier(HuggingFaceTokenizer tokenizer) {
      this.tokenizer = tokenizer;
    }

    @Override
    public void prepare(TranslatorContext context) throws IOException {
      Path directory = context.getModel().getModelPath();
      try (Reader file = Files.newBufferedReader(directory.resolve("config.json"))) {
        Map<?, ?> labels = (Map<?, ?>) JsonUtils.GSON.fromJson(file, Map.class).get("id2label");
        for (int i = 0; i < labels.size(); i++) {
          names.add((String) labels.get(String.valueOf(i)));
        }
      }
    }

    @Override
    public NDList processInput(TranslatorContext context, String text) {
      Encoding[] batch = {tokenizer.encode(text)};
      boolean types = takesTypes(context.getModel());
      return Encoding.toNDList(batch, context.getNDManager(), types, false);
    }

    @Override
    public Classifications processOutput(TranslatorContext context, NDList outputs) {
      List<Double> probabilities = new ArrayList<>();
      double sum = 0;
      for (float logit : outputs.singletonOrThrow().toFloatArray()) {
        probabilities.add(Math.exp(logit));
        sum += Math.exp(logit);
      }
      double all = sum;
      probabilities.replaceAll(probability -> probability / all);
      return new Classifications(names, probabilities);
    }
  }
}
