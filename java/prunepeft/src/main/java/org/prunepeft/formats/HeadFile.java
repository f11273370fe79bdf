package org.prunepeft.formats;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.SafeTensors.Tensor;

/**
 * A head apart, in {@value #NAME}, where no class of the other library computes it: keys
 * classifier.weight and classifier.bias.
 *
 * @param weight [outputs, features]
 * @param bias [outputs]
 */
record HeadFile(Tensor weight, Tensor bias) {
  static final String NAME = "head.safetensors";

  /** Of a language model, whose head is its own. */
  static final HeadFile NONE = new HeadFile(null, null);

  static final String WEIGHT = PeftFormat.HEAD + ".weight";
  static final String BIAS = PeftFormat.HEAD + ".bias";

  static void write(TrainedAdapter adapter, RunDirectory directory) throws IOException {
    SafeTensors.write(
        directory.file(NAME), Map.of(WEIGHT, adapter.headWeight(), BIAS, adapter.headBias()));
  }

  static boolean isIn(Path directory) {
    return Files.exists(directory.resolve(NAME));
  }

  static HeadFile read(Path directory) throws IOException {
    StoredTensors tensors = new StoredTensors(directory, NAME, "export it anew");
    Tensor weight = tensors.take(WEIGHT, -1, -1);
    Tensor bias = tensors.take(BIAS, weight.shape()[0]);
    tensors.finish();
    return new HeadFile(weight, bias);
  }
}
