package org.prunepeft.cli;

import ai.djl.Model;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.translator.CrossEncoderTranslator;
import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.translate.Batchifier;
import ai.djl.util.StringPair;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Scores pairs by an ONNX export in DJL, by its translator for cross-encoders and its engine for
 * ONNX Runtime alone. Arguments: the export, then texts, two of them a pair. It prints a line a
 * pair: the model's outputs.
 */
final class DjlPairs {
  public static void main(String[] arguments) throws Exception {
    Path directory = Path.of(arguments[0]);
    List<StringPair> pairs = new ArrayList<>();
    for (int i = 1; i < arguments.length; i += 2) {
      pairs.add(new StringPair(arguments[i], arguments[i + 1]));
    }
    try (HuggingFaceTokenizer tokenizer =
            HuggingFaceTokenizer.newInstance(directory.resolve("tokenizer.json"));
        Model model = DjlTexts.load(directory);
        Predictor<StringPair, float[]> predictor =
            model.newPredictor(
                CrossEncoderTranslator.builder(tokenizer)
                    .optIncludeTokenTypes(DjlTexts.takesTypes(model))
                    .optSigmoid(false)
                    .optBatchifier(new Padding())
                    .build())) {
      for (float[] outputs : predictor.batchPredict(pairs)) {
        System.out.println(Arrays.toString(outputs));
      }
    }
  }

  /** Makes a batch; DJL's own takes the operations for it from a second engine. */
  private static final class Padding implements Batchifier {
    private static final long serialVersionUID = 1;

    @Override
    public NDList batchify(NDList[] pairs) {
      int longest =
          Arrays.stream(pairs).mapToInt(pair -> (int) pair.head().size()).max().orElseThrow();
      NDList batch = new NDList();
      for (int k = 0; k < pairs[0].size(); k++) {
        long[][] rows = new long[pairs.length][];
        for (int i = 0; i < rows.length; i++) {
          NDArray row = pairs[i].get(k);
          rows[i] = Arrays.copyOf(row.toLongArray(), longest);
        }
        batch.add(pairs[0].getManager().create(rows));
      }
      return batch;
    }

    @Override
    public NDList[] unbatchify(NDList batch) {
      throw new UnsupportedOperationException("the translator takes the outputs apart itself");
    }
  }
}
